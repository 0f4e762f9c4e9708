"""Files of the anatomy: segmentation, coregistration and grey-matter volume as stages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from falx.anatomy.metrics import (
    LEAST_CONFIDENCE,
    GreyMetrics,
    anatomy_metrics,
    coregistration_metrics,
)
from falx.anatomy.morphometry import GreySettings, intracranial_volume_ml, modulated
from falx.anatomy.quality import check_segmentation, stop_on_failure
from falx.anatomy.refinement import refine
from falx.anatomy.registration.coregistration import coregister, surroundings
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
from falx.atlas.numbers import MESIAL_NUMBERS
from falx.core.errors import InputError, collect_notices, notify
from falx.core.files import read_json, write_json
from falx.core.grid import normalisation_grid, require_same
from falx.core.records import plain
from falx.data.priors import structure_priors, template, tissue_priors
from falx.images.nifti import Image, load, load_labels, load_mask, save
from falx.images.smooth import smooth
from falx.images.warp import load_map, save_map

__all__ = [
    "AnatomyFiles",
    "CoregisterFiles",
    "GreyVolumeFiles",
    "anatomy_stage",
    "coregister_stage",
    "grey_volume_stage",
    "load_matrix",
]


@dataclass(frozen=True)
class AnatomyFiles:
    """Files of :func:`anatomy_stage`.

    Parameters
    ----------
    t1w
        Input: T1-weighted image.
    structures_in
        Input, optional: label volume of FreeSurfer, FastSurfer, SynthSeg or ``segmentHA_T1``,
        preferred over the built-in structures where it has labels.
    corrected
        Output: bias-corrected T1w, RAS+.
    gm, wm, csf, brain_mask
        Outputs: probabilities and mask on the same grid.
    structures
        Output: FreeSurfer numbers on the same grid, with skull (165) and head (258).
    to_template, to_native
        Outputs: coordinate maps, see :func:`falx.images.warp.save_map`.
    metrics
        Output: :class:`falx.anatomy.metrics.AnatomyMetrics`.
    """

    t1w: Path
    structures_in: Path | None
    corrected: Path
    gm: Path
    wm: Path
    csf: Path
    brain_mask: Path
    structures: Path
    to_template: Path
    to_native: Path
    metrics: Path


def anatomy_stage(files: AnatomyFiles, settings: SegmentationSettings, *, threads: int) -> None:
    """Segment one head and write everything that other stages need."""
    priors = tissue_priors()
    where = files.t1w.name
    with collect_notices() as notices:
        result = segment(load(files.t1w), priors, settings, threads=threads, where=where)
        checks = check_segmentation(result, priors)
        stop_on_failure(checks, where=where)
        found = _structures(result, files.structures_in, threads)
        if settings.refine:
            # After the structures: the template is an average, whose nuclei are nobody's.
            result = refine(result, template("gm"), template("wm"), threads=threads)
    _save_segmentation(files, result, with_skull_and_skin(found.labels, result.classes))
    write_json(files.metrics, anatomy_metrics(result, found, checks, notices, settings).as_json())


def _save_segmentation(
    files: AnatomyFiles, result: Segmentation, labels: npt.NDArray[np.integer]
) -> None:
    about = {"SpatialReference": files.t1w.name, "Sources": [files.t1w.name]}
    affine = result.grid.affine
    save(files.corrected, result.corrected, affine, sidecar={**about, "SkullStripped": False})
    for path, data, kind in (
        (files.gm, result.gm, "Probability"),
        (files.wm, result.wm, "Probability"),
        (files.csf, result.csf, "Probability"),
        (files.brain_mask, result.brain_mask, "Brain"),
        (files.structures, labels, "Segmentation"),
    ):
        save(path, data, affine, sidecar={**about, "Type": kind})
    save_map(files.to_template, result.to_template)
    save_map(files.to_native, result.to_native)


def _structures(result: Segmentation, given: Path | None, threads: int) -> Structures:
    """Built-in structures, with a site's labels in their place where there are any."""
    own = segment_structures(result, structure_priors(), threads=threads)
    if given is not None:
        labels = load_labels(given)
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
    return own


@dataclass(frozen=True)
class CoregisterFiles:
    """Files of :func:`coregister_stage`.

    Parameters
    ----------
    fixed
        Input: T1w image.
    fixed_mask
        Input, optional: brain mask on the T1w grid.
    moving
        Input: PET, FLAIR or post-operative T1w, on its own grid; frames are averaged.
    matrix
        Output: :class:`falx.anatomy.metrics.CoregistrationMetrics`.
    """

    fixed: Path
    fixed_mask: Path | None
    moving: Path
    matrix: Path


def coregister_stage(files: CoregisterFiles, *, threads: int = 1) -> None:
    """Coregister an image of the same head to the pre-operative T1w, rigidly."""
    where = files.moving.name
    with collect_notices() as notices:
        target = load(files.fixed)
        mask = None if files.fixed_mask is None else load_mask(files.fixed_mask)
        if mask is not None:
            require_same("brain mask", mask.grid, "T1w", target.grid)
        found = coregister(
            target,
            load_still(files.moving),
            mask=None if mask is None else surroundings(mask),
            threads=threads,
            where=where,
        )
        if found.nmi_after < found.nmi_before:
            notify("coregistration did not improve on the headers", where=where)
    write_json(files.matrix, plain(coregistration_metrics(found, notices)))


def load_matrix(path: Path | None) -> npt.NDArray[np.float64]:
    """Matrix written by :func:`coregister_stage`, shape (4, 4); the identity if there is none."""
    if path is None:
        return np.eye(4)
    content = read_json(path)
    try:
        matrix = np.array(content["matrix"], dtype=np.float64)
    except (KeyError, TypeError, ValueError):
        matrix = np.zeros(0)
    if matrix.shape != (4, 4) or not np.all(np.isfinite(matrix)):
        raise InputError("the file holds no 4×4 matrix", where=Path(path).name)
    return matrix


def load_still(path: Path) -> Image:
    """Read an image; the frames of a dynamic one are averaged, which is enough to align it."""
    try:
        return load(path)
    except InputError as error:
        if "3D image is needed" not in str(error):
            raise
    image = load(path, ndim=4)
    notify(
        "frames were averaged for coregistration",
        where=path.name,
        found=f"{image.data.shape[3]} frames",
    )
    return Image(image.data.mean(axis=3), image.affine)


@dataclass(frozen=True)
class GreyVolumeFiles:
    """Files of :func:`grey_volume_stage`.

    Parameters
    ----------
    gm, wm, csf
        Inputs: tissue fractions on the T1w grid.
    to_native
        Input: coordinate map, template grid → T1w mm.
    volume, smoothed
        Outputs in template space: grey-matter volume as a share of the voxel, and smoothed.
    metrics
        Output: :class:`falx.anatomy.metrics.GreyMetrics`.
    """

    gm: Path
    wm: Path
    csf: Path
    to_native: Path
    volume: Path
    smoothed: Path
    metrics: Path


def grey_volume_stage(files: GreyVolumeFiles, settings: GreySettings, *, threads: int = 1) -> None:
    """Bring grey matter to template space, keeping its amount, and smooth it."""
    grid = normalisation_grid(settings.voxel_mm)
    with collect_notices() as notices:
        tissues = [load(path) for path in (files.gm, files.wm, files.csf)]
        for name, other in zip(("white matter", "CSF"), tissues[1:], strict=True):
            require_same("grey matter", tissues[0].grid, name, other.grid)
        values = modulated(
            tissues[0],
            load_map(files.to_native),
            grid,
            modulate=settings.modulate,
            threads=threads,
        )
        blurred = smooth(values, grid.voxel_sizes_mm, settings.smoothing_fwhm_mm)
    save(files.volume, values, grid.affine)
    save(files.smoothed, blurred, grid.affine)
    template_ml = float(values.sum(dtype=np.float64)) * grid.voxel_volume_mm3 / 1e3
    found = _grey_metrics(tissues, template_ml, settings, notices)
    write_json(files.metrics, plain(found))


def _grey_metrics(
    tissues: Sequence[Image], template_ml: float, settings: GreySettings, notices: Sequence[str]
) -> GreyMetrics:
    ml = tissues[0].grid.voxel_volume_mm3 / 1000.0
    gm_ml, wm_ml, csf_ml = (float(t.data.sum(dtype=np.float64)) * ml for t in tissues)
    return GreyMetrics(
        tiv_ml=intracranial_volume_ml(*tissues),
        gm_ml=gm_ml,
        wm_ml=wm_ml,
        csf_ml=csf_ml,
        template_gm_ml=template_ml,
        modulated=settings.modulate,
        smoothing_fwhm_mm=settings.smoothing_fwhm_mm,
        notices=tuple(notices),
    )
