"""From a raw phantom run to its ReHo map, with the planted place found again."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from bold.chosen import MOTION, REHO
from calling import call
from falx.bold.files import measure_stage, motion_stage, reho_stage
from falx.core.errors import InputError, OptionError, QualityError
from falx.core.files import write_json
from falx.core.grid import normalisation_grid
from falx.images.nifti import Image, load, save
from falx.images.warp import CoordinateMap, save_map
from falx.phantom.bold import BoldPlan, bold_run

PLAN = BoldPlan(
    shape=(28, 35, 24), voxel_mm=(5.3, 5.3, 5.3), n_volumes=85, repetition_time_s=2.0,
    coherence_fwhm_mm=11.0, jerks=1, band_hz=(0.01, 0.2),
)  # fmt: skip
PLANTED_MM = np.array([-32.0, -45.0, -10.0])


def head():
    """A brain of shells: white matter inside, a grey band, a ventricle in the middle."""
    grid = normalisation_grid(3.0)
    mm = grid.centres_mm()
    depth = np.linalg.norm((mm - [0, -15, 5]) / [64, 78, 60], axis=-1)
    gm = (depth < 1.0) & (depth > 0.6)
    wm = (depth <= 0.6) & (depth > 0.28)
    csf = depth <= 0.28
    parts = [ndimage.gaussian_filter(p.astype(np.float32), 0.5) for p in (gm, wm, csf)]
    place = np.linalg.norm(mm - PLANTED_MM, axis=-1) < 18
    coherence = np.where(place, 0.25, 1.0).astype(np.float32)
    images = [Image(p, grid.affine) for p in (*parts, coherence)]
    return grid, images, place & gm


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("bold")
    grid, (gm, wm, csf, coherence), _ = head()
    run = bold_run(gm, wm, csf, PLAN, np.random.default_rng(1), coherence=coherence)
    file = nib.nifti1.Nifti1Image(run.image.data, run.image.affine)
    file.header.set_zooms((*PLAN.voxel_mm, PLAN.repetition_time_s))
    nib.save(file, path / "bold.nii.gz")
    for name, image in (("wm", wm), ("csf", csf)):
        save(path / f"{name}.nii.gz", image.data, image.affine)
    brain = gm.data + wm.data + csf.data > 0.5
    save(path / "brain.nii.gz", brain, grid.affine)
    identity = CoordinateMap(grid.centres_mm().astype(np.float32), grid.affine)
    save_map(path / "to_native.nii.gz", identity)
    write_json(path / "matrix.json", {"matrix": np.eye(4)})
    np.save(path / "matrices.npy", run.matrices)
    return path


def run_reho(folder, prefix, *, matrix="matrix.json", **chosen):
    """Run the stage on the phantom; its outputs are named with a prefix."""
    call(
        reho_stage,
        bold=folder / "bold.nii.gz", motion=folder / "motion.json",
        matrix=folder / matrix, to_native=folder / "to_native.nii.gz",
        brain_mask=folder / "brain.nii.gz", wm=folder / "wm.nii.gz", csf=folder / "csf.nii.gz",
        reho=folder / f"{prefix}reho.nii.gz", smoothed=folder / f"{prefix}zreho.nii.gz",
        share=folder / f"{prefix}mreho.nii.gz", neighbours_used=folder / f"{prefix}k.nii.gz",
        mask=folder / f"{prefix}mask.nii.gz", carpet=folder / f"{prefix}carpet.npz",
        metrics=folder / f"{prefix}metrics.json",
        slice_times_s=PLAN.slice_times_s.tolist(), slice_direction="k", **{**REHO, **chosen},
    )  # fmt: skip
    return json.loads((folder / f"{prefix}metrics.json").read_text())


@pytest.fixture(scope="module")
def outputs(folder):
    call(
        motion_stage,
        bold=folder / "bold.nii.gz", reference=folder / "reference.nii.gz",
        tsnr=folder / "tsnr.nii.gz", motion=folder / "motion.json",
        repetition_time_s=2.0, slice_times_s=PLAN.slice_times_s.tolist(), slice_direction="k",
        **MOTION,
    )  # fmt: skip
    run_reho(folder, "")
    return folder


def test_known_motion_is_found(outputs):
    found = json.loads((outputs / "motion.json").read_text())
    truth = np.load(outputs / "matrices.npy")[5:]
    truth = truth @ np.linalg.inv(truth[0])
    points = np.array([[0, -15, 5], [50, -15, 5], [0, 50, 5], [0, -15, 60.0]])
    apart = np.array(found["matrices"]) - truth
    moved = np.einsum("tij,nj->tni", apart[:, :3, :3], points) + apart[:, None, :3, 3]
    assert np.linalg.norm(moved, axis=2).mean() < 0.05
    assert found["volumes"] == 80
    assert not found["excluded"]
    assert len(found["fd_power_mm"]) == 80


def test_lowered_homogeneity_is_found_where_it_was_planted(outputs):
    reho, mask = load(outputs / "reho.nii.gz"), load(outputs / "mask.nii.gz")
    mm = reho.grid.centres_mm()
    depth = np.linalg.norm((mm - [0, -15, 5]) / [64, 78, 60], axis=-1)
    band = (depth < 0.92) & (depth > 0.68) & (mask.data > 0)
    near = np.linalg.norm(mm - PLANTED_MM, axis=-1) < 12
    mirrored = np.linalg.norm(mm - PLANTED_MM * [-1, 1, 1], axis=-1) < 12
    planted, other = reho.data[band & near].mean(), reho.data[band & mirrored].mean()
    assert planted < 0.8 * other
    z = load(outputs / "zreho.nii.gz")
    assert z.data[band & near].mean() < z.data[band & mirrored].mean() - 0.5


def test_metrics_say_what_cleaning_cost(outputs):
    metrics = json.loads((outputs / "metrics.json").read_text())
    assert metrics["dof_left"] + metrics["dof_nuisance"] + metrics["dof_band"] == 80 - 2
    assert metrics["dof_nuisance"] >= 26
    assert metrics["coverage_percent"] > 90
    assert metrics["voxels_by_neighbours"]["27"] > 500
    carpet = np.load(outputs / "carpet.npz")
    assert carpet["before"].shape == carpet["after"].shape
    before, after = (carpet[name].astype(float).std() for name in ("before", "after"))
    assert after < before


def test_run_of_another_place_is_refused(folder, outputs):
    write_json(folder / "away.json", {"matrix": np.array([[1, 0, 0, 0], [0, 1, 0, 150], [0, 0, 1, 0], [0, 0, 0, 1.0]])})  # fmt: skip # noqa: E501
    with pytest.raises(InputError, match="does not cover the brain of its T1w"):
        run_reho(folder, "away_", matrix="away.json")
    assert not (folder / "away_reho.nii.gz").exists()


def test_share_of_the_mean_and_neighbours_are_written(outputs):
    reho, used = load(outputs / "reho.nii.gz"), load(outputs / "k.nii.gz")
    mask = load(outputs / "mask.nii.gz").data > 0
    assert np.array_equal(used.data > 0, mask)
    assert used.data.max() == 27
    share = load(outputs / "mreho.nii.gz").data
    deep = ndimage.binary_erosion(mask, iterations=3)
    expected = ndimage.gaussian_filter(
        np.where(mask, reho.data / reho.data[mask].mean(), 0.0), 6 / np.sqrt(8 * np.log(2)) / 5
    )
    np.testing.assert_allclose(share[deep], expected[deep], atol=1e-4)
    metrics = json.loads((outputs / "metrics.json").read_text())
    counted = {k: int((used.data == int(k)).sum()) for k in metrics["voxels_by_neighbours"]}
    assert counted == metrics["voxels_by_neighbours"]
    assert sum(metrics["reho_histogram"]["voxels"]) == metrics["mask_voxels"] == mask.sum()


def test_displacements_and_limits_are_written(outputs):
    found = json.loads((outputs / "motion.json").read_text())
    for kind in ("jenkinson", "van_dijk"):
        series = found[f"fd_{kind}_mm"]
        assert found[f"mean_fd_{kind}_mm"] == pytest.approx(np.mean(series))
    assert found["mean_fd_van_dijk_mm"] < found["mean_fd_mm"]
    assert [row["limit"] for row in found["beyond_limits"]] == [3.0, 2.5, 2.0, 1.5, 1.0, 0.5]
    for row in found["beyond_limits"]:
        largest = max(found["largest_translation_mm"], found["largest_rotation_deg"])
        assert (row["volumes"] > 0) == (largest > row["limit"])


def test_components_and_global_signal_are_counted(outputs):
    plain = json.loads((outputs / "metrics.json").read_text())
    assert plain["nuisance_columns"]["white matter"] == plain["nuisance_columns"]["CSF"] == 1
    assert "global signal" not in plain["nuisance_columns"]
    found = run_reho(outputs, "more_", compcor_components=5, global_signal=True)
    spikes = plain["nuisance_columns"]["spikes"]
    assert found["nuisance_columns"] == {
        "motion": 24, "spikes": spikes, "white matter": 5, "CSF": 5, "global signal": 1,
    }  # fmt: skip
    assert found["dof_left"] == plain["dof_left"] - 2 * 4 - 1
    assert found["dof_nuisance"] == plain["dof_nuisance"] + 2 * 4 + 1
    assert found["tissue_voxels"]["white matter"] > found["tissue_voxels"]["CSF"] >= 20
    for name in ("white matter", "CSF"):
        explained = found["explained_percent"][name]
        assert len(explained) == 5
        assert 0 < sum(explained) < 100


def test_full_neighbourhoods_only(outputs):
    found = run_reho(outputs, "full_", edge="full", smooth_within_mask=True, neighbours=7)
    used = load(outputs / "full_k.nii.gz").data
    assert set(np.unique(used)) == {0, 7}
    assert found["edge"] == "full"
    assert found["voxels_by_neighbours"]["7"] == found["mask_voxels"] == (used == 7).sum()


def test_choices_that_cannot_be_are_refused(outputs):
    with pytest.raises(OptionError, match="least_neighbours is out of range .*from 1 to 7"):
        run_reho(outputs, "x_", neighbours=7, least_neighbours=12)
    with pytest.raises(OptionError, match="neighbours .*8"):
        run_reho(outputs, "x_", neighbours=8)
    with pytest.raises(QualityError, match="too few degrees of freedom"):
        run_reho(outputs, "x_", compcor_components=20)
    assert not (outputs / "x_reho.nii.gz").exists()


def test_second_pass_keeps_the_reference(outputs):
    call(
        motion_stage,
        bold=outputs / "bold.nii.gz", reference=outputs / "reference2.nii.gz",
        tsnr=outputs / "tsnr2.nii.gz", motion=outputs / "motion2.json",
        repetition_time_s=2.0, slice_times_s=PLAN.slice_times_s.tolist(), slice_direction="k",
        **MOTION | {"motion_passes": 2},
    )  # fmt: skip
    truth = np.load(outputs / "matrices.npy")[5:]
    truth = truth @ np.linalg.inv(truth[0])
    points = np.array([[0, -15, 5], [50, -15, 5], [0, 50, 5], [0, -15, 60.0]])
    once, twice = (
        np.array(json.loads((outputs / name).read_text())["matrices"])
        for name in ("motion.json", "motion2.json")
    )
    np.testing.assert_allclose(twice[0], np.eye(4), atol=1e-12)
    apart = twice - truth
    moved = np.einsum("tij,nj->tni", apart[:, :3, :3], points) + apart[:, None, :3, 3]
    assert np.linalg.norm(moved, axis=2).mean() < 0.05
    assert 0 < np.abs(twice - once).max() < 0.1


def test_contradicting_sidecar_is_refused(folder):
    with pytest.raises(InputError, match="contradict"):
        call(
        motion_stage,
            bold=folder / "bold.nii.gz", reference=folder / "r.nii.gz", tsnr=folder / "t.nii.gz",
            motion=folder / "n.json", repetition_time_s=3.0, slice_times_s=None,
            slice_direction=None, **MOTION,
        )  # fmt: skip


def test_further_measures_come_of_the_same_run_with_its_decision(outputs):
    """Written for every person, in template space, with what group maps ask of a person."""
    asked = {**REHO, "least_r": 0.25, "seed_mm": (0.0, -53.0, 26.0), "seed_radius_mm": 15.0}
    names = ("alff", "falff", "degree", "vmhc", "seed")
    call(
        measure_stage,
        bold=outputs / "bold.nii.gz", motion=outputs / "motion.json",
        matrix=outputs / "matrix.json", to_native=outputs / "to_native.nii.gz",
        brain_mask=outputs / "brain.nii.gz", wm=outputs / "wm.nii.gz",
        csf=outputs / "csf.nii.gz", **{n: outputs / f"m_{n}.nii.gz" for n in names},
        mask=outputs / "m_mask.nii.gz", vmhc_mask=outputs / "m_vmhcmask.nii.gz",
        metrics=outputs / "m_metrics.json", slice_times_s=PLAN.slice_times_s.tolist(),
        slice_direction="k", **asked,
    )  # fmt: skip
    found = json.loads((outputs / "m_metrics.json").read_text())
    motion = json.loads((outputs / "motion.json").read_text())
    assert found["mean_fd_mm"] == motion["mean_fd_mm"] and not found["excluded"]
    assert found["seed_voxels"] > 20 and 0 < found["mean"]["falff"] <= 1
    mask = load(outputs / "m_mask.nii.gz").data > 0
    inside = load(outputs / "m_vmhcmask.nii.gz").data > 0
    assert not (inside & ~mask).any() and inside.sum() > 0.7 * mask.sum()
    for name in names:
        values = load(outputs / f"m_{name}.nii.gz").data
        assert np.isfinite(values).all() and values[inside].std() > 0 and not values[~mask].any()
