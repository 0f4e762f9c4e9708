"""
Genes behind a regional map
===========================

A made-up atlas in which sixty genes follow the map: partial least squares against maps as
smooth as this one, then the sets that the genes belong to.
"""

import falx

phantom = falx.phantom_genes(n_genes=800, n_sets=60)
table, expression = phantom.table, phantom.expression
found = falx.pls(
    expression.values,
    table.values,
    table.centroids_mm,
    genes=expression.genes,
    n_maps=500,
    n_draws=500,
)
print(found)

sets = falx.enrich(found.positive, phantom.library, found.genes)
print(sets)
found.plot().savefig("null_maps.png")
sets.plot().savefig("gene_sets.png")
