"""The PET stages end to end on a head of ellipsoids: what was planted is found."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from ellipsoid_head import make_head, pet_grid, rigid, write_head
from falx.errors import InputError
from falx.pet.presets import preset
from falx.pet.stages import asymmetry_stage, correct_stage, signature_stage
from falx.surgery.stages import ablation_stage

TRUE_INDEX = -0.15 / (1 - 0.15 / 2)


def run(folder: Path, files: dict[str, Path], *, side: str = "auto", **changes: object) -> dict:
    """Run all PET stages as the study does; return every output path."""
    s = preset("corrected", **changes)
    out = {n: folder / f"{n}.json" for n in ("pvc", "asymmetry", "signature", "rates")}
    for name in (
        "corrected",
        "scaled",
        "ai_template",
        "ai_native",
        "mask_template",
        "mask_native",
        "published_native",
        "ablation_native",
        "ablation_template",
    ):
        out[name] = folder / f"out_{name}.nii.gz"
    anatomy = {k: files[k] for k in ("brain_mask", "structures", "to_native", "to_template")}
    correct_stage(
        pet=files["pet"],
        matrix=files["matrix"],
        gm=files["gm"],
        wm=files["wm"],
        csf=files["csf"],
        structures=files["structures"],
        corrected=out["corrected"],
        metrics=out["pvc"],
        method=s.method,
        psf_fwhm_mm=s.psf_fwhm_mm,
        smoothing_fwhm_mm=s.smoothing_fwhm_mm,
        floor=s.floor,
        frames="static",
    )
    asymmetry_stage(
        image=out["corrected"],
        **anatomy,
        scaled_template=out["scaled"],
        asymmetry_template=out["ai_template"],
        asymmetry_native=out["ai_native"],
        metrics=out["asymmetry"],
        scale=s.scale,
        reference=s.reference,
        smoothing_fwhm_mm=s.template_smoothing_fwhm_mm,
        voxel_mm=2.0,
    )
    signature_stage(
        scaled_template=out["scaled"],
        asymmetry_metrics=out["asymmetry"],
        **anatomy,
        gm=files["gm"],
        signature_template=out["mask_template"],
        signature_native=out["mask_native"],
        published_native=out["published_native"],
        metrics=out["signature"],
        side=side,
        threshold=s.threshold,
        threshold_scale=s.threshold_scale,
        threshold_comparison=s.threshold_comparison,
        gm_floor=s.gm_floor,
        ipsilateral_only=s.ipsilateral_only,
        minimum_cluster_mm3=s.minimum_cluster_mm3,
    )
    return out


def facts(path: Path) -> dict:
    return json.loads(path.read_text())


@pytest.fixture(scope="module")
def left(tmp_path_factory):
    """Left mesial temporal lobe 15 % lower; PET moved and turned."""
    folder = tmp_path_factory.mktemp("left")
    head, matrix = make_head(), rigid((6, -4, 5), (0.05, -0.03, 0.04))
    files = write_head(folder, head, matrix, head.pet(pet_grid(), matrix=matrix))
    return head, files, run(folder, files)


def test_planted_asymmetry_is_recovered_by_region(left):
    regional = facts(left[2]["pvc"])["regional_asymmetry"]
    assert regional["hippocampus"]["left"] == pytest.approx(TRUE_INDEX, abs=0.01)
    assert regional["amygdala"]["left"] == pytest.approx(TRUE_INDEX, abs=0.01)


def test_side_is_found_and_signature_is_on_it(left):
    head, _, out = left
    assert facts(out["signature"])["side"] == "left"
    mask = nib.load(out["mask_native"])
    x_mm = head.grid.centres_mm()[..., 0]
    assert np.asarray(mask.dataobj).any()
    assert x_mm[np.asarray(mask.dataobj) > 0].max() < 0


def test_signature_covers_the_planted_structures(left):
    head, _, out = left
    mask = np.asarray(nib.load(out["mask_native"]).dataobj) > 0
    planted = np.isin(head.labels, (17, 18))
    assert (mask & planted).sum() / planted.sum() > 0.85


def test_ablative_rate_within_five_points(left, tmp_path):
    head, files, out = left
    ablation = (np.isin(head.labels, (17, 18))) & (head.grid.centres_mm()[..., 1] > -24)
    from falx.images.nifti import save

    save(tmp_path / "ablation.nii.gz", ablation, head.grid.affine)
    ablation_stage(
        ablation=tmp_path / "ablation.nii.gz",
        matrix=None,
        structures=files["structures"],
        to_native=files["to_native"],
        signature_native=out["mask_native"],
        published_native=out["published_native"],
        signature_metrics=out["signature"],
        scaled_pet=out["scaled"],
        pet_metrics=out["asymmetry"],
        scaled_flair=None,
        flair_metrics=None,
        scaled_gm=None,
        gm_metrics=None,
        ablation_native=tmp_path / "n.nii.gz",
        ablation_template=tmp_path / "t.nii.gz",
        metrics=tmp_path / "rates.json",
    )
    hippocampus = head.labels == 17
    truth = (ablation & hippocampus).sum() / hippocampus.sum()
    rates = facts(tmp_path / "rates.json")["rates"]
    assert rates["default"]["hippocampus"]["rate"] == pytest.approx(truth, abs=0.05)


def test_ablation_on_the_other_side_is_refused(left, tmp_path):
    head, files, out = left
    from falx.images.nifti import save

    save(tmp_path / "ablation.nii.gz", head.labels == 53, head.grid.affine)
    with pytest.raises(InputError, match="other side than the declared focus"):
        ablation_stage(
            ablation=tmp_path / "ablation.nii.gz",
            matrix=None,
            structures=files["structures"],
            to_native=files["to_native"],
            signature_native=out["mask_native"],
            published_native=out["published_native"],
            signature_metrics=out["signature"],
            scaled_pet=out["scaled"],
            pet_metrics=out["asymmetry"],
            scaled_flair=None,
            flair_metrics=None,
            scaled_gm=None,
            gm_metrics=None,
            ablation_native=tmp_path / "n.nii.gz",
            ablation_template=tmp_path / "t.nii.gz",
            metrics=tmp_path / "rates.json",
        )


def test_outputs_are_finite_float_images_with_sidecars(left):
    for name in ("corrected", "scaled", "ai_template", "ai_native"):
        path = left[2][name]
        image = nib.load(path)
        assert image.get_data_dtype() == np.float32
        assert np.isfinite(image.get_fdata()).all()
        assert facts(path.with_name(path.name.replace(".nii.gz", ".json")))["Units"]
