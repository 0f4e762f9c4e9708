"""Files in, files out: two maps of one comparison together."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields
from pathlib import Path

from falx.atlas.files import load_group_atlas
from falx.core.files import read_record, read_table, write_json, write_table
from falx.core.records import plain
from falx.core.tables import rows_as
from falx.images.nifti import load, save
from falx.maps.cluster_values import ClusterValue
from falx.maps.group_summary import TSummary
from falx.maps.together.conjunction import (
    ClusterCorrelation,
    SharedRegion,
    conjunction,
    correlate,
    shared,
)

__all__ = ["TogetherFiles", "TogetherSummary", "together_stage"]

P_IS = (
    "the larger of the familywise P of TFCE of both maps (conjunction null), from 0 to 1; NaN "
    "where one map has none"
)


@dataclass(frozen=True)
class TogetherFiles:
    """Files of :func:`together_stage`.

    Parameters
    ----------
    first_p, first_t, first_values, first_summary
        Inputs of the first map: familywise P, t, people's values in clusters, summary.
    second_p, second_t, second_values, second_summary
        Those of the second map of the same comparison.
    atlas, atlas_labels
        Inputs: label volume and its table; the shipped gyri and lobules if absent.
    p_map, regions, correlations, summary
        Outputs: P of both, regions that differ in both, clusters that go together, JSON of
        all that.
    """

    first_p: Path
    first_t: Path
    first_values: Path
    first_summary: Path
    second_p: Path
    second_t: Path
    second_values: Path
    second_summary: Path
    atlas: Path | None
    atlas_labels: Path | None
    p_map: Path
    regions: Path
    correlations: Path
    summary: Path


@dataclass(frozen=True)
class TogetherSummary:
    """What two maps share.

    Parameters
    ----------
    voxels, voxels_both
        Voxels that both maps hold, and those that differ in both at `alpha`.
    """

    contrast: str
    alpha: float
    voxels: int
    voxels_both: int
    regions: tuple[SharedRegion, ...]
    correlations: tuple[ClusterCorrelation, ...]


def together_stage(files: TogetherFiles, *, cluster_p: float) -> None:
    """Say where two maps of one comparison differ together, and which clusters correlate.

    Parameters
    ----------
    cluster_p
        Familywise error that P of both must not exceed.
    """
    both = conjunction(
        (load(files.first_p), load(files.first_t)), (load(files.second_p), load(files.second_t))
    )
    atlas = load_group_atlas(files.atlas, files.atlas_labels)
    first = rows_as(ClusterValue, read_table(files.first_values))
    second = rows_as(ClusterValue, read_table(files.second_values))
    summaries = [
        read_record(TSummary, path) for path in (files.first_summary, files.second_summary)
    ]
    # Two columns are the groups; whatever else the larger design holds was taken out.
    covariates = max(len(summary.columns) for summary in summaries) - 2
    found = TogetherSummary(
        contrast=summaries[0].contrast,
        alpha=cluster_p,
        voxels=int((both.p >= 0).sum()),
        voxels_both=int((both.p <= cluster_p).sum()),
        regions=shared(both, atlas, cluster_p),
        correlations=correlate(first, second, covariates),
    )
    told = {"Description": P_IS, "Units": "probability"}
    save(files.p_map, both.p, both.grid.affine, sidecar=told)
    regions = [astuple(row) for row in found.regions]
    write_table(files.regions, [item.name for item in fields(SharedRegion)], regions)
    pairs = [astuple(row) for row in found.correlations]
    write_table(files.correlations, [item.name for item in fields(ClusterCorrelation)], pairs)
    write_json(files.summary, plain(found))
