"""Files of the anatomy: segmentation, coregistration and grey-matter volume as stages."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from falx.anatomy.cat12 import ReportedVolumes, read_volumes
from falx.anatomy.head import GivenLabels, segment_head
from falx.anatomy.metrics import GreyMetrics, HandPlacement, coregistration_metrics
from falx.anatomy.morphometry import GreySettings, intracranial_volume_ml, modulated
from falx.anatomy.registration.coregistration import Placement, coregister, surroundings
from falx.anatomy.segmentation.result import Segmentation
from falx.anatomy.settings import SegmentationSettings
from falx.core.errors import InputError, collect_notices, notify
from falx.core.files import read_json, read_record, read_text, write_json
from falx.core.grid import Grid, normalisation_grid, require_same
from falx.core.possible import Possible
from falx.core.records import plain
from falx.images.nifti import Image, load, load_labels, load_mask, save
from falx.images.resample import resample
from falx.images.smooth import smooth
from falx.images.warp import CoordinateMap, load_map, save_map

__all__ = [
    "AnatomyFiles",
    "CoregisterFiles",
    "GreyVolumeFiles",
    "anatomy_stage",
    "coregister_stage",
    "greedy",
    "grey_volume_stage",
    "load_matrix",
]


@dataclass(frozen=True)
class AnatomyFiles:
    """Files of :func:`anatomy_stage`.

    Parameters
    ----------
    t1w
        Input: T1-weighted image.
    structures_in
        Input, optional: label volume of FreeSurfer, FastSurfer, SynthSeg or ``segmentHA_T1``,
        preferred over the built-in structures where it has labels.
    corrected
        Output: bias-corrected T1w, RAS+.
    gm, wm, csf, brain_mask
        Outputs: probabilities and mask on the same grid.
    structures
        Output: FreeSurfer numbers on the same grid, with skull (165) and head (258).
    to_template, to_native
        Outputs: coordinate maps, see :func:`falx.images.warp.save_map`.
    metrics
        Output: :class:`falx.anatomy.metrics.AnatomyMetrics`.
    """

    t1w: Path
    structures_in: Path | None
    corrected: Path
    gm: Path
    wm: Path
    csf: Path
    brain_mask: Path
    structures: Path
    to_template: Path
    to_native: Path
    metrics: Path


def anatomy_stage(files: AnatomyFiles, settings: SegmentationSettings, *, threads: int) -> None:
    """Segment one head and write everything that other stages need."""
    given = None
    with collect_notices() as notices:
        image = load(files.t1w)
        if files.structures_in is not None:
            given = GivenLabels(load_labels(files.structures_in), files.structures_in.name)
        found = segment_head(
            image, settings, given=given, where=files.t1w.name, register=greedy, threads=threads
        )
    _save_segmentation(files, found.segmentation, found.labels)
    write_json(files.metrics, replace(found.metrics, notices=tuple(notices)).as_json())


def _save_segmentation(
    files: AnatomyFiles, result: Segmentation, labels: npt.NDArray[np.integer]
) -> None:
    about = {"SpatialReference": "orig"}  # the grid of the T1w; the engine names the sources
    affine = result.grid.affine
    whole = {**about, "SkullStripped": False, "Description": "T1w image without its bias field"}
    save(files.corrected, result.corrected, affine, sidecar=whole)
    for path, data, kind, what in (
        (files.gm, result.gm, "Probability", "probability of grey matter"),
        (files.wm, result.wm, "Probability", "probability of white matter"),
        (files.csf, result.csf, "Probability", "probability of cerebrospinal fluid"),
        (files.brain_mask, result.brain_mask, "Brain", "mask of the brain"),
        (files.structures, labels, "Segmentation", "structures, by FreeSurfer's numbers"),
    ):
        share = Possible(0, 1) if kind == "Probability" else None
        sidecar = {**about, "Type": kind, "Description": what}
        save(path, data, affine, sidecar=sidecar, possible=share)
    save_map(files.to_template, result.to_template)
    save_map(files.to_native, result.to_native)


@dataclass(frozen=True)
class CoregisterFiles:
    """Files of :func:`coregister_stage`.

    Parameters
    ----------
    fixed
        Input: T1w image.
    fixed_mask
        Input, optional: brain mask on the T1w grid.
    moving
        Input: PET, FLAIR or post-operative T1w, on its own grid; frames are averaged.
    matrix
        Output: :class:`falx.anatomy.metrics.CoregistrationMetrics`.
    nudge
        Input, optional: :class:`falx.anatomy.metrics.HandPlacement` of the moving image.
    """

    fixed: Path
    fixed_mask: Path | None
    moving: Path
    matrix: Path
    nudge: Path | None = None


def coregister_stage(files: CoregisterFiles, *, threads: int = 1) -> None:
    """Coregister an image of the same head to the pre-operative T1w, rigidly."""
    where = files.moving.name
    with collect_notices() as notices:
        target = load(files.fixed)
        mask = None if files.fixed_mask is None else load_mask(files.fixed_mask)
        if mask is not None:
            require_same("brain mask", mask.grid, "T1w", target.grid)
        placement, placed = None, ""
        if files.nudge is not None:
            placement, placed = _placement(files.nudge, files.moving)
        found = coregister(
            target,
            load_still(files.moving),
            mask=None if mask is None else surroundings(mask),
            placement=placement,
            threads=threads,
            where=where,
        )
        if found.nmi_after < found.nmi_before:
            notify("coregistration did not improve on the headers", where=where)
    by_hand = "" if placement is None else "start" if placement.refine else "result"
    made = coregistration_metrics(found, notices, by_hand=by_hand, placed=placed)
    write_json(files.matrix, plain(made))


def _placement(path: Path, moving: Path) -> tuple[Placement, str]:
    """Read where the moving image was put by hand, and when; say so."""
    asked = read_record(HandPlacement, path)
    with moving.open("rb") as stream:
        digest = hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=32)).hexdigest()
    if digest != asked.image_blake2b:
        raise InputError(
            "the image is another one than that which was placed by hand", where=moving.name,
            do=f"place it again on the desk, or delete {path.name}",
        )  # fmt: skip
    what = (
        "begins where it was placed by hand" if asked.refine else "is that of a placement by hand"
    )
    notify(f"the coregistration {what}, {asked.decided[:10]}", where=moving.name)
    return Placement(np.array(asked.matrix), asked.refine), asked.decided


def load_matrix(path: Path | None) -> npt.NDArray[np.float64]:
    """Matrix written by :func:`coregister_stage`, shape (4, 4); the identity if there is none."""
    if path is None:
        return np.eye(4)
    content = read_json(path)
    try:
        matrix = np.array(content["matrix"], dtype=np.float64)
    except (KeyError, TypeError, ValueError):
        matrix = np.zeros(0)
    if matrix.shape != (4, 4) or not np.all(np.isfinite(matrix)):
        raise InputError(
            "the file holds no 4×4 matrix",
            where=Path(path).name,
            do="remove the file, and run the coregistration again",
        )
    return matrix


def load_still(path: Path, *, copied: bool = True) -> Image:
    """Read an image; the frames of a dynamic one are averaged, which is enough to align it.

    Parameters
    ----------
    copied
        See :func:`falx.core.grid.reorient_to_ras`.
    """
    try:
        return load(path, copied=copied)
    except InputError as error:
        if "3D image is needed" not in str(error):
            raise
    image = load(path, ndim=4)
    notify(
        "frames were averaged for coregistration",
        where=path.name,
        found=f"{image.data.shape[3]} frames",
    )
    return Image(image.data.mean(axis=3), image.affine)


@dataclass(frozen=True)
class GreyVolumeFiles:
    """Files of :func:`grey_volume_stage`.

    Parameters
    ----------
    gm, wm, csf
        Inputs: tissue fractions on the T1w grid.
    to_native
        Input: coordinate map, template grid → T1w mm.
    volume, smoothed
        Outputs in template space: grey-matter volume as a share of the voxel, and smoothed.
    metrics
        Output: :class:`falx.anatomy.metrics.GreyMetrics`.
    cat12, cat12_report
        Input, if there is one: grey matter that CAT12 has modulated, and its report, taken
        instead.
    """

    gm: Path
    wm: Path
    csf: Path
    to_native: Path
    volume: Path
    smoothed: Path
    metrics: Path
    cat12: Path | None = None
    cat12_report: Path | None = None


def grey_volume_stage(files: GreyVolumeFiles, settings: GreySettings, *, threads: int = 1) -> None:
    """Bring grey matter to template space, keeping its amount, and smooth it."""
    grid = normalisation_grid(settings.voxel_mm)
    with collect_notices() as notices:
        tissues = [load(path) for path in (files.gm, files.wm, files.csf)]
        for name, other in zip(("white matter", "CSF"), tissues[1:], strict=True):
            require_same("grey matter", tissues[0].grid, name, other.grid)
        volumes = _volumes(tissues)
        if files.cat12 is not None:
            values, volumes = _of_cat12(files.cat12, files.cat12_report, settings, volumes)
        else:
            to_native = load_map(files.to_native)
            values = modulated(
                tissues[0], to_native, grid, modulate=settings.modulate, threads=threads
            )
        blurred = smooth(values, grid.voxel_sizes_mm, settings.smoothing_fwhm_mm)
    save(files.volume, values, grid.affine)
    save(files.smoothed, blurred, grid.affine)
    template_ml = float(values.sum(dtype=np.float64)) * grid.voxel_volume_mm3 / 1e3
    found = _grey_metrics(volumes, template_ml, settings, notices)
    write_json(files.metrics, plain(found))


def _of_cat12(
    path: Path, report: Path | None, settings: GreySettings, own: ReportedVolumes
) -> tuple[npt.NDArray[np.float32], ReportedVolumes]:
    """Grey matter that CAT12 has modulated, on the grid of the maps, and volumes of the head."""
    image = load(path)
    if not settings.modulate:
        raise InputError(
            "the grey matter of CAT12 is modulated, and a concentration is asked for",
            where=path.name,
            do="leave out --no-grey-modulate, or say --no-grey-prepared",
        )
    if not (np.isfinite(image.data).all() and image.data.min() >= 0 and image.data.max() > 0):
        raise InputError(
            "this is no modulated grey matter",
            where=path.name,
            found=f"values {np.nanmin(image.data):.3g} to {np.nanmax(image.data):.3g}",
            do="give mwp1*.nii as CAT12 wrote it, or say --no-grey-prepared",
        )
    values = resample(image, normalisation_grid(settings.voxel_mm)).astype(np.float32)
    before_ml = float(image.data.sum(dtype=np.float64)) * image.grid.voxel_volume_mm3 / 1e3
    told = "the table of volumes is that of its report"
    if report is None:
        told = "it has no report beside it, so head size is Falx's own"
    notify(
        "grey matter is that of CAT12, not segmented here",
        where=path.name,
        found=f"{before_ml:.0f} mL in the template; {told}",
    )
    return values, own if report is None else read_volumes(read_text(report), where=report.name)


def _volumes(tissues: Sequence[Image]) -> ReportedVolumes:
    """Volumes of grey matter, white matter and CSF, and their sum, mL."""
    ml = tissues[0].grid.voxel_volume_mm3 / 1000.0
    parts = (float(t.data.sum(dtype=np.float64)) * ml for t in tissues)
    return ReportedVolumes(intracranial_volume_ml(*tissues), *parts)


def _grey_metrics(
    volumes: ReportedVolumes, template_ml: float, settings: GreySettings, notices: Sequence[str]
) -> GreyMetrics:
    return GreyMetrics(
        **vars(volumes),
        template_gm_ml=template_ml,
        modulated=settings.modulate,
        smoothing_fwhm_mm=settings.smoothing_fwhm_mm,
        notices=tuple(notices),
    )


GREEDY = "-m SSD -s 1.2vox 0.5vox -n 60x40x20"
"""Options of picsl-greedy: metric, smoothing of the steps, iterations by level."""


def greedy(
    fixed: Sequence[npt.NDArray[np.float32]],
    moving: Sequence[npt.NDArray[np.float32]],
    grid: Grid,
    threads: int,
) -> tuple[CoordinateMap, CoordinateMap]:
    """Deformation of fixed maps onto moving ones and its inverse, by picsl-greedy.

    The registration that :func:`falx.anatomy.refinement.refine` takes; maps have the shape
    (X, Y, Z) of `grid`.

    Raises
    ------
    InputError
        If picsl-greedy is not installed, or fails.
    """
    if find_spec("picsl_greedy") is None:
        raise InputError(
            "refinement needs picsl-greedy", do="install it with: pip install 'falx[refine]'"
        )
    with tempfile.TemporaryDirectory() as folder:
        return _greedy(fixed, moving, grid, Path(folder), threads)


def _greedy(
    fixed: Sequence[npt.NDArray[np.float32]],
    moving: Sequence[npt.NDArray[np.float32]],
    grid: Grid,
    folder: Path,
    threads: int,
) -> tuple[CoordinateMap, CoordinateMap]:
    pairs = []
    for n, (f, m) in enumerate(zip(fixed, moving, strict=True)):
        save(folder / f"f{n}.nii", f, grid.affine)
        save(folder / f"m{n}.nii", m, grid.affine)
        pairs.append(f"-i {folder}/f{n}.nii {folder}/m{n}.nii")
    warp, inverse = folder / "warp.nii.gz", folder / "inverse.nii.gz"
    _run(f"-d 3 -threads {threads} {' '.join(pairs)} {GREEDY} -o {warp} -oinv {inverse}")
    return _coordinates(warp, grid, folder), _coordinates(inverse, grid, folder)


def _coordinates(warp: Path, grid: Grid, folder: Path) -> CoordinateMap:
    """Push the coordinates through a warp, which frees them of its sign convention."""
    moved = np.empty((*grid.shape, 3), dtype=np.float32)
    pushed = []
    for axis in range(3):
        save(folder / f"x{axis}.nii", grid.centres_mm()[..., axis], grid.affine)
        pushed.append(f"-rm {folder}/x{axis}.nii {folder}/y{axis}.nii")
    _run(f"-d 3 -rf {folder}/x0.nii -ri LINEAR {' '.join(pushed)} -r {warp}")
    for axis in range(3):
        moved[..., axis] = load(folder / f"y{axis}.nii").data
    # Greedy reads zeros beyond the border; there the border's neighbours hold.
    inner = (slice(3, -3),) * 3
    affine = grid.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ np.full(3, 3.0)
    held = CoordinateMap(moved[inner], affine)
    return CoordinateMap(held.on(grid), grid.affine)


def _run(command: str) -> None:
    """Run greedy in a process of its own: its C++ layer writes past Python's output."""
    call = "import sys, picsl_greedy; picsl_greedy.Greedy3D().execute(sys.argv[1])"
    done = subprocess.run(  # noqa: S603 - our own interpreter and options
        [sys.executable, "-c", call, command], check=False, capture_output=True, text=True
    )
    if done.returncode != 0:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise InputError("the refinement failed", found=" ".join(last), do="run without it")
