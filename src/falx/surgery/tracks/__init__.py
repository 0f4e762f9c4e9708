"""Straight ways of a laser fibre into the head, and what they must respect."""
