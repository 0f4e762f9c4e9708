"""Realised false share of the default gene lists, over seeds of the demonstration's phantom.

``python benchmarks/genes_false_share.py 200 moran`` prints the share of list genes that were not
planted, and of planted genes that were kept, with the standard error over seeds.
"""

from __future__ import annotations

import sys

import numpy as np

from falx.genes.association import gene_correlations
from falx.genes.nulls.generate import NullMethod, null_maps
from falx.genes.phantom import make_gene_phantom
from falx.genes.tables import join


def main(n_seeds: int, method: NullMethod = "moran", n_maps: int = 5000, q: float = 0.05) -> None:
    """Print the two shares for the first seeds, one line each, and their means."""
    false, kept, at_05, at_001 = [], [], [], []
    for seed in range(1, n_seeds + 1):
        phantom = make_gene_phantom(seed)
        data = join(phantom.table, phantom.expression)
        rng = np.random.default_rng(seed)
        nulls = null_maps(data.values, data.positions, n_maps, rng, method=method)
        found = gene_correlations(data.expression, data.values, nulls.maps)
        taken = found.q < q
        planted = np.isin(np.array(data.genes), phantom.planted)
        false.append(float((taken & ~planted).sum()) / max(int(taken.sum()), 1))
        kept.append(float(taken[planted].mean()))
        at_05.append(float((found.p[~planted] < 0.05).mean()))
        at_001.append(float((found.p[~planted] < 0.001).mean()))
        print(f"{seed}\t{int(taken.sum())}\t{false[-1]:.4f}\t{kept[-1]:.4f}", flush=True)
    for name, share in (
        ("false share", false),
        ("planted genes kept", kept),
        ("other genes at P < .05", at_05),
        ("other genes at P < .001", at_001),
    ):
        mean, error = np.mean(share), np.std(share, ddof=1) / np.sqrt(len(share))
        print(f"{name}: {mean:.5f}, standard error {error:.5f}")


if __name__ == "__main__":
    words = sys.argv[1:] or ["200"]
    main(int(words[0]), words[1] if len(words) > 1 else "moran")  # type: ignore[arg-type]
