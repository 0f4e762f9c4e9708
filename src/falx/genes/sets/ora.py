"""Over-representation of gene sets in a gene list, against the tested genes.

P is the upper tail of the hypergeometric law (Fisher's exact test; Rivals et al. 2007,
Bioinformatics 23:401). It is summed here and not by scipy, which takes 0.7 s for the 6,000 sets of
one library where this takes 2 ms: every list, every module of a network and every resampled list
asks for all sets. Tests hold both equal to 10⁻⁹.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from falx.core.checks import Probabilities
from falx.core.errors import InputError, notify
from falx.core.multiplicity import benjamini_hochberg
from falx.genes.sets.library import TestedSets

__all__ = ["OraResult", "hypergeometric_tail", "over_representation"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class OraResult:
    """One row per tested set, shape (m,), in the order of `names`.

    Attributes
    ----------
    overlap, set_size
        k and M.
    factor
        Enrichment k N / (M n).
    p, q
        Upper hypergeometric tail, and Benjamini–Hochberg over **all** tested sets.
    list_size, universe_size
        n and N.
    """

    library: str
    names: tuple[str, ...]
    overlap: npt.NDArray[np.int64]
    set_size: npt.NDArray[np.int64]
    factor: Array
    p: Probabilities
    q: Probabilities
    list_size: int
    universe_size: int

    def order(self) -> npt.NDArray[np.intp]:
        """Rows from smallest P, shape (m,); ties by larger overlap, then by name."""
        return np.lexsort((np.array(self.names), -self.overlap, self.p))


@numba.njit(cache=True)
def _tails(
    k: npt.NDArray[np.int64],
    M: npt.NDArray[np.int64],
    n: int,
    N: int,
    start: Array,
    out: Array,
) -> None:  # pragma: no cover - compiled
    """Sum the shorter tail by the ratio of neighbouring terms, from the given first term."""
    for i in range(k.size):
        upper = k[i] * N > M[i] * n
        x = k[i] if upper else k[i] - 1
        term = start[i]
        total = 0.0
        while term > 0.0:
            total += term
            if term < 1e-20 * total:
                break
            if upper:
                term *= (M[i] - x) * (n - x) / ((x + 1.0) * (N - M[i] - n + x + 1.0))
                x += 1
            else:
                term *= x * (N - M[i] - n + x) / ((M[i] - x + 1.0) * (n - x + 1.0))
                x -= 1
        out[i] = total if upper else 1.0 - total


def hypergeometric_tail(
    overlap: npt.ArrayLike, set_size: npt.ArrayLike, list_size: int, universe_size: int
) -> Array:
    """P(X >= k) for k of a list of n among M of N, as scipy's ``hypergeom.sf(k - 1, N, M, n)``.

    Arrays have the shape (m,). The first term comes from log factorials in extended precision.

    Examples
    --------
    >>> hypergeometric_tail([1], [1], 5, 10)
    array([0.5])
    """
    k = np.atleast_1d(np.asarray(overlap, dtype=np.int64))
    M = np.broadcast_to(np.asarray(set_size, dtype=np.int64), k.shape).copy()
    n, N = int(list_size), int(universe_size)
    logs = np.log(np.arange(1, N + 1, dtype=np.longdouble))
    f = np.concatenate([np.zeros(1, dtype=np.longdouble), np.cumsum(logs)])
    x = np.where(k * N > M * n, k, k - 1)
    inside = (x >= np.maximum(0, M + n - N)) & (x <= np.minimum(M, n))
    y = np.where(inside, x, np.maximum(0, M + n - N))
    log_term = f[M] + f[N - M] + f[n] + f[N - n] - f[N]
    log_term = log_term - f[y] - f[M - y] - f[n - y] - f[N - M - n + y]
    start = np.where(inside, np.exp(log_term), 0.0).astype(np.float64)
    out = np.empty(len(k))
    _tails(k, M, n, N, start, out)
    return np.clip(out, 0.0, 1.0)


def over_representation(genes: Sequence[str], sets: TestedSets) -> OraResult:
    """Test every set for more list genes than chance would put there.

    The universe is the tested genes. A wider universe, such as all genes of the genome, makes
    every brain-expressed set look enriched.

    Parameters
    ----------
    genes
        Symbols of the universe (see :func:`falx.genes.symbols.match_symbols`).

    Raises
    ------
    InputError
        If the list is empty or holds all tested genes.
    """
    chosen = sets.indicator(genes)
    n, N = int(chosen.sum()), len(sets.universe)
    if n == 0:
        raise InputError("the gene list is empty", where=sets.library, do="check the symbols")
    if n == N:
        raise InputError(
            "the gene list holds every tested gene",
            where=sets.library,
            do="give the genes that were selected and, apart, those tested",
        )
    outside = len(set(genes)) - n
    if outside:
        notify("genes outside the tested ones do not count", found=outside, where=sets.library)
    overlap = np.rint(sets.membership @ chosen).astype(np.int64)
    size = sets.sizes
    p = hypergeometric_tail(overlap, size, n, N)
    factor = overlap * N / (size * float(n))
    return OraResult(
        sets.library, sets.names, overlap, size, factor, p, benjamini_hochberg(p), n, N
    )
