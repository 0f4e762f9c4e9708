"""Priors, unified segmentation, coregistration, refinement, structures, volumes."""
