"""A raw T1w and a raw PET to the signature in Python: bit for bit what the command line writes."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

import falx
from falx.core.records import plain
from falx.images.nifti import load, load_labels, load_mask
from falx.images.warp import load_map
from falx.studies.plan.answer import PlanChoices
from falx.studies.plan.files import PlanOutputs, find_files, plan_stage
from falx.studies.plan.inputs import NEEDED, OFFERED
from falx.surgery.tracks.limits import Goal, Limits, Placement, Search

ANAT, PET = "anat/sub-01_", "pet/sub-01_trc-FDG_"


@pytest.fixture(scope="module")
def chain(bids):
    """The five lines of the README, on files and, for the PET, on an image in memory."""
    raw = bids / "sub-01"
    (t1w,) = raw.rglob("*ses-preop_T1w.nii.gz")
    (pet,) = raw.rglob("*_pet.nii.gz")
    head = falx.segment(t1w)
    corrected = falx.correct_pet(nib.load(pet), head, units="Bq/mL")
    asymmetry = falx.asymmetry(corrected)
    return head, corrected, asymmetry, falx.signature(asymmetry, side="right", method="threshold")


@pytest.fixture(scope="module")
def rates(bids, chain):
    head, *_, signature = chain
    (postop,) = (bids / "sub-01").rglob("*ses-postop_T1w.nii.gz")
    (drawn,) = (bids / "derivatives/masks").rglob("*ses-postop_label-ablation_mask.nii.gz")
    return falx.ablative_rate(signature, drawn, matrix=falx.coregister(postop, head))


def same(image, path, reader=load):
    written = reader(path)
    np.testing.assert_array_equal(image.data, written.data)
    np.testing.assert_array_equal(image.affine, written.affine)


def metrics(out, name):
    path = out / f"sub-01/anat/sub-01_desc-{name}_metrics.json"
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_head_is_that_of_the_files(chain, out) -> None:
    head, folder = chain[0], out / "sub-01"
    same(head.image, folder / f"{ANAT}desc-biascorrected_T1w.nii.gz")
    for name, label in (("gm", "GM"), ("wm", "WM"), ("csf", "CSF")):
        same(getattr(head, name), folder / f"{ANAT}space-T1w_label-{label}_probseg.nii.gz")
    same(head.brain, folder / f"{ANAT}space-T1w_desc-brain_mask.nii.gz", load_mask)
    same(head.structures, folder / f"{ANAT}space-T1w_seg-falx_dseg.nii.gz", load_labels)
    for name, pair in (
        ("to_template", "from-MNI152NLin2009aSym_to-T1w"),
        ("to_native", "from-T1w_to-MNI152NLin2009aSym"),
    ):
        written = load_map(folder / f"{ANAT}{pair}_mode-image_xfm.nii.gz")
        np.testing.assert_array_equal(getattr(head, name).coordinates_mm, written.coordinates_mm)
        np.testing.assert_array_equal(getattr(head, name).affine, written.affine)


def test_pet_asymmetry_and_signature_are_those_of_the_files(chain, out) -> None:
    _, corrected, asymmetry, signature = chain
    folder = out / "sub-01"
    same(corrected.image, folder / f"{PET}space-T1w_desc-pvc_pet.nii.gz")
    same(asymmetry.image, folder / f"{PET}space-T1w_desc-asymmetry_pet.nii.gz")
    space = "space-MNI152NLin2009aSym"
    same(asymmetry.template, folder / f"{PET}{space}_desc-asymmetry_pet.nii.gz")
    same(asymmetry.scaled, folder / f"{PET}{space}_desc-scaled_pet.nii.gz")
    same(signature.image, folder / f"{ANAT}space-T1w_desc-signature_mask.nii.gz", load_mask)
    same(signature.template, folder / f"{ANAT}{space}_desc-signature_mask.nii.gz", load_mask)
    same(signature.probability, folder / f"{ANAT}space-T1w_label-signature_probseg.nii.gz")
    same(corrected.noise.sd, folder / f"{PET}space-T1w_desc-noise_pet.nii.gz")
    published = folder / f"{ANAT}space-T1w_desc-signaturePublished_mask.nii.gz"
    same(signature.published, published, load_mask)
    assert signature.image.data.any() and (signature.image.data != signature.published.data).any()


def test_numbers_are_those_of_the_files(chain, rates, out) -> None:
    _, corrected, asymmetry, signature = chain
    for found, name in ((corrected, "pet"), (asymmetry, "asymmetryPET"), (signature, "signature")):
        written = metrics(out, name)
        numbers = json.loads(json.dumps(plain(found.metrics)))
        written.pop("notices"), numbers.pop("notices")  # those of files name the file
        assert numbers == written
    written = metrics(out, "ablation")
    assert {name: plain(rate) for name, rate in rates.rates.items()} == written["rates"]["default"]
    assert {n: plain(r) for n, r in rates.published.items()} == written["rates"]["published"]
    assert plain(rates.inside) == written["asymmetry"]["pet"]
    assert rates.volume_mm3 == written["volume_mm3"]
    same(rates.image, out / "sub-01" / f"{ANAT}space-T1w_label-ablation_mask.nii.gz", load_mask)


def test_grey_matter_and_flair_as_the_stages_take_them(bids, chain, out) -> None:
    head = chain[0]
    grey = falx.asymmetry(head.gm, head, quantity="gm")
    same(grey.image, out / f"sub-01/{ANAT}space-T1w_desc-asymmetryGM_T1w.nii.gz")
    (flair,) = (bids / "sub-01").rglob("*_FLAIR.nii.gz")
    moved = falx.coregister(flair, head)
    found = falx.asymmetry(flair, head, quantity="flair", matrix=moved)
    same(found.image, out / f"sub-01/{ANAT}space-T1w_desc-asymmetry_FLAIR.nii.gz")


def test_results_print_and_draw_themselves(chain, rates, tmp_path) -> None:
    head, corrected, asymmetry, signature = chain
    for result, words in (
        (head, ("hippocampus, mm³", "intracranial, mL")),
        (corrected, ("mg3", "Bq/mL")),
        (asymmetry, ("proportional, by the brain", "right hippocampus")),
        (signature, ("right, from the declared focus", "volume, mm³")),
        (rates, ("hippocampus", "% of", "ablation, mm³")),
    ):
        for word in words:
            assert word in repr(result)
        assert result._repr_html_().startswith("<table>")
        assert result.plot()._repr_png_().startswith(b"\x89PNG")
    saved = falx.save(signature, tmp_path / "signature.nii.gz")
    same(signature.image, saved, load_mask)


def test_a_plan_is_that_of_the_stage(chain, out, tmp_path) -> None:
    given = dict.fromkeys((*NEEDED, *OFFERED, "vessels", "sinuses", "user_plan"))
    outputs = PlanOutputs.below(tmp_path, "01", scored=False)
    goal = Goal(threshold=0.2, probability=0.5, keep_probability=0.0, harmless_probability=0.0)
    choices = PlanChoices(
        Limits(max_angle_deg=45), goal, Placement(draws=200), Search(max_burns=1)
    )
    plan_stage(
        find_files(out, "01", given, side=None), outputs, choices, label="sub-01", threads=2
    )
    document = json.loads(outputs.plan_json.read_text(encoding="utf-8"))
    found = falx.plan(
        chain[-1], max_burns=1, draws=200, max_angle_deg=45,
        threshold=0.2, probability=0.5, keep_probability=0.0, harmless_probability=0.0,
    )  # fmt: skip
    assert len(found.found.options) == len(document["options"]) > 0
    assert found.found.candidates == document["candidates"]
    for own, option in zip(found.found.options, document["options"], strict=True):
        assert own.assessment.rate == option["hippocampus"]["rate"]
        assert own.assessment.risk_mm == option["risk_mm"]
    assert found.suggested is not None and document["suggested"] is not None
    same(found.image, outputs.ablation_native, load_mask)
    for words in ("Vessels were not checked.", "pairs of entry", "reaches the threshold when"):
        assert words in repr(found)
    assert found.plot()._repr_png_().startswith(b"\x89PNG")
    with pytest.raises(falx.FalxError, match="did you mean 'max_length_mm'"):
        falx.plan(chain[-1], max_lenght_mm=9)


def test_another_choice_gives_another_signature_and_an_unknown_one_a_sentence(chain) -> None:
    _, _, asymmetry, signature = chain
    strict = falx.signature(asymmetry, side="right", method="threshold", threshold=-0.15)
    assert 0 < strict.metrics.volume_mm3 < signature.metrics.volume_mm3
    assert not (strict.image.data & ~signature.image.data).any()
    with pytest.raises(falx.FalxError, match="no choice 'treshold'; did you mean 'threshold'"):
        falx.signature(asymmetry, treshold=-0.1)


def test_what_cannot_be_is_refused_in_a_sentence(chain) -> None:
    head, corrected, asymmetry, signature = chain
    blank = falx.Image(np.zeros((4, 4, 4), np.float32), np.eye(4))
    for call, sentence in (
        (lambda: falx.signature(corrected), "give what falx.asymmetry returned"),
        (lambda: falx.ablative_rate(asymmetry, blank), "give what falx.signature returned"),
        (lambda: falx.plan(asymmetry), "a plan is made for a signature"),
        (lambda: falx.correct_pet(blank, blank), "give what falx.segment returned"),
        (lambda: falx.asymmetry(blank), "the head of the image is needed"),
        (lambda: falx.asymmetry(corrected, quantity="ct"), "quantity"),
        (lambda: falx.correct_pet(blank, head), "the PET image is empty"),
        (lambda: falx.correct_pet(corrected, head, matrix=np.eye(3)), "not 4×4 numbers"),
        (lambda: falx.signature(asymmetry, side="both"), "choose one of 'left', 'right'"),
        (lambda: falx.ablative_rate(signature, blank), "the mask is empty"),
    ):
        with pytest.raises(falx.FalxError, match=sentence):
            call()
