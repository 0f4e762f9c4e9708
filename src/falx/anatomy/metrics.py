"""The anatomy stage's numbers, as they are written to its JSON file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from falx.anatomy.quality import Check
from falx.anatomy.segmentation.result import Segmentation
from falx.anatomy.structures.delineation import SKIN, SKULL, Structures
from falx.anatomy.volumes import PAIRS, tissue_volume_mm3, volume_asymmetry
from falx.data.labels import head_labels

__all__ = ["LEAST_CONFIDENCE", "anatomy_metrics"]

LEAST_CONFIDENCE = 0.6
"""Structures below this expected overlap get no volume."""

OWN, SITE = "falx", "given"


def anatomy_metrics(
    segmentation: Segmentation,
    structures: Structures,
    checks: Iterable[Check],
    notices: Iterable[str],
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    """Collect volumes in mm³, asymmetries, confidence, quality, notices and settings."""
    tissues = {
        name: tissue_volume_mm3(getattr(segmentation, name), segmentation.grid)
        for name in ("gm", "wm", "csf")
    }
    table = _structure_table(structures)
    volumes = {int(k): v["volume_mm3"] for k, v in table.items()}
    return {
        "volumes_mm3": {**tissues, "tiv": sum(tissues.values())},
        "structures": table,
        "asymmetry": _asymmetries(volumes),
        "quality": [asdict(check) for check in checks],
        "notices": list(notices),
        "settings": dict(settings),
        "affine_native_to_template": segmentation.affine,
        "alignment_nats": segmentation.information,
        "fit": _fit_numbers(segmentation),
    }


def _structure_table(structures: Structures) -> dict[str, dict[str, Any]]:
    labels = head_labels()
    names = dict(zip(labels.index.tolist(), labels.name, strict=True))
    sides = dict(zip(labels.index.tolist(), labels.side, strict=True))
    table: dict[str, dict[str, Any]] = {}
    for number, volume in sorted(structures.volumes_mm3.items()):
        confidence = structures.confidence.get(number)
        low = confidence is not None and confidence < LEAST_CONFIDENCE
        table[str(number)] = {
            "name": names.get(number, f"label {number}"),
            "side": sides.get(number, "none"),
            "volume_mm3": None if low else volume,
            "confidence": confidence,
            "origin": SITE if confidence is None else OWN,
        }
        if low:
            table[str(number)]["reason"] = (
                f"expected overlap {confidence:.2f} is below {LEAST_CONFIDENCE}: "
                "give a manual or FreeSurfer label"
            )
    return table


def _asymmetries(volumes: Mapping[int, float | None]) -> dict[str, dict[str, float | None]]:
    result: dict[str, dict[str, float | None]] = {}
    for name, (left, right) in PAIRS.items():
        pair = volumes.get(left), volumes.get(right)
        if pair[0] is not None and pair[1] is not None:
            result[name] = asdict(volume_asymmetry(pair[0], pair[1]))
    return result


def _fit_numbers(segmentation: Segmentation) -> dict[str, Any]:
    fit = segmentation.fit
    return {
        "means": fit.mixture.means,
        "standard_deviations": np.sqrt(fit.mixture.variances),
        "weights": fit.mixture.weights,
        "classes": fit.mixture.classes,
        "shares": fit.mixture.shares,
        "rounds": len(fit.gains),
        "last_gain_nats_per_sample": fit.gains[-1],
        "jacobian_range": [segmentation.jacobian.min(), segmentation.jacobian.max()],
        "labels_for_head": {"skull": SKULL, "head": SKIN},
    }
