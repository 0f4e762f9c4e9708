"""A measured PET: frames, units, and what makes one unusable.

Sidecars are those of PET-BIDS (Norgaard et al. 2022, Sci Data 9:65).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError, OptionError, notify
from falx.images.nifti import Image
from falx.pet.frame_noise import noise_of_frames
from falx.pet.noise import Noise

__all__ = ["Pet", "average_frames", "check_pet", "parse_frames"]


@dataclass(frozen=True, eq=False)
class Pet:
    """A static PET image and the unit that its sidecar states, if any.

    Parameters
    ----------
    noise
        Of the image, measured between its frames; ``None`` where there are too few.
    """

    image: Image
    units: str | None
    noise: Noise | None = None


def average_frames(
    image: Image,
    frames: str,
    durations: Sequence[float] | None = None,
    *,
    where: object = None,
) -> tuple[Image, Noise | None]:
    """Average a window of frames, weighted by their durations, and measure its noise in them.

    Parameters
    ----------
    image
        Shape (X, Y, Z, T).
    frames
        See :func:`parse_frames`; ``"static"`` is refused where there are several.
    durations
        Of each frame, in any unit; equal ones if absent.
    """
    count = image.data.shape[3]
    if frames == "static" and count > 1:
        raise InputError(
            "the PET is dynamic",
            where=where,
            found=f"{count} frames",
            do="name the frames to average, for example --pet-frames 4-6 or --pet-frames all "
            '(in Python frames="4-6")',
        )
    first, last = parse_frames(frames, count)
    weights = np.asarray(np.ones(count) if durations is None else durations, dtype=np.float64)
    if weights.shape != (count,) or not np.all(weights > 0):
        raise InputError(
            "FrameDuration does not fit the image",
            where=where,
            found=f"{np.count_nonzero(weights > 0)} durations for {count} frames",
            do="correct the sidecar",
        )
    window = slice(first - 1, last)
    mean = np.average(image.data[..., window], axis=3, weights=weights[window])
    notify(f"frames {first} to {last} of {count} were averaged", where=where)
    chosen = np.nan_to_num(image.data[..., window], posinf=0.0, neginf=0.0)
    noise = noise_of_frames(chosen, image.affine, weights[window].tolist(), where=where)
    return Image(mean.astype(np.float32), image.affine), noise


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
