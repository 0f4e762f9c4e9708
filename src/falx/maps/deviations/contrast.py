"""Whether two groups of patients deviate differently from the controls.

Permutation of labels and flipping of signs: Winkler et al. 2014, NeuroImage 92:381.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError
from falx.maps.design import two_sample_design
from falx.maps.inference.permutation import permutation_null
from falx.maps.inference.rearrangements import PermutationPlan, permutation_plan, sign_plan
from falx.maps.linear import fit_contrast

__all__ = ["DeviationTest", "compare_deviations"]


@dataclass(frozen=True, eq=False)
class DeviationTest:
    """Difference of the mean deviations of two groups; arrays of shape (V,).

    Parameters
    ----------
    t
        First minus second; zero where nobody differs from anybody.
    p_voxel
        Familywise permutation p of |t|, two-tailed.
    peak
        Index of the largest |t|, the lowest of equal ones.
    """

    t: npt.NDArray[np.float64]
    p_voxel: npt.NDArray[np.float64]
    peak: int
    dof: float
    plan: PermutationPlan


def compare_deviations(
    z: npt.NDArray[np.floating],
    groups: Sequence[str],
    first: str,
    second: str,
    rng: np.random.Generator,
    *,
    n_permutations: int = 5000,
    variance: str = "groups",
    threads: int = 1,
) -> DeviationTest:
    """Rearrange patients on their deviation maps: flip signs, or permute labels.

    Parameters
    ----------
    z
        Shape (m, V): deviation of every patient from the controls.
    groups
        Group of every patient, either `first` or `second`.
    rng
        Draws the permutations; all are taken where there are no more than asked for.

    variance
        As in :class:`falx.maps.settings.InferenceOptions`.

    Raises
    ------
    InputError
        If a group has fewer than two patients or no voxel varies.

    Notes
    -----
    Every patient is compared with the same controls, so an error of theirs moves all z of a
    voxel alike and the labels stay exchangeable. Covariates were fitted in the controls; the
    test has none of its own.
    """
    design = two_sample_design(groups, first, second)
    contrast = design.contrast({design.names[0]: 1.0})
    spread = np.ptp(z, axis=0)
    varies = spread > 1e-9 * max(float(spread.max()), 1e-30)
    if not varies.any():
        raise InputError(
            "no voxel varies over patients",
            found=f"{z.shape[1]} voxels",
            do="check that the maps are those of different patients",
        )
    some = z[:, varies]
    unequal = groups if variance == "groups" else None
    if unequal:
        plan = sign_plan(len(z), n_permutations, rng)
    else:
        labels = np.array([group == first for group in groups])
        plan = permutation_plan(len(z), n_permutations, rng, labels=labels)
    null = permutation_null(some, design, contrast, plan, groups=unequal, threads=threads)
    fit = fit_contrast(some, design, contrast, unequal)
    t, p = np.zeros(z.shape[1]), np.ones(z.shape[1])
    t[varies], p[varies] = fit.t, null.p_value(np.abs(fit.t), null.t)
    return DeviationTest(t, p, int(np.argmax(np.abs(t))), fit.dof, plan)
