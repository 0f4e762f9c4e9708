"""The study `resistance` (Liu 2024): grey matter and ReHo, group maps."""
