"""The PET stages end to end on a head of ellipsoids: what was planted is found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest

from ellipsoid_head import Head, make_head, pet_grid, rigid, write_head
from falx.core.errors import InputError
from falx.core.files import write_json
from falx.core.grid import Grid
from falx.images.nifti import Image, save
from falx.pet.files import (
    AsymmetryFiles,
    CorrectionFiles,
    PlaceFiles,
    PublishedFiles,
    ScaledFiles,
    SignatureFiles,
    asymmetry_stage,
    correct_stage,
    published_stage,
    signature_stage,
)
from falx.pet.presets import preset
from falx.pet.settings import TemplateSettings
from falx.pet.steps import PET
from falx.studies.signature.modalities import MODALITIES
from falx.surgery.files import AblationFiles, ablation_stage

QUANTITIES = {modality.key: modality.quantity for modality in MODALITIES}
TRUE_INDEX = -0.15 / (1 - 0.15 / 2)


def place_files(files: dict[str, Path]) -> PlaceFiles:
    return PlaceFiles(**{f.name: files[f.name] for f in fields(PlaceFiles)})


BY_THRESHOLD = {"signature.method": "threshold"}


def run(
    folder: Path,
    files: dict[str, Path],
    *,
    name: str = "corrected",
    side: str | None = None,
    changes: Mapping[str, object] = BY_THRESHOLD,
) -> dict[str, Path]:
    """Run all PET stages as the study does; return every output path."""
    chosen = preset(name, changes)
    names = ("pvc", "asymmetry", "published", "signature", "rates")
    out = {n: folder / f"{n}.json" for n in names}
    for key in (
        "corrected",
        "noise",
        "scaled",
        "ai_template",
        "ai_native",
        "published_scaled",
        "mask_template",
        "mask_native",
        "published_native",
        "probability_template",
        "probability_native",
        "foci_native",
    ):
        out[key] = folder / f"out_{key}.nii.gz"
    out["foci"] = folder / "foci.tsv"
    tissues = {k: files[k] for k in ("pet", "matrix", "gm", "wm", "csf", "structures")}
    written = {"corrected": out["corrected"], "noise": out["noise"], "metrics": out["pvc"]}
    correct_stage(CorrectionFiles(**tissues, **written), chosen.pet)
    published_stage(
        PublishedFiles(files["pet"], files["matrix"], out["published_scaled"], out["published"]),
        place_files(files),
        frames="static",
        voxel_mm=chosen.asymmetry.voxel_mm,
    )
    asymmetry_stage(
        AsymmetryFiles(
            image=out["corrected"],
            scaled_template=out["scaled"],
            asymmetry_template=out["ai_template"],
            asymmetry_native=out["ai_native"],
            metrics=out["asymmetry"],
        ),
        place_files(files),
        chosen.asymmetry,
        quantity=PET,
        reference=chosen.asymmetry.reference,
    )
    signature_stage(
        SignatureFiles(
            gm=files["gm"],
            signature_template=out["mask_template"],
            signature_native=out["mask_native"],
            published_native=out["published_native"],
            probability_template=out["probability_template"],
            probability_native=out["probability_native"],
            foci=out["foci"],
            foci_native=out["foci_native"],
            metrics=out["signature"],
        ),
        ScaledFiles(
            scaled_template=out["scaled"],
            asymmetry_metrics=out["asymmetry"],
            noise=out["noise"],
            pet_metrics=out["pvc"],
            published_scaled=out["published_scaled"],
            published_metrics=out["published"],
        ),
        place_files(files),
        chosen.signature,
        side=side,
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


def rate(folder, case, ablation, matrix=None):
    """Run the ablation stage on a mask of the T1w grid; return its numbers."""
    head, files, out = case
    save(folder / "ablation.nii.gz", ablation, head.grid.affine)
    ablation_stage(
        AblationFiles(
            ablation=folder / "ablation.nii.gz",
            matrix=matrix,
            structures=files["structures"],
            to_native=files["to_native"],
            signature_native=out["mask_native"],
            probability_native=out["probability_native"],
            published_native=out["published_native"],
            signature_metrics=out["signature"],
            scaled={"pet": out["scaled"]},
            scaled_metrics={"pet": out["asymmetry"]},
            published_scaled=out["published_scaled"],
            published_metrics=out["published"],
            ablation_native=folder / "native.nii.gz",
            ablation_template=folder / "template.nii.gz",
            metrics=folder / "rates.json",
        ),
        drawn_on="postop" if matrix is not None else None,
        second_drawn_on=None,
    )
    return facts(folder / "rates.json")


@pytest.mark.parametrize("front_mm", [-36.0, -24.0, -16.0])
def test_ablative_rate_within_five_points(left, tmp_path, front_mm):
    head = left[0]
    ablation = np.isin(head.labels, (17, 18)) & (head.grid.centres_mm()[..., 1] > front_mm)
    hippocampus = head.labels == 17
    truth = (ablation & hippocampus).sum() / hippocampus.sum()
    found = rate(tmp_path, left, ablation)
    for threshold in ("default", "published"):
        assert found["rates"][threshold]["hippocampus"]["rate"] == pytest.approx(truth, abs=0.05)
    inside = found["asymmetry"]["pet"]
    assert inside["ipsilateral"] == pytest.approx(-inside["contralateral"], abs=1e-6)
    assert -0.17 < inside["ratio_of_means"] < -0.08


def test_ablation_drawn_on_the_post_operative_scan(left, tmp_path):
    head = left[0]
    move = rigid((9, 7, -5), (0.1, 0.05, -0.08))
    write_json(tmp_path / "post.json", {"matrix": move})
    ablation = np.isin(head.labels, (17, 18))
    here = rate(tmp_path, left, ablation)
    moved = Grid(head.grid.shape, move @ head.grid.affine)
    case = (SimpleNamespace(grid=moved), *left[1:])
    there = rate(tmp_path, case, ablation, matrix=tmp_path / "post.json")
    assert there["volume_mm3"] == pytest.approx(here["volume_mm3"], rel=0.02)
    assert there["rates"]["default"] == here["rates"]["default"]


def test_ablation_on_the_other_side_is_refused(left, tmp_path):
    with pytest.raises(InputError, match="other side than the focus, which nobody declared"):
        rate(tmp_path, left, left[0].labels == 53)


def test_empty_ablation_is_refused(left, tmp_path):
    with pytest.raises(InputError, match="ablation mask is empty"):
        rate(tmp_path, left, np.zeros(left[0].grid.shape, dtype=bool))


def test_ablation_of_another_space_is_refused(left, tmp_path):
    write_json(tmp_path / "post.json", {"matrix": rigid((500, 0, 0), (0, 0, 0))})
    with pytest.raises(InputError, match="does not lie on the pre-operative T1w"):
        rate(tmp_path, left, left[0].labels == 17, matrix=tmp_path / "post.json")


def test_mirrored_input_gives_mirrored_output(left, tmp_path):
    """The same patient seen in a mirror: right-sided focus, PET mirrored in the world."""
    head, files, out = left
    swap = {17: 53, 53: 17, 18: 54, 54: 18}
    labels = head.labels[::-1].copy()
    swapped = np.vectorize(lambda label: swap.get(label, label))(labels)
    mirror = np.diag([-1.0, 1.0, 1.0, 1.0])
    pet = nib.load(files["pet"])
    data = np.asarray(pet.dataobj)
    back = np.eye(4)
    back[0, 0], back[0, 3] = -1, data.shape[0] - 1
    other = Head(head.grid, head.gm[::-1], head.wm[::-1], head.csf[::-1], swapped, head.activity)
    image = Image(data[::-1].copy(), mirror @ pet.affine @ back)
    matrix = np.array(facts(files["matrix"])["matrix"])
    new = run(tmp_path, write_head(tmp_path, other, mirror @ matrix @ mirror, image))
    for name in ("scaled", "ai_template", "ai_native"):
        a, b = (nib.load(o[name]).get_fdata() for o in (out, new))
        assert np.abs(a - b[::-1]).max() < 1e-4, name
    for name in ("mask_template", "mask_native", "published_native"):
        a, b = (np.asarray(nib.load(o[name]).dataobj) for o in (out, new))
        assert np.count_nonzero(a != b[::-1]) <= 2, name
    assert facts(new["signature"])["side"] == "right"


def test_flair_and_grey_matter_of_a_symmetric_head(left, tmp_path):
    head, files, _ = left
    outputs = {
        "scaled_template": tmp_path / "scaled.nii.gz",
        "asymmetry_template": tmp_path / "ai_template.nii.gz",
        "asymmetry_native": tmp_path / "ai_native.nii.gz",
        "metrics": tmp_path / "metrics.json",
    }
    where, settings = place_files(files), TemplateSettings()
    asymmetry_stage(
        AsymmetryFiles(image=files["gm"], **outputs),
        where,
        settings,
        quantity=QUANTITIES["gm"],
        reference="brain",
    )
    assert np.abs(nib.load(outputs["asymmetry_template"]).get_fdata()).max() < 1e-4
    move = rigid((3, -2, 4), (0.05, 0.02, -0.03))
    write_json(tmp_path / "matrix.json", {"matrix": move})
    bright = head.t1w * np.where(head.labels == 53, 1.2, 1.0)
    save(tmp_path / "flair.nii.gz", bright.astype(np.float32), move @ head.grid.affine)
    asymmetry_stage(
        AsymmetryFiles(
            image=tmp_path / "flair.nii.gz", matrix=tmp_path / "matrix.json", **outputs
        ),
        where,
        settings,
        quantity=QUANTITIES["flair"],
        reference="brain",
    )
    structures = facts(outputs["metrics"])["structures"]["hippocampus"]
    assert structures["right"]["mean_asymmetry"] > 0.03
    assert structures["left"]["mean_asymmetry"] < -0.03


@pytest.mark.parametrize("name", ["mo2025_script", "mo2025_text"])
def test_published_presets_run_and_find_the_side(left, tmp_path, name):
    _, files, _ = left
    out = run(tmp_path, files, name=name, changes={})
    assert facts(out["asymmetry"])["scale"] == ("z5" if name == "mo2025_script" else "z")
    if name == "mo2025_script":
        assert facts(out["signature"])["side"] == "left"
        # The chosen and the published threshold are the same here.
        masks = [np.asarray(nib.load(out[n]).dataobj) for n in ("mask_native", "published_native")]
        assert np.array_equal(*masks)


@pytest.mark.parametrize("reference", ["cerebellum", "pons"])
def test_reference_without_its_label_is_refused(left, tmp_path, reference):
    with pytest.raises(InputError, match="reference region for intensity scaling is empty"):
        run(tmp_path, left[1], changes={"asymmetry.reference": reference, **BY_THRESHOLD})


def test_outputs_are_finite_float_images_with_sidecars(left):
    for name in ("corrected", "scaled", "ai_template", "ai_native"):
        path = left[2][name]
        image = nib.load(path)
        assert image.get_data_dtype() == np.float32
        assert np.isfinite(image.get_fdata()).all()
        assert facts(path.with_name(path.name.replace(".nii.gz", ".json")))["Units"]
