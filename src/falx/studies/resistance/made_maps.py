"""Figures 1 to 5 of Liu 2024 on made-up maps: the stages of the group level, without images.

Everything is drawn from a generator, as in :mod:`falx.genes.phantom`; nothing of it says anything
about biology.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage, spatial

from falx.core.errors import check_extra_library, collect_notices
from falx.core.files import write_table, write_text
from falx.data.priors import template
from falx.genes.association_study import Settings
from falx.genes.blood.differential import Comparison
from falx.genes.files import Knowledge, Surface
from falx.genes.phantom import GenePhantom, make_gene_phantom
from falx.images.nifti import save
from falx.images.resample import sample as sample_at
from falx.maps.files import Pair, TFiles, group_map_stage
from falx.maps.settings import InferenceOptions, Listing, SampleSettings
from falx.studies.genes.demo import write_phantom
from falx.studies.genes.lists_files import BloodFiles, blood_stage
from falx.studies.genes.together_files import TogetherFiles, together_stage
from falx.studies.genes.written import write_methods
from falx.studies.methods.study_text import call_text
from falx.studies.resistance.configuration import Roles
from falx.studies.resistance.files import MapFigureFiles, map_figure_stage
from falx.studies.resistance.steps import CONTRASTS, MODALITIES, SECTION

__all__ = ["draw_figures"]

SHAPE = (37, 45, 36)
AFFINE = np.array([[4.0, 0, 0, -72], [0, 4, 0, -104], [0, 0, 4, -68], [0, 0, 0, 1]])
PEOPLE = {"DRE": 7, "DSE": 7, "HC": 7}
EFFECT = {"DRE": 1.0, "DSE": 0.5, "HC": 0.0}
"""Planted effect of a group, times the map of the phantom."""
PERMUTATIONS = 99
REACH_MM = 14.0
CHANGED, IN_BLOOD = 30, 500
"""Planted genes that are changed in blood as well, of so many that are counted there."""

Floats = npt.NDArray[np.float64]


def draw_figures(out: Path, *, seed: int, threads: int = 1) -> list[Path]:
    """Make maps of people and blood counts, study them, and return the pictures."""
    check_extra_library("pydeseq2", extra="rnaseq", does="genes of the blood are compared")
    rng = np.random.default_rng(seed)
    phantom = make_gene_phantom(seed)
    made, figures = out / "inputs", out / "figures"
    labels = _write_atlas(made, phantom)
    write_phantom(made, phantom)
    rows = [(f"sub-{group}{k}", group) for group, n in PEOPLE.items() for k in range(n)]
    write_table(made / "participants.tsv", ("participant_id", "group"), rows)
    profiles = {modality: _maps(out, modality, labels, phantom, rng) for modality in SECTION}
    degs = _blood(out, phantom, rng, threads)
    drawn = [
        figures / f"figure-{number}_{modality}.{kind}"
        for number, modality in enumerate(SECTION, start=1)
        for kind in ("svg", "png")
    ]
    knowledge = Knowledge(gene_sets=(made / "sets.gmt",), network=(made / "network.tsv",))
    settings = Settings(side="left", seed=seed)
    titles = {"_".join(pair): _title(pair) for pair in CONTRASTS}
    for modality, profile in profiles.items():
        pictures = {
            f"{what}_{kind}": figures / f"figure-{number}_{modality}.{kind}"
            for what, number in (("scores", 3), ("blood", 4), ("terms", 5))
            for kind in ("svg", "png")
        }
        files = TogetherFiles(
            profile=profile, atlas=made / "atlas.nii.gz", atlas_labels=made / "atlas.csv",
            ready_expression=made / "expression.csv", made_expression=None, degs=degs,
            made_degs=None, page=out / f"{modality}_together.html",
            terms=out / f"{modality}_together_terms.tsv", **pictures,
        )  # fmt: skip
        with collect_notices():
            together_stage(
                files, knowledge, Surface(), settings,
                titles=titles, joined=[n for n in profile if n.endswith("controls")],
                name=MODALITIES[modality],
            )  # fmt: skip
        drawn += pictures.values()
    label = " and ".join(MODALITIES[modality] for modality in profiles)
    write_methods(call_text("role_together_stage", [settings, knowledge], label=label), out)
    return drawn


def _entry(role: str) -> str:
    return str(getattr(Roles(), role))


def _title(pair: tuple[str, ...]) -> str:
    return " v ".join(map(_entry, pair))


def _write_atlas(made: Path, phantom: GenePhantom) -> npt.NDArray[np.int16]:
    """Write a volume whose regions are what lies nearest to their centroids, and its table."""
    centres = np.argwhere(np.ones(SHAPE, bool)) @ AFFINE[:3, :3].T + AFFINE[:3, 3]
    distance, nearest = spatial.cKDTree(phantom.table.centroids_mm).query(centres)
    brain = sample_at(template("brain"), centres, how="nearest") > 0.5
    inside = brain & (distance < REACH_MM) & (centres[:, 0] < -2)
    labels = np.where(inside, nearest + 1, 0).reshape(SHAPE).astype(np.int16)
    own = spatial.cKDTree(centres).query(phantom.table.centroids_mm)[1]
    labels.reshape(-1)[own] = np.arange(1, len(own) + 1)  # no region is empty
    made.mkdir(parents=True, exist_ok=True)
    save(made / "atlas.nii.gz", labels, AFFINE)
    rows = [
        f"{i},{name},L,{block}"
        for i, (name, block) in enumerate(
            zip(phantom.table.regions, phantom.table.blocks, strict=True), start=1
        )
    ]
    write_text(made / "atlas.csv", "\n".join(["id,label,hemisphere,structure", *rows]) + "\n")
    return labels


def _maps(
    out: Path, modality: str, labels: npt.NDArray[np.int16], phantom: GenePhantom,
    rng: np.random.Generator,
) -> dict[str, Path]:  # fmt: skip
    """Make maps of people with planted effects, compare the groups, and draw their t."""
    change = np.append(0.0, phantom.table.values)[labels]
    maps: dict[str, Path] = {}
    for group, n in PEOPLE.items():
        for k in range(n):
            noise = ndimage.gaussian_filter(rng.standard_normal(SHAPE), 1.0)
            values = 5.0 + noise / noise.std() + EFFECT[group] * change
            subject = f"{group}{k}"
            maps[subject] = out / "maps" / f"{modality}_{subject}.nii.gz"
            maps[subject].parent.mkdir(parents=True, exist_ok=True)
            save(maps[subject], np.where(labels > 0, values, 0.0).astype(np.float32), AFFINE)
    mask = out / "maps" / "mask.nii.gz"
    save(mask, labels > 0, AFFINE)
    compared = {
        f"{modality}_{'_'.join(pair)}": _compare(out, maps, mask, pair, modality)
        for pair in CONTRASTS
    }
    picture = out / "figures" / f"figure-{1 + list(SECTION).index(modality)}_{modality}"
    map_figure_stage(
        MapFigureFiles(
            {name: files.t_map for name, files in compared.items()},
            {name: files.summary for name, files in compared.items()},
            picture.with_suffix(".svg"), picture.with_suffix(".png"),
        ),
        Roles(),
    )  # fmt: skip
    return {name.removeprefix(f"{modality}_"): files.profile for name, files in compared.items()}


def _compare(
    out: Path, maps: Mapping[str, Path], mask: Path, pair: tuple[str, ...], modality: str
) -> TFiles:
    """Compare two groups of made-up maps."""
    stem = out / "maps" / f"{modality}_{'_'.join(pair)}"
    ends = {
        "table": "clusters.tsv", "table_latex": "clusters.tex", "table_html": "clusters.html",
        "summary": "summary.json", "t_map": "tmap.nii.gz", "z_map": "zmap.nii.gz",
        "p_tfce_map": "pmap.nii.gz", "profile": "profile.tsv", "values": "values.tsv",
        "person_maps": "people.npz",
    }  # fmt: skip
    files = TFiles(
        maps=maps, masks=mask, metrics={}, participants=out / "inputs" / "participants.tsv",
        atlas=out / "inputs" / "atlas.nii.gz", atlas_labels=out / "inputs" / "atlas.csv",
        **{name: stem.with_name(f"{stem.name}_{end}") for name, end in ends.items()},
    )  # fmt: skip
    first, second = map(_entry, pair)
    with collect_notices():
        group_map_stage(
            files, SampleSettings(columns=(), head_size="none"),
            InferenceOptions(n_permutations=PERMUTATIONS, variance="equal"), Listing(),
            Pair(first, second), title=MODALITIES[modality], seed=1,
        )  # fmt: skip
    return files


def _blood(out: Path, phantom: GenePhantom, rng: np.random.Generator, threads: int) -> Path:
    """Make counts of blood in which some planted genes are changed, and compare them."""
    others = [gene for gene in phantom.expression.genes if gene not in phantom.planted]
    genes = (*phantom.planted, *others[: IN_BLOOD - len(phantom.planted)])
    people = [f"{group}{k}" for group in ("DRE", "HC") for k in range(PEOPLE[group])]
    fold = np.ones((len(genes), len(people)))
    changed = np.isin(np.array(genes), phantom.planted[:CHANGED])
    patients = np.array([name.startswith("DRE") for name in people])
    fold[np.ix_(changed, patients)] = 4.0
    mean = rng.lognormal(5.0, 1.0, (len(genes), 1)) * fold
    counts = rng.negative_binomial(10, 10 / (10 + mean))
    rows = [(gene, *map(int, row)) for gene, row in zip(genes, counts, strict=True)]
    made = out / "inputs"
    write_table(made / "counts.tsv", ("gene", *people), rows)
    write_table(made / "samples.tsv", ("sample", "group"), [(p, p[:-1]) for p in people])
    blood = BloodFiles(
        made / "counts.tsv", made / "samples.tsv", out / "degs.tsv", out / "blood.html"
    )
    blood_stage(blood, Comparison(factor="group", contrast=("DRE", "HC")), threads=threads)
    return blood.degs
