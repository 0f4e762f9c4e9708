"""The labels of the shipped heads: name, side, mirror partner, tissue and structure of each.

The numbers follow FreeSurfer for the brain. Those from 502 to 530 name parts of the head and
are *not* FreeSurfer's (there 502-508 were hippocampal subfields); see ``docs/methods/priors.md``
for how each was established.

Numbers: Fischl et al. 2002, Neuron 33:341. Heads and T1w intensities: Billot et al. 2023, Medical
Image Analysis 86:102789.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError
from falx.core.files import read_table

__all__ = [
    "TISSUES",
    "HeadLabels",
    "T1Intensities",
    "head_labels",
    "recode",
    "swap_sides",
    "t1_intensities",
]

TISSUES = ("GM", "WM", "CSF", "bone", "soft", "air")
"""The six tissue classes, in the order of every tissue prior and posterior of Falx."""

FOLDER = Path(__file__).parent

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class HeadLabels:
    """The label table of the heads, one entry a label; all arrays have shape (n,).

    Parameters
    ----------
    index
        Label as in the original heads (0 … 530), ascending.
    stored
        Label as in the shipped heads, which fit eight bits: 5xx is stored as 2xx.
    name
        English name, with the side in front of it where there is one.
    side
        ``"left"``, ``"right"`` or ``"none"``.
    mirror
        Label of the same part on the other side (itself for unsided labels).
    tissue
        One of :data:`TISSUES`.
    structure
        Label of the structure that this one counts to in the structure priors; 0 for what
        lies outside the brain and its CSF.
    t1_column
        Row of :class:`T1Intensities`.
    """

    index: IntArray
    stored: IntArray
    name: tuple[str, ...]
    side: tuple[str, ...]
    mirror: IntArray
    tissue: tuple[str, ...]
    structure: IntArray
    t1_column: IntArray

    def table(self, column: npt.ArrayLike, *, stored: bool = False) -> IntArray:
        """Lookup array ``t`` such that ``t[label]`` is that label's entry in `column`.

        Parameters
        ----------
        column
            Shape (n,), integers.
        stored
            Index by the stored instead of the original labels.

        Returns
        -------
        ndarray
            Labels that do not exist map to -1.

        Examples
        --------
        >>> labels = head_labels()
        >>> int(labels.table(labels.mirror)[17])
        53
        """
        keys = self.stored if stored else self.index
        table = np.full(int(keys.max()) + 1, -1, dtype=np.int64)
        table[keys] = np.asarray(column)
        return table

    def ids(self, *, tissue: str | None = None, structure: int | None = None) -> list[int]:
        """Original labels of one tissue or one structure.

        Examples
        --------
        >>> head_labels().ids(structure=5)
        [5, 137]
        """
        return [
            int(i)
            for i, t, s in zip(self.index, self.tissue, self.structure, strict=True)
            if (tissue is None or t == tissue) and (structure is None or s == structure)
        ]

    @property
    def tissue_number(self) -> IntArray:
        """Position of each label's tissue in :data:`TISSUES`, shape (n,)."""
        return np.array([TISSUES.index(t) for t in self.tissue])


@dataclass(frozen=True, eq=False)
class T1Intensities:
    """Mean T1-weighted intensity of each class and its spread, arbitrary units, shape (25,)."""

    name: tuple[str, ...]
    mean: npt.NDArray[np.float64]
    mean_sd: npt.NDArray[np.float64]
    within_sd: npt.NDArray[np.float64]
    within_sd_sd: npt.NDArray[np.float64]


@cache
def head_labels() -> HeadLabels:
    """Read the shipped label table."""
    table = read_table(FOLDER / "head_labels.tsv")

    def integers(column: str) -> IntArray:
        return table.numbers(column).astype(np.int64)

    return HeadLabels(
        index=integers("index"),
        stored=integers("stored"),
        name=table.texts("name"),
        side=table.texts("side"),
        mirror=integers("mirror"),
        tissue=table.texts("tissue"),
        structure=integers("structure"),
        t1_column=integers("t1_column"),
    )


@cache
def t1_intensities() -> T1Intensities:
    """Read the shipped table of T1-weighted intensities."""
    table = read_table(FOLDER / "t1_intensities.csv")
    return T1Intensities(
        name=table.texts("name"),
        mean=table.numbers("mean"),
        mean_sd=table.numbers("mean_between_subjects_sd"),
        within_sd=table.numbers("within_sd"),
        within_sd_sd=table.numbers("within_between_subjects_sd"),
    )


def recode(
    labels: npt.NDArray[np.integer], table: IntArray, *, where: object = None
) -> npt.NDArray[np.int64]:
    """Send every label (X, Y, Z) through a lookup array of :meth:`HeadLabels.table`.

    Raises
    ------
    InputError
        If a label is not in the table.
    """
    values = np.asarray(labels, dtype=np.int64)
    beyond = values[(values < 0) | (values >= len(table))]
    known = np.clip(values, 0, len(table) - 1)
    sent = np.asarray(table[known])
    if beyond.size or sent.min(initial=0) < 0:
        strange = beyond if beyond.size else values[sent < 0]
        raise InputError(
            "the head holds labels that the label table does not know",
            where=where,
            found=np.unique(strange)[:10].tolist(),
            do="recode them first",
        )
    return sent


def swap_sides(labels: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """Give every voxel (X, Y, Z) the label of the same structure on the other side."""
    known = head_labels()
    return recode(labels, known.table(known.mirror))
