"""What an ablation that was made took of a signature, and the asymmetry inside it (Mo 2025)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError, notify
from falx.core.grid import Grid, Side, mirror, require_same
from falx.images.nifti import Image
from falx.pet.asymmetry import ratio_of_means
from falx.pet.regions import STRUCTURE_LABELS, structure_mask
from falx.pet.scaling import Scaled
from falx.pet.signature import index_on_scale
from falx.surgery.metrics import InsideAsymmetry
from falx.surgery.outcome.ablation import AblativeRate, ablative_rate, bring_mask, check_arrival

__all__ = ["Drawn", "ablated_shares", "bring_drawn", "inside_asymmetry", "structure_rates"]


@dataclass(frozen=True, eq=False)
class Drawn:
    """A rater's mask, and where it lies on the T1w.

    Parameters
    ----------
    mask
        As it was drawn.
    to_drawn
        Shape (4, 4), from T1w mm to where it was drawn; ``None`` for the T1w itself.
    native
        Shape (X, Y, Z) of the T1w grid.
    """

    mask: Image
    to_drawn: npt.NDArray[np.floating] | None
    native: npt.NDArray[np.bool_]


def bring_drawn(
    mask: Image,
    grid: Grid,
    to_drawn: npt.NDArray[np.floating] | None,
    *,
    where: object = None,
    threads: int = 1,
) -> Drawn:
    """Bring a rater's mask to the T1w grid, and raise if it is empty or does not land there.

    Parameters
    ----------
    to_drawn
        Shape (4, 4), T1w mm → mm of the image it was drawn on.
    """
    if not mask.data.any():
        raise InputError(
            "the ablation mask is empty", where=where, do="draw or choose another mask"
        )
    native = bring_mask(mask, grid, matrix=to_drawn, threads=threads)
    check_arrival(mask, Image(native, grid.affine), where=where)
    return Drawn(mask, to_drawn, native)


def structure_rates(
    signature: Image,
    ablation: npt.NDArray[np.bool_],
    labels: Image,
    side: Side,
    *,
    probability: Image | None = None,
) -> dict[str, AblativeRate]:
    """Ablative rate in every structure of the side of the focus; notices say what limits one.

    Parameters
    ----------
    signature, labels
        Mask and FreeSurfer numbers on the T1w grid.
    ablation
        Shape (X, Y, Z) of the same grid.
    probability
        Of being signature, on the same grid: the rate is then that of expected volumes, because a
        mask that keeps to the surer half leans towards where the focus is deepest.
    """
    require_same("signature", signature.grid, "structures", labels.grid)
    rates = {}
    for structure in STRUCTURE_LABELS:
        inside = structure_mask(labels.data, structure, side)
        counted = np.asarray(signature.data, dtype=bool)
        if probability is not None and (counted & inside).any():
            counted = probability.data
        rate = ablative_rate(counted, ablation, inside, labels.affine)
        for text in (rate.notice, rate.reason):
            if text is not None:
                notify(f"ablative rate of the {structure.replace('_', ' ')}: {text}")
        rates[structure] = rate
    return rates


def ablated_shares(
    ablation: npt.NDArray[np.bool_], labels: Image, side: Side
) -> dict[str, float | None]:
    """Share of every structure of the side of the focus that was ablated, signature or not.

    It is what an ablative rate has to say more than; ``None`` where there is no structure.

    Parameters
    ----------
    ablation
        Shape (X, Y, Z) of the grid of `labels`, FreeSurfer numbers.
    """
    shares: dict[str, float | None] = {}
    for structure in STRUCTURE_LABELS:
        inside = structure_mask(labels.data, structure, side)
        whole = np.count_nonzero(inside)
        shares[structure] = float(np.count_nonzero(inside & ablation) / whole) if whole else None
    return shares


def inside_asymmetry(
    mask: npt.NDArray[np.bool_],
    scaled: Scaled,
    grid: Grid,
    *,
    published: Scaled | None = None,
    where: object = None,
) -> InsideAsymmetry:
    """Mean asymmetry inside the ablation and its mirror, on the run's and the z + 5 scale.

    Parameters
    ----------
    mask
        Shape (X, Y, Z) of the template grid.
    published
        The image as the published chain takes it, for the z + 5 scale; the image of the run
        where there is none.
    """
    own = index_on_scale(scaled, grid, scaled.image != 0, scaled.scale)
    other = scaled if published is None else published
    z5 = index_on_scale(other, grid, other.image != 0, "z5")
    inside = mask & own.valid
    if not inside.any():
        notify("no asymmetry inside the ablation", where=where)
        return InsideAsymmetry(scaled.scale)
    here, there = scaled.image, mirror(scaled.image, grid)
    return InsideAsymmetry(
        scale=scaled.scale,
        ipsilateral=float(own.index[inside].mean()),
        contralateral=float(own.index[mirror(inside, grid)].mean()),
        ratio_of_means=ratio_of_means(float(here[inside].mean()), float(there[inside].mean())),
        ipsilateral_z5=_mean(z5.index, mask & z5.valid),
        defined_share=float(np.count_nonzero(inside) / np.count_nonzero(mask)),
    )


def _mean(values: npt.NDArray[np.floating], inside: npt.NDArray[np.bool_]) -> float | None:
    return float(values[inside].mean()) if inside.any() else None
