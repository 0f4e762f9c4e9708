"""From a PET in template space to its signature, in memory; stages and notebooks take it.

By default the signature is what :mod:`falx.pet.calibrated` finds, the foci that neither noise nor
healthy asymmetry accounts for, the mesial temporal structures of a declared side being tested by
themselves; by the method ``threshold`` it is all that passes a threshold. The
definition of Mo et al. 2025 stands beside either.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError, QualityError, notify
from falx.core.grid import SIDES, Side
from falx.data.asymmetry_norms import MESIAL_TEMPORAL
from falx.images.nifti import Image
from falx.pet.asymmetry import Asymmetry, asymmetry_index
from falx.pet.calibrated import Calibrated, Calibration, calibrated_signature
from falx.pet.decoy import NullMaps
from falx.pet.extent import Outline
from falx.pet.foci import FocusRow, focus_rows, numbers_on_t1w
from falx.pet.lateral import SuggestedSide, suggest_side
from falx.pet.maps import Place
from falx.pet.metrics import (
    AsymmetryMetrics,
    CalibratedMetrics,
    Definition,
    PetMetrics,
    SignatureMetrics,
)
from falx.pet.named import NamedRegion, named_region
from falx.pet.noise import Chain, Noise, noise_maps
from falx.pet.norms import Expected, healthy_maps
from falx.pet.scaling import Scaled, convert
from falx.pet.settings import SignatureRule
from falx.pet.shares import ErrorDraws, false_shares
from falx.pet.signature import (
    PUBLISHED_THRESHOLD,
    Rule,
    SignatureMasks,
    Threshold,
    remove_small_clusters,
    resolve_side,
    signature_in_both_spaces,
)

__all__ = [
    "Foci",
    "FociSearch",
    "ScaledPet",
    "Signature",
    "find_signature",
    "named_outline",
    "null_maps",
    "parts_on_t1w",
    "probability_on_t1w",
]

NAMED = "mesial_temporal"
"""The structures that are tested by themselves where a side is declared."""

SHARE_DRAWS = 200
"""Draws behind the interval of the false share."""


@dataclass(frozen=True, eq=False)
class ScaledPet:
    """A PET in template space on its intensity scale, and what is known of it.

    Parameters
    ----------
    scaled, facts
        What :func:`falx.pet.steps.image_asymmetry` returned of the corrected image.
    correction
        What :func:`falx.pet.steps.correct_measured` found; ``None`` for an image that was
        corrected elsewhere.
    noise
        Of the corrected image, in T1w mm; ``None`` where it could not be measured.
    published
        What :func:`falx.pet.steps.published_asymmetry` put on its scale; ``None`` where the
        measured PET is not known.
    expected
        Healthy asymmetry of the site's own controls; ``None``: of the shipped table.
    """

    scaled: Scaled
    facts: AsymmetryMetrics
    correction: PetMetrics | None = None
    noise: Noise | None = None
    published: Scaled | None = None
    expected: Expected | None = None


@dataclass(frozen=True, eq=False)
class Foci:
    """The foci of one search, and their place on the T1w grid.

    Parameters
    ----------
    found
        On the template grid.
    probability, mask
        Shape (X, Y, Z) of the T1w grid: of belonging to a focus, and where that exceeds a half in
        grey matter.
    rows
        The foci one by one.
    numbers
        Of the same shape: number of the focus of each voxel of the mask; 0 elsewhere.
    """

    found: Calibrated
    probability: npt.NDArray[np.float32]
    mask: npt.NDArray[np.bool_]
    rows: tuple[FocusRow, ...]
    numbers: npt.NDArray[np.int16]


@dataclass(frozen=True, eq=False)
class Signature:
    """The signature, that of the publication beside it, and their numbers.

    Parameters
    ----------
    chosen
        By the run's own definition.
    published
        By that of the scripts of Mo 2025; ``None`` where the measured PET is not known.
    probability, probability_template
        Shape (X, Y, Z) of the T1w grid and of the template grid: of belonging to a calibrated
        focus, whatever the definition; zero everywhere if the noise is not known.
    foci
        Shape (X, Y, Z) of the T1w grid: number in the table of both sides; 0 elsewhere.
    """

    chosen: SignatureMasks
    published: SignatureMasks | None
    probability: npt.NDArray[np.float32]
    probability_template: npt.NDArray[np.float32]
    foci: npt.NDArray[np.int16]
    metrics: SignatureMetrics


def find_signature(
    pet: ScaledPet,
    place: Place,
    grey: Image,
    settings: SignatureRule,
    *,
    side: str | None,
    rng: np.random.Generator,
) -> Signature:
    """Find the signature of a PET: calibrated foci, or all that passes a threshold.

    Parameters
    ----------
    grey
        Grey-matter fraction on the T1w grid.
    side
        Declared side of the focus; ``None`` where none is declared: the side that the calibrated
        foci or the hippocampi suggest, otherwise that whose mesial temporal lobe is lower.
    rng
        Draws noise and healthy asymmetry.
    """
    found = FociSearch(pet, place, grey, settings, rng) if pet.noise is not None else None
    focus = _focus_side(pet, found, settings.method, side)
    foci = told = None
    if found is not None:
        only = focus if side is not None and settings.ipsilateral_only else None
        foci = found.on(only)
        told = found.metrics(foci, only)
    cut = Threshold(
        settings.threshold,
        settings.threshold_scale,
        settings.threshold_comparison,
        "chosen for this run",
    )
    if settings.method == "calibrated":
        chosen = _masks(foci, place)
    else:
        side_only = focus if settings.ipsilateral_only else None
        rule = Rule(settings.gm_floor, side_only, settings.minimum_cluster_mm3)
        chosen = signature_in_both_spaces(pet.scaled, cut, rule, place, grey)
    published = _published(pet, place, grey)
    metrics = SignatureMetrics(
        side=focus,
        side_from="the asymmetry" if side is None else "the declared focus",
        definition=_definition(settings, pet.correction),
        threshold=cut,
        published_threshold=PUBLISHED_THRESHOLD,
        volume_mm3=_volume_mm3(chosen, place),
        published_volume_mm3=None if published is None else _volume_mm3(published, place),
        calibrated=told,
    )
    _check_size(metrics, np.count_nonzero(place.brain.data) * place.native.voxel_volume_mm3)
    if found is None or foci is None:
        native, template = _nothing(place, np.float32)
        numbers = np.zeros(place.native.shape, np.int16)
        return Signature(chosen, published, native, template, numbers, metrics)
    return Signature(
        chosen, published, foci.probability, foci.found.probability, found.everywhere.numbers,
        metrics,
    )  # fmt: skip


def _published(pet: ScaledPet, place: Place, grey: Image) -> SignatureMasks | None:
    if pet.published is None:
        return None
    return signature_in_both_spaces(pet.published, PUBLISHED_THRESHOLD, Rule(), place, grey)


def _volume_mm3(masks: SignatureMasks, place: Place) -> float:
    return float(np.count_nonzero(masks.native) * place.native.voxel_volume_mm3)


def _check_size(metrics: SignatureMetrics, brain_mm3: float) -> None:
    """Raise if a signature is larger than the tissue that it can lie in."""
    limits = (
        ("signature", metrics.volume_mm3),
        ("published signature", metrics.published_volume_mm3),
    )
    for name, volume_mm3 in limits:
        if volume_mm3 is not None and volume_mm3 > brain_mm3:
            raise QualityError(
                f"the {name} is larger than the brain that it lies in",
                found=f"{volume_mm3:.0f} mm³ of {brain_mm3:.0f} mm³",
                do="check the PET, its coregistration and the threshold",
            )


def _definition(settings: SignatureRule, found: PetMetrics | None) -> Definition:
    correction = "not known" if found is None else found.method
    if settings.method == "calibrated":
        return Definition("calibrated", correction, "proportional", settings.level)
    return Definition("threshold", correction, settings.threshold_scale, settings.threshold)


def _masks(foci: Foci | None, place: Place) -> SignatureMasks:
    """Masks of calibrated foci; empty where the noise is not known."""
    if foci is None:
        native, template = _nothing(place, np.bool_)
        return SignatureMasks(template, native)
    return SignatureMasks(foci.found.mask, foci.mask)


def _nothing(place: Place, kind: type[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Zeros of the T1w grid and of the template grid."""
    return np.zeros(place.native.shape, kind), np.zeros(place.template.shape, kind)


def _focus_side(pet: ScaledPet, found: FociSearch | None, method: str, side: str | None) -> Side:
    """Side of the focus: as declared, as suggested, or that of the lower mesial temporal lobe."""
    left, right = _mesial_temporal(pet.facts)
    if side is not None or found is None or method == "threshold":
        return resolve_side(side or "auto", left, right)
    suggested = found.suggested
    if suggested.side is not None:
        notify(
            f"no side was declared; the {suggested.side} is suggested and was taken",
            found=suggested.reason,
            do="declare the side if another one is meant",
        )
        return suggested.side
    lower: Side = "left" if left < right else "right"
    notify(
        f"no side was declared and none can be suggested: {suggested.reason}; figures by side are "
        f"those of the {lower}, whose mesial temporal lobe is lower",
        do="declare the side",
    )
    return lower


class FociSearch:
    """Foci of one patient, sought on one side or on both in the same null maps.

    Each part draws from its own stream, so that a part found again later is the same.
    """

    def __init__(
        self,
        pet: ScaledPet,
        place: Place,
        grey: Image,
        settings: SignatureRule,
        rng: np.random.Generator,
    ) -> None:
        self.pet, self.place, self.grey, self.settings = pet, place, grey, settings
        streams = rng.spawn(5)
        self.streams = dict(zip((None, *SIDES), streams[:3], strict=True))
        self.shares_rng = streams[3]
        self.maps, self.index = null_maps(pet, place, settings, streams[4])
        self.grey_template = place.to_template(grey)
        self.allowed = self.grey_template > settings.gm_floor
        self.native_index, _ = place.to_native(self.index.index, self.index.valid)

    @cached_property
    def everywhere(self) -> Foci:
        """Foci of both sides."""
        return self._sought(None)

    def on(self, side: Side | None) -> Foci:
        """Foci of one side, or of both."""
        return self.everywhere if side is None else self._sought(side)

    def _sought(self, side: Side | None) -> Foci:
        place = self.place
        found = calibrated_signature(
            self.index.index,
            self.allowed,
            self.maps,
            self.settings,
            side=side,
            rng=self.streams[side],
            region=None if side is None else self._named(side),
        )
        native = probability_on_t1w(found, place, self.index.valid)
        native = np.where(self.grey.data > self.settings.gm_floor, native, np.float32(0))
        mask = remove_small_clusters(
            np.asarray(native > 0.5),
            place.native.voxel_volume_mm3,
            self.settings.minimum_cluster_mm3,
        )
        numbers = numbers_on_t1w(found, mask, place)
        rows = focus_rows(found, numbers, self.native_index, native, place)
        return Foci(found, native, mask, rows, numbers)

    def _named(self, side: Side) -> NamedRegion | None:
        """Mesial temporal structures of the declared side."""
        labels = self.place.to_template(self.place.labels, how="nearest")
        found = self.pet.correction
        return named_region(
            NAMED.replace("_", " "),
            side,
            np.where(self.allowed, labels, 0),
            self.grey_template,
            proportional_chain(self.pet, self.place),
            0.0 if found is None else found.effective_psf_fwhm_mm,
        )

    @property
    def suggested(self) -> SuggestedSide:
        """Side that the image suggests."""
        found, left, error = self.pet.correction, None, None
        if found is not None:
            left = found.uncorrected_asymmetry.get(MESIAL_TEMPORAL)
            error = found.regional_asymmetry_se.get(NAMED)
        foci = self.everywhere.found.foci
        return suggest_side(foci, left, error, level=self.settings.level)

    def metrics(self, foci: Foci, side: Side | None) -> CalibratedMetrics:
        """Numbers of the foci that became the signature."""
        found, maps = foci.found, self.maps
        errors = ErrorDraws(maps, found.widened)
        outline = named_outline(found, foci.mask, self.place)
        shares = false_shares(found, errors, SHARE_DRAWS, self.shares_rng, outline)
        low, high = np.quantile(shares, [0.025, 0.975]).tolist() if shares.size else (None, None)
        searched = self.allowed & self.index.valid
        noise_sd, healthy_sd = (
            float(np.median(part.standard_error()[searched]))
            for part in (maps.noise, maps.healthy)
        )
        return CalibratedMetrics(
            level=self.settings.level,
            searched=SIDES if side is None else (side,),
            foci=foci.rows,
            volume_mm3=np.count_nonzero(foci.mask) * self.place.native.voxel_volume_mm3,
            false_share=_false_share(foci),
            false_share_low=low,
            false_share_high=high,
            smallest_probability=found.smallest_probability,
            widened=found.widened,
            refuted=found.refuted,
            by_voxel=found.by_voxel,
            noise_sd=noise_sd,
            healthy_sd=healthy_sd,
            everywhere=self.everywhere.rows,
            suggested=self.suggested,
            named=found.named,
            reach=() if found.reach is None else tuple(found.reach.extent.chance.tolist()),
        )


def named_outline(found: Calibrated, mask: npt.NDArray[np.bool_], place: Place) -> Outline:
    """Outline of the named region, for what of a mask of shape (X, Y, Z) on the T1w is in it."""
    named = parts_on_t1w(found, place) > 0
    whole = Outline.of(named, place.native.voxel_sizes_mm)
    return Outline(whole.depth_mm[mask[named]], whole.voxel_mm)


def _false_share(foci: Foci) -> float | None:
    """Return the expected share of the mask on the T1w that is no focus."""
    if not foci.mask.any():
        return None
    return float(1.0 - foci.probability[foci.mask].mean(dtype=np.float64))


def null_maps(
    pet: ScaledPet, place: Place, settings: Calibration, rng: np.random.Generator
) -> tuple[NullMaps, Asymmetry]:
    """Draw a patient's maps without a focus, and take the index that they are compared with.

    The noise is that of the measured image, sent through the correction and the way to the
    template that its own asymmetry took; the index is that of the proportional scale, beyond the
    mean of the site's controls where there are norms of them.
    """
    if pet.noise is None:
        raise InputError(
            "the noise of the PET is not known",
            found=None if pet.correction is None else pet.correction.noise.reason,
            do="choose the method threshold, which does not say what is certain",
        )
    chain = proportional_chain(pet, place)
    maps = NullMaps(
        noise_maps(pet.noise, chain, settings.draws, rng),
        healthy_maps(chain, settings.draws, rng, expected=pet.expected),
    )
    index = asymmetry_index(chain.image, place.template, chain.defined)
    if pet.expected is not None:
        beyond = np.where(index.valid, index.index - pet.expected.mean, np.float32(0))
        index = Asymmetry(beyond.astype(np.float32), index.valid)
    return maps, index


def proportional_chain(pet: ScaledPet, place: Place) -> Chain:
    """Return the steps to the index of the proportional scale."""
    scaled, defined = pet.scaled, pet.scaled.image != 0
    image = np.where(defined, convert(scaled, "proportional").image, np.float32(0))
    return Chain(place, image * scaled.mean, pet.facts.smoothing_fwhm_mm)


def probability_on_t1w(
    found: Calibrated, place: Place, valid: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float32]:
    """Bring the probability of foci to the T1w grid, shape (X, Y, Z).

    What rests on the named region keeps to its structures there, whose outline is not quite known.
    """
    native, _ = place.to_native(found.by_search, valid)
    if found.reach is None:
        return native
    reach, numbers = found.reach, parts_on_t1w(found, place)
    real = 1.0 - found.foci[reach.number - 1].probability
    named = numbers > 0
    inside = Outline.of(named, place.native.voxel_sizes_mm).chance
    native[named] = reach.extent.chance_at(numbers[named]) * inside * real
    return native


def parts_on_t1w(found: Calibrated, place: Place) -> npt.NDArray[np.int16]:
    """Give voxels the part of the named region, shape (X, Y, Z) of the T1w grid; zero outside."""
    if found.reach is None:
        return np.zeros(place.native.shape, np.int16)
    return found.reach.region.parts.numbers(place.labels.data, place.to_template_mm[..., 1])


def _mesial_temporal(facts: AsymmetryMetrics) -> tuple[float, float]:
    """Asymmetry of both mesial temporal lobes, left first."""
    sides: dict[Side, float] = {
        side: found.mean_asymmetry
        for side, found in facts.structures["mesial_temporal"].items()
        if found.mean_asymmetry is not None
    }
    if len(sides) < len(SIDES):
        raise InputError(
            "the mesial temporal structures hold no asymmetry",
            do="check the structures and the field of view of the PET",
        )
    return sides["left"], sides["right"]
