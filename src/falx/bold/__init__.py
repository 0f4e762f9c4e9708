"""Resting BOLD: slice timing, head motion, cleaning and regional homogeneity."""
