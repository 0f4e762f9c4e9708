"""Tissue samples: where they are, on which side, and which are kept.

Copies on the other side and samples unlike the others are options of Markello et al. 2021, eLife
10:e72129.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError, check_option
from falx.core.tables import Table
from falx.genes.ahba.files import Ontology, whole_numbers

__all__ = [
    "MIRRORS",
    "Samples",
    "mirror_samples",
    "read_samples",
    "side_agrees",
    "structure_class",
    "unlike_samples",
]

MIRRORS = ("bidirectional", "leftright", "rightleft")
# Allen structure ids, and the class of everything below them; the deepest one counts.
CLASSES = {
    4008: "cortex",
    4249: "subcortex/brainstem",
    4275: "subcortex/brainstem",
    4391: "subcortex/brainstem",
    9001: "subcortex/brainstem",
    9131: "subcortex/brainstem",
    9512: "subcortex/brainstem",
    4696: "cerebellum",
    9218: "white matter",
    9352: "other",
}


@dataclass(frozen=True, eq=False)
class Samples:
    """Samples of one donor; every attribute has one entry a sample.

    Attributes
    ----------
    column
        Column in the donor's expression matrix; mirrored copies share one.
    mni_mm
        RAS+ mm, shape (S, 3).
    """

    donor: str
    column: npt.NDArray[np.intp]
    well_id: npt.NDArray[np.int64]
    structure_id: npt.NDArray[np.int64]
    slab: tuple[str, ...]
    name: tuple[str, ...]
    mni_mm: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.column)

    def take(self, keep: npt.ArrayLike) -> Samples:
        """Return chosen samples, by index or mask."""
        index = np.arange(len(self))[np.asarray(keep)]
        return Samples(
            self.donor,
            self.column[index],
            self.well_id[index],
            self.structure_id[index],
            tuple(self.slab[i] for i in index),
            tuple(self.name[i] for i in index),
            self.mni_mm[index],
        )


def read_samples(
    donor: str,
    table: Table,
    coordinates: dict[int, tuple[float, float, float]] | None = None,
) -> Samples:
    """Read an annotation table; corrected coordinates replace the original ones by well id.

    Raises
    ------
    InputError
        If a sample has no corrected coordinate.
    """
    wells = whole_numbers(table, "well_id")
    if coordinates is None:
        mni = np.stack([table.numbers(f"mni_{axis}") for axis in "xyz"], axis=1)
    else:
        missing = [int(w) for w in wells if int(w) not in coordinates]
        if missing:
            raise InputError(
                "samples have no corrected coordinate",
                where=f"donor {donor}",
                found=f"{len(missing)}, first well {missing[0]}",
            )
        mni = np.array([coordinates[int(w)] for w in wells])
    return Samples(
        donor,
        np.arange(len(table)),
        wells,
        whole_numbers(table, "structure_id"),
        table.texts("slab_type"),
        table.texts("structure_name"),
        mni,
    )


def mirror_samples(samples: Samples, ontology: Ontology, how: str) -> Samples:
    """Append copies of samples on the other side: x and structure mirrored, expression shared.

    Parameters
    ----------
    how
        ``bidirectional``, ``leftright`` (left samples are copied to the right) or
        ``rightleft``.
    """
    check_option("lr_mirror", how, MIRRORS)
    x_mm = samples.mni_mm[:, 0]
    sources = {"bidirectional": (-1, 1), "leftright": (-1,), "rightleft": (1,)}[how]
    parts = [samples]
    for source in sources:
        copy = samples.take(np.sign(x_mm) == source)
        structures = np.array(
            [ontology.mirrored.get(int(s), int(s)) for s in copy.structure_id], dtype=np.int64
        )
        parts.append(replace(copy, structure_id=structures, mni_mm=copy.mni_mm * [-1.0, 1.0, 1.0]))
    return _join(parts)


def _join(parts: list[Samples]) -> Samples:
    return Samples(
        parts[0].donor,
        np.concatenate([p.column for p in parts]),
        np.concatenate([p.well_id for p in parts]),
        np.concatenate([p.structure_id for p in parts]),
        tuple(s for p in parts for s in p.slab),
        tuple(n for p in parts for n in p.name),
        np.concatenate([p.mni_mm for p in parts]),
    )


def side_agrees(samples: Samples, ontology: Ontology) -> npt.NDArray[np.bool_]:
    """Whether side and sign of x agree, shape (S,); structures without side need x = 0."""
    x = samples.mni_mm[:, 0]
    side = np.array([ontology.hemisphere.get(int(s), "") for s in samples.structure_id])
    expected = np.select([side == "L", side == "R"], [-1.0, 1.0], 0.0)
    return np.asarray(np.sign(x) == expected)


def structure_class(samples: Samples, ontology: Ontology) -> tuple[str, ...]:
    """Class of each sample's structure: cortex, subcortex/brainstem, cerebellum …."""
    found = {}
    for structure in set(samples.structure_id.tolist()):
        path = ontology.path.get(structure, ())
        classes = [CLASSES[i] for i in path if i in CLASSES]
        found[structure] = classes[-1] if classes else "other"
    return tuple(found[int(s)] for s in samples.structure_id)


def unlike_samples(expression: npt.NDArray[np.float64], n_sd: float) -> npt.NDArray[np.bool_]:
    """Mark samples whose correlations with the others sum to `n_sd` SD below the mean.

    Parameters
    ----------
    expression
        Shape (probes, samples).
    """
    total = np.corrcoef(expression.T).sum(axis=0)
    return np.asarray(total < total.mean() - n_sd * total.std(ddof=1))
