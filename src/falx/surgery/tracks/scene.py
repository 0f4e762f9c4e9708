"""The patient as the planner sees it: masks, obstacles, entries, and distances between them.

Distances are exact Euclidean transforms (Maurer, Qi & Raghavan 2003, IEEE Trans Pattern Anal Mach
Intell 25:265).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy
from scipy import ndimage

from falx.core.errors import GridError, InputError
from falx.core.grid import Grid, Side, apply_affine, opposite, side_of
from falx.surgery.tracks.kernels import Space

__all__ = ["PLACES", "Fields", "Scene", "Target", "distance_mm", "fields_of", "mirrored_scene"]

Mask = npt.NDArray[np.bool_]
FAR_MM = 100.0
"""Distance that stands for "nowhere near", mm."""

PLACES = 3
"""Decimals of the millimetres of entries and targets: those that a plan file holds, so that
what was searched is what is written."""

BORDER_MM = 15.0
"""Tissue kept around entries and targets; more than a risk or a protected margin reaches."""


@dataclass(frozen=True)
class Target:
    """What a plan is for, as pages and messages call it: the default, or a focus anywhere.

    Parameters
    ----------
    rated
        Where the rate is taken.
    wanted
        What the rate is a share of.
    whole
        What may be heated; what is heated outside it is collateral.
    focus
        Number of the focus in the table of foci; ``None`` for hippocampus and amygdala.
    region
        Structure that holds most of that focus.
    """

    rated: str = "the hippocampus"
    wanted: str = "the signature in the hippocampus"
    whole: str = "hippocampus and amygdala"
    focus: int | None = None
    region: str | None = None

    @classmethod
    def of_focus(cls, number: int, region: str | None = None) -> Target:
        """Return the target that a focus is."""
        name = f"focus {number}"
        return cls(name, name, name, number, region)

    @property
    def title(self) -> str:
        """What follows "plan" in the title of a page."""
        return "" if self.focus is None else f" for {self.rated}"

    @property
    def shown(self) -> str:
        """What pictures call the tissue that is wanted."""
        return "signature" if self.focus is None else self.rated


@dataclass(frozen=True, eq=False)
class Scene:
    """What a plan for one side needs to know, on one grid, RAS+ mm.

    Parameters
    ----------
    grid
        Native T1w grid with orthogonal axes.
    side
        Side of the focus; without `focus` hippocampus and amygdala must lie there.
    signature, hippocampus, amygdala
        Shape (X, Y, Z). Only the structures of `side`. With `focus` the signature is that focus.
    obstacles
        What the track must keep away from: ventricles, sulci, vessels.
    protected
        What must not be heated: brainstem, thalamus, ventral diencephalon, optic tract.
    entries_mm, outward
        Shape (N, 3): allowed entries on the skull and the unit normals there.
    vessels_checked
        Whether `obstacles` holds vessels. If not, every product says so.
    sinus
        Dural sinuses, if a mask of them exists.
    parahippocampal
        Parahippocampal gyrus of `side`, if labelled.
    vessels
        Vessels, if a mask of them was given; `obstacles` holds them, too.
    focus
        The focus that is planned for instead of hippocampus and amygdala.
    target
        What is planned for, in words.
    passage
        Where a track needs no margin to fluid; see
        :func:`falx.surgery.tracks.head_scene.passage_beside`.
    """

    grid: Grid
    side: Side
    signature: Mask
    hippocampus: Mask
    amygdala: Mask
    obstacles: Mask
    protected: Mask
    entries_mm: npt.NDArray[np.float64]
    outward: npt.NDArray[np.float64]
    vessels_checked: bool = False
    sinus: Mask | None = None
    parahippocampal: Mask | None = None
    passage: Mask | None = None
    vessels: Mask | None = None
    focus: Mask | None = None
    target: Target = field(default_factory=Target)

    def __post_init__(self) -> None:
        for name, mask in self.masks().items():
            if mask.shape != self.grid.shape:
                raise GridError(
                    f"the mask {name} is on another grid than the T1w image",
                    found=f"{mask.shape} and {self.grid.shape} voxels",
                    do="resample it to the T1w image",
                )
        self._check_axes()
        self._check_targets()

    def masks(self) -> dict[str, Mask]:
        """Every mask that is there, by name."""
        names = (
            "signature", "hippocampus", "amygdala", "obstacles", "protected", "sinus",
            "parahippocampal", "passage", "vessels", "focus",
        )  # fmt: skip
        found = {name: getattr(self, name) for name in names}
        return {name: mask for name, mask in found.items() if mask is not None}

    @cached_property
    def targets(self) -> Mask:
        """Hippocampus and amygdala together, or the focus: what may be heated."""
        return self.hippocampus | self.amygdala if self.focus is None else self.focus

    @cached_property
    def wanted(self) -> Mask:
        """What the rate is a share of: signature in the hippocampus, or the focus."""
        return self.signature & (self.hippocampus if self.focus is None else self.focus)

    @cached_property
    def second(self) -> Mask:
        """Signature in the amygdala, the second rate; empty with a focus, which has one rate."""
        if self.focus is None:
            return self.signature & self.amygdala
        return np.zeros(self.grid.shape, dtype=bool)

    @cached_property
    def targets_mm(self) -> npt.NDArray[np.float64]:
        """Voxel centres of the targets, shape (N, 3)."""
        return apply_affine(self.grid.affine, np.argwhere(self.targets))

    @cached_property
    def signature_mm(self) -> npt.NDArray[np.float64]:
        """Voxel centres of what the rate is a share of, shape (N, 3)."""
        return apply_affine(self.grid.affine, np.argwhere(self.wanted))

    @cached_property
    def nearest_entry(self) -> Any:
        """Tree of the allowed entries, for the one nearest to a place."""
        return scipy.spatial.cKDTree(self.entries_mm)

    @cached_property
    def whole_mm3(self) -> tuple[float, float, float]:
        """What the two rates are shares of, and the parahippocampal gyrus, mm³."""
        gyrus = self.parahippocampal
        counts = (
            np.count_nonzero(self.wanted),
            np.count_nonzero(self.second),
            0 if gyrus is None else np.count_nonzero(gyrus),
        )
        voxel = self.grid.voxel_volume_mm3
        return counts[0] * voxel, counts[1] * voxel, counts[2] * voxel

    def _check_axes(self) -> None:
        linear = self.grid.affine[:3, :3] / self.grid.voxel_sizes_mm
        skew = float(np.abs(linear.T @ linear - np.eye(3)).max())
        if skew > 1e-3:
            raise GridError(
                "the voxel axes are not orthogonal",
                found=f"cosine {skew:.3f} between two axes",
                do="resample the T1w image to an orthogonal grid",
            )

    def _check_targets(self) -> None:
        if self.focus is not None:
            return
        if not self.hippocampus.any():
            raise InputError(
                f"there is no {self.side} hippocampus in the labels",
                do="check the segmentation",
            )
        found = side_of(self.hippocampus, self.grid)
        if found != self.side:
            raise InputError(
                "the target lies in the other hemisphere than the focus",
                found=f"a hippocampus on the {found}, a focus on the {self.side}",
                do=f"give the structures of the {self.side} side, or correct the side",
            )

    @property
    def has_target(self) -> bool:
        """Whether there is anything to rate; without any there is nothing to plan."""
        return bool(self.wanted.any())


def mirrored_scene(scene: Scene) -> Scene:
    """Return the scene on the other side, mirrored about x = 0 mm.

    The arrays are reversed so that they stay in RAS+ order, and a scene mirrored twice is
    the same again.
    """
    affine = np.array(scene.grid.affine)
    affine[0] = -affine[0]
    affine[:3, 3] += affine[:3, 0] * (scene.grid.shape[0] - 1)
    affine[:3, 0] = -affine[:3, 0]
    flip = np.array([-1.0, 1.0, 1.0])
    return replace(
        scene,
        grid=Grid(scene.grid.shape, affine),
        side=opposite(scene.side),
        entries_mm=scene.entries_mm * flip,
        outward=scene.outward * flip,
        **{name: np.ascontiguousarray(mask[::-1]) for name, mask in scene.masks().items()},  # type: ignore[arg-type]
    )


@dataclass(frozen=True, eq=False)
class Fields:
    """Distances around the tracks, on a window of the scene's grid.

    Parameters
    ----------
    grid
        The window.
    clearance_mm
        float32 (X, Y, Z): distance to the nearest obstacle.
    protected_mm
        float32 (X, Y, Z): distance to the nearest protected voxel.
    exempt
        Targets and passage, where the clearance rule does not hold.
    sinus_mm
        float32 (X, Y, Z): distance to the nearest dural sinus; None without a mask of them.
    """

    grid: Grid
    clearance_mm: npt.NDArray[np.float32]
    protected_mm: npt.NDArray[np.float32]
    exempt: Mask
    sinus_mm: npt.NDArray[np.float32] | None = None

    @cached_property
    def space(self) -> Space:
        """The same for compiled code."""
        to_voxel = np.asarray(np.linalg.inv(self.grid.affine), dtype=np.float64)
        sinus = self.sinus_mm
        if sinus is None:
            sinus = np.full((2, 2, 2), FAR_MM, dtype=np.float32)
        return Space(self.clearance_mm, self.protected_mm, self.exempt, to_voxel, sinus)


def fields_of(scene: Scene, extra_mm: npt.ArrayLike = ()) -> Fields:
    """Distances in a window that holds entries, targets and `extra_mm`, shape (N, 3)."""
    extra = np.asarray(extra_mm, dtype=np.float64).reshape(-1, 3)
    points = np.concatenate([scene.entries_mm, scene.targets_mm, extra])
    inverse = np.linalg.inv(scene.grid.affine)
    voxels = apply_affine(inverse, points)
    border = np.ceil(BORDER_MM / scene.grid.voxel_sizes_mm).astype(int)
    low = np.clip(np.floor(voxels.min(axis=0)).astype(int) - border, 0, scene.grid.shape)
    high = np.clip(np.ceil(voxels.max(axis=0)).astype(int) + border + 1, 0, scene.grid.shape)
    window = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    affine = np.array(scene.grid.affine)
    affine[:3, 3] = apply_affine(affine, low)
    shape = tuple(int(n) for n in high - low)
    grid = Grid((shape[0], shape[1], shape[2]), affine)
    return Fields(
        grid=grid,
        clearance_mm=distance_mm(scene.obstacles[window], grid),
        protected_mm=distance_mm(scene.protected[window], grid),
        exempt=np.ascontiguousarray(
            scene.targets[window]
            if scene.passage is None
            else (scene.targets | scene.passage)[window]
        ),
        sinus_mm=_sinus_mm(scene, window),
    )


def _sinus_mm(scene: Scene, window: tuple[slice, ...]) -> npt.NDArray[np.float32] | None:
    """Distance to the nearest sinus of the whole grid: its limit reaches beyond the window."""
    if scene.sinus is None:
        return None
    return np.ascontiguousarray(distance_mm(scene.sinus, scene.grid)[window])


def distance_mm(mask: Mask, grid: Grid) -> npt.NDArray[np.float32]:
    """Exact Euclidean distance from each voxel centre to the nearest one of a mask, in its shape.

    Distances, mm, are held at :data:`FAR_MM`, the value everywhere if the mask is empty.
    """
    if not mask.any():
        return np.full(mask.shape, FAR_MM, dtype=np.float32)
    distance = ndimage.distance_transform_edt(~mask, sampling=grid.voxel_sizes_mm)
    return np.asarray(np.minimum(distance, FAR_MM), dtype=np.float32)
