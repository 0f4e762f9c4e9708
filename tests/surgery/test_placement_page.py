"""The page misplaces an edited plan as the planner does: its script in Node against Python."""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict, replace

import numpy as np
import pytest

from falx.surgery.burns.misplaced import Draws
from falx.surgery.robustness import shake, share_interval
from falx.surgery.search import judging_draws
from falx.surgery.tracks.geometry import Burn, LaserPlan, Trajectory
from falx.surgery.tracks.limits import Goal, Limits, Placement
from falx.surgery.tracks.scene import distance_mm, fields_of, mirrored_scene
from falx.surgery.what_if import (
    JUDGES,
    PICKS,
    what_if_arrays,
    what_if_draws,
    what_if_frames,
    what_if_plan,
    what_if_scene,
)
from surgery.phantom import ellipsoid
from surgery.test_what_if import PLANNER, node, some_plans

LIMITS, GOAL = Limits(min_clearance_mm=1.5), Goal(threshold=0.3)
VIEWER = PLANNER.parent
KINDS = {"float32": "Float32Array", "uint8": "Uint8Array", "uint16": "Uint16Array"}

HEAD = """
import { sceneOf } from "VIEWER/data.js";
import { assess, profile } from "VIEWER/planner.js";
import { interval, isBetter, neighbours, rank, shares, shortfall } from "VIEWER/placement.js";
import { placesOf } from "VIEWER/frames_mm.js";
let text = "";
for await (const part of process.stdin) text += part;
const { setup, arrays, plans, goal } = JSON.parse(text);
for (const [name, [kind, values]] of Object.entries(arrays))
  arrays[name] = globalThis[kind].from(values);
const scene = sceneOf(setup, arrays);
"""


def in_node(scene, plans, body, *, placement=None, to_template=None, goal=GOAL):
    """What a few lines of the page's script return for plans in a scene."""
    ends = [p for plan in plans for p in (plan.trajectory.entry_mm, plan.trajectory.target_mm)]
    fields = fields_of(scene, ends)
    few, many = judging_draws(placement or Placement(), scene, np.random.default_rng(0))
    arrays = {**what_if_arrays(scene, fields), **what_if_draws(few, many)}
    setup = what_if_scene(scene, fields, LIMITS)
    if to_template is not None:
        frames, arrays["template"] = what_if_frames(fields, to_template, scene.entries_mm[::7])
        setup |= frames
    asked = {
        "setup": setup,
        "arrays": {n: [KINDS[str(a.dtype)], a.ravel().tolist()] for n, a in arrays.items()},
        "plans": [what_if_plan(plan) for plan in plans],
        "goal": asdict(goal),
    }
    words = [node(), "--input-type=module", "-e", (HEAD + body).replace("VIEWER", VIEWER.as_uri())]
    done = subprocess.run(
        words, input=json.dumps(asked), capture_output=True, text=True, check=True
    )
    return fields, many, json.loads(done.stdout)


SHARES = """
const found = plans.map((plan) => shares(plan, scene, scene.draws, goal.threshold));
process.stdout.write(JSON.stringify(found));
"""


def good_plans(scene, number, seed):
    """Plans near enough to the rules that some copies keep them and some do not."""
    rng = np.random.default_rng(seed)
    middle = scene.targets_mm.mean(axis=0)
    found = []
    for _ in range(number):
        entry = scene.entries_mm[rng.integers(len(scene.entries_mm))]
        target = middle + rng.normal(0, 4, 3)
        burns = tuple(
            Burn(float(rng.uniform(4, 8)), float(rng.integers(5, 30)), float(rng.integers(0, 5)))
            for _ in range(rng.integers(1, 3))
        )
        track = Trajectory(tuple(np.round(entry, 3)), tuple(np.round(target, 3)))
        found.append(LaserPlan(track, burns))
    return found


@pytest.mark.parametrize("side", ["left", "right"])
def test_shares_of_the_page_are_those_of_the_planner_for_the_same_draws(scene, side):
    sinus = ellipsoid(scene.grid.centres_mm(), (-30, -105, 10), (6, 8, 30))
    scene = replace(scene, sinus=sinus)
    scene = mirrored_scene(scene) if side == "right" else scene
    plans = good_plans(scene, 14, seed=5) + some_plans(scene, 6, seed=6)
    fields, many, page = in_node(scene, plans, SHARES)
    draws = Draws(*(part.astype(np.float32).astype(float) for part in many.first(JUDGES)))
    seen = []
    for plan, found in zip(plans, page, strict=True):
        own = shake(plan, scene, fields, LIMITS, threshold=GOAL.threshold, draws=draws)
        assert found["draws"] == own.draws == JUDGES
        assert found["reaches"] == pytest.approx(own.reaches, abs=1e-9)
        # Distances are bytes of 0.08 mm there: a copy that lies on a limit may fall either way.
        for name in ("holds", "succeeds", "harmless"):
            assert found[name] == pytest.approx(getattr(own, name), abs=0.03), name
        seen.append(own)
    assert len({round(s.reaches, 2) for s in seen}) > 4
    assert any(0.02 < s.harmless < 0.98 for s in seen)
    assert any(0.02 < s.holds < 0.98 for s in seen)


def test_intervals_are_wilsons(scene):
    body = """
    const found = [0, 0.03, 0.5, 0.97, 1].map((p) => interval(p, 400));
    process.stdout.write(JSON.stringify(found));
    """
    _, _, page = in_node(scene, good_plans(scene, 1, 1), body)
    for share, found in zip([0, 0.03, 0.5, 0.97, 1], page, strict=True):
        assert found == pytest.approx(share_interval(share, 400), abs=1e-12)


def test_what_if_takes_less_than_fifty_milliseconds(scene):
    """Score and a hundred misplaced copies, as for every step of a drag; the median of many."""
    body = """
    const times = plans.map((plan) => {
      const began = performance.now();
      assess(plan, scene);
      shares(plan, scene, scene.draws, goal.threshold, 100);
      return performance.now() - began;
    });
    process.stdout.write(JSON.stringify(times));
    """
    _, _, times = in_node(scene, good_plans(scene, 40, seed=2), body)
    assert np.median(times) < 50


IMPROVED = """
let [plan, draws] = [plans[0], scene.picks];
const first = rank(plan, scene, draws, goal);
let best = first;
for (let moves = 0; moves < 8; moves++) {
  let better = null;
  for (const other of neighbours(plan, 2)) {
    const its = rank(other, scene, draws, goal);
    if (isBetter(its, best)) [best, better] = [its, other];
  }
  if (!better) break;
  plan = better;
}
process.stdout.write(JSON.stringify({ plan, first, best, draws: draws.ends.length / 10 }));
"""


def test_steps_that_the_page_calls_better_are_better_by_draws_that_did_not_pick_them(scene):
    middle = scene.targets_mm.mean(axis=0)
    entry = scene.entries_mm[np.abs(scene.entries_mm - middle)[:, [0, 2]].sum(axis=1).argmin()]
    plan = LaserPlan(Trajectory(tuple(entry), tuple(middle)), (Burn(4.0, 10.0),))
    fields, many, page = in_node(scene, [plan], IMPROVED)
    assert page["draws"] == PICKS
    assert page["best"]["lack"] < page["first"]["lack"]
    track = Trajectory(tuple(page["plan"]["entry"]), tuple(page["plan"]["target"]))
    burns = tuple(Burn(b["radius"], b["pullBack"], b["tipOffset"]) for b in page["plan"]["burns"])
    better = LaserPlan(track, burns)
    before, after = (
        shake(p, scene, fields, LIMITS, threshold=GOAL.threshold, draws=many.first(4000))
        for p in (plan, better)
    )

    def lack(shaken):
        return (
            max(0.0, GOAL.keep_probability - shaken.holds)
            + max(0.0, GOAL.probability - shaken.reaches)
            + max(0.0, GOAL.harmless_probability - shaken.harmless)
        )

    assert lack(after) < lack(before)


def test_the_profile_is_the_distance_along_the_track(scene):
    vessels = np.zeros(scene.grid.shape, bool)
    vessels[30:33, 50:52, 40:60] = True
    scene = replace(scene, obstacles=scene.obstacles | vessels, vessels=vessels)
    plan = good_plans(scene, 1, seed=3)[0]
    body = "process.stdout.write(JSON.stringify(profile(plans[0], scene.fields)));"
    fields, _, page = in_node(scene, [plan], body)
    to_voxel = np.linalg.inv(scene.grid.affine)
    whole = {"obstacle": scene.obstacles, "vessel": vessels}
    entry, target = (np.array(p) for p in (plan.trajectory.entry_mm, plan.trajectory.target_mm))
    assert [page[0]["depth"], page[-1]["depth"]] == pytest.approx([0, plan.trajectory.length_mm])
    for name, mask in whole.items():
        far = distance_mm(mask, scene.grid)
        for point in page:
            at = entry + (target - entry) * point["depth"] / plan.trajectory.length_mm
            voxel = to_voxel[:3, :3] @ at + to_voxel[:3, 3]
            low = np.clip(np.floor(voxel).astype(int), 0, np.array(far.shape) - 2)
            near = far[tuple(slice(a, a + 2) for a in low)]
            ceiling = 20.4
            assert min(near.min(), ceiling) - 0.1 <= point[name] <= min(near.max(), ceiling) + 0.1
    assert {p["exempt"] for p in page} == {True, False}
    assert fields.exempt.any()


def test_places_are_told_in_every_frame_that_is_known(scene):
    def bent(p):
        p = np.asarray(p, dtype=float)
        return p + 1.5 * np.sin(p[:, ::-1] / 30.0) + (1.0, -2.0, 3.0)

    plans = good_plans(scene, 3, seed=4)
    body = "process.stdout.write(JSON.stringify(plans.map((plan) => placesOf(plan, scene))));"
    _, _, page = in_node(scene, plans, body, to_template=bent)
    for plan, rows in zip(plans, page, strict=True):
        ends = (plan.trajectory.entry_mm, plan.trajectory.target_mm)
        for (name, ras, acpc, mni), place, wanted in zip(
            rows, ends, ("entry", "target"), strict=True
        ):
            assert name == wanted
            assert [float(v) for v in ras.split(",")] == pytest.approx(place, abs=0.051)
            assert [float(v) for v in mni.split(",")] == pytest.approx(
                bent(np.array([place]))[0], abs=0.15
            )
            assert len(acpc.split(",")) == 3
    _, _, page = in_node(scene, plans, body)
    assert page[0][0][2:] == ["–", "–"]
