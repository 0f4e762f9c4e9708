"""Checks that a segmentation can be trusted; each names itself in the report."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.anatomy.priors import TissuePriors
from falx.anatomy.segmentation.mixture import Mixture
from falx.anatomy.segmentation.result import Segmentation
from falx.anatomy.volumes import tissue_volume_mm3
from falx.core.errors import QualityError, notify
from falx.images.nifti import Image
from falx.images.resample import sample

__all__ = [
    "LIMITS",
    "STOPPING",
    "Check",
    "check_segmentation",
    "stop_on_failure",
    "tissue_separation",
    "within",
]

LIMITS: dict[str, tuple[float | None, float | None, str]] = {
    "template overlap": (
        0.85,
        None,
        (
            "Dice of the brain with the template's, through the map; 0.93 and more in heads that "
            "were segmented well, below 0.8 with another organ or a wrong position"
        ),
    ),
    "alignment": (
        0.15,
        None,
        (
            "information that the position gives about intensity, nats per voxel; 0.3 and more "
            "for heads, about 0.05 for noise"
        ),
    ),
    "total intracranial volume": (
        1000.0,
        2000.0,
        "ml; adults lie between 1,000 and 2,000 (Mo 2025: 1,206 to 1,911)",
    ),
    "grey matter volume": (
        400.0,
        950.0,
        "ml; adults lie between 400 and 950 (432 to 794 in the heads behind the priors)",
    ),
    "white matter volume": (330.0, 700.0, "ml; adults lie between 330 and 700"),
    "cerebrospinal fluid volume": (
        100.0,
        800.0,
        "ml; adults lie between 100 and 800 (288 to 624 in the heads behind the priors)",
    ),
    "smallest Jacobian": (0.2, None, "least local change of volume in the brain; 0 is a fold"),
    "largest Jacobian": (None, 5.0, "largest local change of volume in the brain"),
    "T1 contrast": (
        1.05,
        None,
        "white over grey matter intensity; above 1.15 in T1w images, below 1 in T2w images",
    ),
    "fluid contrast": (None, 0.9, "CSF over grey matter intensity; above 1 in T2w images"),
    "tissue contrast": (
        0.1,
        None,
        (
            "largest difference between the mean intensities of grey, white and fluid, over their "
            "mean; 0.5 and more in heads, 0.006 in a uniform ball with noise, which has no tissues"
        ),
    ),
    "tissue separation": (
        2.0,
        None,
        (
            "difference of the fitted means of grey and white matter, and of grey matter and "
            "fluid, in their standard deviation; the smaller. 2.6 in a real head, 2.8 with 9 % "
            "noise, 1.8 where fluid had taken the intensities of grey matter"
        ),
    ),
    "signal to noise": (
        6.0,
        None,
        "white matter's mean over its standard deviation; 15 and more in usual T1w images",
    ),
    "sides": (1.0, 1.0, "1 if what is labelled left lies to the left in scanner coordinates"),
}
"""Lower limit, upper limit, and where they come from."""

STOPPING = {
    "alignment",
    "total intracranial volume",
    "grey matter volume",
    "smallest Jacobian",
    "tissue contrast",
    "sides",
}
"""Checks whose failure means that there is no result to go on with."""

WIDE = {
    "alignment": (0.08, None),
    "total intracranial volume": (500.0, 3000.0),
    "grey matter volume": (200.0, 1500.0),
}
"""Between these and the limits of the table the result is marked, not refused. A head whose grey
matter was taken for fluid had 149 ml of it, a head of which 10 cm were imaged 556 ml."""


@dataclass(frozen=True)
class Check:
    """One quality check.

    Parameters
    ----------
    name, value
        What was measured.
    low, high
        Accepted range; none where there is no limit.
    passed
        Whether the value lies in it.
    why
        What it means and where the limits come from.
    """

    name: str
    value: float
    low: float | None
    high: float | None
    passed: bool
    why: str


def check_segmentation(segmentation: Segmentation, priors: TissuePriors) -> tuple[Check, ...]:
    """Measure everything that tells whether a segmentation can be trusted."""
    volumes = [
        tissue_volume_mm3(tissue, segmentation.grid) / 1000.0
        for tissue in (segmentation.gm, segmentation.wm, segmentation.csf)
    ]
    jacobians = _inside(segmentation)
    grey, white, fluid, noise = _intensities(segmentation)
    values = {
        "template overlap": template_overlap(segmentation, priors),
        "alignment": segmentation.information,
        "total intracranial volume": sum(volumes),
        "grey matter volume": volumes[0],
        "white matter volume": volumes[1],
        "cerebrospinal fluid volume": volumes[2],
        "smallest Jacobian": float(jacobians.min(initial=np.inf)),
        "largest Jacobian": float(jacobians.max(initial=-np.inf)),
        "T1 contrast": white / max(grey, 1e-9),
        "fluid contrast": fluid / max(grey, 1e-9),
        "tissue contrast": 3.0
        * (max(grey, white, fluid) - min(grey, white, fluid))
        / max(grey + white + fluid, 1e-9),
        "tissue separation": tissue_separation(segmentation.fit.mixture),
        "signal to noise": white / max(noise, 1e-9),
        "sides": _sides(segmentation),
    }
    return tuple(_check(name, value, *LIMITS[name]) for name, value in values.items())


def stop_on_failure(checks: tuple[Check, ...], *, where: object = None) -> None:
    """Raise if a check says that there is no result; give a notice for every other failure.

    Raises
    ------
    QualityError
        If the image does not align with a head, its tissues are equally bright, the brain has an
        impossible volume, the map folds, or sides are swapped.
    """
    for check in checks:
        if check.passed:
            continue
        low, high = WIDE.get(check.name, (check.low, check.high))
        impossible = not within(check.value, low, high)
        if check.name in STOPPING and impossible:
            raise QualityError(
                f"the segmentation failed: {check.name} is out of range",
                where=where,
                found=f"{check.value:.3g}, accepted {_range(check)}",
                do="check that the file is a T1-weighted image of a whole head",
            )
        notify(
            f"quality check failed: {check.name}",
            where=where,
            found=f"{check.value:.3g}, accepted {_range(check)}",
            do=_ADVICE.get(check.name, "look at the overlays before using the result"),
        )


_ADVICE = {
    "T1 contrast": "check that this is a T1w image and not a T2w or FLAIR image",
    "fluid contrast": "check that this is a T1w image and not a T2w or FLAIR image",
}


def template_overlap(segmentation: Segmentation, priors: TissuePriors) -> float:
    """Dice overlap of the brain with the template's brain, brought to native space.

    Measured at the nodes of the forward map.
    """
    mapping = segmentation.to_template
    brain = Image(segmentation.gm + segmentation.wm + segmentation.csf, segmentation.grid.affine)
    own = sample(brain, mapping.grid.centres_mm()) > 0.5
    prior = Image(priors.probabilities[..., :3].sum(axis=-1), priors.affine)
    expected = sample(prior, mapping.coordinates_mm) > 0.5
    total = int(own.sum()) + int(expected.sum())
    return 2.0 * int((own & expected).sum()) / total if total else 0.0


def tissue_separation(mixture: Mixture) -> float:
    """Least distance of grey matter's mean from white matter's and fluid's, in their SD.

    |m_a - m_b| / √((s_a² + s_b²) / 2), with the moments of each class's mixture.
    """
    means, variances = mixture.moments()
    apart = [
        abs(means[0] - means[k]) / max(np.sqrt(0.5 * (variances[0] + variances[k])), 1e-9)
        for k in (1, 2)
    ]
    return float(min(apart))


def _inside(segmentation: Segmentation) -> npt.NDArray[np.float32]:
    """Jacobians at the nodes inside the brain."""
    mask = Image(segmentation.brain_mask.astype(np.float32), segmentation.grid.affine)
    inside = sample(mask, segmentation.to_template.grid.centres_mm()) > 0.5
    return np.asarray(segmentation.jacobian[inside])


def _intensities(segmentation: Segmentation) -> tuple[float, float, float, float]:
    """Mean of grey, white and fluid, and SD of white matter, where each is certain."""
    means, sds = [], []
    for tissue in (segmentation.gm, segmentation.wm, segmentation.csf):
        values = segmentation.corrected[tissue > 0.95]
        means.append(float(values.mean()) if values.size else 0.0)
        sds.append(float(values.std()) if values.size else 0.0)
    return means[0], means[1], means[2], sds[1]


def _sides(segmentation: Segmentation) -> float:
    """Whether template left and right lie left and right in scanner coordinates."""
    points = np.array([[-40.0, -20.0, 10.0], [40.0, -20.0, 10.0]])
    left, right = segmentation.to_native.at(points)
    handed = np.linalg.det(segmentation.affine[:3, :3]) > 0
    return float(handed and right[0] > left[0])


def _check(name: str, value: float, low: float | None, high: float | None, why: str) -> Check:
    return Check(
        name, value, low, high, bool(np.isfinite(value)) and within(value, low, high), why
    )


def within(value: float, low: float | None, high: float | None) -> bool:
    """Whether a value lies between limits, of which either may be none."""
    return (low is None or value >= low) and (high is None or value <= high)


def _range(check: Check) -> str:
    if check.low is None:
        return f"at most {check.high:g}"
    if check.high is None:
        return f"at least {check.low:g}"
    return f"{check.low:g} to {check.high:g}"
