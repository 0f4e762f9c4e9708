"""Session labels and filter files as other BIDS-Apps take them."""

from __future__ import annotations

import re

import pytest

from falx.bids.filters import filters_of, session_filters
from falx.bids.query import Filter
from falx.core.errors import FalxError
from falx.core.study import RawInput

RAW = {
    "t1w": RawInput("T1w image", suffix="T1w", datatype="anat", sessions=("preop", None)),
    "bold": RawInput("BOLD run", suffix="bold", datatype="func"),
    "postop": RawInput("post-operative T1w", suffix="T1w", datatype="anat", sessions=("postop",)),
    "participants": RawInput("table", dataset_file="participants.tsv"),
}


def test_sessions_concern_all_images_before_the_operation() -> None:
    assert session_filters(["ses-a", "b"], RAW) == [
        Filter("t1w", "ses", "a"),
        Filter("t1w", "ses", "b"),
        Filter("bold", "ses", "a"),
        Filter("bold", "ses", "b"),
    ]
    assert session_filters([], RAW) == []


def test_a_session_that_is_named_for_one_image_stays() -> None:
    given = [Filter("t1w", "ses", "x"), Filter("bold", "run", "1")]
    assert [one.role for one in session_filters(["a"], RAW, given)] == ["bold"]


def test_long_and_short_names_numbers_and_absence() -> None:
    content = {
        "t1w": {"session": ["01", "ses-02"], "acquisition": None, "datatype": "anat"},
        "bold": {"run": 1, "dir": "AP"},
    }
    assert filters_of(content, RAW, where="f.json") == [
        Filter("t1w", "ses", "01"),
        Filter("t1w", "ses", "02"),
        Filter("t1w", "acq", None),
        Filter("bold", "run", "1"),
        Filter("bold", "dir", "AP"),
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([], "f.json: a filter file maps images to entities and values"),
        ({"t1w": "01"}, "a filter file maps images to entities and values"),
        ({"t1": {}}, "no image called 't1'; did you mean 't1w'?"),
        ({"t1w": {"suffix": "T2w"}}, "the suffix of t1w cannot be changed (found: 'T2w')"),
        ({"t1w": {"colour": "x"}}, "'colour' is no entity of BIDS"),
        ({"t1w": {"run": ["1", "2"]}}, "the value of run must be a text or null"),
        ({"t1w": {"run": True}}, "the value of run must be a text or null (found: True)"),
    ],
)
def test_what_cannot_be_meant_is_refused(content: object, said: str) -> None:
    with pytest.raises(FalxError, match=re.escape(said)):
        filters_of(content, RAW, where="f.json")
