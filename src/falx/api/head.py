"""A segmented head, and other images of it coregistered to its T1w.

Each function does what a stage of ``falx signature`` does, on values as the files of the stage
before would carry them, so that both give the same numbers, bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from falx.anatomy.files import greedy
from falx.anatomy.head import GivenLabels, segment_head
from falx.anatomy.metrics import AnatomyMetrics, CoregistrationMetrics, coregistration_metrics
from falx.anatomy.registration.coregistration import coregister as find_rigid
from falx.anatomy.registration.coregistration import surroundings
from falx.anatomy.settings import SegmentationSettings
from falx.api.inputs import image_of, labels_of, name_of, settings_of
from falx.api.results import Result, drawn, percent
from falx.core.errors import InputError, collect_notices, notify
from falx.core.grid import SIDES, Grid
from falx.images.nifti import Image, as_stored
from falx.images.warp import CoordinateMap
from falx.pet.maps import Place
from falx.report.live_page import middle_mm
from falx.report.slices import Layer, slices_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Coregistered", "Head", "coregister", "matrix_to", "middle_of", "need_head", "segment"]


@dataclass(frozen=True, eq=False, repr=False)
class Head(Result):
    """A segmented head.

    Parameters
    ----------
    image
        Bias-corrected T1w, RAS+.
    gm, wm, csf, brain
        Probabilities and mask on the same grid.
    structures
        FreeSurfer numbers on the same grid.
    to_template, to_native
        Coordinate maps between T1w mm and template mm.
    metrics
        Volumes, quality, settings.
    """

    image: Image
    gm: Image
    wm: Image
    csf: Image
    brain: Image
    structures: Image
    to_template: CoordinateMap
    to_native: CoordinateMap
    metrics: AnatomyMetrics
    title = "Segmented head"

    @property
    def notices(self) -> tuple[str, ...]:
        """What was said on the way."""
        return tuple(self.metrics.notices)

    @property
    def volumes_mm3(self) -> dict[str, float | None]:
        """Volumes of tissues and structures by name; None where one is not to be trusted."""
        volumes = self.metrics.volumes_mm3
        found: dict[str, float | None] = {
            "grey matter": volumes.gm,
            "white matter": volumes.wm,
            "CSF": volumes.csf,
            "intracranial": volumes.tiv,
        }
        return found | {s.name: s.volume_mm3 for s in self.metrics.structures.values()}

    def _facts(self) -> Sequence[tuple[str, object]]:
        volumes = self.volumes_mm3
        shown = ("grey matter", "white matter", "CSF", "intracranial")
        facts: list[tuple[str, object]] = [
            (f"{name}, mL", f"{(volumes[name] or 0) / 1000:.0f}") for name in shown
        ]
        facts += [
            (f"{side} {name}, mm³", volumes.get(f"{side} {name}"))
            for name in ("hippocampus", "amygdala")
            for side in SIDES
        ]
        failed = [check.name for check in self.metrics.quality if not check.passed]
        return [*facts, ("quality checks failed", "; ".join(failed) or "none")]

    def plot(self) -> Figure:
        """Draw grey and white matter over the T1w."""
        layers = [
            Layer(self.gm, "contour", "orange", label="grey matter"),
            Layer(self.wm, "contour", "cyan", label="white matter"),
        ]
        return drawn(slices_figure(self.image, layers))

    def _place(self, template: Grid, threads: int) -> Place:
        return Place(
            native=self.brain.grid,
            template=template,
            brain=self.brain,
            labels=self.structures,
            to_native_mm=self.to_native.on(template, threads=threads),
            to_template_mm=self.to_template.on(self.brain.grid, threads=threads),
            threads=threads,
        )


@dataclass(frozen=True, eq=False, repr=False)
class Coregistered(Result):
    """A rigid matrix from T1w mm to the mm of another image of the same head.

    Parameters
    ----------
    matrix
        Shape (4, 4).
    image
        The other image as it is, its affine set into T1w mm; nothing is interpolated.
    """

    matrix: npt.NDArray[np.float64]
    image: Image
    head: Head
    metrics: CoregistrationMetrics
    title = "Rigid coregistration to the T1w"

    @property
    def notices(self) -> tuple[str, ...]:
        """What was said on the way."""
        return tuple(self.metrics.notices)

    def _facts(self) -> Sequence[tuple[str, object]]:
        found = self.metrics
        return [
            ("normalised mutual information", f"{found.nmi_before:.4f} → {found.nmi_after:.4f}"),
            ("moved on average, mm", found.mean_shift_mm),
            ("overlap", percent(found.overlap)),
        ]

    def plot(self) -> Figure:
        """Draw the image in T1w mm with the outline of the brain."""
        outline = Layer(self.head.brain, "contour", "cyan", label="brain of the T1w")
        return drawn(slices_figure(self.image, [outline]))


def segment(t1w: Any, *, structures: Any = None, threads: int = 2, **choices: Any) -> Head:
    """Segment a head: tissues, structures, and the way to the template.

    Parameters
    ----------
    t1w
        Path, image of nibabel, or array with affine.
    structures
        Label volume of FreeSurfer, FastSurfer, SynthSeg or ``segmentHA_T1`` that is preferred
        over the built-in structures where it has labels.
    choices
        See :class:`falx.anatomy.settings.SegmentationSettings`: ``bias_fwhm_mm``,
        ``sampling_mm``, ``affine_prior``, ``refine``, …
    """
    where = name_of(t1w, "T1w")
    settings = settings_of(SegmentationSettings, choices)
    with collect_notices() as notices:
        image = image_of(t1w, "T1w")
        given = None
        if structures is not None:
            name = name_of(structures, "structures")
            given = GivenLabels(labels_of(structures, "structures"), name)
        found = segment_head(
            image, settings, given=given, where=where, register=greedy, threads=threads
        )
    result = found.segmentation

    def kept(values: npt.NDArray[Any]) -> Image:
        return as_stored(values, result.grid.affine)

    def kept_map(mapping: CoordinateMap) -> CoordinateMap:
        image = as_stored(mapping.coordinates_mm, mapping.affine, ndim=4)
        return CoordinateMap(image.data, image.affine)

    labels = kept(found.labels)
    return Head(
        image=kept(result.corrected),
        gm=kept(result.gm),
        wm=kept(result.wm),
        csf=kept(result.csf),
        brain=kept(result.brain_mask),
        structures=Image(labels.data.astype(np.int32), labels.affine),
        to_template=kept_map(result.to_template),
        to_native=kept_map(result.to_native),
        metrics=replace(found.metrics, notices=tuple(notices)),
    )


def coregister(image: Any, head: Head, *, threads: int = 2) -> Coregistered:
    """Coregister another image of the same head to its T1w, rigidly.

    Parameters
    ----------
    image
        PET, FLAIR or post-operative T1w; frames of a dynamic image are averaged.
    head
        From :func:`segment`.
    """
    need_head(head, "coregister")
    where = name_of(image, "image")
    with collect_notices() as notices:
        moving = _still(image, where)
        near = surroundings(head.brain)
        found = find_rigid(head.image, moving, mask=near, threads=threads, where=where)
        if found.nmi_after < found.nmi_before:
            notify("coregistration did not improve on the headers", where=where)
    metrics = coregistration_metrics(found, notices)
    placed = Image(moving.data, np.linalg.inv(found.matrix) @ moving.affine)
    return Coregistered(found.matrix, placed, head, metrics)


def need_head(head: object, what: str) -> None:
    """Raise unless a head was given to the function `what`."""
    if not isinstance(head, Head):
        raise InputError(
            "the head of the image is needed",
            where=f"falx.{what}",
            found=type(head).__name__,
            do="give what falx.segment returned",
        )


def matrix_to(given: Any, find: bool, head: Head, threads: int) -> npt.NDArray[np.float64]:
    """Return T1w mm → image mm, shape (4, 4), as given or found by coregistration."""
    if find:
        return coregister(given, head, threads=threads).matrix
    if isinstance(given, Coregistered):
        return given.matrix
    matrix = np.asarray(given, dtype=np.float64)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
        raise InputError(
            "the matrix from T1w mm to image mm is not 4×4 numbers",
            found=f"shape {matrix.shape}",
            do="give four rows of four numbers, T1w mm to image mm",
        )
    return matrix


def _still(image: Any, where: str) -> Image:
    """Return an image, the frames of a dynamic one averaged, which is enough to align it."""
    try:
        return image_of(image, where)
    except InputError as error:
        if "3D image is needed" not in str(error):
            raise
    frames = image_of(image, where, ndim=4)
    notify(
        "frames were averaged for coregistration",
        where=where,
        found=f"{frames.data.shape[3]} frames",
    )
    return Image(frames.data.mean(axis=3), frames.affine)


def middle_of(mask: Image) -> list[float] | None:
    """Mean place of a mask's voxels, RAS+ mm; nothing for an empty one."""
    return middle_mm(mask) if mask.data.any() else None
