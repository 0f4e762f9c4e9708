"""From a T1w and a PET to the metabolic signature and what an ablation took of it (Mo 2025).

Each function does what a stage of ``falx signature`` does, on values as the files of the stage
before would carry them, so that both give the same numbers, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from falx.anatomy.files import greedy
from falx.anatomy.head import GivenLabels, segment_head
from falx.anatomy.metrics import AnatomyMetrics, CoregistrationMetrics, coregistration_metrics
from falx.anatomy.registration.coregistration import coregister as find_rigid
from falx.anatomy.registration.coregistration import surroundings
from falx.anatomy.settings import SegmentationSettings
from falx.api.inputs import image_of, labels_of, mask_of, name_of, settings_of
from falx.api.results import Result, drawn, percent
from falx.core.errors import InputError, check_option, collect_notices, notify
from falx.core.grid import SIDES, Grid, Side, normalisation_grid
from falx.images.nifti import Image, as_stored
from falx.images.warp import CoordinateMap
from falx.pet.calibrated import Calibrated, Calibration, Focus
from falx.pet.files import read_pet
from falx.pet.frames import Pet, average_frames, check_pet
from falx.pet.maps import Place
from falx.pet.metrics import AsymmetryMetrics, PetMetrics, SignatureMetrics
from falx.pet.scaling import Scaled
from falx.pet.settings import AsymmetrySettings, Correction, SignatureRule
from falx.pet.signature import SignatureMasks
from falx.pet.steps import (
    FLAIR,
    GM_DENSITY,
    PET,
    Correctable,
    Quantity,
    Tissues,
    correct_measured,
    find_foci,
    find_signature,
    image_asymmetry,
)
from falx.report.live_page import middle_mm
from falx.report.slices import Layer, slices_figure
from falx.surgery.metrics import InsideAsymmetry
from falx.surgery.outcome.ablation import AblativeRate, bring_mask, check_side
from falx.surgery.outcome.made import bring_drawn, inside_asymmetry, structure_rates

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "AblativeRates",
    "Asymmetry",
    "Coregistered",
    "CorrectedImage",
    "FociMap",
    "Head",
    "SignatureMap",
    "ablative_rate",
    "asymmetry",
    "coregister",
    "correct_pet",
    "foci",
    "segment",
    "signature",
]

QUANTITIES: Mapping[str, Quantity] = {"pet": PET, "flair": FLAIR, "gm": GM_DENSITY}


@dataclass(frozen=True, eq=False, repr=False)
class Head(Result):
    """A segmented head.

    Parameters
    ----------
    image
        Bias-corrected T1w, RAS+.
    gm, wm, csf, brain
        Probabilities and mask on the same grid.
    structures
        FreeSurfer numbers on the same grid.
    to_template, to_native
        Coordinate maps between T1w mm and template mm.
    metrics
        Volumes, quality, settings.
    """

    image: Image
    gm: Image
    wm: Image
    csf: Image
    brain: Image
    structures: Image
    to_template: CoordinateMap
    to_native: CoordinateMap
    metrics: AnatomyMetrics
    title = "Segmented head"

    @property
    def notices(self) -> tuple[str, ...]:
        """What was said on the way."""
        return tuple(self.metrics.notices)

    @property
    def volumes_mm3(self) -> dict[str, float | None]:
        """Volumes of tissues and structures by name; None where one is not to be trusted."""
        volumes = self.metrics.volumes_mm3
        found: dict[str, float | None] = {
            "grey matter": volumes.gm,
            "white matter": volumes.wm,
            "CSF": volumes.csf,
            "intracranial": volumes.tiv,
        }
        return found | {s.name: s.volume_mm3 for s in self.metrics.structures.values()}

    def _facts(self) -> Sequence[tuple[str, object]]:
        volumes = self.volumes_mm3
        shown = ("grey matter", "white matter", "CSF", "intracranial")
        facts: list[tuple[str, object]] = [
            (f"{name}, mL", f"{(volumes[name] or 0) / 1000:.0f}") for name in shown
        ]
        facts += [
            (f"{side} {name}, mm³", volumes.get(f"{side} {name}"))
            for name in ("hippocampus", "amygdala")
            for side in SIDES
        ]
        failed = [check.name for check in self.metrics.quality if not check.passed]
        return [*facts, ("quality checks failed", "; ".join(failed) or "none")]

    def plot(self) -> Figure:
        """Draw grey and white matter over the T1w."""
        layers = [
            Layer(self.gm, "contour", "orange", label="grey matter"),
            Layer(self.wm, "contour", "cyan", label="white matter"),
        ]
        return drawn(slices_figure(self.image, layers))

    def _place(self, template: Grid, threads: int) -> Place:
        return Place(
            native=self.brain.grid,
            template=template,
            brain=self.brain,
            labels=self.structures,
            to_native_mm=self.to_native.on(template, threads=threads),
            to_template_mm=self.to_template.on(self.brain.grid, threads=threads),
            threads=threads,
        )


@dataclass(frozen=True, eq=False, repr=False)
class Coregistered(Result):
    """A rigid matrix from T1w mm to the mm of another image of the same head.

    Parameters
    ----------
    matrix
        Shape (4, 4).
    image
        The other image as it is, its affine set into T1w mm; nothing is interpolated.
    """

    matrix: npt.NDArray[np.float64]
    image: Image
    head: Head
    metrics: CoregistrationMetrics
    title = "Rigid coregistration to the T1w"

    @property
    def notices(self) -> tuple[str, ...]:
        """What was said on the way."""
        return tuple(self.metrics.notices)

    def _facts(self) -> Sequence[tuple[str, object]]:
        found = self.metrics
        return [
            ("normalised mutual information", f"{found.nmi_before:.4f} → {found.nmi_after:.4f}"),
            ("moved on average, mm", found.mean_shift_mm),
            ("overlap", percent(found.overlap)),
        ]

    def plot(self) -> Figure:
        """Draw the image in T1w mm with the outline of the brain."""
        outline = Layer(self.head.brain, "contour", "cyan", label="brain of the T1w")
        return drawn(slices_figure(self.image, [outline]))


@dataclass(frozen=True, eq=False, repr=False)
class CorrectedImage(Result):
    """A PET after the correction for partial volume.

    Parameters
    ----------
    image
        On the voxels of the PET, the affine to T1w mm; zero where not defined.
    head
        The head it belongs to.
    matrix
        Shape (4, 4), T1w mm → PET mm.
    metrics
        Activities, regional asymmetry and its standard error.
    """

    image: Image
    head: Head
    matrix: npt.NDArray[np.float64]
    metrics: PetMetrics

    @property
    def notices(self) -> tuple[str, ...]:
        """What was said on the way."""
        return tuple(self.metrics.notices)

    def _heading(self) -> str:
        return f"PET, partial volume corrected by {self.metrics.method}"

    def _facts(self) -> Sequence[tuple[str, object]]:
        found = self.metrics
        regional = found.regional_asymmetry.get("mesial_temporal", {})
        error = found.regional_asymmetry_se.get("mesial_temporal")
        spread = "" if error is None else f" ± {error:.3f}"
        return [
            ("point spread, mm FWHM", found.effective_psf_fwhm_mm),
            ("units", found.units),
            *(
                (f"regional asymmetry, {side} mesial temporal", f"{value:+.3f}{spread}")
                for side, value in regional.items()
            ),
        ]

    def plot(self) -> Figure:
        """Draw the PET over the T1w."""
        high = float(np.quantile(self.image.data, 0.999)) or 1.0
        layer = Layer(
            self.image, "map", "hot", 0.0, high, 0.1 * high, f"PET, {self.metrics.units}"
        )
        return drawn(slices_figure(self.head.image, [layer]))


@dataclass(frozen=True, eq=False, repr=False)
class Asymmetry(Result):
    """Asymmetry index of an image, (value - mirror) over their mean.

    Parameters
    ----------
    image
        The index on the T1w grid; zero where not defined.
    template
        The index on the template grid.
    scaled
        The image on its intensity scale, template grid.
    metrics
        Scale, reference, means of the structures.
    """

    image: Image
    template: Image
    scaled: Image
    head: Head
    place: Place
    metrics: AsymmetryMetrics

    @property
    def notices(self) -> tuple[str, ...]:
        """What was said on the way."""
        return tuple(self.metrics.notices)

    def _heading(self) -> str:
        return f"Asymmetry of {self.metrics.quantity} (negative: lower than the other side)"

    def _facts(self) -> Sequence[tuple[str, object]]:
        found = self.metrics
        return [
            ("intensity scale", f"{found.scale}, by the {found.reference}"),
            ("smoothing, mm FWHM", found.smoothing_fwhm_mm),
            *(
                (f"{side} {name.replace('_', ' ')}", one.mean_asymmetry)
                for name, sides in found.structures.items()
                for side, one in sides.items()
            ),
        ]

    def plot(self) -> Figure:
        """Draw the index over the T1w."""
        layer = Layer(self.image, "map", "RdBu_r", -0.3, 0.3, 0.03, "asymmetry index")
        return drawn(slices_figure(self.head.image, [layer]))

    def _as_scaled(self) -> Scaled:
        found = self.metrics
        return Scaled(self.scaled.data, found.scale, found.mean, found.sd)


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
        return drawn(slices_figure(self.of.head.image, layers, centre_mm=_middle_mm(self.image)))


@dataclass(frozen=True, eq=False, repr=False)
class FociMap(Result):
    """Foci of low metabolism that noise and healthy asymmetry do not account for.

    Parameters
    ----------
    image
        Mask on the T1w grid.
    probability
        Of belonging to a focus, on the T1w grid.
    calibrated
        Foci, rates and maps on the template grid.
    level
        Familywise rate of false foci that was accepted.
    """

    image: Image
    probability: Image
    calibrated: Calibrated
    level: float
    of: Asymmetry
    notices: tuple[str, ...] = ()
    title = "Calibrated foci of low metabolism"

    @property
    def foci(self) -> tuple[Focus, ...]:
        """The foci, the most certain first."""
        return self.calibrated.foci

    def _facts(self) -> Sequence[tuple[str, object]]:
        found = self.calibrated
        rows: list[tuple[str, object]] = [
            ("foci", f"{len(found.foci)} at a familywise rate of {self.level:g}"),
            ("volume, mm³", float(self.image.data.sum() * self.image.grid.voxel_volume_mm3)),
            ("expected false share of it", percent(found.false_share)),
        ]
        for number, focus in enumerate(found.foci, start=1):
            place = ", ".join(f"{mm:.0f}" for mm in focus.peak_mm)
            told = f"{focus.side}, P = {focus.probability:.3g}, asymmetry {focus.depth:.3f}"
            rows.append((f"focus {number}", f"{told}, lowest at template mm ({place})"))
        if found.refuted:
            doubt = "the other side is lower than noise and healthy people account for as well"
            rows.append(("doubt", doubt))
        return rows

    def plot(self) -> Figure:
        """Draw the asymmetry with the foci outlined, through their middle."""
        layers = [
            Layer(self.of.image, "map", "RdBu_r", -0.3, 0.3, 0.03, "asymmetry index"),
            Layer(self.image, "contour", "cyan", label="foci"),
        ]
        return drawn(slices_figure(self.of.head.image, layers, centre_mm=_middle_mm(self.image)))


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
        return drawn(slices_figure(background, layers, centre_mm=_middle_mm(self.image)))


def segment(t1w: Any, *, structures: Any = None, threads: int = 2, **choices: Any) -> Head:
    """Segment a head: tissues, structures, and the way to the template.

    Parameters
    ----------
    t1w
        Path, image of nibabel, or array with affine.
    structures
        Label volume of FreeSurfer, FastSurfer, SynthSeg or ``segmentHA_T1`` that is preferred
        over the built-in structures where it has labels.
    choices
        See :class:`falx.anatomy.settings.SegmentationSettings`: ``bias_fwhm_mm``,
        ``sampling_mm``, ``affine_prior``, ``refine``, …
    """
    where = name_of(t1w, "T1w")
    settings = settings_of(SegmentationSettings, choices)
    with collect_notices() as notices:
        image = image_of(t1w, "T1w")
        given = None
        if structures is not None:
            name = name_of(structures, "structures")
            given = GivenLabels(labels_of(structures, "structures"), name)
        found = segment_head(
            image, settings, given=given, where=where, register=greedy, threads=threads
        )
    result = found.segmentation

    def kept(values: npt.NDArray[Any]) -> Image:
        return as_stored(values, result.grid.affine)

    def kept_map(mapping: CoordinateMap) -> CoordinateMap:
        image = as_stored(mapping.coordinates_mm, mapping.affine, ndim=4)
        return CoordinateMap(image.data, image.affine)

    labels = kept(found.labels)
    return Head(
        image=kept(result.corrected),
        gm=kept(result.gm),
        wm=kept(result.wm),
        csf=kept(result.csf),
        brain=kept(result.brain_mask),
        structures=Image(labels.data.astype(np.int32), labels.affine),
        to_template=kept_map(result.to_template),
        to_native=kept_map(result.to_native),
        metrics=replace(found.metrics, notices=tuple(notices)),
    )


def coregister(image: Any, head: Head, *, threads: int = 2) -> Coregistered:
    """Coregister another image of the same head to its T1w, rigidly.

    Parameters
    ----------
    image
        PET, FLAIR or post-operative T1w; frames of a dynamic image are averaged.
    head
        From :func:`segment`.
    """
    _need_head(head, "coregister")
    where = name_of(image, "image")
    with collect_notices() as notices:
        moving = _still(image, where)
        near = surroundings(head.brain)
        found = find_rigid(head.image, moving, mask=near, threads=threads, where=where)
        if found.nmi_after < found.nmi_before:
            notify("coregistration did not improve on the headers", where=where)
    metrics = coregistration_metrics(found, notices)
    placed = Image(moving.data, np.linalg.inv(found.matrix) @ moving.affine)
    return Coregistered(found.matrix, placed, head, metrics)


def correct_pet(
    pet: Any,
    head: Head,
    *,
    matrix: npt.ArrayLike | Coregistered | None = None,
    units: str | None = None,
    threads: int = 2,
    **choices: Any,
) -> CorrectedImage:
    """Correct a PET for partial volume on its own voxels, coregistered to the T1w.

    Parameters
    ----------
    pet
        Path, image of nibabel, or array with affine, 3D or with frames.
    head
        From :func:`segment`.
    matrix
        T1w mm → PET mm, or what :func:`coregister` returned; found here if absent.
    units
        Of an image without a sidecar.
    choices
        See :class:`falx.pet.settings.Correction`: ``method``, ``psf_fwhm_mm``,
        ``smoothing_fwhm_mm``, ``floor``, ``frames``.
    """
    _need_head(head, "correct_pet")
    settings = settings_of(Correction, choices)
    with collect_notices() as notices:
        measured = _measured(pet, settings.frames, units)
        to_pet = _matrix(pet if matrix is None else matrix, matrix is None, head, threads)
        tissues = Tissues(head.gm, head.wm, head.csf, head.structures)
        found = correct_measured(
            measured, np.linalg.inv(to_pet), tissues, settings, threads=threads
        )
    metrics = replace(found.metrics, notices=tuple(notices))
    return CorrectedImage(as_stored(found.image.data, found.image.affine), head, to_pet, metrics)


def asymmetry(
    image: Any,
    head: Head | None = None,
    *,
    quantity: str = "pet",
    matrix: npt.ArrayLike | Coregistered | None = None,
    threads: int = 2,
    **choices: Any,
) -> Asymmetry:
    """Take the asymmetry of an image about the midsagittal plane of the template.

    Parameters
    ----------
    image
        What :func:`correct_pet` returned; or an image with its `head`.
    quantity
        ``"pet"`` (exact zeros are missing), ``"flair"`` or ``"gm"`` (grey-matter fraction).
    matrix
        T1w mm → image mm, or what :func:`coregister` returned; none for an image in T1w space.
    choices
        See :class:`falx.pet.settings.AsymmetrySettings`: ``scale``, ``reference``,
        ``smoothing_fwhm_mm``, ``voxel_mm``.
    """
    of = head if head is not None else getattr(image, "head", None)
    _need_head(of, "asymmetry")
    assert isinstance(of, Head)
    check_option("quantity", quantity, QUANTITIES)
    settings = settings_of(AsymmetrySettings, choices)
    grid = normalisation_grid(settings.voxel_mm)
    with collect_notices() as notices:
        if isinstance(image, Coregistered):
            source, to_image = image.image, None
        else:
            source = image_of(image, quantity, ndim=3)
            to_image = None if matrix is None else _matrix(matrix, False, of, threads)
        place = of._place(grid, threads)
        found = image_asymmetry(
            source,
            place,
            settings,
            quantity=QUANTITIES[quantity],
            reference=settings.reference,
            matrix=to_image,
        )
    return Asymmetry(
        image=as_stored(found.native, place.native.affine),
        template=as_stored(found.index, grid.affine),
        scaled=as_stored(found.scaled.image, grid.affine),
        head=of,
        place=place,
        metrics=replace(found.metrics, notices=tuple(notices)),
    )


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


def foci(
    pet: Any,
    of: Asymmetry,
    *,
    matrix: npt.ArrayLike | Coregistered | CorrectedImage | None = None,
    side: str | None = None,
    seed: int = 1,
    correction: Mapping[str, Any] | None = None,
    **choices: Any,
) -> FociMap:
    """Find the tissue whose asymmetry neither noise nor healthy people account for.

    A person without a focus should have a false one with the probability `level`. That was
    measured on phantoms alone, with an assumed smoothness of healthy asymmetry; a PET that was
    filtered after reconstruction is not recognised: ``docs/methods/signature.md``.

    Parameters
    ----------
    pet
        The *measured* PET that :func:`correct_pet` was given; its noise is measured in it.
    of
        From :func:`asymmetry` of the corrected PET.
    matrix
        T1w mm → PET mm: what :func:`correct_pet` or :func:`coregister` returned, or a matrix.
    side
        Declared side of the focus, ``"left"`` or ``"right"``; both sides are searched if absent.
    seed
        Of the draws of noise and of healthy asymmetry.
    correction
        The choices that :func:`correct_pet` was given.
    choices
        See :class:`falx.pet.calibrated.Calibration`: ``level``, ``draws``, ``maps``.
    """
    if not isinstance(of, Asymmetry):
        raise InputError(
            "foci are found in an asymmetry",
            found=type(of).__name__,
            do="give what falx.asymmetry returned",
        )
    if of.metrics.quantity != PET.name:
        raise InputError(
            "foci are found in the asymmetry of a PET",
            found=f"that of {of.metrics.quantity}",
            do="give that of the corrected PET",
        )
    if side is not None:
        check_option("side", side, SIDES)
    settings = settings_of(Calibration, choices)
    how = settings_of(Correction, dict(correction or {}))
    head = of.head
    with collect_notices() as notices:
        if isinstance(matrix, CorrectedImage) and matrix.metrics.method != how.method:
            raise InputError(
                "the noise would be that of another correction",
                found=f"the PET was corrected by {matrix.metrics.method}, not {how.method}",
                do="give the choices of falx.correct_pet as correction={…}",
            )
        given = matrix.matrix if isinstance(matrix, CorrectedImage) else matrix
        to_pet = _matrix(pet if given is None else given, given is None, head, of.place.threads)
        tissues = Tissues(head.gm, head.wm, head.csf, head.structures)
        measured = Correctable(
            _measured(pet, how.frames, None), np.linalg.inv(to_pet), tissues, how
        )
        found = find_foci(
            measured, of._as_scaled(), of.metrics, of.place, settings,
            side=cast("Side | None", side), rng=np.random.default_rng(seed),
        )  # fmt: skip
    return FociMap(
        image=as_stored(found.mask, of.place.native.affine),
        probability=as_stored(found.probability, of.place.native.affine),
        calibrated=found.found,
        level=settings.level,
        of=of,
        notices=tuple(notices),
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
        to_drawn = np.eye(4) if matrix is None else _matrix(matrix, False, head, threads)
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


def _need_head(head: object, what: str) -> None:
    if not isinstance(head, Head):
        raise InputError(
            "the head of the image is needed",
            where=f"falx.{what}",
            found=type(head).__name__,
            do="give what falx.segment returned",
        )


def _still(image: Any, where: str) -> Image:
    """Return an image, the frames of a dynamic one averaged, which is enough to align it."""
    try:
        return image_of(image, where)
    except InputError as error:
        if "3D image is needed" not in str(error):
            raise
    frames = image_of(image, where, ndim=4)
    notify(
        "frames were averaged for coregistration",
        where=where,
        found=f"{frames.data.shape[3]} frames",
    )
    return Image(frames.data.mean(axis=3), frames.affine)


def _measured(pet: Any, frames: str, units: str | None) -> Pet:
    if isinstance(pet, str | PathLike):
        measured = read_pet(Path(pet), frames=frames)
        return replace(measured, units=units or measured.units)
    try:
        image = image_of(pet, "PET")
    except InputError as error:
        if "3D image is needed" not in str(error):
            raise
        image = average_frames(image_of(pet, "PET", ndim=4), frames, None, where="PET")
    return Pet(check_pet(image, where="PET"), units)


def _matrix(given: Any, find: bool, head: Head, threads: int) -> npt.NDArray[np.float64]:
    """Return T1w mm → image mm, as a matrix or found by coregistration."""
    if find:
        return coregister(given, head, threads=threads).matrix
    if isinstance(given, Coregistered):
        return given.matrix
    matrix = np.asarray(given, dtype=np.float64)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
        raise InputError(
            "the matrix from T1w mm to image mm is not 4×4 numbers", found=f"shape {matrix.shape}"
        )
    return matrix


def _middle_mm(mask: Image) -> list[float] | None:
    return middle_mm(mask) if mask.data.any() else None
