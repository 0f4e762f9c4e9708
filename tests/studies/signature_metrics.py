"""Metrics of a made-up patient of the signature study, side by side what a test changes."""

from __future__ import annotations

from collections.abc import Mapping

from falx.anatomy.metrics import AnatomyMetrics, FitMetrics, StructureMetrics, TissueVolumes
from falx.anatomy.quality import Check
from falx.anatomy.settings import SegmentationSettings
from falx.core.grid import Side
from falx.pet.maps import StructureAsymmetry
from falx.pet.metrics import AsymmetryMetrics, PetMetrics, SignatureMetrics
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
    return AblationMetrics(side, 4000.0, rates, inside, 0.85, ("from the ablation",))


def patient(
    side: Side = "left",
    *,
    index: tuple[float | None, float | None] = (-0.2, 0.21),
    volumes: Mapping[str, float | None] = VOLUMES,
    checks: tuple[Check, ...] = CHECKS,
    ablated: AblationMetrics | None = None,
) -> PatientMetrics:
    pet = PetMetrics(
        "mg3", 6.0, 0.3, "Bq/mL", {"grey": 4.0},
        {"hippocampus": {"left": -0.3, "right": 0.3}}, {"hippocampus": 0.02},
        ("from the PET", "from the anatomy"),
    )  # fmt: skip
    found = SignatureMetrics(
        side, "the declared focus", DEFAULT_THRESHOLD, PUBLISHED_THRESHOLD, 810.0, 920.0
    )
    maps = {"pet": asymmetry("PET", *index), "gm": asymmetry("grey-matter density", 0.1, -0.1)}
    return PatientMetrics(anatomy(volumes, checks), pet, maps, found, ablated)
