"""The group maps of the study: what each compares, in which maps and people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = [
    "CONTRASTS",
    "DEVIATIONS",
    "GROUP_MAPS",
    "KINDS",
    "MODALITIES",
    "SECTION",
    "STEPS",
    "Step",
    "What",
]

What = Literal["contrast", "anova", "regression", "deviation", "further"]

MODALITIES = {
    "grey": "Grey-matter volume",
    "reho": "Regional homogeneity",
    "alff": "Amplitude of slow fluctuations (ALFF)",
    "falff": "Share of slow fluctuations (fALFF)",
    "degree": "Degree centrality",
    "vmhc": "Mirror connectivity (VMHC)",
    "seed": "Connectivity of the seed",
}
SECTION = {"grey": "grey", "reho": "reho"}
"""Section of the configuration that holds the model of a modality; else ``measures``."""

KINDS = {"temporal": "temporal lobe epilepsy", "generalised": "generalised epilepsy"}
CONTRASTS = (("resistant", "sensitive"), ("resistant", "controls"), ("sensitive", "controls"))


@dataclass(frozen=True)
class Step:
    """One group map.

    Parameters
    ----------
    modality
        A key of :data:`MODALITIES`.
    what
        A contrast of two groups, any difference of all, a slope, deviations of patients, or
        every contrast with a group that has no role.
    pair
        Roles (or groups without one) that a contrast compares, empty otherwise.
    kind
        ``temporal`` or ``generalised`` where patients are of one kind, otherwise empty.
    """

    modality: str
    what: What = "contrast"
    pair: tuple[str, ...] = ()
    kind: str = ""

    @property
    def name(self) -> str:
        """Name of the stage.

        Examples
        --------
        >>> Step("grey", pair=("resistant", "controls"), kind="temporal").name
        'grey_temporal_resistant_controls'
        >>> Step("reho", "anova").name
        'reho_anova'
        """
        of = (self.kind,) if self.kind else ()
        return "_".join((self.modality, *of, *(self.pair or (self.what,))))

    @property
    def section(self) -> str:
        """Section of the configuration that holds its model."""
        return SECTION.get(self.modality, "measures")

    @property
    def needs(self) -> tuple[str, ...]:
        """What must be switched on for its maps to be there."""
        return ("measures.compute",) if self.section == "measures" else ()

    @property
    def title(self) -> str:
        """What the maps show.

        Examples
        --------
        >>> Step("reho", pair=("resistant", "controls")).title
        'Regional homogeneity'
        >>> Step("grey", pair=("resistant", "controls"), kind="temporal").title
        'Grey-matter volume in temporal lobe epilepsy'
        """
        return MODALITIES[self.modality] + (f" in {KINDS[self.kind]}" if self.kind else "")

    @property
    def family(self) -> tuple[str, ...]:
        """Contrasts of one modality in one kind of people belong together; others stand alone."""
        return (self.modality, self.kind) if self.what == "contrast" else (self.name,)


GROUP_MAPS = (
    *(Step(modality, pair=pair) for modality in MODALITIES for pair in CONTRASTS),
    *(Step(modality, "anova") for modality in MODALITIES),
    *(Step(modality, "regression") for modality in MODALITIES),
    *(
        Step(modality, pair=(group, "controls"), kind=kind)
        for modality in MODALITIES
        for kind in KINDS
        for group in ("resistant", "sensitive")
    ),
)
"""Every comparison, in the order of the page."""

DEVIATIONS = tuple(Step(modality, "deviation") for modality in MODALITIES)

STEPS = {step.name: step for step in (*GROUP_MAPS, *DEVIATIONS)}
"""Every group map by name."""
