"""What an ablation took, and what a cohort says of it."""
