"""Write people of the resistance study as a BIDS dataset, the truth beside the images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread

import numpy as np

from falx import __version__
from falx.core.files import write_json, write_table, write_text
from falx.images.nifti import save
from falx.phantom.resting import RestingSpec, simulate_person

__all__ = ["TRUTH", "write_resting_cohort"]

TRUTH = Path("derivatives/truth")
COLUMNS = ("age", "sex", "epilepsy_type", "onset_age", "duration")


def write_resting_cohort(
    root: Path, specs: Sequence[RestingSpec], rng: np.random.Generator, *, jobs: int = 1
) -> None:
    """Simulate people and write them as one dataset.

    Parameters
    ----------
    rng
        Every person gets a generator of its own from it.
    jobs
        Processes; the images do not depend on it.
    """
    common = {"BIDSVersion": "1.10.0", "License": "CC0-1.0",
              "GeneratedBy": [{"Name": "Falx", "Version": __version__}]}  # fmt: skip
    write_json(
        root / "dataset_description.json",
        {"Name": "Falx phantom people at rest", "DatasetType": "raw", **common},
    )
    write_json(
        root / TRUTH / "dataset_description.json",
        {"Name": "Falx phantom truth", "DatasetType": "derivative", **common},
    )
    write_text(root / "README", "Phantom people made by Falx: no person was scanned.\n")
    write_text(root / ".bidsignore", f"{TRUTH}\n")
    _write_participants(root, specs)
    generators = rng.spawn(len(specs))
    if jobs == 1:
        for spec, own in zip(specs, generators, strict=True):
            _write_person(root, spec, own)
        return
    # A fresh process each: numba and BLAS threads do not survive a fork.
    context = get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_end_with_parent) as pool:
        list(pool.map(_write_person, [root] * len(specs), specs, generators))


def _end_with_parent() -> None:
    """End this worker when its parent is gone: killed, a parent tells its workers nothing."""
    Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _write_person(root: Path, spec: RestingSpec, rng: np.random.Generator) -> None:
    person = simulate_person(spec, rng)
    name = f"sub-{spec.label}"
    save(root / name / "anat" / f"{name}_T1w.nii.gz", person.t1w.data, person.t1w.affine)
    save(
        root / name / "func" / f"{name}_task-rest_bold.nii.gz",
        np.rint(person.bold.image.data).astype(np.int16),
        person.bold.image.affine,
        repetition_time_s=spec.run.repetition_time_s,
        sidecar={
            "TaskName": "rest",
            "RepetitionTime": spec.run.repetition_time_s,
            "SliceTiming": person.bold.slice_times_s,
        },
    )
    for place, mask in person.places.items():
        path = root / TRUTH / name / f"{name}_desc-{place.title().replace(' ', '')}_mask.nii.gz"
        save(path, mask.data, mask.affine)
    write_json(
        root / TRUTH / name / f"{name}_truth.json",
        {
            "group": spec.group,
            "gm_loss": spec.gm_loss,
            "lost_mm3": person.lost_mm3,
            "cerebellar_coherence": spec.cerebellar_coherence,
            "precuneal_coherence": spec.precuneal_coherence,
            "t1w_to_bold": person.t1w_to_bold,
            "matrices": person.bold.matrices,
        },
    )


def _write_participants(root: Path, specs: Sequence[RestingSpec]) -> None:
    rows = [
        [f"sub-{spec.label}", spec.group, *(str(spec.clinical.get(c, "n/a")) for c in COLUMNS)]
        for spec in specs
    ]
    write_table(root / "participants.tsv", ("participant_id", "group", *COLUMNS), rows)
