"""What the cuts of Mo 2025 are on the scale of the calibrated signature, on cheap phantoms.

    python -m benchmarks.carried_over TABLE [--first 1000] [--heads 30]

Each head has a focus of its own depth and extent (whole mesial structures, hippocampus, front
half) and a healthy person's asymmetry. An ablation goes from the front backwards until the
published chain says 39.79 % of the hippocampus' signature; the calibrated rate of the same
ablation is the cut carried over. The index is carried over by equal shares: as much of hippocampus
and amygdala lies below it on the corrected, proportional scale as below the published -.0578 on
the z + 5 scale.
One row a head goes to TABLE at once; what it holds is summed up at the end.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from scipy import stats
from scipy.special import expit, logit

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from calibration_phantom import GM_FLOOR, Phantom
from falx.atlas.freesurfer_numbers import MESIAL
from falx.core.grid import Side
from falx.data.mo2025 import PUBLISHED_RATE_CUT
from falx.pet.signature import PUBLISHED_THRESHOLD, Rule, signature_in_both_spaces
from falx.pet.steps import published_asymmetry

COLUMNS = ("seed", "found", "mean_over_sd", "rate", "share_of_structure", "index", "marked")


def main() -> None:
    options = _parser().parse_args()
    for seed in range(options.first, options.first + options.heads):
        row = _row(seed)
        if not options.table.exists():
            options.table.write_text("\t".join(COLUMNS) + "\n", "utf-8")
        with options.table.open("a", encoding="utf-8") as out:
            out.write("\t".join(f"{row.get(name, np.nan):.5g}" for name in COLUMNS) + "\n")
    values = np.atleast_2d(np.loadtxt(options.table, skiprows=1, delimiter="\t"))
    of = dict(zip(COLUMNS, values.T, strict=True))
    print(f"found in {int(of['found'].sum())} of {len(values)} heads")
    for name in COLUMNS[2:]:
        known = of[name][np.isfinite(of[name])]
        if known.size > 2:
            middle, low, high = _expected(known, share=name == "rate")
            print(f"{name}: {middle:+.4f}, of another head {low:+.4f} to {high:+.4f}, "
                  f"n {known.size}")  # fmt: skip


def _expected(values: np.ndarray, *, share: bool) -> tuple[float, float, float]:
    """Centre, and the limits of 95 % for another head (Student's); shares by their log odds."""
    seen = logit(np.clip(values, 0.01, 0.99)) if share else values
    far = stats.t.ppf(0.975, len(seen) - 1) * seen.std(ddof=1) * np.sqrt(1.0 + 1.0 / len(seen))
    told = seen.mean() + far * np.array([0.0, -1.0, 1.0])
    centre, low, high = (expit(told) if share else told).tolist()
    return centre, low, high


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("--first", type=int, default=1000)
    parser.add_argument("--heads", type=int, default=30)
    return parser


def _row(seed: int) -> dict[str, float]:
    rng = np.random.default_rng([seed, 7])
    depth = float(np.clip(rng.normal(0.25, 0.08), 0.1, 0.45))
    part = ("mesial", "hippocampus", "front")[int(rng.integers(3))]
    head = Phantom(seed, depth=depth, part=part, traced=True)
    drawn = head.draw(rng, people=True)
    found, native = head.sought(drawn, rng, head.side)
    place = head.place
    published = published_asymmetry(drawn.measured, place)
    masks = signature_in_both_spaces(published.scaled, PUBLISHED_THRESHOLD, Rule(), place, head.gm)
    row = {"seed": seed, "found": float(bool(found.foci))}
    row["mean_over_sd"] = published.scaled.mean / published.scaled.sd
    mesial = np.isin(head.labels, MESIAL[head.side])
    row["marked"] = float(masks.native[mesial].mean())
    index, valid = place.to_native(drawn.asymmetry.index, drawn.asymmetry.valid)
    inside = mesial & valid & (head.gm.data > GM_FLOOR)
    row["index"] = float(np.quantile(index[inside], row["marked"]))
    return row | _rate(head, head.side, native, masks.native)


def _rate(
    head: Phantom, side: Side, native: np.ndarray, published: np.ndarray
) -> dict[str, float]:
    """Ablate from the front until the published chain says its cut."""
    hippocampus = head.labels == MESIAL[side][0]
    order = np.argsort(-head.head.grid.centres_mm()[..., 1][hippocampus], kind="stable")
    theirs = published[hippocampus][order].astype(np.float64)
    own = native[hippocampus][order].astype(np.float64)
    if not theirs.sum() or not own.sum():
        return {}
    last = int(np.searchsorted(np.cumsum(theirs) / theirs.sum(), PUBLISHED_RATE_CUT))
    taken = slice(0, last + 1)
    return {"rate": own[taken].sum() / own.sum(), "share_of_structure": (last + 1) / len(order)}


if __name__ == "__main__":
    main()
