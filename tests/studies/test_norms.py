"""`falx norms` from controls to what `falx signature --norms` takes from it."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import numpy as np
import pytest

from falx.cli.main import main
from falx.core.errors import FalxNotice, InputError
from falx.core.files import read_record, write_json, write_table, write_text
from falx.core.grid import normalisation_grid
from falx.core.records import plain
from falx.data.asymmetry_norms import healthy_field
from falx.data.priors import ATLAS_FILE, DATA
from falx.images.nifti import Image, load, load_labels, save
from falx.images.resample import resample
from falx.images.smooth import smooth
from falx.pet.controls import Conditions, Control
from falx.pet.files import (
    AsymmetryFiles,
    CorrectionFiles,
    HealthyFiles,
    PlaceFiles,
    asymmetry_stage,
    correct_stage,
    healthy_stage,
    read_site_norms,
)
from falx.pet.metrics import AsymmetryMetrics, NoiseMetrics, PetMetrics
from falx.pet.norms import HealthyMetrics, SiteNorms, percentile_of
from falx.pet.settings import Correction, TemplateSettings
from falx.pet.steps import PET
from falx.phantom.intensities import smooth_noise
from falx.studies.norms.configuration import RECORD
from falx.studies.norms.files import ControlFiles, NormsFiles, control_stage, norms_stage
from falx.studies.norms.join import join_controls
from studies.signature_metrics import anatomy

VOXEL_MM = 4.0
GRID = normalisation_grid(VOXEL_MM)
MADE = Conditions("FDG", "MNI152NLin2009aSym", VOXEL_MM, "proportional", 6.0, "mg3", 6.0, 0.2)
SPREAD, NOISE = 0.03, 0.02


def control(rng, *, age=None, sex=None, scanner="Biograph", shift=0.0) -> Control:
    values = {n: float(rng.normal(0.005, 0.03) + shift) for n in ("hippocampus", "amygdala")}
    return Control(MADE, scanner, age, sex, values, dict(values), True)


def index_map(rng) -> Image:
    sd = np.full(GRID.shape, SPREAD, np.float32)
    field = healthy_field(sd, GRID, rng, fwhm_mm=20.0)
    noise = healthy_field(sd * np.float32(NOISE / SPREAD), GRID, rng, fwhm_mm=7.0)
    return Image(field + noise, GRID.affine)


def cohort(number, *, rng=None, **changes):
    rng = rng or np.random.default_rng(5)
    controls = {f"{i:02d}": control(rng, **changes) for i in range(number)}
    return controls, {label: index_map(rng) for label in controls}


def noise_map(_label: str) -> Image:
    return Image(np.full(GRID.shape, NOISE, np.float32), GRID.affine)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Norms of 24 controls, one of them far from the others, one whose head failed."""
    folder = tmp_path_factory.mktemp("norms")
    controls, maps = cohort(25)
    controls["03"] = control(np.random.default_rng(1), shift=0.5)
    controls["24"] = replace(controls["24"], failed=("coverage",))
    paths = {kind: {} for kind in ("index", "noise", "control")}
    for label, one in controls.items():
        for kind, image in (("index", maps[label]), ("noise", noise_map(label))):
            paths[kind][label] = folder / f"{label}_{kind}.nii.gz"
            save(paths[kind][label], image.data, image.affine)
        paths["control"][label] = folder / f"{label}.json"
        write_json(paths["control"][label], plain(one))
    write_table(folder / "left_out.tsv", ("participant_id", "reason"), [])
    rows = [(f"sub-{label}", "finished", "included", "n/a", "n/a") for label in controls]
    write_table(
        folder / "people.tsv", ("participant_id", "status", "group", "stage", "reason"), rows
    )
    roles = ("mean_map", "sd_map", "noise_map", "age_map", "sex_map")
    norms_stage(
        NormsFiles(
            index=paths["index"],
            noise_maps=paths["noise"],
            controls=paths["control"],
            exclusions=folder / "left_out.tsv",
            people=folder / "people.tsv",
            **{role: folder / "group" / f"norms_{role}.nii.gz" for role in roles},
            record=folder / RECORD,
            table=folder / "norms.tsv",
            page=folder / "norms.html",
        )
    )
    return folder


def test_norms_are_those_of_the_controls(folder):
    norms = read_site_norms(folder / RECORD)
    assert (norms.people, norms.freedom, norms.scanners) == (24, 23, ("Biograph",))
    assert {n.kind for n in norms.regions} == {"uncorrected", "regional"}
    assert norms.fwhm_mm == pytest.approx(20.0, rel=0.15)
    sd = load(folder / "group" / "norms_sd_map.nii.gz").data
    lateral = np.abs(GRID.centres_mm()[..., 0]) > 30
    assert np.median(sd[lateral]) == pytest.approx(np.hypot(SPREAD, NOISE), rel=0.1)
    mean = load(folder / "group" / "norms_mean_map.nii.gz").data
    np.testing.assert_allclose(mean, -mean[::-1], atol=1e-6)


def test_the_page_counts_everybody_and_names_who_is_far(folder):
    page = (folder / "norms.html").read_text(encoding="utf-8")
    assert "25 people: 24 included, 1 left out by the study" in page
    assert "a quality check failed: coverage" in page
    assert "sub-03 is far from the other controls" in page
    assert page.index("Everybody") < page.index("Norms of 24 controls on Biograph")


def person(folder, uncorrected=-0.1, **changes):
    """Records of one patient, as the PET stages write them."""
    pet = PetMetrics(
        "mg3", 6.0, 0.2, "Bq/mL", {}, {"hippocampus": {"left": -0.15, "right": 0.15}},
        {"hippocampus": 0.02}, NoiseMetrics((4.0,) * 3, 0.05),
        uncorrected_asymmetry={"hippocampus": uncorrected, "putamen": 0.0},
    )  # fmt: skip
    facts = AsymmetryMetrics(
        "PET", changes.get("scale", "proportional"), "brain", 6.0, None, 4.0, 1.0, {}
    )
    write_json(folder / "pet.json", plain(pet))
    write_json(folder / "asymmetry.json", plain(facts))
    return folder / "pet.json", folder / "asymmetry.json"


def held(folder, norms, *, scanner="Biograph", tracer="FDG", voxel_mm=VOXEL_MM, **changes):
    pet, facts = person(folder, **changes)
    out = [folder / name for name in ("mean.nii.gz", "sd.nii.gz", "healthy.json")]
    healthy_stage(
        HealthyFiles(norms, pet, facts, *out),
        age=None, sex=None, scanner=scanner, tracer=tracer, voxel_mm=voxel_mm,
    )  # fmt: skip
    return read_record(HealthyMetrics, out[2])


def test_without_norms_the_shipped_ones_count(tmp_path):
    found = held(tmp_path, None)
    assert not found.of_site and "537" in found.source
    assert found.of("hippocampus", "left") == percentile_of("hippocampus", -0.1)
    other = found.of("hippocampus", "right")
    assert other.asymmetry == 0.1 and other.percentile > 97
    assert not load(tmp_path / "sd.nii.gz").data.any()


def test_a_patient_is_placed_among_the_controls(folder, tmp_path):
    found = held(tmp_path, folder / RECORD)
    assert found.of_site and found.notices == ()
    place = found.of("hippocampus", "left")
    assert (place.kind, place.asymmetry, place.people) == ("regional", -0.15, 24)
    assert place.low < place.percentile < place.high and place.lower == 0
    assert place.z < 0 and found.of("hippocampus", "right").z == -place.z
    sd = load(tmp_path / "sd.nii.gz").data
    lateral = np.abs(GRID.centres_mm()[..., 0]) > 30
    # The controls' noise is out; a new person scatters more than the sample.
    expected = SPREAD * np.sqrt((1 + 1 / 24) * 23 / 21)
    assert np.median(sd[lateral]) == pytest.approx(expected, rel=0.12)
    assert (sd > 0).all()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"scale": "z5"}, "scale proportional, not z5"),
        ({"tracer": "FMZ"}, "tracer FDG, not FMZ"),
        ({"voxel_mm": 3.0}, "voxel mm 4, not 3"),
    ],
)
def test_norms_of_another_kind_are_refused(folder, tmp_path, changes, said):
    with pytest.raises(InputError, match=f"norms are not of this kind.*{said}.*falx norms"):
        held(tmp_path, folder / RECORD, **changes)


@pytest.mark.parametrize(
    ("scanner", "said"), [("Discovery", "of another scanner"), (None, "is not known")]
)
def test_another_scanner_is_warned_of(folder, tmp_path, scanner, said):
    (notice,) = held(tmp_path, folder / RECORD, scanner=scanner).notices
    assert said in notice and "Biograph" in notice


def test_a_map_that_was_changed_is_not_taken(folder, tmp_path):
    copy = tmp_path / "group"
    copy.mkdir()
    for path in (folder / "group").iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    save(copy / "norms_sd_map.nii.gz", np.ones(GRID.shape, np.float32), GRID.affine)
    with pytest.raises(InputError, match="norms_sd_map.*not as falx norms left it"):
        read_site_norms(copy / "norms.json")


def test_the_mirror_image_of_all_controls_has_mirrored_norms():
    controls, maps = cohort(12)
    other = {
        label: replace(
            one,
            uncorrected={k: -v for k, v in one.uncorrected.items()},
            regional={k: -v for k, v in one.regional.items()},
        )
        for label, one in controls.items()
    }
    with pytest.warns(FalxNotice, match="norms of 12 controls are uncertain"):
        own = join_controls(controls, maps.__getitem__, noise_map)
        mirrored = join_controls(
            other, lambda label: Image(maps[label].data[::-1], GRID.affine), noise_map
        )
    np.testing.assert_allclose(mirrored.mean[::-1], own.mean, atol=1e-6)
    np.testing.assert_allclose(mirrored.sd, own.sd, rtol=1e-4)
    for a, b in zip(own.norms.regions, mirrored.norms.regions, strict=True):
        assert b.coefficients[0] == pytest.approx(-a.coefficients[0]) and b.sd == pytest.approx(
            a.sd
        )


def test_nine_controls_are_refused_and_mixed_ones_too():
    controls, maps = cohort(9)
    with pytest.raises(InputError, match="too few controls"):
        join_controls(controls, maps.__getitem__, noise_map)
    controls, maps = cohort(12)
    controls["05"] = replace(controls["05"], conditions=replace(MADE, correction="none"))
    with (
        pytest.warns(FalxNotice),
        pytest.raises(InputError, match="sub-05 and sub-00.*correction none, not mg3"),
    ):
        join_controls(controls, maps.__getitem__, noise_map)


def test_maps_in_mni_space_become_norms_of_structures(tmp_path):
    """What `falx fetch pet-controls` brings, made here: eleven people, names as theirs."""
    labels = resample(load_labels(DATA / ATLAS_FILE), GRID, how="nearest")
    rng = np.random.default_rng(4)
    planted = []
    for number in range(11):
        index = float(rng.normal(0.0, 0.03))
        planted.append(index)
        side = np.sign(GRID.centres_mm()[..., 0])
        values = np.where(labels > 0, 5.0, 0.0) * (1 - side * index / 2)
        subject = f"sub-s{number:03d}"
        name = f"{subject}_ses-open_task-rest_space-MNI152NLin6ASym_res-3mm_desc-CMRglc_pet.nii.gz"
        image = smooth(values.astype(np.float32), GRID.voxel_sizes_mm, 6.0)
        save(tmp_path / "bids" / subject / "ses-open" / "pet" / name, image, GRID.affine)
    write_text(
        tmp_path / "bids" / "dataset_description.json",
        json.dumps({"Name": "Maps", "BIDSVersion": "1.10.0"}),
    )
    words = ["norms", str(tmp_path / "bids"), str(tmp_path / "out"), "--ready", "--serial"]
    assert main([*words, "--asymmetry-voxel-mm", "4"]) == 0
    norms = read_record(SiteNorms, tmp_path / "out" / RECORD)
    assert norms.people == 11 and norms.maps == {}
    (hippocampus,) = (n for n in norms.regions if n.structure == "hippocampus")
    assert hippocampus.coefficients[0] == pytest.approx(np.mean(planted), abs=0.005)
    assert hippocampus.sd == pytest.approx(np.std(planted, ddof=1), rel=0.1)
    place = held(tmp_path, tmp_path / "out" / RECORD, scale="z5")
    assert not place.of_site and place.of("hippocampus", "left").kind == "uncorrected"


def test_a_control_brings_the_noise_of_its_own_map(tmp_path):
    """A head of ellipsoids with 5 % noise: its standard error is of that order, on both sides."""
    from ellipsoid_head import make_head, pet_grid, write_head

    head, rng = make_head(depth=0.0, voxel_mm=3.0), np.random.default_rng(2)
    pet = head.pet(pet_grid())
    grain = smooth_noise(pet.grid, rng, fwhm_mm=4.0)
    noisy = Image((pet.data * (1 + 0.05 * grain)).astype(np.float32), pet.affine)
    files = write_head(tmp_path, head, np.eye(4), noisy)
    out = {n: tmp_path / f"{n}.nii.gz" for n in ("corrected", "noise", "scaled", "ai", "native")}
    where = PlaceFiles(**{f.name: files[f.name] for f in fields(PlaceFiles)})
    tissues = {k: files[k] for k in ("pet", "matrix", "gm", "wm", "csf", "structures")}
    correct_stage(
        CorrectionFiles(**tissues, corrected=out["corrected"], noise=out["noise"],
                        metrics=tmp_path / "pvc.json"),
        Correction(),
    )  # fmt: skip
    asymmetry_stage(
        AsymmetryFiles(out["corrected"], out["scaled"], out["ai"], out["native"],
                       tmp_path / "ai.json"),
        where, TemplateSettings(voxel_mm=4.0), quantity=PET, reference="brain",
    )  # fmt: skip
    write_json(tmp_path / "anatomy.json", anatomy().as_json())
    control_stage(
        ControlFiles(tmp_path / "anatomy.json", tmp_path / "pvc.json", tmp_path / "ai.json",
                     out["scaled"], out["noise"], tmp_path / "se.nii.gz", tmp_path / "c.json"),
        where, age=40.0, sex=1.0, scanner="Biograph", tracer="FDG", voxel_mm=4.0,
    )  # fmt: skip
    found = read_record(Control, tmp_path / "c.json")
    assert (found.age, found.sex, found.noise_known) == (40.0, 1.0, True)
    assert found.conditions.voxel_mm == 4.0 and found.conditions.correction == "mg3"
    assert abs(found.uncorrected["hippocampus"]) < 0.06
    error = load(tmp_path / "se.nii.gz").data
    index = load(out["ai"]).data
    np.testing.assert_array_equal(error, error[::-1])
    inside = (error > 0) & (index != 0)
    spread = np.sqrt(np.mean(index[inside] ** 2))
    assert np.sqrt(np.mean(error[inside] ** 2)) == pytest.approx(spread, rel=0.3)


def test_a_folder_without_norms_is_named(tmp_path, capsys):
    (tmp_path / "bids").mkdir()
    words = ["signature", str(tmp_path / "bids"), str(tmp_path / "out"), "participant"]
    assert main([*words, "--norms", str(tmp_path)]) == 2
    assert "--norms: the folder holds no norms" in capsys.readouterr().err
