"""What heads of known truth say of the overlap that a structure's evidence lets expect.

``python -m benchmarks.failure_check --fit`` writes the table, from phantoms of fourteen label maps
(Apache-2.0, see ``docs/methods/priors.md``), each segmented with priors that do not know it. The
regression has no published source; its error stands in ``docs/methods/anatomy.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from falx.core.files import read_table

__all__ = ["FILE", "OF", "OverlapModel", "overlap_model"]

FILE = Path(__file__).parent / "structure_overlap.tsv"
OF = " of "
"""Parts a term from the structure to which its weight belongs."""


@dataclass(frozen=True)
class OverlapModel:
    """Logit of a structure's Dice overlap with the truth, linear in its evidence.

    Parameters
    ----------
    weights
        By term of :data:`falx.anatomy.structures.overlap.TERMS`, per unit of the term.
    own
        By FreeSurfer number, the left one of two sides: its weights that differ from those of
        all, and its level, which is added.
    limit
        Predicted overlap below which a structure is doubted.
    """

    weights: Mapping[str, float]
    own: Mapping[int, Mapping[str, float]]
    limit: float


@cache
def overlap_model(file: Path = FILE) -> OverlapModel:
    """Read the shipped regression, or that of another table."""
    table = read_table(file)
    rows = dict(zip(table.texts("term"), table.numbers("value").tolist(), strict=True))
    limit = rows.pop("limit")
    own: dict[int, dict[str, float]] = {}
    for name in [name for name in rows if OF in name]:
        term, number = name.split(OF)
        own.setdefault(int(number), {})[term] = rows.pop(name)
    return OverlapModel(rows, own, limit)
