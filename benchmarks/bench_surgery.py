"""The planner against plain NumPy in the same run, and its speed, on a phantom head."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from benchmarks.table import Row, cpu_seconds, wall_seconds
from falx.surgery.burns import candidate_burns
from falx.surgery.geometry import Burn, LaserPlan, Trajectory
from falx.surgery.head import scene_from_labels
from falx.surgery.limits import Goal, Limits
from falx.surgery.scene import fields_of
from falx.surgery.search import search
from falx.surgery.tracks import find_tracks, pair_codes, target_points
from surgery.phantom import (
    centres,
    head_labels,
    head_signature,
    heated,
    same_place,
    track_ok,
)

LIMITS, GOAL = Limits(), Goal()


def rows() -> list[Row]:
    labels = head_labels(voxel_mm=1.0)
    scene = scene_from_labels(labels, head_signature(labels), "left", same_place)
    return [*_tracks(scene), *_coverage(scene), _whole(scene)]


def _tracks(scene) -> list[Row]:  # type: ignore[no-untyped-def]
    fields = fields_of(scene)
    targets = target_points(scene, 1_000_000)
    entries, outward = scene.entries_mm, scene.outward
    pair_codes(fields, entries[:4], outward[:4], targets[:4], LIMITS)
    import numba

    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    fast = cpu_seconds(lambda: pair_codes(fields, entries, outward, targets, LIMITS), repeats=3)
    numba.set_num_threads(threads)
    rate = len(entries) * len(targets) / fast
    some, few = slice(None, None, max(1, len(entries) // 40)), targets[::20]

    def plain() -> None:
        for entry, normal in zip(entries[some], outward[some], strict=True):
            for target in few:
                track_ok(fields, entry, normal, target, LIMITS)

    slow = len(entries[some]) * len(few) / cpu_seconds(plain)
    return [
        Row("tracks checked, one core", rate / 1e6, "million/s", ">= 1", rate >= 1e6),
        Row("tracks against NumPy", rate / slow, "times", ">= 5", rate >= 5 * slow),
    ]


def _coverage(scene) -> list[Row]:  # type: ignore[no-untyped-def]
    fields = fields_of(scene)
    tracks = find_tracks(scene, fields, LIMITS, max_pairs=200_000, max_tracks=2000)
    candidate_burns(scene, tracks, LIMITS)
    fast = cpu_seconds(lambda: candidate_burns(scene, tracks, LIMITS), repeats=3)
    plans = len(tracks.entries_mm) * len(LIMITS.radii_mm) * len(LIMITS.pull_backs_mm)
    points = centres(scene.targets, scene.grid)

    def plain() -> None:
        for entry, target in zip(tracks.entries_mm[:20], tracks.targets_mm[:20], strict=True):
            track = Trajectory(tuple(entry), tuple(target))
            for pull_back in LIMITS.pull_backs_mm:
                heated(points, LaserPlan(track, (Burn(7.0, pull_back),)))

    slow = 20 * len(LIMITS.pull_backs_mm) / cpu_seconds(plain)
    ratio = plans / fast / slow
    return [Row("burns measured against NumPy", ratio, "times", ">= 5", ratio >= 5)]


def _whole(scene) -> Row:  # type: ignore[no-untyped-def]
    found = []

    def whole() -> None:
        rng = np.random.default_rng(1)
        found.append(search(scene, LIMITS, GOAL, rng=rng, threads=2))

    whole()
    started = time.process_time()
    seconds = wall_seconds(whole)
    used = time.process_time() - started
    pairs = found[0].funnel.pairs
    # Both cores are seldom ours alone: with them idle the plan takes less than its CPU time.
    return Row(
        "whole plan, CPU time", used, "s", "<= 20 for >= 3 million pairs",
        used <= 20 and pairs >= 3e6,
        f"{seconds:.1f} s wall; {pairs / 1e6:.1f} million pairs, {found[0].candidates:,} burns, "
        f"{len(found[0].options)} Pareto plans; the phantom has far more room "
        "than a head",
    )  # fmt: skip
