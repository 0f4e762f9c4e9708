"""Thread counts for compiled kernels, and sums that do not depend on them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numba

from falx.core.errors import check_range

__all__ = ["CHUNKS", "limit_threads"]

CHUNKS = 64
"""Parts into which every parallel sum is cut, whatever the thread count.

Each part is summed by one thread in order and the parts are added in order, so that results
are bitwise independent of the number of threads.
"""


@contextmanager
def limit_threads(threads: int) -> Iterator[int]:
    """Let compiled kernels inside the block use at most `threads` threads."""
    check_range("threads", threads, 1, 1024)
    allowed = min(threads, int(numba.config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]
    previous = numba.get_num_threads()
    numba.set_num_threads(allowed)
    try:
        yield allowed
    finally:
        numba.set_num_threads(previous)
