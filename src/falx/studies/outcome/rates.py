"""Ablative rates of a cohort at any threshold, and the threshold that the cohort itself gives.

Mo 2025 cut the asymmetry at the median of the same patients whose outcome is then predicted.
Here the median is taken anew without the patients that are predicted, and their rates follow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from falx.clinical.counts import fold_labels, many_cuts
from falx.clinical.roc.cut_validation import HeldOut
from falx.core.checks import Bools, Floats
from falx.core.errors import InputError
from falx.studies.outcome.patient import PatientNumbers

__all__ = [
    "CohortThreshold",
    "RateCurves",
    "cohort_threshold",
    "gather_curves",
    "nested_threshold",
]

RULES = ("default", "published")


@dataclass(frozen=True, eq=False)
class RateCurves:
    """Signature and ablated signature of every patient at every threshold.

    Parameters
    ----------
    scale
        Intensity scale of the asymmetry index that the thresholds cut.
    asymmetry
        Mean asymmetry index in the ablation on that scale, (n,), missing as NaN.
    thresholds
        Ascending and negative, (T,).
    signature_mm3, ablated_mm3
        By structure, (n, T), missing as NaN.
    """

    scale: str
    asymmetry: Floats
    thresholds: Floats
    signature_mm3: Mapping[str, Floats]
    ablated_mm3: Mapping[str, Floats]

    def rates(self, structure: str, threshold: float) -> Floats:
        """Ablative rate of every patient, (n,); NaN where there is no signature.

        Volumes are interpolated between the thresholds at which they were measured.

        Examples
        --------
        >>> half = RateCurves("z5", np.array([-0.1]), np.array([-0.2, -0.1]),
        ...                   {"hippocampus": np.array([[0.0, 4.0]])},
        ...                   {"hippocampus": np.array([[0.0, 1.0]])})
        >>> half.rates("hippocampus", -0.15), half.rates("hippocampus", -0.2)
        (array([0.25]), array([nan]))
        """
        if not self.thresholds[0] <= threshold <= self.thresholds[-1]:
            raise InputError(
                "the rate is not known at this threshold",
                found=f"{threshold:.4g}; measured {self.thresholds[0]:g} to "
                f"{self.thresholds[-1]:g}",
                do="check that the asymmetry in the ablation is negative",
            )
        whole, ablated = (
            np.array([np.interp(threshold, self.thresholds, row) for row in table[structure]])
            for table in (self.signature_mm3, self.ablated_mm3)
        )
        rates: Floats = np.divide(ablated, whole, out=np.full(len(whole), np.nan), where=whole > 0)
        return rates


@dataclass(frozen=True, eq=False)
class CohortThreshold:
    """The cohort's own threshold, and what it is worth on patients that it does not know.

    Parameters
    ----------
    rule
        ``"default"`` for the run's rule, ``"published"`` for that of Mo 2025.
    scale
        Intensity scale of the threshold.
    threshold, ci_low, ci_high
        Median asymmetry in the ablation, with its 95 % bootstrap interval.
    n
        Patients that it comes from.
    without_signature
        Patients without signature in the structure at this threshold: they have no rate.
    rates
        Ablative rate at this threshold, (n,), missing as NaN.
    nested
        The cut of the rate judged by cross-validation with threshold and cut estimated anew in
        each fold; ``None`` where `refused` says why.
    """

    rule: str
    scale: str
    threshold: float
    ci_low: float
    ci_high: float
    n: int
    without_signature: int
    rates: Floats
    nested: HeldOut | None
    refused: str = ""


def gather_curves(patients: Sequence[PatientNumbers]) -> dict[str, RateCurves]:
    """Stack the patients' curves, by rule; rules whose patients differ in scale are left out.

    Patients without an ablation have no curve and become rows of NaN.
    """
    known = [patient.curves for patient in patients if patient.curves is not None]
    if not known or any(curves.thresholds != known[0].thresholds for curves in known):
        return {}
    found = {}
    for rule in RULES:
        scales = {curves.rules[rule].scale for curves in known}
        if len(scales) != 1:
            continue
        scale = scales.pop()
        structures = {
            name: np.array([_curve(patient, rule, name, len(known[0].thresholds))
                            for patient in patients])
            for name in known[0].rules[rule].structures
        }  # fmt: skip
        found[rule] = RateCurves(
            scale,
            np.array([patient.asymmetry(scale) for patient in patients]),
            np.array(known[0].thresholds),
            signature_mm3={name: volumes[:, 0] for name, volumes in structures.items()},
            ablated_mm3={name: volumes[:, 1] for name, volumes in structures.items()},
        )
    return found


def _curve(patient: PatientNumbers, rule: str, structure: str, length: int) -> Floats:
    """Signature and its ablated part by threshold, (2, T)."""
    if patient.curves is None:
        return np.full((2, length), np.nan)
    curve = patient.curves.rules[rule].structures[structure]
    return np.array([curve.signature_mm3, curve.ablated_mm3], dtype=np.float64)


def cohort_threshold(
    curves: RateCurves,
    seizure_free: Bools,
    *,
    rule: str,
    structure: str = "hippocampus",
    n_resamples: int = 2000,
    rng: np.random.Generator,
) -> CohortThreshold:
    """Take the threshold from the cohort as Mo 2025 do, and judge it without circularity.

    Raises
    ------
    InputError
        If the median is not a threshold of a signature, or no asymmetry is known on its scale.
    """
    known = curves.asymmetry[np.isfinite(curves.asymmetry)]
    if not len(known):
        raise InputError(
            "the asymmetry in the ablation is not known on the scale of the signature",
            found=f"signature on the scale {curves.scale}",
            do="set asymmetry.scale and signature.threshold_scale alike",
        )
    threshold = float(np.median(known))
    rates = curves.rates(structure, threshold)
    drawn = np.median(known[rng.integers(0, len(known), (n_resamples, len(known)))], axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    try:
        nested, refused = nested_threshold(curves, seizure_free, structure, rng=rng), ""
    except InputError as reason:
        nested, refused = None, str(reason)
    return CohortThreshold(
        rule=rule,
        scale=curves.scale,
        threshold=threshold,
        ci_low=float(low),
        ci_high=float(high),
        n=len(known),
        without_signature=int(np.sum(np.isfinite(curves.asymmetry) & ~np.isfinite(rates))),
        rates=rates,
        nested=nested,
        refused=refused,
    )


def nested_threshold(
    curves: RateCurves,
    seizure_free: Bools,
    structure: str = "hippocampus",
    *,
    n_folds: int = 5,
    n_repeats: int = 200,
    rng: np.random.Generator,
) -> HeldOut:
    """Cross-validate threshold and cut together: both come from the training folds only.

    In each fold the threshold is the median asymmetry of the training patients; every rate is
    taken anew at that threshold; the Youden cut of the training patients' rates calls the
    patients left out. A patient without signature at the threshold has no rate and is not
    called; `skipped` counts these calls over all repeats.
    """
    event = np.asarray(seizure_free, dtype=bool)
    usable = np.isfinite(curves.asymmetry)
    smaller = int(min(np.sum(event & usable), np.sum(~event & usable)))
    if smaller < 2:
        raise InputError(
            "cross-validation needs at least two patients of each outcome",
            found=smaller,
            do="report the apparent figures only",
        )
    rows = np.flatnonzero(usable)
    event, folds = event[rows], min(n_folds, smaller)
    labels = fold_labels(event, folds, n_repeats, rng)
    called, judged = np.zeros(labels.shape, dtype=bool), np.zeros(labels.shape, dtype=bool)
    for repeat, fold in np.ndindex(n_repeats, folds):
        train = labels[repeat] != fold
        rates = curves.rates(structure, float(np.median(curves.asymmetry[rows][train])))[rows]
        known = np.isfinite(rates)
        filled = np.where(known, rates, 0.0)
        cut = many_cuts(filled, event, (train & known)[None, :].astype(np.int64))
        judged[repeat] |= ~train & known & cut.usable[0]
        called[repeat] |= judged[repeat] & ~train & (filled > cut.cut[0])
    return _pooled(called, judged, event)


def _pooled(called: Bools, judged: Bools, event: Bools) -> HeldOut:
    """Score the calls of each repeat together; repeats without one outcome are dropped."""
    hits = np.stack([(called & judged & event).sum(1), (~called & judged & ~event).sum(1)])
    totals = np.stack([(judged & event).sum(1), (judged & ~event).sum(1)])
    whole = (totals > 0).all(axis=0)
    if not whole.any():
        raise InputError("no held-out patient of one outcome has a rate at the fold's threshold")
    sensitivity, specificity = hits[:, whole] / totals[:, whole]
    balanced = (sensitivity + specificity) / 2
    return HeldOut(
        float(sensitivity.mean()),
        float(specificity.mean()),
        float(balanced.mean()),
        float(balanced.std(ddof=1)) if whole.sum() > 1 else 0.0,
        int(whole.sum()),
        int(np.sum(~judged)),
    )
