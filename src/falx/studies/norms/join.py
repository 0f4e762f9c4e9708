"""From all controls to norms, in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.core.errors import notify
from falx.core.grid import Grid, require_same
from falx.images.nifti import Image
from falx.pet.controls import (
    OUTLYING,
    Control,
    VoxelNorms,
    check_number,
    covariates_of,
    fit_norm,
    fit_voxels,
    healthy_fwhm_mm,
    modified_z,
    same_conditions,
)
from falx.pet.noise import unfold
from falx.pet.norms import SiteNorms

__all__ = ["JoinedNorms", "Outlier", "join_controls"]

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Outlier:
    """A control whose asymmetry is far from that of the others: named, and kept."""

    label: str
    what: str
    value: float
    modified_z: float


@dataclass(frozen=True, eq=False)
class JoinedNorms:
    """Norms and their maps, shape (X, Y, Z) of `grid`; zero where too few controls have a voxel.

    Parameters
    ----------
    norms
        The record, maps not yet named in it.
    mean, sd, noise
        Healthy mean, SD about it, and the part of the SD that is the controls' noise.
    slopes
        By covariate.
    outliers
        Controls to look at.
    """

    norms: SiteNorms
    grid: Grid
    mean: Floats
    sd: Floats
    noise: Floats
    slopes: Mapping[str, Floats]
    outliers: tuple[Outlier, ...]

    def slope(self, name: str) -> Floats:
        """Slope by a covariate, zero everywhere if it was not regressed."""
        return self.slopes.get(name, np.zeros(self.grid.shape, np.float32))


def join_controls(
    controls: Mapping[str, Control],
    index_of: Callable[[str], Image],
    noise_of: Callable[[str], Image],
) -> JoinedNorms:
    """Join controls to norms.

    Parameters
    ----------
    controls
        By label.
    index_of, noise_of
        Give a control's asymmetry index and its standard error by noise, in template space.
    """
    check_number(len(controls))
    conditions = same_conditions(controls)
    people = list(controls.values())
    covariates, design = covariates_of([c.age for c in people], [c.sex for c in people])
    regions = tuple(fit_norm(name, kind, values, design) for kind, name, values in _values(people))
    maps, grid = _stacked(controls, index_of)
    n = grid.shape[0] // 2
    found = fit_voxels(maps, maps != 0, design)
    noise = _mean_noise(controls, noise_of, grid)
    share = _share_not_noise(found.sd, noise[:n].ravel())
    fwhm_mm = healthy_fwhm_mm(
        [residual.reshape(n, *grid.shape[1:]) for residual in found.residuals],
        share,
        grid.voxel_sizes_mm,
    )
    if fwhm_mm is None:
        notify("the smoothness of the healthy asymmetry could not be measured; 20 mm are assumed")
    gram = np.array([[np.sum(a * b) for b in design.T] for a in design.T])
    norms = SiteNorms(
        conditions=conditions,
        people=len(people),
        covariates=covariates,
        scanners=tuple(sorted({c.scanner for c in people if c.scanner})),
        regions=regions,
        fwhm_mm=fwhm_mm,
        maps={},
        inverse=tuple(tuple(row) for row in np.linalg.inv(gram).tolist()),
        freedom=len(people) - design.shape[1],
    )
    mean, *slopes = (_antisymmetric(row, grid) for row in found.coefficients)
    return JoinedNorms(
        norms=norms,
        grid=grid,
        mean=mean,
        sd=unfold(found.sd.reshape(n, *grid.shape[1:]), grid),
        noise=noise,
        slopes=dict(zip(covariates.names, slopes, strict=True)),
        outliers=_outliers(controls, found),
    )


def _values(people: list[Control]) -> list[tuple[str, str, list[float]]]:
    """Kind, structure and index of everybody, for structures that all controls have."""
    found = []
    for kind in ("uncorrected", "regional"):
        of_all = [getattr(person, kind) for person in people]
        shared = [name for name in of_all[0] if all(name in own for own in of_all)]
        found += [(kind, name, [own[name] for own in of_all]) for name in shared]
    return found


def _stacked(
    controls: Mapping[str, Control], index_of: Callable[[str], Image]
) -> tuple[Floats, Grid]:
    """Stack the halves at x < 0 of the index of everybody, shape (N, n); x > 0 says the same."""
    rows, grid, first = [], None, ""
    for label in controls:
        image = index_of(label)
        if grid is None:
            grid, first = image.grid, label
        require_same(f"asymmetry of sub-{label}", image.grid, f"that of sub-{first}", grid)
        rows.append(np.asarray(image.data[: grid.shape[0] // 2], np.float32).ravel())
    assert grid is not None  # there are ten controls at least
    return np.stack(rows), grid


def _mean_noise(
    controls: Mapping[str, Control], noise_of: Callable[[str], Image], grid: Grid
) -> Floats:
    """Root mean variance of the noise among controls in whom it is known."""
    known = [label for label, control in controls.items() if control.noise_known]
    total = np.zeros(grid.shape, np.float32)
    if not known:
        notify(
            "the noise of no control is known, so that the spread among them holds it; the "
            "patient's noise is then counted twice, which makes foci rarer"
        )
        return total
    for label in known:
        total += np.square(noise_of(label).data)
    return np.asarray(np.sqrt(total / np.float32(len(known))))


def _share_not_noise(sd: Floats, noise: Floats) -> float:
    """Share of the variance that is not noise, mean over voxels."""
    known = sd > 0
    if not known.any():
        return 1.0
    share = 1.0 - np.square(noise[known] / sd[known])
    return float(np.mean(np.clip(share, 0.1, 1.0), dtype=np.float64))


def _antisymmetric(half: Floats, grid: Grid) -> Floats:
    whole = unfold(half.reshape(grid.shape[0] // 2, *grid.shape[1:]), grid)
    whole[-(grid.shape[0] // 2) :] *= -1
    return np.asarray(whole)


def _outliers(controls: Mapping[str, Control], found: VoxelNorms) -> tuple[Outlier, ...]:
    """Name controls with a structure, or a map as a whole, far from the others."""
    labels, people = list(controls), list(controls.values())
    sizes = [float(np.sqrt(np.mean(np.square(r[r != 0])))) if r.any() else 0.0
             for r in found.residuals]  # fmt: skip
    measured = [(f"{kind} asymmetry of the {name}", values) for kind, name, values in
                _values(people)]  # fmt: skip
    measured.append(("size of the asymmetry map in its SD", sizes))
    outliers = [
        Outlier(label, what, value, float(z))
        for what, values in measured
        for label, value, z in zip(labels, values, modified_z(values), strict=True)
        if abs(z) > OUTLYING
    ]
    for label in dict.fromkeys(one.label for one in outliers):
        notify(
            f"sub-{label} is far from the other controls",
            found="; ".join(f"{o.what} {o.value:+.3f}" for o in outliers if o.label == label),
            do="look at its images, and run again without it if it is not healthy or not good",
        )
    return tuple(outliers)
