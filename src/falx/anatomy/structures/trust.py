"""Doubts about a labelled structure that do not come from the model that labelled it.

The model's expected overlap cannot see that the model failed: it was .84 beside a hippocampus
that was 41 % too large. So every structure is also held against the population
(:mod:`falx.data.volumes`), against its partner on the other side, and against the segmentation
of the tissues, which knows nothing of structures and has other priors and another map. All that
together is weighed by :mod:`falx.anatomy.structures.overlap`.

There is no published source of these checks. Limits were set on a few phantoms under
:mod:`falx.phantom.nuisances`; what is known of their rates on other heads stands in
``docs/methods/anatomy.md``, by ``benchmarks.failure_check``.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from falx.anatomy.quality import Check, within
from falx.anatomy.structures.evidence import DEEP, Evidence
from falx.anatomy.structures.overlap import predicted_overlap, terms
from falx.atlas.freesurfer_numbers import MESIAL_NUMBERS
from falx.data.labels import head_labels
from falx.data.overlap import OverlapModel, overlap_model
from falx.data.volumes import Expected, expected_structures, shape_factor

__all__ = [
    "DOUBTFUL",
    "LOST_BY_A_DOUBT",
    "doubts_of",
    "lowered",
    "predicted_overlaps",
    "terms_of",
]

DOUBTFUL = 0.8
"""Structures below this confidence are named in a notice."""

LOST_BY_A_DOUBT = 0.75
"""Factor on the overlap for each of the first two failed checks that the predicted overlap has not
weighed already: one makes a structure doubtful, two take its volume away."""

WEIGHED = ("overlap", "volume", "shape", "contrast")

MOST_DOUBTS = 2

SPREADS = 4.0
MESIAL_RATIO = float(np.log(2.0))
ROUGHEST = 1.5
MOST_FLUID, LEAST_GREY, LEAST_CONTRAST = 0.20, 0.85, 0.0
LEAST_AGREEMENT, MOST_LOG_JACOBIAN = 0.7, 0.7

LARGEST_VOXEL_MM = 1.75
"""Cube root of the largest voxel that hippocampus and amygdala are measured in: at 2 mm with
partial volume they were read up to 42 and 86 % too large, and no other check saw it."""

FLUID = (4, 43, 5, 44, 14, 15, 24, 72, 85)
"""Ventricles and fluid, whose volume has no usual range, and the chiasm of a few voxels."""

CORTEX_LIKE = (17, 53, 18, 54, 11, 50, 26, 58)
"""Structures as dark as cortex, which the tissues call grey too."""

CEREBELLUM = {7: (8, 7), 46: (47, 46)}
"""Cortex and white matter of the cerebellum by its white matter, which is what gets lost."""

WHITE_SHARE_FACTOR = 2.0
"""Factor from the usual share of white matter in one side of the cerebellum, to either side: it is
.79 to 1.23 of it in 44 of 46 sides of the failure study, .40 in the two where it was lost."""

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
    "overlap": (
        "Dice with the truth, predicted from its borders in the image, its volume, shape and "
        "intensity by heads whose truth is known"
    ),
    "cerebellum": (
        "share of its side of the cerebellum that the tissues, segmented without structures, call "
        "white; half to twice that of those heads: less, and they took its white matter for grey"
    ),
    "agreement": "Dice with the labels along the map of the tissues alone",
    "stretch": "mean logarithm of the change of volume from the map of the tissues to its own",
    "voxels": (
        "mm, cube root of the voxel: in larger ones partial volume makes hippocampus and amygdala "
        "up to twice as large; take a T1w of 1 mm"
    ),
}


def terms_of(
    evidence: Evidence, population: Mapping[int, Expected] | None = None
) -> dict[int, npt.NDArray[np.float64]]:
    """Terms of the regression of overlap, by FreeSurfer number, shape (terms,); fluid has none."""
    return {
        number: terms(
            number, expected, evidence, own_grey=number in CORTEX_LIKE, deep=number in DEEP
        )
        for number, expected in (population or expected_structures()).items()
        if number not in FLUID
    }


def predicted_overlaps(
    evidence: Evidence,
    population: Mapping[int, Expected] | None = None,
    model: OverlapModel | None = None,
) -> dict[int, float]:
    """Dice with the truth that the evidence lets expect of each structure; fluid has none."""
    chosen = model or overlap_model()
    found = terms_of(evidence, population)
    return {number: predicted_overlap(chosen, number, row) for number, row in found.items()}


def doubts_of(
    evidence: Evidence,
    population: Mapping[int, Expected] | None = None,
    model: OverlapModel | None = None,
) -> dict[int, tuple[Check, ...]]:
    """Failed checks of every structure that has one, by FreeSurfer number.

    Parameters
    ----------
    population
        What is usual; the shipped table if absent.
    model
        Regression of the overlap; the shipped one if absent.
    """
    chosen = model or overlap_model()
    overlaps = predicted_overlaps(evidence, population, chosen)
    names = dict(zip(head_labels().index.tolist(), head_labels().name, strict=True))
    found: dict[int, tuple[Check, ...]] = {}
    usual = population or expected_structures()
    for number, expected in usual.items():
        if number in FLUID:
            continue
        checks = [
            Check(
                f"{names[number]}: {kind}",
                value,
                low,
                high,
                within(value, low, high),
                WHY[kind],
            )
            for kind, value, low, high in (
                ("overlap", overlaps[number], chosen.limit, None),
                *_measured(number, expected, evidence),
                *_white_of_cerebellum(number, usual, evidence),
            )
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
        ("agreement", float(evidence.agreement[number]), LEAST_AGREEMENT, None),
        ("stretch", float(evidence.jacobian[number]), -MOST_LOG_JACOBIAN, MOST_LOG_JACOBIAN),
    ]
    if number in MESIAL_NUMBERS:
        rows.append(("voxels", evidence.voxel_mm, None, LARGEST_VOXEL_MM))
    if number in CORTEX_LIKE:
        rows.append(("grey", float(evidence.grey[number]), LEAST_GREY, None))
    if number in DEEP:
        rows.append(("contrast", float(evidence.contrast[number]), LEAST_CONTRAST, None))
    return rows + _against_partner(number, expected, evidence)


def _white_of_cerebellum(
    number: int, population: Mapping[int, Expected], evidence: Evidence
) -> list[Row]:
    """Check of the share of white matter in the side of the cerebellum that a structure is of.

    A mean over heads, or a volume of the whole, does not see a cerebellum that is all grey.
    """
    parts = CEREBELLUM.get(number)
    if parts is None:
        return []
    counted = evidence.counted_mm3[list(parts)]
    white = 1.0 - evidence.grey[list(parts)] - evidence.fluid[list(parts)]
    found = float(counted @ white) / max(float(counted.sum()), 1.0)
    cortex, core = (float(np.exp(population[n].log_share)) for n in parts)
    usual = core / (cortex + core)
    return [("cerebellum", found, usual / WHITE_SHARE_FACTOR, usual * WHITE_SHARE_FACTOR)]


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
    confidence: Mapping[int, float],
    predicted: Mapping[int, float],
    doubts: Mapping[int, tuple[Check, ...]],
) -> dict[int, float]:
    """Take the model's expected overlap or the predicted one, whichever is less; lower by doubts.

    Checks whose measure the predicted overlap has weighed lower nothing further.
    """
    result = {}
    for number, value in confidence.items():
        others = [c for c in doubts.get(number, ()) if c.name.split(": ")[1] not in WEIGHED]
        lost = LOST_BY_A_DOUBT ** min(len(others), MOST_DOUBTS)
        result[number] = min(value, predicted.get(number, value)) * lost
    return result
