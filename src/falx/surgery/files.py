"""Files in, files out for surgery: the ablation that was made, and how much it took.

The stages of Mo et al. 2025 after the signature.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from falx.anatomy.files import load_matrix
from falx.core.errors import InputError, collect_notices, notify
from falx.core.files import read_record, write_json
from falx.core.grid import Grid, Side, require_same
from falx.core.records import plain
from falx.images.nifti import Image, load, load_labels, load_mask, save
from falx.images.warp import load_map
from falx.pet.files import (
    PlaceFiles,
    ScaledFiles,
    read_place,
    read_scaled,
    read_scaled_pet,
)
from falx.pet.finding import FociSearch, ScaledPet
from falx.pet.maps import Place
from falx.pet.metrics import SignatureMetrics
from falx.pet.regions import STRUCTURE_LABELS, structure_mask
from falx.pet.scaling import Scaled
from falx.pet.settings import CutRule, SignatureRule
from falx.pet.shares import ErrorDraws
from falx.pet.signature import PUBLISHED_THRESHOLD, index_on_scale
from falx.surgery.metrics import (
    AblationMetrics,
    InsideAsymmetry,
    RatesMetrics,
    RuleCurves,
    VolumeCurve,
)
from falx.surgery.outcome.ablation import bring_mask, check_side, dice
from falx.surgery.outcome.focus_rates import FocusRate, focus_parts, focus_rates, sought_parts
from falx.surgery.outcome.made import (
    Drawn,
    ablated_shares,
    bring_drawn,
    inside_asymmetry,
    structure_rates,
)
from falx.surgery.outcome.rate_curve import THRESHOLDS, rate_curve
from falx.surgery.outcome.rate_interval import RateErrors, RateInterval, rate_intervals

__all__ = ["AblationFiles", "RateFiles", "ablation_stage", "rate_curve_stage"]

DRAWN = {"Type": "Lesion", "Description": "ablation as drawn"}
"""Of the masks, in the sidecars; the engine adds where they lie."""


@dataclass(frozen=True)
class AblationFiles:
    """Files of :func:`ablation_stage`.

    Parameters
    ----------
    ablation
        Input: binary mask on any grid, in the space of the image it was drawn on.
    second_ablation
        Input: another rater's mask, optional; only its overlap with the first is measured.
    repeat_ablation
        Input: the same rater's mask drawn again, optional, for the same.
    matrix
        Input: JSON of the coregistration, pre-operative mm → post-operative mm; needed for
        a mask drawn on the post-operative image.
    structures
        Input: label volume on the pre-operative T1w grid.
    to_native
        Input: coordinate map, template grid → T1w mm.
    signature_native, probability_native, published_native, signature_metrics
        Inputs: outputs of the signature stage; the side of the focus is taken from them.
    scaled, scaled_metrics
        Inputs: modality to the outputs of its asymmetry stage; that of ``pet`` is needed.
    published_scaled, published_metrics
        Inputs: the PET as the published chain takes it.
    ablation_native, ablation_template
        Outputs: the mask on the pre-operative T1w grid and on the template grid.
    metrics
        Output: JSON of :class:`falx.surgery.metrics.AblationMetrics`.
    """

    ablation: Path
    structures: Path
    to_native: Path
    signature_native: Path
    probability_native: Path
    published_native: Path
    signature_metrics: Path
    scaled: Mapping[str, Path]
    scaled_metrics: Mapping[str, Path]
    published_scaled: Path
    published_metrics: Path
    ablation_native: Path
    ablation_template: Path
    metrics: Path
    second_ablation: Path | None = None
    repeat_ablation: Path | None = None
    matrix: Path | None = None


def ablation_stage(
    files: AblationFiles,
    *,
    drawn_on: str | None,
    second_drawn_on: str | None,
    repeat_drawn_on: str | None = None,
    threads: int = 1,
) -> None:
    """Ablative rate, and the asymmetry inside the ablation.

    Parameters
    ----------
    drawn_on
        Session of the T1w on which the mask was drawn: ``"postop"``, else the pre-operative.
    second_drawn_on, repeat_drawn_on
        The same for the other rater's mask, and for that drawn again.
    """
    with collect_notices() as notices:
        labels = load_labels(files.structures)
        drawn = _drawn(files.ablation, files.matrix, drawn_on, labels.grid, threads)
        agreement = {
            name: dice(drawn.native, _drawn(path, files.matrix, on, labels.grid, threads).native)
            for name, path, on in (
                ("raters", files.second_ablation, second_drawn_on),
                ("repeat", files.repeat_ablation, repeat_drawn_on),
            )
            if path is not None
        }
        of = read_record(SignatureMetrics, files.signature_metrics)
        side = of.side
        _, grid, _ = read_scaled(files.scaled["pet"], files.scaled_metrics["pet"])
        map_mm = load_map(files.to_native).on(grid, threads=threads)
        template = bring_mask(drawn.mask, map_mm, matrix=drawn.to_drawn, threads=threads)
        check_side(template, grid, side, of.side_from, where=files.ablation.name)
        asymmetry = _asymmetry_inside(files, template)
        chance = None
        if of.definition.method == "calibrated":
            chance = load(files.probability_native)
        rates = {
            name: structure_rates(load_mask(path), drawn.native, labels, side, probability=of_mask)
            for name, path, of_mask in (
                ("default", files.signature_native, chance),
                ("published", files.published_native, None),
            )
        }
    save(files.ablation_native, drawn.native, labels.affine, sidecar=DRAWN)
    save(files.ablation_template, template, grid.affine, sidecar=DRAWN)
    found = AblationMetrics(
        side=side,
        volume_mm3=np.count_nonzero(drawn.native) * labels.grid.voxel_volume_mm3,
        definition=of.definition,
        rates=rates,
        shares=ablated_shares(drawn.native, labels, side),
        asymmetry=asymmetry,
        dice_raters=agreement.get("raters"),
        dice_repeat=agreement.get("repeat"),
        notices=tuple(notices),
    )
    write_json(files.metrics, plain(found))


@dataclass(frozen=True)
class RateFiles:
    """Files of :func:`rate_curve_stage`.

    Parameters
    ----------
    ablation_native, ablation_metrics, signature_metrics
        Inputs: outputs of :func:`ablation_stage` and of the signature stage.
    gm
        Input on the T1w grid.
    metrics
        Output: JSON of :class:`falx.surgery.metrics.RatesMetrics`.
    """

    ablation_native: Path
    ablation_metrics: Path
    signature_metrics: Path
    gm: Path
    metrics: Path


def rate_curve_stage(
    files: RateFiles,
    pet: ScaledFiles,
    where: PlaceFiles,
    settings: SignatureRule,
    errors: RateErrors,
    *,
    threads: int = 1,
) -> None:
    """Interval of the ablative rate; and the rate at every threshold, by two rules.

    The curve knows no clusters.
    """
    with collect_notices() as notices:
        if settings.minimum_cluster_mm3 > 0:
            notify(
                "the rate by threshold keeps small clusters, so that it may differ from the rate",
                found=f"clusters below {settings.minimum_cluster_mm3:g} mm³ are dropped from the "
                "signature",
            )
        of, grid = read_scaled_pet(pet)
        place = read_place(where, grid, threads)
        grey, ablated = load(files.gm), load_mask(files.ablation_native)
        require_same("grey matter", grey.grid, "ablation", ablated.grid)
        side = read_record(AblationMetrics, files.ablation_metrics).side
        structures = {
            name: structure_mask(place.labels.data, name, side) for name in STRUCTURE_LABELS
        }
        curves = _rule_curves(of, place, grey, ablated, structures, settings)
        searched = read_record(SignatureMetrics, files.signature_metrics).calibrated
        intervals, foci = _intervals(
            of, place, grey, ablated, structures, settings, errors,
            None if searched is None else searched.searched,
        )  # fmt: skip
    found = RatesMetrics(THRESHOLDS, curves, intervals, tuple(notices), foci)
    write_json(files.metrics, plain(found))


def _rule_curves(
    pet: ScaledPet,
    place: Place,
    grey: Image,
    ablated: Image,
    structures: Mapping[str, npt.NDArray[np.bool_]],
    settings: CutRule,
) -> dict[str, RuleCurves]:
    """Curves by the rule of the run and by the published one."""
    published = PUBLISHED_THRESHOLD
    everywhere = np.ones(grey.data.shape, dtype=bool)
    grey_enough = grey.data > settings.gm_floor if settings.gm_floor > 0 else everywhere
    rules = [("default", pet.scaled, settings.threshold_scale, settings.threshold_comparison,
              grey_enough)]  # fmt: skip
    if pet.published is not None:
        rules.append(
            ("published", pet.published, published.scale, published.comparison, everywhere)
        )
    curves: dict[str, RuleCurves] = {}
    for rule, of, scale, comparison, allowed in rules:
        asymmetry = index_on_scale(of, place.template, of.image != 0, scale)
        index, _ = place.to_native(asymmetry.index, asymmetry.valid)
        masks = {name: mask & allowed for name, mask in structures.items()}
        curves[rule] = RuleCurves(scale, **_curves(index, ablated, masks, comparison))
    return curves


def _intervals(
    pet: ScaledPet,
    place: Place,
    grey: Image,
    ablated: Image,
    structures: Mapping[str, npt.NDArray[np.bool_]],
    settings: SignatureRule,
    errors: RateErrors,
    searched: tuple[Side, ...] | None,
) -> tuple[dict[str, RateInterval], tuple[FocusRate, ...]]:
    """Intervals of the rate of a calibrated signature, from the draws that made it; each focus."""
    if settings.method != "calibrated" or searched is None:
        why = "the noise of the PET is not known"
        if settings.method != "calibrated":
            why = "an interval is stated for the method calibrated only"
        return dict.fromkeys(structures, RateInterval(None, None, why)), ()
    rng = np.random.default_rng(settings.seed)
    search = FociSearch(pet, place, grey, settings, rng)
    foci = search.on(searched[0] if len(searched) == 1 else None)
    allowed, parts = grey.data > settings.gm_floor, focus_parts(foci, place)
    intervals = rate_intervals(
        foci,
        ErrorDraws(search.maps, foci.found.widened),
        place,
        ablated,
        {name: mask & allowed for name, mask in structures.items()} | parts,
        errors,
        np.random.default_rng([settings.seed, 1]),
        sought=sought_parts(foci, parts),
    )
    rates = focus_rates(foci, place, ablated, parts, intervals)
    return {name: intervals[name] for name in structures}, rates


def _curves(
    index: npt.NDArray[np.floating],
    ablated: Image,
    masks: Mapping[str, npt.NDArray[np.bool_]],
    comparison: str,
) -> dict[str, VolumeCurve]:
    """Curve of every structure, by its name."""
    curves = {}
    for name, inside in masks.items():
        curve = rate_curve(index, ablated.data, inside, ablated.affine, comparison=comparison)
        curves[name] = VolumeCurve(
            tuple(curve.signature_mm3.tolist()), tuple(curve.ablated_mm3.tolist())
        )
    return curves


def _drawn(
    path: Path, matrix: Path | None, drawn_on: str | None, grid: Grid, threads: int
) -> Drawn:
    """Bring a rater's mask to the T1w grid."""
    to_drawn = load_matrix(_needed(matrix, drawn_on, where=path.name))
    return bring_drawn(load_mask(path), grid, to_drawn, where=path.name, threads=threads)


def _needed(matrix: Path | None, drawn_on: str | None, *, where: str) -> Path | None:
    """Matrix that brings the mask to the pre-operative image; none if it is drawn there."""
    if drawn_on != "postop":
        return None
    if matrix is None:
        raise InputError(
            "the ablation mask is drawn on a post-operative T1w that is not there",
            where=where,
            do="add the post-operative T1w, or give the mask in the space of the pre-operative "
            "T1w as a mask of the session preop",
        )
    return matrix


def _asymmetry_inside(
    files: AblationFiles, mask: npt.NDArray[np.bool_]
) -> dict[str, InsideAsymmetry]:
    """Asymmetry of every modality in a mask of the template grid, shape (X, Y, Z)."""
    published, _, _ = read_scaled(files.published_scaled, files.published_metrics)
    return {
        name: _inside(mask, path, files.scaled_metrics[name], published if name == "pet" else None)
        for name, path in files.scaled.items()
    }


def _inside(
    mask: npt.NDArray[np.bool_], image: Path, metrics: Path, published: Scaled | None
) -> InsideAsymmetry:
    scaled, grid, _ = read_scaled(image, metrics)
    return inside_asymmetry(mask, scaled, grid, published=published, where=image.name)
