"""What each comparison of a group study found, in one table, allowing for their number."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import astuple, dataclass, fields

from falx.core.errors import check_option
from falx.maps.cluster_table import ClusterRow, EffectRow
from falx.maps.group_summary import FLAVOURS, FSummary, TSummary
from falx.report.page import Table
from falx.studies.compare.sections import MapContent
from falx.studies.resistance.configuration import BONFERRONI
from falx.studies.resistance.steps import Step

__all__ = [
    "RESULT_COLUMNS",
    "GroupResult",
    "comparisons_of",
    "group_results",
    "result_rows",
    "result_table",
]


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


RESULT_COLUMNS = tuple(item.name for item in fields(GroupResult))
"""Header of the table of results."""


def comparisons_of(step: Step, planned: Collection[Step], bonferroni: str) -> int:
    """Count the planned comparisons that one of them is corrected with.

    Parameters
    ----------
    step
        The comparison, one of `planned`.
    planned
        Every comparison that was asked for, whether or not it could be computed.
    bonferroni
        ``contrasts``: contrasts of groups in the same modality and the same people, three
        where three groups are named; ``all``: every planned map; ``none``: the step alone.

    Examples
    --------
    >>> first, second = Step("grey", pair=("a", "b")), Step("grey", pair=("a", "c"))
    >>> planned = [first, second, Step("grey", "anova")]
    >>> [comparisons_of(second, planned, b) for b in ("contrasts", "all")]
    [2, 3]
    """
    check_option("bonferroni", bonferroni, BONFERRONI)
    if bonferroni == "none":
        return 1
    if bonferroni == "all":
        return len(planned)
    return sum(other.family == step.family for other in planned)


def group_results(
    maps: Mapping[Step, MapContent], planned: Collection[Step], bonferroni: str
) -> list[GroupResult]:
    """Say what every comparison found; see :func:`comparisons_of`."""
    return [_result(step, content, planned, bonferroni) for step, content in maps.items()]


def _result(
    step: Step, content: MapContent, planned: Collection[Step], bonferroni: str
) -> GroupResult:
    summary = content.summary
    by = summary.listed_by if isinstance(summary, TSummary) else "extent"
    passed: Mapping[str, int] = (
        {"extent": summary.significant} if isinstance(summary, FSummary) else summary.significant
    )
    p, n = summary.least_p[by], comparisons_of(step, planned, bonferroni)
    return GroupResult(
        step.name,
        step.title,
        summary.contrast,
        passed.get("fsl"),
        passed["extent"],
        passed.get("mass"),
        _largest(content.rows),
        by,
        p,
        n,
        None if p is None else min(1.0, n * p),
    )


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


def result_rows(results: Sequence[GroupResult]) -> list[tuple[object, ...]]:
    """Return results as rows below :data:`RESULT_COLUMNS`."""
    return [astuple(result) for result in results]


def _largest(rows: Sequence[ClusterRow] | Sequence[EffectRow]) -> str:
    if not rows:
        return ""
    first = rows[0]
    if isinstance(first, EffectRow):
        return f"{first.region}, F {first.f:.1f}"
    direction = "higher" if first.sign > 0 else "lower"
    return f"{first.region}, {direction}, t {first.t:.2f}"
