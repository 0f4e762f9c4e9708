"""The flat record of a patient: ipsilateral minus contralateral, whatever the side."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from falx.anatomy.quality import Check
from falx.core.errors import InputError
from falx.core.files import write_json
from falx.core.records import plain
from falx.studies.outcome.patient import patient_of
from falx.studies.signature.files import MetricsFiles, numbers_stage, read_metrics
from falx.studies.signature.numbers import flatten_numbers, structure_numbers
from falx.surgery.metrics import RatesMetrics, RuleCurves, VolumeCurve
from falx.surgery.outcome.rate_interval import RateInterval
from studies.signature_metrics import DEFINITION, VOLUMES, ablation, calibrated, patient

SWAP = {"left": "right", "right": "left"}
mm3 = st.one_of(st.none(), st.floats(1.0, 9000.0))
indices = st.one_of(st.none(), st.floats(-1.0, 1.0))


def test_differences_are_ipsilateral_minus_contralateral() -> None:
    flat = flatten_numbers(patient("left"))
    assert flat["side"] == "left"
    assert flat["hippocampus_left_mm3"] == flat["hippocampus_ipsi_mm3"] == 2000.0
    assert flat["hippocampus_right_mm3"] == 3000.0
    assert flat["hippocampus_difference_mm3"] == -1000.0
    assert flat["hippocampus_asymmetry"] == pytest.approx(-0.4)
    assert flat["amygdala_difference_mm3"] == 250.0
    assert flat["hippocampus_ai_pet"] == -0.2 and flat["hippocampus_ai_gm"] == 0.1
    assert flat["hippocampus_ai_flair"] is None
    assert flat["hippocampus_ai_pet_regional"] == -0.3
    assert flat["hippocampus_ai_pet_regional_se"] == 0.02
    assert flat["mesial_temporal_ai_pet_regional"] is None
    other = flatten_numbers(patient("right"))
    assert other["hippocampus_difference_mm3"] == 1000.0
    assert other["hippocampus_ipsi_mm3"] == 3000.0
    assert other["hippocampus_ai_pet"] == 0.21 and other["hippocampus_ai_pet_regional"] == 0.3


def test_whole_volumes_and_signature_carry_their_names() -> None:
    flat = flatten_numbers(patient())
    assert [flat[f"{name}_mm3"] for name in ("gm", "wm", "csf", "tiv")] == [
        700_000.0, 500_000.0, 300_000.0, 1_500_000.0,
    ]  # fmt: skip
    assert (flat["signature_mm3"], flat["signature_published_mm3"]) == (810.0, 920.0)
    assert not any(name.startswith(("ablation", "rate", "ai_")) for name in flat)


def test_the_ablation_adds_rates_of_both_thresholds() -> None:
    flat = flatten_numbers(patient(ablated=ablation()))
    assert (flat["ablation_mm3"], flat["dice_raters"]) == (4000.0, 0.85)
    assert (flat["rate_hippocampus"], flat["rate_hippocampus_of_mm3"]) == (0.6, 500.0)
    assert flat["rate_hippocampus_published"] == 0.25
    assert flat["rate_amygdala_published_of_mm3"] == 800.0
    assert flat["rate_amygdala"] is None
    assert (flat["ai_pet"], flat["ai_pet_z5"], flat["ai_pet_scale"]) == (
        -0.2,
        -0.1,
        "proportional",
    )
    assert flat["ai_flair"] is None and flat["ai_gm_z5"] is None


def test_only_checks_that_forbid_a_result_count_as_failed() -> None:
    wrong = (
        Check("sides", 0.1, 0.5, None, False, ""),
        Check("alignment", 0.4, 0.15, None, True, ""),
        Check("noise", 0.2, None, 0.1, False, ""),
    )
    assert flatten_numbers(patient(checks=wrong))["failed_checks"] == ["sides"]
    assert flatten_numbers(patient())["failed_checks"] == []


@given(st.lists(mm3, min_size=4, max_size=4), st.tuples(indices, indices))
def test_a_mirrored_patient_has_the_same_ipsilateral_numbers(volumes, index) -> None:
    named = dict(zip(VOLUMES, volumes, strict=True))
    turned = {f"{SWAP[n.split()[0]]} {n.split()[1]}": v for n, v in named.items()}
    own = flatten_numbers(patient("left", index=index, volumes=named))
    other = flatten_numbers(patient("right", index=index[::-1], volumes=turned))
    for name, value in own.items():
        if any(part in name for part in ("regional", "_ai_gm", "_healthy_")) or name == "side":
            continue
        assert other["_".join(SWAP.get(part, part) for part in name.split("_"))] == value, name


@given(mm3, mm3)
def test_asymmetry_of_volumes_is_bounded_and_has_the_sign_of_the_difference(left, right) -> None:
    volumes = {"left hippocampus": left, "right hippocampus": right}
    found = structure_numbers(patient("left", volumes=volumes), "hippocampus")
    if left is None or right is None:
        assert found.difference_mm3 is None and found.asymmetry is None
        return
    assert found.asymmetry is not None and -2 <= found.asymmetry <= 2
    assert found.difference_mm3 == left - right
    assert found.asymmetry * (left + right) == pytest.approx(2 * (left - right))


def test_two_empty_structures_have_no_asymmetry() -> None:
    volumes = {"left hippocampus": 0.0, "right hippocampus": 0.0}
    found = structure_numbers(patient(volumes=volumes), "hippocampus")
    assert found.asymmetry is None and found.difference_mm3 is None


def written(folder: Path, metrics) -> MetricsFiles:
    parts = {
        "anatomy": metrics.anatomy.as_json(),
        "pet": plain(metrics.pet),
        "signature": plain(metrics.signature),
        "healthy": plain(metrics.healthy),
    }
    parts |= {
        name: plain(part)
        for name, part in (("ablation", metrics.ablation), ("rates", metrics.rates))
        if part is not None
    }
    for name, content in parts.items():
        write_json(folder / f"{name}.json", content)
    asymmetry = {name: folder / f"asymmetry_{name}.json" for name in metrics.asymmetry}
    for name, path in asymmetry.items():
        write_json(path, plain(metrics.asymmetry[name]))
    return MetricsFiles(**{name: folder / f"{name}.json" for name in parts}, asymmetry=asymmetry)


def test_what_is_written_is_read_again(tmp_path) -> None:
    metrics = patient(ablated=ablation())
    files = written(tmp_path, metrics)
    assert read_metrics(files) == metrics
    numbers_stage(files, numbers=tmp_path / "numbers.json")
    content = json.loads((tmp_path / "numbers.json").read_text(encoding="utf-8"))
    assert content == json.loads(json.dumps(flatten_numbers(metrics)))
    group = patient_of(content, where="numbers.json")
    assert group.side == "left" and group.values["rate_hippocampus"] == 0.6
    assert "rate_amygdala" not in group.values


def test_curves_by_threshold_go_to_the_group(tmp_path) -> None:
    from dataclasses import replace

    curve = VolumeCurve((100.0, 200.0), (50.0, 80.0))
    rules = {name: RuleCurves("z5", curve, curve, curve) for name in ("default", "published")}
    rates = RatesMetrics((-0.1, -0.05), rules, {"hippocampus": RateInterval(0.5, 0.8)})
    flat = flatten_numbers(replace(patient(ablated=ablation()), rates=rates))
    assert list(flat["rate_curves"]["thresholds"]) == [-0.1, -0.05]
    assert flat["rate_curves"]["default"]["scale"] == "z5"
    read = patient_of(json.loads(json.dumps(flat)), where="numbers.json")
    assert read.curves is not None
    assert read.curves.rules["published"].structures["amygdala"].ablated_mm3 == (50.0, 80.0)


def test_a_metrics_file_of_another_version_is_named(tmp_path) -> None:
    files = written(tmp_path, patient())
    content = json.loads(files.signature.read_text(encoding="utf-8"))
    del content["volume_mm3"]
    write_json(files.signature, content)
    with pytest.raises(InputError, match=r"signature\.json: .*volume_mm3.*run the step"):
        read_metrics(files)


def test_what_is_certain_and_by_which_definition_is_in_the_record() -> None:
    flat = flatten_numbers(patient(ablated=ablation()))
    assert flat["signature_definition"] == plain(DEFINITION)
    assert (flat["certain_mm3"], flat["certain_foci"], flat["certain_p"]) == (810.0, 1, 0.005)
    assert (flat["certain_false_share_low"], flat["certain_false_share_high"]) == (0.04, 0.25)
    assert flat["ablated_share_hippocampus"] == 0.55 and flat["ablated_share_amygdala"] == 0.2
    assert flat["hippocampus_healthy_percentile"] < 1 and flat["hippocampus_healthy_z"] < -5
    assert flat["hippocampus_healthy_ai"] == -0.25
    assert "amygdala_healthy_percentile" not in flat
    other = flatten_numbers(patient("right", ablated=ablation("right")))
    assert other["hippocampus_healthy_percentile"] > 99
    assert other["hippocampus_healthy_ai"] == 0.25
    empty = flatten_numbers(patient(foci=calibrated(empty=True)))
    assert (empty["certain_mm3"], empty["certain_foci"]) == (0.0, 0)
    assert empty["certain_false_share"] is None and empty["certain_p"] == 0.4
