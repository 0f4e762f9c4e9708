"""Every probe, gene and sample that is lost, with the step and the reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from falx.core.tables import table_text

__all__ = ["Ledger", "Loss", "Step"]


@dataclass(frozen=True)
class Loss:
    """One thing that was lost: its kind (probe, gene, sample), name, step and reason."""

    kind: str
    name: str
    step: str
    reason: str


@dataclass(frozen=True)
class Step:
    """How many of a kind were left after a step."""

    step: str
    kind: str
    before: int
    after: int


@dataclass
class Ledger:
    """Accounts of a pipeline, filled step by step."""

    steps: list[Step] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)

    def record(
        self, step: str, kind: str, before: int, after: int, lost: Iterable[object], reason: str
    ) -> None:
        """Write down a step and what it cost."""
        names = [str(name) for name in lost]
        self.steps.append(Step(step, kind, before, after))
        self.losses += [Loss(kind, name, step, reason) for name in names]

    def why(self, name: str) -> tuple[Loss, ...]:
        """Every entry about one gene, probe or sample."""
        return tuple(loss for loss in self.losses if loss.name == name)

    def tsv(self) -> str:
        """All losses as a table: kind, name, step, reason."""
        rows = ((loss.kind, loss.name, loss.step, loss.reason) for loss in self.losses)
        return table_text(("kind", "name", "step", "reason"), rows)
