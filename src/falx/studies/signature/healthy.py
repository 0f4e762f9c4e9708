"""What the page says of a patient among healthy people."""

from __future__ import annotations

from falx.core.grid import Side
from falx.pet.norms import AmongHealthy, HealthyMetrics
from falx.report.page import Table

__all__ = ["among_healthy", "healthy_table"]

KINDS = {"uncorrected": "means, not corrected", "regional": "regional activities"}
LIKE_WITH_LIKE = (
    "Negative: lower than the other side. An index is placed among indices that were taken in the "
    "same way. The interval of the percentile is what the number of people leaves open; it holds "
    "neither the noise of this PET nor another scanner."
)


def among_healthy(healthy: HealthyMetrics, structure: str, side: Side) -> str:
    """Return a clause with percentile and z of a structure; empty where no norm exists."""
    found = healthy.of(structure, side)
    if found is None:
        return ""
    taken = "" if found.kind == "regional" else f" (uncorrected {found.asymmetry:+.3f})"
    return (
        f", percentile {found.percentile:.1f} ({found.low:.1f} to {found.high:.1f}) of healthy "
        f"people, z {found.z:+.1f}{taken}"
    )


def healthy_table(healthy: HealthyMetrics, side: Side) -> Table:
    """Return the structures of one side among healthy people, source and limits below."""
    return Table(
        ("structure", "index of", "asymmetry", "healthy mean", "healthy SD", "z", "percentile",
         "95% interval", "controls that are lower"),
        [_row(one.on(side)) for one in healthy.structures],
        caption=f"The {side} side among healthy people: {healthy.source}. {LIKE_WITH_LIKE}",
    )  # fmt: skip


def _row(found: AmongHealthy) -> list[object]:
    lower = "not known" if found.lower is None else f"{found.lower} of {found.people}"
    return [
        found.structure.replace("_", " "),
        KINDS[found.kind],
        found.asymmetry,
        found.mean,
        found.sd,
        found.z,
        found.percentile,
        f"{found.low:.2f} to {found.high:.2f}",
        lower,
    ]
