"""How much an ablative rate moves with what is assumed of the extent of a focus beforehand.

    python -m benchmarks.extent_prior [--first 900] [--heads 2]

Whole mesial structures, and their front half, lower by 25 %; the front 60 % of the hippocampus is
ablated. One line a head: the expected rate under each assumption.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from calibration_phantom import Phantom
from falx.pet import extent
from falx.pet.extent import PIECES, stretches

USUAL = {"whole": 0.5, "depth": extent.DEPTH, "depth_sd": extent.DEPTH_SD}
CHANGES: dict[str, dict[str, float]] = {
    "as assumed": {},
    "whole region .25": {"whole": 0.25},
    "whole region .75": {"whole": 0.75},
    "depth -.12": {"depth": -0.12},
    "depth -.30": {"depth": -0.30},
    "SD of depth .06": {"depth_sd": 0.06},
    "SD of depth .24": {"depth_sd": 0.24},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--first", type=int, default=900)
    parser.add_argument("--heads", type=int, default=2)
    options = parser.parse_args()
    print("seed", "part", *CHANGES, sep="\t")
    for seed in range(options.first, options.first + options.heads):
        for part in ("mesial", "front"):
            rates = [f"{rate:.3f}" for rate in _rates(seed, part)]
            print(seed, part, *rates, sep="\t", flush=True)


def _rates(seed: int, part: str) -> Iterator[float]:
    rng = np.random.default_rng([seed, 0])
    head = Phantom(seed, part=part, traced=True)
    drawn = head.draw(rng, people=True)
    taken = np.arange(PIECES) >= 0.4 * PIECES
    for change in CHANGES.values():
        with_prior = USUAL | change
        extent.DEPTH, extent.DEPTH_SD = with_prior["depth"], with_prior["depth_sd"]
        extent.stretches = lambda pieces, share=with_prior["whole"]: _weighted(pieces, share)
        found, _ = head.sought(drawn, np.random.default_rng(seed), head.side)
        if found.reach is None:
            yield np.nan
        else:
            chance = found.reach.extent.chance[:PIECES]
            yield float(chance[taken].sum() / chance.sum())
    extent.DEPTH, extent.DEPTH_SD, extent.stretches = USUAL["depth"], USUAL["depth_sd"], stretches


def _weighted(pieces: int, whole: float) -> Iterator[tuple[tuple[bool, ...], float]]:
    """Yield the extents, the whole region having another probability beforehand."""
    for held, prior in stretches(pieces):
        yield held, whole if all(held) else prior * (1.0 - whole) / 0.5


if __name__ == "__main__":
    main()
