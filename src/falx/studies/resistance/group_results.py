"""What each comparison of a group study found, in one table, allowing for their number."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from falx.core.errors import check_option
from falx.core.tables import table_text
from falx.maps.group_summary import FLAVOURS
from falx.report.page import Table
from falx.studies.resistance.group_sections import KINDS, read_json, read_rows, title_of

__all__ = ["GroupResult", "comparisons_of", "group_results", "result_table", "results_tsv"]

ALONE = ("anova", "regression")
"""Steps that are no contrast of groups."""


@dataclass(frozen=True)
class GroupResult:
    """One comparison.

    Parameters
    ----------
    fsl, extent, mass
        Clusters that pass; None where a correction does not exist.
    where
        Region, direction and peak of the largest listed cluster, empty if there is none.
    listed_by, least_p
        The correction by which clusters are listed, and its least P over all clusters.
    comparisons, p_bonferroni
        Planned comparisons of the same family, and `least_p` times their number, at most 1.
    """

    step: str
    map: str
    contrast: str
    fsl: int | None
    extent: int
    mass: int | None
    where: str
    listed_by: str
    least_p: float | None
    comparisons: int
    p_bonferroni: float | None


def comparisons_of(step: str, planned: Collection[str], bonferroni: str) -> int:
    """Count the planned comparisons that one of them is corrected with.

    Parameters
    ----------
    step
        Name of the comparison, one of `planned`.
    planned
        Every comparison that was asked for, whether or not it could be computed.
    bonferroni
        ``contrasts``: contrasts of groups in the same modality and the same people, three
        where three groups are named; ``all``: every planned map; ``none``: the step alone.

    Examples
    --------
    >>> planned = ["grey_resistant_sensitive", "grey_resistant_controls", "grey_anova"]
    >>> [comparisons_of("grey_resistant_controls", planned, b) for b in ("contrasts", "all")]
    [2, 3]
    """
    check_option("bonferroni", bonferroni, ("contrasts", "all", "none"))
    if bonferroni == "none":
        return 1
    if bonferroni == "all":
        return len(planned)
    return sum(_family(other) == _family(step) for other in planned)


def group_results(
    found: Mapping[str, Mapping[str, Path]], planned: Collection[str], bonferroni: str
) -> list[GroupResult]:
    """Read what every comparison found.

    Parameters
    ----------
    found
        Step to its files, ``summary`` and ``table``.
    planned, bonferroni
        See :func:`comparisons_of`.
    """
    results = []
    for step, files in found.items():
        summary = read_json(files["summary"])
        passed, by = summary["significant"], summary.get("listed_by", "extent")
        passed = passed if isinstance(passed, dict) else {"extent": passed}
        p, n = summary["least_p"][by], comparisons_of(step, planned, bonferroni)
        results.append(
            GroupResult(
                step,
                title_of(step),
                summary["contrast"],
                passed.get("fsl"),
                passed["extent"],
                passed.get("mass"),
                _largest(read_rows(files["table"])),
                by,
                p,
                n,
                None if p is None else min(1.0, n * p),
            )
        )
    return results


def result_table(results: Sequence[GroupResult], bonferroni: str) -> Table:
    """Lay results out for the page."""
    head = ["map", "contrast", "by random fields", "by extent", "by mass", "largest listed",
            "least P"]  # fmt: skip
    rows: list[list[object]] = [
        [r.map, r.contrast, r.fsl, r.extent, r.mass, r.where or None, r.least_p] for r in results
    ]
    listed = " and ".join(dict.fromkeys(FLAVOURS[r.listed_by] for r in results))
    caption = (
        "Clusters that pass each correction; by extent and mass means permutation. The least P "
        f"of a cluster is that of {listed}."
    )
    if bonferroni != "none":
        head.append("P × comparisons")
        for row, r in zip(rows, results, strict=True):
            times = f" (× {r.comparisons})"
            row.append(None if r.p_bonferroni is None else f"{r.p_bonferroni:.3g}{times}")
        family = (
            "the planned contrasts of groups in the same maps and people"
            if bonferroni == "contrasts"
            else "every planned map"
        )
        caption += f" The last column allows for {family} (Bonferroni)."
    return Table(head, rows, caption=caption)


def results_tsv(results: Sequence[GroupResult]) -> str:
    """Return results as tab-separated text."""
    return table_text([item.name for item in fields(GroupResult)], [astuple(r) for r in results])


def _family(step: str) -> str:
    """Contrasts of one modality in one kind of people belong together."""
    modality, _, rest = step.partition("_")
    head = rest.partition("_")[0]
    if head in ALONE:
        return step
    return f"{modality} {head}" if head in KINDS else modality


def _largest(rows: Sequence[Mapping[str, str]]) -> str:
    if not rows:
        return ""
    first = rows[0]
    if "sign" not in first:
        return f"{first['region']}, F {float(first['f']):.1f}"
    direction = "higher" if int(first["sign"]) > 0 else "lower"
    return f"{first['region']}, {direction}, t {float(first['t']):.2f}"
