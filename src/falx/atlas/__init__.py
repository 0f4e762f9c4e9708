"""Label volumes with names and sides, checked when they are loaded."""
