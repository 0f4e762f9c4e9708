"""Authors of a dataset, as its description names them."""

from __future__ import annotations

import json

import pytest

from falx.bids.dataset import Dataset


@pytest.mark.parametrize(
    ("said", "names"), [(["A", 3, "B"], ("A", "B")), ("Jane", ()), (None, ()), ({"a": 1}, ())]
)
def test_what_is_no_list_of_names_names_nobody(tmp_path, said, names) -> None:
    about = {"Name": "x", "BIDSVersion": "1.10.0", "Authors": said}
    (tmp_path / "dataset_description.json").write_text(json.dumps(about))
    (tmp_path / "sub-1").mkdir()
    assert Dataset.open(tmp_path).authors == names
