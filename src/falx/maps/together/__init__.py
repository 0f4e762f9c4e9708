"""Two maps of the same comparison looked at together."""
