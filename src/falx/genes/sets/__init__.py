"""Gene sets: reading them, testing them, and grouping what is found."""
