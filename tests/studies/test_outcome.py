"""The group level of the signature study, on a planted cohort and the published patients."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace

import numpy as np
import pytest

from falx.cli.main import main
from falx.core.errors import FalxNotice, InputError, OptionError
from falx.core.multiplicity import holm
from falx.studies.outcome.coding import read_outcomes
from falx.studies.outcome.cohort import Cohort, published_cohort
from falx.studies.outcome.columns import Columns
from falx.studies.outcome.files import read_cohort
from falx.studies.outcome.outcome import OutcomeSettings, study_outcome
from falx.studies.outcome.page import outcome_page
from falx.studies.outcome.rates import RateCurves, cohort_threshold, nested_threshold
from falx.studies.outcome.summary import summary_lines
from falx.studies.outcome.tables import TABLES
from studies.outcome_cohort import QUICK, THRESHOLD, write_cohort, write_finished_participants


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    return write_cohort(tmp_path_factory.mktemp("cohort"))


@pytest.fixture(scope="module")
def found(planted):
    return study_outcome(read_cohort(*planted), QUICK)


@pytest.fixture(scope="module")
def published():
    return study_outcome(published_cohort(), QUICK)


def test_cohort_is_joined_from_records_and_table(planted):
    cohort = read_cohort(*planted)
    assert len(cohort.subjects) == 40
    assert cohort.values["left_side"].tolist() == [0.0, 1.0] * 20
    assert cohort.values["seeg"].sum() == 10
    assert np.isnan(cohort.values["ai_gm"][3])
    assert cohort.has("hippocampus_mm3", "tiv_mm3")
    assert np.isfinite(cohort.values["dice_raters"]).sum() == 5
    assert {rule: curves.scale for rule, curves in cohort.curves.items()} == {
        "default": "proportional", "published": "z5",
    }  # fmt: skip
    assert cohort.complete("ai_gm").sum() == 39


def test_patients_without_outcome_are_left_out_with_a_reason(planted, tmp_path):
    numbers, participants = planted
    text = participants.read_text(encoding="utf-8").replace("sub-39", "sub-99")
    lines = text.splitlines()
    cells = lines[1].split("\t")
    cells[3] = "n/a"
    table = tmp_path / "participants.tsv"
    table.write_text("\n".join([lines[0], "\t".join(cells), *lines[2:]]), encoding="utf-8")
    with pytest.warns(FalxNotice, match="left out of the group"):
        cohort = read_cohort(numbers, table)
    assert cohort.excluded == {"00": "no entry under outcome yet", "39": "not in participants.tsv"}
    assert len(cohort.subjects) == 38


def test_an_unreadable_outcome_is_refused(planted):
    with pytest.raises(InputError, match="write 1 or yes for free of seizures"):
        read_cohort(*planted, settings=OutcomeSettings(outcome_coding="seizure_free"))
    with pytest.raises(InputError, match="no column 'engel', which the configuration names"):
        read_cohort(*planted, columns=Columns(outcome="engel"))


@pytest.mark.parametrize(
    ("cells", "header", "free"),
    [
        (["1", "3"], "outcome", [True, False]),
        (["1", "0"], "outcome", [True, False]),
        (["ILAE 1", "ILAE class 4"], "outcome", [True, False]),
        (["1a", "2"], "ilae", [True, False]),
        (["yes", "no"], "seizure_free", [True, False]),
        (["1.0", "1"], "seizure_free", [True, True]),
        (["1", "1"], "ILAE", [True, True]),
    ],
)
def test_codings_of_the_outcome(cells, header, free):
    found = read_outcomes({str(i): text for i, text in enumerate(cells)}, header)
    assert list(found.values()) == free


@pytest.mark.parametrize(
    ("cells", "header", "match"),
    [
        (["1", "1"], "outcome", "whether 1 means ILAE class 1 or free of seizures"),
        (["IA", "1", "3"], "ilae", "sub-0, column ilae .* cannot be read .*'IA'.*Engel"),
        (["7", "3"], "ilae", "write the ILAE class, 1 to 6"),
        (["good", "bad"], "outcome", "found: 'good'.*1 or yes for free"),
    ],
)
def test_outcomes_that_say_nothing_are_refused(cells, header, match):
    with pytest.raises(InputError, match=match):
        read_outcomes({str(i): text for i, text in enumerate(cells)}, header)


def test_ilae_class_2_may_count_as_free():
    assert read_outcomes({"1": "2", "2": "3"}, "ilae", highest_free=2) == {"1": True, "2": False}


def _changed(planted, tmp_path, change):
    numbers, participants = planted
    table = tmp_path / "participants.tsv"
    table.write_text(change(participants.read_text(encoding="utf-8")), encoding="utf-8")
    return numbers, table


def test_one_class_is_said_and_no_outcome_refused(planted, tmp_path):
    def all_free(text):
        first, *rest = text.splitlines()
        cells = [line.split("\t") for line in rest]
        lines = ["\t".join([*row[:3], "1", *row[4:]]) for row in cells]
        return "\n".join([first.replace("outcome", "ilae"), *lines])

    with pytest.warns(FalxNotice, match="same outcome.*40 of 40 free of seizures"):
        cohort = read_cohort(*_changed(planted, tmp_path, all_free))
    assert cohort.seizure_free.all()
    with pytest.raises(InputError, match="the table says no outcome.*or name yours with"):
        read_cohort(*_changed(planted, tmp_path, lambda text: text.replace("outcome", "result")))


def test_cells_that_are_no_numbers_are_said_and_left_out(planted, tmp_path):
    numbers, table = _changed(
        planted, tmp_path, lambda text: text.replace("sub-01\tM\tL", "sub-01\tM\tbilateral")
    )
    with pytest.warns(FalxNotice, match="sub-01: side is neither a number nor a known word"):
        cohort = read_cohort(numbers, table)
    assert cohort.values["left_side"][1] == 1.0  # the participant level knows the side


def test_patients_whose_segmentation_failed_are_left_out(planted, tmp_path):
    numbers, participants = planted
    record = json.loads(numbers["07"].read_text(encoding="utf-8"))
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps(record | {"failed_checks": ["sides"]}), encoding="utf-8")
    with pytest.warns(FalxNotice, match="sub-07: left out of the group: quality check failed"):
        cohort = read_cohort({**numbers, "07": bad}, participants)
    assert "07" not in cohort.subjects


def test_the_cohorts_own_threshold(found):
    default, published = found.thresholds
    known = found.cohort.values["ai_pet"]
    assert default.threshold == pytest.approx(float(np.median(known)))
    assert published.threshold == pytest.approx(0.9 * default.threshold)
    assert default.ci_low < default.threshold < default.ci_high
    # The planted curves have the same share ablated at every threshold.
    np.testing.assert_allclose(default.rates, found.cohort.values["rate_hippocampus"])
    own = next(part for part in found.cuts if part.name == "rate_hippocampus_own")
    assert found.held_out(own) is default.nested
    assert default.nested.balanced_accuracy == pytest.approx(
        own.nested.balanced_accuracy, abs=0.03
    )


def test_the_threshold_is_taken_from_the_training_patients_only(rng):
    # Rates tell the outcomes apart at the threshold -0.2 and are noise at -0.1.
    n = 40
    event = np.arange(n) % 2 == 0
    cuts = np.array([-0.3, -0.2, -0.1])
    informative = np.where(event, 0.9, 0.1)[:, None]
    noise = rng.uniform(0, 1, n)[:, None]
    whole = np.full((n, 3), 100.0)
    took = whole * np.concatenate([informative, informative, noise], axis=1)
    curves = RateCurves(
        "z5", np.full(n, -0.1), cuts, {"hippocampus": whole}, {"hippocampus": took}
    )
    assert abs(nested_threshold(curves, event, rng=rng).balanced_accuracy - 0.5) < 0.15
    at_the_informative_cut = replace(curves, asymmetry=np.full(n, -0.2))
    assert nested_threshold(at_the_informative_cut, event, rng=rng).balanced_accuracy == 1.0


def test_patients_without_signature_are_counted_not_called(rng):
    n = 20
    event = np.arange(n) % 2 == 0
    whole = np.full((n, 2), 100.0)
    whole[3] = 0.0
    took = whole * np.where(event, 0.9, 0.1)[:, None]
    tables = {"hippocampus": whole}, {"hippocampus": took}
    curves = RateCurves("z5", np.full(n, -0.15), np.array([-0.2, -0.1]), *tables)
    own = cohort_threshold(curves, event, rule="published", n_resamples=50, rng=rng)
    assert own.without_signature == 1
    assert own.nested.skipped == 200
    assert own.nested.balanced_accuracy == 1.0
    with pytest.raises(InputError, match="the rate is not known at this threshold"):
        curves.rates("hippocampus", -0.01)


def test_the_planted_relation_is_found(found):
    study = found
    cut = next(part for part in study.cuts if part.name == "rate_hippocampus")
    assert cut.area.ci_low > 0.7
    assert cut.best.threshold == pytest.approx(THRESHOLD, abs=0.08)
    assert cut.permutation.p < 0.01
    assert cut.nested.balanced_accuracy > 0.75
    models = {m.name: m for m in study.models}
    assert models["rate_hippocampus"].likelihood.p_wald < 0.01
    assert models["ai_gm"].n_missing == 1
    first = study.additive.study.names[int(np.argmax(study.additive.study.mean_absolute_shapley))]
    assert first == "hippocampus_mm3"


def test_without_a_relation_nothing_is_claimed(planted):
    cohort = read_cohort(*planted)
    shuffled = np.random.default_rng(8).permutation(cohort.seizure_free)
    names = ("rate_hippocampus", "ai_flair")
    values = {name: cohort.values[name] for name in names}
    study = study_outcome(replace(cohort, seizure_free=shuffled, values=values), QUICK)
    cut = next(part for part in study.cuts if part.name == "rate_hippocampus")
    assert cut.area.ci_low < 0.5 < cut.area.ci_high
    assert cut.permutation.p > 0.05
    page = outcome_page(study)
    assert "the interval includes chance" in page
    assert "does not differ demonstrably" in page


def test_the_published_patients_have_every_part(published):
    assert [g.name for g in published.modalities] == ["ai_gm", "ai_flair", "ai_pet"]
    assert {(i.name, i.measure) for i in published.increments} == {
        ("rate_hippocampus", "ablation_voxels"), ("ai_pet", "ablation_voxels"),
    }  # fmt: skip
    p = [m.p for m in published.family]
    assert len(p) == 8
    assert [m.holm for m in published.family] == pytest.approx(holm(p))
    assert published.family[4].p == published.cuts[0].permutation.p
    assert [s.name for s in published.splines][-1] == "rate_hippocampus"
    assert {c.name for c in published.cuts} == {"rate_hippocampus", "ai_pet"}
    assert published.refused == ()
    assert "323 patients by Riley" in " ".join(published.warnings)


def test_the_page_tells_the_truth_of_its_intervals(published):
    page = outcome_page(published)
    for said in (
        "The asymmetry of PET is lower in patients who were not seizure free",
        "The ablative rate of the hippocampus does not differ demonstrably",
        "the interval includes chance (0.5)",
        "A cut chosen on the same patients makes these P values too small",
        "A straight line describes the asymmetry of grey matter as well as a curve",
        "at least as well as",
        "The data do not contradict the literature",
        "if the true odds ratio per SD of the rate is",
        "In made-up cohorts like this one the 95 % interval holds",
    ):
        assert said in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert page.count("data:image/png") >= 12


def test_a_cohort_with_too_little_says_so():
    free = np.array([True, True, True, True, False])
    values = {"rate_hippocampus": np.array([0.5, 0.6, 0.7, 0.8, 0.2]), "ai_pet": np.full(5, -0.1)}
    study = study_outcome(Cohort(tuple("abcde"), free, values, "five patients"), QUICK)
    assert study.models == study.splines == study.cuts == ()
    assert "4 became seizure free and 1 did not" in study.refused[0]
    page = outcome_page(study)
    assert "What can and cannot be said" in page
    assert "sub-e" in page
    assert "ablative rate of the hippocampus" in page


def test_one_part_does_not_move_the_numbers_of_another(found):
    values = {"rate_hippocampus": found.cohort.values["rate_hippocampus"]}
    part = study_outcome(replace(found.cohort, values=values), QUICK)
    assert found.cuts[0].nested == part.cuts[0].nested
    assert found.cuts[0].stability == part.cuts[0].stability


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Dataset and outputs of 24 patients after the group level, run as a user would."""
    folder = tmp_path_factory.mktemp("finished")
    bids, out = folder / "bids", folder / "out"
    write_finished_participants(bids, out)
    words = ["signature", str(bids), str(out), "group", "--serial", "--group-resamples=60",
             "--group-permutations=100", "--group-iterations=10"]  # fmt: skip
    return bids, out, words, main(words)


def _table(out, name):
    with (out / f"group/desc-{name}_outcome.tsv").open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def test_the_group_level_runs_from_the_command_line(finished):
    _, out, _, code = finished
    assert code == 0
    results = json.loads((out / "group/desc-results_outcome.json").read_text(encoding="utf-8"))
    assert results["settings"]["n_resamples"] == 60
    assert len(results["subjects"]) == 24
    assert results["excluded"] == {"99": "was not run"}
    assert [row["score"] for row in _table(out, "cuts")] == [
        "rate_hippocampus", "rate_hippocampus_published", "ai_pet", "rate_hippocampus_own",
        "ai_pet_z5", "rate_mesial_temporal",
    ]  # fmt: skip
    assert [row["rule"] for row in _table(out, "thresholds")] == ["default", "published"]
    assert len(_table(out, "patients")) == 24
    assert {row["variable"] for row in _table(out, "table1")} >= {
        "sex (male)",
        "SEEG implantation",
    }
    assert _table(out, "volumes")[0]["predictor"] == "hippocampus_mm3"
    curves = {row["variable"]: row for row in _table(out, "curves")}
    assert {"ai_gm", "ai_flair", "ai_pet", "rate_hippocampus_own"} <= set(curves)
    page = (out / "group.html").read_text(encoding="utf-8")
    for said in ("Two raters", "Threshold of the signature", "was not run", "<!doctype html>"):
        assert said in page


def test_the_group_level_finds_what_is_planted(finished):
    _, out, _, _ = finished
    cut = _table(out, "cuts")[0]
    assert abs(float(cut["cut_best"]) - THRESHOLD) < 0.1
    assert float(cut["auc_low"]) > 0.6
    assert float(cut["p_best_cut"]) < 0.05
    assert float(cut["balanced_accuracy_nested"]) > 0.7


def test_the_group_level_is_not_done_twice_and_knows_its_table(finished, capsys):
    bids, _, words, _ = finished
    assert main(words) == 0
    assert "outcome" not in capsys.readouterr().out.replace("group.html", "")
    table = bids / "participants.tsv"
    table.write_text(table.read_text(encoding="utf-8").replace("outcome", "result"), "utf-8")
    assert main(words) == 1
    assert "the table says no outcome" in capsys.readouterr().out
    assert main([*words, "--columns-outcome=result"]) == 0


def test_a_group_without_participants_says_what_to_do(finished, tmp_path, capsys):
    bids, *_ = finished
    assert main(["signature", str(bids), str(tmp_path / "new"), "group", "--serial"]) == 2
    assert "run the participant level first" in capsys.readouterr().err


JARGON = re.compile(
    r"\barray|\bshape\b|falx\.[a-z]|\bx\d\b|\bnan\b|\binf\b|None|Traceback|_[a-z]|[a-z]_"
)
SMALL = [(1, 1), (1, 0), (2, 1), (3, 1), (4, 1), (5, 2), (6, 4), (8, 7), (8, 4), (9, 9), (9, 0)]


def _words(page):
    """Return the text of a page as its reader sees it, without styles, scripts and pictures."""
    body = re.sub(r"<(style|script)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return re.sub(r"<[^>]*>", " ", body)


def _small(n, n_free, rng):
    free = np.arange(n) < n_free
    names = ("ai_pet", "ai_gm", "rate_hippocampus", "age_years", "hippocampus_mm3", "ablation_mm3")
    values = {name: rng.uniform(0, 1, n) for name in names}
    return Cohort(tuple(f"{i:02d}" for i in range(n)), free, values, "few", {})


@pytest.mark.parametrize(("n", "n_free"), SMALL)
def test_small_cohorts_get_a_readable_page_without_a_test(n, n_free, rng):
    study = study_outcome(_small(n, n_free, rng), QUICK)
    assert not study.compared
    assert not any((study.models, study.splines, study.cuts, study.modalities, study.family))
    page = _words(outcome_page(study))
    assert not JARGON.findall(page)
    assert "None could be trusted".lower() in page.lower()
    assert not re.search(r"P [=<] |odds ratio \d|\d+ % interval", page)
    assert page.count("yes") >= n_free
    for rows in TABLES.values():
        rows(study)


def test_five_of_each_outcome_are_compared_in_plain_words(rng):
    study = study_outcome(_small(10, 5, rng), QUICK)
    assert study.compared
    page = _words(outcome_page(study))
    assert not JARGON.findall(page)
    assert "Summary" in page


def test_a_constant_and_a_sparse_column_are_left_out_in_words(published):
    cohort = published.cohort
    sparse = cohort.values["ai_flair"].copy()
    sparse[np.flatnonzero(~cohort.seizure_free)[4:]] = np.nan
    values = {**cohort.values, "seeg": np.ones(30), "ai_flair": sparse}
    study = study_outcome(replace(cohort, values=values), QUICK)
    said = " ".join(study.warnings)
    assert "SEEG implantation: the same value in all 30 patients" in said
    assert "asymmetry of FLAIR: known for 21 seizure-free and 4 other patients" in said
    assert {m.name for m in study.models}.isdisjoint({"seeg", "ai_flair"})
    assert [c.name for c in study.counts] == ["left_side"]
    assert not JARGON.findall(_words(outcome_page(study)))
    header, _ = TABLES["patients"](study)
    assert {"seeg", "ai_flair"} <= set(header)


def test_a_separated_number_gives_the_penalised_answer(published):
    cohort = published.cohort
    parted = np.where(cohort.seizure_free, 0.8, 0.2) + np.linspace(0, 0.1, 30)
    values = {**cohort.values, "rate_hippocampus": parted}
    study = study_outcome(replace(cohort, values=values), QUICK)
    curve = next(part for part in study.splines if part.name == "rate_hippocampus")
    assert curve.plain is None
    assert "runs to infinity. Penalised straight line: odds ratio" in curve.message
    part = next(i for i in study.increments if i.name == "rate_hippocampus")
    assert part.found.adjusted.penalised_only
    assert part.found.adjusted.p is None
    assert 0 < part.found.adjusted.p_penalised < 0.001
    page = _words(outcome_page(study))
    assert "separated; penalised P" in page
    assert not JARGON.findall(page)


def test_the_summary_says_the_figures_that_matter_in_ten_lines(published):
    lines = summary_lines(published)
    assert 6 <= len(lines) <= 10
    said = " ".join(lines)
    assert lines[0] == "30 patients, 21 seizure free (70%)."
    assert "percentage points" in said
    assert (
        "The asymmetry of PET adds nothing demonstrable to the ablation mask (voxels): P = 0.017 "
        "alone, P = 0.12 beside it (penalised); area under the curve 0.79 against 0.69, DeLong "
        "P = 0.39."
    ) in said
    assert "0.74 against 0.69, DeLong P = 0.80" in said
    assert "tests of the declared family" in said


def test_the_family_is_what_the_configuration_says(published):
    one = study_outcome(published.cohort, replace(QUICK, family=("group:ai_pet", "cut:ai_gm")))
    done, absent = one.family
    assert done.p == done.holm == one.modalities[2].welch.p
    assert (absent.p, absent.holm) == (None, None)
    for family, match in (
        (("ai_pet",), "cannot be read.*'ai_pet'.*group:ai_pet"),
        (("cut:ai_pet", "cut:ai_pet"), "named twice.*cut:ai_pet"),
    ):
        with pytest.raises(OptionError, match=match):
            OutcomeSettings(family=family)
