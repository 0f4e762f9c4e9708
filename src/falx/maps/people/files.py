"""Files in, files out for the people of a comparison: their maps read, and kept for a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from falx.core.files import atomic_path, read_json, read_participants
from falx.core.grid import Grid, require_same
from falx.core.participants import Participants
from falx.images.nifti import load, load_mask
from falx.maps.design import check_groups, group_design
from falx.maps.group_maps import common_mask
from falx.maps.map_sample import MapSample, adjusted_sample, harmonised
from falx.maps.people.person_maps import Coded, PersonMaps
from falx.maps.sample import Measured, Sample, left_out_by_hand, select_sample
from falx.maps.settings import SampleSettings

__all__ = [
    "SampleFiles",
    "chosen_sample",
    "measured_of",
    "read_maps",
    "read_person_maps",
    "read_sample",
    "write_person_maps",
]


@dataclass(frozen=True)
class SampleFiles:
    """Whose maps a stage reads.

    Parameters
    ----------
    maps, masks, metrics
        Inputs by subject: a map, the mask of its voxels, and JSON of what was measured beside
        it. One mask may serve for all; without any, voxels whose mean exceeds ``least_value``
        are taken.
    participants
        Input: ``participants.tsv``.
    decisions
        Input: table of who was left out by hand, if there is one.
    """

    maps: Mapping[str, Path]
    masks: Mapping[str, Path] | Path | None
    metrics: Mapping[str, Path]
    participants: Path
    decisions: Path | None = field(default=None, kw_only=True)


def read_maps(
    files: SampleFiles,
    settings: SampleSettings,
    people: Participants,
    groups: Sequence[str],
    *,
    out: Mapping[str, str] | None = None,
) -> MapSample:
    """Select the people of some groups, read their maps and account for head size.

    Parameters
    ----------
    groups
        Entries of the column of groups that take part.
    out
        Subject to reason, of people who are left out beforehand.

    Raises
    ------
    InputError
        If a group has fewer than two people, covariates are collinear, no voxel is covered,
        or intracranial volume is missing.
    GridError
        If maps lie on different grids.
    """
    measured = measured_of(files)
    sample = chosen_sample(files, settings, people, groups, measured, out)
    check_groups(sample.groups, groups)
    return read_sample(files, settings, sample, measured)


def measured_of(files: SampleFiles) -> dict[str, Measured]:
    """Read what was measured of everybody beside the map."""
    return {subject: Measured.of(read_json(path)) for subject, path in files.metrics.items()}


def chosen_sample(
    files: SampleFiles,
    settings: SampleSettings,
    people: Participants,
    groups: Sequence[str],
    measured: Mapping[str, Measured],
    out: Mapping[str, str] | None,
) -> Sample:
    """Choose the people of some groups, without those left out by hand or beforehand (`out`)."""
    by_hand = {}
    if files.decisions is not None:
        by_hand = left_out_by_hand(read_participants(files.decisions))
    return select_sample(
        files.maps,
        people,
        measured,
        selection=settings,
        groups=tuple(groups),
        measures=settings.measures,
        already_out={**by_hand, **(out or {})},
    )


def read_sample(
    files: SampleFiles,
    settings: SampleSettings,
    sample: Sample,
    measured: Mapping[str, Measured],
) -> MapSample:
    """Read the maps of chosen people inside their common mask."""
    group_design(sample.groups, sample.covariates)  # sees what is collinear before any image
    images = {s: load(files.maps[s]) for s in sample.subjects}
    first = images[sample.subjects[0]]
    for subject, image in images.items():
        require_same(f"sub-{subject}", image.grid, "the first map", first.grid)
    stack = np.stack([image.data for image in images.values()])
    if files.masks is None:
        mask = common_mask((stack.mean(axis=0) > settings.least_value)[None])
    elif isinstance(files.masks, Path):
        held_by_all = load_mask(files.masks)
        require_same("the analysis mask", held_by_all.grid, "the maps", first.grid)
        mask = common_mask(held_by_all.data[None])
    else:
        mask = common_mask(np.stack([load(files.masks[s]).data > 0.5 for s in sample.subjects]))
    found = adjusted_sample(sample, stack, mask, first.grid, measured, settings.head_size)
    return harmonised(found, settings.site, settings.harmonise)


def write_person_maps(path: Path, found: PersonMaps) -> None:
    """Write everybody's values as arrays (npz); equal input gives equal bytes."""
    codes = found.coded
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(
            stream,
            people=np.array(found.people),
            groups=np.array(found.groups),
            affine=found.grid.affine,
            mask=found.mask,
            codes=codes.codes,
            low=codes.low,
            step=codes.step,
            adjust=found.adjust,
        )


def read_person_maps(path: Path) -> PersonMaps:
    """Read what :func:`write_person_maps` wrote."""
    with np.load(path, allow_pickle=False) as held:
        mask = held["mask"]
        x, y, z = mask.shape
        return PersonMaps(
            tuple(held["people"].tolist()),
            tuple(held["groups"].tolist()),
            Grid((x, y, z), held["affine"]),
            mask,
            Coded(held["codes"], held["low"], held["step"]),
            held["adjust"],
        )
