"""What the page may say of a signature: what is certain, how certain, and what is not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from falx.anatomy.metrics import AnatomyMetrics
from falx.core.grid import apply_affine
from falx.pet.carried import carried_index_words
from falx.pet.foci import FocusRow
from falx.pet.metrics import CalibratedMetrics, PetMetrics, SignatureMetrics
from falx.pet.norms import HealthyMetrics
from falx.report.page import Table
from falx.studies.signature.numbers import STRUCTURES
from falx.surgery.outcome.focus_rates import FocusRate
from falx.surgery.outcome.rate_interval import RateInterval

__all__ = [
    "certain",
    "doubts",
    "foci_table",
    "limits_of",
    "other_definitions",
    "outlines",
    "reach",
    "side_of_itself",
    "taken_of_foci",
]

MISSED = (
    "That excludes no focus: in 10 of 65 simulated heads whose hippocampus and amygdala were "
    "25 % lower, the search alone found none."
)
"""Seeds 100 to 109 with healthy asymmetry, 40 and 25 draws: docs/methods/signature.md."""


RATES_MEASURED = (
    "In 10 whose hippocampus and amygdala were lower as a whole, and whose outlines were as wrong "
    "as a segmentation's, the ablative rate was too high by .03 on average and by .18 at worst, "
    "and all intervals held the truth; those of the false share did in 9. Where the front half "
    "alone was lower, found in 9, the false share was stated .09 too small on average and .44 at "
    "worst, its interval held the truth in 8, and the rate was too low by .15. A focus that ends "
    "within the hippocampus and spares the amygdala has .12 too small a share stated. One that is "
    "not of one depth was not tried."
)
"""Seeds 900 to 909 with healthy asymmetry, and 980 to 988: docs/methods/signature.md."""


UNDECLARED = (
    "No side was declared, so that the foci were sought without naming a region: in the four "
    "simulated heads that were searched so, the false share was stated .02 to .23 too small. "
    "Declare the side if it is known."
)
"""Seeds 1200 to 1203: docs/methods/signature.md, odd patients."""


def certain(signature: SignatureMetrics, pet: PetMetrics) -> str:
    """Say in one sentence or two what of the asymmetry is certain."""
    found = signature.calibrated
    if found is None:
        return f"Nothing can be called certain: {pet.noise.reason}."
    where = f"on the {found.searched[0]}" if len(found.searched) == 1 else "on either side"
    if not found.foci:
        return (
            f"Nothing {where} is certain: no cluster of low asymmetry is rarer than "
            f"{found.level:.0%} in images without a focus (smallest P "
            f"{found.smallest_probability:.2g}). {MISSED}"
        )
    first = found.foci[0]
    return (
        f"Found {where}: {_ml(found.volume_mm3)} of grey matter is lower than its mirror image "
        f"by more than noise and healthy asymmetry account for, {_false_share(found)}, in "
        f"{_count(found.foci)}; the most certain, {_ml(first.volume_mm3)}, {_held(first)}, mean "
        f"asymmetry {first.mean_asymmetry:+.3f}, P = {first.probability:.2g} that an image "
        "without a focus holds as much."
    )


def _held(focus: FocusRow) -> str:
    """Say how much of a focus lies in the structure that holds most of it."""
    return f"{focus.region_share:.0%} of it in the {focus.region}"


def _count(foci: Sequence[FocusRow]) -> str:
    return "1 focus" if len(foci) == 1 else f"{len(foci)} foci"


def _ml(volume_mm3: float) -> str:
    return f"{volume_mm3 / 1000:.1f} ml"


def _false_share(found: CalibratedMetrics) -> str:
    if found.false_share is None:
        return "with a false share that is not known"
    said = f"at an expected false-discovery rate of {found.false_share:.0%}"
    if found.false_share_low is None or found.false_share_high is None:
        return said
    return f"{said} (95% interval {found.false_share_low:.0%} to {found.false_share_high:.0%})"


def doubts(signature: SignatureMetrics, healthy: HealthyMetrics) -> list[str]:
    """Say what limits that certainty; nothing where nothing is certain."""
    found = signature.calibrated
    if found is None:
        return []
    usual = (found.noise_sd**2 + found.healthy_sd**2) ** 0.5
    limits = (
        f"Noise and healthy asymmetry together give the index of a voxel an SD of {usual:.3f} "
        f"(noise {found.noise_sd:.3f}). {_whose(healthy)}; error rates were measured on "
        f"simulated heads only, whose structures are known. {RATES_MEASURED}"
    )
    said = [limits]
    if found.foci and len(found.searched) > 1:
        said.append(UNDECLARED)
    if found.refuted:
        said.append(
            "The other side holds low places that noise and healthy asymmetry do not account for "
            f"either; the null was widened by a factor of {found.widened:.2f}."
        )
    elif found.widened > 1.05:
        said.append(
            f"This image has more asymmetry everywhere than expected; the null was widened by a "
            f"factor of {found.widened:.2f}."
        )
    return said


def _whose(healthy: HealthyMetrics) -> str:
    """Say of whom the healthy part of the asymmetry is."""
    if healthy.of_site:
        return (
            f"The healthy part is that of {healthy.source}, and the index of the foci is that "
            "beyond their mean"
        )
    return "The healthy part is that of old people, with an assumed smoothness"


def other_definitions(signature: SignatureMetrics) -> str:
    """Say what the run's definition, where it is another, and that of the publication mark."""
    said = []
    if signature.definition.method != "calibrated":
        said.append(
            f"By the definition of this run, {signature.definition}, the signature is "
            f"{_ml(signature.volume_mm3)}; below a single threshold most can be noise."
        )
    published = signature.published_volume_mm3
    if published is not None:
        said.append(
            f"The scripts of Mo 2025 (PET not corrected, z + 5 scale, index ≤ "
            f"{signature.published_threshold.value:.4f}, both sides) mark {_ml(published)}, "
            "without a statement of error."
        )
        carried = carried_index_words(signature.definition.correction)
        said += [carried] if carried else []
    return " ".join(said)


def side_of_itself(signature: SignatureMetrics) -> tuple[str, bool]:
    """Say which side the image suggests of itself, and whether the declared one is another."""
    found = signature.calibrated
    if found is None:
        return "The image suggests no side: its noise is not known.", False
    side = found.suggested.side
    if side is None:
        return f"By itself the image suggests no side: {found.suggested.reason}.", False
    chance = found.suggested.probability
    rarely = "" if chance is None else f"; without a focus as much is seen with P = {chance:.2g}"
    said = (
        f"By itself the image suggests the {side}: {found.suggested.reason}{rarely}. That is not "
        "the probability that the side is right."
    )
    return said, signature.side_from == "the declared focus" and side != signature.side


def foci_table(signature: SignatureMetrics, acpc: npt.NDArray[np.float64]) -> Table | None:
    """Foci of the whole brain, the most certain first; ``None`` where there are none.

    Parameters
    ----------
    acpc
        4×4, scanner mm → AC–PC mm.
    """
    found = signature.calibrated
    if found is None or not found.everywhere:
        return None
    return Table(
        ("focus", "region", "share there", "volume, ml", "mean asymmetry", "lowest z",
         "P, familywise", "expected false share", "MNI, mm", "AC–PC, mm", "scanner, mm"),
        [
            [f.number, f.region, f.region_share, f.volume_mm3 / 1000, f.mean_asymmetry, f.lowest_z,
             f.probability, f.false_share, _place(f.peak_mni_mm),
             _place(apply_affine(acpc, f.peak_scanner_mm).tolist()), _place(f.peak_scanner_mm)]
            for f in found.everywhere
        ],
        caption="Foci of the whole brain, sought on both sides, the most certain first; by its "
        "number falx plan --focus plans for one of them. P: that "
        "an image without a focus holds as much anywhere; places are those of the lowest z. "
        "Cortex is not parted into gyri.",
    )  # fmt: skip


def taken_of_foci(rates: Sequence[FocusRate]) -> Table:
    """Say what the ablation took of all foci and of each, wherever they lie."""
    return Table(
        ("focus", "most of it in", "expected volume, ml", "ablated share", "interval"),
        [
            [
                one.focus,
                one.region or "",
                one.expected_mm3 / 1000,
                f"{one.rate:.1%}",
                limits_of(one.interval),
            ]
            for one in rates
        ],
        caption="What the ablation took of every focus, wherever it lies: expected volume of it "
        "that was ablated over that of all of it. Numbers count by certainty the foci that were "
        "sought for the signature, on one side where one is declared: not always those of the "
        "table of foci, which is of both sides. Of "
        "foci outside hippocampus and amygdala, whose edge is sought, the share was wrong by .11 "
        "(SD) in eight simulated heads and by .22 at worst, and the interval held the truth in "
        "seven.",
    )


def limits_of(interval: RateInterval) -> str:
    """Say the interval of a rate, or that there is none and why."""
    if interval.low is None or interval.high is None:
        return f"no interval: {interval.reason}"
    return f"95% interval {interval.low:.0%} to {interval.high:.0%}"


def reach(signature: SignatureMetrics) -> str:
    """Say how far the focus reaches in the named structures; empty where none is accepted."""
    found = signature.calibrated
    if found is None or not found.reach:
        return ""
    *pieces, amygdala = found.reach
    said = ", ".join(f"{chance:.0%}" for chance in pieces)
    return (
        f"Probability that the focus holds each sixth of the {signature.side} hippocampus, from "
        f"tail to head: {said}; the amygdala: {amygdala:.0%}. A focus is taken as one stretch of "
        "one depth."
    )


def outlines(anatomy: AnatomyMetrics) -> str:
    """Say whose outlines of hippocampus and amygdala these are."""
    found = anatomy.structures.values()
    given = {one.origin == "given" for one in found if one.name.endswith(STRUCTURES)}
    if given == {True}:
        return "Their outlines were given with the dataset, as by FreeSurfer, and are not Falx's."
    if True in given:
        return "Some of their outlines were given with the dataset, others are Falx's own."
    return "Their outlines are Falx's own."


def _place(mm: Sequence[float]) -> str:
    return ", ".join(f"{value:.0f}" for value in mm)
