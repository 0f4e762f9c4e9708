"""The scene made from labels, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from falx.core.errors import GridError, InputError
from falx.core.grid import Grid
from falx.images.nifti import Image
from falx.surgery.tracks.entries import EntryBox
from falx.surgery.tracks.head_scene import passage_beside, scene_from_labels
from falx.surgery.tracks.scene import distance_mm, fields_of, mirrored_scene
from falx.surgery.tracks.skull import brain_hull, skull_surface, sulci
from surgery.phantom import centres, head_labels, head_signature, same_place


def test_distance_equals_the_nearest_voxel_centre_on_an_anisotropic_grid(rng):
    grid = Grid((12, 9, 7), np.diag([0.8, 1.3, 2.5, 1.0]))
    mask = rng.random(grid.shape) < 0.02
    every = grid.centres_mm().reshape(-1, 1, 3)
    nearest = np.linalg.norm(every - centres(mask, grid)[None], axis=2).min(axis=1)
    assert np.allclose(distance_mm(mask, grid).ravel(), nearest, atol=1e-5)
    assert np.all(distance_mm(np.zeros_like(mask), grid) == 100.0)


def test_normals_of_a_ball_point_away_from_its_centre():
    grid = Grid((111, 111, 111), np.eye(4))
    centre = np.array([55.0, 55.0, 55.0])
    ball = np.linalg.norm(grid.centres_mm() - centre, axis=-1) <= 40
    surface = skull_surface(ball, grid)
    radial = surface.points_mm - centre
    distance = np.linalg.norm(radial, axis=1)
    assert np.all((distance > 43) & (distance < 46.5))
    cosine = np.sum(radial / distance[:, None] * surface.outward, axis=1)
    assert np.degrees(np.arccos(np.clip(cosine, -1, 1))).max() < 4.0


def test_a_slit_is_a_sulcus_below_the_rim_only():
    grid = Grid((60, 60, 60), np.eye(4))
    brain = np.zeros(grid.shape, bool)
    brain[10:50, 10:50, 10:50] = True
    brain[10:50, 29:31, 30:50] = False
    found = sulci(brain, brain_hull(brain, grid), grid)
    assert found[30, 29:31, 35:45].all()
    assert not found[:, :, 47:].any()
    assert not (found & brain).any()


def test_entries_lie_on_the_side_and_behind(labels, scene):
    assert (scene.entries_mm[:, 0] < -15).all()
    assert (scene.entries_mm[:, 1] < -60).all()
    assert (scene.outward[:, 1] < 0.2).all()
    assert np.allclose(np.linalg.norm(scene.outward, axis=1), 1)
    assert not scene.vessels_checked


def test_mirroring_twice_changes_nothing(scene):
    again = mirrored_scene(mirrored_scene(scene))
    assert np.allclose(again.grid.affine, scene.grid.affine)
    assert np.array_equal(again.signature, scene.signature)
    turned = mirrored_scene(scene)
    assert turned.side == "right"
    there = centres(turned.hippocampus, turned.grid)
    here = centres(scene.hippocampus, scene.grid) * [-1, 1, 1]
    assert np.allclose(np.sort(there, axis=0), np.sort(here, axis=0))


def test_fields_hold_entries_and_targets_with_a_border(scene):
    fields = fields_of(scene)
    points = np.concatenate([scene.entries_mm, centres(scene.targets, scene.grid)])
    inverse = np.linalg.inv(fields.grid.affine)
    voxels = points @ inverse[:3, :3].T + inverse[:3, 3]
    assert (voxels >= 0).all()
    assert (voxels <= np.array(fields.grid.shape) - 1).all()
    whole = distance_mm(scene.obstacles, scene.grid)
    low = np.rint(np.linalg.inv(scene.grid.affine) @ fields.grid.affine[:, 3])[:3].astype(int)
    part = whole[tuple(slice(a, a + n) for a, n in zip(low, fields.grid.shape, strict=True))]
    assert np.allclose(np.minimum(part, 10), np.minimum(fields.clearance_mm, 10))


def test_no_signature_in_the_hippocampus_is_nothing_to_ablate(labels):
    empty = Image(np.zeros(labels.data.shape, bool), labels.affine)
    assert not scene_from_labels(labels, empty, "left", same_place).has_target
    whole = Image(labels.data > 0, labels.affine)
    assert scene_from_labels(labels, whole, "left", same_place).has_target


def test_targets_of_the_other_hemisphere_are_refused(scene):
    with pytest.raises(InputError, match="other hemisphere than the focus"):
        replace(scene, side="right")


def test_a_vessel_mask_on_another_grid_is_refused(labels):
    vessels = Image(np.zeros((5, 5, 5), bool), np.eye(4))
    with pytest.raises(GridError, match="vessel mask and the T1w labels are on different grids"):
        scene_from_labels(labels, head_signature(labels), "left", same_place, vessels=vessels)


def test_vessels_become_obstacles_and_are_said_to_be_checked(labels):
    vessels = np.zeros(labels.data.shape, bool)
    vessels[20, 30, 30] = True
    scene = scene_from_labels(
        labels, head_signature(labels), "left", same_place, vessels=Image(vessels, labels.affine)
    )
    assert scene.vessels_checked


def test_missing_structures_and_entries_are_named(labels):
    nothing = Image(np.zeros(labels.data.shape, np.int32), labels.affine)
    with pytest.raises(InputError, match="no hippocampus"):
        scene_from_labels(nothing, head_signature(labels), "left", same_place)
    with pytest.raises(InputError, match="no entry on the left"):
        scene_from_labels(
            labels, head_signature(labels), "left", same_place, box=EntryBox(x_mm=(200, 300))
        )


def test_skewed_voxels_are_refused(scene):
    affine = np.array(scene.grid.affine)
    affine[0, 1] = 0.4
    with pytest.raises(GridError, match="not orthogonal"):
        replace(scene, grid=Grid(scene.grid.shape, affine))


def test_a_shifted_head_gives_the_same_scene_shifted():
    still, moved = head_labels(), head_labels(shift=(0.0, 2.0, -4.0))
    a = scene_from_labels(still, head_signature(still), "left", same_place)
    signature = Image(np.roll(head_signature(still).data, (1, -2), (1, 2)), still.affine)
    b = scene_from_labels(
        moved, signature, "left", lambda points: points - np.array([0.0, 2.0, -4.0])
    )
    assert len(a.entries_mm) == len(b.entries_mm)
    assert np.allclose(a.entries_mm + np.array([0, 2, -4]), b.entries_mm)


def test_beside_the_target_a_track_needs_no_margin_to_fluid_but_to_vessels(labels, scene):
    horn = labels.data == 5
    data = np.zeros(labels.data.shape, bool)
    data[horn] = True
    guarded = scene_from_labels(
        labels, head_signature(labels), "left", same_place, vessels=Image(data, labels.affine)
    )
    strict = scene_from_labels(labels, head_signature(labels), "left", same_place, beside_mm=0.0)
    assert scene.passage.any()
    assert not strict.passage.any()
    away = distance_mm(scene.targets, scene.grid)[scene.passage]
    assert away.min() > 0
    assert away.max() <= 6.0
    assert guarded.passage.sum() < scene.passage.sum()
    assert fields_of(strict).exempt.sum() == strict.targets.sum()
    assert fields_of(scene).exempt.sum() == (scene.targets | scene.passage).sum()


def test_no_track_may_run_in_a_fissure_beside_the_target():
    grid = Grid((40, 40, 40), np.eye(4))
    targets = np.zeros(grid.shape, bool)
    targets[15:25, 15:25, 15:25] = True
    fissures = np.zeros(grid.shape, bool)
    fissures[27, 10:30, 10:30] = True
    passage = passage_beside(targets, fissures, None, grid, within_mm=6.0)
    assert not (passage & fissures).any()
    assert passage[26, 20, 20] and passage[28, 20, 20] and not passage[32, 20, 20]
    vessels = np.zeros(grid.shape, bool)
    vessels[28, 20, 20] = True
    kept = passage_beside(targets, fissures, vessels, grid, within_mm=6.0)
    assert not kept[26, 20, 20] and kept[12, 20, 20]


def test_the_map_of_fluid_adds_sulci_that_the_labels_lack(labels, scene):
    """A slit of fluid inside labelled cortex is an obstacle; fluid in the targets is none."""
    x = labels.grid.centres_mm()
    slit = (np.abs(x[..., 0] + 45) < 2.1) & (np.abs(x[..., 1] + 40) < 14) & (np.abs(x[..., 2]) < 8)
    slit &= labels.data == 2
    share = np.where(slit | np.isin(labels.data, (17, 18, 5)), 0.9, 0.1).astype(np.float32)
    wet = scene_from_labels(
        labels, head_signature(labels), "left", same_place, csf=Image(share, labels.affine)
    )
    more = wet.obstacles & ~scene.obstacles
    added = centres(more, wet.grid)
    assert len(added) == slit.sum() > 100
    assert np.abs(added[:, 0] + 45).max() < 2.1
    assert not (wet.passage & more).any()
    assert np.array_equal(wet.targets, scene.targets)
    dry = scene_from_labels(
        labels, head_signature(labels), "left", same_place,
        csf=Image(np.zeros_like(share), labels.affine),
    )  # fmt: skip
    assert np.array_equal(dry.obstacles, scene.obstacles)
    with pytest.raises(GridError, match="the csf and the T1w labels are on different grids"):
        scene_from_labels(labels, head_signature(labels), "left", same_place,
                          csf=Image(share[1:], labels.affine))  # fmt: skip


def test_vessels_are_obstacles_and_known_as_such(labels, scene):
    tube = np.zeros(labels.data.shape, bool)
    tube[25:27, 30:60, 40] = True
    some = scene_from_labels(
        labels, head_signature(labels), "left", same_place, vessels=Image(tube, labels.affine)
    )
    assert some.vessels_checked
    assert some.vessels.sum() > 0
    assert not (some.vessels & ~some.obstacles).any()
    assert scene.vessels is None
    assert np.array_equal(mirrored_scene(some).vessels[::-1], some.vessels)
