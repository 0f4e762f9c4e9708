"""Errors of a disk become one sentence each, and what is no error of a disk none."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from falx.core.disk import existing_parent, explain, free_mb

SENTENCES = {
    "there is no space left": (errno.ENOSPC, errno.EDQUOT, errno.EFBIG),
    "a path is none that this disk can hold": (errno.ENAMETOOLONG, errno.ELOOP, errno.EILSEQ),
    "the disk did not answer": (errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN),
    "x.nii cannot be read or written": (errno.EROFS, errno.EACCES, errno.EPERM),
}


@pytest.mark.parametrize(
    ("said", "code"), [(said, code) for said, codes in SENTENCES.items() for code in codes]
)
def test_every_error_of_a_disk_says_what_to_do(said: str, code: int) -> None:
    told = explain(OSError(code, os.strerror(code), "/mnt/data/x.nii"), where="sub-07 pet")
    assert str(told).startswith(f"sub-07 pet: {said}")
    assert "; " in str(told)
    assert "/mnt/data" not in str(told) or said.startswith("a path")


def test_the_name_of_a_path_that_is_too_long_is_not_printed_in_full() -> None:
    told = explain(OSError(errno.ENAMETOOLONG, "File name too long", "y" * 300), where="falx")
    assert len(str(told)) < 200


@given(st.sampled_from(sorted(set(errno.errorcode) - {c for s in SENTENCES.values() for c in s})))
def test_other_errors_are_left_to_whoever_knows_them(code: int) -> None:
    known = explain(OSError(code, "x"), where="falx")
    assert known is None or code == errno.EHOSTDOWN


def test_the_space_of_a_folder_that_is_to_be_made_is_that_of_the_disk(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b" / "c"
    assert existing_parent(deep) == tmp_path
    assert free_mb(deep) == pytest.approx(free_mb(tmp_path), rel=0.05)
