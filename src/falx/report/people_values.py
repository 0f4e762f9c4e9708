"""What everybody has at every voxel of some maps, packed for a page.

Comparisons of one measure mostly hold the same maps of the same people; such maps are packed once.
Values are rounded to 254 steps of their voxel's range over people, and where a page would become
too large, every second or third voxel is kept of the measure that takes most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

__all__ = ["LARGEST", "PackedPeople", "PeopleValues", "packed_people"]

LARGEST = 9_000_000
"""People times voxels, one byte each: with base64 at most 12 MB of a page."""

COARSEST_MM = 8.0
LEVELS, ABSENT = 254, 255


@dataclass(frozen=True, eq=False)
class PeopleValues:
    """Everybody's values in one comparison.

    Parameters
    ----------
    name, title
        Beginning of the names of its layers, and what a reader calls it.
    people, groups
        n each.
    affine
        Shape (4, 4), to RAS+ mm.
    values
        Shape (X, Y, Z, n), float32; NaN where voxels were not compared.
    adjust
        Shape (n, n): brings the values of a voxel to the mean of all covariates.
    """

    name: str
    title: str
    people: Sequence[str]
    groups: Sequence[str]
    affine: npt.NDArray[np.float64]
    values: npt.NDArray[np.float32]
    adjust: npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PackedPeople:
    """What the page holds: plain values for its setup, arrays by name, and a sentence of it."""

    setup: Sequence[Mapping[str, object]]
    arrays: Mapping[str, npt.NDArray[np.generic]]
    told: str


@dataclass(frozen=True, eq=False)
class _Bank:
    """Maps of some people, shape (X, Y, Z, n), that one or more comparisons read."""

    people: tuple[str, ...]
    affine: npt.NDArray[np.float64]
    values: npt.NDArray[np.float32]

    @property
    def size(self) -> int:
        return int(np.isfinite(self.values).any(axis=3).sum()) * len(self.people)


def packed_people(found: Sequence[PeopleValues], *, largest: int = LARGEST) -> PackedPeople:
    """Pack everybody's values; see the module.

    Parameters
    ----------
    largest
        Bytes before they are compressed.

    Examples
    --------
    >>> values = np.arange(16, dtype=np.float32).reshape(2, 2, 2, 2)
    >>> one = PeopleValues("a", "A", "pq", "gh", np.diag([2.0, 2, 2, 1]), values, np.eye(2))
    >>> packed = packed_people([one])
    >>> packed.setup[0]["columns"], packed.arrays["people-codes-0"].tolist()[:4]
    ([0, 1], [0, 254, 0, 254])
    """
    kept = [one for one in found if np.isfinite(one.values).any()]
    whole, every = {one.name: one for one in kept}, {one.name: 1 for one in kept}
    while True:
        banks, of = _banked(kept)
        sizes = [bank.size for bank in banks]
        if sum(sizes) <= largest:
            break
        for name in [name for name, bank in of.items() if bank == int(np.argmax(sizes))]:
            every[name] += 1
        kept = [one for name, n in every.items() if (one := _thinned(whole[name], n)) is not None]
    setup, arrays = list[dict[str, object]](), dict[str, npt.NDArray[np.generic]]()
    for number, bank in enumerate(banks):
        arrays |= {f"people-{k}-{number}": v for k, v in _coded(bank).items()}
    for one in kept:
        bank = banks[of[one.name]]
        arrays[f"people-adjust-{len(setup)}"] = one.adjust.astype("<f4")
        arrays[f"people-compared-{len(setup)}"] = _inside(one.values)
        setup.append(
            {
                "name": one.name,
                "title": one.title,
                "people": list(one.people),
                "groups": list(one.groups),
                "columns": [bank.people.index(person) for person in one.people],
                "bank": of[one.name],
                "shape": list(bank.values.shape[:3]),
                "toVoxel": np.linalg.inv(bank.affine).ravel().tolist(),
                "affine": bank.affine.ravel().tolist(),
                "width": len(bank.people),
            }
        )
    return PackedPeople(setup, arrays, _told(found, kept, banks))


def _told(
    found: Sequence[PeopleValues], kept: Sequence[PeopleValues], banks: Sequence[_Bank]
) -> str:
    """Say on which voxels the values are, and of which comparisons there are none."""
    sizes = sorted({_size_mm(bank.affine) for bank in banks})
    told = ""
    if sizes:
        where = " and ".join(f"{size:.3g}" for size in sizes)
        told = (
            f"Everybody's value is kept on voxels of {where} mm, rounded to 1/{LEVELS} of how far "
            "people lie apart there."
        )
    there = {one.name for one in kept}
    lost = [one.title for one in found if one.name not in there]
    if lost:
        told += (
            f" Not kept, because people times voxels are too many for a page: {'; '.join(lost)}. "
            "Means of clusters are in the tables of values."
        )
    return told.strip()


def _size_mm(affine: npt.NDArray[np.float64]) -> float:
    return float(np.linalg.norm(affine[:3, :3], axis=0).max())


def _thinned(one: PeopleValues, every: int) -> PeopleValues | None:
    """Every n-th voxel, about the middle of the grid; nothing if they lie too far apart."""
    if every * _size_mm(one.affine) > COARSEST_MM:
        return None
    starts = [(n - 1) % every // 2 for n in one.values.shape[:3]]
    affine = np.array(one.affine)
    affine[:3, 3] += affine[:3, :3] @ starts
    affine[:3, :3] *= every
    window = tuple(slice(start, None, every) for start in starts)
    return replace(one, affine=affine, values=one.values[window])


def _banked(found: Sequence[PeopleValues]) -> tuple[list[_Bank], dict[str, int]]:
    """Put maps that agree into one bank; the comparison with most people comes first."""
    banks, of = list[_Bank](), dict[str, int]()
    for one in sorted(found, key=lambda one: -len(one.people)):
        for number, bank in enumerate(banks):
            joined = _joined(bank, one)
            if joined is not None:
                banks[number], of[one.name] = joined, number
                break
        else:
            of[one.name] = len(banks)
            banks.append(_Bank(tuple(one.people), one.affine, one.values))
    return banks, of


def _joined(bank: _Bank, one: PeopleValues) -> _Bank | None:
    """Add people and voxels to a bank if all values that both have are the same."""
    if bank.values.shape[:3] != one.values.shape[:3] or not np.allclose(bank.affine, one.affine):
        return None
    place = {person: k for k, person in enumerate(bank.people)}
    both = [(place[person], k) for k, person in enumerate(one.people) if person in place]
    if not both:
        return None
    theirs, own = (list(columns) for columns in zip(*both, strict=True))
    old, new = bank.values[..., theirs], one.values[..., own]
    shared = np.isfinite(old) & np.isfinite(new)
    # Each was rounded to a step of its own people's range.
    range_there = np.nanmax(bank.values, axis=3, initial=-np.inf) - np.nanmin(
        bank.values, axis=3, initial=np.inf
    )
    step = np.where(np.isfinite(range_there), range_there, 0.0)[..., None] / (2 * LEVELS)
    if not shared.any() or np.any(shared & (np.abs(old - new) > step + 1e-6 * np.abs(old))):
        return None
    more = [k for k, person in enumerate(one.people) if person not in place]
    filled = bank.values.copy()
    filled[..., theirs] = np.where(np.isfinite(old), old, new)
    people = (*bank.people, *(one.people[k] for k in more))
    return _Bank(people, bank.affine, np.concatenate([filled, one.values[..., more]], axis=3))


def _inside(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Whether each voxel was compared, in the order of the page (x slowest)."""
    return np.isfinite(values).all(axis=3).astype(np.uint8).ravel()


def _coded(bank: _Bank) -> dict[str, npt.NDArray[np.generic]]:
    """Voxels of a bank, and their values in steps of each voxel's range; 255 is not there."""
    there = np.isfinite(bank.values).any(axis=3)
    values = bank.values[there].astype(np.float64)
    low, high = np.nanmin(values, axis=1), np.nanmax(values, axis=1)
    step = (high - low) / LEVELS
    codes = np.rint((values - low[:, None]) / np.where(step > 0, step, 1.0)[:, None])
    held = np.where(np.isfinite(values), codes, ABSENT).astype(np.uint8)
    return {
        "there": there.astype(np.uint8).ravel(),
        "codes": held.ravel(),
        "low": low.astype("<f4"),
        "step": step.astype("<f4"),
    }
