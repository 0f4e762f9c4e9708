"""One patient: every image of the signature study, with the truth behind it.

The images are those of Mo et al. 2025; no published source for how they are simulated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from falx.atlas.freesurfer_numbers import MESIAL
from falx.core.errors import check_option, check_range
from falx.core.grid import SIDES, Side, opposite
from falx.images.mirror import FLIP, mirror_image
from falx.images.nifti import Image
from falx.phantom.asymmetry import with_healthy_asymmetry
from falx.phantom.heads import Head, deformation, load_head, mirror_head, symmetric_head, warp_head
from falx.phantom.intensities import MrQuality, flair, t1w
from falx.phantom.lesion import Ablation, ablate_hippocampus, atrophy
from falx.phantom.pet import (
    UPTAKES,
    PetQuality,
    activity,
    mesial_region,
    observe_pet,
    true_asymmetry,
)
from falx.phantom.scan import rescan, rigid

__all__ = ["Patient", "PatientSpec", "Truth", "mirror_patient", "simulate_patient"]

FLAIR_VOXEL_MM = 1.5
POSTOP_VOXEL_MM = 1.0


@dataclass(frozen=True)
class PatientSpec:
    """What is planted in a patient.

    Parameters
    ----------
    label
        Subject label, letters and digits.
    side
        Side of the focus.
    depth
        Share of the activity that is missing in the planted region.
    extent
        Share of hippocampus and amygdala that it covers, from the front.
    atrophy
        Share of the hippocampus that is lost.
    ablative_rate
        Share of the planted region that the ablation takes.
    head
        Shipped head the patient is made from.
    deformation_mm
        Root mean square displacement of the deformation that makes the head a new one.
    voxel_mm
        Voxel edge of the pre-operative T1w and of the truth, mm.
    pose_mm, pose_degrees
        Largest shift and turn of the head between scans.
    healthy_asymmetry
        Whether grey matter is as asymmetric as that of healthy people, beside the focus.
    uptake
        ``"usual"`` ratios, or the regional means of real ``"people"``.
    mr, pet
        Image quality.
    clinical
        Further columns of ``participants.tsv``.
    """

    label: str = "01"
    side: Side = "left"
    depth: float = 0.25
    extent: float = 1.0
    atrophy: float = 0.2
    ablative_rate: float = 0.6
    head: str = "05"
    deformation_mm: float = 3.0
    voxel_mm: float = 1.0
    pose_mm: float = 15.0
    pose_degrees: float = 10.0
    healthy_asymmetry: bool = False
    uptake: str = "usual"
    mr: MrQuality = field(default_factory=MrQuality)
    pet: PetQuality = field(default_factory=PetQuality)
    clinical: Mapping[str, str | float | int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_option("side", self.side, SIDES)
        check_option("uptake", self.uptake, UPTAKES)
        check_range("depth", self.depth, 0.0, 0.9)
        check_range("extent", self.extent, 0.05, 1.0)
        check_range("ablative_rate", self.ablative_rate, 0.0, 1.0)
        object.__setattr__(self, "clinical", MappingProxyType(dict(self.clinical)))


@dataclass(frozen=True, eq=False)
class Truth:
    """What is known exactly; every image is on the grid of the pre-operative T1w.

    Parameters
    ----------
    labels
        Label map (original numbers), with the atrophy in it.
    activity
        PET activity before blur and noise, cortex 4.
    signature
        Planted region without what atrophy took: the exact asymmetry is `asymmetry` there and
        zero elsewhere, but for the lost voxels, which are fluid.
    asymmetry
        -d / (1 - d/2).
    ablation
        The ablation and its exact rates.
    volumes_mm3
        Hippocampus and amygdala, ``"left hippocampus"`` …
    t1w_to_pet, t1w_to_flair, t1w_to_postop
        4×4, from the mm of the pre-operative T1w to the other image's mm.
    """

    labels: Image
    activity: Image
    signature: Image
    asymmetry: float
    ablation: Ablation
    volumes_mm3: Mapping[str, float]
    t1w_to_pet: npt.NDArray[np.float64]
    t1w_to_flair: npt.NDArray[np.float64]
    t1w_to_postop: npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Patient:
    """Images of one patient and the truth behind them.

    `ablation` is the mask as a rater draws it: on the grid of the post-operative T1w.
    """

    spec: PatientSpec
    t1w: Image
    flair: Image
    pet: Image
    t1w_postop: Image
    ablation: Image
    truth: Truth


def simulate_patient(
    spec: PatientSpec, rng: np.random.Generator, *, head: Head | None = None
) -> Patient:
    """Simulate every image of one patient.

    The head is made symmetric, deformed symmetrically and then given a one-sided lesion, so
    that the exact asymmetry is known in every voxel. The pre-operative T1w is oblique: the
    head does not lie straight in its scanner.

    Parameters
    ----------
    head
        Base head; the shipped one that `spec` names if absent.
    """
    healthy, hidden = _new_head(spec, rng, head)
    if spec.healthy_asymmetry:
        hidden = with_healthy_asymmetry(hidden, healthy, rng)
    planted = mesial_region(healthy, spec.side, spec.extent)
    exact = np.where(planted, (1.0 - spec.depth) * hidden, hidden)
    diseased = atrophy(healthy, MESIAL[spec.side][0], spec.atrophy)
    lost = (diseased.labels == 24) & (healthy.labels != 24)
    exact = np.where(lost, np.float32(0.1), exact)
    signature = planted & ~lost
    ablation = ablate_hippocampus(diseased, spec.side, signature, spec.ablative_rate)
    poses = [rigid(rng, shift_mm=spec.pose_mm, turn_degrees=spec.pose_degrees) for _ in range(4)]
    return _scan(spec, rng, diseased, exact, signature, ablation, poses)


def mirror_patient(patient: Patient) -> Patient:
    """Return the exact mirror image of a patient: same values at (-x, y, z), sides swapped."""
    spec, truth = patient.spec, patient.truth
    swap = {"left": "right", "right": "left"}
    volumes = {
        f"{swap[name.split()[0]]} {name.split()[1]}": volume
        for name, volume in truth.volumes_mm3.items()
    }
    labels = mirror_head(Head(truth.labels.data, truth.labels.affine))
    ablation_mask = mirror_image(Image(truth.ablation.mask, truth.labels.affine)).data
    return Patient(
        spec=replace(spec, side=opposite(spec.side)),
        t1w=mirror_image(patient.t1w),
        flair=mirror_image(patient.flair),
        pet=mirror_image(patient.pet),
        t1w_postop=mirror_image(patient.t1w_postop),
        ablation=mirror_image(patient.ablation),
        truth=Truth(
            labels=Image(labels.labels, labels.affine),
            activity=mirror_image(truth.activity),
            signature=mirror_image(truth.signature),
            asymmetry=truth.asymmetry,
            ablation=replace(truth.ablation, mask=ablation_mask),
            volumes_mm3=volumes,
            t1w_to_pet=FLIP @ truth.t1w_to_pet @ FLIP,
            t1w_to_flair=FLIP @ truth.t1w_to_flair @ FLIP,
            t1w_to_postop=FLIP @ truth.t1w_to_postop @ FLIP,
        ),
    )


def _new_head(
    spec: PatientSpec, rng: np.random.Generator, head: Head | None
) -> tuple[Head, npt.NDArray[np.float32]]:
    """Symmetric head of this patient and its healthy activity."""
    base = symmetric_head(head or load_head(spec.head), voxel_mm=spec.voxel_mm)
    if spec.deformation_mm > 0:
        base = warp_head(base, deformation(base.grid, rng, amplitude_mm=spec.deformation_mm))
    return base, activity(base, rng, uptake=spec.uptake)


def _scan(
    spec: PatientSpec,
    rng: np.random.Generator,
    head: Head,
    exact: npt.NDArray[np.floating],
    signature: npt.NDArray[np.bool_],
    ablation: Ablation,
    poses: list[npt.NDArray[np.float64]],
) -> Patient:
    """Take every image; `poses` send head mm to the mm of T1w, FLAIR, PET, post-op T1w."""
    grid = head.grid
    at_t1w, at_flair, at_pet, at_postop = poses
    affine = at_t1w @ grid.affine
    sclerotic = head.mask(MESIAL[spec.side][0])
    images = {
        "t1w": Image(t1w(head, rng, spec.mr), affine),
        "flair": rescan(
            flair(head, rng, spec.mr, sclerotic=sclerotic),
            grid, at_flair, (spec.voxel_mm, spec.voxel_mm, max(FLAIR_VOXEL_MM, spec.voxel_mm)),
        ),
        "pet": observe_pet(exact, grid, rng, spec.pet, matrix=at_pet),
        "t1w_postop": rescan(
            t1w(head, rng, spec.mr, cavity=ablation.mask),
            grid, at_postop, 3 * [max(POSTOP_VOXEL_MM, spec.voxel_mm)],
        ),
        "ablation": rescan(
            ablation.mask, grid, at_postop, 3 * [max(POSTOP_VOXEL_MM, spec.voxel_mm)]
        ),
    }  # fmt: skip
    from_t1w = np.linalg.inv(at_t1w)
    truth = Truth(
        labels=Image(head.labels, affine),
        activity=Image(np.asarray(exact, dtype=np.float32), affine),
        signature=Image(signature, affine),
        asymmetry=true_asymmetry(spec.depth),
        ablation=ablation,
        volumes_mm3=_volumes_mm3(head),
        t1w_to_pet=at_pet @ from_t1w,
        t1w_to_flair=at_flair @ from_t1w,
        t1w_to_postop=at_postop @ from_t1w,
    )
    return Patient(spec=spec, truth=truth, **images)


def _volumes_mm3(head: Head) -> dict[str, float]:
    return {
        f"{side} {name}": head.volume_mm3(label)
        for side, labels in MESIAL.items()
        for name, label in zip(("hippocampus", "amygdala"), labels, strict=True)
    }
