"""What the stages of surgery found, as the records that they write and later stages read.

Ablative rate and asymmetry inside the ablation are those of Mo et al. 2025.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from falx.core.grid import Side
from falx.core.possible import AsymmetryIndex, HemisphereMm3, Share
from falx.pet.metrics import Definition
from falx.surgery.outcome.ablation import AblativeRate
from falx.surgery.outcome.focus_rates import FocusRate
from falx.surgery.outcome.rate_interval import RateInterval

__all__ = [
    "AblationMetrics",
    "InsideAsymmetry",
    "RatesMetrics",
    "RuleCurves",
    "VolumeCurve",
]


@dataclass(frozen=True)
class InsideAsymmetry:
    """Asymmetry of one image inside an ablation; all but `scale` ``None`` where none is defined.

    Parameters
    ----------
    scale
        Intensity scale of the run.
    ipsilateral, contralateral
        Mean index in the ablation and in its mirror.
    ratio_of_means
        Mean intensity in the ablation against that in its mirror.
    ipsilateral_z5
        Mean index in the ablation on the z + 5 scale.
    defined_share
        Share of the ablation where the index is defined.
    """

    scale: str
    ipsilateral: AsymmetryIndex | None = None
    contralateral: AsymmetryIndex | None = None
    ratio_of_means: AsymmetryIndex | None = None
    ipsilateral_z5: AsymmetryIndex | None = None
    defined_share: Share | None = None

    @property
    def unbounded(self) -> tuple[str, ...]:
        """Fields that may be anything: z-scores are no amounts, and their mean may be zero."""
        return ("ipsilateral", "contralateral", "ratio_of_means") if self.scale == "z" else ()


@dataclass(frozen=True)
class AblationMetrics:
    """Of an ablation that was made.

    Parameters
    ----------
    side
        Side of the focus.
    volume_mm3
        Volume of the ablation on the T1w grid.
    definition
        Of the signature that the rates ``"default"`` are of.
    rates
        ``"default"`` and ``"published"``, the signature's definition, to structure to rate.
    shares
        Structure to the share of it that was ablated, signature or not; ``None`` without the
        structure.
    asymmetry
        ``"pet"``, ``"flair"`` and ``"gm"``, as far as there, to the asymmetry inside.
    dice_raters
        Overlap with a second rater's mask; ``None`` without one.
    dice_repeat
        Overlap with the mask that the same rater drew again; ``None`` without one.
    """

    side: Side
    volume_mm3: HemisphereMm3
    definition: Definition
    rates: Mapping[str, Mapping[str, AblativeRate]]
    shares: Mapping[str, Share | None]
    asymmetry: Mapping[str, InsideAsymmetry]
    dice_raters: Share | None
    notices: tuple[str, ...] = ()
    dice_repeat: Share | None = None


@dataclass(frozen=True)
class VolumeCurve:
    """Signature inside a structure, and what of it was ablated, at every threshold, mm³."""

    signature_mm3: tuple[HemisphereMm3, ...]
    ablated_mm3: tuple[HemisphereMm3, ...]


@dataclass(frozen=True)
class RuleCurves:
    """Curves of every structure under one rule, and the intensity scale of that rule."""

    scale: str
    hippocampus: VolumeCurve
    amygdala: VolumeCurve
    mesial_temporal: VolumeCurve


@dataclass(frozen=True)
class RatesMetrics:
    """Ablative rate as a function of the threshold.

    Parameters
    ----------
    thresholds
        Cuts on the asymmetry index, ascending.
    curves
        ``"default"`` and ``"published"`` to the curves of that rule.
    intervals
        Structure to the interval of the rate by this run's definition.
    foci
        What was taken of all foci and of each; empty without one.
    """

    thresholds: tuple[float, ...]
    curves: Mapping[str, RuleCurves]
    intervals: Mapping[str, RateInterval]
    notices: tuple[str, ...] = ()
    foci: tuple[FocusRate, ...] = ()
