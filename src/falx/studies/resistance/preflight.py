"""What would end the study hours later, said before any work.

The design is made as the group level will make it (:mod:`falx.maps`), from the participants table
alone; headers and sidecars of the runs are read, no image.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import nibabel as nib

from falx.bids.query import Found
from falx.bold.run import check_repetition_time
from falx.bold.slice_timing import check_slice_times
from falx.core.errors import FalxError, InputError, collect_notices
from falx.core.participants import Participants
from falx.core.study import Images
from falx.maps.assumptions import LEAST_DOF
from falx.maps.design import group_design
from falx.maps.harmonise import LEAST_PEOPLE
from falx.maps.sample import encode, factor, select_sample, without_value
from falx.studies.resistance.configuration import ResistanceConfiguration
from falx.studies.resistance.steps import CONTRASTS

__all__ = ["check_design", "check_runs", "preflight"]

FEW = 5
"""So many people are named in a sentence."""

PREPROCESSED = ("space", "desc", "res")
"""Entities that a raw run never has."""


def preflight(
    people: Participants, images: Images, configuration: ResistanceConfiguration
) -> tuple[str, ...]:
    """Return a sentence for everything that will not do, none if all is well.

    Parameters
    ----------
    images
        By subject and role; of a subject without any, only the design is judged.
    """
    prepared = [s for s, found in images.items() if found.get("prepared") is not None]
    raw = {s: found.get("bold") for s, found in images.items() if s not in prepared}
    cat12 = [s for s, found in images.items() if found.get("cat12") is not None]
    return (
        *check_design(people, tuple(images), configuration),
        *_part_of_cat12(cat12, tuple(images)),
        *_mixed(len(prepared), sum(run is not None for run in raw.values())),
        *check_runs(raw, configuration),
    )


def _mixed(prepared: int, raw: int) -> Iterator[str]:
    if prepared and raw:
        yield (
            f"{prepared} preprocessed and {raw} raw runs: their maps lie on other grids and "
            "cannot be compared; preprocess all of them in one way, or take all raw runs with "
            "--no-bold-prepared"
        )


def _part_of_cat12(cat12: Sequence[str], subjects: Sequence[str]) -> Iterator[str]:
    others = [s for s in subjects if s not in cat12]
    if cat12 and others:
        yield (
            f"{len(cat12)} people have grey matter of CAT12 and {len(others)} have not "
            f"({_named(others)}): two programs segment differently, which would be compared; "
            "give CAT12's for everybody, or segment all here with --no-grey-prepared"
        )


def check_design(
    people: Participants, subjects: Collection[str], configuration: ResistanceConfiguration
) -> Iterator[str]:
    """Yield what is wrong with groups, covariates and the designs that follow from them."""
    groups = configuration.groups
    if not people.rows:
        yield "there is no participants.tsv, so nobody has a group: add it for the group level"
        return
    header = people.header(groups.group_column)
    if header is None:
        yield (
            f"participants.tsv has no column {groups.group_column!r} (found: "
            f"{', '.join(people.columns)}); name the column of groups with --groups-group-column"
        )
        return
    yield from _unknown(people, subjects)
    excluded = [s for s in subjects if people.excluded(s)]
    if excluded:
        yield f"excluded in participants.tsv: {_named(excluded)}"
        subjects = [s for s in subjects if s not in excluded]
    yield from _entries(people, subjects, configuration)
    said = tuple(_columns(people, subjects, configuration))
    yield from said
    yield from _contrasts(people, subjects, configuration, said)


def _unknown(people: Participants, subjects: Collection[str]) -> Iterator[str]:
    absent = [s for s in subjects if s not in people.rows]
    if absent:
        yield f"not in participants.tsv, so in no group: {_named(absent)}"
    without = [s for s in people.rows if s not in subjects]
    if without:
        yield f"in participants.tsv without images of their own: {_named(without)}"


def _entries(
    people: Participants, subjects: Collection[str], configuration: ResistanceConfiguration
) -> Iterator[str]:
    """Yield groups that are named and not in the table, and the reverse."""
    groups = configuration.groups
    held = [people.cell(s, groups.group_column) for s in subjects]
    known = sorted({entry for entry in held if entry is not None})
    for role in ("resistant", "sensitive", "controls"):
        name = getattr(groups, role)
        flag = f"--groups-{role}"
        if name and held.count(name) < 2:
            yield (
                f"the group of {role} people, {name!r}, has {held.count(name)} (found in "
                f"{groups.group_column}: {', '.join(known) or 'nothing'}); name its entry with "
                f"{flag}, or leave it out with {flag} ''"
            )
    for name in groups.others:
        if held.count(name) < 2 or groups.named.count(name) > 1:
            why = "is named twice" if groups.named.count(name) > 1 else f"has {held.count(name)}"
            yield (
                f"the further group {name!r} {why} (found in {groups.group_column}: "
                f"{', '.join(known) or 'nothing'}); change --groups-others"
            )
    foreign = [entry for entry in known if entry not in groups.named]
    if foreign:
        yield (
            f"people of no group that is compared: {', '.join(foreign)} (--groups-others names "
            "further groups)"
        )
    without = [s for s in subjects if people.cell(s, groups.group_column) is None]
    without = [s for s in without if s in people.rows]
    if without:
        yield f"no {groups.group_column} in participants.tsv: {_named(without)}"


def _columns(
    people: Participants, subjects: Collection[str], configuration: ResistanceConfiguration
) -> Iterator[str]:
    """Yield covariates, blocks, predictor and kinds that are absent, incomplete or no numbers."""
    groups = configuration.groups
    wanted = dict.fromkeys(groups.columns, "--groups-columns")
    wanted |= {groups.blocks: "--groups-blocks", groups.predictor: "--groups-predictor"}
    wanted |= {groups.subgroup_column: "--groups-subgroup-column", groups.site: "--groups-site"}
    compared = [s for s in subjects if people.cell(s, groups.group_column) in groups.named]
    for name, flag in wanted.items():
        if name and people.header(name) is None:
            yield (
                f"participants.tsv has no column {name!r} (found: {', '.join(people.columns)}); "
                f"add it, or change {flag}"
            )
    for name in filter(lambda n: people.header(n) is not None, groups.columns):
        lacking = list(without_value(compared, people, name))
        if lacking:
            yield f"no {name}, so left out of every contrast that needs it: {_named(lacking)}"
        cells = {s: people.cell(s, name) for s in compared if s not in lacking}
        yield from _said(lambda cells=cells, name=name: factor(name, cells))
    if groups.predictor and people.header(groups.predictor):
        cells = {s: people.cell(s, groups.predictor) for s in compared}
        some = {s: cell for s, cell in cells.items() if cell is not None}
        yield from _said(lambda: encode(groups.predictor, some))
    if groups.subgroup_column and people.header(groups.subgroup_column):
        kinds = {people.cell(s, groups.subgroup_column) for s in subjects}
        for role in ("temporal", "generalised"):
            kind = getattr(groups, role)
            if kind and kind not in kinds:
                yield (
                    f"nobody's {groups.subgroup_column} is {kind!r} (found: "
                    f"{', '.join(sorted(k for k in kinds if k))}); change --groups-{role}"
                )


def _contrasts(
    people: Participants,
    subjects: Collection[str],
    configuration: ResistanceConfiguration,
    said: Collection[str],
) -> Iterator[str]:
    """Yield designs that cannot be computed: collinear, or with too few degrees of freedom."""
    groups = configuration.groups
    named = (*groups.columns, *filter(None, [groups.blocks, groups.site]))
    if any(people.header(name) is None for name in named):
        return  # said already
    roles = [tuple(filter(None, (getattr(groups, r) for r in pair))) for pair in CONTRASTS]
    for names in (*roles, *groups.further_pairs):
        held = [people.cell(s, groups.group_column) for s in subjects]
        if len(names) < 2 or any(held.count(name) < 2 for name in names):
            continue
        title = " - ".join(names)
        try:
            with collect_notices():
                sample = select_sample(subjects, people, {}, selection=groups, groups=names)
            design = group_design(sample.groups, sample.covariates)
        except FalxError as error:
            if not any(str(error) == sentence for sentence in said):
                yield f"{title}: {error}"
            continue
        if groups.harmonise != "none" and sample.sites is not None:
            small = [n for n in sorted(set(sample.sites)) if sample.sites.count(n) < LEAST_PEOPLE]
            if small:
                yield f"{title}: too few people to harmonise the sites {', '.join(small)}"
        measured = max(len(configuration.reho.measures), len(configuration.grey.measures) + 1)
        if design.dof - measured < LEAST_DOF:
            yield (
                f"{title}: too few degrees of freedom are left for a map ({len(sample.groups)} "
                f"people, columns {', '.join(design.names)} and {measured} measured); compare "
                "more people or use fewer covariates"
            )


def check_runs(
    runs: Mapping[str, Found | None], configuration: ResistanceConfiguration
) -> Iterator[str]:
    """Yield what headers and sidecars of the resting runs lack or contradict."""
    times_s: dict[str, float] = {}
    for subject, run in runs.items():
        if run is None:
            continue
        where = f"sub-{subject}, {run.path.name}"
        entities = run.file.name.entities if run.file is not None else {}
        if any(key in entities for key in PREPROCESSED):
            yield (
                f"{where}: the run was preprocessed by another program "
                f"({', '.join(k for k in PREPROCESSED if k in entities)} in its name) and would "
                "be preprocessed again; give the raw run, or --filter it out"
            )
        try:
            times_s[subject] = _check_run(run, configuration)
        except FalxError as error:
            yield f"{where}: {error}"
        except (OSError, nib.filebasedimages.ImageFileError) as error:
            yield f"{where}: cannot be read ({error})"
    usual = sorted(times_s.values())[len(times_s) // 2] if times_s else math.nan
    odd = [s for s, time_s in times_s.items() if not math.isclose(time_s, usual, rel_tol=0.01)]
    if odd:
        yield (
            f"repetition times differ: {usual:g} s in most, another in {_named(odd)}; ReHo "
            "depends on it, so compare groups of one protocol, or make it a covariate"
        )


def _check_run(run: Found, configuration: ResistanceConfiguration) -> float:
    """Return the repetition time, s, or raise with what is wrong."""
    header: Any = nib.load(run.path).header
    shape = header.get_data_shape()
    if len(shape) != 4:
        raise InputError(
            "the resting run is no series of volumes",
            found=f"shape {shape}",
            do="export it as one image with time",
        )
    volumes, dropped = shape[3], configuration.bold.dropped_volumes
    if volumes - dropped < configuration.bold.least_volumes:
        raise InputError(
            "the run is too short",
            found=f"{volumes} volumes, {max(volumes - dropped, 0)} after dropping {dropped}",
            do=f"{configuration.bold.least_volumes} are needed (--bold-least-volumes)",
        )
    sidecar: Mapping[str, Any] = {}
    if run.index is not None and run.file is not None:
        sidecar = run.index.sidecar(run.file)
    stated = header.get_zooms()[3] / (1000 if header.get_xyzt_units()[1] == "msec" else 1)
    time_s = check_repetition_time(float(stated), sidecar.get("RepetitionTime"))
    if configuration.bold.slice_timing:
        times = sidecar.get("SliceTiming")
        if times is None:
            raise InputError(
                "slice times are not known, so slice timing will be left out",
                do="add SliceTiming to the sidecar, or say --no-bold-slice-timing",
            )
        axis = "ijk".index(str(sidecar.get("SliceEncodingDirection", "k"))[0])
        check_slice_times(times, shape[axis], time_s)
    return time_s


def _said(attempt: Any) -> Iterator[str]:
    """Yield the sentence with which something fails."""
    try:
        attempt()
    except FalxError as error:
        yield str(error)


def _named(subjects: Sequence[str]) -> str:
    shown = ", ".join(f"sub-{s}" for s in subjects[:FEW])
    return shown if len(subjects) <= FEW else f"{shown} and {len(subjects) - FEW} more"
