"""How often terms over two contrasts, and modules of a list, are found where nothing is there.

Two maps that share a third of their variance are drawn from a normal field with covariance
exp(-d / range) on the regions of the demonstration, independent of the expression.

``python benchmarks/genes_together_type_one.py 200 18`` prints the rejections at 5 %.
"""

from __future__ import annotations

import sys

import numpy as np

from falx.genes.association import correlate
from falx.genes.network.analysis import modules_of_lists
from falx.genes.network.interactions import make_network
from falx.genes.network.mcode import find_modules
from falx.genes.nulls.generate import distances, null_maps
from falx.genes.phantom import make_gene_phantom
from falx.genes.sets.joint import joint_enrichment
from falx.genes.sets.library import Origin, restrict
from falx.genes.tables import join

LIST = 150
MODULE_MAPS = 99


def main(n_data_sets: int, range_mm: float, n_maps: int = 999) -> None:
    """Print the share of data sets, or of sets in them, with P below 0.05."""
    phantom = make_gene_phantom(7)
    data = join(phantom.table, phantom.expression)
    d = distances(data.positions.centroids_mm)
    factor = np.linalg.cholesky(np.exp(-d / range_mm) + 1e-9 * np.eye(len(d)))
    sets = restrict(phantom.library, data.genes)
    rng = np.random.default_rng(1)
    network = _coexpressed(data.expression, data.genes, rng)
    terms, families, both, modules = [], [], [], []
    for k in range(n_data_sets):
        shared, *own = (factor @ rng.standard_normal((len(d), 3))).T
        maps = [np.sqrt(1 / 3) * shared + np.sqrt(2 / 3) * one for one in own]
        nulls = [
            null_maps(y, data.positions, n_maps, np.random.default_rng(k), method="moran").maps
            for y in maps
        ]
        found = joint_enrichment(data.expression, maps, nulls, sets)
        terms.append(float((found.p < 0.05).mean()))
        both.append(float((found.p_both < 0.05).mean()))
        families.append(float(found.p_max.min() < 0.05))
        r = correlate(data.expression, np.vstack([maps[0], nulls[0][:MODULE_MAPS]]))
        lists = [_list(column, data.genes) for column in r.T]
        own_modules = find_modules(network.induced(lists[0]).neighbours)
        if own_modules:
            chance = modules_of_lists(network, lists[0], own_modules, lists[1:])
            # Of 99 lists and the list itself, five of a hundred are at P <= .05.
            modules.append(float(min(chance.p) <= 0.05))
        else:
            modules.append(0.0)
    for name, rate in (
        ("single terms, together", terms),
        ("any term of the library", families),
        ("single terms, both", both),
        ("any module", modules),
    ):
        mean, error = np.mean(rate), np.std(rate, ddof=1) / np.sqrt(len(rate))
        print(f"{name}: {100 * mean:.1f} %, standard error {100 * error:.1f}")


def _list(r: np.ndarray, genes: tuple[str, ...]) -> list[str]:
    order = np.argsort(r, kind="stable")
    return [genes[i] for i in (*order[: LIST // 2], *order[len(order) - LIST // 2 :])]


def _coexpressed(X: np.ndarray, genes: tuple[str, ...], rng: np.random.Generator):
    """Make a network in which genes that are expressed together interact more often."""
    r = np.corrcoef(X.T)
    a, b = np.triu_indices(len(genes), 1)
    joined = rng.random(len(a)) < 0.002 + 0.15 * (r[a, b] > 0.7)
    pairs = [(genes[i], genes[j]) for i, j in zip(a[joined], b[joined], strict=True)]
    return make_network(pairs, Origin("co-expressed"))


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
