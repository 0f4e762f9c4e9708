"""The maps of a sample, read into one table inside the mask that all of them share."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

from falx.atlas.atlas import Atlas
from falx.atlas.files import load_atlas
from falx.core.errors import InputError
from falx.core.grid import Grid, require_same
from falx.data.priors import ATLAS_FILE, DATA
from falx.images.nifti import load, load_mask, save
from falx.maps.design import check_groups, group_design
from falx.maps.group_maps import common_mask
from falx.maps.head_size import adjust_for_tiv, sample_homogeneity
from falx.maps.motion_correlation import motion_correlation
from falx.maps.sample import Sample, is_missing, read_rows, select_sample

__all__ = [
    "MapSample",
    "SampleArguments",
    "read_atlas",
    "read_maps",
    "sample_described",
    "save_volume",
]

SHIPPED_ATLAS = DATA / ATLAS_FILE
SHIPPED_LABELS = DATA / ATLAS_FILE.replace(".nii.gz", ".tsv")
LEAST_PEOPLE = 4
"""A slope through fewer is not worth a map."""


class SampleArguments(TypedDict):
    """Whose maps a stage reads, with which covariates, at which voxels.

    Parameters
    ----------
    maps, masks, metrics
        Inputs by subject: a map, the mask of its voxels, and JSON of what was measured beside
        it. One mask may serve for all; without any, voxels whose mean exceeds `least_value`
        are taken.
    participants
        Input: ``participants.tsv``.
    group_column
        Its column of groups.
    columns, measures
        Covariates of the participants table and of the metrics.
    head_size
        ``ancova``, ``proportional``, ``residual`` or ``none``; see
        :func:`falx.maps.head_size.adjust_for_tiv`.
    least_share
        Share of people whose mask must hold a voxel.
    """

    maps: Mapping[str, Path]
    masks: Mapping[str, Path] | Path | None
    metrics: Mapping[str, Path]
    participants: Path
    group_column: str
    columns: Sequence[str]
    measures: Sequence[str]
    head_size: str
    least_share: float
    least_value: float


@dataclass(frozen=True, eq=False)
class MapSample:
    """Maps inside their common mask, and what the model must hold.

    Parameters
    ----------
    sample
        The people, in the order of the rows.
    data
        Shape (n, V), head size accounted for where the maps themselves are adjusted.
    mask
        Shape (X, Y, Z), on `grid`.
    covariates
        Values by name, shape (n,) each; with intracranial volume where it is a covariate.
    mean_fd_mm
        Shape (n,): how much each moved; None for maps that no motion was measured for.
    """

    sample: Sample
    data: npt.NDArray[np.float32]
    mask: npt.NDArray[np.bool_]
    grid: Grid
    covariates: Mapping[str, npt.NDArray[np.float64]]
    mean_fd_mm: npt.NDArray[np.float64] | None


def read_atlas(atlas: Path | None, labels: Path | None) -> Atlas:
    """Read the atlas of the tables, the shipped structures if there is none."""
    return load_atlas(atlas or SHIPPED_ATLAS, labels if atlas else SHIPPED_LABELS)


def read_maps(given: SampleArguments, groups: Sequence[str], *, with_value: str = "") -> MapSample:
    """Select the people of some groups, read their maps and account for head size.

    Parameters
    ----------
    groups
        Entries of the column of groups that take part.
    with_value
        Column of the participants table without which a person is left out.

    Raises
    ------
    InputError
        If a group has fewer than two people, covariates are collinear, no voxel is covered,
        or intracranial volume is missing.
    GridError
        If maps lie on different grids.
    """
    rows = read_rows(given["participants"])
    measured = {
        subject: json.loads(path.read_text(encoding="utf-8"))
        for subject, path in given["metrics"].items()
    }
    sample = _chosen(given, tuple(groups), rows, measured, with_value)
    group_design(sample.groups, sample.covariates)  # sees what is collinear before any image
    data, mask, grid = _stack(sample.subjects, given)
    covariates = dict(sample.covariates)
    if given["head_size"] != "none":
        tiv = [measured[subject].get("tiv_ml") for subject in sample.subjects]
        if None in tiv:
            raise InputError("tiv_ml was not measured", do="choose none for head size")
        adjusted = adjust_for_tiv(data, np.array(tiv, dtype=float), given["head_size"])
        data = adjusted.maps
        if adjusted.covariate is not None:
            covariates["tiv_ml"] = adjusted.covariate
    return MapSample(sample, data, mask, grid, covariates, _moved(sample.subjects, measured))


def _moved(
    subjects: Sequence[str], measured: Mapping[str, Mapping[str, Any]]
) -> npt.NDArray[np.float64] | None:
    """Mean framewise displacement of everybody, mm, if it was measured in everybody."""
    found = [measured.get(subject, {}).get("mean_fd_mm") for subject in subjects]
    return None if None in found else np.array(found, dtype=np.float64)


def _chosen(
    given: SampleArguments,
    groups: tuple[str, ...],
    rows: Mapping[str, Mapping[str, str]],
    measured: Mapping[str, Mapping[str, Any]],
    with_value: str,
) -> Sample:
    """Select people, enough of them in every group or on a slope."""
    sample = select_sample(
        [
            s
            for s in given["maps"]
            if not with_value or not is_missing(rows.get(s, {}).get(with_value))
        ],
        rows,
        measured,
        group_column=given["group_column"],
        groups=groups,
        columns=given["columns"],
        measures=given["measures"],
    )
    if not with_value:
        check_groups(sample.groups, groups)
    elif len(sample.subjects) < LEAST_PEOPLE:
        raise InputError(
            "too few people have a value to regress on",
            where=with_value,
            found=len(sample.subjects),
            do="name a column of participants.tsv that holds numbers",
        )
    return sample


def _stack(
    subjects: Sequence[str], given: SampleArguments
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_], Grid]:
    """Read maps inside their common mask."""
    images = {s: load(given["maps"][s]) for s in subjects}
    masks, first = given["masks"], images[subjects[0]]
    for subject, image in images.items():
        require_same(f"sub-{subject}", image.grid, "the first map", first.grid)
    stack = np.stack([image.data for image in images.values()])
    if masks is None:
        mask = common_mask((stack.mean(axis=0) > given["least_value"])[None])
    elif isinstance(masks, Path):
        held_by_all = load_mask(masks)
        require_same("the analysis mask", held_by_all.grid, "the maps", first.grid)
        mask = common_mask(held_by_all.data[None])
    else:
        held = np.stack([load(masks[s]).data > 0.5 for s in subjects])
        mask = common_mask(held, least_share=given["least_share"])
    return stack[:, mask], mask, first.grid


def sample_described(stacked: MapSample) -> dict[str, Any]:
    """Who is in a sample and how alike their maps are, for a summary."""
    sample, moved = stacked.sample, stacked.mean_fd_mm
    alike = sample_homogeneity(stacked.data)
    return {
        "group_sizes": {name: sample.groups.count(name) for name in sample.names},
        "subjects": dict(zip(sample.subjects, sample.groups, strict=True)),
        "left_out": sample.left_out,
        "homogeneity_z": dict(zip(sample.subjects, alike.z, strict=True)),
        "odd_ones_out": [sample.subjects[k] for k in alike.outliers],
        # People who all moved alike, as in a simulation, leave no correlation to speak of.
        "motion": None
        if moved is None or np.ptp(moved) == 0
        else asdict(motion_correlation(stacked.data, moved)),
    }


def save_volume(
    path: Path, values: npt.NDArray[np.floating], stacked: MapSample, **sidecar: object
) -> None:
    """Write values of the mask's voxels as a volume, zero elsewhere."""
    volume = np.zeros(stacked.mask.shape, np.float32)
    volume[stacked.mask] = values
    save(path, volume, stacked.grid.affine, sidecar=sidecar)
