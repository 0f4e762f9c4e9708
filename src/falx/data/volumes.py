"""How large and how rough the structures of a head are, from the heads behind the priors.

``scripts/build_volumes.py`` writes the table. Its thirteen heads (Apache-2.0, see
``docs/methods/priors.md``) differ in age from young to atrophic, and in how hippocampus and
amygdala were traced, so the spread is wide there. The table has no published source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from falx.core.files import read_table

__all__ = ["COLUMNS", "FILE", "Expected", "expected_structures", "faces", "shape_factor"]

FILE = Path(__file__).parent / "structure_volumes.tsv"
COLUMNS = ("index", "name", "heads", "log_share", "log_share_sd", "log_ratio_rms", "shape",
           "shape_sd")  # fmt: skip


@dataclass(frozen=True)
class Expected:
    """What is usual of one structure.

    Parameters
    ----------
    log_share, log_share_sd
        Logarithm of its volume over grey and white matter together, mean and SD.
    log_ratio_rms
        Root mean square of the logarithm of right over left; 0 of what has no side.
    shape, shape_sd
        :func:`shape_factor`, mean and SD.
    """

    log_share: float
    log_share_sd: float
    log_ratio_rms: float
    shape: float
    shape_sd: float


@cache
def expected_structures(file: Path = FILE) -> Mapping[int, Expected]:
    """Read a table of ``scripts/build_volumes.py``, by FreeSurfer number; the shipped one."""
    table = read_table(file)
    numbers = table.numbers("index").astype(int).tolist()
    columns = [table.numbers(name).tolist() for name in COLUMNS[3:]]
    return {n: Expected(*row) for n, row in zip(numbers, zip(*columns, strict=True), strict=True)}


def faces(
    labels: npt.NDArray[np.integer], voxel_sizes_mm: npt.NDArray[np.float64], n: int
) -> npt.NDArray[np.float64]:
    """Area of the voxel faces between each of `n` labels and any other, mm².

    Parameters
    ----------
    labels
        Shape (X, Y, Z), 0 to n - 1.
    voxel_sizes_mm
        Shape (3,).

    Returns
    -------
    ndarray
        Shape (n,). Staircases make a sphere's 1.5 times its true surface.
    """
    area = np.zeros(n)
    for axis, size in enumerate(np.prod(voxel_sizes_mm) / voxel_sizes_mm):
        along = np.moveaxis(labels, axis, 0)
        differ = along[1:] != along[:-1]
        for side in (along[1:], along[:-1]):
            area += np.bincount(side[differ].ravel(), minlength=n) * size
    return area


def shape_factor(area_mm2: float, volume_mm3: float) -> float:
    """Surface over volume to the power 2/3, which does not depend on size; 6 for a cube.

    Examples
    --------
    >>> round(shape_factor(6.0 * 4.0, 8.0), 6)
    6.0
    """
    return float(area_mm2 / max(volume_mm3, 1e-9) ** (2.0 / 3.0))
