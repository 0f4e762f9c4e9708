"""How a result prints itself, and the data to try everything on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import falx
from falx.api.results import Result, new_drawing, percent
from falx.core.errors import FalxError
from falx.phantom.patient import simulate_patient

texts = st.text(st.characters(blacklist_categories=("C", "Z")), min_size=1, max_size=12)


@dataclass(frozen=True, eq=False, repr=False)
class Measured(Result):
    facts: tuple[tuple[str, object], ...]
    notices: tuple[str, ...] = ()
    title = "Measured"

    def _facts(self) -> Sequence[tuple[str, object]]:
        return self.facts


def test_facts_stand_below_each_other_with_what_must_be_said() -> None:
    found = Measured((("volume, mm³", 1234.5678), ("rate", None), ("n", 3)), ("look at it",))
    assert repr(found).splitlines() == [
        "Measured",
        "  volume, mm³  1235",
        "  rate         –",
        "  n            3",
        "  notice       look at it",
    ]
    assert repr(Measured(())) == "Measured"


@given(st.lists(st.tuples(texts, st.one_of(texts, st.floats(), st.none())), max_size=5))
def test_every_fact_has_a_line_and_a_row_and_nothing_breaks_out(facts) -> None:
    found = Measured(tuple(facts))
    assert len(repr(found).split("\n")) == 1 + len(facts)
    shown = found._repr_html_()
    assert shown.count("<tr>") == len(facts)
    assert set(re.findall(r"</?(\w+)", shown)) <= {"table", "caption", "tr", "th", "td"}


@pytest.mark.parametrize(
    ("share", "text"), [(0.39789278, "39.8 %"), (None, "–"), (0.0, "0.0 %"), (1.0, "100.0 %")]
)
def test_shares_are_told_in_percent(share, text) -> None:
    assert percent(share) == text


def test_a_drawing_belongs_to_no_window_and_shows_itself() -> None:
    figure, axis = new_drawing(2, 1)
    axis.plot([0, 1])
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert figure.canvas.manager is None


def test_a_result_that_cannot_draw_says_so() -> None:
    with pytest.raises(NotImplementedError):
        Measured(()).plot()


def test_a_patient_is_that_of_the_phantoms_room(monkeypatch) -> None:
    from falx.api import demo

    asked = {}

    def simulated(spec, rng):
        asked["spec"], asked["draw"] = spec, rng.integers(1_000_000)
        return "patient"

    monkeypatch.setattr(demo, "simulate_patient", simulated)
    assert falx.phantom_patient(seed=4, side="right", voxel_mm=2.0) == "patient"
    assert (asked["spec"].side, asked["spec"].voxel_mm) == ("right", 2.0)
    assert asked["draw"] == np.random.default_rng(4).integers(1_000_000)
    assert callable(simulate_patient)
    with pytest.raises(FalxError, match="did you mean 'voxel_mm'"):
        falx.phantom_patient(voxel=2.0)
    with pytest.raises(FalxError, match="side"):
        falx.phantom_patient(side="both")


def test_a_resting_run_has_as_many_volumes_as_asked() -> None:
    run = falx.phantom_rest(volumes=12, voxel_mm=4.0)
    assert run.bold.data.shape[3] == 12 and run.repetition_time_s == 3.0
    assert run.mask.data.shape == run.bold.data.shape[:3]
    mean = run.bold.data.mean(axis=3)
    assert mean[run.mask.data].min() > mean[~run.mask.data].mean()
    with pytest.raises(FalxError, match="volumes is out of range"):
        falx.phantom_rest(volumes=2)


def test_groups_differ_by_what_was_taken_and_only_there() -> None:
    plain, lowered = (falx.phantom_groups(people=3, effect=effect) for effect in (0.0, 2.0))
    assert plain.groups == ("patients",) * 3 + ("controls",) * 3
    for one, two, group in zip(plain.images, lowered.images, plain.groups, strict=True):
        change = two.data - one.data
        wanted = -2.0 * lowered.lowered.data * (group == "patients")
        np.testing.assert_allclose(change, wanted, atol=1e-5)
    assert not np.array_equal(plain.images[0].data, falx.phantom_groups(seed=2).images[0].data)


def test_the_published_cohort_has_thirty_patients() -> None:
    cohort = falx.published_cohort()
    assert len(cohort.labels) == 30 and cohort["seizure_free"].sum() == 21


def test_genes_are_planted_by_the_seed() -> None:
    small = {"n_regions": 30, "n_genes": 200, "n_planted": 5, "n_sets": 10}
    one, two = falx.phantom_genes(**small), falx.phantom_genes(seed=8, **small)
    assert len(one.planted) == 5 and one.expression.values.shape == (30, 200)
    assert one.planted != two.planted
