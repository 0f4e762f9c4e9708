"""A group comparison from files to files."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from scipy import ndimage

from calling import call, taken
from falx.core.errors import InputError
from falx.core.files import write_json
from falx.images.nifti import load, save
from falx.maps.deviations.files import deviation_stage
from falx.maps.files import anova_stage, group_map_stage, regression_map_stage, subgroup_map_stage
from falx.maps.people.files import read_person_maps
from falx.maps.sample import encode

SHAPE = (18, 20, 16)
AFFINE = np.diag([4.0, 4.0, 4.0, 1.0])
AFFINE[:3, 3] = [-34.0, -40.0, -30.0]
SETTINGS = {
    "title": "Regional homogeneity", "first": "DRE", "second": "HC",
    "group_column": "group", "columns": ["age", "sex"],
    "measures": ["mean_fd_mm"], "head_size": "none",
    "least_share": 1.0, "least_value": 0.1, "voxel_p": 0.001,
    "cluster_p": 0.05, "n_permutations": 100, "min_region_voxels": 5, "listed_by": "extent",
    "seed": 1, "variance": "groups", "tail": "counted", "blocks": "", "site": "",
    "harmonise": "none",
}  # fmt: skip


HEADER = "participant_id\tgroup\tage\tsex\tduration\tepilepsy_type\tthree"
MAPS = {"t_map": ".nii.gz", "z_map": ".nii.gz", "p_tfce_map": ".nii.gz", "table": ".tsv",
        "table_latex": ".tex", "table_html": ".html", "profile": ".tsv", "values": ".tsv",
        "summary": ".json", "person_maps": ".npz"}  # fmt: skip


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Twenty people with a loss on the left of the first ten; one more moved too much."""
    folder, rng = tmp_path_factory.mktemp("group"), np.random.default_rng(5)
    place = np.linalg.norm(np.indices(SHAPE).T - np.array([4, 8, 8]), axis=-1).T < 3.1
    slope = np.linalg.norm(np.indices(SHAPE).T - np.array([13, 10, 8]), axis=-1).T < 3.1
    lines, maps, masks, metrics = [HEADER], {}, {}, {}
    for k in range(22):
        subject, group = f"{k:02d}", "DRE" if k < 11 else "HC"
        values = ndimage.gaussian_filter(rng.normal(size=SHAPE), 1.3)
        values = values / values.std() - (3.5 * place if group == "DRE" else 0)
        if group == "DRE":
            values = values + 1.2 * (k - 5) * slope
        mask = np.zeros(SHAPE, bool)
        mask[1:-1, 1:-1, 1:-1] = True
        maps[subject] = folder / f"{subject}_map.nii.gz"
        masks[subject] = folder / f"{subject}_mask.nii.gz"
        metrics[subject] = folder / f"{subject}.json"
        save(maps[subject], values, AFFINE)
        save(masks[subject], mask, AFFINE)
        moved = {"excluded": k == 10, "reasons": ["12.0 % spikes"] if k == 10 else []}
        write_json(metrics[subject], {"mean_fd_mm": rng.random() / 10, **moved})
        told = (f"{k}", "TLE" if k % 2 else "other") if group == "DRE" else ("n/a", "n/a")
        three = "DSE" if k >= 17 else group
        person = (rng.integers(20, 50), rng.choice(["F", "M"]), *told, three)
        lines.append("\t".join(map(str, (f"sub-{subject}", group, *person))))
    (folder / "participants.tsv").write_text("\n".join(lines) + "\n")
    labels = np.ones(SHAPE, np.int32)
    labels[9:] = 2
    labels[:, :, 0] = 3
    save(folder / "atlas.nii.gz", labels, AFFINE)
    (folder / "atlas.tsv").write_text("index\tname\n1\tHalf_L\n2\tHalf_R\n3\tFloor\n")
    return folder, {"maps": maps, "masks": masks, "metrics": metrics}


def run(study, name, **changes):
    folder, inputs = study
    outputs = {key: folder / f"{name}_{key}{end}" for key, end in MAPS.items()}
    given = {
        "participants": folder / "participants.tsv", "atlas": folder / "atlas.nii.gz",
        "atlas_labels": folder / "atlas.tsv",
    }  # fmt: skip
    call(group_map_stage, **{**inputs, **given, **outputs, **SETTINGS, **changes})
    return outputs


@pytest.fixture(scope="module")
def outputs(study):
    return run(study, "first")


def rows(path):
    with path.open() as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def test_planted_loss_is_in_the_table(outputs):
    first = rows(outputs["table"])[0]
    assert first["region"] == "Half_L"
    assert float(first["t"]) < -5
    assert float(first["x_mm"]) < 0
    assert float(first["p_extent"]) <= 0.05
    t = load(outputs["t_map"]).data
    assert t.min() == pytest.approx(float(first["t"]), rel=1e-4)


def test_decisions_of_somebody_are_obeyed(study):
    folder, _ = study
    decisions = folder / "decisions.tsv"
    decisions.write_text("participant_id\tinclude\treason\nsub-03\tno\twrap\nsub-10\tyes\tn/a\n")
    found = run(study, "decided", decisions=decisions, n_permutations=30)
    summary = json.loads(found["summary"].read_text())
    assert summary["left_out"] == {"03": "left out by hand: wrap", "10": "12.0 % spikes"}


def test_summary_says_who_and_how(outputs):
    summary = json.loads(outputs["summary"].read_text())
    assert summary["group_sizes"] == {"DRE": 10, "HC": 11}
    assert summary["left_out"] == {"10": "12.0 % spikes"}
    assert summary["columns"] == ["DRE - HC", "mean", "age", "sex", "mean_fd_mm"]
    assert 8 < summary["dof"] < 21 - 5  # Welch, five columns
    assert summary["flipped"] and summary["options"]["variance"] == "groups"
    (ratio,) = summary["variance"]
    assert (ratio["first"], ratio["second"]) == ("DRE", "HC") and 0.3 < ratio["median"] < 3
    assert {row["covariate"] for row in summary["orthogonality"]} == {"age", "sex", "mean_fd_mm"}
    assert summary["fsl"]["least_cluster_voxels"] > 0
    assert summary["significant"]["extent"] == 1


def test_print_forms_hold_the_rows_below_what_explains_them(outputs):
    first, summary = rows(outputs["table"])[0], json.loads(outputs["summary"].read_text())
    for key, limit in (("table_latex", r"P \textless{} 0.001"), ("table_html", "P &lt; 0.001")):
        text = outputs[key].read_text()
        assert limit in text
        assert "Regional homogeneity: DRE - HC" in text
        least = summary["fsl"]["least_cluster_voxels"]
        assert f"least cluster by random fields (FSL): {least} voxels" in text
        assert f"{float(first['t']):.3g}" in text
    wide = np.array(summary["fsl"]["fwhm_mm"]) / summary["fsl"]["fwhm_voxels"]
    assert wide == pytest.approx([4.0, 4.0, 4.0])
    assert "Half_L" in outputs["table_html"].read_text()
    assert r"Half\_L" in outputs["table_latex"].read_text()


def test_permutation_p_comes_with_its_error(outputs):
    first, summary = rows(outputs["table"])[0], json.loads(outputs["summary"].read_text())
    p = float(first["p_extent"])
    assert float(first["error_extent"]) == pytest.approx(np.sqrt(p * (1 - p) / 100), rel=1e-5)
    assert summary["monte_carlo_error"] == pytest.approx(np.sqrt(0.05 * 0.95 / 100))
    assert summary["least_p"]["extent"] == pytest.approx(p)


def test_motion_is_correlated_with_maps_that_moved(study, outputs, tmp_path):
    motion = json.loads(outputs["summary"].read_text())["motion"]
    assert motion["n"] == 21
    assert -1 < motion["low"] < motion["median"] < motion["high"] < 1
    still = {s: tmp_path / f"{s}.json" for s in study[1]["metrics"]}
    for path in still.values():
        write_json(path, {"tiv_ml": 1400.0})
    without = run(study, "still", metrics=still, measures=[])
    assert json.loads(without["summary"].read_text())["motion"] is None


def test_profile_lists_every_region(outputs):
    profile = rows(outputs["profile"])
    assert [row["name"] for row in profile] == ["Half_L", "Half_R", "Floor"]
    assert float(profile[0]["mean_t"]) < float(profile[1]["mean_t"]) - 0.2
    assert profile[2]["mean_t"] == "n/a"


def test_same_seed_gives_the_same_bytes(study, outputs):
    again = run(study, "again")
    for key in ("t_map", "p_tfce_map", "table", "table_latex", "table_html", "profile"):
        assert again[key].read_bytes().replace(b"again", b"first") == outputs[key].read_bytes()


def test_grey_matter_needs_no_masks(study):
    outputs = run(study, "gmv", masks=None, least_value=0.2, measures=[])
    chosen = [load(study[1]["maps"][f"{k:02d}"]).data for k in range(22) if k != 10]
    above = int((np.mean(chosen, axis=0) > 0.2).sum())
    assert 100 < above < np.prod(SHAPE)
    assert json.loads(outputs["summary"].read_text())["mask_voxels"] == above


def changed(study, name, stage, endings, **changes):
    """Run another stage on the study's files."""
    folder, inputs = study
    outputs = {key: folder / f"{name}_{key}{end}" for key, end in endings.items()}
    given = {"participants": folder / "participants.tsv", **SETTINGS, **changes}
    given |= {"atlas": folder / "atlas.nii.gz", "atlas_labels": folder / "atlas.tsv"}
    call(stage, **inputs, **taken(stage, given), **outputs)
    return outputs


def test_one_kind_of_patients_is_compared_with_the_controls(study):
    kept = {"controls": "HC", "subgroup_column": "epilepsy_type", "subgroup": "TLE"}
    outputs = changed(study, "kind", subgroup_map_stage, MAPS, **kept)
    assert json.loads(outputs["summary"].read_text())["group_sizes"] == {"DRE": 5, "HC": 11}
    assert float(rows(outputs["table"])[0]["t"]) < -4
    with pytest.raises(InputError, match="epilepsy_type: nobody is of this subgroup .*IGE"):
        changed(study, "x", subgroup_map_stage, MAPS, **{**kept, "subgroup": "IGE"})
    with pytest.raises(InputError, match="lacks the column of subgroups .found: kind"):
        changed(study, "x", subgroup_map_stage, MAPS, **{**kept, "subgroup_column": "kind"})


def test_a_slope_is_found_where_it_was_planted(study):
    groups = {"predictor": "duration", "groups": ("DRE", "HC")}
    outputs = changed(study, "slope", regression_map_stage, MAPS, **groups, columns=[])
    summary = json.loads(outputs["summary"].read_text())
    assert summary["group_sizes"] == {"DRE": 10, "HC": 0}
    assert summary["columns"] == ["duration", "mean", "mean_fd_mm"]
    first = rows(outputs["table"])[0]
    assert (first["region"], first["sign"]) == ("Half_R", "1")
    with pytest.raises(InputError, match="weight: too few people have a value"):
        changed(study, "x", regression_map_stage, MAPS, **{**groups, "predictor": "weight"})


def test_beside_a_slope_people_keep_the_mean_of_their_group(study):
    groups = {"predictor": "age", "groups": ("DRE", "HC"), "n_permutations": 20}
    outputs = changed(study, "kept", regression_map_stage, MAPS, **groups, columns=["sex"])
    found = read_person_maps(outputs["person_maps"])
    columns = json.loads(outputs["summary"].read_text())
    design = dict(zip(columns["columns"], np.array(columns["design"]).T, strict=True))
    for name in ("age", "HC"):
        np.testing.assert_allclose(found.adjust @ design[name], design[name], atol=1e-9)
    assert np.ptp(found.adjust @ design["mean_fd_mm"]) < 1e-9
    # Everybody's map, to the rounding of the file.
    image = load(study[1]["maps"][found.people[3]])
    whole = np.full(SHAPE, np.nan)
    whole[found.mask] = found.coded.values()[:, 3]
    np.testing.assert_allclose(whole[found.mask], image.data[found.mask], atol=1e-3)


def test_any_difference_of_groups_is_found_by_f(study):
    endings = {"f_map": ".nii.gz", "p_map": ".nii.gz"}
    endings |= {
        key: MAPS[key] for key in ("table", "table_latex", "table_html", "summary", "person_maps")
    }
    groups = {"groups": ("DRE", "DSE", "HC"), "group_column": "three"}
    outputs = changed(study, "f", anova_stage, endings, **groups)
    summary = json.loads(outputs["summary"].read_text())
    assert summary["dof_effect"] == 2 and 5 < summary["dof"] < 21 - 6  # Welch's, fewer than 15
    one = changed(study, "f1", anova_stage, endings, **groups, variance="equal")
    assert json.loads(one["summary"].read_text())["dof"] == 21 - 6
    assert rows(outputs["table"])[0]["region"] == "Half_L"
    assert load(outputs["f_map"]).data.max() == pytest.approx(summary["largest_f"], rel=1e-5)
    with pytest.raises(InputError, match="group none: a group needs at least two"):
        changed(study, "x", anova_stage, endings, **{**groups, "groups": ("DRE", "none")})


@pytest.mark.parametrize("deviation", ["adjusted", "plain"])
def test_patients_deviate_where_the_loss_is_and_controls_do_not(study, deviation):
    groups = {
        "patients": ("DRE",), "controls": "HC", "deviation": deviation,
        "subgroup_column": "epilepsy_type", "kinds": ("TLE", "IGE"),
    }  # fmt: skip
    endings = {"index": "_maps.tsv", "summary": ".json"}
    outputs = changed(study, deviation, deviation_stage, endings, **groups)
    listed, summary = rows(outputs["index"]), json.loads(outputs["summary"].read_text())
    assert len(listed) == 10
    place = np.linalg.norm(np.indices(SHAPE).T - np.array([4, 8, 8]), axis=-1).T < 3.1
    for row in listed:
        z = load(outputs["index"].with_name(row["map"])).data
        assert z[place].mean() < -1.5
    titles = {mean["title"]: mean for mean in summary["means"]}
    assert set(titles) == {"DRE", "DRE, TLE"}
    assert titles["DRE, TLE"]["n"] == 5
    mean = load(outputs["index"].with_name(titles["DRE"]["map"])).data
    assert place.ravel()[mean.argmin()]
    assert summary["controls_beyond_percent"] == pytest.approx(5.0, abs=3.0)
    assert summary["differences"] == []
    assert summary["covariates"] == ([] if deviation == "plain" else ["age", "sex", "mean_fd_mm"])


def test_labels_of_two_groups_of_patients_are_permuted(study):
    groups = {
        "patients": ("DRE", "DSE"), "controls": "HC", "group_column": "three",
        "deviation": "adjusted", "subgroup_column": "epilepsy_type", "kinds": ("TLE", "IGE"),
    }  # fmt: skip
    endings = {"index": "_maps.tsv", "summary": ".json"}
    outputs = changed(study, "labels", deviation_stage, endings, **groups)
    (found,) = json.loads(outputs["summary"].read_text())["differences"]
    assert found["title"] == "DRE - DSE"
    assert found["n"] == [10, 5]
    assert found["p"] <= 0.05 and found["t"] < -4
    assert found["region"] == "Half_L"
    point = np.linalg.inv(AFFINE) @ [*found["peak_mm"], 1]
    assert np.linalg.norm(point[:3] - [4, 8, 8]) < 4
    assert found["p_error"] == pytest.approx(np.sqrt(found["p"] * (1 - found["p"]) / 100))
    t = load(outputs["index"].with_name(found["map"])).data
    assert t.min() == pytest.approx(found["t"], rel=1e-5)
    untested = changed(study, "off", deviation_stage, endings, **groups, n_permutations=1)
    assert json.loads(untested["summary"].read_text())["differences"] == []


def test_bad_input_is_named(study, tmp_path):
    with pytest.raises(InputError, match="group TLE: a group needs at least two"):
        run(study, "x", first="TLE", second="IGE")
    _, inputs = study
    save(tmp_path / "small.nii.gz", np.ones((4, 4, 4)), AFFINE)
    with pytest.raises(InputError, match="different grids"):
        run(study, "x", maps={**inputs["maps"], "03": tmp_path / "small.nii.gz"})
    with pytest.raises(InputError, match="tiv_ml was not measured"):
        run(study, "x", measures=["tiv_ml"])
    with pytest.raises(InputError, match="age: a covariate is missing .*sub-01"):
        encode("age", {"01": None, "02": "3"})
    with pytest.raises(InputError, match="two of them"):
        encode("site", {"1": "a", "2": "b", "3": "c"})
