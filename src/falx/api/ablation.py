"""The metabolic signature, and what an ablation took of it (Mo 2025).

Each function does what a stage of ``falx signature`` does, on values as the files of the stage
before would carry them, so that both give the same numbers, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
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
from falx.pet.files import Person, place_person
from falx.pet.finding import ScaledPet, find_signature
from falx.pet.foci import FocusRow
from falx.pet.metrics import SignatureMetrics
from falx.pet.norms import Expected, HealthyMetrics
from falx.pet.settings import SignatureRule
from falx.pet.steps import published_asymmetry
from falx.report.slices import Layer, slices_figure
from falx.surgery.metrics import InsideAsymmetry
from falx.surgery.outcome.ablation import AblativeRate, bring_mask, check_side
from falx.surgery.outcome.made import bring_drawn, inside_asymmetry, structure_rates

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SEXES = ("female", "male")
REFUTED = "the other side is lower than noise and healthy people account for as well"

__all__ = ["AblativeRates", "SignatureMap", "ablative_rate", "signature"]


@dataclass(frozen=True, eq=False, repr=False)
class SignatureMap(Result):
    """The metabolic signature of a patient.

    Parameters
    ----------
    image
        Mask on the T1w grid.
    published
        The same as the scripts of Mo 2025 define it: measured PET, z + 5 scale, both sides, no
        grey-matter floor; ``None`` where the measured PET is not known.
    template
        Mask on the template grid.
    probability
        Of belonging to a focus that neither noise nor healthy asymmetry accounts for, on the T1w
        grid; zero away from foci, and everywhere if the noise is not known.
    healthy
        Where the structures stand among healthy people; ``None`` without a corrected PET.
    numbers
        Number of the focus of :attr:`foci` that a voxel of the T1w grid belongs to; 0 elsewhere.
    """

    image: Image
    published: Image | None
    template: Image
    probability: Image
    of: Asymmetry
    metrics: SignatureMetrics
    healthy: HealthyMetrics | None = None
    numbers: Image | None = None
    title = "Metabolic signature"

    @property
    def side(self) -> Side:
        """Side of the focus."""
        return self.metrics.side

    @property
    def notices(self) -> tuple[str, ...]:
        """What was said on the way."""
        return (*self.metrics.notices, *(self.healthy.notices if self.healthy else ()))

    @property
    def foci(self) -> tuple[FocusRow, ...]:
        """Foci of both sides that noise and healthy asymmetry do not account for."""
        found = self.metrics.calibrated
        return () if found is None else found.everywhere

    def _facts(self) -> Sequence[tuple[str, object]]:
        found = self.metrics
        rows: list[tuple[str, object]] = [
            ("focus", f"{found.side}, from {found.side_from}"),
            ("definition", str(found.definition)),
            ("volume, mm³", found.volume_mm3),
            ("volume by the published definition, mm³", found.published_volume_mm3),
        ]
        for norm in self.healthy.structures if self.healthy else ():
            own = norm.on(found.side)
            told = (
                f"percentile {own.percentile:.1f} of {own.people} healthy people, z {own.z:+.1f}"
            )
            rows.append((f"{own.structure.replace('_', ' ')}, {own.kind}", told))
        known = found.calibrated
        if known is None:
            return [*rows, ("certain", "nothing: the noise of the PET is not known")]
        rows.append(("foci", f"{len(known.foci)} at a familywise rate of {known.level:g}"))
        if known.false_share is not None:
            limits = f"{percent(known.false_share_low)} to {percent(known.false_share_high)}"
            rows.append(("expected false share", f"{percent(known.false_share)} ({limits})"))
        for number, one in enumerate(known.foci, start=1):
            place = ", ".join(f"{mm:.0f}" for mm in one.peak_mni_mm)
            told = f"P = {one.probability:.3g}, asymmetry {one.mean_asymmetry:.3f}"
            rows.append((f"focus {number}", f"{one.region}, {told}, lowest at MNI ({place}) mm"))
        if known.refuted:
            rows.append(("doubt", REFUTED))
        return rows

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
        Structure to rate, of the chosen and of the published signature; the latter is empty
        where the measured PET is not known.
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


def signature(
    of: Asymmetry,
    *,
    side: str | None = None,
    norms: str | PathLike[str] | None = None,
    age: float | None = None,
    sex: str | None = None,
    scanner: str | None = None,
    tracer: str | None = None,
    **choices: Any,
) -> SignatureMap:
    """Find the signature: foci of low uptake that noise and healthy asymmetry do not make.

    A person without a focus should have a false one with the probability `level`. That was
    measured on phantoms alone, with an assumed smoothness of healthy asymmetry:
    ``docs/methods/signature.md``.

    Parameters
    ----------
    of
        From :func:`asymmetry` of what :func:`correct_pet` returned. The method ``"threshold"``
        takes the asymmetry of any image.
    side
        ``"left"`` or ``"right"``; both sides are searched if absent.
    norms
        Record that ``falx norms`` made of a site's own controls; the shipped norms if absent.
    age, sex, scanner, tracer
        Of the person, where those norms know them: years, ``"female"`` or ``"male"``, and model
        and tracer as the sidecars of the controls name them.
    choices
        See :class:`falx.pet.settings.SignatureRule`: ``method``, ``level``, ``seed``,
        ``threshold``, ``threshold_scale``, ``gm_floor``, ``ipsilateral_only``, …
    """
    settings = settings_of(SignatureRule, choices)
    _check_asked(of, side, sex, settings)
    person = Person(age, None if sex is None else float(SEXES.index(sex)), scanner, tracer)
    with collect_notices() as notices:
        rng = np.random.default_rng(settings.seed)
        healthy, expected = _among_healthy(of, norms, person)
        pet = replace(_scaled_pet(of), expected=expected)
        found = find_signature(pet, of.place, of.head.gm, settings, side=side, rng=rng)
    template, native = of.place.template.affine, of.place.native.affine
    published = found.published
    return SignatureMap(
        image=as_stored(found.chosen.native, native),
        published=None if published is None else as_stored(published.native, native),
        template=as_stored(found.chosen.template, template),
        probability=as_stored(found.probability, native),
        of=of,
        metrics=replace(found.metrics, notices=tuple(notices)),
        healthy=healthy,
        numbers=as_stored(found.foci, native),
    )


def _check_asked(of: Asymmetry, side: str | None, sex: str | None, rule: SignatureRule) -> None:
    """Refuse what no signature can be cut from, and words that mean nothing."""
    if not isinstance(of, Asymmetry):
        raise InputError(
            "a signature is cut from an asymmetry",
            found=type(of).__name__,
            do="give what falx.asymmetry returned",
        )
    for name, value, known in (("side", side, SIDES), ("sex", sex, SEXES)):
        if value is not None:
            check_option(name, value, known)
    if rule.method == "calibrated" and of.source is None:
        raise InputError(
            "what is certain cannot be told without the noise of the PET",
            found=f"an asymmetry of {of.metrics.quantity} that is not of a corrected PET",
            do="give the asymmetry of what falx.correct_pet returned, or method='threshold'",
        )


def _among_healthy(
    of: Asymmetry, norms: str | PathLike[str] | None, person: Person
) -> tuple[HealthyMetrics | None, Expected | None]:
    if of.source is None:
        if norms is not None:
            raise InputError(
                "norms are of the asymmetry of a corrected PET",
                found=f"an asymmetry of {of.metrics.quantity}",
                do="give the asymmetry of what falx.correct_pet returned, or no norms",
            )
        return None, None
    record = None if norms is None else Path(norms)
    voxel_mm = float(of.place.template.voxel_sizes_mm[0])
    return place_person(record, of.source.metrics, of.metrics, person, voxel_mm)


def _scaled_pet(of: Asymmetry) -> ScaledPet:
    """Return what the signature rests on, as the stages hand it over."""
    source = of.source
    if source is None:
        return ScaledPet(of._as_scaled(), of.metrics)
    published = published_asymmetry(source.measured, of.place).scaled
    stored = as_stored(published.image, of.place.template.affine).data
    noise = source.noise if source.metrics.noise.reason is None else None
    return ScaledPet(
        of._as_scaled(), of.metrics, source.metrics, noise, replace(published, image=stored)
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
        inside = inside_asymmetry(
            template, of._as_scaled(), grid, published=_scaled_pet(of).published, where=where
        )
        calibrated = found.metrics.definition.method == "calibrated"
        chance = found.probability if calibrated else None
        rates = structure_rates(found.image, made.native, labels, side, probability=chance)
        published = {}
        if found.published is not None:
            published = structure_rates(found.published, made.native, labels, side)
    return AblativeRates(
        as_stored(made.native, labels.affine), rates, published, inside, found, tuple(notices)
    )
