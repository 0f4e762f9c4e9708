"""Results of several centres as one, from files that hold no patient."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from scipy.special import expit, logit

from falx.clinical.pooling import Pooled, pool
from falx.core.errors import InputError
from falx.studies.outcome.fields import Field, span
from falx.studies.outcome.labels import label
from falx.studies.outcome.score_model import CohortModels

__all__ = ["POOLED", "CentreResult", "PooledFigure", "pool_results", "results_of_models",
           "results_of_validation"]  # fmt: skip


@dataclass(frozen=True)
class CentreResult:
    """One figure of one centre on the scale that is pooled, with its standard error.

    Parameters
    ----------
    centre
        Name of the file.
    score, definition
        Which rate, and by which rule it was made.
    figure
        Key of :data:`FIGURES`.
    estimate, se
        On the pooled scale.
    """

    centre: str
    score: str
    definition: str
    figure: str
    estimate: float
    se: float


@dataclass(frozen=True)
class PooledFigure:
    """A figure over the centres; `shown` turns it back from the pooled scale."""

    score: str
    definition: str
    figure: str
    pooled: Pooled
    shown: Callable[[float], float]


def _same(value: float) -> float:
    return value


FIGURES: Mapping[str, tuple[str, Callable[[float], float]]] = {
    "seizure_free": ("share seizure free", lambda v: float(expit(v))),
    "odds_ratio": ("odds ratio per percentage point of the rate", math.exp),
    "auc": ("area under the curve, model of elsewhere", lambda v: float(expit(v))),
    "calibration_intercept": ("calibration in the large (0 is perfect)", _same),
    "calibration_slope": ("calibration slope (1 is perfect)", _same),
}
"""Figure to its name and the way back from the scale on which it is pooled."""


def _limits(found: PooledFigure, low: float | None, high: float | None) -> str | None:
    if low is None or high is None:
        return None
    return span(found.shown(low), found.shown(high))


POOLED: Sequence[Field[PooledFigure]] = (
    Field("score", lambda f: f.score, "rate", lambda f: label(f.score)),
    Field("definition", lambda f: f.definition),
    Field("figure", lambda f: f.figure, "figure", lambda f: FIGURES[f.figure][0]),
    Field("centres", lambda f: f.pooled.centres, "centres"),
    Field("value", lambda f: f.shown(f.pooled.value), "pooled"),
    Field("low", lambda f: f.shown(f.pooled.low)),
    Field("high", lambda f: f.shown(f.pooled.high)),
    Field("", lambda f: _limits(f, f.pooled.low, f.pooled.high), "95 % interval"),
    Field("between_sd", lambda f: f.pooled.between_sd, "SD between centres (pooled scale)"),
    Field("p_heterogeneity", lambda f: f.pooled.heterogeneity_p, "P heterogeneity"),
    Field("new_low", lambda f: None if f.pooled.new_low is None else f.shown(f.pooled.new_low)),
    Field("new_high", lambda f: None if f.pooled.new_high is None else f.shown(f.pooled.new_high)),
    Field("", lambda f: _limits(f, f.pooled.new_low, f.pooled.new_high), "a further centre, 95 %"),
)  # fmt: skip


def results_of_models(centre: str, found: CohortModels) -> list[CentreResult]:
    """Return what the models of a centre say of its patients."""
    results = []
    for one in found.models:
        rule = "not stated" if one.definition is None else str(one.definition)
        se = math.sqrt(1 / one.events + 1 / (one.n - one.events))
        free = CentreResult(
            centre, one.score, rule, "seizure_free", float(logit(one.events / one.n)), se
        )
        slope = CentreResult(centre, one.score, rule, "odds_ratio", one.log_odds, one.log_odds_se)
        results += [free, slope]
    return results


def results_of_validation(centre: str, rows: Sequence[Mapping[str, str]]) -> list[CentreResult]:
    """Return what another centre's model was worth there, from its table ``validation``.

    An area of 0 or 1, or one without a variance, cannot be pooled and is left out.
    """
    results = []
    for row in rows:
        numbers = {key: _number(row.get(key, "")) for key in (
            "auc", "auc_variance", "calibration_intercept", "calibration_intercept_se",
            "calibration_slope", "calibration_slope_se")}  # fmt: skip
        area, variance = numbers["auc"], numbers["auc_variance"]
        found = {
            name: (numbers[name], numbers[f"{name}_se"])
            for name in ("calibration_intercept", "calibration_slope")
        }
        if 0 < area < 1 and variance > 0:
            found["auc"] = float(logit(area)), math.sqrt(variance) / (area * (1 - area))
        score, rule = row.get("score", ""), row.get("definition", "")
        results += [
            CentreResult(centre, score, rule, name, estimate, se)
            for name, (estimate, se) in found.items()
            if math.isfinite(estimate) and se > 0
        ]
    return results


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def pool_results(results: Sequence[CentreResult]) -> tuple[PooledFigure, ...]:
    """Pool each figure of each rate over the centres that give it.

    Raises
    ------
    InputError
        If no figure comes from two centres with rates of one definition.
    """
    by_figure: dict[tuple[str, str, str], list[CentreResult]] = {}
    for one in results:
        by_figure.setdefault((one.score, one.definition, one.figure), []).append(one)
    found = [
        PooledFigure(
            *key, pool([one.estimate for one in group], [one.se for one in group]),
            FIGURES[key[2]][1],
        )
        for key, group in by_figure.items()
        if len(group) > 1
    ]  # fmt: skip
    if not found:
        rules = sorted({f"{label(one.score)}: {one.definition}" for one in results})
        raise InputError(
            "no figure comes from two centres with rates of one definition",
            found="; ".join(rules) or "no results",
            do="give the files of at least two centres that used one configuration",
        )
    return tuple(found)
