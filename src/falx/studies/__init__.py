"""Stage tables that join the rooms, group levels, worked examples, published numbers."""
