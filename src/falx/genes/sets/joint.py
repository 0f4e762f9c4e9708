"""Gene sets over several contrasts at once, against null maps that keep what contrasts share.

Contrasts with the same controls have maps that are alike, so that terms in common are expected.
Here one draw moves all maps together: its null maps keep the correlation of the contrasts, and
the P of a set counts draws of all contrasts. For one contrast this is the ensemble null (Fulcher
et al. 2021, Nat. Commun. 12:2669); the sum over contrasts is Stouffer's, calibrated by the draws
instead of by independence, and the larger of the single P is the test that a set goes with every
map (intersection and union, Berger 1982, Technometrics 24:295).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.core.checks import Probabilities
from falx.core.errors import InputError
from falx.core.multiplicity import TIE, benjamini_hochberg
from falx.genes.association import Correlation, unit_columns
from falx.genes.sets.library import TestedSets

__all__ = ["JointEnrichment", "joint_enrichment"]

Array = npt.NDArray[np.float64]
SET_BLOCK = 256


@dataclass(frozen=True, eq=False)
class JointEnrichment:
    """One row a tested set, of m; one column a contrast, of c.

    Attributes
    ----------
    z
        Mean correlation of the set's genes, in SD of its null, shape (m, c).
    p_single
        Two-sided P of each contrast, shape (m, c).
    together
        Sum of `z` over √c, shape (m,).
    p, q, p_max
        Of `together`: two-sided, Benjamini–Hochberg over sets, and against the largest of any set.
    p_both, q_both
        Largest P of the single contrasts where all go the same way, otherwise 1.
    """

    library: str
    names: tuple[str, ...]
    z: Array
    p_single: Probabilities
    together: Array
    p: Probabilities
    q: Probabilities
    p_max: Probabilities
    p_both: Probabilities
    q_both: Probabilities
    n_maps: int


def joint_enrichment(
    expression: npt.ArrayLike,
    maps: Sequence[npt.ArrayLike],
    null_maps: Sequence[npt.ArrayLike],
    sets: TestedSets,
    *,
    correlation: Correlation = "pearson",
) -> JointEnrichment:
    """Score every set on all maps.

    Parameters
    ----------
    expression
        Shape (n, p), columns in the order of ``sets.universe``.
    maps
        One map a contrast, each of shape (n,).
    null_maps
        Null maps of each contrast, shape (B, n); row b of all of them is one draw, as with
        :func:`falx.genes.nulls.generate.null_maps` from generators of one seed.

    Raises
    ------
    InputError
        If there are fewer than two maps, or not as many null maps of each.
    """
    table = np.asarray(expression, dtype=np.float64)
    nulls = [unit_columns(np.asarray(n, dtype=np.float64).T, correlation) for n in null_maps]
    if len(maps) < 2 or {n.shape for n in nulls} != {nulls[0].shape} or len(nulls) != len(maps):
        raise InputError(
            "contrasts need two maps or more, with as many null maps each",
            found=f"{len(maps)} maps, null maps {[n.shape[::-1] for n in nulls]}",
        )
    values = np.stack([np.asarray(y, dtype=np.float64) for y in maps], axis=1)
    profiles = (sets.membership @ unit_columns(table, correlation).T) / sets.sizes[:, None]
    observed = profiles @ unit_columns(values, correlation)
    z, together, counts = _counted(np.asarray(profiles), observed, nulls)
    n_maps, c = nulls[0].shape[1], len(nulls)
    p_single, p, p_max = ((1.0 + k) / (1.0 + n_maps) for k in counts)
    same_way = np.abs(np.sign(z).sum(axis=1)) == c
    p_both = np.where(same_way, p_single.max(axis=1), 1.0)
    return JointEnrichment(
        sets.library, sets.names, z, p_single, together, p, benjamini_hochberg(p), p_max,
        p_both, benjamini_hochberg(p_both), n_maps,
    )  # fmt: skip


def _counted(
    profiles: Array, observed: Array, nulls: Sequence[Array]
) -> tuple[Array, Array, tuple[Array, Array, Array]]:
    """Scores and the draws that reach them.

    Parameters
    ----------
    profiles
        Mean profile of each set, shape (m, n).
    observed
        Scores on the maps, shape (m, c).
    nulls
        Unit null maps of each contrast, shape (n, B).

    Returns
    -------
    z, together, counts
        Shapes (m, c) and (m,); draws that reach z, shape (m, c), the sum, and the sum of any set.
    """
    (m, c), n_maps = observed.shape, nulls[0].shape[1]
    z, reached, joint_reached = np.empty((m, c)), np.zeros((m, c)), np.zeros(m)
    largest = np.zeros(n_maps)
    for start in range(0, m, SET_BLOCK):
        rows = slice(start, start + SET_BLOCK)
        total = np.zeros((len(profiles[rows]), n_maps))
        for k, null in enumerate(nulls):
            scores = profiles[rows] @ null
            middle, spread = scores.mean(axis=1), scores.std(axis=1, ddof=1)
            z[rows, k] = (observed[rows, k] - middle) / spread
            standard = (scores - middle[:, None]) / spread[:, None]
            floor = np.abs(z[rows, k]) - TIE
            reached[rows, k] = (np.abs(standard) >= floor[:, None]).sum(axis=1)
            total += standard
        total = np.abs(total) / np.sqrt(c)
        floor = np.abs(z[rows].sum(axis=1)) / np.sqrt(c) - TIE
        joint_reached[rows] = (total >= floor[:, None]).sum(axis=1)
        largest = np.maximum(largest, total.max(axis=0))
    together = z.sum(axis=1) / np.sqrt(c)
    above = (largest[None, :] >= np.abs(together)[:, None] - TIE).sum(axis=1)
    return z, together, (reached, joint_reached, above)
