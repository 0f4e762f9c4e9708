"""The metabolic signature, and what an ablation took of it (Mo 2025).

Each function does what a stage of ``falx signature`` does, on values as the files of the stage
before would carry them, so that both give the same numbers, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from falx.api.head import Coregistered, matrix_to, middle_of
from falx.api.inputs import mask_of, name_of, settings_of
from falx.api.metabolic import Asymmetry
from falx.api.results import Result, drawn, percent
from falx.core.errors import InputError, check_option, collect_notices
from falx.core.grid import SIDES, Side
from falx.images.nifti import Image, as_stored
from falx.pet.metrics import SignatureMetrics
from falx.pet.settings import SignatureRule
from falx.pet.signature import SignatureMasks
from falx.pet.steps import find_signature
from falx.report.slices import Layer, slices_figure
from falx.surgery.metrics import InsideAsymmetry
from falx.surgery.outcome.ablation import AblativeRate, bring_mask, check_side
from falx.surgery.outcome.made import bring_drawn, inside_asymmetry, structure_rates

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["AblativeRates", "SignatureMap", "ablative_rate", "signature"]


@dataclass(frozen=True, eq=False, repr=False)
class SignatureMap(Result):
    """The metabolic signature of a patient.

    Parameters
    ----------
    image
        Mask on the T1w grid, at the chosen threshold.
    published
        The same at the published threshold, z + 5 scale, both sides, no grey-matter floor.
    template
        Mask on the template grid, at the chosen threshold.
    """

    image: Image
    published: Image
    template: Image
    of: Asymmetry
    metrics: SignatureMetrics
    title = "Metabolic signature"

    @property
    def side(self) -> Side:
        """Side of the focus."""
        return self.metrics.side

    @property
    def notices(self) -> tuple[str, ...]:
        """What was said on the way."""
        return tuple(self.metrics.notices)

    def _facts(self) -> Sequence[tuple[str, object]]:
        found = self.metrics
        cut = found.threshold
        return [
            ("focus", f"{found.side}, from {found.side_from}"),
            ("asymmetry index", f"{cut.comparison} {cut.value:g} on the {cut.scale} scale"),
            ("volume, mm³", found.volume_mm3),
            ("volume at the published threshold, mm³", found.published_volume_mm3),
        ]

    def plot(self) -> Figure:
        """Draw the asymmetry with the signature outlined, through its middle."""
        layers = [
            Layer(self.of.image, "map", "RdBu_r", -0.3, 0.3, 0.03, "asymmetry index"),
            Layer(self.image, "contour", "cyan", label="signature"),
        ]
        return drawn(slices_figure(self.of.head.image, layers, centre_mm=middle_of(self.image)))


@dataclass(frozen=True, eq=False, repr=False)
class AblativeRates(Result):
    """How much of the signature an ablation took.

    Parameters
    ----------
    image
        The ablation on the T1w grid.
    rates, published
        Structure to rate, of the chosen and of the published signature.
    inside
        Asymmetry of the PET inside the ablation.
    """

    image: Image
    rates: Mapping[str, AblativeRate]
    published: Mapping[str, AblativeRate]
    inside: InsideAsymmetry
    of: SignatureMap
    notices: tuple[str, ...] = ()
    title = "Ablative rate"

    @property
    def volume_mm3(self) -> float:
        """Volume of the ablation."""
        return float(np.count_nonzero(self.image.data) * self.image.grid.voxel_volume_mm3)

    def _facts(self) -> Sequence[tuple[str, object]]:
        return [
            *(
                (
                    name.replace("_", " "),
                    f"{percent(rate.rate)} of {rate.denominator_mm3:.0f} mm³",
                )
                for name, rate in self.rates.items()
            ),
            *(
                (f"{name.replace('_', ' ')}, published threshold", percent(rate.rate))
                for name, rate in self.published.items()
            ),
            ("ablation, mm³", self.volume_mm3),
            ("asymmetry inside it", self.inside.ipsilateral),
        ]

    def plot(self) -> Figure:
        """Draw the signature with the ablation outlined."""
        layers = [
            Layer(self.of.image, "mask", "cyan", label="signature"),
            Layer(self.image, "contour", "orange", label="ablation"),
        ]
        background = self.of.of.head.image
        return drawn(slices_figure(background, layers, centre_mm=middle_of(self.image)))


def signature(of: Asymmetry, *, side: str | None = None, **choices: Any) -> SignatureMap:
    """Find the signature: tissue whose uptake falls below that of its mirror image.

    Parameters
    ----------
    of
        From :func:`asymmetry` of a PET.
    side
        ``"left"`` or ``"right"``; the side that is lower if absent.
    choices
        See :class:`falx.pet.settings.SignatureRule`: ``threshold``, ``threshold_scale``,
        ``gm_floor``, ``ipsilateral_only``, ``minimum_cluster_mm3``, …
    """
    if not isinstance(of, Asymmetry):
        raise InputError(
            "a signature is cut from an asymmetry",
            found=type(of).__name__,
            do="give what falx.asymmetry returned",
        )
    if side is not None:
        check_option("side", side, SIDES)
    settings = settings_of(SignatureRule, choices)
    with collect_notices() as notices:
        found = find_signature(
            of._as_scaled(), of.metrics, of.place, of.head.gm, settings, side=side
        )
    template, native = of.place.template.affine, of.place.native.affine
    masks: SignatureMasks = found.chosen
    return SignatureMap(
        image=as_stored(masks.native, native),
        published=as_stored(found.published.native, native),
        template=as_stored(masks.template, template),
        of=of,
        metrics=replace(found.metrics, notices=tuple(notices)),
    )


def ablative_rate(
    found: SignatureMap,
    ablation: Any,
    *,
    matrix: npt.ArrayLike | Coregistered | None = None,
    threads: int = 2,
) -> AblativeRates:
    """Measure how much of a signature an ablation took.

    Parameters
    ----------
    found
        From :func:`signature`.
    ablation
        Binary mask on any grid, drawn on the T1w or on the post-operative T1w.
    matrix
        For the latter: T1w mm → post-operative mm, or what :func:`coregister` returned.
    """
    if not isinstance(found, SignatureMap):
        raise InputError(
            "an ablative rate is of a signature",
            found=type(found).__name__,
            do="give what falx.signature returned",
        )
    where = name_of(ablation, "ablation")
    head, of, side = found.of.head, found.of, found.side
    labels, grid = head.structures, of.place.template
    with collect_notices() as notices:
        mask = mask_of(ablation, "ablation")
        to_drawn = np.eye(4) if matrix is None else matrix_to(matrix, False, head, threads)
        made = bring_drawn(mask, labels.grid, to_drawn, where=where, threads=threads)
        template = bring_mask(mask, of.place.to_native_mm, matrix=to_drawn, threads=threads)
        check_side(template, grid, side, where=where)
        inside = inside_asymmetry(template, of._as_scaled(), grid, where=where)
        rates, published = (
            structure_rates(masks, made.native, labels, side)
            for masks in (found.image, found.published)
        )
    return AblativeRates(
        as_stored(made.native, labels.affine), rates, published, inside, found, tuple(notices)
    )
