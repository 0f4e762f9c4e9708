"""Work in blocks: every index once, the same result on any number of threads."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from falx.core.threads import blas_threads, over_blocks


@given(st.integers(0, 60), st.integers(1, 25), st.integers(0, 3))
def test_every_index_is_worked_on_once(size: int, block: int, threads: int) -> None:
    seen = np.zeros(size, int)

    def work(rows: slice) -> None:
        assert 0 < rows.stop - rows.start <= block
        seen[rows] += 1

    over_blocks(work, size, block=block, threads=threads)
    assert (seen == 1).all()


def test_threads_are_used_and_one_thread_stays_here() -> None:
    names: set[str] = set()
    together = threading.Barrier(2, timeout=10)

    def meet(rows: slice) -> None:
        together.wait()
        names.add(threading.current_thread().name)

    over_blocks(meet, 2, block=1, threads=2)
    assert len(names) == 2
    here: list[str] = []
    over_blocks(lambda _: here.append(threading.current_thread().name), 4, block=1, threads=1)
    assert set(here) == {threading.current_thread().name}


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_in_a_block_is_raised(threads: int) -> None:
    def fail(rows: slice) -> None:
        if rows.start == 2:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        over_blocks(fail, 4, block=1, threads=threads)


def test_matrix_products_are_limited_inside_only() -> None:
    from threadpoolctl import threadpool_info

    def now() -> list[int]:
        return [p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas"]

    before = now()
    with blas_threads(0):
        assert set(now()) <= {1}
    assert now() == before
