"""One layout of every result: what programs and readers get is the same number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from falx.core.tables import table_text
from falx.studies.outcome import page as page_module
from falx.studies.outcome import tables
from falx.studies.outcome.cohort import published_cohort
from falx.studies.outcome.fields import Field, page_lines, page_table, rows_of, span
from falx.studies.outcome.group_fields import (
    TABLE1,
    THRESHOLDS,
    characteristics,
    comparison_fields,
)
from falx.studies.outcome.labels import label, p_text
from falx.studies.outcome.outcome import study_outcome
from falx.studies.outcome.page import outcome_page
from falx.studies.outcome.tables import (
    MODELS,
    TABLES,
    VALIDATIONS,
    cut_fields,
    predictions,
    validations,
)
from falx.studies.signature.study import STUDY
from studies.outcome_cohort import QUICK


@pytest.fixture(scope="module")
def study():
    return study_outcome(published_cohort(), QUICK)


def records(study, name):
    header, rows = TABLES[name](study)
    return [dict(zip(header, row, strict=True)) for row in rows]


def test_fields_serve_programs_and_readers():
    fields = (
        Field("a", lambda x: x, "A", lambda x: f"<{x}>"),
        Field("b", lambda x: 2 * x),
        Field("", lambda x: 3 * x, "C"),
        Field("d", lambda x: 4 * x, ""),
    )
    assert rows_of(fields, [1, 2]) == (["a", "b", "d"], [[1, 2, 4], [2, 4, 8]])
    page = page_table(fields, [1, 2], "words")
    assert (list(page.columns), page.caption) == (["A", "C", ""], "words")
    assert page.rows == [["<1>", 3, 4], ["<2>", 6, 8]]
    header, rows = rows_of(fields, [])
    assert header == ["remark"]
    assert "not computed" in rows[0][0]


@pytest.mark.parametrize("name", TABLES)
def test_every_table_is_rectangular_with_headers_of_its_own(study, name):
    header, rows = TABLES[name](study)
    assert len(set(header)) == len(header)
    assert all(header)
    assert rows
    assert all(len(row) == len(header) for row in rows)
    assert "nan" not in table_text(header, rows)


@pytest.mark.parametrize("fields", [MODELS, TABLE1, THRESHOLDS, VALIDATIONS, tables.AT_CUT])
def test_every_field_is_shown_somewhere(fields):
    assert all(field.key or field.heading is not None for field in fields)
    keys = [field.key for field in fields if field.key]
    headings = [field.heading for field in fields if field.heading is not None]
    assert len(set(keys)) == len(keys)
    assert len(set(headings)) == len(headings)


def test_patients_by_row(study):
    rows = records(study, "patients")
    assert len(rows) == 30
    first = rows[0]
    assert first["participant_id"] == f"sub-{study.cohort.subjects[0]}"
    assert first["seizure_free"] == int(study.cohort.seizure_free[0])
    assert first["ai_pet"] == study.cohort.values["ai_pet"][0]
    assert first["ai_pet_predicted"] == study.additive.study.prediction[0]


def test_groups_are_those_of_the_tests(study):
    rows = {row["variable"]: row for row in records(study, "groups")}
    for c in (*study.clinical, *study.modalities, *study.rates):
        row = rows[c.name]
        assert (row["n_not_free"], row["n_free"]) == (9, 21)
        assert (row["mean_not_free"], row["sd_free"]) == (c.not_free.mean, c.free.sd)
        assert (row["student_t"], row["student_p"]) == (c.student.t, c.student.p)
        assert (row["welch_t"], row["welch_p"]) == (c.welch.t, c.welch.p)
        assert (row["mann_whitney_u"], row["mann_whitney_p"]) == (c.rank.u, c.rank.p)
        assert row["p_equal_spread"] == c.spread.p
    adjusted = dict(study.modalities[0].adjusted)
    for name, found in adjusted.items():
        assert rows["ai_gm"][f"p_adjusted_{name.replace(' ', '_')}"] == found.p_group
    assert rows["onset_years"]["p_adjusted_intracranial_volume"] is None


def test_the_page_shows_the_same_groups(study):
    table = page_table(comparison_fields(study, study.modalities), study.modalities)
    columns = list(table.columns)
    holm_of = {m.name: m.holm for m in study.family if m.kind == "group"}
    for row, c in zip(table.rows, study.modalities, strict=True):
        assert row[0] == label(c.name)
        assert row[columns.index("difference")] == (
            f"{100 * c.welch.difference:.3g} percentage points"
        )
        low, high = 100 * c.welch.ci_low, 100 * c.welch.ci_high
        assert row[columns.index("95 % interval (Welch)")] == f"{low:.3g} to {high:.3g}"
        assert row[columns.index("P Welch")] == p_text(c.welch.p)
        assert row[columns.index("P Welch, Holm over the family")] == p_text(holm_of[c.name])
        assert row[columns.index("chance that not free is above free")] == c.rank.effect
        assert row[columns.index("not seizure free")].startswith(f"{100 * c.not_free.mean:.4g} ± ")
    rates = page_table(comparison_fields(study, study.rates), study.rates)
    shown = [row[columns.index("P Welch, Holm over the family")] for row in rates.rows]
    assert shown == [p_text(holm_of["rate_hippocampus"]), None]


def test_models_name_the_estimate_that_is_best(study):
    for row, model in zip(records(study, "models"), study.models, strict=True):
        assert (row["variable"], row["per"], row["n"]) == (model.name, model.unit, model.n)
        assert (row["events"], row["missing"], row["status"]) == (21, 0, "fitted")
        assert row["odds_ratio"] == model.likelihood.odds_ratio
        assert (row["ci_low"], row["ci_high"]) == (model.best.ci_low, model.best.ci_high)
        assert (row["p_wald"], row["p_likelihood_ratio"]) == (
            model.best.p_wald, model.best.p_ratio,
        )  # fmt: skip
        assert row["odds_ratio_firth"] == model.firth.odds_ratio


def test_curves_carry_their_validation(study):
    rows = {row["variable"]: row for row in records(study, "curves")}
    for part in study.splines:
        row, fit = rows[part.name], part.plain
        assert row["p_nonlinear_wald"] == fit.nonlinear_wald.p
        assert row["p_nonlinear_likelihood_ratio"] == fit.nonlinear_ratio.p
        assert row["p_nonlinear_score"] == fit.nonlinear_score.p
        assert (row["bic_spline"], row["bic_linear"]) == (fit.model.bic, fit.linear.bic)
        assert len(row["knots"].split()) == 3
        assert row["p_nonlinear_adjusted"] == part.adjusted.nonlinear_wald.p
        assert row["adjusted_for"] == "left_side seeg onset_years"
        for name, found in (
            ("linear", part.linear_validation), ("spline", part.spline_validation),
        ):  # fmt: skip
            assert row[f"auc_{name}"] == found.auc
            assert row[f"auc_{name}_corrected"] == found.auc_harrell
            assert row[f"auc_{name}_5fold"] == found.auc_folds
            assert row[f"brier_{name}_corrected"] == found.brier_harrell
    assert rows["rate_hippocampus"]["turning_points"].startswith("maximum 60.0")
    assert rows["ai_gm"]["turning_points"] is None
    listed = [(name, found.model) for name, found in validations(study)]
    assert listed[:2] == [("ai_gm", "linear"), ("ai_gm", "spline, 3 knots (quantile)")]
    assert len(listed) == 8


def test_cuts_say_what_they_are_worth(study):
    rows = {row["score"]: row for row in records(study, "cuts")}
    for part in study.cuts:
        row = rows[part.name]
        assert (row["auc"], row["auc_low"]) == (part.area.auc, part.area.ci_low)
        assert row["cut_best"] == part.best.threshold
        assert (row["cut_low"], row["cut_high"]) == (part.stability.ci_low, part.stability.ci_high)
        assert row["chi_square_best"] == part.at_best.pearson.statistic
        assert row["p_chi_square_published"] == part.at_published.pearson.p
        assert row["balanced_accuracy_nested"] == part.nested.balanced_accuracy
        assert row["balanced_accuracy_apparent"] == part.at_best.balanced_accuracy
        assert row["balanced_accuracy_632_plus"] == part.optimism.plus_632
        assert row["p_best_cut"] == part.permutation.p
    assert rows["rate_hippocampus"]["cut_published"] == 0.39789278
    assert rows["ai_pet"]["cut_published"] == -0.0578157525


def test_the_page_has_a_line_for_each_figure_of_a_cut(study):
    part = study.cuts[0]
    fields = cut_fields(study)
    lines = {row[0]: row for row in page_lines(fields, part).rows if row[0]}
    best, published = part.at_best, part.at_published
    assert lines["area under the curve"][1:] == [
        part.area.auc, span(part.area.ci_low, part.area.ci_high), "DeLong",
    ]  # fmt: skip
    for title, cut in (("best cut here", best), ("published cut", published)):
        share = cut.sensitivity
        low, high = 100 * share.ci_low, 100 * share.ci_high
        interval = f"{low:.1f} to {high:.1f} %"
        assert lines[f"{title}: sensitivity"][1:3] == [f"{100 * share.value:.1f} %", interval]
        assert lines[f"{title}: balanced accuracy"][1:] == [
            f"{100 * cut.balanced_accuracy:.1f} %", None, "same patients",
        ]  # fmt: skip
    assert lines["P of the best cut"][1] == p_text(part.permutation.p)
    below, above = part.gap
    assert f"nobody lies from {100 * below:.1f} to {100 * above:.1f} %" in lines["cut"][3]
    assert below < part.best.threshold < above
    assert not np.any((part.values > below) & (part.values < above))
    unpublished = {row[0] for row in page_lines(cut_fields(study, ["best"]), part).rows}
    assert lines.keys() - unpublished == {key for key in lines if key.startswith("published")}


def test_a_field_of_a_rule_goes_to_the_table_and_to_the_page(study, monkeypatch):
    more = Field("youden_{}", lambda c: c.youden, "Youden's index")
    monkeypatch.setattr(tables, "AT_CUT", (*tables.AT_CUT, more))
    part = study.cuts[0]
    row = records(study, "cuts")[0]
    assert (row["youden_best"], row["youden_published"]) == (
        part.at_best.youden, part.at_published.youden,
    )  # fmt: skip
    text = outcome_page(study)
    for title in ("best cut here", "published cut"):
        assert f"{title}: Youden&#39;s index" in text


def test_the_page_lays_out_no_table_of_its_own():
    source = Path(page_module.__file__).read_text(encoding="utf-8")
    assert "Field(" not in source
    assert STUDY.stage("outcome").version == tables.VERSION


def test_predictions_stand_beside_a_straight_line(study):
    part = study.additive
    additive, line = predictions(part)
    assert (line.model, line.r2) == ("straight line on hippocampus volume (mm³)", part.baseline_r2)
    assert additive.r == part.study.r_iterations.mean()


def test_patients_are_described_by_outcome(study):
    found = {c.name: c for c in characteristics(study)}
    assert found["seeg"].not_free == "4 of 9"
    assert found["seeg"].free == "4 of 21"
    assert found["seeg"].median_free is None
    assert found["onset_years"].test == "Welch t"
    assert found["onset_years"].p_rank is not None
    assert found["duration_years"].median_free == "7 (5 to 18)"


def test_volumes_are_ranked(study):
    rows = records(study, "volumes")
    assert [row["predictor"] for row in rows] == list(study.additive.study.names)
    assert rows[0]["mean_absolute_shapley"] == study.additive.study.mean_absolute_shapley[0]
    assert rows[0]["p_permutation"] == study.additive.permuted.p
    assert rows[0]["baseline"] == "hippocampus_mm3"


def test_what_was_not_computed_is_a_remark(study):
    cohort = published_cohort()
    few = study_outcome(
        type(cohort)(cohort.subjects, cohort.seizure_free, {"x": np.ones(30)}, "few"), QUICK
    )
    for name in ("models", "curves", "cuts", "thresholds", "volumes", "groups", "table1"):
        assert TABLES[name](few)[0] == ["remark"]
    assert len(TABLES["patients"](few)[1]) == 30


def test_texts_of_numbers():
    assert span(0.12345, 0.9) == "0.123 to 0.900"
    assert span(0.12345, 0.9, ".1g") == "0.1 to 0.9"
    assert span(0.1, None) is None
    assert [p_text(p) for p in (0.0009, 0.001, 0.0999, 0.1)] == [
        "P < 0.001", "P = 0.001", "P = 0.100", "P = 0.10",
    ]  # fmt: skip
