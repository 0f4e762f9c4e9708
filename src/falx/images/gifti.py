"""Reading and writing surfaces: series by vertex, triangles, values by vertex.

GIFTI: Harwell et al. 2008, Geometry format specification, version 1.0.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError
from falx.core.files import atomic_path
from falx.images.nifti import told

__all__ = ["load_triangles", "load_vertex_series", "save_vertices"]


def load_vertex_series(path: Path | str) -> npt.NDArray[np.float32]:
    """Read a ``func.gii``, shape (V, T): a vertex a row.

    Raises
    ------
    InputError
        If the file is missing, no GIFTI, or its volumes differ in their vertices.
    """
    arrays = [np.asarray(one.data) for one in _read(path).darrays]
    if not arrays or len({array.shape for array in arrays}) != 1 or arrays[0].ndim > 2:
        raise InputError(
            "the surface file holds no series of one set of vertices",
            where=Path(path).name,
            found=", ".join("×".join(map(str, a.shape)) for a in arrays[:3]) or "no array",
            do="give the func.gii of one hemisphere",
        )
    whole = arrays[0] if arrays[0].ndim == 2 else np.stack(arrays, axis=1)
    return np.ascontiguousarray(whole, dtype=np.float32)


def load_triangles(path: Path | str) -> npt.NDArray[np.int64]:
    """Read the triangles of a ``surf.gii``, shape (F, 3), as numbers of vertices.

    Raises
    ------
    InputError
        If the file is missing, no GIFTI, or holds no triangles.
    """
    found = _read(path).get_arrays_from_intent("NIFTI_INTENT_TRIANGLE")
    if not found:
        raise InputError(
            "the surface file holds no triangles", where=Path(path).name,
            do="give the surf.gii of the same hemisphere",
        )  # fmt: skip
    return np.asarray(found[0].data, dtype=np.int64)


def save_vertices(path: Path | str, values: npt.NDArray[np.floating]) -> None:
    """Write a value a vertex, shape (V,), as a ``shape.gii``."""
    gifti: Any = nib.gifti
    array = gifti.GiftiDataArray(
        np.asarray(values, np.float32), intent="NIFTI_INTENT_SHAPE", datatype="float32"
    )
    with atomic_path(Path(path)) as temporary:
        temporary.write_bytes(gifti.GiftiImage(darrays=[array]).to_bytes())


def _read(path: Path | str) -> Any:
    path = Path(path)
    if not path.is_file():
        raise InputError("the file does not exist", where=path, do="check the path")
    with told("the file is not a surface that can be read", path.name):
        image = nib.load(path)
    if not hasattr(image, "darrays"):
        raise InputError(
            "the file is not a surface", where=path.name, found=type(image).__name__,
            do="give a GIFTI file (.gii)",
        )  # fmt: skip
    return image
