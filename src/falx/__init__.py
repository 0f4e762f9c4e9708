"""Falx: what differs across the midline of the brain in epilepsy, and what follows from it."""

__version__ = "0.1.0"

__all__ = ["__version__"]
