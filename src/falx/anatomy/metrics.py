"""The numbers of the anatomy stages, as records and as they are written to JSON files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.anatomy.quality import Check
from falx.anatomy.registration.coregistration import Coregistration
from falx.anatomy.segmentation.result import Segmentation
from falx.anatomy.settings import SegmentationSettings
from falx.anatomy.structures.delineation import SKIN, SKULL, Structures
from falx.anatomy.volumes import VolumeAsymmetry, tissue_volume_mm3, volume_asymmetry
from falx.atlas.freesurfer_numbers import PAIRS
from falx.core.errors import QualityError
from falx.core.possible import Amount, BodyMm3, BrainMl, BrainMm3, MutualInformation, Share
from falx.core.records import plain
from falx.data.labels import head_labels

__all__ = [
    "LEAST_CONFIDENCE",
    "AnatomyMetrics",
    "CoregistrationMetrics",
    "FitMetrics",
    "GreyMetrics",
    "HandPlacement",
    "StructureMetrics",
    "TissueVolumes",
    "anatomy_metrics",
    "coregistration_metrics",
]

LEAST_CONFIDENCE = 0.6
"""Structures below this expected overlap get no volume."""

OWN, SITE = "falx", "given"

CONVENTION = (
    "4×4 matrix that maps RAS+ world millimetres of the fixed image (pre-operative T1w) to RAS+ "
    "world millimetres of the moving image"
)


@dataclass(frozen=True)
class TissueVolumes:
    """Sums of tissue probabilities, mm³; `tiv` is the sum of the three."""

    gm: BrainMm3
    wm: BrainMm3
    csf: BrainMm3
    tiv: BrainMm3


@dataclass(frozen=True)
class StructureMetrics:
    """One labelled structure.

    Parameters
    ----------
    name, side
        As in :func:`falx.data.labels.head_labels`.
    volume_mm3
        None where `confidence` is below :data:`LEAST_CONFIDENCE`.
    confidence
        Expected Dice overlap with the truth; None for labels of a site.
    origin
        ``"falx"`` or ``"given"``.
    reason
        Why there is no volume.
    doubts
        Names of the checks, independent of the model, that failed.
    """

    name: str
    side: str
    volume_mm3: BodyMm3 | None
    confidence: Share | None
    origin: str
    reason: str | None = None
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True)
class FitMetrics:
    """The fitted model: one entry a Gaussian, one share a class, and how the fit went."""

    means: tuple[float, ...]
    standard_deviations: tuple[float, ...]
    weights: tuple[float, ...]
    classes: tuple[int, ...]
    shares: tuple[Share, ...]
    rounds: int
    last_gain_nats_per_sample: float
    jacobian_range: tuple[float, float]
    labels_for_head: Mapping[str, int]


@dataclass(frozen=True)
class AnatomyMetrics:
    """What the anatomy stage measured.

    Parameters
    ----------
    volumes_mm3
        Of the tissues.
    structures
        By FreeSurfer number, as text.
    asymmetry
        By name of the pair, where both sides have a volume.
    quality
        Every check of the whole, passed or not, and those of structures that failed.
    notices
        Sentences that were said on the way.
    settings
        With which the head was segmented.
    affine_native_to_template
        4×4, native mm to template mm.
    alignment_nats
        Gain of log-likelihood by the affine alignment, nats per sample.
    fit
        Fitted parameters.
    """

    volumes_mm3: TissueVolumes
    structures: Mapping[str, StructureMetrics]
    asymmetry: Mapping[str, VolumeAsymmetry]
    quality: tuple[Check, ...]
    notices: tuple[str, ...]
    settings: SegmentationSettings
    affine_native_to_template: tuple[tuple[float, ...], ...]
    alignment_nats: float
    fit: FitMetrics

    def as_json(self) -> dict[str, object]:
        """Return the content of the JSON file; reason and doubts only where there are any."""
        absent: dict[str, object] = {"reason": None, "doubts": []}
        structures = {
            number: {k: v for k, v in plain(one).items() if k not in absent or v != absent[k]}
            for number, one in self.structures.items()
        }
        return {**plain(self), "structures": structures}


@dataclass(frozen=True)
class CoregistrationMetrics:
    """A rigid matrix between two images of a head, 4×4, and how well it fits.

    `by_hand` is empty, or says that a placement by hand was the ``"start"`` or the ``"result"``;
    `placed` is the moment of that placement.
    """

    matrix: tuple[tuple[float, ...], ...]
    convention: str
    degrees_of_freedom: int
    nmi_before: MutualInformation
    nmi_after: MutualInformation
    overlap: Share
    mean_shift_mm: Amount
    notices: tuple[str, ...]
    by_hand: str = ""
    placed: str = ""


@dataclass(frozen=True)
class HandPlacement:
    """Where somebody put an image over the T1w, as the desk writes it and coregistration reads it.

    Parameters
    ----------
    matrix
        4×4, T1w world mm → image world mm.
    refine
        Whether coregistration may climb from there, or must take it as it is.
    image_blake2b
        Digest of the image that was placed; the placement is of no other.
    translation_mm, rotation_deg
        What was entered, about the middle of the T1w, on top of `before`.
    before
        The matrix that was seen and found wrong.
    decided
        When, ISO 8601.
    software
        What wrote this.
    """

    matrix: tuple[tuple[float, ...], ...]
    refine: bool
    image_blake2b: str
    translation_mm: tuple[float, ...]
    rotation_deg: tuple[float, ...]
    before: tuple[tuple[float, ...], ...]
    decided: str
    software: str


@dataclass(frozen=True)
class GreyMetrics:
    """Volumes of a head and of its grey matter in template space, mL."""

    tiv_ml: BrainMl
    gm_ml: BrainMl
    wm_ml: BrainMl
    csf_ml: BrainMl
    template_gm_ml: BrainMl
    modulated: bool
    smoothing_fwhm_mm: float
    notices: tuple[str, ...]


def anatomy_metrics(
    segmentation: Segmentation,
    structures: Structures,
    checks: Iterable[Check],
    notices: Iterable[str],
    settings: SegmentationSettings,
) -> AnatomyMetrics:
    """Collect volumes in mm³, asymmetries, confidence, quality, notices and settings."""
    gm, wm, csf = (
        tissue_volume_mm3(tissue, segmentation.grid)
        for tissue in (segmentation.gm, segmentation.wm, segmentation.csf)
    )
    table = _structure_table(structures)
    _check_sizes(table, gm + wm + csf)
    return AnatomyMetrics(
        volumes_mm3=TissueVolumes(gm, wm, csf, gm + wm + csf),
        structures={str(number): entry for number, entry in table.items()},
        asymmetry=_asymmetries({number: entry.volume_mm3 for number, entry in table.items()}),
        quality=(*checks, *_failed(structures)),
        notices=tuple(notices),
        settings=settings,
        affine_native_to_template=_rows(segmentation.affine),
        alignment_nats=float(segmentation.information),
        fit=_fit_numbers(segmentation),
    )


def _check_sizes(table: Mapping[int, StructureMetrics], tiv_mm3: float) -> None:
    """Raise if a structure of one side is larger than half of the skull's content."""
    for number in {number for pair in PAIRS.values() for number in pair}:
        volume_mm3 = table[number].volume_mm3 if number in table else None
        if volume_mm3 is not None and volume_mm3 > tiv_mm3 / 2:
            raise QualityError(
                f"the {table[number].name} is larger than half of what the skull holds",
                found=f"{volume_mm3:.0f} mm³ of {tiv_mm3 / 2:.0f} mm³",
                do="check the T1w image and the labels that were given",
            )


def coregistration_metrics(
    found: Coregistration, notices: Iterable[str], *, by_hand: str = "", placed: str = ""
) -> CoregistrationMetrics:
    """Describe a rigid coregistration."""
    return CoregistrationMetrics(
        matrix=_rows(found.matrix),
        convention=CONVENTION,
        degrees_of_freedom=6,
        nmi_before=float(found.nmi_before),
        nmi_after=float(found.nmi_after),
        overlap=float(found.overlap),
        mean_shift_mm=float(found.mean_shift_mm),
        notices=tuple(notices),
        by_hand=by_hand,
        placed=placed,
    )


def _rows(matrix: npt.NDArray[np.float64]) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in matrix.tolist())


def _structure_table(structures: Structures) -> dict[int, StructureMetrics]:
    labels = head_labels()
    names = dict(zip(labels.index.tolist(), labels.name, strict=True))
    sides = dict(zip(labels.index.tolist(), labels.side, strict=True))
    table: dict[int, StructureMetrics] = {}
    for number, volume_mm3 in sorted(structures.volumes_mm3.items()):
        confidence = structures.confidence.get(number)
        low = confidence is not None and confidence < LEAST_CONFIDENCE
        table[number] = StructureMetrics(
            name=names.get(number, f"label {number}"),
            side=sides.get(number, "none"),
            volume_mm3=None if low else float(volume_mm3),
            confidence=None if confidence is None else float(confidence),
            origin=SITE if confidence is None else OWN,
            reason=(
                f"expected overlap {confidence:.2f} is below {LEAST_CONFIDENCE}: "
                "give a manual or FreeSurfer label"
            )
            if low
            else None,
            doubts=tuple(check.name for check in structures.doubts.get(number, ())),
        )
    return table


def _failed(structures: Structures) -> tuple[Check, ...]:
    """Return every failed check of a structure once."""
    return tuple(dict.fromkeys(check for own in structures.doubts.values() for check in own))


def _asymmetries(volumes_mm3: Mapping[int, float | None]) -> dict[str, VolumeAsymmetry]:
    result: dict[str, VolumeAsymmetry] = {}
    for name, (left, right) in PAIRS.items():
        pair = volumes_mm3.get(left), volumes_mm3.get(right)
        if pair[0] is not None and pair[1] is not None:
            result[name] = volume_asymmetry(pair[0], pair[1])
    return result


def _fit_numbers(segmentation: Segmentation) -> FitMetrics:
    fit = segmentation.fit
    jacobian = segmentation.jacobian
    return FitMetrics(
        means=tuple(fit.mixture.means.tolist()),
        standard_deviations=tuple(np.sqrt(fit.mixture.variances).tolist()),
        weights=tuple(fit.mixture.weights.tolist()),
        classes=tuple(fit.mixture.classes.tolist()),
        shares=tuple(fit.mixture.shares.tolist()),
        rounds=len(fit.gains),
        last_gain_nats_per_sample=float(fit.gains[-1]),
        jacobian_range=(float(jacobian.min()), float(jacobian.max())),
        labels_for_head={"skull": SKULL, "head": SKIN},
    )
