"""Whole heads with known truth: T1w, FLAIR, PET, lesions, ablations, outcomes."""
