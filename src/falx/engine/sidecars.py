"""What BIDS wants to know of every derived image: where it came from and what it lies on.

A stage knows what its image means; the engine knows what the stage has read, so the keys that
follow from that are added here. What a stage has said itself is kept. Source: BIDS 1.10
(2024), common derivatives metadata.
"""

from __future__ import annotations

from pathlib import Path

from falx.bids.entities import parse_name
from falx.core.files import read_json, write_json
from falx.engine.job import Job

__all__ = ["complete_sidecars", "sources_of"]

IMAGES = (".nii", ".nii.gz", ".mgz")


def sources_of(job: Job) -> list[str]:
    """Return the images that a job reads, as BIDS URIs without any path of this machine."""
    found = set()
    for _, file in job.files():
        if file.uri.endswith(IMAGES):
            found.add(f"bids::{file.uri}" if file.job else file.uri)
    return sorted(found)


def complete_sidecars(job: Job, work: Path) -> None:
    """Add what is missing to the sidecars of the images that a job has written below `work`."""
    sources = sources_of(job)
    for output in job.outputs.values():
        path = work / output
        name = parse_name(path.name)
        if name is None or name.extension != ".nii.gz" or name.suffix == "xfm":
            continue
        sidecar = path.with_name(path.name.removesuffix(".nii.gz") + ".json")
        said = read_json(sidecar) if sidecar.is_file() else {}
        if not isinstance(said, dict):
            continue
        space = name.entities.get("space")
        known: dict[str, object] = {"SpatialReference": _reference(job, space)}
        if sources:
            known["Sources"] = sources
        if any(key not in said for key in known):
            write_json(sidecar, known | said)


def _reference(job: Job, space: str | None) -> str:
    """Return the image or template on whose grid or in whose space an image lies."""
    if space == "T1w":
        return f"bids::{job.unit}/anat/{job.unit}_desc-biascorrected_T1w.nii.gz"
    return space or "orig"
