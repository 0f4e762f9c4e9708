"""Surfaces of masks: closed, in place, of the right size, turned outwards."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from falx.images.nifti import Image
from falx.report.mesh import Mesh, mz3, surface

AFFINE = np.array([[2.0, 0, 0, -30], [0, 1.5, 0, 12], [0, 0, 1.0, -7], [0, 0, 0, 1]])


def ball(radius=9.0, centre=(5.0, 40.0, 20.0), affine=AFFINE):
    points = np.moveaxis(np.indices((30, 40, 50)), 0, -1) @ affine[:3, :3].T + affine[:3, 3]
    return Image(np.linalg.norm(points - centre, axis=-1) <= radius, affine)


def volume(mesh: Mesh) -> float:
    a, b, c = np.moveaxis(mesh.vertices_mm[mesh.faces].astype(float), 1, 0)
    return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6)


def test_a_ball_has_its_place_and_size():
    """Smoothing by sigma moves a curved surface inwards by sigma² / radius."""
    mesh = surface(ball())
    radius = 9.0 - (0.7 * AFFINE[0, 0] * 0.7 * AFFINE[2, 2]) / 9.0
    away = np.linalg.norm(mesh.vertices_mm - [5.0, 40.0, 20.0], axis=1)
    assert np.abs(away - 9.0).max() < 1.2
    assert volume(mesh) == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.05)


def test_every_edge_joins_two_triangles():
    faces = surface(ball()).faces
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    assert set(np.unique(edges, axis=0, return_counts=True)[1]) == {2}


def test_a_mask_at_the_border_is_closed_too():
    mesh = surface(ball(centre=(-30.0, 12.0, -7.0)))
    assert volume(mesh) > 0
    assert mesh.vertices_mm[:, 0].min() < -30.0


def test_room_around_a_mask_changes_nothing():
    mask = ball()
    wide = Image(np.pad(mask.data, 6), mask.affine.copy())
    wide.affine[:3, 3] -= 6 * np.diag(AFFINE)[:3]
    near, far = surface(mask), surface(wide)
    assert np.array_equal(near.faces, far.faces)
    assert np.allclose(near.vertices_mm, far.vertices_mm, atol=1e-4)


def test_mz3_holds_faces_and_vertices():
    mesh = surface(ball())
    content = mz3(mesh)
    magic, kind, faces, vertices, skip = struct.unpack_from("<HHIII", content)
    assert (magic, kind, skip) == (23117, 3, 0)
    assert (faces, vertices) == (len(mesh.faces), len(mesh.vertices_mm))
    assert len(content) == 16 + 12 * (faces + vertices)


@settings(max_examples=15, deadline=None)
@given(st.tuples(*[st.floats(-200, 200)] * 3))
def test_a_moved_mask_has_a_moved_surface(shift):
    affine = AFFINE.copy()
    affine[:3, 3] += shift
    mask = ball()
    near, far = surface(mask), surface(Image(mask.data, affine))
    np.testing.assert_array_equal(near.faces, far.faces)
    np.testing.assert_allclose(far.vertices_mm - near.vertices_mm, [shift] * len(near.vertices_mm),
                               atol=1e-3)  # fmt: skip


def test_a_mirrored_mask_has_a_mirrored_surface_turned_outwards():
    mask = ball()
    mask.data[:, :, 30:] = False
    turned = Image(np.ascontiguousarray(mask.data[::-1]), mask.affine)
    own, other = surface(mask), surface(turned)
    assert volume(other) == pytest.approx(volume(own), rel=1e-5)
    middle = 2 * AFFINE[0, 3] + 29 * AFFINE[0, 0]
    back = other.vertices_mm * [-1, 1, 1] + [middle, 0, 0]
    order = [np.lexsort(np.round(v, 3).T) for v in (own.vertices_mm, back)]
    np.testing.assert_allclose(own.vertices_mm[order[0]], back[order[1]], atol=1e-3)
