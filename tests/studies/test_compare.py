"""Maps that somebody has already, of any groups: the command from a table to its page."""

from __future__ import annotations

import json

import numpy as np
import pytest
import scipy
from scipy import ndimage

import browser
from falx.cli.main import main
from falx.core.errors import InputError
from falx.core.files import read_table
from falx.core.grid import Grid
from falx.data.priors import template
from falx.images.nifti import load, save
from falx.images.resample import resample
from falx.studies.compare.questions import questions_of

SHAPE = (14, 16, 14)
AFFINE = np.diag([10.0, 10.0, 10.0, 1.0])
AFFINE[:3, 3] = [-65.0, -100.0, -60.0]
PLACE = np.linalg.norm(np.indices(SHAPE).T - np.array([4, 6, 5]), axis=-1).T < 2.5


def write_maps(folder, groups, lowered, *, seed=1, more=""):
    """Write a map a person and the table; those of one group are lowered on the left."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    lines = ["participant_id\tmap\tgroup\tage\tperson" + ("\textra" if more else "")]
    for k, group in enumerate(groups):
        values = ndimage.gaussian_filter(rng.normal(size=SHAPE), 1.2)
        values = 5 + values / values.std() - 3.0 * PLACE * (group == lowered)
        values[:, :, 0] = 0.0
        save(folder / f"m{k}.nii.gz", values.astype(np.float32), AFFINE)
        row = [f"sub-{k:02d}", f"m{k}.nii.gz", group, rng.integers(20, 60), f"p{k // 2}"]
        lines.append("\t".join(map(str, row)) + (f"\t{more}" if more else ""))
    (folder / "maps.tsv").write_text("\n".join(lines) + "\n")
    return folder / "maps.tsv"


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """Three groups with names of their own, compared by the command; two people lack something."""
    folder = tmp_path_factory.mktemp("compare")
    table = write_maps(folder, ["TLE left", "FCD", "none"] * 8, "TLE left")
    text = table.read_text()
    table.write_text(text + "sub-98\tn/a\tFCD\t30\tq\nsub-99\tm0.nii.gz\tn/a\t30\tq\n")
    code = main(
        ["compare", str(table), "--out", str(folder / "out"), "--columns", "age",
         "--n-permutations", "200", "--measure", "Thickness", "--voxel-p", "0.005"]
    )  # fmt: skip
    assert code == 0
    return folder / "out"


def test_every_pair_and_any_difference_are_computed(three):
    rows = read_table(three / "results.tsv").records()
    assert [row["contrast"] for row in rows] == [
        "any difference of TLE left, FCD, none", "TLE left - FCD", "TLE left - none", "FCD - none",
    ]  # fmt: skip
    assert [int(row["passed"]) for row in rows] == [1, 1, 1, 0]
    assert {int(row["comparisons"]) for row in rows} == {4}
    for row in rows:
        assert float(row["p_times"]) == pytest.approx(min(1, 4 * float(row["least_p"])))


def test_the_cluster_lies_where_it_was_planted_and_on_its_side(three):
    t = load(three / "TLEleft_none_tmap.nii.gz")
    low = np.unravel_index(t.data.argmin(), SHAPE)
    assert PLACE[low]
    assert t.affine[0, 3] + t.affine[0, 0] * low[0] < 0
    row = read_table(three / "TLEleft_none_clusters.tsv").records()[0]
    assert float(row["x_mm"]) < 0 and float(row["t"]) < 0


def test_mirrored_maps_give_mirrored_results(three, tmp_path):
    folder = tmp_path / "mirrored"
    table = write_maps(folder, ["TLE left", "FCD", "none"] * 8, "TLE left")
    for k in range(24):
        image = load(folder / f"m{k}.nii.gz")
        save(folder / f"m{k}.nii.gz", image.data[::-1], AFFINE)
    choices = ["--columns", "age", "--n-permutations", "1", "--contrast", "TLE left", "none"]
    assert main(["compare", str(table), "--out", str(folder / "out"), *choices]) == 0
    mirrored = load(folder / "out" / "TLEleft_none_tmap.nii.gz").data
    np.testing.assert_allclose(
        mirrored[::-1], load(three / "TLEleft_none_tmap.nii.gz").data, atol=1e-5
    )
    assert not (folder / "out" / "any_difference_fmap.nii.gz").exists()


def test_values_of_people_are_the_means_of_their_maps(three):
    rows = read_table(three / "TLEleft_none_values.tsv").records()
    assert len(rows) == 16 and {row["cluster"] for row in rows} == {"1"}
    t = load(three / "TLEleft_none_tmap.nii.gz").data
    threshold = json.loads((three / "TLEleft_none_summary.json").read_text())["critical_t"]
    labels, _ = ndimage.label(t < -threshold, np.ones((3, 3, 3)))
    inside = labels == labels[np.unravel_index(t.argmin(), SHAPE)]
    for row in rows[:4]:
        k = int(row["participant_id"].removeprefix("sub-"))
        own = load(three.parent / f"m{k}.nii.gz").data
        assert float(row["mean"]) == pytest.approx(own[inside].mean(), rel=1e-5)
    by = {g: np.mean([float(r["adjusted"]) for r in rows if r["group"] == g])
          for g in ("TLE left", "none")}  # fmt: skip
    assert by["TLE left"] < by["none"] - 1


def test_the_page_says_who_is_missing_and_how_many_comparisons_there_were(three):
    text = (three / "index.html").read_text()
    assert "Thickness: 3 of 4 comparisons found a cluster that passes." in text
    assert "sub-98" in text and "no map in the table" in text
    assert "Thickness: TLE left - none" in text
    assert "not how large it is" in text


@pytest.fixture(scope="module")
def opened(three, chromium):
    started = chromium(browser.SOFTWARE)
    yield browser.open_page(started, three / "index.html")
    started.close()


@pytest.mark.skipif(browser.BROWSER is None, reason="there is no Chromium on this machine")
@pytest.mark.skipif(not browser.is_built(), reason="this installation has no live view")
def test_a_row_of_the_cluster_table_leads_to_its_place_and_shows_its_map(three, opened):
    row = read_table(three / "TLEleft_none_clusters.tsv").records()[0]
    name = "TLEleftnone-lower"
    line = opened.locator(f"tr[data-layer='{name}']").first
    line.focus()
    opened.keyboard.press("Enter")
    assert opened.locator(f"input[data-layer='{name}']").is_checked()
    place = [float(row[axis]) for axis in ("x_mm", "y_mm", "z_mm")]
    np.testing.assert_allclose(browser.place(opened), place, atol=0.1)
    assert browser.values(opened)[name] == pytest.approx(float(row["t"]), rel=0.02)
    assert opened.said == [] and len(opened.asked) == 1


def test_who_is_left_out_is_named_and_shapes_no_mask(tmp_path, capsys):
    """By the column of the table, or by a table of decisions: one idea, one list."""
    table = write_maps(tmp_path / "in", ["a", "b"] * 6, "a", more="n/a")
    lines = table.read_text().replace("extra", "exclude").splitlines()
    lines[1] = lines[1].removesuffix("n/a") + "tumour"
    table.write_text("\n".join(lines) + "\n")
    for k in (0, 1):  # nobody would be left with the lower half
        image = load(tmp_path / "in" / f"m{k}.nii.gz")
        half = image.data * (np.arange(SHAPE[2]) > 7)
        save(tmp_path / "in" / f"m{k}.nii.gz", half.astype(np.float32), AFFINE)
    decisions = tmp_path / "decisions.tsv"
    decisions.write_text("participant_id\tinclude\treason\nsub-01\tno\twrap\nsub-77\tno\tx\n")
    out = tmp_path / "out"
    words = ["compare", str(table), "--out", str(out), "--n-permutations", "20"]
    assert main([*words, "--decisions", str(decisions)]) == 0
    summary = json.loads((out / "a_b_summary.json").read_text())
    assert summary["left_out"].keys() == {"00", "01"}
    assert summary["left_out"]["00"].endswith(": tumour")
    assert summary["left_out"]["01"] == "left out by hand: wrap"
    assert load(out / "mask.nii.gz").data[:, :, 1:].all()
    page = (out / "index.html").read_text()
    assert "left out by hand: wrap" in page and "found: sub-77" in page
    decisions.write_text("participant_id\tkeep\nsub-01\tno\n")
    assert main([*words, "--decisions", str(decisions)]) != 0
    assert "has no column include" in capsys.readouterr().err


def people_shown(page):
    """Everybody's values as the next frame shows them."""
    page.evaluate(
        "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    )
    return json.loads(page.get_attribute("#falx-people", "data-values"))


def test_everybody_has_a_value_under_the_crosshair(three, opened):
    """Those of the maps themselves, and at the mean of age those of a regression."""
    browser.go(opened, [5.0, 0.0, 0.0])
    rows = [
        line.split("\t") for line in (three.parent / "maps.tsv").read_text().splitlines()[1:25]
    ]
    pair = [row for row in rows if row[2] in {"TLE left", "none"}]
    opened.locator("#falx-people select").select_option(label="Thickness, TLE left - none")
    opened.locator("input[data-people='adjusted']").uncheck()
    voxel = tuple(np.rint(np.linalg.inv(AFFINE) @ [*browser.place(opened), 1.0]).astype(int)[:3])
    maps = np.array([load(three.parent / row[1]).data[voxel] for row in pair])
    found = people_shown(opened)
    names = [row[0].removeprefix("sub-") for row in pair]
    assert set(found) == set(names)
    step = np.ptp(maps) / 254 + np.ptp(maps) / 60_000
    np.testing.assert_allclose([found[name] for name in names], maps, atol=step)
    opened.locator("input[data-people='adjusted']").check()
    ages = np.array([float(row[3]) for row in pair])
    first = np.array([row[2] == "TLE left" for row in pair], float)
    slope = np.linalg.lstsq(np.c_[first, np.ones(16), ages], maps, rcond=None)[0][2]
    even = maps - slope * (ages - ages.mean())
    found = people_shown(opened)
    np.testing.assert_allclose([found[name] for name in names], even, atol=3 * step)
    dots = opened.locator("#falx-people circle")
    assert dots.count() == 16
    opened.locator(f"button[data-person='{names[2]}']").click()
    browser.go(opened, [5.0, 10.0, 0.0])
    people_shown(opened)
    followed = opened.locator("#falx-people circle.falx-followed title")
    assert followed.text_content().startswith(names[2])


def test_a_place_that_was_not_compared_has_no_people(three, opened):
    browser.go(opened, [5.0, 10.0, -60.0])  # the lowest plane is 0 in every map
    assert people_shown(opened) is None
    assert "Outside of the voxels" in opened.text_content("#falx-people")
    browser.go(opened, [5.0, 10.0, 0.0])


def test_a_layer_shows_the_people_of_its_comparison(opened):
    opened.locator("input[data-layer='anydifference-higher']").set_checked(False)
    opened.locator("input[data-layer='anydifference-higher']").set_checked(True)
    assert len(people_shown(opened)) == 24
    assert opened.said == []


def test_the_mask_leaves_out_where_somebody_is_zero(three):
    mask = load(three / "mask.nii.gz").data
    assert not mask[:, :, 0].any() and mask[:, :, 1:].all()


def test_maps_that_are_not_in_template_space_are_told(three, tmp_path):
    assert "do not seem to lie in template space" in (three / "index.html").read_text()
    shape, affine = (16, 19, 16), np.diag([10.0, 10, 10, 1])
    affine[:3, 3] = [-75, -110, -70]
    brain = resample(template("brain"), Grid(shape, affine)) > 0.5
    rng, lines = np.random.default_rng(3), ["participant_id\tmap\tgroup"]
    for k in range(10):
        save(tmp_path / f"{k}.nii.gz", (5 + rng.normal(size=shape)) * brain, affine)
        lines.append(f"{k}\t{k}.nii.gz\t{'ab'[k % 2]}")
    (tmp_path / "t.tsv").write_text("\n".join(lines) + "\n")
    choices = ["--n-permutations", "1"]
    assert main(["compare", str(tmp_path / "t.tsv"), "--out", str(tmp_path / "o"), *choices]) == 0
    assert "do not seem" not in (tmp_path / "o" / "index.html").read_text()


def test_a_cluster_of_one_site_is_shown_to_be_one(tmp_path):
    table = write_maps(tmp_path, ["a", "b"] * 12, "a")
    lines = table.read_text().splitlines()
    sites = ["site"] + ["Oslo" if k < 12 else "Bonn" for k in range(24)]
    table.write_text("\n".join(f"{x}\t{y}" for x, y in zip(lines, sites, strict=True)) + "\n")
    for k in range(12, 24, 2):  # patients of Bonn have no loss
        image = load(tmp_path / f"m{k}.nii.gz")
        save(tmp_path / f"m{k}.nii.gz", image.data + 3.0 * PLACE, AFFINE)
    out = tmp_path / "out"
    assert main(["compare", str(table), "--out", str(out), "--site", "site", "--voxel-p", "0.01",
                 "--n-permutations", "200"]) == 0  # fmt: skip
    summary = json.loads((out / "a_b_summary.json").read_text())
    assert [(s["site"], s["people"]) for s in summary["sites"]] == [
        ("", 24), ("Oslo", 12), ("Bonn", 12),
    ]  # fmt: skip
    whole, without_oslo, without_bonn = (s["mean_t"][0] for s in summary["sites"])
    assert whole < -3 and without_bonn < -5 and without_oslo > -2
    assert "a finding of that site" in (out / "index.html").read_text()


def test_a_person_as_factor_and_block_makes_the_paired_test(tmp_path):
    table = write_maps(tmp_path, ["before", "after"] * 7, "after")
    code = main(
        ["compare", str(table), "--out", str(tmp_path / "out"), "--columns", "person",
         "--blocks", "person", "--variance", "equal", "--n-permutations", "100"]
    )  # fmt: skip
    assert code == 0
    t = load(tmp_path / "out" / "before_after_tmap.nii.gz").data
    maps = np.stack([load(tmp_path / f"m{k}.nii.gz").data for k in range(14)])
    inside = (maps != 0).all(axis=0)
    expected = scipy.stats.ttest_rel(maps[::2][:, inside], maps[1::2][:, inside]).statistic
    np.testing.assert_allclose(t[inside], expected, rtol=1e-4, atol=1e-5)


def refused(arguments, capsys):
    assert main(["compare", *map(str, arguments)]) == 2
    return capsys.readouterr().err


def test_bad_tables_are_refused_in_a_sentence(tmp_path, capsys):
    table = write_maps(tmp_path, ["a", "b"] * 4, "a")
    out = tmp_path / "out"
    said = refused([table, "--out", out, "--columns", "iq"], capsys)
    assert "maps.tsv: the table of maps lacks a column (found: iq)" in said and "age" in said
    said = refused([table, "--out", out, "--contrast", "a", "c"], capsys)
    assert "--contrast" in said and "choose from a, b" in said
    said = refused([table, "--out", out, "--contrast", "a", "a"], capsys)
    assert "compared with itself" in said
    (tmp_path / "m3.nii.gz").unlink()
    said = refused([table, "--out", out], capsys)
    assert "m3.nii.gz" in said and "n/a leaves somebody out" in said
    assert not out.exists()


def test_maps_of_other_grids_are_refused_by_name(tmp_path, capsys):
    table = write_maps(tmp_path, ["a", "b"] * 4, "a")
    save(tmp_path / "m5.nii.gz", np.ones((5, 5, 5), np.float32), AFFINE)
    said = refused([table, "--out", tmp_path / "out"], capsys)
    assert "the map of 05" in said


def test_one_map_of_two_people_is_refused(tmp_path, capsys):
    table = write_maps(tmp_path, ["a", "b"] * 4, "a")
    (tmp_path / "m6.nii.gz").write_bytes((tmp_path / "m1.nii.gz").read_bytes())
    said = refused([table, "--out", tmp_path / "out"], capsys)
    assert "one and the same map" in said and "01 and 06" in said


def test_maps_without_a_common_voxel_are_refused(tmp_path, capsys):
    table = write_maps(tmp_path, ["a", "b"] * 4, "a")
    for k, empty in enumerate((slice(None, 5), slice(5, None))):
        values = np.ones(SHAPE, np.float32)
        values[empty] = np.nan
        save(tmp_path / f"m{k + 2}.nii.gz", values, AFFINE)
    said = refused([table, "--out", tmp_path / "out"], capsys)
    assert "no voxel is finite in the maps of everybody, and not 0" in said


def test_a_map_that_holds_nothing_is_named(tmp_path, capsys):
    table = write_maps(tmp_path, ["a", "b"] * 4, "a")
    save(tmp_path / "m2.nii.gz", np.full(SHAPE, np.nan, np.float32), AFFINE)
    said = refused([table, "--out", tmp_path / "out"], capsys)
    assert "m2.nii.gz: a map holds nothing" in said


def test_a_comparison_that_fails_leaves_the_others(tmp_path):
    table = write_maps(tmp_path, ["a", "b"] * 5 + ["c", "c"], "a")
    assert main(["compare", str(table), "--out", str(tmp_path / "out"),
                 "--n-permutations", "50"]) == 0  # fmt: skip
    rows = read_table(tmp_path / "out" / "results.tsv").records()
    assert [row["contrast"] for row in rows] == ["a - b"]
    assert rows[0]["comparisons"] == "4"
    text = (tmp_path / "out" / "index.html").read_text()
    assert "a - c could not be computed" in text and "too small beside the other" in text


def test_questions_need_two_groups_and_distinct_names():
    with pytest.raises(InputError, match="nothing to compare"):
        questions_of({"1": "a", "2": "a"}, ())
    with pytest.raises(InputError, match="too many groups"):
        questions_of({str(k): f"g{k}" for k in range(6)}, ())
    with pytest.raises(InputError, match="same file names"):
        questions_of({"1": "a b", "2": "ab", "3": "c"}, (("a b", "c"), ("ab", "c")))
    assert len(questions_of({str(k): f"g{k}" for k in range(6)}, (("g0", "g5"),))) == 1
