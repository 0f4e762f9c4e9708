"""The people of a comparison: their maps read, and what each has at every voxel."""
