"""How many patients would it take? Cohorts of numbers with a known relation to the outcome.

Power is the share of simulated cohorts whose penalised test falls below .05; a cohort with fewer
than five patients of either outcome counts as one that found nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from scipy.special import expit, logit

from falx.clinical.logistic.firth import firth_ratio_test
from falx.core.checks import Bools, Floats
from falx.core.errors import OptionError, check_range
from falx.core.possible import Probability
from falx.core.settings import check_settings, option
from falx.studies.outcome.fields import Field
from falx.studies.outcome.sound import LEAST

__all__ = ["POWER", "Effect", "Power", "power_table", "simulate_numbers"]

LEVEL = 0.05


@dataclass(frozen=True)
class Effect:
    """What is planted in a cohort: the outcome, a score and a measure of anatomy."""

    seizure_free: float = option(
        0.58, help="share seizure free at the mean of score and anatomy", low=0.01, high=0.99
    )
    odds_ratio: float = option(
        2.0, help="odds ratio per standard deviation of the score", low=0.01, high=100
    )
    odds_ratio_anatomy: float = option(
        1.0, help="odds ratio per standard deviation of the measure of anatomy", low=0.01, high=100
    )
    correlation: float = option(
        0.3, help="correlation of score and measure of anatomy", low=-0.99, high=0.99
    )

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True)
class Power:
    """Power at one size of cohort, alone and beside the measure, with exact 95 % limits."""

    patients: int
    alone: Probability
    alone_low: Probability
    alone_high: Probability
    beyond: Probability
    beyond_low: Probability
    beyond_high: Probability
    too_few: int
    simulations: int


def _limits(value: float, low: float, high: float) -> str:
    return f"{100 * value:.0f} % ({100 * low:.0f} to {100 * high:.0f} %)"


POWER: Sequence[Field[Power]] = (
    Field("patients", lambda p: p.patients, "patients"),
    Field("power_alone", lambda p: p.alone, "score alone",
          lambda p: _limits(p.alone, p.alone_low, p.alone_high)),
    Field("power_beyond_anatomy", lambda p: p.beyond, "beyond anatomy",
          lambda p: _limits(p.beyond, p.beyond_low, p.beyond_high)),
    Field("beyond_low", lambda p: p.beyond_low),
    Field("beyond_high", lambda p: p.beyond_high),
    Field("too_few_of_an_outcome", lambda p: p.too_few, "cohorts with too few of an outcome"),
    Field("simulations", lambda p: p.simulations, "of"),
)  # fmt: skip


def simulate_numbers(
    n: int, effect: Effect, rng: np.random.Generator
) -> tuple[Floats, Floats, Bools]:
    """Draw standardised score and measure, (n,) each, and outcomes (n,) that follow them."""
    measure = rng.normal(size=n)
    rest = math.sqrt(1 - effect.correlation**2)
    score = effect.correlation * measure + rest * rng.normal(size=n)
    eta = (
        logit(effect.seizure_free)
        + math.log(effect.odds_ratio) * score
        + math.log(effect.odds_ratio_anatomy) * measure
    )
    return score, measure, np.asarray(rng.random(n) < expit(eta))


def power_table(
    sizes: Sequence[int], effect: Effect, rng: np.random.Generator, *, simulations: int = 500
) -> Iterator[Power]:
    """Yield the power at each size of cohort.

    Examples
    --------
    >>> strong = Effect(odds_ratio=20.0)
    >>> (found,) = power_table([60], strong, np.random.default_rng(1), simulations=20)
    >>> found.alone
    1.0
    """
    check_range("simulations", simulations, 10, 1_000_000)
    for n in sizes:
        if n < 2 * LEAST:
            raise OptionError(
                f"nothing is tested in fewer than {2 * LEAST} patients",
                where="--patients",
                found=n,
                do=f"ask for {2 * LEAST} or more",
            )
        yield _power(n, effect, rng, simulations)


def _power(n: int, effect: Effect, rng: np.random.Generator, simulations: int) -> Power:
    alone = beyond = too_few = 0
    for _ in range(simulations):
        score, measure, free = simulate_numbers(n, effect, rng)
        if min(free.sum(), np.sum(~free)) < LEAST:
            too_few += 1
            continue
        alone += firth_ratio_test(score, free).p < LEVEL
        beyond += firth_ratio_test(np.column_stack([score, measure]), free).p < LEVEL
    first, second = (
        scipy.stats.binomtest(int(k), simulations).proportion_ci() for k in (alone, beyond)
    )
    return Power(
        n,
        alone / simulations,
        float(first.low),
        float(first.high),
        beyond / simulations,
        float(second.low),
        float(second.high),
        too_few,
        simulations,
    )
