"""The anatomy stage: a T1w file in, tissues, structures, maps and numbers out."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from falx.anatomy.structures.freesurfer import (
    adopt,
    check_side,
    is_subfields,
    merge_subfields,
    side_in_name,
)
from falx.anatomy.metrics import LEAST_CONFIDENCE, anatomy_metrics
from falx.anatomy.quality import check_segmentation, stop_on_failure
from falx.anatomy.refinement import refine as refine_maps
from falx.anatomy.segmentation.result import Segmentation
from falx.anatomy.settings import SegmentationSettings
from falx.anatomy.structures.delineation import Structures, segment_structures, with_skull_and_skin
from falx.anatomy.segmentation.unified import segment
from falx.data.priors import structure_priors, template, tissue_priors
from falx.core.errors import collect_notices, notify
from falx.images.nifti import Image, load, load_labels, save
from falx.core.files import write_json
from falx.images.warp import save_map

__all__ = ["anatomy_stage"]


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
