"""Doubts about a labelled structure that do not come from the model that labelled it.

The model's expected overlap cannot see that the model failed: it was .84 beside a hippocampus
that was 41 % too large. So every structure is also held against the population
(:mod:`falx.data.volumes`), against its partner on the other side, and against the segmentation
of the tissues, which knows nothing of structures and has other priors and another map.

There is no published source of these checks. The limits were set on a few phantoms under
:mod:`falx.phantom.nuisances`; what is known of their rates stands in ``docs/methods/anatomy.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.anatomy.quality import Check, within
from falx.anatomy.segmentation.mixture import Mixture
from falx.anatomy.segmentation.result import Segmentation
from falx.anatomy.structures.groups import group_of
from falx.atlas.freesurfer_numbers import MESIAL_NUMBERS
from falx.data.labels import head_labels
from falx.data.volumes import Expected, expected_structures, faces, shape_factor

__all__ = ["DOUBTFUL", "LOST_BY_A_DOUBT", "Evidence", "doubts_of", "gather", "lowered"]

DOUBTFUL = 0.8
"""Structures below this confidence are named in a notice."""

LOST_BY_A_DOUBT = 0.75
"""Factor on the expected overlap for each of the first two failed checks: one makes a structure
doubtful, two take its volume away."""

MOST_DOUBTS = 2

SPREADS = 3.0
MESIAL_RATIO = float(np.log(2.0))
ROUGHEST = 1.5
MOST_FLUID, LEAST_GREY, LEAST_CONTRAST, MOST_SHIFT = 0.10, 0.85, 0.3, 0.6

FLUID = (4, 43, 5, 44, 14, 15, 24, 72, 85)
"""Ventricles and fluid, whose volume has no usual range, and the chiasm of a few voxels."""

CORTEX_LIKE = (17, 53, 18, 54, 11, 50, 26, 58)
"""Structures as dark as cortex, which the tissues call grey too."""

DEEP = (10, 49, 12, 51, 13, 52)
"""Nuclei of an intensity of their own, of which only a border with white matter tells."""

WHY = {
    "volume": "mm³; mean ± 3 SD of the heads behind the priors, for this size of brain",
    "sides": (
        "log of its volume over the other side's; 3 root mean squares of those heads, a factor "
        "of two for hippocampus and amygdala, whose difference is what patients have"
    ),
    "shape": "surface over volume^⅔; 1.5 times the mean of those heads",
    "fluid": "share of it that the tissues, segmented without structures, call fluid",
    "grey": "share of it that the tissues, segmented without structures, call grey",
    "contrast": "white matter's intensity less its own, in SD: less, and its border is not seen",
    "intensity": (
        "larger shift of grey and of white matter between the two segmentations, in SD: the fit "
        "of all structures is in doubt"
    ),
}


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is held against each structure; arrays by FreeSurfer number, shape (n,).

    Parameters
    ----------
    volumes_mm3
        As they are reported.
    brain_mm3
        Grey and white matter of the tissues.
    area_mm2, counted_mm3
        Surface and volume of the labels.
    grey, fluid
        Mean probability of the tissue over the labels.
    contrast
        White matter's intensity less the structure's, in the SD of white matter.
    shift
        Larger shift of grey and white matter between structures and tissues, in the same SD.
    """

    volumes_mm3: npt.NDArray[np.float64]
    brain_mm3: float
    area_mm2: npt.NDArray[np.float64]
    counted_mm3: npt.NDArray[np.float64]
    grey: npt.NDArray[np.float64]
    fluid: npt.NDArray[np.float64]
    contrast: npt.NDArray[np.float64]
    shift: float


def gather(
    segmentation: Segmentation,
    labels: npt.NDArray[np.integer],
    volumes_mm3: Mapping[int, float],
    groups: Mixture,
) -> Evidence:
    """Measure what speaks for and against each structure.

    Parameters
    ----------
    labels
        Shape (X, Y, Z), FreeSurfer numbers.
    groups
        Fitted intensities of the groups of structures.
    """
    numbers = list(expected_structures())
    n = max(numbers) + 1
    grid = segmentation.grid
    known = np.where(labels < n, labels, 0)
    counts = np.bincount(known.ravel(), minlength=n)
    means = groups.moments()[0]
    tissue_means, tissue_variances = segmentation.fit.mixture.moments()
    sd = float(np.sqrt(tissue_variances[1]))
    contrast = np.zeros(n)
    volumes = np.zeros(n)
    for number in numbers:
        volumes[number] = volumes_mm3.get(number, 0.0)
        if number in DEEP:
            contrast[number] = (means[1] - means[group_of(number)]) / sd

    def share(tissue: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        total = np.bincount(known.ravel(), weights=tissue.ravel(), minlength=n)
        return np.asarray(total / np.maximum(counts, 1))

    brain = segmentation.gm.sum(dtype=np.float64) + segmentation.wm.sum(dtype=np.float64)
    return Evidence(
        volumes_mm3=volumes,
        brain_mm3=float(brain) * grid.voxel_volume_mm3,
        area_mm2=faces(known, grid.voxel_sizes_mm, n),
        counted_mm3=np.asarray(counts * grid.voxel_volume_mm3, dtype=np.float64),
        grey=share(segmentation.gm),
        fluid=share(segmentation.csf),
        contrast=contrast,
        shift=float(np.abs(means[:2] - tissue_means[:2]).max() / sd),
    )


def doubts_of(evidence: Evidence) -> dict[int, tuple[Check, ...]]:
    """Failed checks of every structure that has one, by FreeSurfer number."""
    names = dict(zip(head_labels().index.tolist(), head_labels().name, strict=True))
    found: dict[int, tuple[Check, ...]] = {}
    for number, expected in expected_structures().items():
        if number in FLUID:
            continue
        checks = [
            Check(
                "structures: intensity" if kind == "intensity" else f"{names[number]}: {kind}",
                value,
                low,
                high,
                within(value, low, high),
                WHY[kind],
            )
            for kind, value, low, high in _measured(number, expected, evidence)
        ]
        failed = tuple(check for check in checks if not check.passed)
        if failed:
            found[number] = failed
    return found


Row = tuple[str, float, float | None, float | None]


def _measured(number: int, expected: Expected, evidence: Evidence) -> list[Row]:
    """Kind, value and limits of each check that applies to a structure."""
    volume = float(evidence.volumes_mm3[number])
    usual = evidence.brain_mm3 * np.exp(
        expected.log_share + SPREADS * expected.log_share_sd * np.array([-1.0, 1.0])
    )
    rough = shape_factor(float(evidence.area_mm2[number]), float(evidence.counted_mm3[number]))
    rows: list[Row] = [
        ("volume", volume, float(usual[0]), float(usual[1])),
        ("shape", rough, None, ROUGHEST * expected.shape),
        ("fluid", float(evidence.fluid[number]), None, MOST_FLUID),
        ("intensity", evidence.shift, None, MOST_SHIFT),
    ]
    if number in CORTEX_LIKE:
        rows.append(("grey", float(evidence.grey[number]), LEAST_GREY, None))
    if number in DEEP:
        rows.append(("contrast", float(evidence.contrast[number]), LEAST_CONTRAST, None))
    return rows + _against_partner(number, expected, evidence)


def _against_partner(number: int, expected: Expected, evidence: Evidence) -> list[Row]:
    """Check of the sides, for the one of the two that lies further from the population."""
    partner = int(head_labels().table(head_labels().mirror)[number])
    if partner == number:
        return []
    both = np.maximum(evidence.volumes_mm3[[number, partner]], 1.0)
    own, other = np.abs(np.log(both / evidence.brain_mm3) - expected.log_share)
    if own < other:
        return []
    least = MESIAL_RATIO if number in MESIAL_NUMBERS else 0.0
    limit = max(SPREADS * expected.log_ratio_rms, least)
    return [("sides", float(np.log(both[0] / both[1])), -limit, limit)]


def lowered(
    confidence: Mapping[int, float], doubts: Mapping[int, tuple[Check, ...]]
) -> dict[int, float]:
    """Lower the expected overlap by the doubts; see :data:`LOST_BY_A_DOUBT`."""
    return {
        number: value * LOST_BY_A_DOUBT ** min(len(doubts.get(number, ())), MOST_DOUBTS)
        for number, value in confidence.items()
    }
