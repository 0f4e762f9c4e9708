"""Runs, scans and cohorts of phantoms beside their formulas, on heads of a few voxels."""

from __future__ import annotations

import json
import types
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from falx.core.errors import InputError, OptionError
from falx.core.files import read_table
from falx.core.grid import Grid, apply_affine
from falx.images.nifti import Image, load, load_mask
from falx.images.smooth import FWHM_PER_SIGMA
from falx.phantom import bold, resting_dataset
from falx.phantom.bold import BoldPhantom, BoldPlan, bold_run
from falx.phantom.cohort import OutcomeRelation, simulate_cohort
from falx.phantom.heads import Head, load_head, mirror_head
from falx.phantom.intensities import MrQuality, flair, rician, smooth_noise, t1w
from falx.phantom.lesion import ablate_hippocampus, atrophy
from falx.phantom.patient import PatientSpec
from falx.phantom.pet import (
    KILOBECQUEREL_PER_UNIT,
    PetQuality,
    activity,
    mesial_region,
    observe_pet,
    true_asymmetry,
)
from falx.phantom.resting import PLACES, RestingSpec, simulate_resting_cohort
from falx.phantom.resting_dataset import TRUTH, write_resting_cohort
from falx.phantom.scan import rescan, rigid, scanner_grid
from phantom.block_head import block_head

few = settings(max_examples=10, deadline=None)
SEEDS = st.integers(0, 2**32 - 1)
QUIET = {"noise_percent": 0.0, "fluctuation_percent": 0.0, "step_mm": 0.0, "step_deg": 0.0,
         "jerks": 0}  # fmt: skip


def generator(seed: int = 3) -> np.random.Generator:
    return np.random.default_rng(seed)


def tissues(shape=(12, 12, 12)) -> tuple[Image, Image, Image]:
    """A block of grey matter with white matter and fluid beside it, 5 mm."""
    parts = np.zeros((3, *shape), np.float32)
    parts[0, 2:8, 2:10, 2:10] = 1
    parts[1, 8:10, 2:10, 2:10] = 1
    parts[2, 10:, 2:10, 2:10] = 1
    return tuple(Image(part, np.diag([5.0, 5, 5, 1])) for part in parts)


def short(**changed: object) -> BoldPlan:
    plain = {"shape": (9, 10, 8), "voxel_mm": (5.0, 5.0, 5.0), "n_volumes": 40}
    return BoldPlan(**{**plain, **changed})


# Resting runs


def test_slices_are_odd_first_or_all_at_once():
    plan = BoldPlan(shape=(2, 2, 5), repetition_time_s=2.5)
    assert plan.slice_times_s.tolist() == [0.0, 1.5, 0.5, 2.0, 1.0]
    assert replace(plan, slices_interleaved=False).slice_times_s.tolist() == [0.0] * 5


@pytest.mark.parametrize(
    "changed", [{"n_volumes": 1}, {"repetition_time_s": 0.01}, {"repetition_time_s": 31.0}]
)
def test_runs_that_no_scanner_takes(changed):
    with pytest.raises(OptionError, match=f"{next(iter(changed))} is out of range"):
        short(**changed)


def test_a_quiet_run_has_the_brightness_of_its_tissues():
    run = bold_run(*tissues(), short(**QUIET), generator())
    values = {round(v) for v in np.unique(run.image.data.round(3))}
    # Nearest voxels are hit exactly only inside: full tissues are among the values.
    assert {1000, 820} <= values
    assert max(values) <= 1250 and min(values) == 0
    assert (run.image.data == run.image.data[..., :1]).all()
    assert np.array_equal(run.matrices, np.tile(np.eye(4), (40, 1, 1)))
    # The grid is centred on the middle of the grey matter.
    middle = apply_affine(run.image.affine, (np.array([9, 10, 8]) - 1) / 2)
    assert middle.tolist() == [22.5, 27.5, 27.5]


def test_noise_has_the_size_that_was_asked_for_everywhere():
    plan = short(**{**QUIET, "noise_percent": 2.0, "n_volumes": 200})
    run = bold_run(*tissues(), plan, generator())
    inside = run.image.data.mean(axis=-1) > 700
    # Per cent of the grey matter's thousand.
    assert run.image.data[inside].std(axis=-1).mean() == pytest.approx(20, rel=0.03)


@few
@given(SEEDS, st.sampled_from([1.0, 2.0, 3.0]))
def test_the_signal_keeps_to_its_band(seed, tr):
    plan = short(n_volumes=100, repetition_time_s=tr, band_hz=(0.02, 0.07))
    found = bold._band_limited(generator(seed).standard_normal((100, 3)), plan)
    power = np.abs(np.fft.rfft(found, axis=0)) ** 2
    frequency = np.fft.rfftfreq(100, tr)
    outside = (frequency < 0.02) | (frequency > 0.07)
    assert power[outside].max() < 1e-6 * power.max()
    assert found.std() == pytest.approx(1, abs=1e-5) and found.dtype == np.float32


def test_a_run_shorter_than_its_band_is_refused():
    plan = short(n_volumes=4, repetition_time_s=2.0, band_hz=(0.01, 0.05))
    with pytest.raises(InputError, match=r"too short for its band .found: .0.01, 0.05. Hz"):
        bold._band_limited(generator().standard_normal((4, 2)), plan)


def test_the_coherent_field_has_its_width():
    plan = short(n_volumes=120, coherence_fwhm_mm=20.0)
    field = bold._coherent_field(plan, Grid((40, 8, 8), np.diag([5.0, 5, 5, 1])), generator())
    assert field.shape == (121, 40, 8, 8) and field.std() == pytest.approx(1, abs=1e-4)
    # Neighbours in a field smoothed with s correlate exp(-d² / (4 s²)).
    sigma = 20.0 / FWHM_PER_SIGMA
    r = np.corrcoef(field[:, :-1].ravel(), field[:, 1:].ravel())[0, 1]
    assert r == pytest.approx(np.exp(-(5.0**2) / (4 * sigma**2)), abs=0.03)


def test_motion_is_drawn_back_to_rest_and_jerks_when_asked():
    still = bold._motion(short(**{**QUIET, "n_volumes": 500}), generator())
    assert (still == np.eye(4)).all()
    walk = bold._motion(short(**{**QUIET, "n_volumes": 4000, "step_mm": 0.1}), generator())
    # A walk x' = .9 x + e has a variance of e² / (1 - .81).
    assert walk[500:, :3, 3].std() == pytest.approx(0.1 / np.sqrt(0.19), rel=0.1)
    assert (walk[:, :3, :3] == np.eye(3)).all()
    plan = short(**{**QUIET, "n_volumes": 60, "step_mm": 1e-3, "jerks": 1})
    step = np.abs(np.diff(bold._motion(plan, generator())[:, :3, 3], axis=0)).max(axis=1)
    assert step.max() > 0.015
    assert np.sort(step)[-8] < 0.012


def test_coherence_and_tissue_signals_stay_where_they_belong():
    gm, wm, csf = tissues()
    plan = short(**{**QUIET, "fluctuation_percent": 2.0, "n_volumes": 60})
    factor = np.ones(gm.data.shape, np.float32)
    factor[:5] = 0.0
    run = bold_run(gm, wm, csf, plan, generator(), coherence=Image(factor, gm.affine))
    sd = run.image.data.std(axis=-1)
    x_mm = apply_affine(run.image.affine, np.argwhere(np.ones(sd.shape)))[:, 0].reshape(sd.shape)
    mean = run.image.data.mean(axis=-1)
    grey = (mean > 990) & (mean < 1010)
    assert sd[grey & (x_mm < 18)].max() < 1e-2
    assert sd[grey & (x_mm > 26)].mean() == pytest.approx(20, rel=0.4)


def test_a_head_without_grey_matter_or_of_unlike_parts_is_refused():
    gm, wm, csf = tissues()
    with pytest.raises(InputError, match="the phantom has no grey matter"):
        bold_run(Image(0 * gm.data, gm.affine), wm, csf, short(), generator())
    with pytest.raises(InputError, match="must share a grid .found: .11, 12, 12., .12, 12, 12"):
        bold_run(Image(gm.data[1:], gm.affine), wm, csf, short(), generator())


# A dataset at rest


@pytest.fixture
def simulated(monkeypatch) -> list[tuple]:
    """Simulated people of eight voxels, in place of heads; who was simulated, with what draw."""
    seen: list[tuple] = []

    def person(spec, rng):
        draw = float(rng.random())
        seen.append((spec.label, draw))
        image = Image(np.full((2, 2, 2), draw, np.float32), np.diag([2.0, 2, 2, 1]))
        run = Image(np.full((2, 2, 2, 3), 10.6, np.float32), np.eye(4))
        masks = {name: Image(np.ones((2, 2, 2), bool), np.eye(4)) for name in PLACES}
        return types.SimpleNamespace(
            t1w=image, bold=BoldPhantom(run, np.tile(np.eye(4), (3, 1, 1)), np.array([0.0, 1.5])),
            places=masks, lost_mm3=80.0, t1w_to_bold=np.diag([1.0, 1, 1, 1]),
        )  # fmt: skip

    monkeypatch.setattr(resting_dataset, "simulate_person", person)
    return seen


def test_people_at_rest_become_a_dataset_with_the_truth_beside_it(simulated, tmp_path):
    specs = simulate_resting_cohort({"DRE": 1, "HC": 2}, generator())
    write_resting_cohort(tmp_path, specs, generator(9))
    assert [label for label, _ in simulated] == ["01", "02", "03"]
    assert [draw for _, draw in simulated] == [float(g.random()) for g in generator(9).spawn(3)]
    table = read_table(tmp_path / "participants.tsv")
    assert table.header == ("participant_id", "group", *resting_dataset.COLUMNS)
    rows = table.records()
    assert [row["group"] for row in rows] == ["DRE", "HC", "HC"]
    assert rows[0]["duration"] == str(specs[0].clinical["duration"])
    assert {row["epilepsy_type"] for row in rows[1:]} == {"n/a"}
    t1w_path = tmp_path / "sub-02/anat/sub-02_T1w.nii.gz"
    assert load(t1w_path).data == pytest.approx(simulated[1][1])
    run = tmp_path / "sub-02/func/sub-02_task-rest_bold.nii.gz"
    assert (load(run, ndim=4).data == 11).all()  # whole numbers, rounded
    sidecar = json.loads(run.with_name("sub-02_task-rest_bold.json").read_text())
    assert sidecar["RepetitionTime"] == specs[1].run.repetition_time_s
    assert sidecar["SliceTiming"] == [0.0, 1.5]
    truth = tmp_path / TRUTH / "sub-01"
    told = json.loads((truth / "sub-01_truth.json").read_text())
    assert (told["group"], told["gm_loss"], told["lost_mm3"]) == ("DRE", 0.45, 80.0)
    assert len(told["matrices"]) == 3
    assert load_mask(truth / "sub-01_desc-RightPrecuneus_mask.nii.gz").data.all()
    kinds = [json.loads((tmp_path / p / "dataset_description.json").read_text())["DatasetType"]
             for p in ("", TRUTH)]  # fmt: skip
    assert kinds == ["raw", "derivative"]
    assert (tmp_path / ".bidsignore").read_text() == "derivatives/truth\n"


def test_a_worker_outlives_no_parent(monkeypatch):
    ended = []
    monkeypatch.setattr(resting_dataset.os, "_exit", ended.append)
    monkeypatch.setattr(resting_dataset, "parent_process", lambda: None)
    resting_dataset._wait_for_parent()
    assert ended == []
    gone = types.SimpleNamespace(join=lambda: None)
    monkeypatch.setattr(resting_dataset, "parent_process", lambda: gone)
    resting_dataset._wait_for_parent()
    assert ended == [1]


@few
@given(SEEDS)
def test_patients_have_an_onset_before_their_age_and_controls_none(seed):
    specs = simulate_resting_cohort({"DRE": 3, "DSE": 3, "HC": 3}, generator(seed))
    assert [s.label for s in specs] == [f"{k:02d}" for k in range(1, 10)]
    for spec in specs[:6]:
        told = spec.clinical
        assert told["onset_age"] + told["duration"] == told["age"] and told["duration"] > 0
        assert told["onset_age"] >= 3 and 18 <= told["age"] < 55
    assert [s.clinical["epilepsy_type"] for s in specs[:4]] == ["IGE", "TLE", "IGE", "TLE"]
    assert all(set(s.clinical) == {"age", "sex"} for s in specs[6:])
    assert {s.gm_loss for s in specs[3:]} == {0.0}
    assert {(s.gm_loss, s.cerebellar_coherence, s.precuneal_coherence) for s in specs[:3]} == {
        (0.45, 0.2, 4.0)
    }


def test_clinical_columns_are_a_copy():
    columns = {"age": 30}
    spec = RestingSpec(clinical=columns)
    columns["age"] = 99
    assert spec.clinical == {"age": 30}


# Scanners


@few
@given(SEEDS, st.floats(1.5, 4.0))
def test_a_scanner_grid_covers_the_head_about_its_middle(seed, voxel):
    grid = Grid((9, 12, 7), np.diag([2.0, 2.0, 3.0, 1.0]))
    matrix = rigid(generator(seed))
    own = scanner_grid(grid, matrix, (voxel, voxel, 2.0))
    assert own.shape == (int(np.ceil(18 / voxel)), int(np.ceil(24 / voxel)), 11)
    middle = apply_affine(own.affine, (np.array(own.shape) - 1) / 2)
    assert middle == pytest.approx(apply_affine(matrix @ grid.affine, [4.0, 5.5, 3.0]))
    assert own.affine[:3, :3].tolist() == np.diag([voxel, voxel, 2.0]).tolist()


def test_labels_are_scanned_by_the_nearest_voxel_and_maps_smoothly():
    grid = Grid((6, 6, 6), np.diag([2.0, 2.0, 2.0, 1.0]))
    ramp = np.broadcast_to(np.arange(6.0)[:, None, None], (6, 6, 6)).astype(np.float32)
    turned = rescan(ramp.astype(np.int16) * 7, grid, np.eye(4), (1.0, 1.0, 1.0))
    assert turned.data.dtype == np.int16
    assert set(np.unique(turned.data)) <= {0, 7, 14, 21, 28, 35}
    fine = rescan(ramp, grid, np.eye(4), (1.0, 1.0, 1.0))
    x_mm = apply_affine(fine.affine, np.array([[5, 6, 6], [6, 6, 6]]))[:, 0]
    assert fine.data[5:7, 6, 6] == pytest.approx(x_mm / 2, abs=0.02)


@few
@given(SEEDS, st.floats(0, 30), st.floats(0, 40))
def test_a_pose_turns_and_shifts_no_further_than_it_may(seed, shift, turn):
    matrix = rigid(generator(seed), shift_mm=shift, turn_degrees=turn)
    angle = np.degrees(np.arccos(np.clip((np.trace(matrix[:3, :3]) - 1) / 2, -1, 1)))
    assert angle <= turn + 1e-4
    assert np.linalg.norm(matrix[:3, 3]) <= shift + 1e-9
    assert np.linalg.det(matrix[:3, :3]) == pytest.approx(1)


# Images


def test_the_perfect_flair_shows_one_value_a_tissue():
    head = block_head()
    perfect = MrQuality(noise=0, bias=0, blur_fwhm_mm=0, texture=0, contrast_spread=0)
    found = flair(head, generator(), perfect, sclerotic=head.mask(17))
    assert set(np.unique(found[head.mask(17)])) == {np.float32(132)}
    assert set(np.unique(found[head.mask(53)])) == {np.float32(110)}
    assert set(np.unique(found[head.mask(2, 41)])) == {np.float32(90)}
    assert set(np.unique(found[head.mask(0)])) == {np.float32(0)}


def test_a_cavity_has_a_rim_of_a_millimetre_and_a_half():
    head = block_head(1.0)
    perfect = MrQuality(noise=0, bias=0, blur_fwhm_mm=0, texture=0, contrast_spread=0)
    cavity = np.zeros(head.labels.shape, bool)
    cavity[5:12, 10:20, 10:17] = True
    found = t1w(head, generator(), perfect, cavity=cavity)
    assert set(np.unique(found[6:11, 11:19, 11:16])) == {45.0}
    assert set(np.unique(found[cavity])) == {45.0, 200.0}
    assert found[5, 14, 13] == 200.0 and found[6, 14, 13] == 45.0
    same = t1w(head, generator(), perfect)
    assert (found[~cavity] == same[~cavity]).all()


def test_noise_without_size_is_no_noise_and_with_it_is_rician():
    clean = np.full((60, 60, 60), 100.0, np.float32)
    assert (rician(clean, 0.0, generator()) == 100).all()
    noisy = rician(clean, 20.0, generator())
    assert (noisy.astype(float) ** 2).mean() == pytest.approx(100**2 + 2 * 20**2, rel=0.01)
    white = smooth_noise(Grid((30, 30, 30), np.eye(4)), generator(), fwhm_mm=0.0)
    assert abs(np.corrcoef(white[:-1].ravel(), white[1:].ravel())[0, 1]) < 0.03


@pytest.mark.parametrize(
    ("kind", "changed", "name"),
    [
        (MrQuality, {"noise": 0.6}, "noise"),
        (MrQuality, {"bias": -0.1}, "bias"),
        (MrQuality, {"blur_fwhm_mm": 11}, "blur_fwhm_mm"),
        (PetQuality, {"noise": 1.1}, "noise"),
        (PetQuality, {"psf_fwhm_mm": 21}, "psf_fwhm_mm"),
        (RestingSpec, {"gm_loss": 0.95}, "gm_loss"),
        (RestingSpec, {"precuneal_coherence": 11}, "precuneal_coherence"),
        (OutcomeRelation, {"low": 0.96}, "low"),
        (OutcomeRelation, {"threshold": 1.1}, "threshold"),
        (OutcomeRelation, {"width": 0.0}, "width"),
    ],
)
def test_what_cannot_be_planted_is_named(kind, changed, name):
    with pytest.raises(OptionError, match=f"{name} is out of range"):
        kind(**changed)


def test_pet_noise_grows_with_activity_and_does_not_vanish_without():
    head = block_head()
    exact = activity(head, generator(), variation=0.0)
    quality = PetQuality(psf_fwhm_mm=0, noise=0.1, noise_fwhm_mm=0, voxel_mm=(2.0, 2.0, 2.0))
    stack = [observe_pet(exact, head.grid, generator(s), quality).data for s in range(40)]
    sd = np.std(stack, axis=0) / KILOBECQUEREL_PER_UNIT
    cortex, white = (head.mask(*ids) for ids in ((3, 42), (2, 41)))
    assert sd[cortex].mean() == pytest.approx(0.1 * 4.0, rel=0.05)
    assert sd[white].mean() == pytest.approx(0.1 * (1.2 + 0.7), rel=0.1)


@pytest.mark.parametrize("depth", [0.0, 0.15, 0.5, 1.0])
def test_the_asymmetry_is_over_the_mean_of_both_sides(depth):
    low, high = 1 - depth, 1.0
    assert true_asymmetry(depth) == pytest.approx((low - high) / ((low + high) / 2))


# Lesions


def test_atrophy_takes_the_shallowest_voxels_first():
    head = block_head()
    before, half = head.mask(17), atrophy(head, 17, 0.5)
    after = half.mask(17)
    assert after.sum() == before.sum() - round(0.5 * before.sum())
    assert (half.labels[before & ~after] == 24).all()
    assert (half.labels[~before] == head.labels[~before]).all()
    # The block is three voxels thick: what is left holds its core.
    core = np.zeros_like(before)
    core[8:9, 9:19, 11:12] = True
    assert after[core & before].all()
    with pytest.raises(InputError, match=r"no such structure .found: 999"):
        atrophy(head, 999, 0.1)


def test_an_ablation_spares_brainstem_and_bone():
    head = block_head()
    signature = mesial_region(head, "left")
    found = ablate_hippocampus(head, "left", signature, 1.0)
    assert found.rate == found.rate_hippocampus == found.rate_amygdala == 1.0
    assert not (found.mask & head.mask(16)).any()
    assert not (found.mask & (head.tissues() > 2)).any()
    none = ablate_hippocampus(head, "left", signature, 0.0)
    assert (none.rate, none.radius_mm, none.mask.any()) == (0.0, 0.0, False)
    front = ablate_hippocampus(head, "left", signature & head.mask(18), 0.5)
    assert front.rate_hippocampus is None
    assert front.rate_amygdala == pytest.approx(0.5, abs=0.1)
    longer = ablate_hippocampus(head, "left", signature, 0.5, length_share=0.9)
    shorter = ablate_hippocampus(head, "left", signature, 0.5, length_share=0.3)
    assert longer.length_mm == pytest.approx(3 * shorter.length_mm)
    assert longer.radius_mm < shorter.radius_mm


def test_mirrored_heads_have_mirrored_places_and_volumes():
    head = block_head()
    lopsided = Head(atrophy(head, 17, 0.4).labels, head.affine)
    mirrored = mirror_head(lopsided)
    assert mirrored.volume_mm3(53) == lopsided.volume_mm3(17) < head.volume_mm3(17)
    assert mirrored.volume_mm3(17) == head.volume_mm3(53)
    assert (mesial_region(mirrored, "right") == mesial_region(lopsided, "left")[::-1]).all()
    with pytest.raises(OptionError, match="head.*choose one of '05', '10', '12'"):
        load_head("99")


# Cohorts


def test_the_chance_is_logistic_between_its_ends():
    relation = OutcomeRelation(threshold=0.4, low=0.1, high=0.9, width=0.05)
    assert relation.chance(0.4) == pytest.approx(0.5)
    assert relation.chance(0.45) == pytest.approx(0.1 + 0.8 / (1 + np.exp(-1)))
    assert relation.chance(-1000.0) == pytest.approx(0.1)
    assert relation.chance(1000.0) == pytest.approx(0.9)


def test_outcomes_follow_the_planted_chance():
    sharp = OutcomeRelation(threshold=0.5, low=0.0, high=1.0, width=1e-6)
    people = simulate_cohort(40, generator(), sharp, template=PatientSpec(voxel_mm=2.0))
    assert {p.voxel_mm for p in people} == {2.0}
    for person in people:
        free = person.ablative_rate > 0.5
        assert person.clinical["seizure_free"] == ("yes" if free else "no")
        assert (person.clinical["ilae"] == 1) == free
        assert person.clinical["onset_age"] + person.clinical["duration"] == person.clinical["age"]
    rates = sorted(p.ablative_rate for p in people)
    assert rates == pytest.approx(np.linspace(0.25, 0.8, 40))
    assert len({p.label for p in people}) == 40
    with pytest.raises(OptionError, match="n is out of range"):
        simulate_cohort(1, generator())
