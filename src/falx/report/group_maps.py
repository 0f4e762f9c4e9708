"""The page of a group study: who was compared, what differs, what could not be computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from falx.images.nifti import write_text
from falx.report.genes_links import genes_links
from falx.report.group_sections import (
    comparison,
    deviation,
    effect,
    read_json,
    read_rows,
    title_of,
)
from falx.report.page import Block, Notice, Section, Table, Text, render

__all__ = ["group_report_stage"]

ROLES = ("summary", "table", "t_map", "f_map", "index")


def group_report_stage(
    *,
    demographics: Path | None,
    exclusions: Path,
    failures: Path,
    page: Path,
    expression: Path | None = None,
    ahba: str = "",
    **results: Path | None,
) -> None:
    """Write the page of the group.

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
    expression, ahba
        Expression table or Allen download of the gene stages; neither: they are not planned.
    results
        Inputs: ``NAME_summary``, ``NAME_table`` and ``NAME_t_map`` of every comparison,
        ``NAME_f_map`` in place of the last of an analysis of variance, ``NAME_index`` of
        deviation maps; absent where a group is or the comparison failed.
    """
    found = _by_name(results)
    shown = {name: _section(name, files) for name, files in found.items()}
    mapped = [(name, shown[name].title) for name, files in found.items() if "t_map" in files]
    sections = [
        Section("Result", list(_result(found, failures))),
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


def _result(found: Mapping[str, Mapping[str, Path]], failures: Path) -> Iterator[Block]:
    broken = [
        f"{title_of(row['step'])}, step {row['step']}, could not be computed: {row['reason']}"
        for row in read_rows(failures)
    ]
    if broken:
        yield Notice(broken, "fail")
    rows = []
    for name, files in found.items():
        if "table" not in files:
            continue
        summary = read_json(files["summary"])
        passed = summary["significant"]
        by = passed if isinstance(passed, dict) else {"extent": passed}
        first = next(iter(read_rows(files["table"])), None)
        where = "–" if first is None else f"{first['region']}, {_sign(first)}"
        rows.append(
            [
                title_of(name),
                summary["contrast"],
                by.get("fsl"),
                by["extent"],
                by.get("mass"),
                where,
            ]
        )
    if rows:
        yield Table(
            ("map", "contrast", "by random fields", "by extent", "by mass", "largest listed"),
            rows,
            caption="Clusters that pass each correction; by extent and mass means permutation.",
        )
    else:
        yield Text("No comparison could be computed.")


def _sign(row: Mapping[str, str]) -> str:
    if "sign" not in row:
        return f"F {float(row['f']):.1f}"
    return f"{'higher' if int(row['sign']) > 0 else 'lower'}, t {float(row['t']):.2f}"


def _people(demographics: Path | None, exclusions: Path) -> Iterator[Block]:
    if demographics is not None:
        found = read_json(demographics)
        yield Table(
            ("variable", *found["groups"], "test", "P"),
            [[row["variable"], *row["cells"], row["test"], row["p"]] for row in found["rows"]],
            caption="Mean ± sd where variance is analysed, counts, or median (quartiles).",
        )
    left = read_rows(exclusions)
    if left:
        yield Table(("subject", "left out because"), [list(row.values()) for row in left])
