"""Partial-volume correction, intensity scaling, asymmetry, signature."""
