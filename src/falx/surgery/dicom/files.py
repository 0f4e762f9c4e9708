"""DICOM files in and out: a folder to images and to a series, products into a folder.

The file format is that of DICOM PS3.10 2024a.
"""

from __future__ import annotations

import gzip
import subprocess
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from falx.core.errors import InputError, notify
from falx.core.files import atomic_path, read_json, write_json
from falx.images.nifti import Image
from falx.surgery.dicom.burned_in import mr_series
from falx.surgery.dicom.completeness import Plane, Unreadable
from falx.surgery.dicom.converted_series import Converted, kept_fields, without_free_text
from falx.surgery.dicom.identity import Identity
from falx.surgery.dicom.segmentation import segmentation_object
from falx.surgery.dicom.series import DonorSeries, chosen_series, onto_series, series_grid
from falx.surgery.dicom.structure_set import structure_set

__all__ = ["convert", "hand_over", "read_series", "store", "survey", "temporary_folder"]

PRIVATE_FOLDER = 0o700


def convert(folder: Path, into: Path) -> tuple[Converted, ...]:
    """Convert every series below `folder` with dcm2niix into the folder `into`."""
    import dcm2niix

    if not folder.is_dir():
        raise InputError("the DICOM folder does not exist", where=folder, do="check the path")
    command = [dcm2niix.bin, "-b", "y", "-ba", "y", "-z", "n", "-f", "%s_%j", "-o", str(into)]
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=False)  # noqa: S603 - the wheel's own binary
    images = sorted(into.glob("*.nii"))
    if not images:
        said = (done.stdout + done.stderr).replace(str(folder), folder.name)
        last = said.strip().splitlines()[-1:]
        raise InputError(
            "no DICOM series could be converted",
            where=folder.name,
            found=last[0] if last else f"dcm2niix returned {done.returncode}",
            do="check that the folder holds whole series",
        )
    for line in dict.fromkeys((done.stdout + done.stderr).splitlines()):
        if line.startswith(("Warning:", "Error:")):
            said = line.partition(":")[2].strip().replace(str(folder), folder.name).rstrip(".")
            notify(f"dcm2niix warns: {said}", where=folder.name)
    return tuple(_converted(image) for image in images)


def survey(folder: Path) -> tuple[tuple[Plane, ...], tuple[Unreadable, ...]]:
    """Read where every slice below `folder` lies, and name files that are damaged.

    Files that are no DICOM at all are passed over, but for those that are empty or named like the
    DICOM files beside them: a slice of which the first bytes are left looks so.
    """
    planes: list[Plane] = []
    unreadable: list[Unreadable] = []
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    known = {path for path in paths if _is_dicom(path)}
    endings = {(path.parent, path.suffix.lower()) for path in known}
    for path in paths:
        if path.stat().st_size == 0:
            unreadable.append(Unreadable(path.name, "is empty"))
            continue
        if path not in known:
            if (path.parent, path.suffix.lower()) in endings:
                unreadable.append(Unreadable(path.name, "is no DICOM file"))
            continue
        try:
            planes += _planes(path)
        except Exception as error:  # noqa: BLE001 - whatever a library raises at damaged bytes
            unreadable.append(Unreadable(path.name, str(error) or type(error).__name__))
    return tuple(planes), tuple(unreadable)


def _is_dicom(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"


def _planes(path: Path) -> list[Plane]:
    """Return the planes of one file, one for each frame; none if it is no image."""
    import pydicom

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of values that break a rule, which many exports do
        data = pydicom.dcmread(path)
        if "Rows" not in data:
            if "Image" in data.file_meta.MediaStorageSOPClassUID.name:
                raise ValueError("it breaks off before its image")
            return []
        frames = int(data.get("NumberOfFrames", 1))
        places, spacings = _places(data, frames), _spacings(data, frames)
        return [
            Plane(
                series=str(data.get("SeriesInstanceUID", "")),
                number=str(data.get("SeriesNumber", "")),
                patient=f"{data.get('PatientID', '')}\0{data.get('PatientName', '')}",
                position_mm=position,
                orientation=orientation,
                instance=int(data.get("InstanceNumber") or 0) if frames == 1 else 0,
                expected=int(data.get("NumberOfSlices") or 0) if frames == 1 else 0,
                complete=_complete(data, frames),
                pixels=None if spacing is None else (int(data.Rows), int(data.Columns), *spacing),
            )
            for (position, orientation), spacing in zip(places, spacings, strict=True)
        ]


def _places(data: Any, frames: int) -> list[tuple[Any, Any]]:
    """Position and orientation of each frame, by PS3.3 C.7.6.2 or C.7.6.16.2."""
    each = data.get("PerFrameFunctionalGroupsSequence")
    if frames == 1 or not each:
        place = _values(data, "ImagePositionPatient"), _values(data, "ImageOrientationPatient")
        return [place] * frames
    shared = data.get("SharedFunctionalGroupsSequence") or [{}]
    found = []
    for item in each:
        position = _of_group("PlanePositionSequence", "ImagePositionPatient", item, shared[0])
        turn = _of_group("PlaneOrientationSequence", "ImageOrientationPatient", item, shared[0])
        found.append((position, turn))
    return found


def _spacings(data: Any, frames: int) -> list[tuple[float, ...] | None]:
    """Return the distance of rows and of columns of each frame, mm, by PS3.3 10.7.1.3."""
    each = data.get("PerFrameFunctionalGroupsSequence")
    if frames == 1 or not each:
        return [_values(data, "PixelSpacing")] * frames
    shared = data.get("SharedFunctionalGroupsSequence") or [{}]
    group = "PixelMeasuresSequence", "PixelSpacing"
    return [_of_group(*group, item, shared[0]) or _values(data, "PixelSpacing") for item in each]


def _of_group(sequence: str, name: str, *items: Any) -> tuple[float, ...] | None:
    groups = [item.get(sequence) for item in items]
    return next((_values(group[0], name) for group in groups if group), None)


def _values(data: Any, name: str) -> tuple[float, ...] | None:
    value = data.get(name)
    return tuple(float(v) for v in value) if value else None


def _complete(data: Any, frames: int) -> bool:
    """Whether all pixels are there; of a packed file only that there are any."""
    pixels = data.get("PixelData")
    if not pixels:
        return False
    if data.file_meta.TransferSyntaxUID.is_compressed:
        return True
    bits = int(data.Rows) * int(data.Columns) * frames * int(data.BitsAllocated)
    return len(pixels) * 8 >= bits * int(data.get("SamplesPerPixel", 1))


def _converted(image: Path) -> Converted:
    path = image.with_suffix(".json")
    full: dict[str, object] = read_json(path) if path.exists() else {}
    return Converted(
        image=str(image),
        number=str(full.get("SeriesNumber", "")),
        description=str(full.get("SeriesDescription", "")),
        sidecar=kept_fields(full),
    )


def store(series: Converted, path: Path, *, extra: Mapping[str, object] | None = None) -> None:
    """Write image and sidecar under a BIDS name; voxels and affine stay as converted.

    Free text of the header is emptied and extensions are dropped; equal input gives equal
    bytes.
    """
    content = without_free_text(Path(series.image).read_bytes())
    with (
        atomic_path(path) as temporary,
        temporary.open("wb") as raw,
        gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as stream,
    ):
        stream.write(content)
    write_json(path.with_name(path.name.removesuffix(".nii.gz") + ".json"),
               {**series.sidecar, **(extra or {})})  # fmt: skip


def temporary_folder() -> tempfile.TemporaryDirectory[str]:
    """Return a private folder for images on their way; it vanishes with its context."""
    return tempfile.TemporaryDirectory(prefix="falx-")


def read_series(folder: Path, *, series: str | None = None) -> DonorSeries:
    """Read the image series of a folder.

    Parameters
    ----------
    series
        Series number or description, where the folder holds several.

    Raises
    ------
    InputError
        If there is no series or a choice is needed, if slices are missing or doubled, if
        orientations or sizes are mixed, or if the series is an enhanced multi-frame object.
    """
    import pydicom

    if not folder.is_dir():
        raise InputError("the DICOM folder does not exist", where=folder, do="check the path")
    groups: dict[str, list[Any]] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            dataset = pydicom.dcmread(path)
        except (pydicom.errors.InvalidDicomError, EOFError):
            continue
        except Exception as error:
            raise InputError(
                "the file is damaged",
                where=path.name,
                found=str(error) or type(error).__name__,
                do="export the series again",
            ) from error
        if "PixelData" in dataset and "ImagePositionPatient" in dataset:
            groups.setdefault(str(dataset.SeriesInstanceUID), []).append(dataset)
        elif int(dataset.get("NumberOfFrames", 1)) > 1:
            raise InputError(
                "the series is an enhanced multi-frame object",
                where=path.name,
                do="export it as single frames, which navigation stations need as well",
            )
    return series_grid(chosen_series(groups, series, where=folder.name), where=folder.name)


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
