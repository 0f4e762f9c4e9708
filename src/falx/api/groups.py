"""Two groups of maps compared at every voxel, corrected in every way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from falx.api.inputs import image_of, mask_of, numbers_of, same_grid, settings_of, words_of
from falx.api.results import Result, drawn
from falx.core.errors import InputError, collect_notices
from falx.core.grid import apply_affine
from falx.images.nifti import Image
from falx.maps.design import two_sample_design
from falx.maps.group_maps import GroupMap, compare
from falx.maps.settings import InferenceOptions
from falx.report.slices import Layer, slices_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FoundCluster", "GroupComparison", "group_map"]

HOW_MANY = "give one image a person"


@dataclass(frozen=True)
class FoundCluster:
    """A cluster: place (RAS+ mm) and t of its peak, volume, and its familywise probabilities.

    Those by permutation are None without permutations.
    """

    peak_mm: tuple[float, ...]
    t: float
    volume_mm3: float
    p_random_field: float
    p_extent: float | None
    p_mass: float | None


@dataclass(frozen=True, eq=False, repr=False)
class GroupComparison(Result):
    """t of two groups at every voxel, Welch's or Student's.

    Parameters
    ----------
    image
        t, zero outside the mask.
    q
        False-discovery-rate adjusted p; NaN outside the mask.
    p
        Familywise permutation p; NaN outside the mask, None without permutations.
    background
        Mean of all maps, for the picture.
    found
        Everything else: clusters, smoothness, thresholds; see
        :class:`falx.maps.group_maps.GroupMap`.
    """

    image: Image
    q: Image
    p: Image | None
    mask: Image
    background: Image
    contrast: str
    sizes: Mapping[str, int]
    found: GroupMap
    notices: tuple[str, ...] = ()

    def _heading(self) -> str:
        people = ", ".join(f"{n} {name}" for name, n in self.sizes.items())
        return f"{self.contrast} ({people})"

    def _facts(self) -> Sequence[tuple[str, object]]:
        found = self.found
        facts: list[tuple[str, object]] = [
            ("voxels", len(found.fit.t)),
            ("degrees of freedom", found.fit.dof),
            ("t", f"{found.fit.t.min():.2f} to {found.fit.t.max():.2f}"),
            ("cluster-forming |t|", found.critical_t),
            ("clusters", len(found.clusters)),
        ]
        return facts + [
            (f"of them with P < {found.options.cluster_p:g}, {name}", len(found.significant(by)))
            for by, name in (("fsl", "random fields"), ("mass", "permuted mass"))
            if by == "fsl" or found.null is not None
        ]

    @property
    def clusters(self) -> tuple[FoundCluster, ...]:
        """Clusters beyond the threshold, the largest first."""
        places = np.argwhere(self.mask.data)
        voxel_mm3 = self.mask.grid.voxel_volume_mm3
        return tuple(
            FoundCluster(
                tuple(apply_affine(self.mask.affine, places[one.cluster.peak_row]).tolist()),
                float(self.found.fit.t[one.cluster.peak_row]),
                one.cluster.extent * voxel_mm3,
                one.p_fsl,
                one.p_extent,
                one.p_mass,
            )
            for one in self.found.clusters
        )

    def plot(self) -> Figure:
        """Draw t through the largest cluster, or through the middle if there is none."""
        ceiling = float(np.abs(self.found.fit.t).max()) or 1.0
        layer = Layer(self.image, "map", "RdBu_r", -ceiling, ceiling, self.found.critical_t, "t")
        centre = self.clusters[0].peak_mm if self.found.clusters else None
        return drawn(slices_figure(self.background, [layer], centre_mm=centre))


def group_map(
    images: Any,
    groups: Iterable[str],
    *,
    affine: npt.ArrayLike | None = None,
    mask: Any = None,
    covariates: Mapping[str, npt.ArrayLike] | None = None,
    contrast: tuple[str, str] | None = None,
    seed: int = 1,
    threads: int = 2,
    **choices: Any,
) -> GroupComparison:
    """Compare two groups of maps at every voxel.

    Parameters
    ----------
    images
        One map a person, all on one grid: paths, images, or an array of shape (n, X, Y, Z)
        with `affine`.
    groups
        Group of every person.
    mask
        Voxels to compare; those that are not zero in anybody if absent.
    covariates
        Values by name, shape (n,) each.
    contrast
        Which group minus which; the first two that `groups` names if absent.
    seed
        Of the permutations.
    choices
        See :class:`falx.maps.group_maps.InferenceOptions`: ``n_permutations``, ``voxel_p``,
        ``cluster_p``, ``two_tailed``, ``connectivity``, ``enhance``, ``variance``.
    """
    maps, names = _maps(images, affine), words_of(groups, "groups")
    if len(names) != len(maps):
        raise InputError(
            "maps and groups differ in number", found=f"{len(maps)} and {len(names)}", do=HOW_MANY
        )
    first, second = _contrast(names, contrast)
    kept = [k for k, name in enumerate(names) if name in (first, second)]
    stack, chosen = np.stack([maps[k].data for k in kept]), [names[k] for k in kept]
    inside = _mask(stack, maps[0], mask)
    design = two_sample_design(chosen, first, second, _covariates(covariates, len(names), kept))
    with collect_notices() as notices:
        found = compare(
            stack[:, inside.data],
            inside.data,
            design,
            design.contrast({f"{first} - {second}": 1.0}),
            np.random.default_rng(seed),
            options=settings_of(InferenceOptions, choices),
            groups=chosen,
            threads=threads,
        )
    mean = Image(stack.mean(axis=0, dtype=np.float64).astype(np.float32), inside.affine)
    sizes = {name: chosen.count(name) for name in (first, second)}
    return _compared(found, inside, mean, sizes, tuple(notices))


def _compared(
    found: GroupMap, inside: Image, mean: Image, sizes: Mapping[str, int], notices: tuple[str, ...]
) -> GroupComparison:
    """Lay the arrays of a comparison out as volumes."""
    return GroupComparison(
        image=_volume(found.fit.t, inside, 0.0),
        q=_volume(found.q, inside, np.nan),
        p=None if found.p_voxel is None else _volume(found.p_voxel, inside, np.nan),
        mask=inside,
        background=mean,
        contrast=" - ".join(sizes),
        sizes=sizes,
        found=found,
        notices=notices,
    )


def _covariates(
    given: Mapping[str, npt.ArrayLike] | None, n: int, kept: Sequence[int]
) -> dict[str, npt.NDArray[np.float64]]:
    values = {name: numbers_of(column, name) for name, column in (given or {}).items()}
    for name, column in values.items():
        if len(column) != n:
            raise InputError(
                "a covariate has one number a person",
                where=name,
                found=f"{len(column)} for {n} people",
                do="give one number for every map, in the same order",
            )
    return {name: column[kept] for name, column in values.items()}


def _maps(images: Any, affine: npt.ArrayLike | None) -> list[Image]:
    if affine is not None:
        whole = np.asarray(images)
        if whole.dtype == object or whole.ndim != 4:
            raise InputError(
                "with an affine the maps are one array",
                where="maps",
                found=f"shape {whole.shape}",
                do="give shape (n, X, Y, Z), or a list of images without the affine",
            )
        images = [(one, affine) for one in whole]
    if isinstance(images, np.ndarray | Image | str) or not hasattr(images, "__iter__"):
        bare = isinstance(images, np.ndarray)
        raise InputError(
            "an array of maps does not say where it lies" if bare else "several maps are needed",
            where="maps",
            do="give affine=, or a list of images" if bare else HOW_MANY,
        )
    maps = [image_of(image, f"map {k}") for k, image in enumerate(images, 1)]
    if not maps:
        raise InputError("no map was given", do=HOW_MANY)
    for k, image in enumerate(maps[1:], 2):
        same_grid("map 1", maps[0], f"map {k}", image)
    return maps


def _contrast(names: Sequence[str], contrast: tuple[str, str] | None) -> tuple[str, str]:
    found = tuple(dict.fromkeys(names))
    if contrast is None:
        if len(found) != 2:
            raise InputError(
                "two groups can be compared",
                found=", ".join(found),
                do='name them with contrast=("A", "B")',
            )
        return found[0], found[1]
    named = words_of(contrast, "contrast")
    if len(named) != 2 or not set(named) <= set(found):
        raise InputError(
            "the contrast names two of the groups",
            found=", ".join(named),
            do=f"choose from {', '.join(found)}",
        )
    return named[0], named[1]


def _mask(stack: npt.NDArray[np.floating], like: Image, given: Any) -> Image:
    finite = np.isfinite(stack).all(axis=0)
    if given is None:
        inside = finite & (stack != 0).all(axis=0)
        if not inside.any():
            raise InputError(
                "no voxel is measured in everybody", where="maps", do="check them, or give mask="
            )
        return Image(inside, like.affine)
    mask = mask_of(given, "mask")
    same_grid("map 1", like, "mask", mask)
    if not finite[mask.data].all():
        raise InputError(
            "maps hold values that are not finite inside the mask",
            where="maps",
            do="mask them out, or replace them, before the maps are compared",
        )
    return mask


def _volume(values: npt.NDArray[np.float64], inside: Image, outside: float) -> Image:
    data = np.full(inside.data.shape, outside, np.float32)
    data[inside.data] = values
    return Image(data, inside.affine)
