"""The tests of the paper's Table 1."""

from __future__ import annotations

import json

import numpy as np
import pytest

from falx.errors import InputError
from falx.images.nifti import write_json
from falx.stats.demographics import compare_numbers, compare_words, demographics_stage


def test_sex_of_liu_2024():
    groups = ["DRE"] * 22 + ["DSE"] * 25 + ["HC"] * 27
    sex = ["M"] * 10 + ["F"] * 12 + ["M"] * 8 + ["F"] * 17 + ["M"] * 15 + ["F"] * 12
    row = compare_words("sex", groups, sex)
    assert row.test == "chi2"
    assert row.p == pytest.approx(0.23172, abs=1e-4)  # printed 0.217; recomputed from counts
    assert row.cells == ("12/10", "17/8", "12/15")


def test_age_from_values_with_the_published_summaries():
    def sample(n, mean, sd):
        x = np.linspace(-1, 1, n)
        return list(mean + sd * (x - x.mean()) / x.std(ddof=1))

    ages = [sample(22, 29.32, 9.44), sample(25, 28.08, 12.97), sample(27, 30.48, 11.34)]
    row = compare_numbers("age", ages, normal=True)
    assert row.p == pytest.approx(0.75146, abs=1e-4)
    assert row.cells[0] == "29.32 ± 9.44"


def test_few_people_are_tested_exactly():
    assert compare_words("sex", ["a"] * 4 + ["b"] * 4, list("FFFMMMMF")).test == "Fisher"


def test_table_without_the_groups_is_refused(tmp_path):
    table = tmp_path / "participants.tsv"
    table.write_text("participant_id\tgroup\tage\nsub-01\tX\t3\n")
    write_json(tmp_path / "m.json", {})
    names = {"group_column": "group", "resistant": "DRE", "sensitive": "", "controls": "HC"}
    given = {"participants": table, "metrics": {"01": tmp_path / "m.json"}}
    with pytest.raises(InputError, match="nobody belongs to a group"):
        demographics_stage(**given, demographics=tmp_path / "d.json", **names)
    table.write_text("participant_id\tgroup\tage\nsub-01\tDRE\t3\nsub-02\tHC\t4\n")
    maps = {"metrics": dict.fromkeys(("01", "02"), tmp_path / "m.json")}
    demographics_stage(participants=table, **maps, demographics=tmp_path / "d.json", **names)
    found = json.loads((tmp_path / "d.json").read_text())
    assert found["groups"] == ["DRE", "HC"]
    assert found["rows"][0]["cells"] == ["1", "1"]
