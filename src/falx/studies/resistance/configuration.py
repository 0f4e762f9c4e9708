"""Every choice of the resistance study, with its unit, range and help."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from falx.anatomy.morphometry import GreySettings
from falx.anatomy.settings import SegmentationSettings
from falx.bold.settings import MeasureSettings, MotionSettings, RehoSettings
from falx.core.settings import option, with_default
from falx.maps.settings import InferenceOptions, Listing, MapModel, Selection
from falx.studies.resistance.genes import Genes

__all__ = ["BONFERRONI", "PUBLISHED", "Kinds", "ResistanceConfiguration", "Roles"]

BONFERRONI = ("contrasts", "all", "none")


@dataclass(frozen=True)
class Grey(MapModel, GreySettings):
    """Grey-matter volume and its group maps."""

    prepared: bool = option(
        True, help="take the grey matter that CAT12 has modulated, where there is one"
    )


@dataclass(frozen=True)
class Bold(MotionSettings):
    """The resting run, and who has preprocessed it."""

    prepared: bool = option(
        True, help="take the run that fMRIPrep has preprocessed, where there is one"
    )


@dataclass(frozen=True)
class Reho(MapModel, RehoSettings):
    """Cleaning, regional homogeneity and its group maps."""

    head_size: str = with_default(MapModel, "head_size", "none", choices=("none",))
    measures: tuple[str, ...] = with_default(MapModel, "measures", ("mean_fd_mm",))
    least_value: float = with_default(
        MapModel, "least_value", 0.0, help="not used: people's own masks decide"
    )

    def __post_init__(self) -> None:
        MapModel.__post_init__(self)
        RehoSettings.__post_init__(self)


@dataclass(frozen=True)
class Further(MapModel, MeasureSettings):
    """Amplitudes and connectivities of the cleaned run, and their group maps."""

    compute: bool = option(
        False, help="measure ALFF, fALFF, degree, mirror and seed connectivity too"
    )
    head_size: str = with_default(MapModel, "head_size", "none", choices=("none",))
    measures: tuple[str, ...] = with_default(MapModel, "measures", ("mean_fd_mm",))
    least_value: float = with_default(
        MapModel, "least_value", 0.0, help="not used: people's own masks decide"
    )

    def __post_init__(self) -> None:
        MapModel.__post_init__(self)
        MeasureSettings.__post_init__(self)


@dataclass(frozen=True)
class Roles:
    """Which entries of the column of groups play which part in the study."""

    resistant: str = option("DRE", help="entry of drug-resistant epilepsy; empty: none")
    sensitive: str = option("DSE", help="entry of drug-sensitive epilepsy; empty: none")
    controls: str = option("HC", help="entry of controls; empty: none")
    others: tuple[str, ...] = option(
        (), help="entries of further groups, any number, each compared with every other"
    )

    @property
    def patients(self) -> tuple[str, ...]:
        """Groups of patients that are named."""
        return tuple(name for name in (self.resistant, self.sensitive) if name)

    @property
    def named(self) -> tuple[str, ...]:
        """Groups that are named, controls last."""
        return (*self.patients, *self.others, *filter(None, [self.controls]))

    @property
    def further_pairs(self) -> tuple[tuple[str, str], ...]:
        """Pairs in which a further group takes part."""
        pairs = itertools.combinations(self.named, 2)
        return tuple(pair for pair in pairs if set(pair) & set(self.others))


@dataclass(frozen=True)
class Kinds:
    """Which entries of a column tell the kinds of epilepsy."""

    subgroup_column: str = option("", help="column of the kind of epilepsy; empty: no subgroups")
    temporal: str = option("TLE", help="entry of temporal lobe epilepsy; empty: none")
    generalised: str = option("IGE", help="entry of generalised epilepsy; empty: none")


@dataclass(frozen=True)
class Groups(Listing, InferenceOptions, Kinds, Roles, Selection):
    """Who is compared with whom, and how a map is corrected."""

    predictor: str = option("", help="column to regress maps on, as duration; empty: none")
    deviation: str = option(
        "adjusted", help="deviation of a patient from the controls", choices=("adjusted", "plain")
    )
    bonferroni: str = option(
        "contrasts",
        help="comparisons that the last P allows for: contrasts of a modality, all maps, none",
        choices=BONFERRONI,
    )
    decisions: Path | None = option(
        None, help="table of who is left out by hand, as quality.html saves it"
    )
    grey_mask: Path | None = option(None, help="analysis mask of grey-matter maps")
    atlas: Path | None = option(None, help="label volume of the tables; the shipped one if absent")
    atlas_labels: Path | None = option(None, help="names of its labels")
    seed: int = option(1, help="of the permutations", low=0, high=2**31)


@dataclass(frozen=True)
class ResistanceConfiguration:
    """Every choice of the study."""

    anatomy: SegmentationSettings = field(default_factory=SegmentationSettings)
    grey: Grey = field(default_factory=Grey)
    bold: Bold = field(default_factory=Bold)
    reho: Reho = field(default_factory=Reho)
    measures: Further = field(default_factory=Further)
    groups: Groups = field(default_factory=Groups)
    genes: Genes = field(default_factory=Genes)


PUBLISHED: Mapping[str, object] = {
    "grey.smoothing_fwhm_mm": 3.0,
    "grey.head_size": "residual",
    "bold.slice_padding": "spm",
    "reho.order": "sequential",
    "reho.border": "dpabi-zero",
    "reho.least_neighbours": 1,
    "reho.standardise_first": False,
    "reho.measures": (),
    "groups.columns": (),
    "groups.subgroup_column": "epilepsy_type",
    "groups.deviation": "plain",
    "groups.voxel_p": 0.005,
    "groups.variance": "equal",
    "groups.listed_by": "fsl",
    "genes.mode": "bmhlab",
    "genes.null": "cortex=spin,subcortex=moran",
    "genes.restore": False,
    "genes.list_rule": "length",
    "genes.require_fdr": True,
}
"""What Liu et al. 2024 did where it differs from the defaults.

ReHo is smoothed, then standardised, as the text has it; DPABI, which was used, does the other
order. One departure is left: a spin is undefined off the cortex, so that subcortical regions have
Moran maps, where the paper does not say what it did.
"""
