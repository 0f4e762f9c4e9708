"""Null maps that keep the smoothness of a regional map."""
