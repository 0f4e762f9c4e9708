"""Files in, files out for the people of a resistance study: demographics, quality, decisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path

import numpy as np

from falx.anatomy.metrics import GreyMetrics
from falx.bold.records import MotionRecord, RehoRecord
from falx.core.files import (
    read_participants,
    read_record,
    write_json,
    write_table,
    write_text,
)
from falx.core.records import plain
from falx.images.nifti import load
from falx.maps.sample import left_out_by_hand
from falx.report.page import render
from falx.studies.resistance.configuration import Roles
from falx.studies.resistance.demographics import (
    PersonMeasures,
    demographics_of,
)
from falx.studies.resistance.quality import (
    PersonQuality,
    homogeneity_of,
    quality_script,
    quality_sections,
    tsnr_of,
)

__all__ = [
    "DemographicFiles",
    "demographics_stage",
    "quality_stage",
]


BY_HAND = "left out by hand: "


@dataclass(frozen=True)
class DemographicFiles:
    """Files of the comparison of people.

    Parameters
    ----------
    participants
        Input: ``participants.tsv``.
    metrics
        Inputs by subject, with the intracranial volume: only these people count.
    moved
        Inputs by subject, with the mean framewise displacement, of those who have a run.
    reho
        Inputs by subject, with the width of the noise that cleaning leaves.
    demographics
        Output: JSON with the groups and a row for each variable.
    decisions
        Input: table of who was left out by hand.
    """

    participants: Path
    metrics: Mapping[str, Path]
    moved: Mapping[str, Path] | None
    reho: Mapping[str, Path] | None
    demographics: Path
    decisions: Path | None = None


def demographics_stage(files: DemographicFiles, roles: Roles, *, group_column: str) -> None:
    """Compare the groups of those who have maps."""
    out = _by_hand(files.decisions)
    measured = [
        {s: read_record(PersonMeasures, path) for s, path in (paths or {}).items() if s not in out}
        for paths in (files.metrics, files.moved, files.reho)
    ]
    people = read_participants(files.participants)
    found = demographics_of(people, group_column, roles.named, *measured)
    write_json(files.demographics, plain(found))


def _by_hand(decisions: Path | None) -> dict[str, str]:
    return {} if decisions is None else left_out_by_hand(read_participants(decisions))


@dataclass(frozen=True)
class QualityFiles:
    """Files of the page on the quality of the sample.

    Parameters
    ----------
    participants
        Input: ``participants.tsv``.
    decisions
        Input: who was left out before.
    volumes, metrics
        Inputs by subject: grey matter in template space, its measures.
    moved, tsnr, references, reho, reho_maps
        Inputs by subject, of those who have a run.
    page, table
        Outputs: one HTML file; the decisions as they stand, with what was measured (TSV).
    """

    participants: Path
    volumes: Mapping[str, Path]
    metrics: Mapping[str, Path]
    moved: Mapping[str, Path] | None
    tsnr: Mapping[str, Path] | None
    references: Mapping[str, Path] | None
    reho: Mapping[str, Path] | None
    reho_maps: Mapping[str, Path] | None
    page: Path
    table: Path
    decisions: Path | None = None


def quality_stage(files: QualityFiles, *, group_column: str) -> None:
    """Write the page on which people are left out by hand, and the table that it saves."""
    people, out = read_participants(files.participants), _by_hand(files.decisions)
    volumes = {s: load(path) for s, path in files.volumes.items()}
    grey = homogeneity_of({s: image.data for s, image in volumes.items()})
    maps = {s: load(path).data for s, path in (files.reho_maps or {}).items()}
    alike = homogeneity_of(maps)
    rows = []
    for subject, path in files.metrics.items():
        found = PersonQuality(
            participant_id=f"sub-{subject}",
            include="no" if subject in out else "yes",
            reason=out.get(subject, "").removeprefix(BY_HAND),
            group=people.cell(subject, group_column),
            tiv_ml=read_record(GreyMetrics, path).tiv_ml,
            grey_alike_z=grey.get(subject),
            reho_alike_z=alike.get(subject),
        )
        rows.append(_with_run(found, files, subject))
    header = [item.name for item in fields(PersonQuality)]
    write_table(files.table, header, [astuple(row) for row in rows])
    without = {s: reason for s, reason in out.items() if s not in files.metrics}
    sections = quality_sections(rows, volumes, without)
    page = render("Quality of the sample", sections, script=quality_script(rows))
    write_text(files.page, page)


def _with_run(found: PersonQuality, files: QualityFiles, subject: str) -> PersonQuality:
    """Add what is measured of a run, as far as there is one."""
    if (path := (files.moved or {}).get(subject)) is not None:
        moved = read_record(MotionRecord, path)
        found = replace(
            found,
            mean_fd_mm=moved.mean_fd_mm,
            spike_percent=moved.spike_percent,
            largest_mm=moved.largest_translation_mm,
            largest_deg=moved.largest_rotation_deg,
        )
    if (path := (files.tsnr or {}).get(subject)) is not None:
        reference = load((files.references or {})[subject])
        found = replace(found, tsnr=tsnr_of(load(path), reference))
    if (path := (files.reho or {}).get(subject)) is not None:
        reho = read_record(RehoRecord, path)
        width = float(np.prod(reho.residual_fwhm_mm) ** (1 / 3))
        found = replace(found, dof=float(reho.dof_left), fwhm_mm=width)
    return found
