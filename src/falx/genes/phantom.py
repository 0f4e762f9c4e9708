"""A small made-up atlas with a planted gene programme, to see whether it is found.

Everything is drawn from a generator: region centroids on two hemispheres' shells, smooth
expression, gene sets, and a map built from one set's genes. Nothing says anything about biology.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.core.grid import Side
from falx.genes.nulls.generate import Positions, distances
from falx.genes.sets.library import GeneSetLibrary, Origin
from falx.genes.tables import Expression, RegionTable

__all__ = ["GenePhantom", "as_csv", "as_gmt", "false_positive_share", "make_gene_phantom"]

PLANTED = "planted programme"


@dataclass(frozen=True, eq=False)
class GenePhantom:
    """The made-up data and its truth.

    Attributes
    ----------
    library
        Sets of genes; ``planted programme`` and two sets that share most of its genes are the
        theme that must be found.
    edges
        A protein network in which the planted genes interact.
    planted
        Genes whose expression follows the map.
    """

    table: RegionTable
    expression: Expression
    library: GeneSetLibrary
    edges: tuple[tuple[str, str], ...]
    planted: tuple[str, ...]


def make_gene_phantom(
    seed: int = 7,
    *,
    n_regions: int = 123,
    n_genes: int = 2000,
    n_planted: int = 60,
    n_sets: int = 150,
    strength: float = 1.6,
    range_mm: float = 18.0,
) -> GenePhantom:
    """Make the phantom.

    Parameters
    ----------
    strength
        SD of the programme in its genes, against an SD of about 1 of everything else.
    range_mm
        Smoothness of map and expression.
    """
    rng = np.random.default_rng(seed)
    positions = _positions(n_regions, rng)
    d = distances(positions.centroids_mm)
    smooth = np.linalg.cholesky(np.exp(-d / range_mm) + 1e-9 * np.eye(n_regions))
    genes = tuple(f"GENE{i:04d}" for i in range(n_genes))
    programme = smooth @ rng.standard_normal(n_regions)
    factors = smooth @ rng.standard_normal((n_regions, 8))
    X = factors @ rng.standard_normal((8, n_genes)) / np.sqrt(8)
    X += 0.7 * rng.standard_normal(X.shape)
    planted = np.sort(rng.choice(n_genes, n_planted, replace=False))
    X[:, planted] += strength * programme[:, None]
    values = programme + 0.5 * rng.standard_normal(n_regions)
    regions = tuple(f"region{i:03d}_L" for i in range(n_regions))
    left: Side = "left"
    table = RegionTable(
        "phantom map",
        regions,
        values,
        positions.centroids_mm,
        positions.blocks,
        (left,) * n_regions,
    )
    names = tuple(genes[i] for i in planted)
    return GenePhantom(
        table,
        Expression("phantom expression", regions, genes, X),
        _library(genes, names, n_sets, rng),
        _edges(genes, names, rng),
        names,
    )


def _positions(n: int, rng: np.random.Generator) -> Positions:
    """Left cortex as points on an ellipsoid's shell, and some regions inside it."""
    n_deep = max(n // 7, 5)
    shell = rng.standard_normal((n - n_deep, 3))
    shell /= np.linalg.norm(shell, axis=1, keepdims=True)
    cortex = np.array([-35.0, -18.0, 8.0]) + shell * [30.0, 75.0, 55.0]
    deep = np.array([-18.0, -12.0, 2.0]) + 9.0 * rng.standard_normal((n_deep, 3))
    centroids = np.vstack([cortex, deep])
    centroids[:, 0] = -np.abs(centroids[:, 0])
    return Positions(centroids, ("cortex",) * (n - n_deep) + ("subcortex",) * n_deep)


def _library(
    genes: tuple[str, ...], planted: tuple[str, ...], n_sets: int, rng: np.random.Generator
) -> GeneSetLibrary:
    others = tuple(g for g in genes if g not in planted)
    sets = {
        f"random set {i:03d}": tuple(rng.choice(others, int(rng.integers(15, 80)), replace=False))
        for i in range(n_sets)
    }
    sets[PLANTED] = planted
    for part in ("A", "B"):
        kept = tuple(rng.choice(planted, int(0.8 * len(planted)), replace=False))
        sets[f"{PLANTED}, part {part}"] = kept + tuple(rng.choice(others, 4, replace=False))
    return GeneSetLibrary("phantom sets", sets, Origin("phantom", licence="made up"))


def _edges(
    genes: tuple[str, ...], planted: tuple[str, ...], rng: np.random.Generator
) -> tuple[tuple[str, str], ...]:
    pairs = {tuple(sorted(rng.choice(genes, 2, replace=False))) for _ in range(3 * len(genes))}
    core = planted[:12]
    pairs |= {(a, b) for i, a in enumerate(core) for b in core[i + 1 :] if rng.random() < 0.8}
    return tuple(sorted((str(a), str(b)) for a, b in pairs))


def as_gmt(library: GeneSetLibrary) -> str:
    """Write a library as GMT text."""
    return "".join(f"{name}\t\t" + "\t".join(genes) + "\n" for name, genes in library.sets.items())


def as_csv(expression: Expression) -> str:
    """Write a matrix as CSV text, nine digits."""
    lines = ["region," + ",".join(expression.genes)]
    lines += [
        f"{region}," + ",".join(f"{v:.9g}" for v in row)
        for region, row in zip(expression.regions, expression.values, strict=True)
    ]
    return "\n".join(lines) + "\n"


def false_positive_share(
    found: npt.NDArray[np.bool_], genes: tuple[str, ...], planted: tuple[str, ...]
) -> float:
    """Share of genes that are not planted but found; `found` has shape (n_genes,)."""
    truth = np.isin(np.array(genes), planted)
    return float(found[~truth].mean())
