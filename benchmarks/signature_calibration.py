"""Error rates of the calibrated signature on cheap phantoms, counted with their intervals.

    python -m benchmarks.signature_calibration KIND TABLE [--first 400] [--heads 30] [--draws 2]

KIND is a part of :class:`calibration_phantom.Phantom`, ``none`` for heads without a focus, or
``cortex`` for a focus that is sought on both sides. One row a draw goes to TABLE at once, so that
a run may be stopped; what the table holds is summed up at the end, and alone with ``--heads 0``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy import ndimage, stats

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from calibration_phantom import Drawn, Found, Phantom
from falx.images.nifti import Image
from falx.pet.finding import Foci
from falx.pet.shares import ErrorDraws
from falx.surgery.outcome.focus_rates import focus_parts, focus_rates, sought_parts
from falx.surgery.outcome.rate_interval import RateErrors, rate_intervals

COLUMNS = (
    "seed", "draw", "foci", "false_foci", "marked", "precision", "sensitivity", "stated", "low",
    "high", "rate_true", "rate", "rate_low", "rate_high", "side_right",
)  # fmt: skip
Row = dict[str, float]


def main() -> None:
    options = _parser().parse_args()
    for seed in range(options.first, options.first + options.heads):
        for row in _rows(options, seed):
            if not options.table.exists():
                options.table.write_text("\t".join(COLUMNS) + "\n", "utf-8")
            with options.table.open("a", encoding="utf-8") as out:
                out.write("\t".join(f"{row.get(name, np.nan):.5g}" for name in COLUMNS) + "\n")
    values = np.atleast_2d(np.loadtxt(options.table, skiprows=1, delimiter="\t"))
    _print(options.kind, dict(zip(COLUMNS, values.T, strict=True)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("kind", choices=("none", "mesial", "front", "hippocampus", "cortex"))
    parser.add_argument("table", type=Path)
    parser.add_argument("--first", type=int, default=400)
    parser.add_argument("--heads", type=int, default=30)
    parser.add_argument("--draws", type=int, default=2)
    parser.add_argument(
        "--attenuation", type=float, default=0.0,
        help="SD of the slope of an error of the attenuation, by 100 mm",
    )  # fmt: skip
    parser.add_argument(
        "--as-people", action="store_true",
        help="activity, depth of the focus, and scanner with its errors drawn as in people",
    )  # fmt: skip
    parser.add_argument("--traced", action="store_true", help="mesial outlines of unseen heads")
    return parser


def _rows(options: argparse.Namespace, seed: int) -> Iterator[Row]:
    kind = options.kind
    none = kind == "none"
    head = Phantom(
        seed, depth=0.0 if none else 0.25, part="mesial" if none else kind,
        traced=options.traced, as_people=options.as_people,
    )  # fmt: skip
    for draw in range(options.draws):
        rng = np.random.default_rng([seed, draw])
        told = {"seed": seed, "draw": draw}
        if kind == "cortex":
            yield told | _anywhere(head, rng)
        else:
            slope = options.attenuation * rng.standard_normal() if options.attenuation else 0.0
            yield told | _declared(head.find(rng, people=True, attenuation=slope))


def _declared(found: Found) -> Row:
    """Count in one draw on the declared side."""
    row = {"foci": len(found.signature.foci), "marked": found.marked}
    if not found.signature.mask.any():
        return row
    low, high = np.quantile(found.shares, [0.025, 0.975]).tolist()
    row |= {"precision": found.precision, "sensitivity": found.sensitivity, "low": low}
    row |= {"high": high, "stated": found.stated}
    rate = found.rate
    if rate.point is not None and rate.interval.low is not None:
        row |= {"rate_true": rate.true, "rate": rate.point, "rate_low": rate.interval.low}
        row |= {"rate_high": rate.interval.high or 0.0}
    return row


def _anywhere(head: Phantom, rng: np.random.Generator) -> Row:
    """Count in one draw on both sides: foci that meet what was planted, others, the side."""
    drawn = head.draw(rng, people=True)
    found, native = head.sought(drawn, rng, None)
    mask = native > 0.5
    lumps, _ = ndimage.label(mask, np.ones((3, 3, 3)))
    hit = len(set(np.unique(lumps[head.planted & mask]).tolist()) - {0})
    sides = {focus.side for focus in found.foci}
    row = {"foci": len(found.foci), "false_foci": max(len(found.foci) - hit, 0)}
    both = np.count_nonzero(mask & head.planted)
    if both:
        row |= {"precision": both / np.count_nonzero(mask)}
        row |= _rate_of_all(
            head, Foci(found, native, mask, (), np.zeros(mask.shape, np.int16)), drawn, rng
        )
    row |= {"sensitivity": both / np.count_nonzero(head.planted)}
    return row | {"side_right": 1.0 if sides == {head.side} else 0.0 if not sides else -1.0}


def _rate_of_all(head: Phantom, foci: Foci, drawn: Drawn, rng: np.random.Generator) -> Row:
    """Burn a ball that takes a part of the focus; what is burnt lies a little beside it."""
    place, settings = head.place, RateErrors()
    mm = head.head.grid.centres_mm()
    focus = mm[head.planted]
    centre = focus.mean(axis=0) + rng.normal(0.0, 4.0, 3)
    distance = np.linalg.norm(mm - centre, axis=-1)
    radius = np.quantile(distance[head.planted], rng.uniform(0.3, 0.8))
    ablation = Image(distance <= radius, head.head.affine)
    shift = settings.shift_sd_mm * rng.standard_normal(3)
    edge = settings.edge_sd_mm * rng.standard_normal()
    burnt = np.linalg.norm(focus - centre - shift, axis=-1) <= radius + edge
    parts = focus_parts(foci, place)
    errors = ErrorDraws(drawn.maps, foci.found.widened)
    intervals = rate_intervals(
        foci, errors, place, ablation, parts, settings, rng, sought=sought_parts(foci, parts)
    )
    rates = focus_rates(foci, place, ablation, parts, intervals)
    if not rates or rates[0].interval.low is None:
        return {}
    whole = rates[0].interval
    told = {"rate_true": burnt.mean(), "rate": rates[0].rate, "rate_low": whole.low}
    return told | {"rate_high": whole.high}


def _share(what: str, hits: np.ndarray) -> None:
    k, n = int(np.count_nonzero(hits)), len(hits)
    if n == 0:
        return
    limits = stats.binomtest(k, n).proportion_ci(method="exact")
    print(f"{what}: {k} of {n} ({limits.low:.1%} to {limits.high:.1%})")


def _mean(what: str, values: np.ndarray) -> None:
    known = values[np.isfinite(values)]
    if known.size > 1:
        error = known.std(ddof=1) / np.sqrt(known.size)
        print(
            f"{what}: mean {known.mean():+.4f} ± {1.96 * error:.4f}, SD {known.std(ddof=1):.4f}, "
            f"from {known.min():+.4f} to {known.max():+.4f}, n {known.size}"
        )


def _print(kind: str, of: dict[str, np.ndarray]) -> None:
    found = of["foci"] > 0
    if kind == "cortex":
        _share("found", of["sensitivity"] > 0)
        _mean("false foci", of["false_foci"])
        _share("side right", of["side_right"] == 1)
        _share("a wrong side, or both", of["side_right"] == -1)
        _mean("precision", of["precision"])
        _print_rate(of)
        return
    _share("with a focus" if kind != "none" else "with a false focus", found)
    _mean("normal grey matter of the side marked", of["marked"])
    if kind == "none":
        return
    known = np.isfinite(of["stated"])
    true = 1.0 - of["precision"]
    _mean("precision", of["precision"])
    _mean("sensitivity, where found", of["sensitivity"])
    _mean("stated minus true false share", of["stated"] - true)
    _share("its interval holds the truth", ((of["low"] <= true) & (true <= of["high"]))[known])
    _print_rate(of)


def _print_rate(of: dict[str, np.ndarray]) -> None:
    rated = np.isfinite(of["rate"])
    _mean("rate minus true one", of["rate"] - of["rate_true"])
    inside = (of["rate_low"] <= of["rate_true"]) & (of["rate_true"] <= of["rate_high"])
    _share("its interval holds the truth", inside[rated])
    _mean("width of the interval of the rate", of["rate_high"] - of["rate_low"])


if __name__ == "__main__":
    main()
