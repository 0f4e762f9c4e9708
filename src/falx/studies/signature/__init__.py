"""The study `signature` (Mo 2025): raw images to asymmetry, signature, ablative rate."""
