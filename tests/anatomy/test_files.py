"""Files of the anatomy: records, still images, optional inputs, and the refinement's seam."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from falx.anatomy import files
from falx.anatomy.files import (
    CoregisterFiles,
    GreyVolumeFiles,
    coregister_stage,
    greedy,
    grey_volume_stage,
    load_matrix,
    load_still,
)
from falx.anatomy.metrics import (
    LEAST_CONFIDENCE,
    AnatomyMetrics,
    CoregistrationMetrics,
    GreyMetrics,
    anatomy_metrics,
    coregistration_metrics,
)
from falx.anatomy.morphometry import GreySettings
from falx.anatomy.quality import Check
from falx.anatomy.refinement import brightness, refine
from falx.anatomy.registration.coregistration import Coregistration
from falx.anatomy.settings import SegmentationSettings
from falx.anatomy.structures.delineation import Structures
from falx.core.errors import FalxNotice, GridError, InputError, OptionError
from falx.core.files import read_record, write_json
from falx.core.grid import normalisation_grid
from falx.core.records import plain
from falx.images.nifti import Image, save
from falx.images.warp import CoordinateMap, save_map

CHECK = Check("sides", 1.0, 1.0, 1.0, passed=True, why="because")


@pytest.fixture
def numbers(case):
    structures = Structures(
        np.zeros(case.result.grid.shape, np.int32),
        volumes_mm3={17: 3000.0, 53: 2000.0, 18: 1500.0, 54: 1000.0, 16: 20000.0, 4242: 8.0},
        confidence={17: 0.9, 18: LEAST_CONFIDENCE - 0.01, 54: 0.7, 16: LEAST_CONFIDENCE},
    )
    return anatomy_metrics(case.result, structures, [CHECK], ["a notice"], SegmentationSettings())


def test_doubtful_structures_have_a_reason_and_no_volume(numbers):
    amygdala = numbers.structures["18"]
    assert (amygdala.name, amygdala.side, amygdala.volume_mm3) == ("left amygdala", "left", None)
    assert "expected overlap 0.59 is below 0.6" in amygdala.reason
    assert numbers.structures["54"].volume_mm3 == 1000.0
    assert numbers.structures["16"].volume_mm3 == 20000.0
    assert numbers.structures["16"].reason is None
    assert list(numbers.asymmetry) == ["hippocampus"]
    assert numbers.asymmetry["hippocampus"].difference_mm3 == 1000.0
    assert numbers.asymmetry["hippocampus"].ratio == pytest.approx(0.4)


def test_labels_without_confidence_come_from_the_site(numbers):
    assert numbers.structures["53"].origin == "given"
    assert numbers.structures["17"].origin == "falx"
    assert numbers.structures["4242"].name == "label 4242"
    assert numbers.structures["4242"].side == "none"


def test_numbers_are_those_of_the_segmentation(numbers, case):
    volumes = numbers.volumes_mm3
    voxel_mm3 = case.result.grid.voxel_volume_mm3
    assert volumes.wm == pytest.approx(case.result.wm.sum(dtype=float) * voxel_mm3)
    assert volumes.tiv == pytest.approx(volumes.gm + volumes.wm + volumes.csf)
    fit = numbers.fit
    np.testing.assert_allclose(
        np.square(fit.standard_deviations), case.result.fit.mixture.variances
    )
    assert fit.jacobian_range == (case.result.jacobian.min(), case.result.jacobian.max())
    assert fit.rounds == len(case.result.fit.gains)
    assert fit.last_gain_nats_per_sample == case.result.fit.gains[-1]
    assert fit.labels_for_head == {"skull": 165, "head": 258}


def test_a_record_survives_its_json(numbers, tmp_path):
    write_json(tmp_path / "metrics.json", numbers.as_json())
    content = json.loads((tmp_path / "metrics.json").read_text())
    assert "reason" in content["structures"]["18"]
    assert "reason" not in content["structures"]["17"]
    assert read_record(AnatomyMetrics, tmp_path / "metrics.json") == numbers


def test_a_record_with_a_missing_key_names_it(numbers, tmp_path):
    content = numbers.as_json()
    del content["volumes_mm3"]["gm"]
    write_json(tmp_path / "metrics.json", content)
    with pytest.raises(InputError, match=r"metrics.json.*gm"):
        read_record(AnatomyMetrics, tmp_path / "metrics.json")


def test_a_matrix_is_written_and_read_back_exactly(tmp_path):
    matrix = np.eye(4)
    matrix[:3] += np.random.default_rng(0).normal(size=(3, 4)) / 3
    found = Coregistration(matrix, 1.05, 1.2, 0.9, 7.5)
    write_json(tmp_path / "xfm.json", plain(coregistration_metrics(found, ["moved"])))
    np.testing.assert_array_equal(load_matrix(tmp_path / "xfm.json"), matrix)
    record = read_record(CoregistrationMetrics, tmp_path / "xfm.json")
    assert (record.nmi_before, record.nmi_after, record.overlap) == (1.05, 1.2, 0.9)
    assert record.notices == ("moved",)
    assert record.degrees_of_freedom == 6


@pytest.mark.parametrize(
    "content",
    [{}, {"matrix": None}, {"matrix": [[1, 2], [3]]}, {"matrix": [[1.0, 0, 0, None]] * 4}],
)
def test_a_file_without_a_matrix_is_named(tmp_path, content):
    write_json(tmp_path / "xfm.json", content)
    with pytest.raises(InputError, match=r"no 4×4 matrix.*xfm.json|xfm.json.*no 4×4 matrix"):
        load_matrix(tmp_path / "xfm.json")


def test_frames_are_averaged_and_other_faults_are_not_hidden(tmp_path):
    frames = np.stack([np.full((4, 4, 4), v, np.float32) for v in (1.0, 2.0, 6.0)], axis=3)
    save(tmp_path / "pet.nii.gz", frames, np.eye(4))
    with pytest.warns(FalxNotice, match="frames were averaged.*3 frames"):
        assert np.all(load_still(tmp_path / "pet.nii.gz").data == 3.0)
    (tmp_path / "bad.nii.gz").write_text("no image")
    with pytest.raises(InputError, match="not an image"):
        load_still(tmp_path / "bad.nii.gz")


def test_a_mask_on_another_grid_is_refused(tmp_path):
    save(tmp_path / "t1w.nii.gz", np.ones((6, 6, 6), np.float32), np.eye(4))
    save(tmp_path / "mask.nii.gz", np.ones((6, 6, 6), np.uint8), np.diag([2.0, 2, 2, 1]))
    given = CoregisterFiles(
        fixed=tmp_path / "t1w.nii.gz", fixed_mask=tmp_path / "mask.nii.gz",
        moving=tmp_path / "t1w.nii.gz", matrix=tmp_path / "xfm.json",
    )  # fmt: skip
    with pytest.raises(GridError, match="brain mask"):
        coregister_stage(given)
    assert not (tmp_path / "xfm.json").exists()


def grey_files(folder):
    names = ("gm", "wm", "csf", "to_native", "volume", "smoothed")
    return GreyVolumeFiles(
        **{n: folder / f"{n}.nii.gz" for n in names}, metrics=folder / "grey.json"
    )


def write_tissues(folder, *, csf_affine=None):
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = [-20, -30, -10]
    given = grey_files(folder)
    for path, share in ((given.gm, 0.5), (given.wm, 0.25), (given.csf, 0.125)):
        save(path, np.full((20, 20, 20), share, np.float32), affine)
    if csf_affine is not None:
        save(given.csf, np.full((20, 20, 20), 0.125, np.float32), csf_affine)
    grid = normalisation_grid(6.0)
    save_map(given.to_native, CoordinateMap(grid.centres_mm().astype(np.float32), grid.affine))
    return given


def test_grey_volumes_are_in_millilitres_and_concentrations_keep_their_height(tmp_path):
    given = write_tissues(tmp_path)
    grey_volume_stage(given, GreySettings(voxel_mm=6.0, smoothing_fwhm_mm=0.0, modulate=False))
    found = read_record(GreyMetrics, given.metrics)
    assert (found.gm_ml, found.wm_ml, found.csf_ml) == pytest.approx((32.0, 16.0, 8.0))
    assert found.tiv_ml == pytest.approx(56.0)
    assert found.modulated is False
    volume, smoothed = (files.load(path).data for path in (given.volume, given.smoothed))
    assert volume.max() == pytest.approx(0.5)
    np.testing.assert_array_equal(volume, smoothed)
    assert found.template_gm_ml == pytest.approx(volume.sum(dtype=float) * 0.216)


def test_tissues_on_different_grids_are_refused(tmp_path):
    given = write_tissues(tmp_path, csf_affine=np.eye(4))
    with pytest.raises(GridError, match="CSF"):
        grey_volume_stage(given, GreySettings(voxel_mm=6.0))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"affine_prior": "martian"}, "unknown value for affine_prior"),
        ({"bias_fwhm_mm": 10.0}, "bias_fwhm_mm is out of range"),
        ({"bias_regularisation": -1.0}, "bias_regularisation is out of range"),
        ({"sampling_mm": 9.0}, "sampling_mm is out of range"),
        ({"mrf_strength": 11.0}, "mrf_strength is out of range"),
        ({"refine": "yes"}, "refine must be true or false"),
    ],
)
def test_impossible_settings_are_refused(changes, message):
    with pytest.raises(OptionError, match=message):
        SegmentationSettings(**changes)


def shifted_by(step_mm):
    """Build a registration that finds one shift everywhere."""

    def register(fixed, moving, grid, threads):
        assert all(image.shape == grid.shape for image in (*fixed, *moving))
        centres = grid.centres_mm()
        forward, back = (
            CoordinateMap((centres + sign * np.array(step_mm)).astype(np.float32), grid.affine)
            for sign in (1, -1)
        )
        return forward, back

    return register


@pytest.mark.parametrize("step_mm", [(0.0, 0.0, 0.0), (2.0, -1.0, 0.5)])
@pytest.mark.parametrize("facing", [1, -1])
def test_both_maps_are_composed_with_the_registration(case, step_mm, facing):
    segmentation = case.result
    maps = [Image(np.zeros((20, 20, 20), np.float32), np.diag([8.0, 8, 8, 1])) for _ in range(3)]
    # The head is studied facing right: seen from there, the registration shifts the other way.
    weight = np.linspace(0, 1, segmentation.corrected.shape[0])[::facing, None, None]
    turned = replace(segmentation, corrected=np.ones_like(segmentation.corrected) * weight)
    found = refine(turned, *maps, shifted_by(step_mm))
    seen = np.array(step_mm) * [facing, 1, 1]
    point = np.array([[4.0, -20.0, 12.0]])
    np.testing.assert_allclose(
        found.to_native.at(point), segmentation.to_native.at(point + seen), atol=0.3
    )
    np.testing.assert_allclose(
        found.to_template.at(point), segmentation.to_template.at(point) - seen, atol=0.3
    )
    assert found.gm is turned.gm or np.array_equal(found.gm, turned.gm)
    np.testing.assert_allclose(found.jacobian, segmentation.jacobian, atol=0.05)


def test_brightness_does_not_know_the_scanner_s_scale_and_is_held():
    rng = np.random.default_rng(1)
    white = rng.random((6, 7, 8), dtype=np.float32)
    values = 100.0 * rng.random((6, 7, 8), dtype=np.float32)
    values[0, 0, 0] = 1e5
    white[0, 0, 0] = 0.0
    found = brightness(values, white)
    np.testing.assert_allclose(found, brightness(37.0 * values, white), rtol=1e-5)
    assert np.median(found[white > 0.9]) == pytest.approx(1.0)
    assert found.max() == pytest.approx(1.3)
    assert not brightness(np.zeros_like(values), white).any()
    assert np.isfinite(brightness(values, np.zeros_like(white))).all()


def test_without_the_tool_the_refinement_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(files, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"needs picsl-greedy.*falx\[refine\]"):
        greedy([], [], Image(np.zeros((2, 2, 2)), np.eye(4)).grid, 1)


def test_what_the_tool_says_last_is_in_the_message(monkeypatch):
    monkeypatch.setattr(files.sys, "executable", "/bin/false")
    with pytest.raises(InputError, match="the refinement failed"):
        files._run("-d 3")
