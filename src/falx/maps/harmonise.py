"""Sites made alike: ComBat and CovBat for maps of people from several scanners.

ComBat takes from every voxel the mean and the spread that belong to a site, both shrunk towards
what is usual over voxels (Johnson et al. 2007, Biostatistics 8:118; Fortin et al. 2017,
NeuroImage 161:149). CovBat does the same to the scores of the principal components of what is left
(Chen et al. 2022, Hum Brain Mapp 43:1179).

The groups that are compared do not enter. So harmonised maps are the same whoever is given which
label, and a permutation of people or signs needs no new fit: fitted with the groups, the labels
would shape the data that they are tested on. Sites stay among the covariates of the test, which
accounts for the degrees of freedom of their means, and sees where site and group are one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError

__all__ = ["LEAST_PEOPLE", "combat", "covbat"]

LEAST_PEOPLE = 3
"""Of a site; a spread of two people is no spread."""

SETTLED = 1e-4
MOST_STEPS = 200
KEPT_VARIANCE = 0.95
"""Share of the variance in the components whose scores CovBat harmonises."""

_BLOCK = 65_536
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Model:
    """What of the data, shape (n, V), is no site's: the expected value and the pooled spread."""

    expected: Floats
    spread: Floats


def combat(
    data: npt.NDArray[np.floating],
    sites: Sequence[str],
    covariates: npt.NDArray[np.floating] | None = None,
    *,
    shrunk: bool = True,
) -> npt.NDArray[np.float64]:
    """Take the means and spreads of sites from data of shape (n, V).

    Parameters
    ----------
    sites
        Of every image.
    covariates
        Shape (n, p): what sites may differ in and keeps its effect, such as age.
    shrunk
        Whether the sites' means and variances are shrunk towards their mean over voxels.

    Raises
    ------
    InputError
        If a site has fewer than three people, or there is one site alone.

    Examples
    --------
    >>> data = np.array([[1.0], [2], [3], [11], [14], [17]])
    >>> combat(data, list("aaabbb"), shrunk=False).round(3).ravel().tolist()
    [6.174, 8.0, 9.826, 6.174, 8.0, 9.826]
    """
    _check_sites(sites)
    out = np.empty(data.shape)
    if shrunk:
        wide = np.asarray(data, dtype=np.float64)
        model = _expected(wide, sites, covariates)
        return _without_sites(wide, sites, model, shrunk=True) * model.spread + model.expected
    for start in range(0, data.shape[1], _BLOCK):
        block = slice(start, start + _BLOCK)
        wide = np.asarray(data[:, block], dtype=np.float64)
        model = _expected(wide, sites, covariates)
        rest = _without_sites(wide, sites, model, shrunk=False)
        out[:, block] = rest * model.spread + model.expected
    return out


def covbat(
    data: npt.NDArray[np.floating],
    sites: Sequence[str],
    covariates: npt.NDArray[np.floating] | None = None,
) -> npt.NDArray[np.float64]:
    """Take from data of shape (n, V) also how voxels go together in one site and not in others.

    Parameters
    ----------
    sites, covariates
        As :func:`combat` takes them.
    """
    _check_sites(sites)
    wide = np.asarray(data, dtype=np.float64)
    model = _expected(wide, sites, covariates)
    rest = _without_sites(wide, sites, model, shrunk=True)
    middle = rest.mean(axis=0)
    centred = rest - middle
    # The components of n images in V voxels have no more than n dimensions.
    values, vectors = np.linalg.eigh(np.einsum("iv,jv->ij", centred, centred))
    order = np.argsort(values)[::-1]
    share = np.cumsum(values[order]) / values.sum()
    kept = order[: int(np.searchsorted(share, KEPT_VARIANCE)) + 1]
    scores = vectors[:, kept] * np.sqrt(np.maximum(values[kept], 0.0))
    changed = combat(scores, sites, shrunk=False) - scores
    axes = np.einsum("ik,iv->kv", vectors[:, kept], centred)
    axes /= np.sqrt(np.maximum(values[kept], 1e-300))[:, None]
    even = centred + np.einsum("ik,kv->iv", changed, axes) + middle
    return np.asarray(even * model.spread + model.expected)


def _check_sites(sites: Sequence[str]) -> None:
    names = sorted(set(sites))
    few = {name: list(sites).count(name) for name in names}
    if len(names) < 2:
        raise InputError(
            "there is one site only, so nothing to harmonise",
            found=", ".join(names),
            do="choose none for groups.harmonise",
        )
    if min(few.values()) < LEAST_PEOPLE:
        raise InputError(
            "a site has too few people for a mean and a spread of its own",
            found=", ".join(f"{name} {n}" for name, n in few.items() if n < LEAST_PEOPLE),
            do=f"leave these people out, or join sites of one scanner; {LEAST_PEOPLE} are needed",
        )


def _members(sites: Sequence[str]) -> list[npt.NDArray[np.bool_]]:
    labels = np.asarray(sites)
    return [labels == name for name in sorted(set(sites))]


def _expected(
    wide: Floats, sites: Sequence[str], covariates: npt.NDArray[np.floating] | None
) -> _Model:
    """Fit means of sites and slopes of covariates; keep the mean over people and the slopes."""
    members = np.array(_members(sites), dtype=np.float64).T
    more = np.empty((len(wide), 0)) if covariates is None else np.asarray(covariates, float)
    design = np.column_stack([members, more])
    weights = np.linalg.pinv(design) @ wide
    rest = wide - design @ weights
    spread = np.sqrt((rest**2).mean(axis=0))
    k = members.shape[1]
    middle = members.mean(axis=0) @ weights[:k]
    return _Model(middle + more @ weights[k:], np.where(spread > 0, spread, 1.0))


def _without_sites(
    wide: Floats, sites: Sequence[str], model: _Model, *, shrunk: bool
) -> npt.NDArray[np.float64]:
    """Return standardised data without the mean and the spread of each site, shape (n, V)."""
    standard = (wide - model.expected) / model.spread
    for rows in _members(sites):
        own = standard[rows]
        mean, variance = own.mean(axis=0), own.var(axis=0, ddof=1)
        if shrunk:
            mean, variance = _shrunk(own, mean, variance)
        standard[rows] = (own - mean) / np.sqrt(np.where(variance > 0, variance, 1.0))
    return standard


def _shrunk(own: Floats, mean: Floats, variance: Floats) -> tuple[Floats, Floats]:
    """Shrink a site's means (V,) and variances (V,) towards theirs over voxels.

    Parametric empirical Bayes: normal prior of the mean, inverse gamma of the variance (Johnson
    et al. 2007, section 3.2), solved in turn.
    """
    n = len(own)
    usual, between = float(mean.mean()), float(mean.var(ddof=1))
    m, s2 = float(variance.mean()), float(variance.var(ddof=1))
    if s2 <= 0 or between <= 0:
        return mean, variance
    shape, scale = (2 * s2 + m**2) / s2, (m * s2 + m**3) / s2
    squares, total = (own**2).sum(axis=0), own.sum(axis=0)
    g, d = mean, variance
    for _ in range(MOST_STEPS):
        new_g = (between * n * mean + d * usual) / (between * n + d)
        new_d = (0.5 * (squares - 2 * new_g * total + n * new_g**2) + scale) / (n / 2 + shape - 1)
        change = max(
            float((np.abs(new_g - g) / np.maximum(np.abs(g), 1e-12)).max()),
            float((np.abs(new_d - d) / d).max()),
        )
        g, d = new_g, new_d
        if change < SETTLED:
            break
    return g, d
