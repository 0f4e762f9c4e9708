"""What a plan, or an ablation that was made, does to one patient: coverage, cost, safety.

Coverage is the ablative rate of Mo et al. 2025; the risk of a track is integrated as in Sparks et
al. 2017, Int J Comput Assist Radiol Surg 12:123.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError
from falx.core.grid import apply_affine
from falx.core.threads import kernel_threads
from falx.images.nifti import Image
from falx.surgery.outcome.ablation import SIGNATURE, AblativeRate, rate_of_volumes
from falx.surgery.tracks.geometry import LaserPlan, ablation_voxels
from falx.surgery.tracks.kernels import ROUNDING_MM, heat_limits, track_profiles
from falx.surgery.tracks.limits import Limits
from falx.surgery.tracks.scene import Fields, Mask, Scene, fields_of

__all__ = [
    "Assessment",
    "Tissue",
    "Violation",
    "assess",
    "heated_tissue",
    "tissue_of_image",
]

ENTRY_TOLERANCE_MM = 3.0
"""How far a hand-placed entry may lie from the nearest allowed one, mm."""

NOT_RATED = AblativeRate(0.0, 0.0, None, reason="the plan is for a focus")

FAR_FROM_TARGETS_MM = 25.0
"""Beyond this from the targets of the side an ablation is not one of them."""


@dataclass(frozen=True)
class Tissue:
    """What an ablation heats.

    Parameters
    ----------
    hippocampus, amygdala
        Ablative rates; without a rate where a focus is planned for.
    ablated_mm3
        Everything that is heated.
    outside_mm3
        The part outside the targets: the collateral.
    protected_mm3
        The part in protected structures.
    parahippocampal
        Heated share of the parahippocampal gyrus; None if it is not labelled.
    focus
        Ablated share of the focus that is planned for; ``None`` without one.
    """

    hippocampus: AblativeRate
    amygdala: AblativeRate
    ablated_mm3: float
    outside_mm3: float
    protected_mm3: float
    parahippocampal: float | None
    focus: AblativeRate | None = None

    @property
    def rated(self) -> AblativeRate:
        """The rate that plans are judged by."""
        return self.hippocampus if self.focus is None else self.focus


@dataclass(frozen=True)
class Violation:
    """A constraint that a plan breaks."""

    name: str
    value: float
    limit: float
    unit: str

    def __str__(self) -> str:
        return f"{self.name} {self.value:.1f} {self.unit} (limit {self.limit:g} {self.unit})"


@dataclass(frozen=True)
class Assessment:
    """A plan and everything the page says about it.

    Parameters
    ----------
    risk_mm
        Integral along the track of ``clip((far - D) / (far - near), 0, 1)``, D being the
        distance to the nearest obstacle; tissue of the targets does not count.
    clearance_mm
        Least distance from the axis to an obstacle outside the targets.
    protected_mm
        Least distance from heated tissue to a protected voxel; negative if one is heated.
    sinus_mm
        Distance from the entry to the nearest dural sinus; None without a mask of them.
    violations
        Constraints that do not hold; empty for a plan that may be shown.
    """

    plan: LaserPlan
    tissue: Tissue
    risk_mm: float
    length_mm: float
    angle_deg: float
    clearance_mm: float
    protected_mm: float
    sinus_mm: float | None
    violations: tuple[Violation, ...]

    @property
    def rate(self) -> float:
        """Ablative rate in the hippocampus, or of the focus."""
        return self.tissue.rated.rate or 0.0


def tissue_of_image(ablation: Image, scene: Scene, *, where: str = "") -> Tissue:
    """Measure an ablation that was made, drawn on the whole T1w grid.

    Raises
    ------
    InputError
        If it is empty, on another grid, or lies in the other hemisphere.
    """
    offset = apply_affine(np.linalg.inv(ablation.affine), scene.grid.affine[:3, 3])
    same_axes = np.allclose(ablation.affine[:3, :3], scene.grid.affine[:3, :3], atol=1e-4)
    if not same_axes or np.abs(offset - np.rint(offset)).max() > 0.01:
        raise InputError(
            "the ablation is on another grid than the T1w image", where=where,
            do="resample it to the T1w image",
        )  # fmt: skip
    if not ablation.data.any():
        raise InputError("the ablation mask is empty", where=where, do="choose another mask")
    places = apply_affine(ablation.affine, np.argwhere(ablation.data))
    away = _from_targets_mm(np.median(places, axis=0), scene)
    if away > FAR_FROM_TARGETS_MM:
        raise InputError(
            "the ablation lies in the other hemisphere than the focus, or far from the targets",
            where=where, found=f"its middle {away:.0f} mm from {scene.target.whole} on the "
            f"{scene.side}", do="correct the side or the mask",
        )  # fmt: skip
    first = np.rint(offset).astype(int)
    window = tuple(slice(a, a + n) for a, n in zip(first, scene.grid.shape, strict=True))
    return heated_tissue(np.asarray(ablation.data[window], dtype=bool), scene)


def heated_tissue(ablation: Mask, scene: Scene) -> Tissue:
    """Measure an ablation given as a mask on the scene's grid: planned, or really made."""
    if ablation.shape != scene.grid.shape:
        raise InputError(
            "the ablation is on another grid than the T1w image",
            found=f"{ablation.shape} and {scene.grid.shape} voxels",
            do="resample it to the T1w image",
        )
    return _tissue(np.nonzero(ablation), scene)


def _tissue(heated: tuple[npt.NDArray[np.intp], ...], scene: Scene) -> Tissue:
    voxel = scene.grid.voxel_volume_mm3
    wanted, second = scene.wanted[heated], scene.second[heated]

    def volume(inside: npt.NDArray[np.bool_]) -> float:
        return float(np.count_nonzero(inside)) * voxel

    whole_wanted, whole_second, whole_gyrus = scene.whole_mm3
    gyrus = scene.parahippocampal
    of_focus = scene.focus is not None
    of = scene.target.rated if of_focus else SIGNATURE
    rated = rate_of_volumes(volume(wanted), whole_wanted, of=of)
    return Tissue(
        hippocampus=NOT_RATED if of_focus else rated,
        amygdala=NOT_RATED if of_focus else rate_of_volumes(volume(second), whole_second),
        ablated_mm3=len(wanted) * voxel,
        outside_mm3=volume(~scene.targets[heated]),
        protected_mm3=volume(scene.protected[heated]),
        parahippocampal=None if gyrus is None else volume(gyrus[heated]) / whole_gyrus,
        focus=rated if of_focus else None,
    )


def assess(
    plan: LaserPlan, scene: Scene, limits: Limits, *, fields: Fields | None = None
) -> Assessment:
    """Score any plan by the rules of the search, at 0.25 mm and on the scene's own grid.

    Raises
    ------
    InputError
        If an end of the track lies outside the image, or its target far from the structures.
    """
    track = plan.trajectory
    ends = np.array([track.entry_mm, track.target_mm])
    _check_inside(ends, scene)
    fields = fields or fields_of(scene, ends)
    entry, target = ends[:1], ends[1:]
    # One track has no use for threads, and starting them costs more than the walk.
    with kernel_threads(1):
        clearance, risk = track_profiles(fields.space, entry, target, limits.rules())[0]
    apart = np.linalg.norm(scene.entries_mm - entry, axis=1)
    nearest = int(apart.argmin())
    cosine = float(np.clip(-scene.outward[nearest] @ track.direction, -1, 1))
    found = Assessment(
        plan=plan,
        tissue=_tissue(ablation_voxels(plan, scene.grid), scene),
        risk_mm=float(risk),
        length_mm=track.length_mm,
        angle_deg=float(np.degrees(np.arccos(cosine))),
        clearance_mm=float(clearance),
        protected_mm=_protected_mm(plan, fields, limits),
        sinus_mm=_sinus_mm(entry[0], scene),
        violations=(),
    )
    return replace(found, violations=_violations(found, float(apart[nearest]), limits))


def _check_inside(ends: npt.NDArray[np.float64], scene: Scene) -> None:
    voxels = apply_affine(np.linalg.inv(scene.grid.affine), ends)
    inside = np.all((voxels >= -0.5) & (voxels <= np.array(scene.grid.shape) - 0.5), axis=1)
    for name, point, good in zip(("entry", "target"), ends, inside, strict=True):
        if not good:
            raise InputError(
                f"the {name} of the plan lies outside the head on the side of the focus",
                found=f"{np.round(point, 1).tolist()} mm",
                do="give native T1w coordinates in RAS+ mm, on the side that is planned",
            )
    away = _from_targets_mm(ends[1], scene)
    if away > FAR_FROM_TARGETS_MM:
        raise InputError(
            "the target of the plan lies in the other hemisphere than the focus, or far from it",
            found=f"{away:.0f} mm from {scene.target.whole} on the {scene.side}",
            do="give native T1w coordinates in RAS+ mm, or correct the side",
        )


def _from_targets_mm(point: npt.NDArray[np.float64], scene: Scene) -> float:
    return float(np.linalg.norm(scene.targets_mm - point, axis=1).min())


def _protected_mm(plan: LaserPlan, fields: Fields, limits: Limits) -> float:
    """Least distance from heated tissue to a protected voxel centre."""
    target, direction = np.array(plan.trajectory.target_mm), plan.trajectory.direction
    entry, rules = np.array([plan.trajectory.entry_mm]), limits.rules()
    away = []
    for burn in plan.burns:
        tip = target - burn.tip_offset_mm * direction
        pull_back = np.array([burn.pull_back_mm])
        with kernel_threads(1):
            widest = heat_limits(fields.space, entry, tip[None], pull_back, rules)[0, 0]
        away.append(float(widest) + limits.protect_margin_mm - burn.radius_mm)
    return min(away)


def _sinus_mm(entry: npt.NDArray[np.float64], scene: Scene) -> float | None:
    if scene.sinus is None or not scene.sinus.any():
        return None
    points = apply_affine(scene.grid.affine, np.argwhere(scene.sinus))
    return float(np.linalg.norm(points - entry, axis=1).min())


def _violations(
    measured: Assessment, off_entry_mm: float, limits: Limits
) -> tuple[Violation, ...]:
    """Name what is broken; plans that lie exactly on a limit are kept."""
    above = (
        ("track length", measured.length_mm, limits.max_length_mm, "mm"),
        ("angle to the skull", measured.angle_deg, limits.max_angle_deg, "degrees"),
        ("distance from the entry region", off_entry_mm, ENTRY_TOLERANCE_MM, "mm"),
    )
    below = (
        ("clearance of the track", measured.clearance_mm, limits.min_clearance_mm, "mm"),
        ("distance to protected tissue", measured.protected_mm, limits.protect_margin_mm, "mm"),
        ("distance to a dural sinus", measured.sinus_mm, limits.min_sinus_mm, "mm"),
    )
    broken = [
        Violation(name, value, limit, unit)
        for name, value, limit, unit in above
        if value is not None and value > limit + ROUNDING_MM
    ]
    broken += [
        Violation(name, value, limit, unit)
        for name, value, limit, unit in below
        if value is not None and value < limit - ROUNDING_MM
    ]
    return tuple(broken)
