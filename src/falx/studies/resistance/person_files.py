"""Files in, files out for the page of one person of the resistance study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from falx.anatomy.metrics import CoregistrationMetrics, GreyMetrics
from falx.bold.records import MotionRecord, RehoRecord
from falx.core.files import (
    read_json,
    read_record,
    write_text,
)
from falx.images.nifti import load
from falx.images.warp import load_map
from falx.report.page import render
from falx.report.provenance import StageRecord
from falx.studies.resistance.person_page import PersonContent, RunContent, person_sections

__all__ = [
    "PersonFiles",
    "run_report_stage",
]


@dataclass(frozen=True)
class PersonFiles:
    """Files of the page of one person.

    Parameters
    ----------
    records
        Inputs: provenance of the earlier stages.
    anatomy_metrics, grey_metrics, motion_metrics, reho_metrics, coregistration
        Inputs: what the stages measured; the last three are absent without a run.
    t1w, gm, wm
        Inputs in native T1w space.
    to_native
        Input: coordinate map, template grid → T1w mm.
    volume, reho
        Inputs in template space: smoothed grey-matter volume, Kendall's W.
    reference, tsnr
        Inputs on the grid of the run.
    carpet
        Input: series before and after cleaning.
    page
        Output: one HTML file.
    """

    records: Mapping[str, Path]
    anatomy_metrics: Path
    grey_metrics: Path
    motion_metrics: Path | None
    reho_metrics: Path | None
    coregistration: Path | None
    t1w: Path
    gm: Path
    wm: Path
    to_native: Path
    volume: Path
    reference: Path | None
    tsnr: Path | None
    reho: Path | None
    carpet: Path | None
    page: Path


def run_report_stage(files: PersonFiles, *, subject: str) -> None:
    """Write the page of one person."""
    content = PersonContent(
        anatomy_notices=read_json(files.anatomy_metrics).get("notices", ()),
        grey=read_record(GreyMetrics, files.grey_metrics),
        t1w=load(files.t1w),
        gm=load(files.gm),
        wm=load(files.wm),
        volume=load(files.volume),
        to_native=load_map(files.to_native),
        run=_run_content(files),
        provenance={name: read_record(StageRecord, path) for name, path in files.records.items()},
    )
    title = f"sub-{subject} · grey matter and resting BOLD"
    write_text(files.page, render(title, person_sections(content)))


def _run_content(files: PersonFiles) -> RunContent | None:
    """Read what there is of a run; None without its motion."""
    if files.motion_metrics is None or files.reference is None or files.tsnr is None:
        return None
    found = RunContent(
        read_record(MotionRecord, files.motion_metrics), load(files.reference), load(files.tsnr)
    )
    if files.coregistration is not None:
        found = replace(
            found, coregistration=read_record(CoregistrationMetrics, files.coregistration)
        )
    if files.reho_metrics is None or files.reho is None or files.carpet is None:
        return found
    with np.load(files.carpet) as series:
        carpet = (series["before"], series["after"])
    reho = read_record(RehoRecord, files.reho_metrics)
    return replace(found, reho=reho, reho_map=load(files.reho), carpet=carpet)
