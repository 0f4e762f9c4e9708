"""Measured figures beside their targets."""
