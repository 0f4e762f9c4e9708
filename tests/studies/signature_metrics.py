"""Metrics of a made-up patient of the signature study, side by side what a test changes."""

from __future__ import annotations

from collections.abc import Mapping

from falx.anatomy.metrics import AnatomyMetrics, FitMetrics, StructureMetrics, TissueVolumes
from falx.anatomy.quality import Check
from falx.anatomy.settings import SegmentationSettings
from falx.core.grid import Side
from falx.pet.decoy import DecoyRate
from falx.pet.foci import FocusRow
from falx.pet.lateral import SuggestedSide
from falx.pet.maps import StructureAsymmetry
from falx.pet.metrics import (
    AsymmetryMetrics,
    CalibratedMetrics,
    Definition,
    NoiseMetrics,
    PetMetrics,
    SignatureMetrics,
)
from falx.pet.norms import LIMITS, HealthyMetrics, place_all
from falx.pet.signature import DEFAULT_THRESHOLD, PUBLISHED_THRESHOLD
from falx.studies.signature.numbers import PatientMetrics
from falx.surgery.metrics import AblationMetrics, InsideAsymmetry
from falx.surgery.outcome.ablation import AblativeRate

VOLUMES = {
    "left hippocampus": 2000.0,
    "right hippocampus": 3000.0,
    "left amygdala": 1500.0,
    "right amygdala": 1250.0,
}
DEFINITION = Definition("calibrated", "mg3", "proportional", 0.05)
CHECKS = (
    Check("sides", 1.0, 0.5, None, True, "left is left"),
    Check("noise", 0.2, None, 0.1, False, "more noise than usual"),
)


def anatomy(
    volumes: Mapping[str, float | None] = VOLUMES, checks: tuple[Check, ...] = CHECKS
) -> AnatomyMetrics:
    structures = {
        str(number): StructureMetrics(name, name.split()[0], volume, 0.9, "falx")
        for number, (name, volume) in enumerate(volumes.items())
    }
    return AnatomyMetrics(
        TissueVolumes(700_000.0, 500_000.0, 300_000.0, 1_500_000.0),
        structures,
        {},
        checks,
        ("from the anatomy",),
        SegmentationSettings(),
        ((1.0, 0.0, 0.0, 0.0),) * 4,
        0.4,
        FitMetrics((), (), (), (), (), 3, 0.1, (0.5, 2.0), {}),
    )


def asymmetry(quantity: str, left: float | None, right: float | None) -> AsymmetryMetrics:
    sides: dict[Side, StructureAsymmetry] = {
        "left": StructureAsymmetry(left, None),
        "right": StructureAsymmetry(right, None),
    }
    structures = dict.fromkeys(("hippocampus", "amygdala", "mesial_temporal"), sides)
    return AsymmetryMetrics(quantity, "proportional", "brain", 6.0, None, 4.0, 1.0, structures)


def ablation(side: Side = "left") -> AblationMetrics:
    rate = AblativeRate(300.0, 500.0, 0.6)
    none = AblativeRate(0.0, 0.0, None, reason="no signature inside the structure")
    structures = {"hippocampus": rate, "amygdala": none, "mesial_temporal": rate}
    published = {name: AblativeRate(200.0, 800.0, 0.25) for name in structures}
    inside = {"pet": InsideAsymmetry("proportional", -0.2, 0.21, -0.19, -0.1, 0.9)}
    rates = {"default": structures, "published": published}
    shares = {"hippocampus": 0.55, "amygdala": 0.2, "mesial_temporal": 0.45}
    return AblationMetrics(
        side, 4000.0, DEFINITION, rates, shares, inside, 0.85, ("from the ablation",)
    )


def calibrated(side: Side = "left", *, empty: bool = False) -> CalibratedMetrics:
    """One hippocampal focus of 810 mm³, or none."""
    x_mm = -30.0 if side == "left" else 30.0
    focus = FocusRow(
        1, side, f"{side} hippocampus", 0.7, 810.0, -0.2, -4.1, 0.005, 0.12, 1.0,
        (x_mm, 5.0, -9.0), (x_mm, -20.0, -16.0),
    )  # fmt: skip
    shares = (None, None, None) if empty else (0.12, 0.04, 0.25)
    foci = () if empty else (focus,)
    suggested = SuggestedSide(None, 0.4, "no focus was found") if empty else SuggestedSide(
        side, 0.005, f"foci were found on the {side} only"
    )  # fmt: skip
    return CalibratedMetrics(
        0.05, (side,), foci, sum(f.volume_mm3 for f in foci), *shares, 0.4 if empty else 0.005,
        1.0, False, (DecoyRate(-0.06, 40.0, 31.0, 0.8, 0.5, 1.0),), 0.05, 0.04, foci, suggested,
    )  # fmt: skip


def signature(side: Side, found: CalibratedMetrics | None) -> SignatureMetrics:
    """A calibrated signature; without `found`, the noise of the PET is not known."""
    return SignatureMetrics(
        side, "the declared focus", DEFINITION,
        DEFAULT_THRESHOLD, PUBLISHED_THRESHOLD, 0.0 if found is None else found.volume_mm3,
        920.0, found,
    )  # fmt: skip


def patient(
    side: Side = "left",
    *,
    index: tuple[float | None, float | None] = (-0.2, 0.21),
    volumes: Mapping[str, float | None] = VOLUMES,
    checks: tuple[Check, ...] = CHECKS,
    ablated: AblationMetrics | None = None,
    foci: CalibratedMetrics | None = None,
) -> PatientMetrics:
    pet = PetMetrics(
        "mg3", 6.0, 0.3, "Bq/mL", {"grey": 4.0},
        {"hippocampus": {"left": -0.3, "right": 0.3}}, {"hippocampus": 0.02},
        NoiseMetrics((4.0, 4.0, 4.0), 0.05), ("from the PET", "from the anatomy"),
    )  # fmt: skip
    found = signature(side, calibrated(side) if foci is None else foci)
    placed = place_all({"hippocampus": -0.25, "putamen": 0.01}, {}, None, {})
    healthy = HealthyMetrics(LIMITS, False, 20.0, placed)
    maps = {"pet": asymmetry("PET", *index), "gm": asymmetry("grey-matter density", 0.1, -0.1)}
    return PatientMetrics(anatomy(volumes, checks), pet, maps, found, healthy, ablated)
