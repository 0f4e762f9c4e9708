"""What a number can be is declared with its field, and nothing impossible is written or read."""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from falx.anatomy.metrics import AnatomyMetrics, CoregistrationMetrics, GreyMetrics
from falx.bold.records import MotionRecord, RehoRecord
from falx.core.checks import Probabilities
from falx.core.errors import QualityError
from falx.core.files import read_record, write_json
from falx.core.possible import (
    Amount,
    AsymmetryIndex,
    Possible,
    Probability,
    Share,
    _hints,
    check_possible,
)
from falx.core.records import plain, record_of
from falx.images.nifti import save
from falx.maps.cluster_table import ClusterRow, EffectRow
from falx.maps.deviations.sample import DeviationSummary
from falx.maps.group_summary import FSummary, TSummary
from falx.pet.maps import StructureAsymmetry
from falx.pet.metrics import AsymmetryMetrics, PetMetrics, SignatureMetrics
from falx.studies.plan.records import PlanDocument
from falx.studies.resistance.demographics import Demographics
from falx.surgery.metrics import AblationMetrics, RatesMetrics
from falx.surgery.outcome.ablation import AblativeRate


@dataclass(frozen=True)
class Inner:
    rate: Share | None


@dataclass(frozen=True)
class Outer:
    index: Mapping[str, Mapping[str, AsymmetryIndex]]
    inner: tuple[Inner, ...]
    pair: tuple[str, Probability]
    q: Probabilities
    free: float
    width: Annotated[npt.NDArray[np.float64], Possible(0, math.inf)]


GOOD = Outer({"a": {"left": -2.0}}, (Inner(None), Inner(1.0)), ("x", 0.0),
             np.array([0.0, np.nan, 1.0]), 1e9, np.array([0.0, 1e9]))  # fmt: skip


@pytest.mark.parametrize(
    ("change", "path", "found"),
    [
        ({"index": {"a": {"left": -2.4}}}, "index.a.left", "-2.4; -2 to 2 is possible"),
        ({"inner": (Inner(0.5), Inner(1.01))}, "inner.1.rate", "1.01; 0 to 1 is possible"),
        ({"pair": ("x", -0.1)}, "pair.1", "-0.1; 0 to 1 is possible"),
        ({"q": np.array([0.5, 1.5])}, "q", "1.5; 0 to 1 is possible"),
        ({"width": np.array([-1.0])}, "width", "-1; 0 and more is possible"),
        ({"pair": ("x", math.inf)}, "pair.1", "inf; 0 to 1 is possible"),
    ],
)
def test_what_cannot_be_is_named_when_written_and_when_read(
    tmp_path: Path, change: dict[str, Any], path: str, found: str
) -> None:
    assert plain(GOOD)["free"] == 1e9
    wrong = replace(GOOD, **change)
    with pytest.raises(QualityError) as error:
        plain(wrong)
    assert str(error.value).startswith(f"{path} came out as a number that is not possible")
    assert f"(found: {found})" in str(error.value)
    with pytest.raises(QualityError, match="not possible"):
        plain([GOOD, wrong])


def test_a_record_that_was_written_by_another_version_is_refused(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"rate": 0.5})
    assert read_record(Inner, tmp_path / "x.json") == Inner(0.5)
    write_json(tmp_path / "x.json", {"rate": 2.5})
    with pytest.raises(QualityError, match=r"^x\.json: rate came out .*\(found: 2\.5; 0 to 1"):
        read_record(Inner, tmp_path / "x.json")
    assert record_of(Inner, {"rate": None}, where="x") == Inner(None)


@given(st.floats(-1e6, 1e6), st.floats(-100, 100), st.floats(0, 100))
def test_a_number_passes_if_and_only_if_it_is_in_range(
    value: float, low: float, width: float
) -> None:
    possible = Possible(low, low + width)
    margin = 2e-6 * width
    if low <= value <= low + width:
        assert possible.wrong(value) is None
        assert possible.wrong(np.array([value, np.nan])) is None
    elif value < low - margin or value > low + width + margin:
        assert possible.wrong(value) == value
        assert possible.wrong(np.array([low, value])) == value


@given(st.sampled_from([Possible(0, 1), Possible(0, math.inf)]))
def test_what_is_not_measured_passes(possible: Possible) -> None:
    assert possible.wrong(math.nan) is None
    assert possible.wrong(np.array([])) is None


def test_an_amount_may_be_without_end() -> None:
    """As the distance to something that is not there; JSON then says null."""
    (possible,) = typing.get_args(Amount)[1:]
    assert possible.wrong(math.inf) is None
    assert possible.wrong(-1e-3) == -1e-3


def test_an_image_with_an_impossible_value_is_not_written(tmp_path: Path) -> None:
    data = np.full((2, 2, 2), 0.5)
    save(tmp_path / "x.nii.gz", data, np.eye(4), possible=Possible(0, 1))
    data[1, 1, 1] = 1.5
    with pytest.raises(QualityError, match=r"y\.nii\.gz: a value of the image .* 1\.5; 0 to 1"):
        save(tmp_path / "y.nii.gz", data, np.eye(4), possible=Possible(0, 1))
    assert not (tmp_path / "y.nii.gz").exists()


def test_the_asymmetry_of_half_a_pet_is_no_number(tmp_path: Path) -> None:
    """What the audit saw written: an index of 2.40, and a rate of more than everything."""
    with pytest.raises(QualityError, match="mean_asymmetry came out .* 2.4; -2 to 2"):
        plain(StructureAsymmetry(2.40, None))
    with pytest.raises(QualityError, match="rate came out .* 1.2; 0 to 1"):
        plain(AblativeRate(1200.0, 1000.0, 1.2))


RECORDS = (
    AblationMetrics, AnatomyMetrics, AsymmetryMetrics, ClusterRow, CoregistrationMetrics,
    Demographics, DeviationSummary, EffectRow, FSummary, GreyMetrics, MotionRecord, PetMetrics,
    PlanDocument, RatesMetrics, RehoRecord, SignatureMetrics, TSummary,
)  # fmt: skip

WORDS = ("p_", "_p", "share", "percent", "rate", "asymmetry", "dice", "overlap", "_mm3", "reho",
         "probability", "auc", "confidence")  # fmt: skip
UNBOUNDED = {
    "Burn.tip_offset_mm", "FitMetrics.last_gain_nats_per_sample", "Goal.harmless_probability",
    "Goal.keep_probability", "Goal.probability",
    "InferenceOptions.cluster_p", "InferenceOptions.voxel_p", "Prognosis.auc_corrected",
    "VolumeAsymmetry.difference_mm3",
}  # fmt: skip
"""Signed differences, an area less its optimism, and settings, which have ranges elsewhere."""


def indices(kind: type[Any], seen: set[type[Any]]) -> list[str]:
    """Fields of a record, and of those in it, that sound like an index and have no range."""
    if kind in seen:
        return []
    seen.add(kind)
    found = []
    hints = typing.get_type_hints(kind, include_extras=True)
    for item in dataclasses.fields(kind):
        hint = hints[item.name]
        named = item.name in ("p", "q") or any(word in f"{item.name}" for word in WORDS)
        if named and "float" in str(hint) and "Possible" not in str(hint):
            found.append(f"{kind.__name__}.{item.name}")
        for inner in parts(hint):
            if dataclasses.is_dataclass(inner) and isinstance(inner, type):
                found += indices(inner, seen)
    return found


def parts(hint: Any) -> list[Any]:
    return [hint, *(part for one in typing.get_args(hint) for part in parts(one))]


def test_every_index_of_a_record_has_its_range() -> None:
    missing = {name for kind in RECORDS for name in indices(kind, set())}
    assert missing == UNBOUNDED
    for kind in RECORDS:
        assert isinstance(_hints(kind), dict)


def test_an_index_of_z_scores_may_be_anything() -> None:
    sides = {"pet": {"left": StructureAsymmetry(2.4, None)}}
    metrics = AsymmetryMetrics("PET", "z", "brain", 0.0, None, 1.0, 1.0, sides)
    assert plain(metrics)["structures"]["pet"]["left"]["mean_asymmetry"] == 2.4
    for scale in ("z5", "proportional"):
        with pytest.raises(QualityError, match=r"^structures\.pet\.left\.mean_asymmetry came"):
            plain(replace(metrics, scale=scale))


def test_only_records_are_looked_at() -> None:
    check_possible({"rate": 7})
    check_possible(None)
