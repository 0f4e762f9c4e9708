"""Everything a navigation station takes, written into one folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from falx.core.errors import InputError
from falx.core.files import atomic_path
from falx.images.nifti import Image
from falx.surgery.dicom.burned_in import mr_series
from falx.surgery.dicom.identity import Identity
from falx.surgery.dicom.segmentation import segmentation_object
from falx.surgery.dicom.series import DonorSeries, onto_series
from falx.surgery.dicom.structure_set import structure_set

__all__ = ["hand_over"]

PRIVATE_FOLDER = 0o700


def hand_over(
    masks: Mapping[str, Image],
    donor: DonorSeries,
    out: Path,
    identity: Identity,
    *,
    burned_in: str | None = None,
) -> tuple[Path, ...]:
    """Write segmentation object, structure set, and the series with and without target.

    Parameters
    ----------
    masks
        Name to mask on any grid of the native T1w space.
    out
        Folder, made readable for its owner only.
    burned_in
        Name of the mask drawn into the series; the first if not given.

    Returns
    -------
    tuple of Path
        What was written: two files and two folders.
    """
    name = burned_in or next(iter(masks), "")
    if name not in masks:
        raise InputError(
            "there is no such mask to draw", found=repr(name), do=f"choose of {', '.join(masks)}"
        )
    arrived = {label: onto_series(mask, donor) for label, mask in masks.items()}
    out.mkdir(parents=True, exist_ok=True)
    out.chmod(PRIVATE_FOLDER)
    identity.announce()
    segmentation, structures = out / "segmentation.dcm", out / "structures.dcm"
    _write(segmentation_object(arrived, donor, identity), segmentation)
    _write(structure_set(arrived, donor, identity), structures)
    marked, plain = out / "t1w_with_target", out / "t1w_without_target"
    for folder, target, number in ((marked, arrived[name], 9003), (plain, None, 9004)):
        folder.mkdir(exist_ok=True)
        for stale in folder.glob("*.dcm"):
            stale.unlink()
        series = mr_series(donor, identity, target=target, series_number=number)
        for k, dataset in enumerate(series, start=1):
            _write(dataset, folder / f"{k:04d}.dcm")
    return segmentation, structures, marked, plain


def _write(dataset: Any, path: Path) -> None:
    with atomic_path(path) as temporary:
        dataset.save_as(temporary, enforce_file_format=True)
