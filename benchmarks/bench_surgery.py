"""The planner against plain NumPy in the same run, and its speed, on a phantom head."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.table import Row, cpu_seconds, wall_seconds
from browser import BROWSER, SOFTWARE, launcher, open_page
from falx.images.nifti import Image
from falx.report.live_page import LARGEST_PAGE, live_page
from falx.report.page import Section
from falx.report.viewer import is_built
from falx.studies.signature.live import live_images
from falx.surgery.burns.doses import dose_sought
from falx.surgery.burns.heat import FLUID, Heating, burned, cube_around
from falx.surgery.burns.single import candidate_burns
from falx.surgery.search import search
from falx.surgery.tracks.feasible import find_tracks, pair_codes, target_points
from falx.surgery.tracks.geometry import Burn, LaserPlan, Trajectory
from falx.surgery.tracks.head_scene import scene_from_labels
from falx.surgery.tracks.limits import Goal, Limits
from falx.surgery.tracks.scene import fields_of
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
    return [*_tracks(scene), *_coverage(scene), _whole(scene), *_heat(scene), *_page()]


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


def _heat(scene) -> list[Row]:  # type: ignore[no-untyped-def]
    """Time of one burn in the heat model, and of the doses that the radii of the search need."""
    grid = cube_around(scene.targets_mm.mean(axis=0), 28.0, 1.0)
    media = np.zeros(grid.shape, np.uint8)
    media[grid.shape[0] // 2 + 6 :] = FLUID
    tip, way = scene.targets_mm.mean(axis=0), (0.0, -1.0, 0.0)
    burned(grid, media, tip, way, Heating(seconds=5.0))
    one = cpu_seconds(lambda: burned(grid, media, tip, way, Heating()), repeats=3)
    dose_sought.cache_clear()
    doses = cpu_seconds(lambda: [dose_sought(radius, 10.0) for radius in LIMITS.radii_mm])
    note = f"{len(LIMITS.radii_mm)} radii, found once a run"
    return [
        Row("one burn in the heat model", one, "s", "<= 2", one <= 2),
        Row("doses of the radii", doses, "s", "<= 10", doses <= 10, note),
    ]


def _page() -> list[Row]:
    """Size of a page with every layer of a noisy head at 1 mm, and when a browser shows it."""
    page = _patient_page()
    size = Row("page", len(page.encode()) / 1e6, "MB", "<= 6", len(page.encode()) <= LARGEST_PAGE)
    if BROWSER is None or not is_built():
        return [size]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "page.html"
        path.write_text(page, encoding="utf-8")
        wall, used = _ready(path)
    note = f"{wall:.1f} s wall, {used:.1f} CPU s of the browser; software rendering"
    return [size, Row("page ready", wall, "s", "<= 10", wall <= 10, note)]


def _patient_page() -> str:
    labels = head_labels(voxel_mm=1.0)
    signature = head_signature(labels, "left")
    rng = np.random.default_rng(2)

    def noisy(values, sd):  # type: ignore[no-untyped-def]
        noise = rng.normal(0, sd, labels.data.shape)
        return Image(((values + noise) * (labels.data > 0)).astype(np.float32), labels.affine)

    images = live_images(
        t1w=noisy(100.0 + np.sqrt(labels.data), 4.0),
        brain=Image(labels.data > 0, labels.affine),
        signature=Image(signature.data, labels.affine),
        hippocampus=Image(labels.data == 17, labels.affine),
        amygdala=Image(labels.data == 18, labels.affine),
        pet=noisy(9000.0 + 0.0 * labels.data, 400.0),
        asymmetry=noisy(-0.3 * signature.data, 0.03),
        ablation=signature,
    )
    section = Section("Result")
    return live_page(
        "Patient", [section], images, label="sub-01", side="left", centre_mm=(-27.0, -20.0, -12.0)
    )


def _ready(path: Path) -> tuple[float, float]:
    """Wall seconds until the page is ready, and CPU seconds that the browser took for it."""
    import psutil

    for start in launcher():
        browser = start(SOFTWARE)
        started = time.perf_counter()
        open_page(browser, path)
        wall = time.perf_counter() - started
        children = psutil.Process().children(recursive=True)
        used = sum(sum(child.cpu_times()[:2]) for child in children)
        browser.close()
    return wall, used
