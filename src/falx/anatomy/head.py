"""Everything that is found in one T1w image, in memory; the anatomy stage and notebooks take it.

Ashburner and Friston 2005 for the tissues; the structures as in
:mod:`falx.anatomy.structures.delineation`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.anatomy.metrics import LEAST_CONFIDENCE, AnatomyMetrics, anatomy_metrics
from falx.anatomy.quality import Check, check_segmentation, stop_on_failure
from falx.anatomy.refinement import Register, refine
from falx.anatomy.segmentation.result import Segmentation
from falx.anatomy.segmentation.unified import segment
from falx.anatomy.settings import SegmentationSettings
from falx.anatomy.structures.delineation import Structures, segment_structures, with_skull_and_skin
from falx.anatomy.structures.freesurfer import (
    adopt,
    check_side,
    is_subfields,
    merge_subfields,
    side_in_name,
)
from falx.atlas.freesurfer_numbers import MESIAL_NUMBERS
from falx.core.errors import notify
from falx.data.priors import structure_priors, template, tissue_priors
from falx.images.nifti import Image

__all__ = ["GivenLabels", "SegmentedHead", "segment_head"]


@dataclass(frozen=True, eq=False)
class GivenLabels:
    """A site's label volume, and the name of its file, which may say the side."""

    image: Image
    name: str


@dataclass(frozen=True, eq=False)
class SegmentedHead:
    """A segmented head.

    Parameters
    ----------
    labels
        Shape (X, Y, Z): FreeSurfer numbers, with skull (165) and head (258).
    metrics
        Numbers, without the notices.
    """

    segmentation: Segmentation
    labels: npt.NDArray[np.integer]
    metrics: AnatomyMetrics


def segment_head(
    t1w: Image,
    settings: SegmentationSettings,
    *,
    given: GivenLabels | None = None,
    where: str = "T1w",
    register: Register | None = None,
    threads: int = 1,
) -> SegmentedHead:
    """Segment one head, or raise if the result must not be used.

    Parameters
    ----------
    given
        Labels of a site, preferred over the built-in structures where there are any.
    where
        Name of the image, for sentences.
    register
        Finds the deformation of the refinement, where the settings ask for one: for example
        :func:`falx.anatomy.files.greedy`.
    """
    priors = tissue_priors()
    result = segment(t1w, priors, settings, threads=threads, where=where)
    checks = check_segmentation(result, priors)
    stop_on_failure(checks, where=where)
    found = _structures(result, given, threads, where)
    if settings.refine and register is not None:
        # After the structures: the template is an average, whose nuclei are nobody's.
        maps = template("gm"), template("wm"), template("t1")
        result = refine(result, *maps, register, threads=threads)
    labels = with_skull_and_skin(found.labels, result.classes)
    return SegmentedHead(result, labels, anatomy_metrics(result, found, checks, (), settings))


def _structures(
    result: Segmentation, given: GivenLabels | None, threads: int, where: str
) -> Structures:
    """Built-in structures, with a site's labels in their place where there are any."""
    own = segment_structures(result, structure_priors(), threads=threads)
    if given is not None:
        labels = given.image
        if is_subfields(labels.data):
            merged = merge_subfields(labels.data, side_in_name(given.name), where=given.name)
            labels = Image(merged, labels.affine)
        check_side(labels, result.to_template, where=given.name)
        own = adopt(own, labels, result.grid, where=given.name)
    for number, confidence in own.confidence.items():
        if confidence < LEAST_CONFIDENCE and number in MESIAL_NUMBERS:
            notify(
                "a structure could not be delineated with confidence; it gets no volume",
                found=f"label {number}, expected overlap {confidence:.2f}",
                do="give a manual or FreeSurfer label",
            )
    if own.doubts:
        notify(
            "structures are doubtful: another look at the same head disagrees with the labels",
            where=where,
            found="; ".join(_said(checks) for checks in own.doubts.values()),
            do="look at their outlines before using their volumes",
        )
    return own


def _said(checks: tuple[Check, ...]) -> str:
    """Names of failed checks with their values."""
    return ", ".join(f"{check.name} {check.value:.3g}" for check in checks)
