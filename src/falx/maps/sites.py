"""Does a cluster rest on one site? Its effect with every site left out in turn.

A cluster that loses its effect without one site is a finding of that site. The formula is the
comparison itself on the people who are left; for that there is no published source.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.maps.design import Design
from falx.maps.linear import fit_contrast

__all__ = ["WithoutSite", "without_each_site"]

LEAST_DOF = 3
"""Fewer degrees of freedom are no check of anything."""


@dataclass(frozen=True)
class WithoutSite:
    """Mean t of the listed clusters without one site.

    Parameters
    ----------
    site
        Who was left out; empty for nobody.
    people
        How many are left.
    mean_t
        Of every listed cluster; empty where the rest cannot be compared.
    """

    site: str
    people: int
    mean_t: tuple[float, ...]


def without_each_site(
    data: npt.NDArray[np.floating],
    design: Design,
    contrast: npt.NDArray[np.floating],
    sites: Sequence[str],
    clusters: Sequence[npt.NDArray[np.integer]],
) -> tuple[WithoutSite, ...]:
    """Compare again without each site, at the voxels of some clusters; first with all of them.

    Parameters
    ----------
    data
        Shape (n, V), as it was compared: harmonised with all sites where that was asked.
    contrast
        Shape (p,). Student's t, since a group of one site may be too small for a variance.
    sites
        Site of every row.
    clusters
        Rows of the voxels of every cluster, shape (v,) each.

    Examples
    --------
    >>> from falx.maps.design import two_sample_design
    >>> y = np.array([[5.0], [6], [7], [1], [2], [3], [1], [2], [3], [1], [2], [6]])
    >>> design = two_sample_design(list("aaabbbaaabbb"), "a", "b")
    >>> sites = ["Oslo"] * 6 + ["Bonn"] * 6
    >>> found = without_each_site(y, design, np.array([1, 0]), sites, [np.array([0])])
    >>> [(one.site, one.people, round(one.mean_t[0], 2)) for one in found]
    [('', 12, 1.22), ('Oslo', 6, -0.61), ('Bonn', 6, 4.9)]
    """
    if not clusters:
        return ()
    labels, voxels = np.asarray(sites), np.unique(np.concatenate(list(clusters)))
    places = [np.searchsorted(voxels, rows) for rows in clusters]
    found = []
    for site in ("", *dict.fromkeys(sites)):
        kept = labels != site if site else np.ones(len(labels), bool)
        few = Design(design.matrix[kept], design.names)
        means: tuple[float, ...] = ()
        if _estimable(few, contrast):
            t = fit_contrast(np.asarray(data)[np.ix_(kept, voxels)], few, contrast).t
            means = tuple(float(t[own].mean()) for own in places)
        found.append(WithoutSite(site, int(kept.sum()), means))
    return tuple(found)


def _estimable(design: Design, contrast: npt.NDArray[np.floating]) -> bool:
    """Tell whether the rest of the people still carry the contrast, with an error of their own."""
    x, c = design.matrix, np.asarray(contrast, np.float64)
    if design.dof < LEAST_DOF:
        return False
    return bool(np.linalg.norm(c - c @ np.linalg.pinv(x) @ x) < 1e-8 * np.linalg.norm(c))
