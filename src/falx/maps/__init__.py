"""Statistics of brain maps: designs, linear models, group maps, deviation from controls."""
