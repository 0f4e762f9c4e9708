"""A fit that has gone wrong is noticed, and tried again from other starts.

The likelihood of unified segmentation (Ashburner & Friston 2005) has several minima, and one
start finds one of them. Two starts decide: the size of the head, from which its place follows,
and the intensities of the tissues. The signs of a wrong minimum are measured at the samples of
the fit, which costs little, against the limits of :mod:`falx.anatomy.quality`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.anatomy.priors import TissuePriors
from falx.anatomy.quality import LIMITS, tissue_separation, within
from falx.anatomy.registration.affine import SizePrior
from falx.anatomy.registration.alignment import Alignment, align
from falx.anatomy.segmentation.fitting import Fit, Start, fit_model, sampled_at
from falx.anatomy.segmentation.mixture import (
    class_evidence,
    from_certain,
    from_little_fluid,
    from_moments,
)
from falx.anatomy.settings import SegmentationSettings
from falx.core.errors import notify
from falx.images.nifti import Image

__all__ = ["OTHER_SIZES", "Appraisal", "appraise", "fit_from_several_starts"]

OTHER_SIZES = (-0.2, -0.1, 0.0, 0.1, 0.2, 0.3)
"""Logarithms of the sizes, relative to the expected one, from which a second alignment starts."""

WITH_A_HEAD: tuple[Start, ...] = (from_moments, from_certain)
BRAIN_EXTRACTED: tuple[Start, ...] = (*WITH_A_HEAD, from_little_fluid)
"""Intensities from which second fits start."""


@dataclass(frozen=True)
class Appraisal:
    """Signs by which a wrong fit is known, measured at the samples.

    Parameters
    ----------
    values
        By the name of the check in :data:`falx.anatomy.quality.LIMITS`.
    """

    values: dict[str, float]

    @property
    def doubts(self) -> tuple[str, ...]:
        """Names of the checks that fail."""
        return tuple(n for n, v in self.values.items() if not within(v, *LIMITS[n][:2]))

    @property
    def rank(self) -> tuple[int, float]:
        """Smaller is better: fewer doubts, then a larger overlap with the template."""
        return len(self.doubts), -self.values["template overlap"]


def fit_from_several_starts(
    image: Image,
    mask: npt.NDArray[np.bool_],
    priors: TissuePriors,
    tissue: TissuePriors,
    settings: SegmentationSettings,
    size: SizePrior | None,
    *,
    threads: int,
    where: object = None,
) -> tuple[Alignment, Fit]:
    """Align and fit a head; if the result shows signs of a wrong fit, try again.

    Parameters
    ----------
    mask
        Shape (X, Y, Z): voxels with a measured intensity.
    priors, tissue
        For the alignment, and for the fit: those of a brain-extracted image lack the head.
    size
        Expected stretch, or none.

    Notes
    -----
    The second alignment starts from several sizes. Its second fit's intensities are those of
    places whose tissue is certain. A brain-extracted image may have lost its fluid, so it has a
    third, whose fluid is held. The first result stands unless another has fewer doubts or, with as
    many, overlaps the template better.
    """

    def attempt(alignment: Alignment, start: Start) -> tuple[Appraisal, Alignment, Fit]:
        fit = fit_model(
            image, mask, tissue, alignment.affine, settings, start=start, threads=threads
        )
        return appraise(image, mask, tissue, alignment.affine, fit, settings), alignment, fit

    tried = [attempt(align(image, priors, size), from_moments)]
    doubts = tried[0][0].doubts
    if doubts:
        resized = align(image, priors, size, sizes=OTHER_SIZES)
        for start in WITH_A_HEAD if tissue is priors else BRAIN_EXTRACTED:
            tried.append(attempt(resized, start))
            if not tried[-1][0].doubts:
                break
    best = min(tried, key=lambda found: found[0].rank)
    if best is not tried[0]:
        notify(
            "the first fit was wrong and was replaced by one from another start",
            where=where,
            found=", ".join(doubts),
        )
    return best[1], best[2]


def appraise(
    image: Image,
    mask: npt.NDArray[np.bool_],
    priors: TissuePriors,
    affine: npt.NDArray[np.float64],
    fit: Fit,
    settings: SegmentationSettings,
) -> Appraisal:
    """Measure the signs of a wrong fit at its samples, before clean-up.

    Parameters
    ----------
    mask
        Shape (X, Y, Z): voxels with a measured intensity.
    affine
        4×4, native mm to template mm.
    """
    seen = sampled_at(fit, image, mask, priors, affine, settings.sampling_mm)
    expected = seen.priors
    found = class_evidence(fit.mixture, seen.values) * expected
    found /= found.sum(axis=1, keepdims=True)
    grey, white, fluid = found[:, :3].sum(axis=0, dtype=np.float64) * seen.mm3_each / 1000.0
    brain, prior_brain = (p[:, :3].sum(axis=1) > 0.5 for p in (found, expected))
    both = int(brain.sum()) + int(prior_brain.sum())
    return Appraisal(
        {
            "template overlap": 2.0 * int((brain & prior_brain).sum()) / max(both, 1),
            "total intracranial volume": float(grey + white + fluid),
            "grey matter volume": float(grey),
            "white matter volume": float(white),
            "tissue separation": tissue_separation(fit.mixture),
        }
    )
