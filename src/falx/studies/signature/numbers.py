"""One flat record of numbers a patient: what the group level and the report read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from falx.anatomy.quality import STOPPING
from falx.core.files import write_json
from falx.core.grid import SIDES, Side, opposite

__all__ = ["flatten_numbers", "numbers_stage"]

STRUCTURES = ("hippocampus", "amygdala")


def numbers_stage(
    *,
    anatomy: Path,
    pet: Path,
    asymmetry_pet: Path,
    asymmetry_flair: Path | None,
    asymmetry_gm: Path,
    signature: Path,
    ablation: Path | None,
    rates: Path | None,
    numbers: Path,
) -> None:
    """Write the numbers of one patient as a flat JSON record.

    Parameters
    ----------
    anatomy, pet, asymmetry_pet, asymmetry_flair, asymmetry_gm, signature, ablation, rates
        Inputs: metrics of the stages of the same names; those of FLAIR, ablation and rates are
        optional.
    numbers
        Output: see :func:`flatten_numbers`.
    """
    found = {
        "anatomy": anatomy,
        "pet": pet,
        "asymmetry_pet": asymmetry_pet,
        "asymmetry_flair": asymmetry_flair,
        "asymmetry_gm": asymmetry_gm,
        "signature": signature,
        "ablation": ablation,
        "rates": rates,
    }
    metrics = {
        name: json.loads(path.read_text(encoding="utf-8"))
        for name, path in found.items()
        if path is not None
    }
    write_json(numbers, flatten_numbers(metrics))


def flatten_numbers(metrics: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Gather the numbers of one patient; ``ipsi`` is the side of the focus.

    Parameters
    ----------
    metrics
        Stage name to its metrics.

    Returns
    -------
    dict
        Name with unit to number, ``None`` where there is none. Asymmetries in the ablation
        (``ai_pet``, ``ai_flair``, ``ai_gm``) are ipsilateral means on the run's scale, those
        that end in ``_z5`` on the scale of the published threshold; differences are
        ipsilateral minus contralateral. Two entries are not numbers: ``failed_checks`` names
        the quality checks that forbid a result, ``rate_curves`` holds the rate by threshold.
    """
    side: Side = metrics["signature"]["side"]
    flat: dict[str, Any] = {"side": side, "failed_checks": _failed(metrics["anatomy"])}
    flat |= _volumes(metrics["anatomy"], side)
    flat |= _structure_asymmetries(metrics, side)
    flat["signature_mm3"] = metrics["signature"]["volume_mm3"]
    flat["signature_published_mm3"] = metrics["signature"]["published_volume_mm3"]
    if "ablation" in metrics:
        flat |= _ablation(metrics["ablation"])
    if "rates" in metrics:
        flat["rate_curves"] = {
            "thresholds": metrics["rates"]["thresholds"],
            **metrics["rates"]["curves"],
        }
    return flat


def _failed(anatomy: dict[str, Any]) -> list[str]:
    checks = anatomy["quality"]
    return [c["name"] for c in checks if not c["passed"] and c["name"] in STOPPING]


def _volumes(anatomy: dict[str, Any], side: Side) -> dict[str, Any]:
    whole = ("gm", "wm", "csf", "tiv")
    flat: dict[str, Any] = {f"{name}_mm3": anatomy["volumes_mm3"][name] for name in whole}
    named = {item["name"]: item["volume_mm3"] for item in anatomy["structures"].values()}
    for structure in STRUCTURES:
        sides = {s: named.get(f"{s} {structure}") for s in SIDES}
        flat |= {f"{structure}_{s}_mm3": sides[s] for s in SIDES}
        ipsi, contra = sides[side], sides[opposite(side)]
        flat[f"{structure}_ipsi_mm3"] = ipsi
        if ipsi is None or contra is None or ipsi + contra == 0:
            flat[f"{structure}_difference_mm3"] = flat[f"{structure}_asymmetry"] = None
        else:
            flat[f"{structure}_difference_mm3"] = ipsi - contra
            flat[f"{structure}_asymmetry"] = 2 * (ipsi - contra) / (ipsi + contra)
    return flat


def _structure_asymmetries(metrics: dict[str, dict[str, Any]], side: Side) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for modality in ("pet", "flair", "gm"):
        facts = metrics.get(f"asymmetry_{modality}")
        for structure in STRUCTURES:
            found = None if facts is None else facts["structures"][structure][side]
            flat[f"{structure}_ai_{modality}"] = found and found["mean_asymmetry"]
    regional = metrics["pet"]["regional_asymmetry"]
    errors = metrics["pet"]["regional_asymmetry_se"]
    for structure in (*STRUCTURES, "mesial_temporal"):
        flat[f"{structure}_ai_pet_regional"] = regional.get(structure, {}).get(side)
        flat[f"{structure}_ai_pet_regional_se"] = errors.get(structure)
    return flat


def _ablation(facts: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {
        "ablation_mm3": facts["volume_mm3"],
        "dice_raters": facts["dice_raters"],
        "ai_pet_scale": facts["asymmetry"]["pet"]["scale"],
    }
    for modality in ("pet", "flair", "gm"):
        found = facts["asymmetry"].get(modality, {})
        flat[f"ai_{modality}"] = found.get("ipsilateral")
        flat[f"ai_{modality}_z5"] = found.get("ipsilateral_z5")
    for preset, ending in (("default", ""), ("published", "_published")):
        for structure, rate in facts["rates"][preset].items():
            flat[f"rate_{structure}{ending}"] = rate["rate"]
            flat[f"rate_{structure}{ending}_of_mm3"] = rate["denominator_mm3"]
    return flat
