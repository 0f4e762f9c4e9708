"""Which images change places, or signs, in every rearrangement of a permutation test.

Exchangeability blocks and sign flipping after Winkler et al. 2014, NeuroImage 92:381.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError, check_range

__all__ = ["PermutationPlan", "permutation_plan", "permuted_rows", "sign_plan"]

LEAST_DISTINCT = 20
"""Fewer rearrangements that differ in |t| leave no P of 5 %."""


@dataclass(frozen=True, eq=False)
class PermutationPlan:
    """Rearrangements of the images, the first being the identity.

    Parameters
    ----------
    orders
        Shape (N, n): row k gives, for every place, the image that is put there.
    exhaustive
        Whether these are all distinct rearrangements.
    signs
        Shape (N, n): the sign that every image takes, where signs are flipped and nothing is
        put elsewhere; None where images are permuted.
    """

    orders: npt.NDArray[np.int64]
    exhaustive: bool
    signs: npt.NDArray[np.int8] | None = None

    def __len__(self) -> int:
        return len(self.orders)

    def rows(
        self, columns: npt.NDArray[np.float64], chosen: slice = slice(None)
    ) -> npt.NDArray[np.float64]:
        """Columns of shape (n, k) rearranged the inverse way, as rows: (k, N, n)."""
        if self.signs is None:
            return permuted_rows(columns, self.orders[chosen])
        return np.asarray(columns.T[:, None, :] * self.signs[chosen])

    def error(self, p: float) -> float:
        """Monte-Carlo error of a permutation p, sqrt(p (1 - p) / N); 0 where nothing was drawn.

        Examples
        --------
        >>> drawn = PermutationPlan(np.zeros((5000, 4), np.int64), exhaustive=False)
        >>> round(drawn.error(0.05), 4)
        0.0031
        """
        return 0.0 if self.exhaustive else math.sqrt(p * (1.0 - p) / len(self))


def permutation_plan(
    n_images: int,
    n_permutations: int,
    rng: np.random.Generator,
    *,
    labels: npt.ArrayLike | None = None,
    blocks: Sequence[str] | None = None,
) -> PermutationPlan:
    """Draw permutations, or list all of them where there are no more than asked for.

    Parameters
    ----------
    labels
        Shape (n,): images with equal labels are interchangeable, so that only relabelings
        count. Give it for a comparison of two groups without covariates.
    blocks
        Block of every image; images then change places within their block only.

    Examples
    --------
    >>> plan = permutation_plan(4, 100, np.random.default_rng(0), labels=[1, 1, 0, 0])
    >>> len(plan), plan.exhaustive
    (6, True)
    """
    check_range("number of permutations", n_permutations, 1, 10_000_000)
    if blocks is not None:
        return _within_blocks(np.asarray(blocks), n_permutations, rng)
    if labels is None:
        n_distinct = math.factorial(n_images) if n_images <= 12 else math.inf
        if n_distinct <= n_permutations:
            return PermutationPlan(np.array(list(itertools.permutations(range(n_images)))), True)
    else:
        marked = np.asarray(labels) == np.asarray(labels)[0]
        if math.comb(n_images, int(marked.sum())) <= n_permutations:
            return PermutationPlan(_relabelings(marked), True)
    orders = np.stack([rng.permutation(n_images) for _ in range(n_permutations)])
    orders[0] = np.arange(n_images)
    return PermutationPlan(orders, False)


def _within_blocks(
    blocks: npt.NDArray[np.str_], n_permutations: int, rng: np.random.Generator
) -> PermutationPlan:
    """Draw permutations within blocks; a few that are drawn twice do no harm."""
    places = [np.flatnonzero(blocks == name) for name in np.unique(blocks)]
    _check_enough(math.prod(min(math.factorial(min(len(at), 12)), 10**6) for at in places))
    orders = np.tile(np.arange(len(blocks)), (n_permutations, 1))
    for order in orders[1:]:
        for at in places:
            order[at] = rng.permutation(at)
    return PermutationPlan(orders, False)


def sign_plan(
    n_images: int,
    n_permutations: int,
    rng: np.random.Generator,
    *,
    blocks: Sequence[str] | None = None,
) -> PermutationPlan:
    """Draw flips of signs, or list all of them where there are no more than asked for.

    Parameters
    ----------
    blocks
        Block of every image; the images of a block, which depend on each other, take one sign.

    Examples
    --------
    >>> plan = sign_plan(6, 100, np.random.default_rng(0))
    >>> len(plan), plan.exhaustive
    (64, True)
    """
    check_range("number of permutations", n_permutations, 1, 10_000_000)
    owner = np.arange(n_images)
    if blocks is not None:
        owner = np.unique(np.asarray(blocks), return_inverse=True)[1]
    free = int(owner.max()) + 1
    if blocks is not None:
        _check_enough(2 ** min(free - 1, 60))
    exhaustive = 2 ** min(free, 60) <= n_permutations
    if exhaustive:
        bits = np.arange(2**free)[:, None] >> np.arange(free) & 1
    else:
        bits = rng.integers(0, 2, (n_permutations, free))
        bits[0] = 0
    signs = (1 - 2 * bits[:, owner]).astype(np.int8)
    orders = np.tile(np.arange(n_images), (len(signs), 1))
    return PermutationPlan(orders, exhaustive, signs)


def _check_enough(distinct: int) -> None:
    """Raise where no P could fall below 5 %."""
    if distinct < LEAST_DISTINCT:
        raise InputError(
            "there are too few rearrangements for any P below 5 %",
            found=f"{distinct} that give another statistic",
            do="compare more people; a site belongs among the covariates (groups.columns), "
            "not among the blocks",
        )


def _relabelings(marked: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Every way to choose the marked images, the given one first."""
    n, ones, zeros = len(marked), np.flatnonzero(marked), np.flatnonzero(~marked)
    orders = []
    for chosen in itertools.combinations(range(n), len(ones)):
        order = np.empty(n, np.int64)
        order[ones] = chosen
        order[zeros] = np.setdiff1d(np.arange(n), chosen)
        orders.append(order)
    first = next(i for i, order in enumerate(orders) if np.array_equal(order, np.arange(n)))
    orders.insert(0, orders.pop(first))
    return np.array(orders)


def permuted_rows(
    columns: npt.NDArray[np.float64], orders: npt.NDArray[np.integer]
) -> npt.NDArray[np.float64]:
    """Columns of shape (n, k) permuted the inverse way, as rows: (k, N, n)."""
    inverse = np.argsort(orders, axis=1)
    return np.ascontiguousarray(np.moveaxis(columns[inverse], 2, 0))
