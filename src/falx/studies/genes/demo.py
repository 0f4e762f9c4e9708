"""The genes demonstration: a planted programme in a made-up atlas, looked for and found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy

from falx.core.files import write_json, write_table, write_text
from falx.genes.association_study import Settings
from falx.genes.files import Known
from falx.genes.network.interactions import make_network
from falx.genes.phantom import (
    PLANTED,
    GenePhantom,
    as_csv,
    as_gmt,
    false_positive_share,
    make_gene_phantom,
)
from falx.genes.sets.library import Origin
from falx.studies.genes.files import write_findings
from falx.studies.genes.study import relate

__all__ = ["GenesDemo", "run", "write_phantom"]


@dataclass(frozen=True)
class GenesDemo:
    """How well the planted programme was found.

    Attributes
    ----------
    median_rank
        Of the planted genes by Z; (planted + 1) / 2 is perfect.
    in_top
        Share of the planted genes among as many top genes.
    false_positives
        Share of the other genes at spatial P < 0.05.
    theme
        Term that names the first theme.
    ensemble_q
        Of the planted set.
    """

    report: Path
    n_genes: int
    n_planted: int
    median_rank: float
    in_top: float
    false_positives: float
    theme: str
    ensemble_q: float


def write_phantom(folder: Path, phantom: GenePhantom) -> None:
    """Write expression, gene sets and interactions as the files that ``falx genes`` reads."""
    write_text(folder / "expression.csv", as_csv(phantom.expression))
    write_text(folder / "sets.gmt", as_gmt(phantom.library))
    write_text(folder / "network.tsv", "".join(f"{a}\t{b}\n" for a, b in phantom.edges))


def run(out: Path | str, *, seed: int = 7, n_maps: int = 5000) -> GenesDemo:
    """Make the phantom, analyse it as a user would, and say how well it went.

    Inputs are written as the files that ``falx genes`` reads, so that the same command can be
    tried by hand.
    """
    folder = Path(out)
    phantom = make_gene_phantom(seed)
    rows = [
        (name, value, *xyz, block, "left")
        for name, value, xyz, block in zip(
            phantom.table.regions,
            phantom.table.values,
            phantom.table.centroids_mm,
            phantom.table.blocks,
            strict=True,
        )
    ]
    columns = ("region", "value", "x_mm", "y_mm", "z_mm", "block", "side")
    write_table(folder / "inputs" / "map.tsv", columns, rows)
    write_phantom(folder / "inputs", phantom)
    network = make_network(phantom.edges, Origin("phantom"))
    result = relate(
        phantom.table,
        phantom.expression,
        Settings(n_maps=n_maps, seed=seed),
        Known((phantom.library,), network),
    )
    write_findings(result, folder)
    study, sets = result.study, result.sets[0]
    genes = study.data.genes
    truth = np.isin(np.array(genes), phantom.planted)
    rank = scipy.stats.rankdata(-study.weights.z)
    n = int(truth.sum())
    demo = GenesDemo(
        folder / "report.html",
        len(genes),
        n,
        float(np.median(rank[truth])),
        float((rank[truth] <= n).mean()),
        false_positive_share(study.genes.p < 0.05, genes, phantom.planted),
        sets.themes.themes[0].representative if sets.themes.themes else "",
        float(sets.ensemble.q[sets.ensemble.names.index(PLANTED)]),
    )
    shown = {k: v for k, v in vars(demo).items() if k != "report"}
    write_json(folder / "truth.json", shown | {"planted": list(phantom.planted)})
    return demo
