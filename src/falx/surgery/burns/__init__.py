"""Ablations along a track: what they cover and what they cost."""
