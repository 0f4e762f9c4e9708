"""The first table of the group page allows for the number of comparisons."""

from __future__ import annotations

from dataclasses import replace

import pytest

from falx.core.errors import InputError, OptionError
from falx.core.tables import parse_table, rows_as, table_text
from falx.maps.cluster_table import ClusterRow
from falx.maps.group_summary import TSummary
from falx.studies.compare.sections import MapContent
from falx.studies.resistance.group_results import (
    RESULT_COLUMNS,
    comparisons_of,
    group_results,
    result_rows,
    result_table,
)
from falx.studies.resistance.role_files import PairsFiles, pairs_stage
from falx.studies.resistance.steps import GROUP_MAPS, STEPS

PLANNED = [
    step
    for step in GROUP_MAPS
    if step.modality in ("grey", "reho")
    and step.name != "reho_regression"
    and (not step.kind or step.name.startswith("grey_temporal"))
]


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
    assert comparisons_of(STEPS[step], PLANNED, bonferroni) == expected


def test_a_wrong_word_is_refused():
    with pytest.raises(OptionError, match="bonferroni.*contrasts"):
        comparisons_of(STEPS["grey_anova"], PLANNED, "three")


def summary(p):
    """The few fields of a summary that the table of results reads."""
    found = object.__new__(TSummary)
    given = {
        "contrast": "a - b", "listed_by": "fsl", "least_p": {"fsl": p, "extent": 0.9},
        "significant": {"fsl": 1, "extent": 0, "mass": 0},
    }  # fmt: skip
    for name, value in given.items():
        object.__setattr__(found, name, value)
    return found


def lowered(region, t):
    """One cluster of a table, by the cells that the table of results reads."""
    header = ClusterRow.columns()
    cells = {"region": region, "sign": "-1", "t": str(t)}
    row = [cells.get(name, "contrast" if name == "contrast" else "1") for name in header]
    return rows_as(ClusterRow, parse_table(table_text(header, [row]), where="clusters.tsv"))[0]


def test_p_times_comparisons_stays_a_probability():
    rows = [lowered("A", -4.5)]
    found = {
        step: MapContent(step.title, summary(p), rows, None, "x")
        for step, p in zip(PLANNED[:3], (0.004, 0.5, None), strict=True)
    }
    results = group_results(found, PLANNED, "contrasts")
    assert [r.p_bonferroni for r in results] == [pytest.approx(0.012), 1.0, None]
    assert results[0].where == "A, lower, t -4.50"
    table = result_table(results, "contrasts")
    assert [row[-1] for row in table.rows] == ["0.012 (× 3)", "1 (× 3)", None]
    assert "random fields (FSL)" in table.caption
    assert result_table(results, "none").columns[-1] == "least P"
    first = dict(zip(RESULT_COLUMNS, result_rows(results)[0], strict=True))
    assert (first["step"], first["comparisons"]) == ("grey_resistant_sensitive", 3)


def test_a_pair_that_failed_is_a_step_that_failed(tmp_path) -> None:
    """Its page shows the others; the exit code of the level is that of a failure."""
    header, good = "first\tsecond\tfailed", "DRE\tsiblings\tn/a"
    (tmp_path / "grey.tsv").write_text(f"{header}\n{good}\n")
    files = PairsFiles({"grey": tmp_path / "grey.tsv"}, tmp_path / "pairs.tsv")
    pairs_stage(files)
    assert files.table.read_text() == "modality\tfirst\tsecond\ngrey\tDRE\tsiblings\n"
    files.table.unlink()
    (tmp_path / "reho.tsv").write_text(f"{header}\n{good}\nDRE\tone\ttoo few people\n")
    both = {name: tmp_path / f"{name}.tsv" for name in ("grey", "reho")}
    with pytest.raises(InputError, match="Regional homogeneity, DRE - one: too few people"):
        pairs_stage(replace(files, further=both))
    assert not files.table.exists()
