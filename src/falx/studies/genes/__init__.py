"""The study `genes`: from a map or list to genes, pathways, networks and blood."""
