"""Protein networks of a gene list, and the dense modules in them."""
