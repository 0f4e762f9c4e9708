"""Runs the toy study in a folder, as a user would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import toy_study
from falx.bids.dataset import Dataset
from falx.bids.query import parse_filter
from falx.core.settings import resolve
from falx.engine.orders import Resources
from falx.engine.run import Outcome, Request, run_study


class Toy:
    """A dataset, an output folder, and the lines that the last run said."""

    def __init__(self, folder: Path, subjects: int) -> None:
        self.bids = toy_study.write_dataset(folder / "bids", subjects)
        self.out = folder / "out"
        self.lines: list[str] = []
        self.study = toy_study.STUDY

    def run(
        self,
        level: str = "participant",
        *,
        parallel: bool = False,
        filters: tuple[str, ...] = (),
        subjects: tuple[str, ...] = (),
        dry_run: bool = False,
        enforce_memory: bool = False,
        profile: str = "",
        executor: str = "",
        **values: Any,
    ) -> Outcome:
        study = self.study
        self.lines = []
        resources = Resources(2, 4000, profile, enforce_memory, executor)
        request = Request(
            study=study,
            dataset=Dataset.open(
                self.bids, filters=[parse_filter(text, list(study.raw)) for text in filters]
            ),
            out=self.out,
            level=level,
            configuration=resolve(
                study.configuration, {k.replace("__", "."): v for k, v in values.items()}
            ),
            subjects=subjects,
            resources=resources if parallel else None,
            dry_run=dry_run,
        )
        return run_study(request, self.lines.append)

    def image(self, subject: str, suffix: str = "T1w") -> Path:
        return self.bids / f"sub-{subject}" / "anat" / f"sub-{subject}_{suffix}.nii.gz"

    def output(self, subject: str, desc: str) -> Path:
        suffix = "FLAIR" if desc == "cool" else "T1w"
        name = f"sub-{subject}_space-orig_desc-{desc}_{suffix}.nii.gz"
        return self.out / f"sub-{subject}" / "anat" / name

    @property
    def ran(self) -> list[str]:
        """Titles of the jobs that the last run has done, sorted."""
        done = [line for line in self.lines if line.startswith("[") and "FAILED" not in line]
        return sorted(line.partition("] ")[2].rpartition(" (")[0] for line in done)
