"""Files in, files out for group maps of the resistance study: roles, and groups without one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from falx.core.errors import FalxError, InputError
from falx.core.files import (
    read_table,
    write_table,
)
from falx.core.tables import rows_as
from falx.maps.deviations.files import Cases, DeviationFiles, DeviationTest, deviation_stage
from falx.maps.files import (
    FFiles,
    Pair,
    TFiles,
    anova_stage,
    group_map_stage,
    regression_map_stage,
)
from falx.maps.people.files import SampleFiles
from falx.maps.settings import InferenceOptions, Listing, SampleSettings
from falx.studies.compare.questions import Question, distinct
from falx.studies.resistance.configuration import Kinds, Roles
from falx.studies.resistance.steps import MODALITIES

__all__ = [
    "PAIRS",
    "FurtherFiles",
    "FurtherPair",
    "PairsFiles",
    "pairs_stage",
    "role_anova_stage",
    "role_deviation_stage",
    "role_further_stage",
    "role_regression_stage",
]


def role_regression_stage(
    files: TFiles,
    sample: SampleSettings,
    options: InferenceOptions,
    listing: Listing,
    roles: Roles,
    *,
    predictor: str,
    title: str,
    seed: int,
    threads: int = 1,
) -> None:
    """Regress maps on a column within the groups that are named."""
    regression_map_stage(
        files,
        sample,
        options,
        listing,
        predictor=predictor,
        groups=roles.named,
        title=title,
        seed=seed,
        threads=threads,
    )


@dataclass(frozen=True)
class FurtherFiles(SampleFiles):
    """Files of the comparisons in which a further group takes part.

    Parameters
    ----------
    atlas, atlas_labels
        Inputs, as of :class:`falx.maps.files.MapFiles`.
    index
        Output: pairs, and why one could not be compared; the maps and tables of each lie
        beside it.
    """

    atlas: Path | None
    atlas_labels: Path | None
    index: Path

    def of(self, question: Question) -> TFiles:
        """Files of one pair: the maps and tables that a contrast of roles has."""
        common = {item.name: getattr(self, item.name) for item in fields(self)}
        stem = self.index.name.removesuffix(INDEX_END)
        label = question.name.replace("_", "")
        beside = {
            role: common["index"].with_name(f"{stem}{label}_{end}") for role, end in OWN.items()
        }
        return TFiles(**{k: v for k, v in common.items() if k != "index"}, **beside)


OWN = {
    "t_map": "tmap.nii.gz", "z_map": "zmap.nii.gz", "p_tfce_map": "pmap.nii.gz",
    "profile": "profile.tsv", "values": "values.tsv", "table": "clusters.tsv",
    "table_latex": "clusters.tex", "table_html": "clusters.html", "summary": "summary.json",
    "person_maps": "people.npz",
}  # fmt: skip
"""Output of a pair to the end of its name."""

INDEX_END = "_maps.tsv"
PAIRS = "further_pairs"
"""Step that fails where a pair did."""


@dataclass(frozen=True)
class FurtherPair:
    """A pair with a further group; `failed` says why it could not be compared."""

    first: str
    second: str
    failed: str | None = None


def role_further_stage(
    files: FurtherFiles,
    sample: SampleSettings,
    options: InferenceOptions,
    listing: Listing,
    roles: Roles,
    *,
    title: str,
    seed: int,
    threads: int = 1,
) -> None:
    """Compare every pair of groups in which one without a role takes part.

    Raises
    ------
    InputError
        If two pairs would have the same file names, or none could be compared.
    """
    distinct([Question(pair) for pair in roles.further_pairs])
    pairs = []
    for first, second in roles.further_pairs:
        own, failed = files.of(Question((first, second))), None
        try:
            pair = Pair(first, second)
            group_map_stage(
                own, sample, options, listing, pair, title=title, seed=seed, threads=threads
            )
        except FalxError as error:
            failed = str(error)
        pairs.append(FurtherPair(first, second, failed))
    if all(pair.failed for pair in pairs):
        raise InputError(
            "no pair with a further group could be compared",
            found="; ".join(dict.fromkeys(str(pair.failed) for pair in pairs)),
            do="correct --groups-others, or what the sentence names",
        )
    header = [item.name for item in fields(FurtherPair)]
    write_table(files.index, header, [astuple(pair) for pair in pairs])


@dataclass(frozen=True)
class PairsFiles:
    """Files of :func:`pairs_stage`.

    Parameters
    ----------
    further
        Inputs: modality to the index of pairs with a further group.
    table
        Output: every pair that was compared, by modality (TSV).
    """

    further: Mapping[str, Path]
    table: Path


def pairs_stage(files: PairsFiles) -> None:
    """List the pairs of all modalities, so that one that failed is a step that failed.

    Raises
    ------
    InputError
        If a pair could not be compared; the page of the group shows the others.
    """
    rows = [
        (modality, pair)
        for modality, index in files.further.items()
        for pair in rows_as(FurtherPair, read_table(index))
    ]
    failed = [
        f"{MODALITIES[modality]}, {pair.first} - {pair.second}: {pair.failed}"
        for modality, pair in rows
        if pair.failed
    ]
    if failed:
        raise InputError(
            "pairs of groups could not be compared",
            found="; ".join(failed),
            do="correct what the sentence names, or leave the group out of --groups-others",
        )
    compared = [(modality, pair.first, pair.second) for modality, pair in rows]
    write_table(files.table, ("modality", "first", "second"), compared)


def role_anova_stage(
    files: FFiles,
    sample: SampleSettings,
    options: InferenceOptions,
    roles: Roles,
    *,
    title: str,
    min_region_voxels: int,
    seed: int,
    threads: int = 1,
) -> None:
    """Ask whether any of the groups that are named differs."""
    anova_stage(
        files,
        sample,
        options,
        groups=roles.named,
        title=title,
        min_region_voxels=min_region_voxels,
        seed=seed,
        threads=threads,
    )


def role_deviation_stage(
    files: DeviationFiles,
    sample: SampleSettings,
    roles: Roles,
    kinds: Kinds,
    asked: DeviationTest,
    *,
    seed: int,
    threads: int = 1,
) -> None:
    """Compare every patient with the controls, and the two groups of patients in that."""
    entries = (kinds.temporal, kinds.generalised)
    cases = Cases(roles.patients, roles.controls, kinds.subgroup_column, entries)
    deviation_stage(files, sample, cases, asked, seed=seed, threads=threads)
