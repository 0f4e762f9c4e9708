"""The first table of the group page allows for the number of comparisons."""

from __future__ import annotations

import pytest

from falx.core.errors import OptionError
from falx.core.files import write_json
from falx.studies.resistance.group_results import (
    comparisons_of,
    group_results,
    result_table,
    results_tsv,
)

PAIRS = ("resistant_sensitive", "resistant_controls", "sensitive_controls")
PLANNED = (
    *(f"{modality}_{pair}" for modality in ("grey", "reho") for pair in PAIRS),
    "grey_anova", "reho_anova", "grey_regression",
    "grey_temporal_resistant_controls", "grey_temporal_sensitive_controls",
)  # fmt: skip


@pytest.mark.parametrize(
    ("step", "bonferroni", "expected"),
    [
        ("grey_resistant_controls", "contrasts", 3),
        ("reho_resistant_sensitive", "contrasts", 3),
        ("grey_temporal_resistant_controls", "contrasts", 2),
        ("grey_anova", "contrasts", 1),
        ("grey_regression", "contrasts", 1),
        ("grey_anova", "all", 11),
        ("grey_resistant_controls", "none", 1),
    ],
)
def test_families_are_counted(step, bonferroni, expected):
    assert comparisons_of(step, PLANNED, bonferroni) == expected


def test_a_wrong_word_is_refused():
    with pytest.raises(OptionError, match="bonferroni.*contrasts"):
        comparisons_of("grey_anova", PLANNED, "three")


def test_p_times_comparisons_stays_a_probability(tmp_path):
    found = {}
    for step, p in zip(PLANNED[:3], (0.004, 0.5, None), strict=True):
        summary = {
            "contrast": "a - b", "listed_by": "fsl", "least_p": {"fsl": p, "extent": 0.9},
            "significant": {"fsl": 1, "extent": 0, "mass": 0},
        }  # fmt: skip
        write_json(tmp_path / f"{step}.json", summary)
        (tmp_path / f"{step}.tsv").write_text("region\tsign\tt\nA\t-1\t-4.5\n")
        found[step] = {"summary": tmp_path / f"{step}.json", "table": tmp_path / f"{step}.tsv"}
    results = group_results(found, PLANNED, "contrasts")
    assert [r.p_bonferroni for r in results] == [pytest.approx(0.012), 1.0, None]
    assert results[0].where == "A, lower, t -4.50"
    table = result_table(results, "contrasts")
    assert [row[-1] for row in table.rows] == ["0.012 (× 3)", "1 (× 3)", None]
    assert "random fields (FSL)" in table.caption
    assert result_table(results, "none").columns[-1] == "least P"
    header, first, *_ = results_tsv(results).splitlines()
    assert dict(zip(header.split("\t"), first.split("\t"), strict=True))["comparisons"] == "3"
