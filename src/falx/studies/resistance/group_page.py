"""The page of a group study: who was compared, what differs, what could not be computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from falx.core.files import write_text
from falx.report.page import Block, Notice, Section, Table, Text, render
from falx.studies.resistance.genes_links import genes_links
from falx.studies.resistance.group_results import (
    GroupResult,
    group_results,
    result_table,
    results_tsv,
)
from falx.studies.resistance.group_sections import (
    comparison,
    deviation,
    effect,
    read_json,
    read_rows,
    title_of,
)

__all__ = ["group_report_stage"]

ROLES = ("summary", "table", "t_map", "f_map", "index")


def group_report_stage(
    *,
    demographics: Path | None,
    exclusions: Path,
    failures: Path,
    page: Path,
    results: Path,
    bonferroni: str,
    expression: Path | None = None,
    ahba: str = "",
    **files: Path | None,
) -> None:
    """Write the page of the group and its first table.

    Parameters
    ----------
    demographics
        Input: JSON of the comparison of age, sex and the like.
    exclusions
        Input: who is left out, and why.
    failures
        Input: comparisons that failed, and why.
    page
        Output: one HTML file.
    results
        Output: what each comparison found, and its P for their number (TSV).
    bonferroni
        See :func:`falx.studies.resistance.group_results.comparisons_of`.
    expression, ahba
        Expression table or Allen download of the gene stages; neither: they are not planned.
    files
        Inputs: ``NAME_summary``, ``NAME_table`` and ``NAME_t_map`` of every comparison,
        ``NAME_f_map`` in place of the last of an analysis of variance, ``NAME_index`` of
        deviation maps; absent where a group is or the comparison failed.
    """
    found = _by_name(files)
    broken = {row["step"]: row["reason"] for row in read_rows(failures)}
    tested = {name: own for name, own in found.items() if "table" in own}
    planned = {*tested, *(name for name in broken if f"{name}_table" in files)}
    listed = group_results(tested, planned, bonferroni)
    write_text(results, results_tsv(listed))
    shown = {name: _section(name, own) for name, own in found.items()}
    mapped = [(name, shown[name].title) for name, own in found.items() if "t_map" in own]
    sections = [
        Section("Result", list(_result(listed, broken, bonferroni))),
        Section("Who was compared", list(_people(demographics, exclusions))),
        *shown.values(),
        genes_links(mapped, asked=bool(expression or ahba)),
    ]
    write_text(page, render("Grey matter and ReHo by group", sections))


def _by_name(results: Mapping[str, Path | None]) -> dict[str, dict[str, Path]]:
    """Files by comparison and role, in the order given; what is incomplete is left out."""
    found: dict[str, dict[str, Path]] = {}
    for key, path in results.items():
        role = next(role for role in ROLES if key.endswith(f"_{role}"))
        if path is not None:
            found.setdefault(key.removesuffix(f"_{role}"), {})[role] = path
    return found


def _section(name: str, files: Mapping[str, Path]) -> Section:
    if "index" in files:
        return deviation(name, files["summary"], files["index"])
    if "f_map" in files:
        return effect(name, files["summary"], files["table"], files["f_map"])
    return comparison(name, files["summary"], files["table"], files["t_map"])


def _result(
    results: Sequence[GroupResult], broken: Mapping[str, str], bonferroni: str
) -> Iterator[Block]:
    if broken:
        yield Notice(
            [f"{title_of(step)}, step {step}, could not be computed: {reason}"
             for step, reason in broken.items()],
            "fail",
        )  # fmt: skip
    if results:
        yield result_table(results, bonferroni)
    else:
        yield Text("No comparison could be computed.")


def _people(demographics: Path | None, exclusions: Path) -> Iterator[Block]:
    if demographics is not None:
        found = read_json(demographics)
        yield Table(
            ("variable", *found["groups"], "test", "P"),
            [[row["variable"], *row["cells"], row["test"], row["p"]] for row in found["rows"]],
            caption="Mean ± sd where variance is analysed, counts, or median (quartiles). FD and "
            "smoothness are those of the runs that count.",
        )
    left = read_rows(exclusions)
    if left:
        yield Table(("subject", "left out because"), [list(row.values()) for row in left])
