"""Data to try everything on: simulated people, and the published cohort."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from falx.api.inputs import settings_of
from falx.core.errors import InputError, check_range
from falx.data.mo2025 import Patients, load_patients
from falx.genes.phantom import GenePhantom, make_gene_phantom
from falx.images.nifti import Image
from falx.images.smooth import smooth
from falx.phantom.patient import Patient, PatientSpec, simulate_patient
from falx.phantom.resting import RestingSpec, simulate_person

__all__ = [
    "GroupPhantom",
    "RestPhantom",
    "phantom_genes",
    "phantom_groups",
    "phantom_patient",
    "phantom_rest",
    "published_cohort",
]


@dataclass(frozen=True, eq=False)
class RestPhantom:
    """A simulated resting run.

    Parameters
    ----------
    bold
        Shape (X, Y, Z, T).
    mask
        Voxels with signal.
    repetition_time_s
        Time between volumes.
    """

    bold: Image
    mask: Image
    repetition_time_s: float


@dataclass(frozen=True, eq=False)
class GroupPhantom:
    """Smooth random maps of two groups, and where the first was lowered.

    Parameters
    ----------
    images
        One map a person.
    groups
        ``"patients"`` or ``"controls"``, one a person.
    lowered
        Mask of what was taken from the patients.
    """

    images: tuple[Image, ...]
    groups: tuple[str, ...]
    lowered: Image


def phantom_patient(*, seed: int = 1, **choices: Any) -> Patient:
    """Simulate T1w, FLAIR, PET, post-operative T1w and ablation of a patient, with the truth.

    Parameters
    ----------
    seed
        Of everything random.
    choices
        See :class:`falx.phantom.patient.PatientSpec`: ``side``, ``depth``, ``voxel_mm``, …
    """
    return simulate_patient(settings_of(PatientSpec, choices), np.random.default_rng(seed))


def phantom_rest(*, seed: int = 1, volumes: int = 125, **choices: Any) -> RestPhantom:
    """Simulate a resting run; its mask is where the mean is at least a third of the brightest.

    Parameters
    ----------
    seed
        Of everything random.
    volumes
        Of the run.
    choices
        See :class:`falx.phantom.resting.RestingSpec`: ``group``, ``head``, …
    """
    check_range("volumes", volumes, 10, 1000)
    spec = settings_of(RestingSpec, choices)
    spec = replace(spec, run=replace(spec.run, n_volumes=volumes))
    run = simulate_person(spec, np.random.default_rng(seed)).bold.image
    mean = run.data.mean(axis=3, dtype=np.float64)
    bright = mean > np.quantile(mean, 0.99) / 3
    return RestPhantom(run, Image(bright, run.affine), spec.run.repetition_time_s)


def phantom_groups(
    *, seed: int = 1, people: int = 10, voxel_mm: float = 6.0, effect: float = 2.5
) -> GroupPhantom:
    """Simulate smooth maps of two groups of equal size; patients are lower in one ball.

    Parameters
    ----------
    seed
        Of everything random.
    people
        In each group.
    voxel_mm
        Edge of a voxel.
    effect
        Standard deviations that are taken from the patients.
    """
    check_range("people", people, 3, 500)
    rng = np.random.default_rng(seed)
    affine = np.diag([voxel_mm, voxel_mm, voxel_mm, 1.0])
    affine[:3, 3] = -12 * voxel_mm
    places = np.moveaxis(np.indices((25, 25, 25)), 0, -1) - 12.0
    head = np.linalg.norm(places, axis=-1) < 11
    ball = np.linalg.norm(places - [5, -3, 2], axis=-1) < 3.5
    groups = ("patients",) * people + ("controls",) * people
    images = tuple(_map(rng, head, ball, effect * (g == "patients"), affine) for g in groups)
    return GroupPhantom(images, groups, Image(ball, affine))


def _map(
    rng: np.random.Generator,
    head: npt.NDArray[np.bool_],
    ball: npt.NDArray[np.bool_],
    effect: float,
    affine: npt.NDArray[np.float64],
) -> Image:
    noise = smooth(rng.standard_normal(head.shape).astype(np.float32), np.ones(3), 4.0)
    values = 10 + noise / noise[head].std() - effect * ball
    return Image(np.where(head, values, 0).astype(np.float32), affine)


def phantom_genes(*, seed: int = 7, **choices: Any) -> GenePhantom:
    """Simulate a regional map, expression, gene sets and a network with one planted programme.

    Parameters
    ----------
    seed
        Of everything random.
    choices
        See :func:`falx.genes.phantom.make_gene_phantom`: ``n_regions``, ``n_genes``, …
    """
    try:
        return make_gene_phantom(seed, **choices)
    except TypeError as error:
        raise InputError("the phantom does not know a choice", found=str(error)) from None


def published_cohort() -> Patients:
    """Return the 30 patients of Mo et al. 2025: columns such as ``"rate_hippocampus"``."""
    return load_patients()
