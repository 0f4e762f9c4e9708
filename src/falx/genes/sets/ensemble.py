"""Gene-set scores against spatial null maps (Fulcher et al. 2021, Nat. Commun. 12:2669).

Genes of one set are often co-expressed, so over-representation sees one signal many times. The
ensemble null scores the same set on maps that have nothing to do with it. The mean correlation
of a set's genes with a map is the product of the map and the mean of the genes' standardised
profiles; so a set costs as much as a gene.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.core.checks import Probabilities
from falx.core.errors import InputError, check_option
from falx.core.multiplicity import benjamini_hochberg, two_sided_normal_p
from falx.genes.association import CORRELATIONS, Correlation, tally, unit_columns
from falx.genes.sets.library import TestedSets

__all__ = ["EnsembleResult", "ensemble_enrichment"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class EnsembleResult:
    """One row per tested set, shape (m,).

    Attributes
    ----------
    score
        Mean correlation of the set's genes with the map.
    z
        Score in SD of the null scores, from their mean.
    p, q
        (1 + k)/(1 + B), two-sided, and Benjamini–Hochberg over all tested sets.
    p_gaussian
        From `z`: resolves smaller values than the number of null maps, if scores are normal.
    p_max
        Against the largest |score| of any set.
    """

    library: str
    names: tuple[str, ...]
    score: Array
    z: Array
    p: Probabilities
    q: Probabilities
    p_gaussian: Probabilities
    p_max: Probabilities
    n_maps: int


def ensemble_enrichment(
    expression: npt.ArrayLike,
    values: npt.ArrayLike,
    null_maps: npt.ArrayLike,
    sets: TestedSets,
    *,
    correlation: Correlation = "pearson",
) -> EnsembleResult:
    """Score every set on the map and on the null maps.

    Parameters
    ----------
    expression
        Shape (n, p), columns in the order of ``sets.universe``.
    null_maps
        Shape (B, n).
    """
    check_option("correlation", correlation, CORRELATIONS)
    table = np.asarray(expression, dtype=np.float64)
    if table.shape[1] != len(sets.universe):
        raise InputError(
            "expression and gene sets differ in genes",
            found=f"{table.shape[1]} and {len(sets.universe)}",
        )
    X = unit_columns(table, correlation)
    profiles = np.asarray(sets.membership @ X.T) / sets.sizes[:, None]
    y = unit_columns(np.asarray(values, dtype=np.float64)[:, None], correlation)[:, 0]
    Y = unit_columns(np.asarray(null_maps, dtype=np.float64).T, correlation)
    score = profiles @ y
    counted = tally(profiles, Y, score)
    null_mean = profiles @ Y.mean(axis=1)
    covariance = np.cov(Y)
    null_sd = np.sqrt(np.einsum("mi,mi->m", profiles @ covariance, profiles))
    z = (score - null_mean) / null_sd
    return EnsembleResult(
        sets.library,
        sets.names,
        score,
        z,
        counted.p,
        benjamini_hochberg(counted.p),
        two_sided_normal_p(z),
        counted.p_max,
        Y.shape[1],
    )
