"""A small head of ellipsoids with FreeSurfer numbers, and the planner written again in NumPy.

The NumPy planner shares no code with the package beyond plain records: it is what the
compiled kernels are held against.
"""

from __future__ import annotations

import numpy as np

from falx.core.grid import Grid
from falx.images.nifti import Image


def ellipsoid(points, centre, radii):
    return (((points - np.array(centre)) / np.array(radii)) ** 2).sum(-1) <= 1.0


def head_labels(voxel_mm: float = 2.0, *, shift=(0.0, 0.0, 0.0)) -> Image:
    """Labels on an axis-aligned grid symmetric about x = 0; the head itself is asymmetric."""
    shape = tuple(int(2 * np.ceil(half / voxel_mm)) + 1 for half in (80, 100, 76))
    affine = np.diag([voxel_mm] * 3 + [1.0])
    affine[:3, 3] = [-voxel_mm * (n - 1) / 2 for n in shape]
    affine[1, 3] -= 15.0
    p = Grid(shape, affine).centres_mm() - np.array(shift)
    labels = np.zeros(shape, np.int32)
    labels[ellipsoid(p, (0, -15, 5), (70, 88, 62))] = 2
    labels[(labels == 2) & (p[..., 0] > 0)] = 41
    for sign, hippocampus, amygdala, horn, thalamus in (
        (-1, 17, 18, 5, 10), (1, 53, 54, 44, 49),
    ):  # fmt: skip
        tilt = 0.1 if sign < 0 else 0.0
        x = p[..., 0] - sign * (27 + tilt * (p[..., 1] + 15))
        labels[ellipsoid(np.stack([x, p[..., 1], p[..., 2]], -1), (0, -20, -12), (6, 19, 6))] = (
            hippocampus
        )
        labels[ellipsoid(p, (sign * 25, 6, -10), (7, 7, 7))] = amygdala
        labels[ellipsoid(p, (sign * 38, -24, -4), (3, 22, 3))] = horn
        labels[ellipsoid(p, (sign * 10, -18, 6), (7, 12, 7))] = thalamus
    labels[ellipsoid(p, (0, -25, -28), (11, 11, 22))] = 16
    for sign in (-1, 1):  # sulci: slits that run down from the back of the head
        for z in (-8.0, 14.0, 32.0):
            slit = (np.abs(p[..., 2] - z - 0.2 * (p[..., 1] + 90)) < 2.1) & (p[..., 1] < -68)
            labels[slit & (sign * p[..., 0] > 24) & np.isin(labels, (2, 41))] = 24
    return Image(labels, affine)


def head_signature(labels: Image, side: str = "left") -> Image:
    """The front two thirds of the hippocampus and the whole amygdala of one side."""
    hippocampus, amygdala = (17, 18) if side == "left" else (53, 54)
    y = labels.grid.centres_mm()[..., 1]
    return Image(
        (labels.data == amygdala) | (labels.data == hippocampus) & (y > -28), labels.affine
    )


def same_place(points):
    """The head is in template space already."""
    return points


def interpolate(field, voxels):
    """Trilinear values at voxel coordinates of shape (N, 3)."""
    top = np.array(field.shape) - 1.000001
    v = np.clip(voxels, 0, top)
    low = v.astype(int)
    f = v - low
    total = np.zeros(len(v))
    for corner in np.ndindex(2, 2, 2):
        weight = np.prod(np.where(corner, f, 1 - f), axis=1)
        total += weight * field[tuple((low + corner).T)]
    return total


def track_samples(entry, target, step_mm):
    length = np.linalg.norm(np.subtract(target, entry))
    n = int(np.ceil(length / step_mm))
    return entry + np.linspace(0, 1, n + 1)[:, None] * np.subtract(target, entry), length


def exempt_at(mask, voxels):
    index = np.clip(np.floor(voxels + 0.5).astype(int), 0, np.array(mask.shape) - 1)
    return mask[tuple(index.T)]


def track_ok(fields, entry, outward, target, limits, step_mm=0.25):
    """Length, angle and clearance of one track, in plain NumPy."""
    points, length = track_samples(entry, target, step_mm)
    if length > limits.max_length_mm:
        return False
    if -(outward @ (target - entry)) < np.cos(np.radians(limits.max_angle_deg)) * length:
        return False
    inverse = np.linalg.inv(fields.grid.affine)
    voxels = points @ inverse[:3, :3].T + inverse[:3, 3]
    free = ~exempt_at(fields.exempt, voxels)
    least = limits.min_clearance_mm - 1e-3
    return bool(np.all(interpolate(fields.clearance_mm, voxels[free]) >= least))


def heated(points, plan):
    """Whether points lie in any capsule of the plan, by projecting on its axis."""
    target = np.array(plan.trajectory.target_mm)
    back = np.array(plan.trajectory.entry_mm) - target
    back /= np.linalg.norm(back)
    inside = np.zeros(len(points), bool)
    for burn in plan.burns:
        along = (points - target) @ back
        t = np.clip(along, burn.tip_offset_mm, burn.tip_offset_mm + burn.pull_back_mm)
        inside |= np.linalg.norm(points - target - t[:, None] * back, axis=1) <= burn.radius_mm
    return inside


def capsules_volume(burns, step_mm=0.05):
    """Volume of burns on one axis, by slices across it, mm³."""
    along = np.arange(-20.0, 90.0, step_mm) + step_mm / 2
    wide = np.zeros_like(along)
    for burn in burns:
        beyond = along - np.clip(along, burn.tip_offset_mm, burn.tip_offset_mm + burn.pull_back_mm)
        wide = np.maximum(wide, burn.radius_mm**2 - beyond**2)
    return float(np.pi * wide.sum() * step_mm)


def protected_gap(points, plan):
    """Least distance from the heated capsules to points, mm."""
    target = np.array(plan.trajectory.target_mm)
    back = np.array(plan.trajectory.entry_mm) - target
    back /= np.linalg.norm(back)
    gap = np.inf
    for burn in plan.burns:
        along = (points - target) @ back
        t = np.clip(along, burn.tip_offset_mm, burn.tip_offset_mm + burn.pull_back_mm)
        apart = np.linalg.norm(points - target - t[:, None] * back, axis=1)
        gap = min(gap, float(apart.min()) - burn.radius_mm)
    return gap


def clear_of_obstacles(fields, points, least):
    """Which of some tracks, samples of shape (D, S, 3), stay clear outside the exempt tissue."""
    inverse = np.linalg.inv(fields.grid.affine)
    voxels = points.reshape(-1, 3) @ inverse[:3, :3].T + inverse[:3, 3]
    room = interpolate(fields.clearance_mm, voxels)
    good = exempt_at(fields.exempt, voxels) | (room >= least - 1e-3)
    return good.reshape(points.shape[:2]).all(axis=1)


def misplaced(plan, scene, fields, limits, ends, radii, *, samples=200):
    """Every copy of a plan that misses by some errors, in plain NumPy.

    Returns rates in the hippocampus, whether every limit is kept, whether nothing is touched.
    """
    entry, target = (np.array(p) for p in (plan.trajectory.entry_mm, plan.trajectory.target_mm))
    length = np.linalg.norm(target - entry)
    way = (target - entry) / length
    across = np.eye(3) - np.outer(way, way)
    skull = entry + ends[:, :3] @ across
    ways = way + ends[:, 3:6] @ across
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    lengths = length + ends[:, 6]
    starts = skull + ends[:, 7:]
    stops = starts + lengths[:, None] * ways
    normal = scene.outward[np.linalg.norm(scene.entries_mm - entry, axis=1).argmin()]
    keeps = lengths <= limits.max_length_mm + 1e-3
    keeps &= -(ways @ normal) >= np.cos(np.radians(limits.max_angle_deg))
    if scene.sinus is not None:
        away = centres(scene.sinus, scene.grid)[None] - skull[:, None]
        keeps &= np.linalg.norm(away, axis=2).min(axis=1) >= limits.min_sinus_mm
    part = np.linspace(0, 1, samples)[:, None]
    track = starts[:, None] + part * (stops - starts)[:, None]
    keeps &= clear_of_obstacles(fields, track, limits.min_clearance_mm)
    safe = clear_of_obstacles(fields, track, 0.825)
    inverse = np.linalg.inv(fields.grid.affine)
    gap = np.full(len(ends), np.inf)
    for n, burn in enumerate(plan.burns):
        along = burn.tip_offset_mm + np.linspace(0, 1, 60) * burn.pull_back_mm
        axis = stops[:, None] - along[:, None] * ways[:, None]
        voxels = axis.reshape(-1, 3) @ inverse[:3, :3].T + inverse[:3, 3]
        room = interpolate(fields.protected_mm, voxels).reshape(axis.shape[:2]).min(axis=1)
        gap = np.minimum(gap, room - (burn.radius_mm + radii[:, n]))
    wanted = centres(scene.signature & scene.hippocampus, scene.grid)
    rates = np.mean(_inside(wanted, stops, ways, plan, radii), axis=1)
    return rates, keeps & (gap >= limits.protect_margin_mm - 1e-3), safe & (gap >= 0)


def _inside(points, stops, ways, plan, radii):
    """Whether each misplaced copy heats each point, shape (D, P)."""
    away = stops[:, None] - points[None]
    along = np.einsum("dpi,di->dp", away, ways)
    across2 = (away**2).sum(-1) - along**2
    inside = np.zeros(along.shape, bool)
    for n, burn in enumerate(plan.burns):
        t = np.clip(along, burn.tip_offset_mm, burn.tip_offset_mm + burn.pull_back_mm)
        reach = burn.radius_mm + radii[:, n, None]
        inside |= across2 + (along - t) ** 2 <= reach**2
    return inside


def centres(mask, grid):
    return np.argwhere(mask) @ grid.affine[:3, :3].T + grid.affine[:3, 3]
