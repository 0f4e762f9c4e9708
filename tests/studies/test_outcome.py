"""The group level of the signature study, on a planted cohort and the published patients."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from falx.errors import FalxNotice, InputError
from falx.studies.cohort import Cohort, published_cohort, read_cohort
from falx.studies.outcome import study_outcome
from falx.studies.outcome_page import outcome_page
from falx.studies.outcome_stage import outcome_stage
from studies.outcome_cohort import QUICK, THRESHOLD, write_cohort


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    return write_cohort(tmp_path_factory.mktemp("cohort"))


@pytest.fixture(scope="module")
def found(planted):
    return study_outcome(read_cohort(*planted, outcome_is_ilae=True), QUICK)


@pytest.fixture(scope="module")
def published():
    return study_outcome(published_cohort(), QUICK)


def test_cohort_is_joined_from_records_and_table(planted):
    cohort = read_cohort(*planted, outcome_is_ilae=True)
    assert len(cohort.subjects) == 40
    assert cohort.values["left_side"].tolist() == [0.0, 1.0] * 20
    assert cohort.values["seeg"].sum() == 10
    assert np.isnan(cohort.values["ai_gm"][3])
    assert cohort.has("hippocampus_mm3", "tiv_mm3")
    assert not cohort.has("dice_raters")
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
        cohort = read_cohort(numbers, table, outcome_is_ilae=True)
    assert cohort.excluded == {"00": "no outcome yet", "39": "not in participants.tsv"}
    assert len(cohort.subjects) == 38


def test_an_unreadable_outcome_is_refused(planted):
    with pytest.raises(InputError, match="use 1 for seizure free"):
        read_cohort(*planted)
    with pytest.raises(InputError, match="no outcome column 'engel'"):
        read_cohort(*planted, column_map={"outcome": "engel"})


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
    cohort = read_cohort(*planted, outcome_is_ilae=True)
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
    assert published.modality_holm[2] == pytest.approx(0.0454, abs=1e-4)
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
    ):
        assert said in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert page.count("data:image/png") >= 12


def test_a_cohort_with_too_little_says_so():
    free = np.array([True, True, True, True, False])
    values = {"rate_hippocampus": np.array([0.5, 0.6, 0.7, 0.8, 0.2]), "ai_pet": np.full(5, -0.1)}
    study = study_outcome(Cohort(tuple("abcde"), free, values, "five patients"), QUICK)
    assert {m.name: m.status for m in study.models} == {
        "ai_pet": "refused",
        "rate_hippocampus": "separated",
    }
    assert all(part.plain is None and part.message for part in study.splines)
    assert any("rate_hippocampus" in reason for reason in study.refused)
    assert "no curve" in outcome_page(study)


def test_one_part_does_not_move_the_numbers_of_another(found):
    values = {"rate_hippocampus": found.cohort.values["rate_hippocampus"]}
    part = study_outcome(replace(found.cohort, values=values), QUICK)
    assert found.cuts[0].nested == part.cuts[0].nested
    assert found.cuts[0].stability == part.cuts[0].stability


def test_stage_writes_tables_and_page(planted, tmp_path):
    numbers, participants = planted
    names = {"report": "html", "results": "json", "groups": "tsv", "models": "tsv", "cuts": "tsv"}
    paths = {name: tmp_path / f"{name}.{ending}" for name, ending in names.items()}
    outcome_stage(
        numbers=numbers,
        participants=participants,
        **paths,
        columns={},
        outcome_is_ilae=True,
        adjust_for=("left_side",),
        resamples=60,
        permutations=100,
        iterations=10,
        seed=1,
    )
    results = json.loads(paths["results"].read_text(encoding="utf-8"))
    assert results["settings"]["seed"] == 1
    assert len(results["subjects"]) == 40
    with paths["cuts"].open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    assert [row["score"] for row in rows] == [
        "rate_hippocampus", "rate_hippocampus_published", "ai_pet",
    ]  # fmt: skip
    assert paths["report"].read_text(encoding="utf-8").startswith("<!doctype html>")
