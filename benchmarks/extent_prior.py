"""What is said of a focus that holds a part of the named region, by what is assumed beforehand.

    python -m benchmarks.extent_prior TABLE [--first 980] [--heads 9] [--draws 4]

Foci of known extent in hippocampus and amygdala (:data:`KINDS`), depth .24 ± .06, in heads whose
mesial outlines are drawn as a segmentation draws them, with healthy asymmetry and 5 % noise. The
null maps of a head are drawn once. Of every focus that the region's test accepts the signature in
the region is found under each assumption of :data:`ASSUMED`: stated and true false share,
sensitivity, and the rate of an ablation of the front 60 % of the hippocampus. One row a focus and
assumption goes to TABLE at once; what it holds is summed up at the end, and alone with
``--heads 0``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from calibration_phantom import GM_FLOOR, SETTINGS, SMOOTHING_MM, Phantom
from falx.atlas.freesurfer_numbers import MESIAL
from falx.pet import extent
from falx.pet.decoy import NullMaps, half_of
from falx.pet.extent import Outline, PartMeans, extent_of, part_means, stretches
from falx.pet.named import SHARE, NamedRegion, named_region, region_test
from falx.pet.noise import Chain
from falx.phantom.heads import Head

KINDS = ("whole", "hippocampus", "front mesial", "half mesial", "front", "rear", "middle",
         "amygdala")  # fmt: skip
ASSUMED: dict[str, dict[str, float]] = {
    "as assumed": {},
    "as before: whole .5, others alike": {"WHOLE": 0.5, "BEHIND": 1.0, "SHORT": 0.0},
    "whole .15": {"WHOLE": 0.15},
    "whole .5": {"WHOLE": 0.5},
    "all lengths alike": {"SHORT": 0.0},
    "behind as in front": {"BEHIND": 1.0},
    "depth -.12": {"DEPTH": -0.12},
    "depth -.30": {"DEPTH": -0.30},
    "SD of depth .06": {"DEPTH_SD": 0.06},
    "SD of depth .24": {"DEPTH_SD": 0.24},
}
COLUMNS = ("seed", "kind", "assumed", "stated", "true", "sensitivity", "rate_error")
MEDIAN = 0.6744897501960817
"""Of the absolute value of a standard normal variable."""


def main() -> None:
    options = _parser().parse_args()
    for seed in range(options.first, options.first + options.heads):
        for row in _rows(seed, options.draws):
            if not options.table.exists():
                options.table.write_text("\t".join(COLUMNS) + "\n", "utf-8")
            with options.table.open("a", encoding="utf-8") as out:
                out.write("\t".join(f"{value:.5g}" for value in row) + "\n")
    _print(np.atleast_2d(np.loadtxt(options.table, skiprows=1, delimiter="\t")))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("--first", type=int, default=980)
    parser.add_argument("--heads", type=int, default=9)
    parser.add_argument("--draws", type=int, default=4)
    return parser


def planted(head: Head, side: str, kind: str, rng: np.random.Generator) -> np.ndarray:
    """Voxels of a focus; where it ends is drawn, but for whole structures and the front half."""
    hippocampus, amygdala = (head.mask(number) for number in MESIAL[side])
    mesial, y_mm = hippocampus | amygdala, head.grid.centres_mm()[..., 1]
    part = y_mm > np.quantile(y_mm[hippocampus], rng.uniform(0.3, 0.7))
    start = rng.uniform(0.0, 0.5)
    between = np.quantile(y_mm[hippocampus], [start, start + rng.uniform(0.35, 0.5)])
    return {
        "whole": mesial,
        "hippocampus": hippocampus,
        "front mesial": mesial & (y_mm > np.quantile(y_mm[mesial], rng.uniform(0.3, 0.65))),
        "half mesial": mesial & (y_mm > np.median(y_mm[mesial])),
        "front": hippocampus & part,
        "rear": hippocampus & ~part,
        "middle": hippocampus & (y_mm > between[0]) & (y_mm < between[1]),
        "amygdala": amygdala,
    }[kind]


@dataclass(frozen=True, eq=False)
class Region:
    """The named region of a head, with the null maps of one PET of it."""

    head: Phantom
    maps: NullMaps
    named: NamedRegion
    searched: np.ndarray
    sd: np.ndarray
    numbers: np.ndarray
    rim: np.ndarray

    @classmethod
    def of(cls, head: Phantom, rng: np.random.Generator) -> Region:
        """Draw a PET without a focus, and take what is known of the region from it."""
        drawn, place = head.draw(rng, people=True), head.place
        grey = place.to_template(head.gm)
        labels = np.where(grey > GM_FLOOR, place.to_template(place.labels, how="nearest"), 0)
        chain, psf_mm = Chain(place, drawn.image, SMOOTHING_MM), head.quality.psf_fwhm_mm
        named = named_region("mesial temporal", head.side, labels, grey, chain, psf_mm)
        assert named is not None
        sd = half_of(drawn.maps.usual(), head.side)
        searched = drawn.maps.noise.where & half_of(grey > GM_FLOOR, head.side) & (sd > 0)
        numbers = named.parts.numbers(place.labels.data, place.to_template_mm[..., 1])
        rim = Outline.of(numbers > 0, place.native.voxel_sizes_mm).chance
        where = numbers > 0
        kept = head.gm.data[where] > GM_FLOOR
        numbers[where] *= kept
        return cls(head, drawn.maps, named, searched, sd, numbers, rim[kept])

    @cached_property
    def hippocampus(self) -> np.ndarray:
        """Which of the region's voxels on the T1w grid are truly hippocampus, shape (n,)."""
        head = self.head.head
        return head.mask(MESIAL[self.head.side][0])[self.numbers > 0]

    @cached_property
    def y_mm(self) -> np.ndarray:
        """Where these voxels lie from rear to front, shape (n,)."""
        return self.head.head.grid.centres_mm()[..., 1][self.numbers > 0]

    def seen(self, focus: np.ndarray, depth: float, rng: np.random.Generator) -> PartMeans | None:
        """Draw a PET with a focus; mean indices of the parts, or nothing where no test accepts."""
        head, exact = self.head, self.head.exact
        head.exact = np.where(focus, (1.0 - depth) * exact, exact).astype(np.float32)
        asymmetry = head.asymmetry(head.observed(rng, people=True))[2]
        head.exact = exact
        index = half_of(asymmetry.index, head.side)
        z = index[self.searched] / self.sd[self.searched]
        widened = max(float(np.median(z[z > 0])) / MEDIAN, 1.0)
        tested = region_test(index, self.named, self.maps, self.sd, widened)
        if tested.probability / SHARE > SETTINGS.level:
            return None
        usable = (self.sd > 0) & self.maps.noise.where
        parts = [usable & (self.named.numbers == n) for n in range(1, len(self.named.shapes) + 1)]
        return part_means(index, parts, self.named.shapes, self.maps, widened)


def _rows(seed: int, draws: int) -> Iterator[tuple[float, ...]]:
    head = Phantom(seed, depth=0.0, traced=True)
    rng = np.random.default_rng([seed, 33])
    region = Region.of(head, rng)
    for kind, name in enumerate(KINDS):
        for _ in range(draws):
            depth = float(np.clip(rng.normal(0.24, 0.06), 0.1, 0.45))
            focus = planted(head.head, head.side, name, rng)
            seen = region.seen(focus, depth, rng)
            for number, change in enumerate(ASSUMED.values()):
                found = (np.nan,) * 4 if seen is None else _found(region, focus, seen, change)
                yield (seed, kind, number, *found)


def _found(
    region: Region, focus: np.ndarray, seen: PartMeans, change: dict[str, float]
) -> tuple[float, float, float, float]:
    """Stated and true false share, sensitivity, and the rate minus the true one."""
    usual = {name: getattr(extent, name) for name in change}
    for name, value in change.items():
        setattr(extent, name, value)
    found = extent_of(seen, list(stretches(seen.made.shape[1] - 1)))
    for name, value in usual.items():
        setattr(extent, name, value)
    here = region.numbers > 0
    chance, own = found.chance_at(region.numbers[here]) * region.rim, focus[here]
    mask = chance > 0.5
    if not mask.any():
        return np.nan, np.nan, 0.0, np.nan
    of_hippocampus = region.hippocampus
    y_mm = region.y_mm
    front = of_hippocampus & (y_mm > np.quantile(y_mm[of_hippocampus], 0.4))
    part = own & of_hippocampus
    true_rate = np.count_nonzero(part & front) / np.count_nonzero(part) if part.any() else np.nan
    return (
        1.0 - chance[mask].mean(),
        1.0 - own[mask].mean(),
        np.count_nonzero(mask & own) / np.count_nonzero(focus),
        chance[front].sum() / chance[of_hippocampus].sum() - true_rate,
    )


def _print(values: np.ndarray) -> None:
    print("assumed\tfocus\taccepted\tstated minus true false share: mean, SD, within .05\t"
          "sensitivity\trate minus true: mean, SD")  # fmt: skip
    for number, assumed in enumerate(ASSUMED):
        for kind, name in enumerate(KINDS):
            own = values[(values[:, 1] == kind) & (values[:, 2] == number)]
            known = own[np.isfinite(own[:, 3])]
            error, sensitivity, rate = known[:, 3] - known[:, 4], known[:, 5], known[:, 6]
            told = f"{assumed}\t{name}\t{len(known)} of {len(own)}"
            if len(known) > 1:
                told += f"\t{error.mean():+.3f}, {error.std(ddof=1):.3f}, "
                told += f"{np.mean(np.abs(error) <= 0.05):.2f}\t{sensitivity.mean():.3f}\t"
                told += f"{rate.mean():+.3f}, {rate.std(ddof=1):.3f}"
            print(told)


if __name__ == "__main__":
    main()
