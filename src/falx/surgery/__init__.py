"""From the signature to the laser: ablative rate, prognosis, planning, hospital formats."""
