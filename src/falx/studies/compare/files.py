"""A table of maps in, a folder of results out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from falx.core.errors import FalxError, InputError, collect_notices, notify
from falx.core.files import (
    read_participants,
    read_record,
    read_table,
    write_table,
    write_text,
)
from falx.core.grid import require_same
from falx.core.participants import Participants
from falx.core.tables import rows_as
from falx.data.priors import template
from falx.images.nifti import Image, load, load_mask, save
from falx.images.resample import sample as sample_at
from falx.maps.cluster_table import ClusterRow, EffectRow
from falx.maps.cluster_values import ClusterValue
from falx.maps.files import FFiles, Pair, TFiles, anova_stage, group_map_stage
from falx.maps.group_summary import FSummary, TSummary
from falx.maps.people.files import read_person_maps
from falx.maps.sample import left_out_by_hand
from falx.maps.settings import InferenceOptions, Listing, SampleSettings
from falx.report.page import Section
from falx.studies.compare.configuration import CompareConfiguration
from falx.studies.compare.live import group_live_page
from falx.studies.compare.page import ComparisonContent, comparison_sections
from falx.studies.compare.questions import Question, questions_of
from falx.studies.compare.sections import MapContent
from falx.studies.methods.study_text import call_text, methods_section, methods_texts

__all__ = ["compare_maps", "map_content"]

LEAST_INSIDE = 0.75
"""Share of the compared voxels in the template's brain from which on names are trusted."""


def map_content(
    title: str,
    image: Path,
    *,
    table: Path,
    summary: Path,
    values: Path | None,
    person_maps: Path,
    slope: bool = False,
    name: str = "",
    folder: str = "group/",
) -> MapContent:
    """Read a map of t, or of F where there are no values of people, for its section."""
    rows = read_table(table)
    shown = partial(MapContent, title, image=load(image), people=read_person_maps(person_maps))
    if values is None:
        found = read_record(FSummary, summary)
        return shown(found, rows_as(EffectRow, rows), table=table.stem, name=name, folder=folder)
    return shown(
        read_record(TSummary, summary),
        rows_as(ClusterRow, rows),
        table=table.stem,
        name=name,
        folder=folder,
        values=rows_as(ClusterValue, read_table(values)),
        slope=slope,
    )


def compare_maps(
    table: Path,
    choices: CompareConfiguration,
    contrasts: Sequence[Sequence[str]],
    out: Path,
    *,
    threads: int = 1,
) -> Path:
    """Compare the maps that a table lists, and return the page.

    Parameters
    ----------
    table
        TSV: ``participant_id``, the map's file, the group, and covariates.
    contrasts
        Pairs of groups; every pair, and F of three groups or more, if none.
    out
        Folder; made.

    Raises
    ------
    InputError
        If a column or file is missing, or no comparison could be computed.
    """
    people = read_participants(table)
    for column in (choices.map_column, choices.group_column, *choices.columns):
        if people.header(column) is None:
            raise InputError(
                "the table of maps lacks a column", where=table.name, found=column,
                do=f"name one of its own: {', '.join(people.columns)}",
            )  # fmt: skip
    maps, without = _maps(table, people, choices.map_column)
    groups = {subject: people.cell(subject, choices.group_column) for subject in maps}
    asked = questions_of(groups, contrasts)
    compared = {name for question in asked for name in question.groups}
    out.mkdir(parents=True, exist_ok=True)
    mask = out / "mask.nii.gz"
    with collect_notices() as notices:
        apart = _left_out(people, choices.decisions)
        those = {s: p for s, p in maps.items() if groups[s] in compared and s not in apart}
        _write_mask(those, choices.mask, mask, given_atlas=choices.atlas is not None)
    shown, broken = {}, {}
    for question in asked:
        try:
            shown[question] = _answer(question, table, maps, mask, choices, out, threads)
        except FalxError as error:
            broken[question] = str(error)
    if not shown:
        raise InputError(
            "no comparison could be computed",
            found="; ".join(dict.fromkeys(broken.values())),
            do="mend what these reasons name",
        )
    label = "; ".join(" − ".join(question.groups) for question in shown)
    text = call_text("compare_maps", [choices], label=label)
    for name, written in methods_texts(text).items():
        write_text(out / name, written)
    content = ComparisonContent(choices.measure, shown, broken, without, tuple(notices))
    return _write_page(out, content, methods_section(text))


def _left_out(people: Participants, decisions: Path | None) -> set[str]:
    """Return whom the column ``exclude`` or a table of decisions leaves out.

    Their maps shape no mask; the reasons stand in every summary.
    """
    excluded = {subject for subject in people.rows if people.excluded(subject)}
    if decisions is None:
        return excluded
    by_hand = left_out_by_hand(read_participants(decisions))
    unknown = [f"sub-{subject}" for subject in by_hand if subject not in people.rows]
    if unknown:
        notify(
            "the table of decisions leaves out people whom the table of maps does not have",
            where=decisions.name,
            found=", ".join(unknown),
            do="check their names",
        )
    return excluded | set(by_hand)


def _maps(
    table: Path, people: Participants, column: str
) -> tuple[dict[str, Path], dict[str, str]]:
    """Return the file of everybody who has one, and why the others have none."""
    maps, without = {}, {}
    for subject in people.rows:
        cell = people.cell(subject, column)
        if cell is None:
            without[subject] = f"no {column} in the table"
            continue
        path = table.parent / cell
        if not path.is_file():
            raise InputError(
                "a map that the table lists is not there",
                where=f"{table.name}, {subject}",
                found=cell,
                do="write paths as seen from the folder of the table, or whole ones; n/a leaves "
                "somebody out",
            )
        maps[subject] = path
    return maps, without


def _write_mask(
    maps: Mapping[str, Path], given: Path | None, path: Path, *, given_atlas: bool
) -> None:
    """Write the voxels that are compared."""
    held: npt.NDArray[np.bool_] | None = None if given is None else load_mask(given).data
    first, seen = None, dict[bytes, str]()
    for subject, source in maps.items():
        image = load(source)
        if first is None:
            first = image.grid
            if given is not None:
                require_same("the mask", load_mask(given).grid, f"the map of {subject}", first)
        require_same(f"the map of {subject}", image.grid, "the first map", first)
        other = seen.setdefault(hashlib.sha256(image.data.tobytes()).digest(), subject)
        if other != subject:
            raise InputError(
                "two people have one and the same map, which would count twice",
                found=f"{other} and {subject}",
                do="leave one of them out (n/a), or name the right file",
            )
        finite = np.isfinite(image.data)
        if not (finite & (image.data != 0)).any():
            raise InputError(
                "a map holds nothing: no value is finite and not 0",
                where=source.name,
                found=f"the map of {subject}",
                do="make the map again, or leave the person out (n/a in the table)",
            )
        inside = finite if given is not None else finite & (image.data != 0)
        held = inside if held is None else held & inside
    if first is None or held is None or not held.any():
        raise InputError(
            "no voxel is finite in the maps of everybody" + ("" if given else ", and not 0"),
            found=f"{len(maps)} maps",
            do="look at the maps, or give a mask (--mask)",
        )
    save(path, held, first.affine)
    _tell_of_space(Image(held, first.affine), given_atlas)


def _tell_of_space(mask: Image, given_atlas: bool) -> None:
    """Notify where the voxels do not lie in the brain of the template that names regions."""
    points = mask.grid.centres_mm()[mask.data]
    inside = float((sample_at(template("brain"), points, how="nearest") > 0).mean())
    if inside < LEAST_INSIDE and not given_atlas:
        notify(
            "the maps do not seem to lie in template space (MNI152NLin2009cAsym)",
            found=f"{100 * inside:.0f} % of the compared voxels lie in its brain",
            do="trust no name of a region and no outline in the pictures; normalise the maps, "
            "give a mask of the brain (--mask), or an atlas in their space (--atlas)",
        )


def _answer(
    question: Question,
    table: Path,
    maps: Mapping[str, Path],
    mask: Path,
    choices: CompareConfiguration,
    out: Path,
    threads: int,
) -> MapContent:
    """Compute one map and read it back for the page."""

    def own(end: str) -> Path:
        return out / f"{question.name}_{end}"

    common: dict[str, Any] = {
        "maps": maps, "masks": mask, "metrics": {}, "participants": table,
        "decisions": choices.decisions,
        "atlas": choices.atlas, "atlas_labels": choices.atlas_labels,
        "table": own("clusters.tsv"), "table_latex": own("clusters.tex"),
        "table_html": own("clusters.html"), "summary": own("summary.json"),
        "person_maps": own("people.npz"),
    }  # fmt: skip
    sample = SampleSettings(
        **{name: getattr(choices, name) for name in _SAMPLE}, head_size="none", measures=()
    )
    told: dict[str, Any] = {"title": choices.measure, "seed": choices.seed, "threads": threads}
    options = InferenceOptions(**{name: getattr(choices, name) for name in _INFERENCE})
    content = partial(
        map_content, choices.measure, table=own("clusters.tsv"), summary=own("summary.json"),
        person_maps=own("people.npz"), name=question.name, folder="",
    )  # fmt: skip
    if question.of_f:
        f_files = FFiles(**common, f_map=own("fmap.nii.gz"), p_map=own("pmap.nii.gz"))
        anova_stage(
            f_files, sample, options, groups=question.groups,
            min_region_voxels=choices.min_region_voxels, **told,
        )  # fmt: skip
        return content(f_files.f_map, values=None)
    t_files = TFiles(
        **common, t_map=own("tmap.nii.gz"), z_map=own("zmap.nii.gz"),
        p_tfce_map=own("pmap.nii.gz"), profile=own("profile.tsv"), values=own("values.tsv"),
    )  # fmt: skip
    listing = Listing(choices.listed_by, choices.min_region_voxels)
    group_map_stage(t_files, sample, options, listing, Pair(*question.groups), **told)
    return content(t_files.t_map, values=t_files.values)


_SAMPLE = ("group_column", "columns", "blocks", "site", "harmonise")
_INFERENCE = tuple(InferenceOptions.__dataclass_fields__)


def _write_page(out: Path, content: ComparisonContent, methods: Section) -> Path:
    """Write the table of results and the page."""
    columns, rows = content.results()
    write_table(out / "results.tsv", columns, rows)
    page = out / "index.html"
    maps = {question.name: found for question, found in content.maps.items()}
    sections = [*comparison_sections(content), methods]
    write_text(page, group_live_page(f"{content.measure} by group", sections, maps))
    return page
