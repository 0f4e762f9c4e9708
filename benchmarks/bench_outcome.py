"""Outcome statistics: the additive model beside its peers, and the whole group level.

EBM is measured where `interpret-core` is importable; it is not a dependency.
"""

from __future__ import annotations

import importlib.util

import numpy as np

from benchmarks.table import Row, cpu_seconds
from falx.clinical.additive import cross_validate_additive
from falx.data.mo2025 import load_patients
from falx.studies.outcome.cohort import published_cohort
from falx.studies.outcome.outcome import study_outcome
from falx.studies.outcome.page import outcome_page
from falx.studies.reproduce.asymmetry import asymmetry_items
from falx.studies.reproduce.demography import demography_items
from falx.studies.reproduce.volumes import SEVEN

ITERATIONS = 1000


def _data() -> tuple[np.ndarray, np.ndarray]:
    patients = load_patients()
    return np.column_stack([patients[n] for n in SEVEN]), patients["ai_pet_full"]


def _additive(rounds: int, iterations: int) -> None:
    x, y = _data()
    rng = np.random.default_rng(1)
    cross_validate_additive(x, y, rounds=rounds, n_iterations=iterations, rng=rng)


def _peer(make: object) -> None:
    """One repetition of five folds with a scikit-learn style model."""
    x, y = _data()
    folds = np.random.default_rng(1).permutation(np.arange(30) % 5)
    for k in range(5):
        make().fit(x[folds != k], y[folds != k]).predict(x[folds == k])  # type: ignore[operator]


def _boosting() -> object:
    from sklearn.ensemble import GradientBoostingRegressor

    return GradientBoostingRegressor(max_depth=1, learning_rate=0.1, n_estimators=100)


def _ebm() -> object:
    from interpret.glassbox import ExplainableBoostingRegressor

    return ExplainableBoostingRegressor(n_jobs=1)


def _ratio_rows(seconds_300: float) -> list[Row]:
    own = seconds_300 / ITERATIONS
    _peer(_boosting)
    peer = cpu_seconds(lambda: _peer(_boosting), repeats=3) / own
    rows = [
        Row("sklearn boosting / additive model, T = 300", peer, "×", "≥ 15", peer >= 15,
            "per repetition of 5 folds; ours includes Shapley values"),
    ]  # fmt: skip
    if importlib.util.find_spec("interpret") is not None:
        _peer(_ebm)
        ebm = cpu_seconds(lambda: _peer(_ebm)) / own
        rows.append(Row("EBM defaults / additive model, T = 300", ebm, "×", "≥ 500", ebm >= 500,
                        "per repetition of 5 folds"))  # fmt: skip
    return rows


def rows() -> list[Row]:
    """Measure; CPU seconds throughout."""
    _additive(1, 2)  # compile
    few, many = (cpu_seconds(lambda t=t: _additive(t, ITERATIONS)) for t in (3, 300))
    patients = load_patients()
    fixed = cpu_seconds(lambda: (demography_items(patients), asymmetry_items(patients)))
    group = cpu_seconds(lambda: outcome_page(study_outcome(published_cohort())))
    return [
        Row("1000 × 5 additive models with Shapley, T = 3", few, "s", "≤ 20 s", few <= 20),
        Row("1000 × 5 additive models with Shapley, T = 300", many, "s", "≤ 20 s", many <= 20),
        *_ratio_rows(many),
        Row("deterministic part of the reproduction", fixed, "s", "≤ 5 s", fixed <= 5),
        Row("group level of 30 patients with page", group, "s", "≤ 60 s", group <= 60),
    ]
