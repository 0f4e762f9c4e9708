"""What ships with Falx: priors, the structure atlas, heads for phantoms, small tables."""
