"""Fit and write the regression that predicts a structure's overlap with the truth.

Ridge regression (Hoerl & Kennard 1970, Technometrics 12:55) with bounds on the slopes; see
:mod:`falx.anatomy.structures.overlap` for its terms.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy

from falx.anatomy.structures.overlap import TERMS, left_of, logit
from falx.core.files import write_table
from falx.data.overlap import OF, OverlapModel

Vector = npt.NDArray[np.float64]

FAVOURABLE, FREE = ("expected", "agreement"), ("constant", "volume", "contrast")
"""More of the former may only raise the predicted overlap, of the latter do either; more of
all others may only lower it. Without that, rare evidence got weights of the wrong sign."""

OWN = ("expected", "step", "noise")
"""Terms whose slope each structure has for itself, drawn to that of all: the overlap of the
accumbens, whose border no image shows, hardly falls with noise, that of cortex does."""

RIDGE, RIDGE_LEVEL, RIDGE_OWN = 5.0, 0.5, 3.0
"""Penalties on a slope per standard deviation of its term, on a structure's level, and on how far
its own slopes lie from that of all."""

MIDDLE, WIDTH, LEAST_WEIGHT = 0.8, 0.3, 0.1
"""Overlaps near the one that is to be told from others count most."""


def fit_overlap(found: Vector, numbers: Sequence[int], dice: Vector, limit: float) -> OverlapModel:
    """Fit the regression.

    Parameters
    ----------
    found
        Shape (n, terms).
    numbers
        FreeSurfer number of each of the n structures.
    dice
        Shape (n,), their overlaps with the truth.
    limit
        Predicted overlap below which a structure is doubted.
    """
    mean, spread = found.mean(axis=0), found.std(axis=0)
    varies = spread > 1e-9
    scaled = np.where(varies, (found - mean) / np.where(varies, spread, 1.0), 0.0)
    scaled[:, 0] = 1.0
    left = np.array([left_of(n) for n in numbers])
    structures = np.unique(left)
    solved = _solve(scaled, (left[:, None] == structures).astype(np.float64), dice)
    common, level, own = np.split(solved, [len(TERMS), len(TERMS) + len(structures)])
    slope = np.where(varies, common / np.where(varies, spread, 1.0), 0.0)
    slope[0] = common[0] - slope[1:] @ mean[1:]
    places = [TERMS.index(name) for name in OWN]
    for_each = {}
    for n, (structure, slopes) in enumerate(
        zip(structures.tolist(), own.reshape(len(OWN), -1).T, strict=True)
    ):
        kept = np.where(varies[places], slopes / np.where(varies, spread, 1.0)[places], 0.0)
        # Slopes turn about the mean of their term, where the level was fitted.
        moved = float((slope[places] - kept) @ mean[places])
        for_each[structure] = {
            "level": float(level[n]) + moved,
            **dict(zip(OWN, kept.tolist(), strict=True)),
        }
    return OverlapModel(dict(zip(TERMS, slope.tolist(), strict=True)), for_each, limit)


def _solve(scaled: Vector, member: Vector, dice: Vector) -> Vector:
    """Bounded weighted least squares: weights of all, levels, and own slopes term by term."""
    n, many = member.shape
    places = [TERMS.index(name) for name in OWN]
    shared = scaled.copy()
    shared[:, places] = 0.0  # of these only the structures' own slopes act on the data
    design = np.hstack([shared, member, *(member * scaled[:, [place]] for place in places)])
    weight = np.sqrt(np.exp(-(((dice - MIDDLE) / WIDTH) ** 2)) + LEAST_WEIGHT)
    wanted = np.array([logit(float(d)) for d in dice])
    penalties = [0.0, *[RIDGE] * (len(TERMS) - 1), *[RIDGE_LEVEL] * many]
    rows = [np.diag(np.sqrt([*penalties, *[0.0] * (len(OWN) * many)]))]
    for order, place in enumerate(places):
        drawn = np.zeros((many, design.shape[1]))
        first = len(TERMS) + many + order * many
        drawn[:, first : first + many] = np.eye(many) * np.sqrt(RIDGE_OWN)
        drawn[:, place] = -np.sqrt(RIDGE_OWN)
        rows.append(drawn)
    stacked = np.vstack([design * weight[:, None], *rows])
    target = np.concatenate([wanted * weight, np.zeros(len(stacked) - n)])
    names = [*TERMS, *["constant"] * many, *(name for name in OWN for _ in range(many))]
    least = [0.0 if name in FAVOURABLE else -np.inf for name in names]
    most = [np.inf if name in (*FAVOURABLE, *FREE) else 0.0 for name in names]
    return np.asarray(scipy.optimize.lsq_linear(stacked, target, (least, most), method="bvls").x)


def write_overlap_model(file: Path, model: OverlapModel) -> None:
    """Write a regression as :func:`falx.data.overlap.overlap_model` reads it."""
    rows = [("limit", model.limit), *model.weights.items()]
    for number, own in model.own.items():
        rows += [(f"{term}{OF}{number}", value) for term, value in own.items()]
    write_table(file, ("term", "value"), rows)
