"""The overlap with the truth that the evidence on a structure lets expect.

The model's own expectation cannot see that the model failed, and single limits see one failure in
two: what is missed are small structures whose border no image shows (accumbens, amygdala), and
borders off by half a voxel on every side. So the evidence is weighed together, by a ridge
regression (Hoerl & Kennard 1970, Technometrics 12:55) of the logit of Dice on heads whose truth
is known (``benchmarks/overlap_fit.py``); each structure has a level and two slopes of its own.
The idea of predicting an overlap without the truth is that of Kohlberger et al. 2012 (MICCAI,
LNCS 7510:528); terms and fit are Falx's own.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from falx.anatomy.structures.evidence import WHITE_MATTER, Evidence
from falx.data.labels import head_labels
from falx.data.overlap import OverlapModel
from falx.data.volumes import Expected, shape_factor

__all__ = ["TERMS", "left_of", "logit", "predicted_overlap", "terms"]

Vector = npt.NDArray[np.float64]

TERMS = (
    "constant", "expected", "surface", "step", "noise", "volume", "unusual", "contrast", "white",
    "rough", "grey", "fluid", "agreement",
)  # fmt: skip
"""What a structure's overlap is predicted from, see :func:`terms`."""

LEAST_DICE, MOST_DICE = 0.02, 0.995
FURTHEST_SD, MOST_SURFACE, MOST_STEP, ROUGHEST = 4.0, 1.6, 0.5, 0.4
"""Terms are kept within what the study has seen: beyond it a line knows nothing."""

USUAL_NOISE, MOST_NOISE = 0.04, 1.25
"""Noise below which less of it says nothing, and the largest logarithm of its multiple."""

LEAST_SHARPNESS = 0.2


def terms(
    number: int, expected: Expected, evidence: Evidence, *, own_grey: bool, deep: bool
) -> Vector:
    """Evidence on one structure as the regression takes it, shape (terms,).

    Parameters
    ----------
    own_grey
        Whether the tissues should call it grey.
    deep
        Whether its contrast to white matter was measured.

    Returns
    -------
    ndarray
        1; logit of the model's own expectation; surface over volume, 1/mm; share of the expected
        step of intensity that is missing at its borders, relative to those of white matter in the
        same image, since every image blurs its borders in its own measure; logarithm of noise
        over the usual; deviation of its
        volume from the population, in SD, signed and absolute; contrast to white matter, and how
        much of .8 SD it lacks; logarithm of its roughness over the usual one; share that is not
        grey; share that is fluid; logit of the agreement with the first map.
    """
    volume = max(float(evidence.volumes_mm3[number]), 1.0)
    counted = max(float(evidence.counted_mm3[number]), 1.0)
    area = float(evidence.area_mm2[number])
    away = (np.log(volume / evidence.brain_mm3) - expected.log_share) / expected.log_share_sd
    away = float(np.clip(away, -FURTHEST_SD, FURTHEST_SD))
    contrast = float(np.clip(evidence.contrast[number], -1.0, 4.0)) if deep else 0.0
    sharpness = max(float(np.mean(evidence.edge[list(WHITE_MATTER)])), LEAST_SHARPNESS)
    return np.array(
        [
            1.0,
            logit(float(evidence.expected_dice[number])),
            min(area / counted, MOST_SURFACE),
            float(np.clip(1.0 - evidence.edge[number] / sharpness, 0.0, MOST_STEP)),
            float(np.clip(np.log(max(evidence.noise, 1e-9) / USUAL_NOISE), 0.0, MOST_NOISE)),
            away,
            abs(away),
            contrast,
            float(np.clip(0.8 - contrast, 0.0, 2.0)) if deep else 0.0,
            min(float(np.log(max(shape_factor(area, counted) / expected.shape, 0.1))), ROUGHEST),
            float(np.clip(1.0 - evidence.grey[number], 0.0, 0.5)) if own_grey else 0.0,
            float(np.clip(evidence.fluid[number], 0.0, 0.3)),
            logit(float(evidence.agreement[number])),
        ]
    )


def predicted_overlap(model: OverlapModel, number: int, found: Vector) -> float:
    """Dice overlap that the regression predicts of a structure with the terms `found` (terms,).

    Examples
    --------
    >>> model = OverlapModel(dict.fromkeys(TERMS, 0.0), {17: {"level": 0.0}}, 0.8)
    >>> predicted_overlap(model, 53, np.zeros(len(TERMS)))
    0.5
    """
    own = model.own.get(left_of(number), {})
    slope = np.array([own.get(name, model.weights[name]) for name in TERMS])
    return float(1.0 / (1.0 + np.exp(-(slope @ found) - own.get("level", 0.0))))


def left_of(number: int) -> int:
    """FreeSurfer number of a structure's left one; its own if it has no side.

    Examples
    --------
    >>> left_of(53), left_of(17), left_of(16)
    (17, 17, 16)
    """
    return min(number, int(head_labels().table(head_labels().mirror)[number]))


def logit(share: float) -> float:
    """Return the logarithm of the odds, of a share kept away from 0 and 1."""
    kept = min(max(share, LEAST_DICE), MOST_DICE)
    return float(np.log(kept / (1.0 - kept)))
