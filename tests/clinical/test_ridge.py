"""Ridge fits: against a general optimiser, invariances, and what shrinking is worth."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from clinical.cohorts import overlapping
from falx.clinical.logistic.firth import fit_firth
from falx.clinical.logistic.fit import fit_logistic
from falx.clinical.logistic.ridge import SLOPE_SD, ridge_log_odds
from falx.core.errors import InputError


@given(overlapping(columns=2), st.sampled_from([0.3, SLOPE_SD, 2.0]))
@settings(max_examples=8, deadline=None)
def test_it_is_the_mode_of_the_posterior(data, slope_sd):
    x, y = data
    z = (x - x.mean(axis=0)) / x.std(axis=0, ddof=1)

    def loss(b):
        eta = b[0] + z @ b[1:]
        return np.sum(np.logaddexp(0, eta) - y * eta) + np.sum(b[1:] ** 2) / (2 * slope_sd**2)

    b = scipy.optimize.minimize(loss, np.zeros(3), method="BFGS", options={"gtol": 1e-8}).x
    found = ridge_log_odds(x, y, x, slope_sd=slope_sd)
    np.testing.assert_allclose(found, b[0] + z @ b[1:], atol=1e-4)


@given(overlapping(columns=2), st.floats(0.01, 100), st.floats(-10, 10))
@settings(max_examples=8, deadline=None)
def test_units_do_not_matter(data, scale, shift):
    x, y = data
    own = ridge_log_odds(x, y, x[:3])
    np.testing.assert_allclose(ridge_log_odds(scale * x + shift, y, scale * x[:3] + shift), own,
                               atol=1e-6)  # fmt: skip
    np.testing.assert_allclose(ridge_log_odds(x, ~y.astype(bool), x[:3]), -own, atol=1e-8)


def test_wide_priors_are_maximum_likelihood_and_narrow_ones_the_share(rng):
    x = rng.normal(size=(200, 2))
    y = rng.random(200) < expit(0.5 + x[:, 0])
    fit = fit_logistic(x, y).coefficients
    np.testing.assert_allclose(
        ridge_log_odds(x, y, x, slope_sd=1e4), fit[0] + x @ fit[1:], atol=1e-5
    )
    flat = expit(ridge_log_odds(x, y, x, slope_sd=1e-4))
    np.testing.assert_allclose(flat, y.mean(), atol=1e-4)


def test_separated_outcomes_stay_finite_and_constants_are_refused():
    x = np.arange(12.0)
    assert np.abs(ridge_log_odds(x, x > 5, x)).max() < 4
    with pytest.raises(InputError, match="constant column"):
        ridge_log_odds(np.column_stack([x, np.ones(12)]), x > 5, [[1.0, 1.0]])


def test_it_errs_less_than_firth_s_fit_on_new_patients():
    rng = np.random.default_rng(8)
    errors = {"ridge": 0.0, "firth": 0.0}
    for _ in range(60):
        x, new = rng.normal(size=(30, 2)), rng.normal(size=(50, 2))
        y = rng.random(30) < expit(0.5 + math.log(1.6) * x.sum(axis=1))
        true = expit(0.5 + math.log(1.6) * new.sum(axis=1))
        b = fit_firth(x, y).coefficients
        said = {"ridge": expit(ridge_log_odds(x, y, new)), "firth": expit(b[0] + new @ b[1:])}
        for name, p in said.items():
            errors[name] += float(np.mean((p - true) ** 2))
    assert errors["ridge"] < 0.95 * errors["firth"]


@pytest.mark.slow  # 10 s
@pytest.mark.parametrize(
    ("odds_ratio", "firth", "ridge"),
    [(1.0, 0.27, 0.33), (1.6, 0.51, 0.61), (2.2, 0.62, 0.78), (3.3, 0.69, 0.96)],
)
def test_the_calibration_of_score_and_anatomy_in_the_docs(odds_ratio, firth, ridge):
    """Thirty patients, a score and a measure of odds ratio 1.6 with a correlation of .3."""
    rng = np.random.default_rng(5)
    said: dict[str, list[np.ndarray]] = {"firth": [], "ridge": []}
    true = []
    while len(true) < 250:
        x, new = (rng.multivariate_normal([0, 0], [[1, 0.3], [0.3, 1]], n) for n in (30, 40))
        slopes = np.log([odds_ratio, 1.6])
        y = rng.random(30) < expit(0.85 + x @ slopes)
        if not 5 <= y.sum() <= 25:
            continue
        true.append(expit(0.85 + new @ slopes))
        b = fit_firth(x, y).coefficients
        said["firth"].append(b[0] + new @ b[1:])
        said["ridge"].append(ridge_log_odds(x, y, new))
    free = rng.random(10_000) < np.concatenate(true)
    for name, expected in (("firth", firth), ("ridge", ridge)):
        slope = fit_logistic(np.concatenate(said[name]), free).coefficients[1]
        assert slope == pytest.approx(expected, abs=0.09)
