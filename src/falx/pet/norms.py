"""A patient's asymmetry among healthy people: z and percentile by structure, and maps like theirs.

Without norms of the site the shipped table (:mod:`falx.data.asymmetry_norms`) is taken: 537 old
people, pons-scaled, without partial-volume correction, on other scanners; a percentile from it is
an orientation, no diagnosis. It is of means in the PET as measured, and so is the index that is
placed in it: the correction makes asymmetry larger in the healthy as well. With norms that
`falx norms` made of a site's own controls (:mod:`falx.pet.controls`) regional activities and
voxels are placed among people who were studied in the same way.

Interval of a percentile of the table: Clopper & Pearson 1934, Biometrika 26:404.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv

from falx.core.errors import InputError, notify
from falx.core.grid import TEMPLATE_SPACE, Grid, Side
from falx.core.possible import Amount, AsymmetryIndex, Percent
from falx.data.asymmetry_norms import (
    EDGE_FWHM_MM,
    FIELD_FWHM_MM,
    asymmetry_norms,
    healthy_field,
    healthy_sd,
)
from falx.images.smooth import smooth
from falx.pet.controls import Conditions, Covariates, Norm
from falx.pet.metrics import AsymmetryMetrics, PetMetrics
from falx.pet.noise import Chain, HalfMaps

__all__ = [
    "LIMITS",
    "AmongHealthy",
    "Expected",
    "HealthyMetrics",
    "SiteNorms",
    "check_fit",
    "conditions_of",
    "expected_maps",
    "healthy_maps",
    "percentile_of",
    "place_all",
]

Floats = npt.NDArray[np.float32]

LIMITS = (
    "537 cognitively normal, old people; scaled by the pons; not corrected for partial volume; "
    "other scanners"
)
"""What a percentile of the shipped table must be read with."""


@dataclass(frozen=True)
class AmongHealthy:
    """Where the asymmetry of a structure stands among healthy people.

    Parameters
    ----------
    structure
        Its name.
    kind
        What the index is of: ``"uncorrected"``, means in the PET as measured, or ``"regional"``,
        regional activities.
    side
        Whose index it is.
    asymmetry, mean, sd
        The index 2 (own - other)/(own + other), and mean and SD of healthy people.
    z
        Distance from their mean in their standard deviations.
    percentile, low, high
        Share of them whose index on this side is lower, percent, with the interval of 95 % that
        their number leaves it.
    people
        Their number.
    lower
        How many of the controls themselves lie lower; ``None`` of a table.
    source
        Who they are, and what that limits.
    """

    structure: str
    kind: str
    side: Side
    asymmetry: AsymmetryIndex
    mean: AsymmetryIndex
    sd: Amount
    z: float
    percentile: Percent
    low: Percent
    high: Percent
    people: int
    lower: int | None = None
    source: str = LIMITS

    def on(self, side: Side) -> AmongHealthy:
        """Return the same of a side; of the other one it is the mirror image."""
        if side == self.side:
            return self
        return replace(
            self,
            side=side,
            asymmetry=-self.asymmetry,
            mean=-self.mean,
            z=-self.z,
            percentile=100.0 - self.percentile,
            low=100.0 - self.high,
            high=100.0 - self.low,
            lower=None if self.lower is None else self.people - self.lower,
        )


def percentile_of(structure: str, asymmetry: float, *, side: Side = "left") -> AmongHealthy | None:
    """Place a structure's asymmetry in the shipped table; ``None`` where no norm exists.

    Parameters
    ----------
    structure
        Name in the table, ``"hippocampus"`` for example.
    asymmetry
        Index of the structure on `side` in the PET as measured: 2 (own - other)/(own + other).

    Examples
    --------
    >>> found = percentile_of("hippocampus", -0.2)
    >>> found.percentile < 1, round(found.z, 1)
    (True, -5.9)
    >>> percentile_of("brain_stem", -0.2) is None
    True
    """
    norm = asymmetry_norms().get(structure)
    if norm is None:
        return None
    left = asymmetry if side == "left" else -asymmetry
    share = norm.percentile(left)
    low, high = _binomial(share / 100.0, norm.people)
    return AmongHealthy(
        structure=structure,
        kind="uncorrected",
        side="left",
        asymmetry=left,
        mean=norm.mean,
        sd=norm.sd,
        z=float((left - norm.mean) / norm.sd),
        percentile=share,
        low=100.0 * low,
        high=100.0 * high,
        people=norm.people,
    ).on(side)


def _binomial(share: float, people: int) -> tuple[float, float]:
    """Clopper–Pearson limits of a share of so many people."""
    below = share * people
    low = float(betaincinv(below, people - below + 1.0, 0.025)) if below > 0 else 0.0
    high = float(betaincinv(below + 1.0, people - below, 0.975)) if below < people else 1.0
    return low, high


@dataclass(frozen=True)
class SiteNorms:
    """Norms of a site's own controls, as `falx norms` writes them.

    Parameters
    ----------
    conditions
        Under which they were studied.
    people
        Number of controls.
    covariates
        What was regressed.
    scanners
        Models that the sidecars name.
    regions
        Norms of structures.
    fwhm_mm
        Smoothness of the healthy part of the asymmetry; ``None`` where it could not be measured.
    maps
        Role to name and BLAKE2b digest of the map beside this record: ``mean``, ``sd``,
        ``noise``, ``age`` and ``sex``. Empty of maps that were normalised elsewhere: then only
        the structures of the PET as measured have norms.
    inverse, freedom
        Of the design, for the maps.
    """

    conditions: Conditions
    people: int
    covariates: Covariates
    scanners: tuple[str, ...]
    regions: tuple[Norm, ...]
    fwhm_mm: float | None
    maps: Mapping[str, tuple[str, str]]
    inverse: tuple[tuple[float, ...], ...]
    freedom: int
    notices: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """Who they are."""
        names = f" on {', '.join(self.scanners)}" if self.scanners else ""
        by = f"; {' and '.join(self.covariates.names)} regressed" if self.covariates.names else ""
        return f"{self.people} controls{names}{by}; normally distributed by assumption"


def conditions_of(
    pet: PetMetrics, asymmetry: AsymmetryMetrics, tracer: str | None, voxel_mm: float
) -> Conditions:
    """Gather what an asymmetry of this pipeline must share with its norms."""
    return Conditions(
        tracer=tracer or "not named",
        space=TEMPLATE_SPACE,
        voxel_mm=voxel_mm,
        scale=asymmetry.scale,
        smoothing_fwhm_mm=asymmetry.smoothing_fwhm_mm,
        correction=pet.method,
        psf_fwhm_mm=pet.effective_psf_fwhm_mm,
        floor=pet.floor,
    )


def check_fit(norms: SiteNorms, patient: Conditions, scanner: str | None) -> None:
    """Refuse norms that were not made as the patient was studied; warn of another scanner."""
    differing = norms.conditions.differences(patient)
    if not norms.maps:
        differing = [text for text in differing if text.startswith("tracer")]
    if differing:
        raise InputError(
            "the norms are not of this kind of asymmetry",
            where="--norms",
            found="; ".join(differing),
            do="make norms with the same choices (falx norms), or leave --norms away",
        )
    if scanner is None or not norms.scanners:
        notify(
            "whether the norms are of this scanner is not known: z and percentiles hold only if "
            "they are",
            found=f"patient {scanner or 'not named'}; norms "
            f"{', '.join(norms.scanners) or 'not named'}",
            do="write ManufacturersModelName into the sidecars of the PET",
        )
    elif scanner not in norms.scanners:
        notify(
            "the norms are of another scanner: z and percentiles can be wrong",
            found=f"patient {scanner}; norms {', '.join(norms.scanners)}",
            do="read them as an orientation, or make norms of this scanner",
        )


@dataclass(frozen=True)
class HealthyMetrics:
    """What a patient's asymmetry is held against.

    Parameters
    ----------
    source
        Who the healthy people are.
    of_site
        Whether they are controls of `falx norms`, with maps.
    fwhm_mm
        Smoothness of their asymmetry in the maps; that of the shipped table is assumed.
    structures
        The patient's structures among them, left side.
    """

    source: str
    of_site: bool
    fwhm_mm: float
    structures: tuple[AmongHealthy, ...]
    notices: tuple[str, ...] = ()

    def of(self, structure: str, side: Side) -> AmongHealthy | None:
        """Return a structure's place, of regional activities where there are norms of them."""
        found = [one for one in self.structures if one.structure == structure]
        regional = [one for one in found if one.kind == "regional"]
        return (regional or found)[0].on(side) if found else None


def place_all(
    uncorrected: Mapping[str, float],
    regional: Mapping[str, float],
    norms: SiteNorms | None,
    given: Mapping[str, float | None],
) -> tuple[AmongHealthy, ...]:
    """Place every structure that has a norm, left side.

    Parameters
    ----------
    uncorrected, regional
        Structure to index of the left side.
    given
        Age and sex of the patient.
    """
    if norms is None:
        placed = (percentile_of(name, index) for name, index in uncorrected.items())
        return tuple(one for one in placed if one is not None)
    row = norms.covariates.row(given)
    index = {"uncorrected": uncorrected, "regional": regional}
    return tuple(
        _placed(norm, index[norm.kind][norm.structure], row, norms.source)
        for norm in norms.regions
        if norm.structure in index[norm.kind]
    )


def _placed(norm: Norm, index: float, row: npt.NDArray[np.float64], source: str) -> AmongHealthy:
    z, share, low, high = norm.place(index, row)
    return AmongHealthy(
        structure=norm.structure,
        kind=norm.kind,
        side="left",
        asymmetry=index,
        mean=norm.mean(row),
        sd=norm.sd,
        z=z,
        percentile=share,
        low=low,
        high=high,
        people=norm.people,
        lower=sum(score < z for score in norm.scores),
        source=source,
    )


@dataclass(frozen=True, eq=False)
class Expected:
    """Healthy asymmetry of every voxel of the template grid, from a site's controls.

    Parameters
    ----------
    mean, sd
        Shape (X, Y, Z): of the index of a new person without noise, smoothed as the patient's.
    fwhm_mm
        Smoothness of that part.
    """

    mean: Floats
    sd: Floats
    fwhm_mm: float


def expected_maps(
    norms: SiteNorms,
    maps: Mapping[str, Floats],
    given: Mapping[str, float | None],
    grid: Grid,
) -> Expected:
    """Take what the controls let expect of a person, voxel by voxel.

    Parameters
    ----------
    maps
        Those of `norms`, by role, shape (X, Y, Z) of `grid`.
    given
        Age and sex of the person.

    Notes
    -----
    The controls' own noise is taken out of their variance, since that of the patient's PET is
    counted by itself, but no more than nine tenths of it; the SD is that of a new person, t-wise:
    times ``sqrt((1 + h) f/(f - 2))``, h the leverage and f the degrees of freedom. Where too few
    controls have a voxel, its neighbours stand in.
    """
    row = norms.covariates.row(given)
    mean = np.array(maps["mean"])
    for name, value in zip(norms.covariates.names, row[1:], strict=True):
        mean += np.float32(value) * maps[name]
    variance = np.square(maps["sd"])
    left = np.maximum(variance - np.square(maps["noise"]), np.float32(0.1) * variance)
    leverage = float(row @ np.array(norms.inverse) @ row)
    wider = (1.0 + leverage) * norms.freedom / (norms.freedom - 2.0)
    sd = _continued(np.sqrt(left * np.float32(wider)), grid)
    return Expected(np.where(maps["sd"] > 0, mean, 0), sd, norms.fwhm_mm or FIELD_FWHM_MM)


def _continued(sd: Floats, grid: Grid) -> Floats:
    """Continue a map of SDs, zero where not known, by its neighbours and then by its median."""
    known = (sd > 0).astype(np.float32)
    weight = smooth(known, grid.voxel_sizes_mm, EDGE_FWHM_MM)
    total = smooth(sd * known, grid.voxel_sizes_mm, EDGE_FWHM_MM)
    middle = float(np.median(sd[sd > 0])) if known.any() else 0.0
    near = np.where(weight > 0.01, total / np.maximum(weight, np.float32(0.01)), middle)
    return np.where(sd > 0, sd, near).astype(np.float32)


def healthy_maps(
    chain: Chain,
    count: int,
    rng: np.random.Generator,
    *,
    expected: Expected | None = None,
    fwhm_mm: float = FIELD_FWHM_MM,
) -> HalfMaps:
    """Draw asymmetry maps of healthy people without noise, smoothed as the patient's is.

    Parameters
    ----------
    expected
        Of the site's own controls; the shipped table if absent.
    fwhm_mm
        Assumed smoothness of the healthy asymmetry of the table.
    """
    grid = chain.place.template
    if expected is None:
        sd = healthy_sd(chain.place.to_template(chain.place.labels, how="nearest"), grid)
    maps = np.empty((count, np.count_nonzero(chain.where)), dtype=np.float32)
    n = grid.shape[0] // 2
    for row in maps:
        if expected is None:
            field = chain.smooth(healthy_field(sd, grid, rng, fwhm_mm=fwhm_mm))
        else:  # measured after the smoothing, which it holds already
            field = healthy_field(expected.sd, grid, rng, fwhm_mm=expected.fwhm_mm)
        row[:] = (0.5 * (field - field[::-1]))[:n][chain.where]
    return HalfMaps(maps, chain.where, grid)
