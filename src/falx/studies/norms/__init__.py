"""Norms of PET asymmetry from a site's own controls."""
