"""Reading a PET: frames, units, and what makes one unusable."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError, OptionError, notify
from falx.images.nifti import Image, load

__all__ = ["Pet", "average_frames", "check_pet", "parse_frames", "read_pet"]


@dataclass(frozen=True, eq=False)
class Pet:
    """A static PET image and the unit that its sidecar states, if any."""

    image: Image
    units: str | None


def read_pet(path: Path, *, frames: str = "static") -> Pet:
    """Read a PET image, averaging the chosen frames of a dynamic one.

    Parameters
    ----------
    path
        3D image, or 4D with time last; its JSON sidecar beside it is read if it exists.
    frames
        ``"static"`` (one frame only), ``"all"``, or a window such as ``"4-6"``, counted from 1
        with both ends included.

    Raises
    ------
    InputError
        If a dynamic image comes without a window, or the image holds nothing.
    """
    sidecar = _sidecar(path)
    try:
        image = load(path)
    except InputError as error:
        if "3D image is needed" not in str(error):
            raise
        image = average_frames(load(path, ndim=4), frames, sidecar, where=path.name)
    units = sidecar.get("Units")
    if units is None:
        notify(
            "the PET has no unit; asymmetry does not depend on its scale, activities are in "
            "arbitrary units",
            where=path.name,
        )
    return Pet(check_pet(image, where=path.name), units)


def average_frames(
    image: Image, frames: str, sidecar: dict[str, Any], *, where: object = None
) -> Image:
    """Average a window of frames, weighted by their durations where the sidecar gives them."""
    count = image.data.shape[3]
    if frames == "static" and count > 1:
        raise InputError(
            "the PET is dynamic",
            where=where,
            found=f"{count} frames",
            do='name the frames to average, for example frames = "4-6" or "all"',
        )
    first, last = parse_frames(frames, count)
    durations = np.asarray(sidecar.get("FrameDuration", np.ones(count)), dtype=np.float64)
    if durations.shape != (count,):
        raise InputError(
            "FrameDuration does not fit the image",
            where=where,
            found=f"{durations.size} durations for {count} frames",
        )
    window = slice(first - 1, last)
    mean = np.average(image.data[..., window], axis=3, weights=durations[window])
    notify(f"frames {first} to {last} of {count} were averaged", where=where)
    return Image(mean.astype(np.float32), image.affine)


def parse_frames(frames: str, count: int) -> tuple[int, int]:
    """First and last frame of a window, counted from 1.

    Examples
    --------
    >>> parse_frames("2-3", 6)
    (2, 3)
    """
    if frames in ("static", "all"):
        return 1, count
    parts = frames.split("-")
    if len(parts) in (1, 2) and all(part.strip().isdigit() for part in parts):
        first, last = int(parts[0]), int(parts[-1])
        if 1 <= first <= last <= count:
            return first, last
    raise OptionError(
        "the window of frames is not usable",
        found=f"{frames!r} of {count} frames",
        do='give "static", "all", or first-last counted from 1',
    )


def check_pet(image: Image, *, where: object = None) -> Image:
    """Return the image with missing values as zero; raise if it holds no signal."""
    data = np.asarray(image.data)
    missing = ~np.isfinite(data)
    if missing.all():
        found = "no finite value"
    elif not data[~missing].any():
        found = "zeros only"
    elif float(data[~missing].max()) <= 0:
        found = "no positive value"
    else:
        if missing.any():
            notify(
                "missing values in the PET count as zero",
                where=where,
                found=f"{np.count_nonzero(missing)} voxels",
            )
        return Image(_filled(data, missing), image.affine)
    raise InputError(
        "the PET image is empty", where=where, found=found, do="check the reconstruction"
    )


def _filled(data: npt.NDArray[Any], missing: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    return np.where(missing, np.float32(0), data).astype(np.float32)


def _sidecar(path: Path) -> dict[str, Any]:
    beside = path.with_name(path.name.split(".nii")[0] + ".json")
    if not beside.exists():
        return {}
    content = json.loads(beside.read_text(encoding="utf-8"))
    return content if isinstance(content, dict) else {}
