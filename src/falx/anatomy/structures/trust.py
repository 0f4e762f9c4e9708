"""Doubts about a labelled structure that do not come from the model that labelled it.

The model's expected overlap cannot see that the model failed: it was .84 beside a hippocampus
that was 41 % too large. So every structure is also held against the population
(:mod:`falx.data.volumes`), against its partner on the other side, and against the segmentation
of the tissues, which knows nothing of structures and has other priors and another map.

There is no published source of these checks. The limits were set on a few phantoms under
:mod:`falx.phantom.nuisances`, those of the borders on heads 03, 11 and 13; what is known of their
rates on other heads stands in ``docs/methods/anatomy.md``, by ``benchmarks.failure_check``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from falx.anatomy.quality import Check, within
from falx.anatomy.registration.inverse import jacobian_determinants
from falx.anatomy.segmentation.mixture import Mixture
from falx.anatomy.segmentation.result import Segmentation
from falx.anatomy.structures.groups import group_of
from falx.atlas.freesurfer_numbers import MESIAL_NUMBERS
from falx.core.grid import Grid
from falx.data.labels import head_labels
from falx.data.volumes import Expected, expected_structures, faces, shape_factor
from falx.images.warp import CoordinateMap

__all__ = [
    "DOUBTFUL",
    "LOST_BY_A_DOUBT",
    "Evidence",
    "doubts_of",
    "gather",
    "lowered",
    "mirrored_evidence",
]

DOUBTFUL = 0.8
"""Structures below this confidence are named in a notice."""

LOST_BY_A_DOUBT = 0.75
"""Factor on the expected overlap for each of the first two failed checks: one makes a structure
doubtful, two take its volume away."""

MOST_DOUBTS = 2
LEAST_JACOBIAN = 1e-2

SPREADS = 4.0
MESIAL_RATIO = float(np.log(2.0))
ROUGHEST = 1.5
MOST_FLUID, LEAST_GREY, LEAST_CONTRAST, MOST_SHIFT = 0.10, 0.85, 0.3, 0.6

BORDER_MM = {"sharp": 0.15, "gone": 0.78}
"""How far a border lies off, mm, where the image has it and where it has none, on average."""

LEAST_OVERLAP, LEAST_AGREEMENT, MOST_LOG_JACOBIAN = 0.81, 0.7, 0.7

UNSURE_OVERLAP = 0.85
"""Where intensities moved, the structures are doubted whose borders allow less than this."""

FLUID = (4, 43, 5, 44, 14, 15, 24, 72, 85)
"""Ventricles and fluid, whose volume has no usual range, and the chiasm of a few voxels."""

CORTEX_LIKE = (17, 53, 18, 54, 11, 50, 26, 58)
"""Structures as dark as cortex, which the tissues call grey too."""

DEEP = (10, 49, 12, 51, 13, 52)
"""Nuclei of an intensity of their own, of which only a border with white matter tells."""

WHY = {
    "volume": "mm³; mean ± 4 SD of the heads behind the priors, for this size of brain",
    "sides": (
        "log of its volume over the other side's; 4 root mean squares of those heads, a factor "
        "of two for hippocampus and amygdala, whose difference is what patients have"
    ),
    "shape": "surface over volume^⅔; 1.5 times the mean of those heads",
    "fluid": "share of it that the tissues, segmented without structures, call fluid",
    "grey": "share of it that the tissues, segmented without structures, call grey",
    "contrast": "white matter's intensity less its own, in SD: less, and its border is not seen",
    "border": (
        "overlap that its borders allow: less the larger its surface for its volume, and the less "
        "of the expected step of intensity the image has there"
    ),
    "agreement": "Dice with the labels along the map of the tissues alone",
    "stretch": "mean logarithm of the change of volume from the map of the tissues to its own",
    "intensity": (
        "larger shift of grey and of white matter between the two segmentations, in SD: it casts "
        "doubt on the structures whose borders are unsure, too"
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
    jacobian
        Mean logarithm of the change of volume by the second map relative to the first.
    agreement
        Dice of the labels with those along the map of the tissues, a second look whose place
        was found without structures.
    edge
        Step of the intensity across the faces to structures of another intensity, over the one
        that their groups have: 1 where the border is where the image has one.
    """

    volumes_mm3: npt.NDArray[np.float64]
    brain_mm3: float
    area_mm2: npt.NDArray[np.float64]
    counted_mm3: npt.NDArray[np.float64]
    grey: npt.NDArray[np.float64]
    fluid: npt.NDArray[np.float64]
    contrast: npt.NDArray[np.float64]
    shift: float
    jacobian: npt.NDArray[np.float64]
    agreement: npt.NDArray[np.float64]
    edge: npt.NDArray[np.float64]


def gather(
    segmentation: Segmentation,
    labels: npt.NDArray[np.integer],
    volumes_mm3: Mapping[int, float],
    groups: Mixture,
    to_template: CoordinateMap,
    otherwise: npt.NDArray[np.integer],
) -> Evidence:
    """Measure what speaks for and against each structure.

    Parameters
    ----------
    labels
        Shape (X, Y, Z), FreeSurfer numbers.
    groups
        Fitted intensities of the groups of structures.
    to_template
        Native mm to template mm, along which the labels were found.
    otherwise
        Shape (X, Y, Z), labels along the map of the tissues.
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

    other = np.where(otherwise < n, otherwise, 0)
    both = np.bincount(known[known == other].ravel(), minlength=n)
    twice = counts + np.bincount(other.ravel(), minlength=n)
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
        jacobian=_mean_log_jacobian(known, grid, segmentation.to_template, to_template, n),
        agreement=2.0 * both / np.maximum(twice, 1),
        edge=_edges(known, segmentation.seen, means, numbers, n),
    )


def _mean_log_jacobian(
    labels: npt.NDArray[np.integer],
    grid: Grid,
    first: CoordinateMap,
    second: CoordinateMap,
    n: int,
) -> npt.NDArray[np.float64]:
    """Mean logarithm of the second map's Jacobian over the first's, of `n` labels, shape (n,)."""
    before = CoordinateMap(first.on(second.grid), second.affine)
    ratio = np.log(
        np.maximum(jacobian_determinants(second), LEAST_JACOBIAN)
        / np.maximum(jacobian_determinants(before), LEAST_JACOBIAN)
    )
    voxels, own = np.argwhere(labels > 0), labels[labels > 0]
    to_node = np.linalg.inv(second.affine) @ grid.affine
    last = np.array(ratio.shape) - 1
    nodes = np.clip(np.rint(voxels @ to_node[:3, :3].T + to_node[:3, 3]).astype(int), 0, last)
    total = np.bincount(own, weights=ratio[tuple(nodes.T)], minlength=n)
    return np.asarray(total / np.maximum(np.bincount(own, minlength=n), 1))


def _edges(
    labels: npt.NDArray[np.integer],
    intensities: npt.NDArray[np.float32],
    means: npt.NDArray[np.float64],
    numbers: Sequence[int],
    n: int,
) -> npt.NDArray[np.float64]:
    """Measured over expected step of intensity across the borders of each of `n` labels."""
    group = np.full(n, -1)
    group[list(numbers)] = [group_of(number) for number in numbers]
    found, expected = np.zeros((2, n))
    for axis in range(3):
        along, seen = np.moveaxis(labels, axis, 0), np.moveaxis(intensities, axis, 0)
        differ = (along[1:] != along[:-1]) & (along[1:] > 0) & (along[:-1] > 0)
        a, b = along[1:][differ], along[:-1][differ]
        step = means[group[a]] - means[group[b]]
        measured = (seen[1:][differ] - seen[:-1][differ]) * np.sign(step)
        for side in (a, b):
            found += np.bincount(side, weights=measured, minlength=n)
            expected += np.bincount(side, weights=np.abs(step), minlength=n)
    return np.asarray(np.where(expected > 0.0, found / np.maximum(expected, 1e-9), 1.0))


def mirrored_evidence(evidence: Evidence) -> Evidence:
    """Evidence of a head from that of its mirror image: the sides change places."""
    partner = head_labels().table(head_labels().mirror)
    n = len(evidence.fluid)
    order = np.where(partner[:n] < n, partner[:n], np.arange(n))
    turned: dict[str, Any] = {
        field.name: value[order]
        for field in fields(evidence)
        if isinstance(value := getattr(evidence, field.name), np.ndarray)
    }
    return replace(evidence, **turned)


def doubts_of(
    evidence: Evidence, population: Mapping[int, Expected] | None = None
) -> dict[int, tuple[Check, ...]]:
    """Failed checks of every structure that has one, by FreeSurfer number.

    Parameters
    ----------
    population
        What is usual; the shipped table if absent.
    """
    names = dict(zip(head_labels().index.tolist(), head_labels().name, strict=True))
    found: dict[int, tuple[Check, ...]] = {}
    for number, expected in (population or expected_structures()).items():
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
    allowed = _allowed_overlap(number, evidence)
    rough = shape_factor(float(evidence.area_mm2[number]), float(evidence.counted_mm3[number]))
    rows: list[Row] = [
        ("volume", volume, float(usual[0]), float(usual[1])),
        ("shape", rough, None, ROUGHEST * expected.shape),
        ("fluid", float(evidence.fluid[number]), None, MOST_FLUID),
        ("border", allowed, LEAST_OVERLAP, None),
        ("agreement", float(evidence.agreement[number]), LEAST_AGREEMENT, None),
        ("stretch", float(evidence.jacobian[number]), -MOST_LOG_JACOBIAN, MOST_LOG_JACOBIAN),
    ]
    if allowed < UNSURE_OVERLAP:
        rows.append(("intensity", evidence.shift, None, MOST_SHIFT))
    if number in CORTEX_LIKE:
        rows.append(("grey", float(evidence.grey[number]), LEAST_GREY, None))
    if number in DEEP:
        rows.append(("contrast", float(evidence.contrast[number]), LEAST_CONTRAST, None))
    return rows + _against_partner(number, expected, evidence)


def _allowed_overlap(number: int, evidence: Evidence) -> float:
    """Dice of a structure all of whose surface S lies off by d: 1 - d S / (2 V)."""
    unseen = float(np.clip(1.0 - evidence.edge[number], 0.0, 1.0))
    off_mm = BORDER_MM["sharp"] + (BORDER_MM["gone"] - BORDER_MM["sharp"]) * unseen
    surface = float(evidence.area_mm2[number]) / max(float(evidence.counted_mm3[number]), 1e-9)
    return max(0.0, 1.0 - 0.5 * off_mm * surface)


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
