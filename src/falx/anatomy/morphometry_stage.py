"""Files in, files out for grey-matter volume."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from falx.anatomy.morphometry import intracranial_volume_ml, modulated
from falx.core.errors import collect_notices
from falx.core.grid import normalisation_grid, require_same
from falx.images.nifti import load, save
from falx.core.files import write_json
from falx.images.smooth import smooth
from falx.images.warp import load_map

__all__ = ["grey_volume_stage"]


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
