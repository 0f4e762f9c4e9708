"""Regional homogeneity of a resting run (Zang et al. 2004)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from falx.api.inputs import image_of, mask_of, numbers_of, same_grid
from falx.api.results import Result, drawn, new_drawing
from falx.bold.cleaning import Band, clean, cleaning_basis
from falx.bold.reho import regional_homogeneity
from falx.bold.standardised import comparable
from falx.bold.surface_reho import surface_homogeneity, varying
from falx.core.errors import InputError, check_range
from falx.images.gifti import load_triangles, load_vertex_series, save_vertices
from falx.images.nifti import Image
from falx.report.slices import Layer, slices_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Homogeneity", "SurfaceHomogeneity", "reho", "surface_reho"]


@dataclass(frozen=True, eq=False, repr=False)
class Homogeneity(Result):
    """Kendall's W at every voxel.

    Parameters
    ----------
    image
        W, 0 to 1; zero outside the mask.
    z
        W against mean and SD of the mask, smoothed: zReHo.
    mask
        Voxels that have a value.
    volumes, dof
        Volumes of the run, and degrees of freedom that the cleaning left; None without one.
    background
        Mean of the run, for the picture.
    """

    image: Image
    z: Image
    mask: Image
    volumes: int
    dof: int | None
    background: Image
    title = "Regional homogeneity"

    def _facts(self) -> Sequence[tuple[str, object]]:
        values = self.image.data[self.mask.data]
        low, middle, high = (float(v) for v in np.quantile(values, [0.05, 0.5, 0.95]))
        facts: list[tuple[str, object]] = [
            ("voxels", len(values)),
            ("Kendall's W, median (5 to 95 %)", f"{middle:.3f} ({low:.3f} to {high:.3f})"),
            ("volumes", self.volumes),
        ]
        return facts if self.dof is None else [*facts, ("degrees of freedom left", self.dof)]

    def plot(self) -> Figure:
        """Draw W over the mean of the run."""
        high = float(np.quantile(self.image.data[self.mask.data], 0.99))
        layer = Layer(self.image, "map", "magma", 0.0, high, 0.0, "Kendall's W")
        return drawn(slices_figure(self.background, [layer]))


def reho(
    bold: Any,
    mask: Any,
    *,
    repetition_time_s: float | None = None,
    nuisance: npt.ArrayLike | None = None,
    band_hz: tuple[float, float] = (0.01, 0.08),
    smoothing_fwhm_mm: float = 6.0,
    threads: int = 2,
    **choices: Any,
) -> Homogeneity:
    """Measure the regional homogeneity of a run that is aligned.

    Parameters
    ----------
    bold
        Run, shape (X, Y, Z, T): path, image of nibabel, or array with affine.
    mask
        Voxels to measure, on the grid of the run.
    repetition_time_s
        Time between volumes, s. With it the series are cleaned of trends, of `nuisance` and of
        what lies outside `band_hz` in one projection; without it they are taken as they are.
    nuisance
        Shape (T, P), such as motion parameters; needs `repetition_time_s`.
    smoothing_fwhm_mm
        Of the z map.
    choices
        See :func:`falx.bold.reho.regional_homogeneity`: ``neighbours`` (7, 19, 27), ``ties``,
        ``edge``, ``border``, ``least_neighbours``.
    """
    run, inside = image_of(bold, "BOLD run", ndim=4), mask_of(mask, "mask")
    same_grid("BOLD run", run, "mask", inside)
    check_range("smoothing_fwhm_mm", smoothing_fwhm_mm, 0, 30, unit="mm")
    series = np.asarray(run.data[inside.data], dtype=np.float32)
    series, dof = _cleaned(series, repetition_time_s, nuisance, band_hz, threads)
    found = regional_homogeneity(series, inside.data, threads=threads, **choices)
    if not found.computed.any():
        raise InputError("no voxel has enough neighbours inside the mask", do="give a larger mask")
    z = comparable(found.w, found.computed, run.grid.voxel_sizes_mm, fwhm_mm=smoothing_fwhm_mm)
    mean = run.data.mean(axis=3, dtype=np.float64).astype(np.float32)
    return Homogeneity(
        Image(found.w.astype(np.float32), run.affine),
        Image(z.astype(np.float32), run.affine),
        Image(found.computed, run.affine),
        run.data.shape[3],
        dof,
        Image(mean, run.affine),
    )


@dataclass(frozen=True, eq=False, repr=False)
class SurfaceHomogeneity(Result):
    """Kendall's W at every vertex of one hemisphere.

    Parameters
    ----------
    w
        Shape (V,), 0 to 1; NaN where no series varies or no neighbour has one.
    series_used
        Shape (V,): series of the neighbourhood, the vertex's own included; 0 where W is NaN.
    volumes, dof
        Volumes of the run, and degrees of freedom that the cleaning left; None without one.
    """

    w: npt.NDArray[np.float64]
    series_used: npt.NDArray[np.int64]
    volumes: int
    dof: int | None
    title = "Regional homogeneity on a surface"

    def _facts(self) -> Sequence[tuple[str, object]]:
        values = self.w[self.series_used > 0]
        low, middle, high = (float(v) for v in np.quantile(values, [0.05, 0.5, 0.95]))
        facts: list[tuple[str, object]] = [
            ("vertices with a value", f"{len(values)} of {len(self.w)}"),
            ("Kendall's W, median (5 to 95 %)", f"{middle:.3f} ({low:.3f} to {high:.3f})"),
            ("volumes", self.volumes),
        ]
        return facts if self.dof is None else [*facts, ("degrees of freedom left", self.dof)]

    def save(self, path: Path | str) -> None:
        """Write W as a ``shape.gii``."""
        save_vertices(path, self.w)

    def plot(self) -> Figure:
        """Draw how W is distributed."""
        figure, axis = new_drawing()
        axis.hist(self.w[self.series_used > 0], bins=40)
        axis.set_xlabel("Kendall's W")
        axis.set_ylabel("vertices")
        return figure


def surface_reho(
    series: Any,
    surface: Any,
    *,
    repetition_time_s: float | None = None,
    nuisance: npt.ArrayLike | None = None,
    band_hz: tuple[float, float] = (0.01, 0.08),
    threads: int = 2,
) -> SurfaceHomogeneity:
    """Measure regional homogeneity on a surface, such as fMRIPrep's.

    Parameters
    ----------
    series
        ``func.gii`` of one hemisphere, or an array of shape (V, T).
    surface
        ``surf.gii`` of the same vertices, or triangles of shape (F, 3).
    repetition_time_s, nuisance, band_hz
        Cleaning before it, as of :func:`reho`.

    Notes
    -----
    The neighbours of a vertex are those that share an edge with it: six on most of fsaverage. The
    area of a neighbourhood follows the mesh, so that surfaces of one template are compared.
    """
    if isinstance(series, str | Path):
        given = load_vertex_series(series)
    else:
        given = np.asarray(numbers_of(series, "series", ndim=2), np.float32)
    if isinstance(surface, str | Path):
        triangles = load_triangles(surface)
    else:
        triangles = np.asarray(numbers_of(surface, "surface", ndim=2), np.int64)
    inside = varying(given)
    # What does not vary must stay so: cleaning would leave a constant its rounding.
    values = np.where(inside[:, None], given, 0).astype(np.float32)
    cleaned, dof = _cleaned(values, repetition_time_s, nuisance, band_hz, threads)
    kept = np.where(inside[:, None], cleaned, np.nan)
    w, used = surface_homogeneity(kept, triangles, threads=threads)
    return SurfaceHomogeneity(w, used, given.shape[1], dof)


def _cleaned(
    series: npt.NDArray[np.float32],
    repetition_time_s: float | None,
    nuisance: npt.ArrayLike | None,
    band_hz: tuple[float, float],
    threads: int,
) -> tuple[npt.NDArray[np.float32], int | None]:
    """Clean series, shape (V, T), if a repetition time is given; degrees of freedom left."""
    if repetition_time_s is None:
        if nuisance is not None:
            raise InputError("nuisance is taken out with the band", do="give repetition_time_s")
        return series, None
    check_range("repetition_time_s", repetition_time_s, 0.05, 30, unit="s")
    columns = np.zeros((series.shape[1], 0))
    if nuisance is not None:
        columns = numbers_of(nuisance, "nuisance", ndim=2)
    basis = cleaning_basis(columns, repetition_time_s, band=Band(*band_hz))
    return clean(series, basis, threads=threads), basis.dof
