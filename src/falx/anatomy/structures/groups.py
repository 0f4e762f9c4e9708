"""Groups of structures with a common intensity, and their Gaussians in one patient.

Shared Gaussians as in Puonti, Iglesias & Van Leemput 2016 (NeuroImage 143:235).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from falx.anatomy.segmentation.mixture import (
    FLUID,
    WHITE,
    Anchor,
    Mixture,
    fit_mixture,
    initial_mixture,
    split,
)
from falx.core.errors import InputError

__all__ = ["N_GROUPS", "fit_groups", "group_of"]

Floats = npt.NDArray[np.float32]

GROUPS: tuple[tuple[int, ...], ...] = (
    (3, 42, 17, 53, 18, 54, 11, 50, 26, 58),
    (2, 41),
    (4, 43, 5, 44, 14, 15, 24, 72),
    (8, 47),
    (7, 46),
    (10, 49),
    (12, 51),
    (13, 52),
    (28, 60, 85),
    (16,),
)
"""Structures of one intensity: cerebral grey, white, fluid, then the others."""

N_GROUPS = len(GROUPS)
GAUSSIANS = (1, 1, 2, 1, 1, 1, 1, 1, 1, 1)
FEWEST_VOXELS = 20
N_TISSUES = 3
ANCHOR = 10.0
"""Weight of the expected mean of a group: samples it counts as, for each that was looked at."""

FIRST_STEPS, FURTHER_STEPS = 50, 3
WIDEST = 1.25
"""Largest variance of a group, relative to the narrower of grey and white matter of the tissues:
noise is alike everywhere, and a deep nucleus must not swallow the ventricle beside it."""

PRIOR_FLOOR = np.float32(1e-4)


def group_of(structure: int) -> int:
    """Position in the groups of a structure's FreeSurfer number."""
    for position, members in enumerate(GROUPS):
        if structure in members:
            return position
    raise InputError("no intensity group for a structure of the priors", found=structure)


def fit_groups(
    values: Floats, priors: Floats, tissues: Mixture, start: Mixture | None = None
) -> Mixture:
    """Fit the Gaussians of every group by expectation-maximisation.

    Parameters
    ----------
    values
        Shape (n,), bias-corrected intensities.
    priors
        Shape (n, groups).
    tissues
        Intensities of the segmentation, whose first three classes are grey, white and fluid.
    start
        Gaussians to go on from, a few steps only; found anew if absent.
    """
    possible = np.maximum(priors, PRIOR_FLOOR)
    most = FIRST_STEPS if start is None else FURTHER_STEPS
    first = start or _anchored(
        split(_robust_start(values, possible, tissues), GAUSSIANS), values, possible, tissues
    )
    # Small groups, such as the pallidum, would run off with the proportions if free.
    return fit_mixture(first, values, possible, most=most, fixed_shares=True)


def _anchored(mixture: Mixture, values: Floats, priors: Floats, tissues: Mixture) -> Mixture:
    """Expect of each nucleus the median where it is most probable, and the tissues' noise.

    No nucleus is expected to be brighter than white matter.

    Without that a nucleus whose neighbour is nearly as bright runs off: the pallidum, as bright as
    white matter, to white matter's brightest voxels or to the putamen, whose voxels its prior
    reaches too. Fluid that the tissues held, for want of it in the image, is held here as well.
    """
    likely = priors.argmax(axis=1)
    means, mass = mixture.means.copy(), np.zeros(len(mixture.means))
    variances = np.full(len(means), mixture.ceiling / WIDEST)
    if tissues.anchor is not None:
        fluid = mixture.classes == FLUID
        means[fluid], variances[fluid] = tissues.moments()[:, FLUID]
        mass[fluid] = len(values)
    for gaussian, group in enumerate(mixture.classes):
        own = values[likely == group]
        if group >= N_TISSUES and own.size >= FEWEST_VOXELS:
            means[gaussian] = min(float(np.median(own)), float(mixture.means[WHITE]))
            mass[gaussian] = ANCHOR * own.size
    return replace(mixture, anchor=Anchor(means, variances, mass))


def _robust_start(values: Floats, priors: Floats, tissues: Mixture) -> Mixture:
    """One Gaussian per group; grey, white and fluid are those of the tissues.

    The others start at median and median deviation of the voxels where they are the most
    probable: moments would mix in the neighbours across the border, and a broad start stays
    broad. Grey and white matter started in the same way until, under noise and in a head of wide
    sulci, the voxels where cortex was expected were half fluid: its Gaussian came to lie between
    the two, twice as wide as the noise, and took hippocampus and thalamus with it.
    """
    mixture = initial_mixture(values, priors)
    likely = priors.argmax(axis=1)
    means, variances = mixture.means.copy(), mixture.variances.copy()
    for group in range(priors.shape[1]):
        own = values[likely == group]
        if own.size >= FEWEST_VOXELS:
            means[group] = np.median(own)
            spread = float(np.median(np.abs(own - means[group])))
            variances[group] = max(spread**2, mixture.floor)
    means[:3], variances[:3] = tissues.moments()[:, :3]
    ceiling = WIDEST * float(variances[:2].min())
    variances = np.minimum(variances, ceiling)
    return replace(mixture, means=means, variances=variances, ceiling=ceiling)
