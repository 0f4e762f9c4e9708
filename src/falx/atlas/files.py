"""Files of atlases: label volumes and label tables, checked as they are read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from falx.atlas.atlas import Atlas, make_atlas
from falx.atlas.label_table import (
    LabelRow,
    checked_rows,
    dpabi_rows,
    json_rows,
    lut_rows,
    table_rows,
)
from falx.core.errors import InputError
from falx.core.files import read_json, read_table, read_text
from falx.data.priors import DATA, GYRI_FILE
from falx.images.nifti import Image, load

__all__ = ["load_atlas", "load_group_atlas", "read_label_table"]


def read_label_table(path: Path | str) -> tuple[LabelRow, ...]:
    """Read a label table: CSV, TSV, FreeSurfer-style LUT, JSON, or ``Reference`` of DPABI.

    Raises
    ------
    InputError
        If it is none of these, no labels are found, or a label number occurs twice.
    """
    path = Path(path)
    if not path.exists():
        raise InputError("the label table does not exist", where=path, do="check the path")
    try:
        rows = _rows(path)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise InputError(
            "this is not a label table",
            where=path.name,
            found=f"{type(error).__name__}: {error}",
            do="give columns index and name (TSV), or JSON of number to name",
        ) from error
    return checked_rows(rows, where=path.name)


def _rows(path: Path) -> list[LabelRow]:
    if path.suffix == ".mat":
        return _dpabi_rows(path)
    if path.suffix == ".json":
        return json_rows(read_json(path))
    if path.suffix in {".txt", ".lut"}:
        return lut_rows(read_text(path))
    delimiter = "\t" if path.suffix == ".tsv" else ","
    return table_rows(read_table(path, delimiter=delimiter, unique=False, pad=True))


def _dpabi_rows(path: Path) -> list[LabelRow]:
    from scipy import io
    from scipy.io.matlab import MatReadError

    try:
        return dpabi_rows(io.loadmat(path, squeeze_me=True)["Reference"])
    except MatReadError as error:
        raise ValueError(str(error)) from error


def load_atlas(
    volume: Path | str,
    table: Path | str | Sequence[LabelRow] | None = None,
    *,
    name: str | None = None,
) -> Atlas:
    """Read a label volume and its table, and check it.

    Without a table every label becomes ``region-N`` without a side.

    Raises
    ------
    InputError
        If the background is NaN, values are fractional or negative, or sides are swapped.
    """
    volume = Path(volume)
    image = load(volume)
    where = name or volume.name
    if np.isnan(image.data).any():
        raise InputError(
            "the atlas has a background that is not a number",
            where=where,
            found=f"{int(np.isnan(image.data).sum())} NaN voxels",
            do="use the atlas as its makers distribute it",
        )
    rounded = np.rint(image.data)
    if not np.array_equal(rounded, image.data) or rounded.min() < 0:
        raise InputError(
            "an atlas must hold whole, non-negative label numbers",
            where=where,
            do="resample labels with nearest neighbour",
        )
    labels = Image(rounded.astype(np.int32), image.affine)
    if table is None:
        rows: Sequence[LabelRow] = [
            LabelRow(int(n), f"region-{int(n)}") for n in np.unique(labels.data) if n != 0
        ]
    elif isinstance(table, str | Path):
        rows = read_label_table(table)
    else:
        rows = table
    return make_atlas(labels, rows, name=where)


def load_group_atlas(volume: Path | None, table: Path | None) -> Atlas:
    """Read the atlas that names clusters: that given, or the shipped gyri and lobules.

    References
    ----------
    Gyri: Desikan et al. 2006, NeuroImage 31:968. Cerebellar lobules: Diedrichsen and Zotow 2015,
    PLOS ONE 10:e0133402.
    """
    if volume is not None:
        return load_atlas(volume, table)
    return load_atlas(DATA / GYRI_FILE, DATA / GYRI_FILE.replace(".nii.gz", ".tsv"))
