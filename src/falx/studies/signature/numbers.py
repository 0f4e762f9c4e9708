"""What all stages found in one patient, and the flat record of it that the group level reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from falx.anatomy.metrics import AnatomyMetrics
from falx.anatomy.quality import STOPPING, Check
from falx.core.grid import SIDES, Side, opposite
from falx.core.possible import Amount, AsymmetryIndex
from falx.core.records import plain
from falx.pet.metrics import AsymmetryMetrics, PetMetrics, SignatureMetrics
from falx.pet.norms import HealthyMetrics
from falx.studies.signature.modalities import MODALITIES
from falx.surgery.metrics import AblationMetrics, RatesMetrics
from falx.surgery.outcome.focus_rates import ALL

__all__ = [
    "STRUCTURES",
    "PatientMetrics",
    "StructureNumbers",
    "flatten_numbers",
    "structure_numbers",
]

STRUCTURES = ("hippocampus", "amygdala")
PET = "pet"
"""Key of the modality that the signature is of."""

Numbers = dict[str, float | None]


@dataclass(frozen=True)
class PatientMetrics:
    """Metrics of the stages of one patient.

    Parameters
    ----------
    asymmetry
        By the key of its modality, as far as there.
    healthy
        What the asymmetry is held against.
    ablation, rates
        ``None`` without an ablation.
    """

    anatomy: AnatomyMetrics
    pet: PetMetrics
    asymmetry: Mapping[str, AsymmetryMetrics]
    signature: SignatureMetrics
    healthy: HealthyMetrics
    ablation: AblationMetrics | None = None
    rates: RatesMetrics | None = None

    @property
    def side(self) -> Side:
        """Side of the focus."""
        return self.signature.side

    @property
    def failed(self) -> tuple[Check, ...]:
        """Quality checks that did not pass and whose failure forbids a result."""
        return tuple(c for c in self.anatomy.quality if not c.passed and c.name in STOPPING)


@dataclass(frozen=True)
class StructureNumbers:
    """Volumes and asymmetries of a structure; ``None`` where there is none.

    Parameters
    ----------
    left_mm3, right_mm3, ipsi_mm3
        Volumes; the last is that of the side of the focus.
    difference_mm3, asymmetry
        Ipsilateral minus contralateral, and twice that over their sum.
    index
        Modality to mean asymmetry index on the side of the focus.
    regional, regional_se
        PET asymmetry from regional activities, and its standard error.
    """

    left_mm3: float | None
    right_mm3: float | None
    ipsi_mm3: float | None
    difference_mm3: float | None
    asymmetry: AsymmetryIndex | None
    index: Mapping[str, float | None]
    regional: AsymmetryIndex | None
    regional_se: Amount | None


def structure_numbers(metrics: PatientMetrics, structure: str) -> StructureNumbers:
    """Gather what is known of a structure; ``ipsi`` is the side of the focus."""
    side = metrics.side
    named = {item.name: item.volume_mm3 for item in metrics.anatomy.structures.values()}
    sides = {s: named.get(f"{s} {structure}") for s in SIDES}
    ipsi, contra = sides[side], sides[opposite(side)]
    difference = asymmetry = None
    if ipsi is not None and contra is not None and ipsi + contra != 0:
        difference = ipsi - contra
        asymmetry = 2 * difference / (ipsi + contra)
    return StructureNumbers(
        sides["left"],
        sides["right"],
        ipsi,
        difference,
        asymmetry,
        {modality.key: _index(metrics, modality.key, structure) for modality in MODALITIES},
        metrics.pet.regional_asymmetry.get(structure, {}).get(side),
        metrics.pet.regional_asymmetry_se.get(structure),
    )


def _index(metrics: PatientMetrics, modality: str, structure: str) -> float | None:
    found = metrics.asymmetry.get(modality)
    if found is None or structure not in found.structures:
        return None
    return found.structures[structure][metrics.side].mean_asymmetry


def flatten_numbers(metrics: PatientMetrics) -> dict[str, object]:
    """Gather the numbers of one patient.

    Returns
    -------
    dict
        Name with unit to number, ``None`` where there is none. Asymmetries in the ablation
        (``ai_pet``, ``ai_flair``, ``ai_gm``) are ipsilateral means on the run's scale, those
        that end in ``_z5`` on the scale of the published threshold; differences are
        ipsilateral minus contralateral. Three entries are not numbers: ``failed_checks`` names
        the quality checks that forbid a result, ``signature_definition`` says by which rule the
        signature and its rates were made, ``rate_curves`` holds the rate by threshold.
    """
    volumes = plain(metrics.anatomy.volumes_mm3)
    flat: dict[str, object] = {
        "side": metrics.side,
        "failed_checks": [check.name for check in metrics.failed],
        **{f"{name}_mm3": volume for name, volume in volumes.items()},
        **_structures(metrics),
        **_healthy(metrics),
        **_signature(metrics.signature),
    }
    if metrics.ablation is not None:
        flat |= _ablation(metrics.ablation)
    if metrics.rates is not None:
        curves = plain(metrics.rates.curves)
        flat |= {"rate_curves": {"thresholds": metrics.rates.thresholds, **curves}}
        for structure, interval in metrics.rates.intervals.items():
            flat |= {f"rate_{structure}_low": interval.low}
            flat |= {f"rate_{structure}_high": interval.high}
        flat |= _of_all_foci(metrics.rates)
    return flat


def _of_all_foci(rates: RatesMetrics) -> Numbers:
    """Gather what was taken of all foci together; nothing without any."""
    flat: Numbers = {}
    for one in rates.foci:
        if one.focus == ALL:
            flat |= {
                "rate_foci": one.rate,
                "rate_foci_of_mm3": one.expected_mm3,
                "rate_foci_low": one.interval.low,
                "rate_foci_high": one.interval.high,
            }
    return flat


def _signature(found: SignatureMetrics) -> dict[str, object]:
    """Volumes, definition, and what is certain, ``None`` where the noise is not known."""
    flat: dict[str, object] = {
        "signature_mm3": found.volume_mm3,
        "signature_published_mm3": found.published_volume_mm3,
        "signature_definition": plain(found.definition),
    }
    known = found.calibrated
    return flat | {
        "certain_mm3": known and known.volume_mm3,
        "certain_foci": None if known is None else len(known.foci),
        "certain_p": known and known.smallest_probability,
        "certain_false_share": known and known.false_share,
        "certain_false_share_low": known and known.false_share_low,
        "certain_false_share_high": known and known.false_share_high,
        "certain_level": known and known.level,
        "asymmetry_noise_sd": known and known.noise_sd,
        "asymmetry_healthy_sd": known and known.healthy_sd,
    }


def _structures(metrics: PatientMetrics) -> Numbers:
    known = {name: structure_numbers(metrics, name) for name in (*STRUCTURES, "mesial_temporal")}
    flat: Numbers = {}
    for name in STRUCTURES:
        found = known[name]
        flat |= {
            f"{name}_left_mm3": found.left_mm3,
            f"{name}_right_mm3": found.right_mm3,
            f"{name}_ipsi_mm3": found.ipsi_mm3,
            f"{name}_difference_mm3": found.difference_mm3,
            f"{name}_asymmetry": found.asymmetry,
        }
    flat |= {f"{s}_ai_{m.key}": known[s].index[m.key] for m in MODALITIES for s in STRUCTURES}
    for name, found in known.items():
        flat[f"{name}_ai_pet_regional"] = found.regional
        flat[f"{name}_ai_pet_regional_se"] = found.regional_se
    return flat


def _healthy(metrics: PatientMetrics) -> Numbers:
    """Place every structure with a norm among healthy people, on the side of the focus."""
    flat: Numbers = {}
    for name in dict.fromkeys(one.structure for one in metrics.healthy.structures):
        found = metrics.healthy.of(name, metrics.side)
        if found is not None:
            flat |= {
                f"{name}_healthy_ai": found.asymmetry,
                f"{name}_healthy_z": found.z,
                f"{name}_healthy_percentile": found.percentile,
                f"{name}_healthy_percentile_low": found.low,
                f"{name}_healthy_percentile_high": found.high,
            }
    return flat


def _ablation(found: AblationMetrics) -> dict[str, object]:
    told = {
        "ablation_mm3": found.volume_mm3,
        "dice_raters": found.dice_raters,
        "dice_repeat": found.dice_repeat,
        "ai_pet_scale": found.asymmetry[PET].scale,
    }
    flat: Numbers = {}
    for modality in MODALITIES:
        inside = found.asymmetry.get(modality.key)
        flat[f"ai_{modality.key}"] = None if inside is None else inside.ipsilateral
        flat[f"ai_{modality.key}_z5"] = None if inside is None else inside.ipsilateral_z5
    for preset, ending in (("default", ""), ("published", "_published")):
        for structure, rate in found.rates[preset].items():
            flat[f"rate_{structure}{ending}"] = rate.rate
            flat[f"rate_{structure}{ending}_of_mm3"] = rate.denominator_mm3
    flat |= {f"ablated_share_{structure}": share for structure, share in found.shares.items()}
    return {**told, **flat}
