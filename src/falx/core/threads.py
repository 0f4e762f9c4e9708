"""Work cut into blocks that any number of threads may share with the same result."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from falx.core.errors import check_range

__all__ = ["CHUNKS", "ENVIRONMENT", "blas_threads", "kernel_threads", "over_blocks"]

CHUNKS = 64
"""Parts into which every parallel sum of a kernel is cut, whatever the thread count.

Each part is summed by one thread in order and the parts are added in order, so that results
are bitwise independent of the number of threads.
"""

ENVIRONMENT = {
    "OMP_WAIT_POLICY": "PASSIVE",
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
}
"""Environment of a process that computes: idle threads sleep, and freed memory is used again.

By default idle threads of compiled kernels spin, which on a busy machine takes the very core that
the next part needs: short kernels then run five times slower on two threads than on one. It counts
only if it is set before the first kernel is compiled, so programs set it as they start and the
library never does.

By default glibc gives every freed array back to the system and gets the next one page by page,
cleared: a tenth of the CPU time of a study of images. It counts in processes that are started with
it; other systems do not read it.
"""


def over_blocks(work: Callable[[slice], None], size: int, *, block: int, threads: int = 1) -> None:
    """Call `work` on slices that cover ``range(size)``, on up to `threads` threads.

    Parameters
    ----------
    work
        Writes its own slice of the result and reads nothing that another slice writes. It
        gains from threads only where it releases the interpreter lock, as numpy and
        compiled kernels do.
    block
        Length of a slice; it does not depend on `threads`, so neither does the result.

    Examples
    --------
    >>> squares = [0] * 5
    >>> def square(rows: slice) -> None:
    ...     for i in range(rows.start, rows.stop):
    ...         squares[i] = i * i
    >>> over_blocks(square, 5, block=2, threads=2)
    >>> squares
    [0, 1, 4, 9, 16]
    """
    slices = [slice(start, min(start + block, size)) for start in range(0, size, block)]
    if threads <= 1 or len(slices) <= 1:
        for rows in slices:
            work(rows)
        return
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(work, slices):
            pass


@contextmanager
def blas_threads(threads: int) -> Iterator[None]:
    """Limit the threads of matrix products inside the block.

    Small products lose time to threads that wait for each other.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=max(1, threads), user_api="blas"):
        yield


@contextmanager
def kernel_threads(threads: int) -> Iterator[int]:
    """Let compiled kernels inside the block use at most `threads` threads."""
    import numba

    check_range("threads", threads, 1, 1024)
    allowed = min(threads, int(numba.config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]
    previous = numba.get_num_threads()
    numba.set_num_threads(allowed)
    try:
        yield allowed
    finally:
        numba.set_num_threads(previous)
