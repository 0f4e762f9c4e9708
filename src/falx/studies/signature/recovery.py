"""What was planted in a phantom patient beside what the study found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.core.grid import Side, apply_affine, opposite
from falx.report.page import format_number
from falx.studies.outcome.patient import PatientNumbers

__all__ = ["Found", "Planted", "Recovered", "compare", "render_recovered"]

Matrix = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Planted:
    """The truth of a phantom patient, as :mod:`falx.phantom.dataset` writes it.

    Parameters
    ----------
    asymmetry
        Asymmetry index of the planted region.
    ablative_rate, ablative_rate_hippocampus
        Of hippocampus and amygdala together, and of the hippocampus.
    t1w_to_pet, t1w_to_flair, t1w_to_postop
        4×4, from mm of the T1w to mm of the other image.
    """

    side: Side
    asymmetry: float
    ablative_rate: float
    ablative_rate_hippocampus: float
    volumes_mm3: Mapping[str, float]
    t1w_to_pet: Matrix
    t1w_to_flair: Matrix
    t1w_to_postop: Matrix

    @property
    def matrices(self) -> dict[str, Matrix]:
        """Tag of each moved image to the matrix from T1w mm."""
        return {
            "FDG": self.t1w_to_pet,
            "FLAIR": self.t1w_to_flair,
            "postop": self.t1w_to_postop,
        }


@dataclass(frozen=True, eq=False)
class Found:
    """What the study found in it.

    Parameters
    ----------
    map_mean
        Mean of the asymmetry map over the planted region; ``None`` where it is not defined.
    matrices
        By the tags of `Planted.matrices`, the matrix from T1w mm, shape (4, 4).
    brain_mm
        Points of the brain, shape (N, 3), RAS+ mm of the T1w.
    precision, sensitivity
        Share of the signature that was planted, ``None`` for an empty one, and share of the
        planted region that is signature.
    """

    numbers: PatientNumbers
    map_mean: float | None
    matrices: Mapping[str, npt.NDArray[np.float64]]
    brain_mm: npt.NDArray[np.float64]
    precision: float | None = None
    sensitivity: float | None = None


@dataclass(frozen=True)
class Recovered:
    """One figure: planted and found, in the same unit, and what noise explains."""

    subject: str
    what: str
    planted: float | str | None
    found: float | str | None
    standard_error: float | None = None


def compare(subject: str, planted: Planted, found: Found) -> list[Recovered]:
    """Compare what was found in a patient with the truth of the phantom."""
    values, side = found.numbers.values, planted.side
    rows = [
        Recovered(subject, "side of the focus", side, found.numbers.side),
        Recovered(
            subject,
            "PET asymmetry of the planted region, corrected",
            planted.asymmetry,
            values.get("mesial_temporal_ai_pet_regional"),
            values.get("mesial_temporal_ai_pet_regional_se"),
        ),
        Recovered(
            subject,
            "PET asymmetry there, mean of the smoothed map",
            planted.asymmetry,
            found.map_mean,
        ),
        Recovered(subject, "signature: share that was planted", 1.0, found.precision),
        Recovered(subject, "planted region: share in the signature", 1.0, found.sensitivity),
        Recovered(
            subject,
            "signature: share that was not planted, as stated",
            None if found.precision is None else 1.0 - found.precision,
            values.get("certain_false_share"),
        ),
    ]
    rows += [
        Recovered(subject, f"ablative rate, {where}", rate, values.get(f"rate_{name}"))
        for where, rate, name in (
            ("hippocampus", planted.ablative_rate_hippocampus, "hippocampus"),
            ("hippocampus and amygdala", planted.ablative_rate, "mesial_temporal"),
        )
    ]
    rows += [
        Recovered(
            subject,
            f"{which} hippocampus, mm³",
            planted.volumes_mm3[f"{which} hippocampus"],
            values.get(f"hippocampus_{which}_mm3"),
        )
        for which in (side, opposite(side))
    ]
    for name, matrix in planted.matrices.items():
        apart = apply_affine(found.matrices[name], found.brain_mm)
        apart -= apply_affine(matrix, found.brain_mm)
        away_mm = float(np.linalg.norm(apart, axis=1).mean())
        rows.append(Recovered(subject, f"{name} off its place, mm", 0.0, away_mm))
    return rows


def render_recovered(rows: Sequence[Recovered]) -> str:
    """Return the comparison as an aligned text table."""
    lines = [("patient", "what", "planted", "found")]
    lines += [
        (f"sub-{row.subject}", row.what, format_number(row.planted), _found(row)) for row in rows
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(4)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _found(row: Recovered) -> str:
    text = format_number(row.found)
    return text if row.standard_error is None else f"{text} ± {row.standard_error:.3f}"
