"""Every normalisation of expression beside its formula, value by value."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from falx.core.errors import OptionError
from falx.genes.ahba.normalise import NORMALISATIONS, normalise, scaled_robust_sigmoid

few = settings(max_examples=15, deadline=None)
SEEDS = st.integers(0, 2**32 - 1)
X = [1.0, 2.0, 4.0, 7.0, 11.0, 16.0]


def quartiles(x: list[float], kind: str) -> tuple[float, float, float]:
    """First, second and third quartile, by linear interpolation of plotting positions."""
    ordered, n = sorted(x), len(x)
    found = []
    for share in (0.25, 0.5, 0.75):
        place = share * (n - 1) if kind == "linear" else share * n - 0.5
        place = min(max(place, 0.0), n - 1.0)
        low = math.floor(place)
        high = min(low + 1, n - 1)
        found.append(ordered[low] + (place - low) * (ordered[high] - ordered[low]))
    return tuple(found)


def logistic(x: list[float], centre: float, scale: float) -> list[float]:
    return [1 / (1 + math.exp(-(v - centre) / scale)) for v in x]


def stretch(x: list[float]) -> list[float]:
    return [(v - min(x)) / (max(x) - min(x)) for v in x]


def robust(x: list[float], kind: str = "linear") -> list[float]:
    low, median, high = quartiles(x, kind)
    return logistic(x, median, (high - low) / {"linear": 1.3489795, "hazen": 1.35}[kind])


def written_out(method: str, x: list[float]) -> list[float]:
    mean, sd = statistics.mean(x), statistics.stdev(x)
    plain = logistic(x, mean, sd)
    return {
        "none": lambda: x,
        "center": lambda: [v - mean for v in x],
        "zscore": lambda: [(v - mean) / sd for v in x],
        "minmax": lambda: stretch(x),
        "sigmoid": lambda: plain,
        "scaled_sigmoid": lambda: stretch(plain),
        "robust_sigmoid": lambda: robust(x),
        "srs": lambda: stretch(robust(x)),
        "srs_hazen": lambda: stretch(robust(x, "hazen")),
        "mixed_sigmoid": lambda: stretch(robust(x)),
    }[method]()


@pytest.mark.parametrize("method", sorted(NORMALISATIONS))
def test_each_by_its_formula(method):
    found = normalise(np.array([X]), across="samples", method=method)
    assert found.shape == (1, 6)
    assert found[0].tolist() == pytest.approx(written_out(method, X), abs=1e-7)


@few
@given(SEEDS, st.sampled_from(sorted(NORMALISATIONS)), st.sampled_from(["genes", "samples"]))
def test_each_gene_or_sample_apart(seed, method, across):
    table = np.random.default_rng(seed).normal(5, 3, (7, 8))
    found = normalise(table, across=across, method=method)
    lines = table if across == "samples" else table.T
    wanted = [written_out(method, line) for line in lines.tolist()]
    got = found if across == "samples" else found.T
    np.testing.assert_allclose(got, wanted, atol=1e-7)


@pytest.mark.parametrize("method", ["zscore", "minmax", "scaled_sigmoid", "srs", "robust_sigmoid"])
def test_a_gene_that_never_varies_has_no_value_and_harms_no_other(method):
    table = np.array([X, [3.0] * 6, X[::-1]])
    found = normalise(table, across="samples", method=method)
    assert np.isnan(found[1]).all()
    assert found[0].tolist() == pytest.approx(written_out(method, X), abs=1e-7)
    assert found[2].tolist() == pytest.approx(written_out(method, X)[::-1], abs=1e-7)


def test_equal_quartiles_have_no_robust_scale_but_a_plain_one():
    mostly = [5.0, 5.0, 5.0, 5.0, 5.0, 9.0]
    table = np.array([mostly, X])
    assert np.isnan(normalise(table, across="samples", method="srs")[0]).all()
    mixed = normalise(table, across="samples", method="mixed_sigmoid")
    plain = logistic(mostly, statistics.mean(mostly), statistics.stdev(mostly))
    assert mixed[0].tolist() == pytest.approx(stretch(plain))
    assert mixed[1].tolist() == pytest.approx(stretch(robust(X)), abs=1e-7)


def test_a_value_far_below_the_others_does_not_overflow():
    found = normalise(np.array([[*X, -1e6]]), across="samples", method="robust_sigmoid")
    assert 0 <= found[0, -1] < 1e-200
    assert found[0, :-1] == pytest.approx(np.sort(found[0, :-1]))
    assert np.isfinite(found).all()


def test_missing_values_stay_missing_and_change_no_quartile():
    x = np.array([*X, np.nan])
    found = NORMALISATIONS["robust_sigmoid"](x)
    assert np.isnan(found[-1])
    assert found[:-1].tolist() == pytest.approx(robust(X), abs=1e-7)
    table = np.array([[*X, np.nan], [*X[::-1], 3.0]]).T
    both = NORMALISATIONS["robust_sigmoid"](table)
    assert both[:-1, 0].tolist() == pytest.approx(robust(X), abs=1e-7)
    assert both[:, 1].tolist() == pytest.approx(robust([*X[::-1], 3.0]), abs=1e-7)


def test_classes_of_samples_are_normalised_apart():
    table = np.array([[1.0, 10.0, 2.0, 30.0, 4.0], [5.0, 2.0, 9.0, 8.0, 1.0]])
    groups = ("a", "b", "a", "b", "a")
    found = normalise(table, across="samples", method="minmax", groups=groups)
    assert found[0].tolist() == pytest.approx([0, 0, 1 / 3, 1, 1])
    assert found[1].tolist() == pytest.approx([0.5, 0, 1, 1, 0])
    # Classes have no meaning within a sample.
    across = normalise(table, across="genes", method="minmax", groups=groups)
    assert np.array_equal(across, normalise(table, across="genes", method="minmax"))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"across": "gene", "method": "srs"}, "across.*did you mean 'genes'"),
        ({"across": "genes", "method": "srss"}, "normalisation.*did you mean 'srs'"),
    ],
)
def test_unknown_words_are_named(given, told):
    with pytest.raises(OptionError, match=told):
        normalise(np.ones((2, 2)), **given)


def test_no_normalisation_asks_for_no_axis():
    table = np.arange(6.0).reshape(2, 3)
    assert normalise(table, across="whatever", method="none") is table


def test_quartiles_have_two_conventions():
    with pytest.raises(OptionError, match="quartiles.*did you mean 'hazen'"):
        scaled_robust_sigmoid(X, quartiles="hasen")
    linear, hazen = (scaled_robust_sigmoid(X, quartiles=k) for k in ("linear", "hazen"))
    assert linear.tolist() == pytest.approx(stretch(robust(X)), abs=1e-7)
    assert hazen.tolist() == pytest.approx(stretch(robust(X, "hazen")), abs=1e-7)
    assert scaled_robust_sigmoid(X).tolist() == linear.tolist()
    assert scaled_robust_sigmoid([[v] for v in X])[:, 0].tolist() == linear.tolist()
