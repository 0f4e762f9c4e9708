"""From a brain map to genes, pathways, regulators, networks and the patients' blood."""
