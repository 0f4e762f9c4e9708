"""Images as a hospital hands them over, into a BIDS dataset and without the patient's data."""
