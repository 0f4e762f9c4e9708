"""Rigid and affine coregistration of two images of one person by mutual information."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import scipy
from scipy import ndimage

from falx.anatomy.mirror_invariance import faces_left, rounded
from falx.anatomy.registration.descent import descend
from falx.anatomy.registration.mutual_information import BINS, Evaluation, nmi
from falx.core.errors import InputError, check_same_grid
from falx.core.grid import Grid, apply_affine
from falx.core.threads import kernel_threads
from falx.images.mirror import FLIP, mirror_image
from falx.images.nifti import Image
from falx.images.resample import resample, sample
from falx.images.smooth import smooth

__all__ = [
    "LEAST_SHARPNESS",
    "Coregistration",
    "Placement",
    "coregister",
    "point_distance_mm",
    "sharpness",
    "surroundings",
]

MARGIN_MM = 20.0
"""The metric is taken in the brain and this margin: with the scalp, without the neck."""


@dataclass(frozen=True)
class Level:
    """One resolution: distance of the samples, smoothing of the images, smallest useful step."""

    spacing_mm: float
    fwhm_mm: float
    tolerance_mm: float


LEVELS = (Level(8.0, 8.0, 0.3), Level(4.0, 4.0, 0.1), Level(2.5, 0.0, 0.001))

FIRST_CURVATURE = 1e4
"""First guess of the inverse Hessian, mm² per unit of NMI."""


THIN_MM = 2.0
"""Levels smoothed beyond this work on images thinned to about this voxel size."""

RADIUS_MM = 70.0
"""Scale of rotations: one unit of a rotation parameter moves a point at this radius by 1 mm."""

RIGID = 1e-4
"""How far the product of a rotation and its transpose may lie from the identity."""

MINIMUM_OVERLAP = 0.2
"""Least share of the samples that must fall inside the moving image."""

MINIMUM_NMI_GAIN = 1.25
"""NMI - 1 must exceed that of the same intensities in random order by this factor."""

SHIFT_MM = 4.0
"""By how much the images are shifted to see what their places are worth."""

LEAST_SHARPNESS = 0.15
"""Of six pairs .20 to .53 where they lie rightly, at most .08 when shifted by 5 mm, .14 when
turned by 6°, .04 when turned over; shifted by 2 mm .10 to .30, so that this is not seen."""


@dataclass(frozen=True, eq=False)
class Placement:
    """Where somebody put the moving image by hand.

    Parameters
    ----------
    matrix
        4×4, fixed world mm → moving world mm, rigid.
    refine
        Climb from there to the nearest maximum; otherwise the matrix stays as it is.
    """

    matrix: npt.NDArray[np.float64]
    refine: bool = True

    def __post_init__(self) -> None:
        matrix = np.asarray(self.matrix, dtype=np.float64)
        turned = matrix[:3, :3] if matrix.shape == (4, 4) else np.zeros((3, 3))
        rigid = np.abs(turned @ turned.T - np.eye(3)).max() < RIGID and np.linalg.det(turned) > 0
        if not rigid or not np.isfinite(matrix).all() or not np.allclose(matrix[3], (0, 0, 0, 1)):
            raise InputError(
                "the placement by hand does not only move and turn the image",
                found=np.round(matrix, 3).tolist(),
                do="place it again",
            )
        object.__setattr__(self, "matrix", matrix)


@dataclass(frozen=True, eq=False)
class Coregistration:
    """A linear map between two images and how well it fits.

    Parameters
    ----------
    matrix
        4×4, fixed world mm → moving world mm.
    nmi_before, nmi_after
        NMI at the finest level with the headers as they are, and with the matrix.
    overlap
        Share of the fixed samples inside the moving image, 0…1.
    mean_shift_mm
        Mean distance by which the matrix moves the sampled points.
    """

    matrix: npt.NDArray[np.float64]
    nmi_before: float
    nmi_after: float
    overlap: float
    mean_shift_mm: float


def coregister(
    fixed: Image,
    moving: Image,
    *,
    dof: int = 6,
    mask: npt.NDArray[np.bool_] | None = None,
    levels: tuple[Level, ...] = LEVELS,
    seed: int = 0,
    placement: Placement | None = None,
    threads: int = 1,
    where: object = None,
) -> Coregistration:
    """Find the matrix that carries points of one image to those of another.

    Parameters
    ----------
    fixed, moving
        Images of the same head, shape (X, Y, Z); any contrast, grid and slice thickness.
    dof
        6 (rigid) or 12 (affine).
    mask
        Shape of `fixed`; only samples inside it count. Leaves a cavity or the neck out.
    levels
        Coarse to fine; the search for a start is made at the first.
    seed
        Of the jitter that keeps samples off the voxel lattice.
    placement
        Where somebody put the moving image by hand: the search begins there and stays near, or
        is left out.
    threads
        The result does not depend on it.
    where
        Name of the moving image, for messages.

    Returns
    -------
    Coregistration

    Raises
    ------
    InputError
        If an image is empty, or the two cannot be brought to overlap.

    Notes
    -----
    Levels and joint histogram after Collignon 1997 and Studholme 1999; the optimiser is
    L-BFGS on the analytic gradient. The jitter is mirror-symmetric about the middle of the
    fixed image's first axis, so that mirrored images give the mirrored matrix.
    """
    _check_inputs(fixed, moving, mask, dof, where)
    over = faces_left(fixed.data)
    still, moved = _facing(fixed, over=over), _facing(moving, over=over)
    inside = None
    if mask is not None:
        inside = _facing(Image(mask.astype(np.float32), fixed.affine), over=over)
    if placement is not None and over:
        placement = replace(placement, matrix=FLIP @ placement.matrix @ FLIP)
    with kernel_threads(threads):
        found = _coregister(still, moved, dof, inside, levels, seed, placement, where)
    return replace(found, matrix=FLIP @ found.matrix @ FLIP) if over else found


def sharpness(
    fixed: Image,
    moving: Image,
    matrix: npt.NDArray[np.floating],
    *,
    mask: npt.NDArray[np.bool_] | None = None,
    seed: int = 0,
    threads: int = 1,
) -> float:
    """Share of NMI - 1 that shifts by :data:`SHIFT_MM` along the axes lose, in the mean.

    High where both images hold the same edges at the same places, near zero or below where a
    shift is as good: the images are not of one head, lie wrongly, or are too smooth to tell. No
    published source; docs/methods/coregistration.md has what it is for known errors.

    Parameters
    ----------
    fixed, moving, mask
        As for :func:`coregister`, shape (X, Y, Z).
    matrix
        4×4, fixed world mm → moving world mm.
    """
    inside = None if mask is None else Image(mask.astype(np.float32), fixed.affine)
    with kernel_threads(threads):
        problem = _Problem.of(
            _facing(fixed, over=False), _facing(moving, over=False), inside, LEVELS[-1], seed
        )
        here = problem.evaluate(np.asarray(matrix, np.float64)).value - 1.0
        beside = []
        for axis in range(3):
            for sign in (-1.0, 1.0):
                shift = np.eye(4)
                shift[axis, 3] = sign * SHIFT_MM
                beside.append(problem.evaluate(matrix @ shift).value - 1.0)
    return 1.0 - float(np.mean(beside)) / here if here > 0 else 0.0


def _check_inputs(
    fixed: Image, moving: Image, mask: npt.NDArray[np.bool_] | None, dof: int, where: object
) -> None:
    if dof not in (6, 12):
        raise InputError(
            "dof must be 6 or 12",
            where="coregister",
            found=dof,
            do="choose 6 (rigid) or 12 (affine)",
        )
    for name, image in (("fixed", fixed), ("moving", moving)):
        _check_content(image, name, where if name == "moving" else None)
    if mask is not None:
        check_same_grid("image", fixed.data.shape, fixed.affine, "mask", mask.shape, fixed.affine)


def surroundings(mask: Image) -> npt.NDArray[np.bool_]:
    """Voxels within :data:`MARGIN_MM` of a mask along each axis, shape (X, Y, Z)."""
    near = mask.data.astype(np.uint8)
    for axis, size_mm in enumerate(mask.grid.voxel_sizes_mm):
        near = ndimage.maximum_filter1d(near, 2 * round(MARGIN_MM / size_mm) + 1, axis=axis)
    return np.asarray(near > 0)


def point_distance_mm(
    a: npt.NDArray[np.floating], b: npt.NDArray[np.floating], points_mm: npt.ArrayLike
) -> float:
    """Mean distance between the images of the same points under two matrices, mm.

    Examples
    --------
    >>> shift = np.eye(4); shift[0, 3] = 2.0
    >>> point_distance_mm(np.eye(4), shift, [[0.0, 0.0, 0.0]])
    2.0
    """
    apart = apply_affine(a, points_mm) - apply_affine(b, points_mm)
    return float(np.linalg.norm(apart, axis=-1).mean())


def _facing(image: Image, *, over: bool) -> Image:
    """Finite values, turned over if asked; see :mod:`falx.anatomy.mirror_invariance`."""
    facing = mirror_image(image) if over else image
    return _finite(Image(facing.data, rounded(facing.affine)))


def _coregister(
    fixed: Image,
    moving: Image,
    dof: int,
    mask: Image | None,
    levels: tuple[Level, ...],
    seed: int,
    placement: Placement | None,
    where: object,
) -> Coregistration:
    thin = _thinned(fixed), _thinned(moving)
    if placement is None:
        matrix = _best_start(_Problem.of(*thin, mask, levels[0], seed), *thin)
    else:
        matrix = placement.matrix
    keep = placement is not None and not placement.refine
    inverse_hessian = np.eye(dof) * FIRST_CURVATURE
    for level in levels[-1:] if keep else levels[1:]:
        pair = thin if level.fwhm_mm > THIN_MM else (fixed, moving)
        problem = _Problem.of(*pair, mask, level, seed)
        if not keep:
            matrix, inverse_hessian = problem.optimise(matrix, inverse_hessian, level.tolerance_mm)
    before, after = problem.evaluate(np.eye(4)), problem.evaluate(matrix)
    _check_result(problem, after, seed, where)
    return Coregistration(
        matrix=matrix,
        nmi_before=before.value,
        nmi_after=after.value,
        overlap=after.overlap,
        mean_shift_mm=point_distance_mm(np.eye(4), matrix, problem.points[::16] + problem.centre),
    )


@dataclass(frozen=True, eq=False)
class _Problem:
    """Samples of both images at one level: NMI as a function of the matrix."""

    points: npt.NDArray[np.float64]  # relative to the centre, mm
    centre: npt.NDArray[np.float64]
    fixed_bins: npt.NDArray[np.float32]
    moving_bins: npt.NDArray[np.float32]
    moving_to_voxel: npt.NDArray[np.float64]

    @classmethod
    def of(
        cls, fixed: Image, moving: Image, mask: Image | None, level: Level, seed: int
    ) -> _Problem:
        points = _jittered_points(fixed, level.spacing_mm, seed)
        if mask is not None:
            points = points[sample(mask, points) >= 0.5]
        values = sample(_smoothed(fixed, level.fwhm_mm), points)
        blurred = _smoothed(moving, level.fwhm_mm)
        centre = apply_affine(fixed.affine, (np.array(fixed.data.shape) - 1) / 2)
        return cls(
            points=np.ascontiguousarray(points - centre),
            centre=centre,
            fixed_bins=_binned(values),
            moving_bins=_binned(blurred.data),
            moving_to_voxel=np.asarray(np.linalg.inv(moving.affine), dtype=np.float64),
        )

    def evaluate(self, matrix: npt.NDArray[np.float64]) -> Evaluation:
        """NMI at a matrix of shape (4, 4), with the gradient by its entries about the centre."""
        to_voxel = self.moving_to_voxel @ matrix @ _shift(self.centre)
        result = nmi(self.points, self.fixed_bins, self.moving_bins, to_voxel)
        by_matrix = self.moving_to_voxel[:3, :3].T @ result.gradient
        return Evaluation(result.value, by_matrix, result.overlap)

    def optimise(
        self,
        start: npt.NDArray[np.float64],
        inverse_hessian: npt.NDArray[np.float64],
        tolerance_mm: float,
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Climb from `start` to the nearest maximum of NMI.

        The inverse Hessian has the shape (dof, dof).
        """
        frame = start @ _shift(self.centre)

        def cost(theta: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
            result = self.evaluate(_matrix(theta, self.centre) @ start)
            slopes = _matrix_slopes(theta, self.centre)
            gradient = [float((result.gradient * (d @ frame)[:3]).sum()) for d in slopes]
            return -result.value, -np.array(gradient)

        theta, inverse_hessian = descend(cost, inverse_hessian, tolerance=tolerance_mm)
        return _matrix(theta, self.centre) @ start, inverse_hessian


def _matrix(
    theta: npt.NDArray[np.float64], centre: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Matrix from parameters: translation (mm), rotation vector, log of a symmetric stretch.

    All but the translations are scaled by :data:`RADIUS_MM`, so that every parameter moves
    the head by a similar distance.
    """
    matrix = np.eye(4)
    linear = scipy.spatial.transform.Rotation.from_rotvec(theta[3:6] / RADIUS_MM).as_matrix()
    if len(theta) == 12:
        a, b, c, d, e, f = theta[6:] / RADIUS_MM
        values, vectors = np.linalg.eigh(np.array([[a, d, e], [d, b, f], [e, f, c]]))
        linear = linear @ (vectors * np.exp(values)) @ vectors.T
    matrix[:3, :3] = linear
    matrix[:3, 3] = theta[:3] + centre - linear @ centre
    return matrix


def _matrix_slopes(
    theta: npt.NDArray[np.float64], centre: npt.NDArray[np.float64]
) -> list[npt.NDArray[np.float64]]:
    """Return the derivative of :func:`_matrix` by each parameter, by central differences."""
    step = 1e-3
    slopes = []
    for axis in range(len(theta)):
        delta = np.zeros(len(theta))
        delta[axis] = step
        difference = _matrix(theta + delta, centre) - _matrix(theta - delta, centre)
        slopes.append(difference / (2 * step))
    return slopes


def _shift(offset: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    matrix = np.eye(4)
    matrix[:3, 3] = offset
    return matrix


def _best_start(level: _Problem, fixed: Image, moving: Image) -> npt.NDArray[np.float64]:
    """Best of three starts after a coarse rigid search: header, mass centres, field centres."""
    starts = [
        np.eye(4),
        _shift(_centre_of_mass(moving) - _centre_of_mass(fixed)),
        _shift(apply_affine(moving.affine, (np.array(moving.data.shape) - 1) / 2) - level.centre),
    ]
    first = np.eye(6) * FIRST_CURVATURE
    found = [level.optimise(start, first, LEVELS[0].tolerance_mm)[0] for start in starts]
    results = [level.evaluate(matrix) for matrix in found]
    most = max(result.overlap for result in results)
    # A sliver of overlap can have any NMI: it does not compete.
    score = [r.value if r.overlap >= 0.6 * most else 0.0 for r in results]
    return found[int(np.argmax(score))]


def _jittered_points(fixed: Image, spacing_mm: float, seed: int) -> npt.NDArray[np.float64]:
    """Sample positions, one at random in each cell of a lattice, mirror-symmetric in axis 0."""
    shape, size = np.array(fixed.data.shape), fixed.grid.voxel_sizes_mm
    extent = np.maximum(shape - 1, 0)
    cells = np.maximum(np.round(extent * size / spacing_mm), 1).astype(int)
    rng = np.random.default_rng(seed)
    half = (cells[0] + 1) // 2
    offset = rng.uniform(0.0, 1.0, (half, cells[1], cells[2], 3))
    if cells[0] % 2:
        offset[-1, ..., 0] = 0.5
    lattice = np.stack(np.meshgrid(*[np.arange(n) for n in cells], indexing="ij"), axis=-1)
    other = offset[: cells[0] - half][::-1].copy()
    other[..., 0] = 1.0 - other[..., 0]
    voxels = (lattice + np.concatenate([offset, other])) * (extent / cells)
    return apply_affine(fixed.affine, voxels.reshape(-1, 3))


def _thinned(image: Image) -> Image:
    """Halve (or more) the voxels of fine axes, symmetrically about the middle of the image."""
    shape, size = np.array(image.data.shape), image.grid.voxel_sizes_mm
    factor = np.maximum(np.floor(THIN_MM / size + 0.3), 1).astype(int)
    if np.all(factor == 1):
        return image
    kept = np.maximum(shape // factor, 1)
    first = ((shape - 1) - (kept - 1) * factor) / 2
    affine = image.affine @ np.block(
        [[np.diag(factor.astype(float)), first[:, None]], [np.zeros((1, 3)), np.ones((1, 1))]]
    )
    return Image(resample(image, Grid((kept[0], kept[1], kept[2]), affine)), affine)


def _smoothed(image: Image, fwhm_mm: float) -> Image:
    """Smooth to a resolution; an axis whose voxels are already as wide stays as it is."""
    size = image.grid.voxel_sizes_mm
    extra_mm = np.sqrt(np.maximum(fwhm_mm**2 - size**2, 0.0))
    return Image(smooth(image.data, size, extra_mm), image.affine) if extra_mm.any() else image


def _finite(image: Image) -> Image:
    return Image(np.nan_to_num(np.asarray(image.data, dtype=np.float32)), image.affine)


def _binned(values: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Map intensities to histogram bins; the outermost thousandths share the end bins."""
    low, high = np.percentile(values, [0.1, 99.9])
    scale = (BINS - 1) / max(float(high - low), 1e-12)
    return np.asarray(np.clip((values - low) * scale, 0.0, BINS - 1), dtype=np.float32)


def _centre_of_mass(image: Image) -> npt.NDArray[np.float64]:
    thin = np.nan_to_num(image.data[::2, ::2, ::2]).clip(0)
    return apply_affine(image.affine, 2 * np.array(ndimage.center_of_mass(thin)))


def _check_content(image: Image, name: str, where: object) -> None:
    values = image.data[np.isfinite(image.data)]
    if values.size == 0:
        found = "no finite value"
    elif float(values.min()) == float(values.max()):
        found = f"the value {float(values[0]):g} everywhere"
    elif min(image.data.shape) < 4:
        found = f"shape {'×'.join(map(str, image.data.shape))}"
    else:
        return
    raise InputError(
        f"the {name} image has nothing to align",
        where=where,
        found=found,
        do="check that this is the right image",
    )


def _check_result(level: _Problem, result: Evaluation, seed: int, where: object) -> None:
    shuffled = np.random.default_rng(seed).permutation(level.fixed_bins)
    chance = nmi(level.points, shuffled, level.moving_bins, level.moving_to_voxel).value
    if result.overlap < MINIMUM_OVERLAP:
        found = f"{100 * result.overlap:.0f} % overlap"
    elif result.value - 1.0 < MINIMUM_NMI_GAIN * (chance - 1.0):
        found = f"normalised mutual information {result.value:.4f}, by chance {chance:.4f}"
    else:
        return
    raise InputError(
        "the two images cannot be aligned",
        where=where,
        found=found,
        do="check that both show the same head and that their headers place them near each other",
    )
