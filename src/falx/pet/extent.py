"""How far a focus reaches within a named region: parts along its axis, and what each extent makes.

In mesial temporal epilepsy the whole hippocampus may be diseased, its head alone, or a stretch of
it, with the amygdala or without. Blur and noise do not let single voxels tell. The region is cut
into parts of equal volume from back to front (:class:`Parts`); an extent is a contiguous stretch
of them, with or without the amygdala. A focus of depth d that holds the parts s makes mean indices
`d F s` of the parts, F being what the same blur makes of each part in each other, and noise and
healthy asymmetry scatter them with the covariance of the patient's null maps. So every extent has
a posterior probability, with all voxels and their correlation in it, and an ablative rate taken
over extents has an interval that holds what is not known of the extent.

Beforehand short stretches are likelier than long ones, those that reach the front of the
hippocampus likelier than those behind (:data:`WHOLE`, with the reasons), and depths are normal
about :data:`DEPTH`. These are assumptions, and so is one depth throughout. The
likelihood is Student's, since the covariance is that of few maps (Sellentin & Heavens 2016, Mon
Not R Astron Soc 456:L132).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy
from scipy import ndimage
from scipy.special import ndtr

from falx.atlas.freesurfer_numbers import AMYGDALA, HIPPOCAMPUS
from falx.core.grid import Side, box_around
from falx.pet.decoy import NullMaps

__all__ = [
    "OUTLINE_COMMON_MM",
    "OUTLINE_SD_MM",
    "PIECES",
    "Extent",
    "Outline",
    "PartMeans",
    "Parts",
    "extent_of",
    "find_extent",
    "part_means",
    "stretches",
]

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int16]
Beforehand = Iterable[tuple[tuple[bool, ...], float]]

WHOLE, SHORT, BEHIND = 0.25, 1.0, 0.25
"""Extents beforehand: probability of the whole region; power of the length that those of others
fall with; how likely a stretch is that does not reach the front of the hippocampus, beside the one
of its length that does. Chosen on twelve simulated heads (benchmarks/extent_prior.py, seeds 950 to
956 and 970 to 974) so that the stated false share is true for whole structures and for the front
of them, and rates of whole ones stay where they are; what is reported has other seeds."""

PIECES = 6
"""Parts of the hippocampus: each about as long as the point spread is wide."""

DEPTH, DEPTH_SD = -0.2, 0.12
"""Of the index of a focus beforehand: mesial temporal lobes have -.164 ± .083 (Korean J Nucl Med
1999;33:28), in which healthy parts and blur are averaged in."""

DEPTHS = np.linspace(-0.8, -0.03, 60)

OUTLINE_SD_MM = 0.3
"""How far the outline of a labelled structure may lie from the true one: with it hippocampus and
amygdala together have an expected Dice of .94, the median of 14 heads that no prior knew
(docs/methods/anatomy.md: .96 and .89)."""

OUTLINE_COMMON_MM = 0.15
"""Of that, what moves a whole outline, so that volumes err by about 9 %; the rest is local."""

OWN = 0.1
"""Share of the covariance that is kept to its diagonal, for it is that of few maps."""


@dataclass(frozen=True)
class Parts:
    """Hippocampus in pieces from back to front, numbers from 1, and the amygdala as the last part.

    Parameters
    ----------
    side
        On which it lies.
    edges_mm
        Template y between the pieces, ascending.
    """

    side: Side
    edges_mm: tuple[float, ...]

    @classmethod
    def of(
        cls, labels: npt.NDArray[np.integer], y_mm: npt.NDArray[np.floating], side: Side
    ) -> Parts:
        """Cut the hippocampus into pieces of equal volume.

        Parameters
        ----------
        labels, y_mm
            Shape (X, Y, Z): FreeSurfer numbers, and template y.
        """
        along = y_mm[labels == HIPPOCAMPUS[side]]
        shares = np.arange(1, PIECES) / PIECES
        edges = np.quantile(along, shares).tolist() if along.size else [0.0] * (PIECES - 1)
        return cls(side, tuple(edges))

    @property
    def count(self) -> int:
        """Number of parts."""
        return len(self.edges_mm) + 2

    def numbers(self, labels: npt.NDArray[np.integer], y_mm: npt.NDArray[np.floating]) -> Numbers:
        """Give every voxel the number of its part, zero outside; any shape.

        Examples
        --------
        >>> labels, y_mm = np.array([17, 17, 18, 2]), np.array([-40, -25, 0, 0])
        >>> Parts("left", (-30.0, -20.0)).numbers(labels, y_mm)
        array([1, 2, 4, 0], dtype=int16)
        """
        piece = 1 + np.digitize(y_mm, self.edges_mm)
        found = np.where(labels == HIPPOCAMPUS[self.side], piece, 0)
        return np.where(labels == AMYGDALA[self.side], self.count, found).astype(np.int16)


@dataclass(frozen=True, eq=False)
class Extent:
    """What is known of the extent of a focus.

    Parameters
    ----------
    held
        Shape (N, K): which parts each possible extent holds.
    weight, depth
        Shape (N,): its posterior probability, and the mean depth if it is the true one.
    """

    held: Mask
    weight: npt.NDArray[np.float64]
    depth: npt.NDArray[np.float64]

    @property
    def chance(self) -> npt.NDArray[np.float64]:
        """Probability of each part, shape (K,)."""
        return np.asarray(self.weight @ self.held)

    @property
    def expected(self) -> npt.NDArray[np.float64]:
        """Expected depth of each part, zero where it is not held, shape (K,)."""
        return np.asarray((self.weight * self.depth) @ self.held)

    def draw(self, rng: np.random.Generator) -> Mask:
        """Draw which parts are held, shape (K,)."""
        return np.asarray(self.held[rng.choice(len(self.weight), p=self.weight)])

    def draw_at(self, numbers: Numbers, rng: np.random.Generator) -> Mask:
        """Draw whether voxels of parts `numbers`, shape (n,), are held; those of none are not."""
        return np.asarray(np.r_[False, self.draw(rng)][numbers])

    def chance_at(self, numbers: Numbers) -> Floats:
        """Probability of voxels of parts `numbers`, any shape; zero for those of none."""
        return np.asarray(np.r_[0.0, self.chance].astype(np.float32)[numbers])


def stretches(pieces: int) -> Iterator[tuple[tuple[bool, ...], float]]:
    """Yield every extent with its probability beforehand: pieces, and the amygdala last.

    Examples
    --------
    >>> found = list(stretches(2))
    >>> len(found), round(sum(prior for _, prior in found), 6)
    (7, 1.0)
    >>> {held: round(prior, 3) for held, prior in found}[False, True, True]
    0.171
    """
    yield (True,) * (pieces + 1), WHOLE
    own: list[tuple[tuple[bool, ...], float]] = [((False,) * pieces + (True,), 1.0)]
    for length in range(1, pieces + 1):
        behind = pieces - length
        for start in range(behind + 1):
            held = tuple(start <= piece < start + length for piece in range(pieces))
            share = (1.0 if held[-1] else BEHIND) / (1.0 + BEHIND * behind) / length**SHORT
            own.append(((*held, False), share))
            if length < pieces:
                own.append(((*held, True), share))
    total = sum(share for _, share in own)
    for held, share in own:
        yield held, (1.0 - WHOLE) * share / total


@dataclass(frozen=True, eq=False)
class PartMeans:
    """What an image says of k parts of a region that are seen, of K in all.

    Parameters
    ----------
    means
        Shape (k,): mean index of each.
    made
        Shape (k, K): what a depth of one in each part makes of it.
    scatter
        Shape (k, k): covariance that noise and healthy asymmetry give the means.
    draws
        Null maps behind that.
    """

    means: npt.NDArray[np.float64]
    made: npt.NDArray[np.float64]
    scatter: npt.NDArray[np.float64]
    draws: int


def find_extent(
    index: npt.NDArray[np.floating],
    numbers: Numbers,
    shapes: Floats,
    maps: NullMaps,
    sd: Floats,
    widened: float,
) -> Extent:
    """Find the posterior probability of every extent of a focus in a region.

    Parameters
    ----------
    index
        Shape (X // 2, Y, Z), as :func:`falx.pet.decoy.half_of` gives it.
    numbers
        Of the same shape: part of each voxel, from :class:`Parts`.
    shapes
        Shape (K, X // 2, Y, Z): index that a depth of one in a part would give.
    sd
        Shape of `index`: usual standard deviation.
    widened
        Factor that the patient's decoys ask for.
    """
    usable = (sd > 0) & maps.noise.where
    parts = [usable & (numbers == part) for part in range(1, len(shapes) + 1)]
    return extent_of(part_means(index, [p for p in parts if p.any()], shapes, maps, widened))


def extent_of(seen: PartMeans, beforehand: Beforehand | None = None) -> Extent:
    """Weigh every extent by what was seen, and by what is thought of it beforehand.

    Parameters
    ----------
    beforehand
        Extents with their probabilities, as :func:`stretches` yields them, which is the default.
    """
    scatter = (1.0 - OWN) * seen.scatter + OWN * np.diag(np.diag(seen.scatter))
    inverse = np.linalg.inv(scatter)
    held, prior = zip(*(beforehand or stretches(seen.made.shape[1] - 1)), strict=True)
    every = np.array(held)
    pattern = every.astype(np.float64) @ seen.made.T  # (N, k)
    apart = seen.means - DEPTHS[:, None, None] * pattern
    distance = np.einsum("dnk,kl,dnl->dn", apart, inverse, apart)
    power = -0.5 * (seen.draws + len(seen.means))
    likelihood = power * np.log1p(distance / seen.draws)
    likelihood -= 0.5 * np.square((DEPTHS[:, None] - DEPTH) / DEPTH_SD)
    posterior = scipy.special.softmax(likelihood + np.log(np.array(prior)))
    weight = posterior.sum(axis=0)
    depth = (DEPTHS @ posterior) / np.maximum(weight, 1e-300)
    return Extent(every, np.asarray(weight), np.asarray(depth))


def part_means(
    index: npt.NDArray[np.floating],
    parts: list[Mask],
    shapes: Floats,
    maps: NullMaps,
    widened: float,
) -> PartMeans:
    """Take means over the voxels of parts, of shape (X // 2, Y, Z), and their covariance."""
    means = np.array([float(index[part].mean()) for part in parts])
    made = np.array([[float(shape[part].mean()) for shape in shapes] for part in parts])
    columns = [part[maps.noise.where] for part in parts]
    scatter = np.zeros((len(parts), len(parts)))
    for source in (maps.noise, maps.healthy):
        drawn = np.array([source.values[:, own].mean(axis=1) for own in columns], np.float64)
        scatter += np.einsum("kn,ln->kl", drawn, drawn) / source.count
    return PartMeans(means, made, scatter * widened**2, min(maps.noise.count, maps.healthy.count))


@dataclass(frozen=True, eq=False)
class Outline:
    """The outline of labelled structures, which may lie elsewhere by :data:`OUTLINE_SD_MM`.

    Parameters
    ----------
    depth_mm
        Shape (n,): how deep voxel centres lie; the outline is half a voxel beyond the outermost.
    voxel_mm
        Smallest edge of a voxel.
    """

    depth_mm: npt.NDArray[np.floating]
    voxel_mm: float

    @classmethod
    def of(cls, inside: Mask, voxel_sizes_mm: npt.NDArray[np.floating]) -> Outline:
        """Take it of a mask of shape (X, Y, Z), for the voxels inside."""
        # What is nearest to the voxels of a mask lies in its box or one voxel beyond.
        box = box_around(inside, 1)
        distance = ndimage.distance_transform_edt(inside[box], sampling=voxel_sizes_mm)
        edge = float(np.min(voxel_sizes_mm))
        return cls((distance[inside[box]] - 0.5 * edge).astype(np.float32), edge)

    @property
    def chance(self) -> npt.NDArray[np.float64]:
        """Expected share of each voxel that is inside, shape (n,).

        Examples
        --------
        >>> Outline(np.array([0.5, 1.5, 4.5]), 1.0).chance.round(2)
        array([0.88, 1.  , 1.  ])
        """
        return self._within(self.depth_mm, OUTLINE_SD_MM)

    def lost(self, moved_mm: float) -> float:
        """Return the expected share of all voxels that is outside an outline moved inwards.

        Parameters
        ----------
        moved_mm
            What all of it moved by; each place has moved by its own part too.
        """
        if not self.depth_mm.size:
            return 0.0
        own = float(np.sqrt(OUTLINE_SD_MM**2 - OUTLINE_COMMON_MM**2))
        return float(1.0 - self._within(self.depth_mm - moved_mm, own).mean())

    def _within(self, depth_mm: npt.NDArray[np.floating], sd_mm: float) -> npt.NDArray[np.float64]:
        """Return the share of such voxels expected within an outline that moves by an SD."""
        high, low = ((depth_mm + side * 0.5 * self.voxel_mm) / sd_mm for side in (1.0, -1.0))
        mean = _ramp(high) - _ramp(low)
        return np.asarray(np.clip(mean * sd_mm / self.voxel_mm, 0.0, 1.0))


def _ramp(x: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Integral of the normal distribution function."""
    return np.asarray(x * ndtr(x) + np.exp(-0.5 * x * x) / np.sqrt(2.0 * np.pi))
