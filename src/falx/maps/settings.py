"""Choices of the group maps: who is compared, by which model, and how a map is corrected."""

from __future__ import annotations

from dataclasses import dataclass

from falx.core.errors import OptionError
from falx.core.settings import check_settings, option

__all__ = [
    "CORRECTIONS",
    "HARMONISE",
    "HEAD_SIZE",
    "VARIANCE",
    "InferenceOptions",
    "Listing",
    "MapModel",
    "SampleSettings",
    "Selection",
]

CORRECTIONS = ("fsl", "spm", "extent", "mass")
"""Corrections of clusters, by the name of their probability."""

HEAD_SIZE = ("ancova", "proportional", "residual", "none")

HARMONISE = ("none", "combat", "covbat")
"""What is done to maps of several sites before they are compared."""

VARIANCE = ("groups", "equal")
TAILS = ("counted", "pareto")
"""A variance for every group, with signs flipped, or one for all, with people permuted."""


@dataclass(frozen=True)
class Selection:
    """Who is in which group, and what of the participants table the model holds."""

    group_column: str = option("group", help="column of participants.tsv that names the group")
    columns: tuple[str, ...] = option(
        ("age", "sex"), help="covariates of participants.tsv: numbers, or words as factors"
    )
    blocks: str = option(
        "", help="column of people who are not independent (family, matched pair); empty: none"
    )
    site: str = option(
        "", help="column of sites or scanners: a covariate, and what maps are harmonised over"
    )
    harmonise: str = option(
        "none",
        help="take the mean and spread of each site from the maps (combat), and how voxels go "
        "together in it (covbat)",
        choices=HARMONISE,
    )

    def __post_init__(self) -> None:
        check_settings(self)
        if self.harmonise != "none" and not self.site:
            raise OptionError(
                "maps are harmonised over sites, and no column of sites is named",
                where="harmonise",
                found=self.harmonise,
                do="name the column (groups.site)",
            )


@dataclass(frozen=True)
class MapModel:
    """What the model of one kind of map holds, and at which voxels.

    Notes
    -----
    A voxel that somebody's mask lacks leaves the analysis. A least share of people below 1
    would keep it, but what those people lack has no value there: as a zero it would count as
    measured, and without them every voxel would have degrees of freedom of its own, which
    neither one permutation of all people nor random fields allow for. It is therefore refused.
    """

    head_size: str = option(
        "ancova", help="how intracranial volume enters the model", choices=HEAD_SIZE
    )
    measures: tuple[str, ...] = option((), help="measured covariates of the group maps")
    least_value: float = option(0.1, help="least mean grey matter of a voxel", low=0, high=1)
    least_share: float = option(
        1.0, help="share of people whose mask holds a voxel; only 1 is valid", low=0, high=1
    )

    def __post_init__(self) -> None:
        check_settings(self)
        if self.least_share < 1:
            raise OptionError(
                "a voxel must lie in the masks of all people: where one lacks it there is no "
                "value, and without that person the voxel has other degrees of freedom than "
                "the rest of the map",
                where="least_share",
                found=self.least_share,
                do="leave it at 1, and leave out people whose mask is small",
            )


@dataclass(frozen=True)
class SampleSettings(MapModel, Selection):
    """Whose maps are read, by which model: :class:`Selection` and :class:`MapModel`."""

    def __post_init__(self) -> None:
        Selection.__post_init__(self)
        MapModel.__post_init__(self)


@dataclass(frozen=True)
class InferenceOptions:
    """How a map is thresholded and corrected.

    Parameters
    ----------
    voxel_p
        Cluster-forming probability.
    cluster_p
        Familywise error of the cluster tests.
    two_tailed
        Both signs share the errors.
    n_permutations
        Permutations, the identity included; 1 switches permutation tests off.
    connectivity
        6, 18 or 26.
    enhance
        Whether TFCE is computed.
    variance
        ``groups``: Welch's t, and the signs of residuals are flipped; ``equal``: Student's t,
        and people are permuted.
    tail
        ``pareto``: P beyond the upper quarter of the maxima comes from a generalised Pareto
        distribution fitted to it, so that some hundred permutations resolve small P.
    """

    voxel_p: float = option(0.001, help="cluster-forming probability", low=1e-10, high=0.1)
    cluster_p: float = option(0.05, help="familywise error of clusters", low=1e-10, high=0.5)
    two_tailed: bool = True
    n_permutations: int = option(5000, help="permutations", low=1, high=1_000_000)
    connectivity: int = 26
    enhance: bool = True
    variance: str = option(
        "groups",
        help="groups: a variance each, signs flipped; equal: one variance, people permuted",
        choices=VARIANCE,
    )
    tail: str = option(
        "counted",
        help="far tail of P: counted, or a Pareto distribution fitted to few permutations",
        choices=TAILS,
    )

    def __post_init__(self) -> None:
        check_settings(self)

    @classmethod
    def as_published(cls, n_permutations: int = 5000) -> InferenceOptions:
        """Return the setting of Liu et al. 2024: two-tailed, voxel P < 0.005, equal variance."""
        return cls(voxel_p=0.005, n_permutations=n_permutations, variance="equal")


@dataclass(frozen=True)
class Listing:
    """Which clusters and regions a table lists."""

    listed_by: str = option("extent", help="correction that lists a cluster", choices=CORRECTIONS)
    min_region_voxels: int = option(
        20, help="regions of at most so many voxels are summed", low=0, high=10_000
    )

    def __post_init__(self) -> None:
        check_settings(self)
