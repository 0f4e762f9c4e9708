"""What the participant level hands to the outcome study: the numbers of one patient."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from falx.core.records import record_of
from falx.pet.metrics import Definition
from falx.studies.outcome.plausible import check_measured

__all__ = ["PatientCurves", "PatientNumbers", "RuleCurve", "StructureCurve", "patient_of"]


@dataclass(frozen=True)
class StructureCurve:
    """Signature in a structure, and its ablated part, at every threshold, (T,)."""

    signature_mm3: tuple[float, ...]
    ablated_mm3: tuple[float, ...]


@dataclass(frozen=True)
class RuleCurve:
    """The curves of a rule by structure, and the intensity scale of its thresholds."""

    scale: str
    structures: Mapping[str, StructureCurve]


@dataclass(frozen=True)
class PatientCurves:
    """Curves by rule, at the thresholds (T,)."""

    thresholds: tuple[float, ...]
    rules: Mapping[str, RuleCurve]


@dataclass(frozen=True)
class PatientNumbers:
    """The record of one patient.

    Parameters
    ----------
    values
        Numbers by name; those that are not known are absent.
    side
        ``"left"`` or ``"right"``, if known.
    failed_checks
        Quality checks that forbid a result.
    ai_pet_scale
        Intensity scale of ``ai_pet``.
    curves
        Ablative rates by threshold; absent without an ablation.
    definition
        By which rule the signature and its rates were made; absent where it is not stated.
    """

    values: Mapping[str, float]
    side: str | None = None
    failed_checks: tuple[str, ...] = ()
    ai_pet_scale: str | None = None
    curves: PatientCurves | None = None
    definition: Definition | None = None

    def asymmetry(self, scale: str) -> float:
        """Mean asymmetry of the PET in the ablation on a scale, NaN where it is not known.

        Examples
        --------
        >>> PatientNumbers({"ai_pet": -0.1, "ai_pet_z5": -0.2}, ai_pet_scale="z").asymmetry("z5")
        -0.2
        """
        if self.ai_pet_scale == scale:
            return self.values.get("ai_pet", math.nan)
        return self.values.get("ai_pet_z5", math.nan) if scale == "z5" else math.nan


@dataclass(frozen=True)
class _Told:
    """The keys of the record that hold no number."""

    side: str | None = None
    failed_checks: tuple[str, ...] = ()
    ai_pet_scale: str | None = None
    rate_curves: Mapping[str, Any] = field(default_factory=dict)
    signature_definition: Definition | None = None


def patient_of(content: Mapping[str, object], *, where: str) -> PatientNumbers:
    """Read a record as :func:`falx.studies.signature.numbers.flatten_numbers` makes it."""
    told = record_of(_Told, content, where=where)
    values = {
        name: float(value)
        for name, value in content.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    check_measured(values, where=where)
    rules = dict(told.rate_curves)
    curves = None
    if rules:
        thresholds = tuple(float(cut) for cut in rules.pop("thresholds"))
        curves = PatientCurves(thresholds, {n: _rule(rule, where) for n, rule in rules.items()})
    return PatientNumbers(
        values,
        told.side,
        told.failed_checks,
        told.ai_pet_scale,
        curves,
        told.signature_definition,
    )


def _rule(content: Mapping[str, Any], where: str) -> RuleCurve:
    structures = dict(content)
    scale = str(structures.pop("scale"))
    found = {n: record_of(StructureCurve, c, where=where) for n, c in structures.items()}
    return RuleCurve(scale, found)
