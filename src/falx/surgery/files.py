"""Files in, files out for surgery: the ablation that was made, and how much it took."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from falx.anatomy.files import load_matrix
from falx.core.errors import InputError, collect_notices, notify
from falx.core.files import write_json
from falx.core.grid import Grid, Side, mirror, require_same
from falx.images.nifti import Image, load, load_labels, load_mask, save
from falx.images.warp import load_map
from falx.pet.asymmetry import ratio_of_means
from falx.pet.files import NATIVE, read_place, read_scaled
from falx.pet.regions import STRUCTURE_LABELS, structure_mask
from falx.pet.signature import PUBLISHED_THRESHOLD, index_on_scale
from falx.surgery.outcome.ablation import (
    ablative_rate,
    bring_mask,
    check_arrival,
    check_side,
    dice,
)
from falx.surgery.outcome.rate_curve import THRESHOLDS, rate_curve

__all__ = ["ablation_stage", "rate_curve_stage"]


def ablation_stage(
    *,
    ablation: Path,
    second_ablation: Path | None,
    matrix: Path | None,
    structures: Path,
    to_native: Path,
    signature_native: Path,
    published_native: Path,
    signature_metrics: Path,
    scaled_pet: Path,
    pet_metrics: Path,
    scaled_flair: Path | None,
    flair_metrics: Path | None,
    scaled_gm: Path | None,
    gm_metrics: Path | None,
    ablation_native: Path,
    ablation_template: Path,
    metrics: Path,
    drawn_on: str | None,
    second_drawn_on: str | None,
    threads: int = 1,
) -> None:
    """Ablative rate, and the asymmetry inside the ablation.

    Parameters
    ----------
    ablation
        Input: binary mask on any grid, in the space of the image that `drawn_on` names.
    second_ablation
        Input: another rater's mask, optional; only its overlap with the first is measured.
    matrix
        Input: JSON of the coregistration, pre-operative mm → post-operative mm; needed for
        a mask drawn on the post-operative image.
    structures
        Input: label volume on the pre-operative T1w grid.
    to_native
        Input: coordinate map, template grid → T1w mm.
    signature_native, published_native, signature_metrics
        Inputs: outputs of the signature stage; the side of the focus is taken from them.
    scaled_pet, pet_metrics, scaled_flair, flair_metrics, scaled_gm, gm_metrics
        Inputs: outputs of the asymmetry stages; those of FLAIR and grey matter are optional.
    ablation_native, ablation_template
        Outputs: the mask on the pre-operative T1w grid and on the template grid.
    metrics
        Output: JSON with rates, volumes and mean asymmetries.
    drawn_on
        Session of the T1w on which the mask was drawn: ``"postop"``, else the pre-operative.
    second_drawn_on
        The same for the other rater's mask.
    """
    with collect_notices() as notices:
        labels = load_labels(structures)
        drawn = _drawn(ablation, matrix, drawn_on, labels.grid, threads)
        agreement = None
        if second_ablation is not None:
            other = _drawn(second_ablation, matrix, second_drawn_on, labels.grid, threads)
            agreement = dice(drawn.native, other.native)
        side: Side = json.loads(signature_metrics.read_text(encoding="utf-8"))["side"]
        _, grid, _ = read_scaled(scaled_pet, pet_metrics)
        map_mm = load_map(to_native).on(grid, threads=threads)
        template = bring_mask(drawn.mask, map_mm, matrix=drawn.to_post, threads=threads)
        check_side(template, grid, side, where=ablation.name)
        asymmetry = {
            name: _inside(template, image, facts)
            for name, image, facts in (
                ("pet", scaled_pet, pet_metrics),
                ("flair", scaled_flair, flair_metrics),
                ("gm", scaled_gm, gm_metrics),
            )
            if image is not None and facts is not None
        }
        rates = {
            "default": _rates(signature_native, drawn.native, labels, side),
            "published": _rates(published_native, drawn.native, labels, side),
        }
    what = {"SpatialReference": NATIVE, "Type": "Lesion"}
    save(ablation_native, drawn.native, labels.affine, sidecar=what)
    save(ablation_template, template, grid.affine, sidecar={"Type": "Lesion"})
    volume = np.count_nonzero(drawn.native) * labels.grid.voxel_volume_mm3
    record = {"side": side, "volume_mm3": volume, "rates": rates, "asymmetry": asymmetry}
    write_json(metrics, {**record, "dice_raters": agreement, "notices": notices})


def rate_curve_stage(
    *,
    scaled_template: Path,
    asymmetry_metrics: Path,
    ablation_native: Path,
    ablation_metrics: Path,
    brain_mask: Path,
    gm: Path,
    structures: Path,
    to_native: Path,
    to_template: Path,
    metrics: Path,
    threshold_scale: str,
    threshold_comparison: str,
    gm_floor: float,
    minimum_cluster_mm3: float,
    threads: int = 1,
) -> None:
    """Ablative rate at every threshold, for the run's rule and for the published one.

    Parameters
    ----------
    scaled_template, asymmetry_metrics
        Inputs: the scaled PET in template space.
    ablation_native, ablation_metrics
        Inputs: outputs of :func:`ablation_stage`.
    brain_mask, gm, structures, to_native, to_template
        Inputs: the anatomy, as for the signature.
    metrics
        Output: JSON; for either rule the scale, the thresholds, and the volume of signature
        and of ablated signature in each structure.
    threshold_scale, threshold_comparison, gm_floor, minimum_cluster_mm3
        See :class:`falx.pet.presets.PetSettings`. The curve knows no clusters.
    """
    with collect_notices() as notices:
        if minimum_cluster_mm3 > 0:
            notify(
                "the rate by threshold keeps small clusters, so that it may differ from the rate",
                found=f"clusters below {minimum_cluster_mm3:g} mm³ are dropped from the signature",
            )
        scaled, grid, _ = read_scaled(scaled_template, asymmetry_metrics)
        place = read_place(brain_mask, structures, to_native, to_template, grid, threads)
        grey, ablated = load(gm), load_mask(ablation_native)
        require_same("grey matter", grey.grid, "ablation", ablated.grid)
        side: Side = json.loads(ablation_metrics.read_text(encoding="utf-8"))["side"]
        published = PUBLISHED_THRESHOLD
        everywhere = np.ones(grey.data.shape, dtype=bool)
        grey_enough = grey.data > gm_floor if gm_floor > 0 else everywhere
        curves: dict[str, Any] = {}
        for rule, scale, comparison, allowed in (
            ("default", threshold_scale, threshold_comparison, grey_enough),
            ("published", published.scale, published.comparison, everywhere),
        ):
            asymmetry = index_on_scale(scaled, grid, scaled.image != 0, scale)
            index, _ = place.to_native(asymmetry.index, asymmetry.valid)
            masks = {
                name: structure_mask(place.labels.data, name, side) & allowed
                for name in STRUCTURE_LABELS
            }
            curves[rule] = {"scale": scale} | _curves(index, ablated, masks, comparison)
    write_json(metrics, {"thresholds": THRESHOLDS, "curves": curves, "notices": notices})


def _curves(
    index: npt.NDArray[np.floating],
    ablated: Image,
    masks: dict[str, npt.NDArray[np.bool_]],
    comparison: str,
) -> dict[str, dict[str, list[float]]]:
    curves = {}
    for name, inside in masks.items():
        curve = rate_curve(index, ablated.data, inside, ablated.affine, comparison=comparison)
        curves[name] = {
            "signature_mm3": curve.signature_mm3.tolist(),
            "ablated_mm3": curve.ablated_mm3.tolist(),
        }
    return curves


@dataclass(frozen=True, eq=False)
class _Drawn:
    """A rater's mask, the matrix from T1w mm to where it was drawn, and the mask on the T1w."""

    mask: Image
    to_post: npt.NDArray[np.floating] | None
    native: npt.NDArray[np.bool_]


def _drawn(
    path: Path, matrix: Path | None, drawn_on: str | None, grid: Grid, threads: int
) -> _Drawn:
    """Bring a rater's mask to the T1w grid, and raise if it does not land there."""
    to_post = load_matrix(_needed(matrix, drawn_on, where=path.name))
    mask = _read_ablation(path)
    native = bring_mask(mask, grid, matrix=to_post, threads=threads)
    check_arrival(mask, Image(native, grid.affine), where=path.name)
    return _Drawn(mask, to_post, native)


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


def _read_ablation(path: Path) -> Image:
    mask = load_mask(path)
    if not mask.data.any():
        raise InputError(
            "the ablation mask is empty", where=path.name, do="draw or choose another mask"
        )
    return mask


def _rates(
    signature: Path, ablation: npt.NDArray[np.bool_], labels: Image, side: Side
) -> dict[str, dict[str, Any]]:
    mask = load_mask(signature)
    require_same("signature", mask.grid, "structures", labels.grid)
    rates = {}
    for structure in STRUCTURE_LABELS:
        inside = structure_mask(labels.data, structure, side)
        rate = ablative_rate(mask.data, ablation, inside, labels.affine)
        for text in (rate.notice, rate.reason):
            if text is not None:
                notify(f"ablative rate of the {structure.replace('_', ' ')}: {text}")
        rates[structure] = asdict(rate)
    return rates


def _inside(
    mask: npt.NDArray[np.bool_], image: Path, metrics: Path
) -> dict[str, float | str | None]:
    """Mean asymmetry inside the ablation and its mirror, on the run's and the z + 5 scale."""
    scaled, grid, _ = read_scaled(image, metrics)
    defined = scaled.image != 0
    own = index_on_scale(scaled, grid, defined, scaled.scale)
    z5 = index_on_scale(scaled, grid, defined, "z5")
    inside = mask & own.valid
    if not inside.any():
        notify("no asymmetry inside the ablation", where=image.name)
        return {"scale": scaled.scale, "ipsilateral": None}
    here, there = scaled.image, mirror(scaled.image, grid)
    return {
        "scale": scaled.scale,
        "ipsilateral": float(own.index[inside].mean()),
        "contralateral": float(own.index[mirror(inside, grid)].mean()),
        "ratio_of_means": ratio_of_means(float(here[inside].mean()), float(there[inside].mean())),
        "ipsilateral_z5": float(z5.index[inside & z5.valid].mean()),
        "defined_share": float(np.count_nonzero(inside) / np.count_nonzero(mask)),
    }
