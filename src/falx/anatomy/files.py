"""The anatomy stage: a T1w file in, tissues, structures, maps and numbers out."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from falx.anatomy.metrics import LEAST_CONFIDENCE, anatomy_metrics
from falx.anatomy.morphometry import intracranial_volume_ml, modulated
from falx.anatomy.quality import check_segmentation, stop_on_failure
from falx.anatomy.refinement import refine as refine_maps
from falx.anatomy.registration.coregistration import Coregistration, coregister
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
from falx.core.errors import InputError, collect_notices, notify
from falx.core.files import write_json
from falx.core.grid import normalisation_grid, require_same
from falx.data.priors import structure_priors, template, tissue_priors
from falx.images.nifti import Image, load, load_labels, load_mask, save
from falx.images.smooth import smooth
from falx.images.warp import load_map, save_map

__all__ = ["anatomy_stage", "coregister_stage", "grey_volume_stage", "load_matrix"]


def anatomy_stage(
    *,
    t1w: Path,
    structures_in: Path | None,
    corrected: Path,
    gm: Path,
    wm: Path,
    csf: Path,
    brain_mask: Path,
    structures: Path,
    to_template: Path,
    to_native: Path,
    metrics: Path,
    affine_prior: str,
    bias_fwhm_mm: float,
    bias_regularisation: float,
    sampling_mm: float,
    refine: bool,
    threads: int,
) -> None:
    """Segment one head and write everything that other stages need.

    Parameters
    ----------
    t1w
        T1-weighted image.
    structures_in
        Label volume of FreeSurfer, FastSurfer, SynthSeg or ``segmentHA_T1``, preferred over
        the built-in structures where it has labels.
    corrected
        Written: bias-corrected T1w, RAS+.
    gm, wm, csf, brain_mask
        Written: probabilities and mask on the same grid.
    structures
        Written: FreeSurfer numbers on the same grid, with skull (165) and head (258).
    to_template, to_native
        Written: coordinate maps, see :func:`falx.images.warp.save_map`.
    metrics
        Written: volumes, asymmetries, confidence, quality checks, notices, settings.
    affine_prior, bias_fwhm_mm, bias_regularisation, sampling_mm
        See :class:`falx.anatomy.settings.SegmentationSettings`.
    refine
        Refine the map with picsl-greedy (extra ``refine``).
    """
    settings = SegmentationSettings(
        affine_prior=affine_prior,
        bias_fwhm_mm=bias_fwhm_mm,
        bias_regularisation=bias_regularisation,
        sampling_mm=sampling_mm,
    )
    priors = tissue_priors()
    with collect_notices() as notices:
        image = load(t1w)
        result = segment(image, priors, settings, threads=threads, where=t1w.name)
        checks = check_segmentation(result, priors)
        stop_on_failure(checks, where=t1w.name)
        found = _structures(result, structures_in, threads)
        if refine:
            # After the structures: the template is an average, whose nuclei are nobody's.
            result = refine_maps(result, template("gm"), template("wm"), threads=threads)
    about = {"SpatialReference": t1w.name, "Sources": [t1w.name]}
    affine = result.grid.affine
    save(corrected, result.corrected, affine, sidecar={**about, "SkullStripped": False})
    for path, tissue in ((gm, result.gm), (wm, result.wm), (csf, result.csf)):
        save(path, tissue, affine, sidecar={**about, "Type": "Probability"})
    save(brain_mask, result.brain_mask, affine, sidecar={**about, "Type": "Brain"})
    labels = with_skull_and_skin(found.labels, result.classes)
    save(structures, labels, affine, sidecar={**about, "Type": "Segmentation"})
    save_map(to_template, result.to_template)
    save_map(to_native, result.to_native)
    chosen = {**asdict(settings), "refine": refine}
    write_json(metrics, anatomy_metrics(result, found, checks, notices, chosen))


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
        if confidence < LEAST_CONFIDENCE and number in (17, 53, 18, 54):
            notify(
                "a structure could not be delineated with confidence; it gets no volume",
                found=f"label {number}, expected overlap {confidence:.2f}",
                do="give a manual or FreeSurfer label",
            )
    return own


MARGIN_MM = 20.0
"""The metric is taken in the brain and this margin: with the scalp, without the neck."""

CONVENTION = (
    "4×4 matrix that maps RAS+ world millimetres of the fixed image (pre-operative T1w) to RAS+ "
    "world millimetres of the moving image"
)


def coregister_stage(
    *, fixed: Path, fixed_mask: Path | None, moving: Path, matrix: Path, threads: int = 1
) -> None:
    """Coregister an image of the same head to the pre-operative T1w, rigidly.

    Parameters
    ----------
    fixed
        Input: T1w image.
    fixed_mask
        Input, optional: brain mask on the T1w grid.
    moving
        Input: PET, FLAIR or post-operative T1w, on its own grid; frames are averaged.
    matrix
        Output: JSON with ``matrix`` (see ``convention``), NMI before and after, and notices.
    """
    with collect_notices() as notices:
        target = load(fixed)
        mask = None if fixed_mask is None else _surroundings(load_mask(fixed_mask), target)
        source = load_still(moving)
        found = coregister(target, source, mask=mask, threads=threads, where=moving.name)
        if found.nmi_after < found.nmi_before:
            notify("coregistration did not improve on the headers", where=moving.name)
    write_json(matrix, {**_described(found), "notices": notices})


def load_matrix(path: Path | None) -> npt.NDArray[np.float64]:
    """Matrix written by :func:`coregister_stage`; the identity if there is none."""
    if path is None:
        return np.eye(4)
    matrix = np.array(json.loads(Path(path).read_text())["matrix"], dtype=np.float64)
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


def _surroundings(mask: Image, target: Image) -> npt.NDArray[np.bool_]:
    """Voxels of the target within the margin of the mask along each axis."""
    require_same("brain mask", mask.grid, "T1w", target.grid)
    near = mask.data.astype(np.uint8)
    for axis, size_mm in enumerate(mask.grid.voxel_sizes_mm):
        near = ndimage.maximum_filter1d(near, 2 * round(MARGIN_MM / size_mm) + 1, axis=axis)
    return np.asarray(near > 0)


def _described(found: Coregistration) -> dict[str, object]:
    return {
        "matrix": found.matrix,
        "convention": CONVENTION,
        "degrees_of_freedom": 6,
        "nmi_before": found.nmi_before,
        "nmi_after": found.nmi_after,
        "overlap": found.overlap,
        "mean_shift_mm": found.mean_shift_mm,
    }


def grey_volume_stage(
    *,
    gm: Path,
    wm: Path,
    csf: Path,
    to_native: Path,
    volume: Path,
    smoothed: Path,
    metrics: Path,
    voxel_mm: float,
    smoothing_fwhm_mm: float,
    modulate: bool,
    threads: int = 1,
) -> None:
    """Bring grey matter to template space, keeping its amount, and smooth it.

    Parameters
    ----------
    gm, wm, csf
        Inputs: tissue fractions on the T1w grid.
    to_native
        Input: coordinate map, template grid → T1w mm.
    volume, smoothed
        Outputs in template space: grey-matter volume as a share of the voxel, and smoothed.
    metrics
        Output: JSON with total intracranial and tissue volumes, mL.
    modulate
        False gives a concentration, not a volume.
    """
    grid = normalisation_grid(voxel_mm)
    with collect_notices() as notices:
        grey, white, fluid = load(gm), load(wm), load(csf)
        require_same("grey matter", grey.grid, "white matter", white.grid)
        require_same("grey matter", grey.grid, "CSF", fluid.grid)
        values = modulated(grey, load_map(to_native), grid, modulate=modulate, threads=threads)
        blurred = smooth(values, grid.voxel_sizes_mm, smoothing_fwhm_mm)
    save(volume, values, grid.affine)
    save(smoothed, blurred, grid.affine)
    ml = grey.grid.voxel_volume_mm3 / 1000.0
    volumes = {
        f"{name}_ml": float(tissue.data.sum(dtype=np.float64)) * ml
        for name, tissue in (("gm", grey), ("wm", white), ("csf", fluid))
    }
    write_json(
        metrics,
        {
            "tiv_ml": intracranial_volume_ml(grey, white, fluid),
            **volumes,
            "template_gm_ml": float(values.sum(dtype=np.float64)) * grid.voxel_volume_mm3 / 1e3,
            "modulated": modulate,
            "smoothing_fwhm_mm": smoothing_fwhm_mm,
            "notices": notices,
        },
    )
