"""PET, asymmetry, signature and rate on a head of ellipsoids: what was planted is found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import falx
from ellipsoid_head import make_head, pet_grid, rigid
from falx.api.head import Head
from falx.core.errors import FalxError, InputError, OptionError
from falx.core.files import write_json
from falx.core.grid import box_grid
from falx.core.records import plain
from falx.images.nifti import Image, as_stored, save
from falx.images.warp import CoordinateMap
from falx.pet.controls import Covariates, Norm
from falx.pet.files import file_digest
from falx.pet.norms import SiteNorms, conditions_of
from studies.signature_metrics import anatomy

DEPTH = 0.15
TRUE_INDEX = -DEPTH / (1 - DEPTH / 2)
MATRIX = rigid((6, -4, 5), (0.05, -0.03, 0.04))
COARSE = {"voxel_mm": 4.0, "smoothing_fwhm_mm": 6.0}


def head_of(made) -> Head:
    """What ``falx.segment`` would return; maps are the identity."""
    coarse = box_grid((-96, -120, -90), (96, 104, 104), 8.0)
    identity = CoordinateMap(coarse.centres_mm().astype(np.float32), coarse.affine)

    def kept(values: np.ndarray) -> Image:
        return as_stored(values, made.grid.affine)

    return Head(
        kept(made.t1w), kept(made.gm), kept(made.wm), kept(made.csf), kept(made.brain),
        kept(made.labels), identity, identity, anatomy(),
    )  # fmt: skip


@pytest.fixture(scope="module")
def left():
    made = make_head(depth=DEPTH, voxel_mm=3.0)
    pet = made.pet(pet_grid(), matrix=MATRIX)
    head = head_of(made)
    return made, pet, head, falx.correct_pet(pet, head, matrix=MATRIX)


@pytest.fixture(scope="module")
def found(left):
    return falx.signature(falx.asymmetry(left[3], **COARSE), method="threshold")


def test_the_planted_asymmetry_is_recovered_by_region(left) -> None:
    for structure in ("hippocampus", "amygdala"):
        sides = left[3].metrics.regional_asymmetry[structure]
        assert sides["left"] == pytest.approx(TRUE_INDEX, abs=0.025)  # of 3 mm voxels
        assert sides["right"] == pytest.approx(-sides["left"])


def test_coregistration_finds_the_matrix_and_moves_the_image_into_the_head(left) -> None:
    _, pet, head, _ = left
    moved = falx.coregister(pet, head)
    corners = np.array([[60, 60, 60], [-60, 60, -40], [0, -80, 0], [40, 0, -40.0]])
    here, there = (corners @ m[:3, :3].T + m[:3, 3] for m in (moved.matrix, MATRIX))
    assert np.linalg.norm(here - there, axis=1).max() < 2.0
    np.testing.assert_array_equal(moved.image.data, pet.data)
    np.testing.assert_allclose(moved.matrix @ moved.image.affine, pet.affine, atol=1e-6)
    assert "normalised mutual information" in repr(moved) and moved.plot().axes
    same = falx.correct_pet(pet, head, matrix=moved)
    np.testing.assert_array_equal(same.matrix, moved.matrix)
    own = falx.correct_pet(pet, head)
    np.testing.assert_array_equal(own.image.data, same.image.data)


def test_the_side_is_found_and_the_signature_is_on_it(left, found) -> None:
    made = left[0]
    assert found.side == "left" and "the left mesial temporal lobe is lower" in repr(found)
    x_mm = made.grid.centres_mm()[..., 0]
    assert found.image.data.any() and x_mm[found.image.data].max() < 0
    planted = np.isin(made.labels, (17, 18))
    assert (found.image.data & planted).sum() / planted.sum() > 0.8
    both = falx.signature(found.of, side="left", ipsilateral_only=False, method="threshold")
    assert (both.image.data >= found.image.data).all()


def site_norms(folder, asymmetry, *, mean: float, tracer: str = "FDG"):
    """Write what ``falx norms`` would of 20 controls with one mean everywhere."""
    grid = asymmetry.place.template
    maps = {}
    for role, value in (("mean", mean), ("sd", 0.04), ("noise", 0.01)):
        path = folder / f"norms_{role}_map.nii.gz"
        save(path, np.full(grid.shape, value, np.float32), grid.affine)
        maps[role] = (path.name, file_digest(path))
    source = asymmetry.source.metrics
    fit = conditions_of(source, asymmetry.metrics, tracer, COARSE["voxel_mm"])
    region = Norm("hippocampus", "regional", 20, 19, (mean,), 0.04, ((0.05,),))
    none = Covariates((), (), (), ())
    norms = SiteNorms(fit, 20, none, ("Biograph",), (region,), 20.0, maps, ((0.05,),), 19)
    write_json(folder / "norms.json", plain(norms))
    return folder / "norms.json"


def test_norms_of_a_site_place_a_person_and_decide_what_is_expected(left, found, tmp_path) -> None:
    """Where healthy people are as low as the patient, nothing in the patient stands out."""
    person = {"scanner": "Biograph", "tracer": "FDG", "draws": 20}
    usual = falx.signature(found.of, side="left", **person)
    assert (
        "of 537 healthy people" in repr(usual) and usual.healthy.of("hippocampus", "left").z < -3
    )
    same = site_norms(tmp_path, found.of, mean=TRUE_INDEX)
    among = falx.signature(found.of, side="left", norms=same, sex="male", **person)
    placed = among.healthy.of("hippocampus", "left")
    assert placed.people == 20 and abs(placed.z) < 1 and not among.healthy.notices
    assert among.metrics.volume_mm3 < usual.metrics.volume_mm3 / 2
    with pytest.raises(InputError, match="norms are not of this kind.*tracer"):
        falx.signature(found.of, norms=same, tracer="FET", scanner="Biograph")
    with pytest.raises(InputError, match="norms are of the asymmetry of a corrected PET"):
        falx.signature(replace(found.of, source=None), norms=same, method="threshold")
    with pytest.raises(OptionError, match="sex.*female"):
        falx.signature(found.of, sex="2")


def test_a_declared_side_is_kept_and_said_to_be_doubtful(found) -> None:
    other = falx.signature(found.of, side="right", method="threshold")
    assert other.side == "right"
    assert any("declared on the right, but the other" in notice for notice in other.notices)
    assert not (other.image.data & found.image.data).any()


@settings(max_examples=2, deadline=None)
@given(st.floats(0.01, 1000.0))
def test_the_unit_of_the_pet_does_not_matter(left, found, gain) -> None:
    _, pet, head, _ = left
    scaled = Image(pet.data * np.float32(gain), pet.affine)
    corrected = falx.correct_pet(scaled, head, matrix=MATRIX)
    again = falx.signature(falx.asymmetry(corrected, **COARSE), method="threshold")
    apart = np.count_nonzero(again.image.data != found.image.data)
    assert apart <= 0.005 * np.count_nonzero(found.image.data)


def test_a_mirrored_patient_has_the_mirrored_signature(left, found) -> None:
    made = make_head(depth=DEPTH, side="right", voxel_mm=3.0)
    flip = np.diag([-1.0, 1, 1, 1])
    turned = flip @ MATRIX @ flip
    seen = left[1]
    pet = Image(seen.data, flip @ seen.affine)
    head = head_of(made)
    corrected = falx.correct_pet(pet, head, matrix=turned)
    other = falx.signature(falx.asymmetry(corrected, **COARSE), method="threshold")
    assert other.side == "right"
    apart = np.count_nonzero(other.image.data[::-1] != found.image.data)
    assert apart <= 0.02 * np.count_nonzero(found.image.data)


@pytest.mark.parametrize("front_mm", [-36.0, -24.0, -16.0])
def test_the_ablative_rate_is_within_five_points(left, found, front_mm) -> None:
    made = left[0]
    ablation = np.isin(made.labels, (17, 18)) & (made.grid.centres_mm()[..., 1] > front_mm)
    hippocampus = made.labels == 17
    truth = (ablation & hippocampus).sum() / hippocampus.sum()
    rates = falx.ablative_rate(found, (ablation, made.grid.affine))
    assert rates.rates["hippocampus"].rate == pytest.approx(truth, abs=0.05)
    assert rates.volume_mm3 == pytest.approx(ablation.sum() * 27.0)
    assert rates.inside.ipsilateral == pytest.approx(-rates.inside.contralateral, abs=1e-6)


def test_an_ablation_drawn_on_the_post_operative_scan_is_brought_back(left, found) -> None:
    made, move = left[0], rigid((9, 7, -5), (0.1, 0.05, -0.08))
    ablation = np.isin(made.labels, (17, 18))
    here = falx.ablative_rate(found, (ablation, made.grid.affine))
    there = falx.ablative_rate(found, (ablation, move @ made.grid.affine), matrix=move)
    np.testing.assert_array_equal(there.image.data, here.image.data)
    assert there.rates == here.rates
    with pytest.raises(FalxError, match="other side than the declared focus"):
        falx.ablative_rate(found, (made.labels == 53, made.grid.affine))
    with pytest.raises(FalxError, match="does not lie on the pre-operative T1w"):
        falx.ablative_rate(
            found, (ablation, made.grid.affine), matrix=rigid((500, 0, 0), (0,) * 3)
        )


def test_frames_of_a_dynamic_pet_are_named_or_refused(left) -> None:
    _, pet, head, corrected = left
    frames = np.stack([np.zeros_like(pet.data), pet.data, pet.data], axis=-1)
    with pytest.raises(FalxError, match="the PET is dynamic .found: 3 frames"):
        falx.correct_pet((frames, pet.affine), head, matrix=MATRIX)
    some = falx.correct_pet((frames, pet.affine), head, matrix=MATRIX, frames="2-3")
    np.testing.assert_allclose(some.image.data, corrected.image.data, rtol=1e-5, atol=1e-5)
    assert any("frames 2 to 3 of 3 were averaged" in notice for notice in some.notices)


def test_volumes_have_names_and_checks_are_told(left) -> None:
    head = left[2]
    assert head.volumes_mm3["left hippocampus"] == 2000.0
    assert head.volumes_mm3["intracranial"] == 1_500_000.0
    assert "quality checks failed   noise" in repr(head)
    assert head.plot().axes


def test_an_image_that_does_not_reach_the_brain_is_refused(left) -> None:
    _, pet, head, _ = left
    away = Image(pet.data, rigid((900, 0, 0), (0, 0, 0)) @ pet.affine)
    with pytest.raises(FalxError, match="does not reach the brain|field of view|overlap"):
        falx.asymmetry(away, head, **COARSE)
    small = Image(np.ones((5, 5, 5), bool), np.eye(4))
    with pytest.raises(FalxError, match="different grids"):
        falx.plan(falx.signature(falx.asymmetry(left[3], **COARSE)), vessels=small)


def test_foci_are_found_with_their_rate_or_refused_in_a_sentence(left, found) -> None:
    _, _, head, corrected = left
    of = falx.asymmetry(corrected, **COARSE)
    choices = {"draws": 20, "maps": 100, "level": 0.1}  # voxels of 4 mm leave P at .06
    foci = falx.signature(of, side="left", **choices)
    assert {focus.side for focus in foci.foci} == {"left"}
    assert all(focus.probability <= 0.1 for focus in foci.metrics.calibrated.foci)
    x_mm = of.place.to_template_mm[..., 0]
    assert foci.image.data.any() and (x_mm[foci.image.data] < 0).all()
    assert ((foci.probability.data > 0.5) >= foci.image.data).all()
    labelled = [np.count_nonzero(foci.numbers.data == row.number) for row in foci.foci]
    volumes_mm3 = np.array(labelled) * foci.numbers.grid.voxel_volume_mm3
    assert volumes_mm3 == pytest.approx([row.volume_mm3 for row in foci.foci])
    again = falx.signature(of, side="left", **choices)
    np.testing.assert_array_equal(again.probability.data, foci.probability.data)
    assert "at a familywise rate of 0.1" in repr(foci) and "expected false share" in repr(foci)
    nothing = falx.signature(of, side="right", **choices)
    assert not nothing.image.data.any() and nothing.plot().axes
    ablation = (head.structures.data == 53, head.structures.affine)
    rate = falx.ablative_rate(nothing, ablation).rates["hippocampus"]
    assert rate.rate is None and rate.reason == "no signature inside the structure"
    grey = falx.asymmetry(head.gm, head, quantity="gm", **COARSE)
    with pytest.raises(
        InputError, match="without the noise of the PET .found: an asymmetry of grey"
    ):
        falx.signature(grey)
    alone = falx.signature(grey, method="threshold")
    assert alone.published is None and alone.metrics.published_volume_mm3 is None
    with pytest.raises(OptionError, match="level"):
        falx.signature(of, level=2)
