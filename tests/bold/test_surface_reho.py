"""Kendall's W on a mesh: analytic cases, a slow loop, the medial wall, files, bad input."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from scipy import stats

import falx
from falx.bold.surface_reho import mesh_neighbours, surface_homogeneity
from falx.core.errors import InputError
from falx.images.gifti import load_triangles, load_vertex_series

SIDE, TIMES = 9, 80


@pytest.fixture(scope="module")
def mesh() -> np.ndarray:
    """Triangles of a square of vertices, each cell cut along one diagonal."""
    number = np.arange(SIDE * SIDE).reshape(SIDE, SIDE)
    corners = [number[i : SIDE - 1 + i, j : SIDE - 1 + j] for i in (0, 1) for j in (0, 1)]
    a, b, c, d = (corner.ravel() for corner in corners)
    return np.concatenate([np.stack([a, b, c], axis=1), np.stack([b, d, c], axis=1)])


@pytest.fixture
def series() -> np.ndarray:
    return np.random.default_rng(8).normal(size=(SIDE * SIDE, TIMES)).astype(np.float32)


def friedman(series: np.ndarray, rows: list[int]) -> float:
    """W from Friedman's chi-squared of the raters."""
    ranks = stats.rankdata(series[rows], axis=1)
    k = len(rows)
    deviance = ((ranks.sum(axis=0) - k * (TIMES + 1) / 2) ** 2).sum()
    return 12 * deviance / (k**2 * (TIMES**3 - TIMES))


def test_w_is_that_of_the_vertex_and_those_that_share_an_edge(mesh, series) -> None:
    w, used = surface_homogeneity(series, mesh)
    starts, beside = mesh_neighbours(mesh, len(series))
    for v in (0, 8, 40, 44, 80):
        rows = [v, *beside[starts[v] : starts[v + 1]]]
        assert used[v] == len(rows)
        assert w[v] == pytest.approx(friedman(series, rows), abs=1e-12)
    assert used[40] == 7  # the middle of such a mesh has six neighbours


def test_equal_series_agree_wholly_and_noise_by_one_over_k(mesh, series) -> None:
    same = np.tile(series[:1], (len(series), 1)) * np.linspace(1, 5, len(series))[:, None]
    np.testing.assert_allclose(surface_homogeneity(same, mesh)[0], 1.0)
    many = np.random.default_rng(3).normal(size=(SIDE * SIDE, 2000))
    w, used = surface_homogeneity(many, mesh)
    assert np.abs(w * used - 1.0).mean() < 0.05


def test_numbers_of_vertices_do_not_matter(mesh, series) -> None:
    order = np.random.default_rng(0).permutation(len(series))
    again, _ = surface_homogeneity(series[order], np.argsort(order)[mesh][:, ::-1])
    np.testing.assert_array_equal(again, surface_homogeneity(series, mesh)[0][order])


@pytest.mark.parametrize("wall", [0.0, 7.5, np.nan])
def test_the_medial_wall_has_no_value_and_enters_none(mesh, series, wall) -> None:
    series[40] = wall
    for found in (
        falx.surface_reho(series, mesh),
        falx.surface_reho(series, mesh, repetition_time_s=2.0),
    ):
        assert np.isnan(found.w[40]) and found.series_used[40] == 0
        assert found.series_used[41] == 6 and np.isfinite(np.delete(found.w, 40)).all()
    assert found.dof is not None and found.dof < TIMES
    assert "80 of 81" in repr(found)


def test_files_in_and_a_file_out(mesh, series, tmp_path) -> None:
    gifti = nib.gifti
    volumes = [gifti.GiftiDataArray(v, intent="NIFTI_INTENT_TIME_SERIES") for v in series.T.copy()]
    nib.save(gifti.GiftiImage(darrays=volumes), tmp_path / "run.func.gii")
    points = np.zeros((SIDE * SIDE, 3), np.float32)
    parts = [
        gifti.GiftiDataArray(points, intent="NIFTI_INTENT_POINTSET"),
        gifti.GiftiDataArray(mesh.astype(np.int32), intent="NIFTI_INTENT_TRIANGLE"),
    ]
    nib.save(gifti.GiftiImage(darrays=parts), tmp_path / "hemi.surf.gii")
    found = falx.surface_reho(tmp_path / "run.func.gii", tmp_path / "hemi.surf.gii")
    np.testing.assert_array_equal(found.w, falx.surface_reho(series, mesh).w)
    found.save(tmp_path / "reho.shape.gii")
    again = nib.load(tmp_path / "reho.shape.gii").darrays[0].data
    np.testing.assert_allclose(again, found.w, rtol=1e-6)
    assert found.plot().axes[0].get_xlabel() == "Kendall's W"
    with pytest.raises(InputError, match="run.func.gii: the surface file holds no triangles"):
        load_triangles(tmp_path / "run.func.gii")
    with pytest.raises(InputError, match="hemi.surf.gii: the surface file holds no series"):
        load_vertex_series(tmp_path / "hemi.surf.gii")
    (tmp_path / "text.gii").write_text("no")
    with pytest.raises(InputError, match="text.gii: the file is not a surface"):
        load_triangles(tmp_path / "text.gii")
    whole = (tmp_path / "hemi.surf.gii").read_bytes()
    (tmp_path / "half.surf.gii").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"half.surf.gii: the file is not a surface that can be"):
        load_triangles(tmp_path / "half.surf.gii")
    with pytest.raises(InputError, match="does not exist"):
        load_triangles(tmp_path / "none.gii")


def test_what_cannot_be_measured_is_refused(mesh, series) -> None:
    with pytest.raises(InputError, match="other vertices than the series .*80 series"):
        surface_homogeneity(series[:80], mesh)
    with pytest.raises(InputError, match="no vertex has a series that varies"):
        surface_homogeneity(np.ones_like(series), mesh)
    with pytest.raises(InputError, match="triangles of three vertices"):
        surface_homogeneity(series, mesh[:, :2])
    with pytest.raises(InputError, match="needs 3 to"):
        surface_homogeneity(series[:, :2], mesh)
    with pytest.raises(InputError, match="give repetition_time_s"):
        falx.surface_reho(series, mesh, nuisance=np.zeros((TIMES, 1)))
