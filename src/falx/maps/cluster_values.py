"""Values of every person in every listed cluster, for plots and for other tests.

A cluster was chosen because its values differ, so that what they differ by is too large where the
cluster rests on chance in part (Kriegeskorte et al. 2009, Nat Neurosci 12:535): they show who
carries a difference, and are no estimate of its size.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.maps.cluster_table import ClusterRow
from falx.maps.design import Design
from falx.maps.group_maps import ClusterInference

__all__ = ["ClusterValue", "adjusted", "adjustment", "cluster_values"]


@dataclass(frozen=True)
class ClusterValue:
    """Mean of one person's map in one cluster, before and after the covariates.

    Parameters
    ----------
    cluster
        Number in the cluster table.
    region
        Where its peak lies.
    mean
        Of the map as it was compared (harmonised and divided by head size where asked).
    adjusted
        The same at the mean of all covariates.
    """

    participant_id: str
    group: str
    cluster: int
    region: str
    mean: float
    adjusted: float


def adjusted(
    values: npt.ArrayLike, design: Design, contrast: npt.NDArray[np.floating]
) -> npt.NDArray[np.float64]:
    """Bring values, shape (n,), to the mean of every covariate.

    Parameters
    ----------
    contrast
        Shape (p,): what is tested stays; so does the mean.

    Examples
    --------
    >>> from falx.maps.design import two_sample_design
    >>> design = two_sample_design(["a", "a", "b", "b"], "a", "b", {"age": [1, 3, 2, 6]})
    >>> y = 10 * design.matrix[:, 0] + 2 * np.array([1.0, 3, 2, 6])
    >>> adjusted(y, design, np.array([1, 0, 0])).round(6).tolist()
    [16.0, 16.0, 6.0, 6.0]
    """
    return np.asarray(adjustment(design, contrast) @ np.asarray(values, np.float64))


def adjustment(design: Design, contrast: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Return the matrix, shape (n, n), that brings values to the mean of every covariate.

    Parameters
    ----------
    contrast
        Shape (p,) or (q, p): what is tested stays, and so does the mean.
    """
    x = design.matrix
    tested = (np.atleast_2d(contrast) != 0).any(axis=0)
    apart = ~tested & (np.ptp(x, axis=0) > 0)
    centred = x[:, apart] - x[:, apart].mean(axis=0)
    return np.asarray(np.eye(len(x)) - centred @ np.linalg.pinv(x)[apart])


def cluster_values(
    data: npt.NDArray[np.floating],
    people: Iterable[tuple[str, str]],
    clusters: Iterable[ClusterInference],
    rows: Iterable[ClusterRow],
    model: tuple[Design, npt.NDArray[np.floating]],
) -> tuple[ClusterValue, ...]:
    """Average the maps of everybody over every listed cluster.

    Parameters
    ----------
    data
        Shape (n, V).
    people
        Subject and group of every row.
    clusters, rows
        Clusters in the order of the table, and the table, where a cluster begins with the
        region that holds most of it.
    model
        Design and contrast of shape (p,).
    """
    named: dict[int, str] = {}
    for row in rows:
        named.setdefault(row.cluster, row.region)
    listed, found = list(people), []
    for number, one in enumerate(clusters, start=1):
        means = np.asarray(data[:, one.cluster.rows], np.float64).mean(axis=1)
        even = adjusted(means, *model)
        for (subject, group), mean, level in zip(listed, means, even, strict=True):
            found.append(
                ClusterValue(
                    f"sub-{subject}", group, number, named[number], float(mean), float(level)
                )
            )
    return tuple(found)
