"""Ablation, planning, robustness, and the navigation station's formats."""
