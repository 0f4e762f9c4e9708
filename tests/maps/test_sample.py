"""Nobody leaves a comparison without a reason, however the table is written."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calling import call
from falx.core.errors import FalxNotice, InputError, OptionError
from falx.core.files import read_participants, write_json
from falx.core.participants import Participants, participants_of
from falx.core.tables import parse_table
from falx.images.nifti import load, save
from falx.maps.files import group_map_stage
from falx.maps.sample import Measured, encode, factor, of_other_kind, select_sample, without_value
from falx.maps.settings import MapModel, SampleSettings, Selection

SHAPE = (7, 7, 7)
OF_GROUPS = {"selection": Selection("group", ()), "groups": ("DRE", "HC")}


def table(*lines):
    text = "\n".join(["participant_id\tgroup\tsex\tage\tkind", *lines]) + "\n"
    return participants_of(parse_table(text, where="participants.tsv"))


def people_of(cells):
    rows = {s: {"group": g} for s, g in cells.items() if g}
    return Participants({s: rows.get(s, {}) for s in cells}, ("participant_id", "group"))


def test_blanks_about_a_group_lose_nobody():
    people = table("sub-01\tDRE \tF\t30\tTLE", "sub-02\t HC\tM\t31\tn/a")
    found = select_sample(["01", "02"], people, {}, **OF_GROUPS)
    assert (found.subjects, found.groups) == (("01", "02"), ("DRE", "HC"))
    assert found.left_out == {}


def test_everybody_who_is_not_compared_has_a_reason():
    people = table(
        "sub-01\tDRE\tF\t30\tTLE", "sub-02\tDRE2\tM\t31\tTLE", "sub-03\tn/a\tM\t31\tTLE",
        "sub-05\tHC\tM\t31\tn/a", "sub-06\tdre\tM\t31\tn/a",
    )  # fmt: skip
    metrics = {"05": Measured({}, True, ("12.0 % spikes", "rotation 4.00°"))}
    found = select_sample(["06", "05", "04", "03", "02", "01"], people, metrics, **OF_GROUPS)
    assert found.subjects == ("01",)
    assert found.left_out == {
        "02": "group 'DRE2' is not compared",
        "03": "no group in the participants table",
        "04": "no group in the participants table",
        "05": "12.0 % spikes; rotation 4.00°",
        "06": "group 'dre' is not compared",
    }


def test_who_is_excluded_in_the_table_is_left_out_with_the_reason_given_there():
    rows = ["sub-01\tHC\tno", "sub-02\tHC\tYES", "sub-03\tHC\tfell asleep", "sub-04\tHC\tn/a"]
    text = "\n".join(["participant_id\tgroup\tExclude", *rows]) + "\n"
    people = participants_of(parse_table(text, where="participants.tsv"))
    found = select_sample(["01", "02", "03", "04"], people, {}, **OF_GROUPS)
    assert found.subjects == ("01", "04")
    assert found.left_out == {
        "02": "excluded in participants.tsv",
        "03": "excluded in participants.tsv: fell asleep",
    }


@given(
    st.dictionaries(
        st.text("0123456789", min_size=1, max_size=3),
        st.sampled_from(["DRE", "HC", "DSE", "dre", ""]),
        min_size=1,
    ),
    st.sets(st.text("0123456789", min_size=1, max_size=3)),
    st.randoms(use_true_random=False),
)
def test_a_map_is_compared_or_its_owner_left_out(cells, without_row, shuffle):
    subjects = [*cells, *(without_row - cells.keys())]
    metrics = {s: Measured({}, shuffle.random() < 0.3) for s in subjects}
    shuffle.shuffle(subjects)
    found = select_sample(subjects, people_of(cells), metrics, **OF_GROUPS)
    assert sorted([*found.subjects, *found.left_out]) == sorted(subjects)
    assert all(found.left_out.values())
    assert found.subjects == tuple(sorted(found.subjects))
    assert all(cells[s] == g for s, g in zip(found.subjects, found.groups, strict=True))
    assert not any(metrics[s].excluded for s in found.subjects)


def test_people_of_another_kind_are_named_and_controls_stay():
    people = table(
        "sub-01\tDRE\tF\t30\tTLE", "sub-02\tDRE\tM\t31\tIGE", "sub-03\tDRE\tM\t31\tn/a",
        "sub-04\tHC\tM\t31\tn/a", "sub-05\tn/a\tM\t31\tIGE",
    )  # fmt: skip
    of = {"group_column": "group", "controls": "HC", "subgroup_column": "Kind", "subgroup": "TLE"}
    subjects = ["01", "02", "03", "04", "05"]
    out = of_other_kind(subjects, people, **of)
    assert out == {"02": "Kind 'IGE' is not 'TLE'", "03": "no Kind in the participants table"}
    found = select_sample(subjects, people, {}, **OF_GROUPS, already_out=out)
    assert found.subjects == ("01", "04")
    assert found.left_out == {**out, "05": "no group in the participants table"}
    with pytest.raises(InputError, match="nobody is of this subgroup .*FLE"):
        of_other_kind(subjects, people, **{**of, "subgroup": "FLE"})
    with pytest.raises(InputError, match="lacks the column of subgroups .found: type"):
        of_other_kind(subjects, people, **{**of, "subgroup_column": "type"})


def test_a_slope_leaves_out_who_has_no_value():
    people = table("sub-01\tDRE\tF\t30\tTLE", "sub-02\tDRE\tM\tNA\tTLE")
    assert without_value(["01", "02", "03"], people, "age") == {
        "02": "no age in the participants table",
        "03": "no age in the participants table",
    }


def test_what_r_writes_for_nothing_is_no_second_sex():
    people = table("sub-01\tDRE\tM\t30\tTLE", "sub-02\tHC\tNA\t31\tTLE", "sub-03\tHC\tF\t31\tTLE")
    chosen = Selection("group", ("sex",))
    with pytest.warns(FalxNotice, match="sex: people without a covariate .*1: sub-02"):
        found = select_sample(
            ["01", "02", "03"], people, {}, selection=chosen, groups=("DRE", "HC")
        )
    assert found.subjects == ("01", "03")
    assert found.left_out == {"02": "no sex in the participants table"}
    np.testing.assert_array_equal(found.covariates["sex"], [1.0, 0.0])
    with pytest.raises(InputError, match="sex: a covariate is missing .found: sub-02"):
        select_sample(["02"], people, {}, selection=chosen, groups=("DRE", "HC"))


def test_a_block_is_told_of_everybody_who_has_one():
    people = table("sub-01\tDRE\tM\t30\tTLE", "sub-02\tHC\tF\t31\tIGE", "sub-03\tHC\tF\t31\tn/a")
    chosen = Selection("group", (), "kind")
    with pytest.warns(FalxNotice, match="kind: people without .*1: sub-03"):
        found = select_sample(
            ["01", "02", "03"], people, {}, selection=chosen, groups=("DRE", "HC")
        )
    assert found.blocks == ("TLE", "IGE")
    assert found.left_out == {"03": "no kind in the participants table"}
    with pytest.raises(InputError, match="lacks the column of blocks .found: family"):
        select_sample(
            ["01"], people, {}, selection=Selection("group", (), "family"), groups=("DRE",)
        )


def test_a_measure_that_somebody_lacks_is_named():
    people = table("sub-01\tDRE\tM\t30\tTLE", "sub-02\tHC\tF\t31\tTLE")
    found = {"01": 0.1, "02": None}
    with pytest.raises(InputError, match="mean_fd_mm was not measured .found: 02"):
        select_sample(
            ["01", "02"], people, {s: Measured.of({"mean_fd_mm": v}) for s, v in found.items()},
            **OF_GROUPS, measures=("mean_fd_mm",),
        )  # fmt: skip


@given(st.lists(st.sampled_from(["F", "M"]), min_size=2, max_size=9))
def test_two_words_become_an_indicator_of_the_later_one(words):
    found = encode("sex", {str(k): word for k, word in enumerate(words)})
    later = max(words) if len(set(words)) == 2 else None
    np.testing.assert_array_equal(found, [float(word == later) for word in words])


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=9))
def test_numbers_stay_what_they_are(values):
    found = encode("age", {str(k): repr(value) for k, value in enumerate(values)})
    np.testing.assert_array_equal(found, values)


def test_three_words_are_no_slope():
    with pytest.raises(InputError, match="site: a column of words may have two of them"):
        encode("site", {"1": "a", "2": "b", "3": "c"})


@given(st.lists(st.sampled_from(["Bonn", "Oslo", "Rome", "Wien"]), min_size=3, max_size=12))
def test_each_word_but_the_first_has_a_column(words):
    found = factor("site", {str(k): word for k, word in enumerate(words)})
    levels = sorted(set(words))
    if len(levels) < 3:
        assert list(found) == ["site"]
        return
    assert list(found) == [f"site: {level}" for level in levels[1:]]
    for level in levels[1:]:
        expected = [float(word == level) for word in words]
        np.testing.assert_array_equal(found[f"site: {level}"], expected)


def test_numbers_and_words_together_are_no_factor():
    with pytest.raises(InputError, match="age: a covariate holds numbers and words .found: old"):
        factor("age", {"1": "30", "2": "31", "3": "old"})
    np.testing.assert_array_equal(factor("n", {"1": "3", "2": "1", "3": "2"})["n"], [3, 1, 2])


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_voxel_that_somebody_lacks_cannot_be_asked_for(share):
    with pytest.raises(OptionError, match=r"least_share: a voxel must lie in the masks of all"):
        MapModel(least_share=share)
    with pytest.raises(OptionError, match=r"other degrees of freedom than the rest"):
        SampleSettings(least_share=share)
    assert MapModel(least_share=1).least_share == 1.0


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Six people a group, one written with a blank and one whose mask lacks a voxel."""
    folder, rng = tmp_path_factory.mktemp("cohort"), np.random.default_rng(3)
    lines, inputs = ["participant_id\tgroup"], {"maps": {}, "masks": {}, "metrics": {}}
    for k in range(13):
        subject, group = f"{k:02d}", "DSE" if k == 12 else ("DRE" if k % 2 else "HC")
        mask = np.ones(SHAPE, bool)
        if k == 4:
            mask[3, 3, 3] = False
        lines.append(f"sub-{subject}\t{group}{' ' if k == 1 else ''}")
        for kind, files in inputs.items():
            end = ".json" if kind == "metrics" else ".nii.gz"
            files[subject] = folder / f"{subject}_{kind}{end}"
        save(inputs["maps"][subject], np.where(mask, rng.normal(5, 1, SHAPE), 0.0), np.eye(4))
        save(inputs["masks"][subject], mask, np.eye(4))
        write_json(inputs["metrics"][subject], {})
    (folder / "participants.tsv").write_text("\n".join(lines) + "\n")
    save(folder / "atlas.nii.gz", np.ones(SHAPE, np.int16), np.eye(4))
    (folder / "atlas.tsv").write_text("index\tname\n1\tWhole\n")
    return folder, inputs


def run(cohort, **changes):
    folder, inputs = cohort
    ends = {"t_map": ".nii.gz", "z_map": ".nii.gz", "p_tfce_map": "_pmap.nii.gz", "table": ".tsv",
            "table_latex": ".tex", "table_html": ".html", "profile": "_p.tsv", "values": "_v.tsv",
            "summary": "_s.json", "person_maps": "_people.npz"}  # fmt: skip
    outputs = {role: folder / f"{role}{end}" for role, end in ends.items()}
    given = {
        "participants": folder / "participants.tsv", "atlas": folder / "atlas.nii.gz",
        "atlas_labels": folder / "atlas.tsv", "group_column": "group", "columns": (),
        "measures": (), "head_size": "none", "least_share": 1.0, "least_value": 0.0,
        "voxel_p": 0.001, "cluster_p": 0.05, "n_permutations": 50, "listed_by": "extent",
        "variance": "groups", "tail": "counted", "blocks": "", "site": "", "harmonise": "none",
        "min_region_voxels": 2, "seed": 1, "first": "DRE", "second": "HC", "title": "T",
    }  # fmt: skip
    call(group_map_stage, **inputs, **outputs, **{**given, **changes})
    return outputs


def test_the_stage_keeps_the_person_with_a_blank_and_names_the_third_group(cohort):
    summary = json.loads(run(cohort)["summary"].read_text())
    assert summary["group_sizes"] == {"DRE": 6, "HC": 6}
    assert summary["left_out"] == {"12": "group 'DSE' is not compared"}


def test_a_voxel_that_one_mask_lacks_leaves_the_analysis(cohort):
    outputs = run(cohort)
    assert json.loads(outputs["summary"].read_text())["mask_voxels"] == np.prod(SHAPE) - 1
    assert load(outputs["t_map"]).data[3, 3, 3] == 0
    with pytest.raises(OptionError, match="least_share"):
        run(cohort, least_share=0.9)


def test_the_map_of_p_holds_p_and_nothing_outside(cohort):
    outputs = run(cohort)
    p, t = (load(outputs[name]).data for name in ("p_tfce_map", "t_map"))
    assert np.isnan(p[3, 3, 3])
    inside = np.isfinite(p)
    assert inside.sum() == p.size - 1
    assert p[inside].min() >= 1 / 50 and p[inside].max() <= 1
    sidecar = json.loads((cohort[0] / "p_tfce_map_pmap.json").read_text())
    assert sidecar["Units"] == "probability"
    assert "familywise P of TFCE by permutation" in sidecar["Description"]
    assert "NaN outside" in sidecar["Description"]
    assert 5 <= sidecar["DegreesOfFreedom"] <= 10  # Welch: of the smaller group, and of both
    # The largest |t| is rarer than the least, so its P is the smaller one.
    assert p[np.unravel_index(np.abs(t).argmax(), SHAPE)] < np.nanmedian(p)


def test_without_permutations_there_is_no_p(cohort):
    outputs = run(cohort, n_permutations=1)
    assert np.isnan(load(outputs["p_tfce_map"]).data).all()
    sidecar = json.loads((cohort[0] / "p_tfce_map_pmap.json").read_text())
    assert "nothing was computed" in sidecar["Description"]


def test_participants_are_read_once_for_all(tmp_path):
    path = tmp_path / "participants.tsv"
    path.write_bytes("\ufeffparticipant_id\tGroup\nsub-01\tDRE\u00a0\n".encode("utf-16"))
    people = read_participants(path)
    found = select_sample(["01"], people, {}, **OF_GROUPS)
    assert found.groups == ("DRE",)


def test_sites_that_are_groups_are_refused_by_name():
    header = ("participant_id", "group", "site")
    rows = {f"{k:02d}": {"group": "AB"[k % 2], "site": ("Bonn", "Ulm")[k % 2]} for k in range(8)}
    chosen = Selection(columns=(), site="site")

    def select(people):
        return select_sample(rows, people, {}, selection=chosen, groups=("A", "B"))

    with pytest.raises(InputError, match="no model can tell site from group .*Bonn: A; Ulm: B"):
        select(Participants(rows, header))
    shared = {**rows, "00": {"group": "B", "site": "Bonn"}}
    assert select(Participants(shared, header)).sites is not None
