"""Unified segmentation: tissues, bias field, and what a segmented head is."""
