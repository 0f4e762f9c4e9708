"""How far the head moved: motion parameters, framewise displacement, exclusion.

The two framewise displacements depend on the rotation centre and on the order of rotations;
both are stated here, because programs differ in them and so in the volumes they call spikes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError, check_option
from falx.core.settings import check_settings, option

__all__ = [
    "LIMIT_STEPS",
    "BeyondLimit",
    "MotionLimits",
    "MotionSummary",
    "beyond_limits",
    "fd_jenkinson",
    "fd_power",
    "fd_van_dijk",
    "matrices_from_parameters",
    "motion_summary",
    "parameters_from_matrices",
    "rotation_centre",
]

POWER_RADIUS_MM = 50.0
JENKINSON_RADIUS_MM = 80.0
LIMIT_STEPS = (3.0, 2.5, 2.0, 1.5, 1.0, 0.5)
"""Limits (mm and degrees) for which the table of exclusions counts, as DPABI prints them."""


@dataclass(frozen=True)
class MotionLimits:
    """When a run is excluded; the defaults are those of Liu et al. 2024."""

    translation_limit_mm: float = option(
        3.0,
        help="a run whose head moves farther along an axis is excluded",
        unit="mm",
        low=0,
        high=100,
    )
    rotation_limit_deg: float = option(
        3.0,
        help="a run whose head turns farther about an axis is excluded",
        unit="degrees",
        low=0,
        high=180,
    )
    fd_threshold_mm: float = option(
        0.2, help="framewise displacement of a spike", unit="mm", low=0, high=100
    )
    spike_limit_percent: float = option(
        10.0, help="a run with more spikes is excluded", unit="%", low=0, high=100
    )

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True, eq=False)
class MotionSummary:
    """Motion of one run and the decision about it.

    Parameters
    ----------
    translation_mm, rotation_deg
        Largest absolute value over volumes and axes.
    fd_mm
        Shape (T,): framewise displacement after Power.
    spikes
        Shape (T,): FD strictly above the threshold.
    reasons
        Why the run is excluded; empty if it is kept.
    """

    translation_mm: float
    rotation_deg: float
    fd_mm: npt.NDArray[np.float64]
    spikes: npt.NDArray[np.bool_]
    reasons: tuple[str, ...]

    @property
    def mean_fd_mm(self) -> float:
        """Mean framewise displacement, mm."""
        return float(self.fd_mm.mean())

    @property
    def spike_percent(self) -> float:
        """Share of volumes that are spikes, percent."""
        return float(100.0 * self.spikes.mean())

    @property
    def excluded(self) -> bool:
        """Whether a limit is exceeded."""
        return bool(self.reasons)


def parameters_from_matrices(
    matrices: npt.NDArray[np.floating], *, centre_mm: npt.ArrayLike = (0.0, 0.0, 0.0)
) -> npt.NDArray[np.float64]:
    """Return translations (mm) and rotations (rad), shape (..., 6), of matrices ``T Rx Ry Rz``.

    Parameters
    ----------
    matrices
        Shape (..., 4, 4).
    centre_mm
        Point about which rotations are expressed, world mm.

    Notes
    -----
    SPM's convention: Rx = [1 0 0; 0 c s; 0 -s c], Ry = [c 0 s; 0 1 0; -s 0 c],
    Rz = [c s 0; -s c 0; 0 0 1].

    Examples
    --------
    >>> quarter = np.array([[1.0, 0, 0, 5], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
    >>> parameters_from_matrices(quarter).round(4).tolist()
    [5.0, 0.0, 0.0, 1.5708, 0.0, 0.0]
    """
    m = np.asarray(matrices, dtype=np.float64)
    rotation = m[..., :3, :3]
    centre = np.asarray(centre_mm, dtype=np.float64)
    shift = m[..., :3, 3] - centre + rotation @ centre
    y = np.arcsin(np.clip(rotation[..., 0, 2], -1.0, 1.0))
    x = np.arctan2(rotation[..., 1, 2], rotation[..., 2, 2])
    z = np.arctan2(rotation[..., 0, 1], rotation[..., 0, 0])
    return np.concatenate([shift, np.stack([x, y, z], axis=-1)], axis=-1)


def matrices_from_parameters(
    parameters: npt.NDArray[np.floating],
) -> npt.NDArray[np.float64]:
    """Return matrices ``T Rx Ry Rz``, shape (..., 4, 4), of parameters of shape (..., 6).

    The inverse of :func:`parameters_from_matrices` about the world origin.

    Examples
    --------
    >>> quarter = matrices_from_parameters(np.array([5.0, 0, 0, np.pi / 2, 0, 0]))
    >>> (quarter.round(4)[:3] + 0.0).tolist()
    [[1.0, 0.0, 0.0, 5.0], [0.0, 0.0, 1.0, 0.0], [0.0, -1.0, 0.0, 0.0]]
    """
    p = np.asarray(parameters, dtype=np.float64)
    cx, cy, cz = np.moveaxis(np.cos(p[..., 3:]), -1, 0)
    sx, sy, sz = np.moveaxis(np.sin(p[..., 3:]), -1, 0)
    rows = (
        (cy * cz, cy * sz, sy),
        (-sx * sy * cz - cx * sz, -sx * sy * sz + cx * cz, sx * cy),
        (-cx * sy * cz + sx * sz, -cx * sy * sz - sx * cz, cx * cy),
    )
    matrices = np.zeros((*p.shape[:-1], 4, 4))
    matrices[..., :3, :3] = np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)
    matrices[..., :3, 3], matrices[..., 3, 3] = p[..., :3], 1.0
    return matrices


def fd_power(
    parameters: npt.NDArray[np.floating], *, radius_mm: float = POWER_RADIUS_MM
) -> npt.NDArray[np.float64]:
    """Sum of absolute changes of the six parameters, rotations as arcs, shape (T,), mm.

    The first volume has no predecessor: zero.

    References
    ----------
    Power et al. 2012, NeuroImage 59:2142.

    Examples
    --------
    >>> fd_power(np.array([[0.0] * 6, [0.1, 0, 0, 0.002, 0, 0]]))
    array([0. , 0.2])
    """
    change = np.abs(np.diff(np.asarray(parameters, dtype=np.float64), axis=0))
    return np.concatenate([[0.0], change[:, :3].sum(1) + radius_mm * change[:, 3:].sum(1)])


def fd_jenkinson(
    matrices: npt.NDArray[np.floating],
    centre_mm: npt.ArrayLike,
    *,
    radius_mm: float = JENKINSON_RADIUS_MM,
) -> npt.NDArray[np.float64]:
    """Root mean square displacement over a sphere between neighbours, shape (T,), mm.

    Parameters
    ----------
    matrices
        Shape (T, 4, 4): from reference mm to volume mm.
    centre_mm
        Centre of the sphere, mm.

    References
    ----------
    Jenkinson 1999, FMRIB technical report TR99MJ1, equation 8.
    """
    m = np.asarray(matrices, dtype=np.float64)
    change = m[:-1] @ np.linalg.inv(m[1:]) - np.eye(4)
    linear, shift = change[:, :3, :3], change[:, :3, 3]
    moved = shift + linear @ np.asarray(centre_mm, dtype=np.float64)
    spread = np.einsum("tij,tij->t", linear, linear) * radius_mm**2 / 5.0
    return np.concatenate([[0.0], np.sqrt(spread + (moved**2).sum(axis=1))])


def fd_van_dijk(parameters: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Absolute change of the length of the translation, shape (T,), mm.

    References
    ----------
    Van Dijk et al. 2012, NeuroImage 59:431.
    """
    length = np.linalg.norm(np.asarray(parameters, dtype=np.float64)[:, :3], axis=1)
    return np.concatenate([[0.0], np.abs(np.diff(length))])


def motion_summary(
    parameters: npt.NDArray[np.floating], limits: MotionLimits | None = None
) -> MotionSummary:
    """Judge a run by the largest motion and the share of spikes.

    Examples
    --------
    >>> still = motion_summary(np.zeros((250, 6)))
    >>> still.excluded, still.spike_percent
    (False, 0.0)
    """
    p = _checked(parameters)
    limit = limits or MotionLimits()
    fd = fd_power(p)
    translation, rotation = float(np.abs(p[:, :3]).max()), float(np.abs(p[:, 3:]).max())
    spikes = fd > limit.fd_threshold_mm
    percent = 100.0 * spikes.mean()
    checks = [
        (translation > limit.translation_limit_mm, f"translation {translation:.2f} mm"),
        (np.rad2deg(rotation) > limit.rotation_limit_deg, f"rotation {np.rad2deg(rotation):.2f}°"),
        (
            percent > limit.spike_limit_percent,
            f"{percent:.1f} % spikes (FD > {limit.fd_threshold_mm:g} mm)",
        ),
    ]
    reasons = tuple(text for failed, text in checks if failed)
    return MotionSummary(translation, float(np.rad2deg(rotation)), fd, spikes, reasons)


@dataclass(frozen=True)
class BeyondLimit:
    """How much of a run lies beyond one common limit of shift and turn.

    Parameters
    ----------
    limit
        In mm for translations, in degrees for rotations.
    shifted_volumes, turned_volumes, volumes
        Volumes with a translation, with a rotation, with either strictly above the limit.
    """

    limit: float
    shifted_volumes: int
    turned_volumes: int
    volumes: int


def beyond_limits(
    parameters: npt.NDArray[np.floating], limits: Sequence[float] = LIMIT_STEPS
) -> tuple[BeyondLimit, ...]:
    """Count the volumes beyond each limit.

    Parameters
    ----------
    parameters
        Shape (T, 6), mm and radians.

    Examples
    --------
    >>> moved = np.zeros((4, 6))
    >>> moved[2:, 1] = -1.2
    >>> [found.volumes for found in beyond_limits(moved, (1.5, 1.0))]
    [0, 2]
    """
    p = _checked(parameters)
    shift, turn = np.abs(p[:, :3]).max(axis=1), np.rad2deg(np.abs(p[:, 3:]).max(axis=1))
    return tuple(
        BeyondLimit(
            limit,
            int(np.count_nonzero(shift > limit)),
            int(np.count_nonzero(turn > limit)),
            int(np.count_nonzero((shift > limit) | (turn > limit))),
        )
        for limit in limits
    )


def _checked(parameters: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    p = np.asarray(parameters, dtype=np.float64)
    if p.ndim != 2 or p.shape[1] != 6 or not np.isfinite(p).all():
        raise InputError("motion parameters must be a finite table of six columns", found=p.shape)
    return p


def rotation_centre(
    kind: str, shape: tuple[int, ...], affine: npt.NDArray[np.floating]
) -> npt.NDArray[np.float64]:
    """World origin, or the centre of the volume, shape (3,), mm; FD depends on it."""
    check_option("centre", kind, ("world", "volume"))
    if kind == "world":
        return np.zeros(3)
    middle = (np.array(shape) - 1) / 2.0
    return np.asarray(affine[:3, :3] @ middle + affine[:3, 3], dtype=np.float64)
