"""Authors of a dataset, and where it lies, as descriptions name them."""

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


def test_links_are_uris_and_a_name_that_two_datasets_share_has_none(tmp_path) -> None:
    bids = tmp_path / "my study"
    folders = [bids / "derivatives" / name for name in ("drawn", "fmriprep")]
    folders += [tmp_path / "elsewhere" / "fmriprep"]
    for folder in (bids / "sub-1", *folders):
        folder.mkdir(parents=True)
    dataset = Dataset.open(bids, derivatives=[folders[-1], folders[0]])
    links = dataset.links(tmp_path / "out")
    assert links == {"raw": "../my%20study", "drawn": "../my%20study/derivatives/drawn"}
