"""Images: NIfTI and MGZ in, NIfTI out, resampling, smoothing."""
