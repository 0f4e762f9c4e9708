"""A cohort of maps with differences as small as real ones, and what a comparison finds of them.

The level of the maps is the mean of people who were studied from raw images. About it lies smooth
noise of one SD everywhere, a decline with age, and in some places a difference of g SD between
two groups of 25. The peaks of Liu et al. 2024, NeuroImage 303:120908, chosen for their size among
all voxels, have |t| of 3 to 6.6 at 22 v 25, so g of .9 to 1.9; what lies behind them is smaller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from falx.core.errors import collect_notices
from falx.core.files import write_table
from falx.images.nifti import Image, load, load_mask, save
from falx.images.smooth import FWHM_PER_SIGMA
from falx.studies.compare.configuration import CompareConfiguration
from falx.studies.compare.files import compare_maps
from falx.studies.resistance.steps import MODALITIES

__all__ = [
    "GROUPS",
    "PLANTED",
    "MapRecovery",
    "SmallChange",
    "compare_planted",
    "mean_maps",
    "render_planted",
    "simulate_maps",
]

GROUPS = {"DRE": 25, "HC": 25}
FWHM_MM = 8.0
NOISE_SD = {"grey": 0.05, "reho": 0.4}
"""Within groups, at every voxel, in units of the maps."""

AGE_SLOPE_SD = -0.015
"""SD a year."""

FAR_MM = 10.0
"""A voxel that passes farther than this from every place is false."""


@dataclass(frozen=True)
class SmallChange:
    """A difference that is planted: the first group has `g` SD more than the second.

    Parameters
    ----------
    centre_mm, radius_mm
        A ball in the template, inside the analysis mask.
    """

    modality: str
    what: str
    centre_mm: tuple[float, float, float]
    radius_mm: float
    g: float


PLANTED = (
    SmallChange("grey", "less grey matter, left Crus 2", (-28.0, -74.0, -42.0), 10.0, -0.8),
    SmallChange("reho", "lower ReHo, left Crus 2", (-28.0, -74.0, -42.0), 10.0, -1.0),
    SmallChange("reho", "higher ReHo, right precuneus", (10.0, -60.0, 38.0), 10.0, 0.5),
)


@dataclass(frozen=True)
class MapRecovery:
    """What the comparison found of one change.

    Parameters
    ----------
    g_drawn
        Hedges' g of these people, mean over the place.
    found_percent
        Voxels of the place with a familywise P of TFCE of at most .05 and the right sign.
    least_p
        Least of these P in the place.
    """

    change: SmallChange
    voxels: int
    g_drawn: float
    found_percent: float
    least_p: float

    @property
    def found(self) -> bool:
        """Whether anything in the place passes."""
        return self.found_percent > 0


def mean_maps(outputs: Path, subjects: Sequence[str]) -> dict[str, tuple[Image, Image]]:
    """Mean map of studied people, and the voxels that all of them have, by modality."""

    def each(pattern: str) -> list[Path]:
        return [next((outputs / f"sub-{subject}").rglob(pattern)) for subject in subjects]

    found = {}
    for modality, pattern in (
        ("grey", "*_label-GM_desc-smoothed_probseg.nii.gz"),
        ("reho", "*_desc-rehoz_boldmap.nii.gz"),
    ):
        images = [load(path) for path in each(pattern)]
        mean = np.mean([image.data for image in images], axis=0)
        inside = mean > 0.1
        if modality == "reho":
            masks = [load_mask(path).data for path in each("*_desc-reho_mask.nii.gz")]
            inside = np.all(masks, axis=0)
        affine = images[0].affine
        found[modality] = (Image(mean.astype(np.float32), affine), Image(inside, affine))
    return found


def simulate_maps(
    out: Path,
    level: Image,
    mask: Image,
    modality: str,
    rng: np.random.Generator,
    *,
    planted: Sequence[SmallChange] = PLANTED,
) -> Path:
    """Write a map a person, the mask and the table for ``falx compare``; return the table.

    Parameters
    ----------
    level
        Mean of the maps, on the grid of `mask`.
    """
    out.mkdir(parents=True, exist_ok=True)
    sd, sigma = NOISE_SD[modality], FWHM_MM / FWHM_PER_SIGMA / mask.grid.voxel_sizes_mm
    groups = [group for group, n in GROUPS.items() for _ in range(n)]
    ages = rng.uniform(18.0, 60.0, len(groups)).round(1)
    effect = np.zeros(mask.data.shape)
    for change in planted:
        if change.modality == modality:
            effect[_place(change, mask)] += change.g
    rows = []
    for k, (group, age) in enumerate(zip(groups, ages, strict=True)):
        noise = ndimage.gaussian_filter(rng.standard_normal(mask.data.shape), sigma)
        deviation = noise / noise[mask.data].std() + AGE_SLOPE_SD * (age - ages.mean())
        deviation = deviation + effect * (group == next(iter(GROUPS)))
        values = np.where(mask.data, level.data + sd * deviation, 0.0)
        name = f"{modality}_{k + 1:02d}.nii.gz"
        save(out / name, values.astype(np.float32), mask.affine)
        rows.append((f"sub-{k + 1:02d}", name, group, age))
    save(out / f"{modality}_mask.nii.gz", mask.data, mask.affine)
    table = out / f"{modality}.tsv"
    write_table(table, ("participant_id", "map", "group", "age"), rows)
    return table


def compare_planted(
    out: Path,
    levels: Mapping[str, tuple[Image, Image]],
    rng: np.random.Generator,
    *,
    permutations: int,
    threads: int = 1,
) -> tuple[list[MapRecovery], dict[str, int], list[Path]]:
    """Simulate, compare, and return what was found, false voxels by modality, and the pages.

    Parameters
    ----------
    levels
        Of :func:`mean_maps`.
    """
    found, false, pages = list[MapRecovery](), dict[str, int](), list[Path]()
    for modality, (level, mask) in levels.items():
        table = simulate_maps(out / "maps", level, mask, modality, rng)
        choices = CompareConfiguration(
            measure=MODALITIES[modality], columns=("age",), n_permutations=permutations,
            mask=table.with_name(f"{modality}_mask.nii.gz"),
        )  # fmt: skip
        with collect_notices():
            page = compare_maps(table, choices, (), out / modality, threads=threads)
        pages.append(page)
        pair = "_".join(GROUPS)
        p, t = (load(page.with_name(f"{pair}_{name}.nii.gz")).data for name in ("pmap", "tmap"))
        own = [change for change in PLANTED if change.modality == modality]
        maps = _read(table)
        found += [_recovered(change, mask, p, t, maps) for change in own]
        near = np.zeros(mask.data.shape, bool)
        for change in own:
            near |= _distance_mm(change, mask) <= change.radius_mm + FAR_MM
        false[modality] = int(np.count_nonzero(mask.data & ~near & (p <= 0.05)))
    return found, false, pages


def render_planted(found: Sequence[MapRecovery], false: Mapping[str, int]) -> str:
    """Return planted beside found as an aligned text table."""
    lines = [("planted", "g planted", "g drawn", "found", "of the place, %", "least P")]
    lines += [
        (
            one.change.what,
            f"{one.change.g:+.1f}",
            f"{one.g_drawn:+.2f}",
            "yes" if one.found else "missed",
            f"{one.found_percent:.0f}",
            f"{one.least_p:.3g}",
        )
        for one in found
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(6)]
    text = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    counts = ", ".join(f"{MODALITIES[name].lower()}: {count}" for name, count in false.items())
    people = " v ".join(map(str, GROUPS.values()))
    text.append(f"{people} maps; voxels that pass far from every place, {counts}")
    return "\n".join(text)


def _read(table: Path) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Read the maps of the two groups, shape (n, X, Y, Z) each."""
    paths = sorted(table.parent.glob(f"{table.stem}_*[0-9].nii.gz"))
    stack = np.array([load(path).data for path in paths])
    first = next(iter(GROUPS.values()))
    return stack[:first].astype(np.float64), stack[first:].astype(np.float64)


def _recovered(
    change: SmallChange,
    mask: Image,
    p: npt.NDArray[np.floating],
    t: npt.NDArray[np.floating],
    maps: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]],
) -> MapRecovery:
    place = _place(change, mask)
    first, second = (group[:, place] for group in maps)
    n = len(first) + len(second)
    squares = sum(group.var(axis=0, ddof=1) * (len(group) - 1) for group in (first, second))
    d = (first.mean(axis=0) - second.mean(axis=0)) / np.sqrt(squares / (n - 2))
    passing = (p[place] <= 0.05) & (np.sign(t[place]) == np.sign(change.g))
    return MapRecovery(
        change,
        int(place.sum()),
        float(d.mean() * (1 - 3 / (4 * n - 9))),
        float(100 * passing.mean()),
        float(p[place].min()),
    )


def _distance_mm(change: SmallChange, mask: Image) -> npt.NDArray[np.float64]:
    return np.asarray(np.linalg.norm(mask.grid.centres_mm() - change.centre_mm, axis=-1))


def _place(change: SmallChange, mask: Image) -> npt.NDArray[np.bool_]:
    return np.asarray(mask.data & (_distance_mm(change, mask) <= change.radius_mm))
