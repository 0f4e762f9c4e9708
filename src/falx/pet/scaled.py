"""Reading what other stages wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from falx.core.grid import Grid, require_same
from falx.images.nifti import load, load_labels, load_mask
from falx.images.warp import load_map
from falx.pet.maps import Place
from falx.pet.scaling import Scaled

__all__ = ["read_place", "read_scaled"]


def read_scaled(image: Path, metrics: Path) -> tuple[Scaled, Grid, dict[str, Any]]:
    """Read a scaled image with its scale, as an asymmetry stage wrote them."""
    facts: dict[str, Any] = json.loads(metrics.read_text(encoding="utf-8"))
    values = load(image)
    return Scaled(values.data, facts["scale"], facts["mean"], facts["sd"]), values.grid, facts


def read_place(
    brain_mask: Path,
    structures: Path,
    to_native: Path,
    to_template: Path,
    template: Grid,
    threads: int,
) -> Place:
    """Read a patient's anatomy: T1w grid, template grid and the maps between them."""
    brain, labels = load_mask(brain_mask), load_labels(structures)
    require_same("brain mask", brain.grid, "structures", labels.grid)
    return Place(
        native=brain.grid,
        template=template,
        brain=brain,
        labels=labels,
        to_native_mm=load_map(to_native).on(template, threads=threads),
        to_template_mm=load_map(to_template).on(brain.grid, threads=threads),
        threads=threads,
    )
