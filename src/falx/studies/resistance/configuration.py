"""Every choice of the resistance study, with its unit, range and help."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from falx.anatomy.morphometry import GreySettings
from falx.anatomy.settings import SegmentationSettings
from falx.core.settings import option
from falx.maps.group_maps import CORRECTIONS
from falx.studies.resistance.genes import Genes

__all__ = ["PUBLISHED", "ResistanceConfiguration"]

BONFERRONI = ("contrasts", "all", "none")
HEAD_SIZE = ("ancova", "proportional", "residual", "none")


@dataclass(frozen=True)
class Grey(GreySettings):
    """Grey-matter volume and its group maps."""

    head_size: str = option(
        "ancova", help="how intracranial volume enters the model", choices=HEAD_SIZE
    )
    measures: tuple[str, ...] = option((), help="measured covariates of the group maps")
    least_value: float = option(0.1, help="least mean grey matter of a voxel", low=0, high=1)
    least_share: float = option(1.0, help="share of people whose mask holds a voxel", low=0,
                                high=1)  # fmt: skip


@dataclass(frozen=True)
class Bold:
    """The resting run: volumes, slice times, head motion."""

    dropped_volumes: int = option(5, help="first volumes to drop", low=0, high=100)
    least_volumes: int = option(100, help="volumes needed after the drop", low=10, high=10_000)
    slice_timing: bool = option(True, help="shift slices to the middle of the repetition time")
    slice_padding: str = option(
        "odd",
        help="how series are extended for that: odd reflection, or a ramp as SPM and DPABI",
        choices=("odd", "spm"),
    )
    motion_passes: int = option(1, help="align to the first volume; 2: then to the mean", low=1,
                                high=2)  # fmt: skip
    translation_limit_mm: float = option(3.0, help="excluded beyond", unit="mm", low=0, high=100)
    rotation_limit_deg: float = option(3.0, help="excluded beyond", unit="degrees", low=0,
                                       high=180)  # fmt: skip
    fd_threshold_mm: float = option(0.2, help="framewise displacement of a spike", unit="mm",
                                    low=0, high=100)  # fmt: skip
    spike_limit_percent: float = option(10.0, help="excluded beyond", unit="%", low=0, high=100)
    centre: str = option("world", help="point of rotation", choices=("world", "volume"))


@dataclass(frozen=True)
class Reho:
    """Cleaning, regional homogeneity and its group maps."""

    voxel_mm: float = option(3.0, help="voxels of the maps", unit="mm", low=1.5, high=6)
    low_hz: float = option(0.01, help="low edge of the band", unit="Hz", low=0, high=10)
    high_hz: float = option(0.08, help="high edge of the band", unit="Hz", low=0, high=10)
    order: str = option(
        "joint",
        help="regression and filter at once or as published",
        choices=("joint", "sequential"),
    )
    trend_order: int = option(1, help="order of the polynomial trend", low=0, high=5)
    wm_threshold: float = option(0.9, help="least white matter of its signal", low=0, high=1)
    csf_threshold: float = option(0.7, help="least CSF of its signal", low=0, high=1)
    compcor_components: int = option(
        0, help="components of white matter and of CSF; 0: their means", low=0, high=50
    )
    global_signal: bool = option(False, help="remove the mean over the brain too")
    spikes_before: int = option(0, help="volumes removed before each spike", low=0, high=10)
    spikes_after: int = option(0, help="volumes removed after each spike", low=0, high=10)
    least_dof: int = option(15, help="degrees of freedom below which a run is refused", low=1,
                            high=1000)  # fmt: skip
    neighbours: int = option(27, help="voxels of a neighbourhood: 7, 19 or 27", low=7, high=27)
    least_neighbours: int = option(2, help="fewest series in a neighbourhood, its own included",
                                   low=1, high=27)  # fmt: skip
    ties: str = option(
        "none",
        help="equal values: mid-ranks, with corrected denominator, or as C-PAC",
        choices=("none", "corrected", "cpac"),
    )
    edge: str = option(
        "partial",
        help="edge of the brain: the neighbours in it, or full neighbourhoods only",
        choices=("partial", "full"),
    )
    border: str = option(
        "compute",
        help="outermost planes of the volume: computed, or left out as DPABI does",
        choices=("compute", "dpabi-zero"),
    )
    smoothing_fwhm_mm: float = option(6.0, help="smoothing", unit="mm", low=0, high=20)
    standardise_first: bool = option(True, help="standardise before smoothing")
    smooth_within_mask: bool = option(False, help="smooth inside the brain only")
    head_size: str = option(
        "none", help="how intracranial volume enters the model", choices=("none",)
    )
    measures: tuple[str, ...] = option(("mean_fd_mm",), help="measured covariates of the maps")
    least_value: float = option(0.0, help="not used: people's own masks decide", low=0, high=1)
    least_share: float = option(1.0, help="share of people whose mask holds a voxel", low=0,
                                high=1)  # fmt: skip


@dataclass(frozen=True)
class Groups:
    """Who is compared with whom, and how a map is corrected."""

    group_column: str = option("group", help="column of participants.tsv that names the group")
    resistant: str = option("DRE", help="entry of drug-resistant epilepsy; empty: none")
    sensitive: str = option("DSE", help="entry of drug-sensitive epilepsy; empty: none")
    controls: str = option("HC", help="entry of controls; empty: none")
    columns: tuple[str, ...] = option(("age", "sex"), help="covariates of participants.tsv")
    predictor: str = option("", help="column to regress maps on, as duration; empty: none")
    subgroup_column: str = option("", help="column of the kind of epilepsy; empty: no subgroups")
    temporal: str = option("TLE", help="entry of temporal lobe epilepsy; empty: none")
    generalised: str = option("IGE", help="entry of generalised epilepsy; empty: none")
    deviation: str = option(
        "adjusted", help="deviation of a patient from the controls", choices=("adjusted", "plain")
    )
    voxel_p: float = option(0.001, help="cluster-forming probability", low=1e-10, high=0.1)
    cluster_p: float = option(0.05, help="familywise error of clusters", low=1e-10, high=0.5)
    n_permutations: int = option(5000, help="permutations", low=1, high=1_000_000)
    listed_by: str = option("extent", help="correction that lists a cluster", choices=CORRECTIONS)
    bonferroni: str = option(
        "contrasts",
        help="comparisons that the last P allows for: contrasts of a modality, all maps, none",
        choices=BONFERRONI,
    )
    min_region_voxels: int = option(20, help="regions of at most so many voxels are summed",
                                    low=0, high=10_000)  # fmt: skip
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
    groups: Groups = field(default_factory=Groups)
    genes: Genes = field(default_factory=Genes)


PUBLISHED: Mapping[str, Any] = {
    "grey.smoothing_fwhm_mm": 3.0,
    "grey.head_size": "residual",
    "bold.slice_padding": "spm",
    "reho.order": "sequential",
    "reho.border": "dpabi-zero",
    "reho.least_neighbours": 1,
    "reho.measures": (),
    "groups.columns": (),
    "groups.subgroup_column": "epilepsy_type",
    "groups.deviation": "plain",
    "groups.voxel_p": 0.005,
    "groups.listed_by": "fsl",
    "genes.mode": "bmhlab",
}
"""What Liu et al. 2024 did where it differs from the defaults."""
