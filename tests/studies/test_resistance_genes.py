"""The gene stages of ``falx resistance OUT group``: planned when asked for, and run on maps."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from scipy import spatial

from falx.bids.dataset import Dataset
from falx.cli.main import main
from falx.core.errors import InputError
from falx.core.files import write_json
from falx.core.settings import resolve
from falx.engine.folder import prepare_folder
from falx.engine.plan import plan_group
from falx.engine.provenance import Record, file_record, write_record
from falx.genes.phantom import as_csv, as_gmt, make_gene_phantom
from falx.images.nifti import save
from falx.studies.genes.expression_files import ExpressionFiles, expression_stage
from falx.studies.resistance.genes_links import genes_page
from falx.studies.resistance.study import STUDY
from studies.test_resistance_person_page import GREY, REHO

pytest.importorskip("pydeseq2", reason="the extra rnaseq is not installed")

SHAPE = (20, 44, 34)
AFFINE = np.diag([4.0, 4.0, 4.0, 1.0])
AFFINE[:3, 3] = [-75.0, -104.0, -56.0]
GROUPS = ("DRE",) * 6 + ("HC",) * 6 + ("DSE",) * 6


@pytest.fixture(scope="module")
def phantom():
    return make_gene_phantom(7)


@pytest.fixture(scope="module")
def atlas(phantom, tmp_path_factory):
    """Label volume in which each region is what lies nearest to its centroid, within 6 mm."""
    folder = tmp_path_factory.mktemp("atlas")
    voxels = np.argwhere(np.ones(SHAPE, bool))
    centres = voxels @ AFFINE[:3, :3].T + AFFINE[:3, 3]
    tree = spatial.cKDTree(phantom.table.centroids_mm)
    distance, nearest = tree.query(centres)
    labels = np.where((distance < 6) & (centres[:, 0] < -2), nearest + 1, 0).reshape(SHAPE)
    # The voxel nearest to a centroid is its own, so that no region is empty.
    own = spatial.cKDTree(centres).query(phantom.table.centroids_mm)[1]
    labels[tuple(voxels[own].T)] = np.arange(1, len(own) + 1)
    save(folder / "atlas.nii.gz", labels.astype(np.int16), AFFINE)
    rows = [
        f"{i},{name},L,{block}"
        for i, (name, block) in enumerate(
            zip(phantom.table.regions, phantom.table.blocks, strict=True), start=1
        )
    ]
    (folder / "atlas.csv").write_text("\n".join(["id,label,hemisphere,structure", *rows]) + "\n")
    (folder / "expression.csv").write_text(as_csv(phantom.expression))
    (folder / "sets.gmt").write_text(as_gmt(phantom.library))
    write_blood(folder, phantom)
    (folder / "network.tsv").write_text("".join(f"{a}\t{b}\n" for a, b in phantom.edges))
    return folder, labels


def write_blood(folder, phantom):
    """Counts of two groups in which thirty planted genes are a quarter or four times as many."""
    rng = np.random.default_rng(3)
    others = [gene for gene in phantom.expression.genes if gene not in phantom.planted]
    genes = (*phantom.planted, *others[:140])
    people = [f"{group}{k}" for group in ("DRE", "HC") for k in range(5)]
    fold = np.ones((len(genes), len(people)))
    fold[:15, :5], fold[15:30, :5] = 4.0, 0.25  # as many up as down, or the scale would move
    mean = rng.lognormal(5.0, 1.0, (len(genes), 1)) * fold
    counts = rng.negative_binomial(10, 10 / (10 + mean))
    rows = ["\t".join([gene, *map(str, row)]) for gene, row in zip(genes, counts, strict=True)]
    (folder / "counts.tsv").write_text("\n".join(["\t".join(["gene", *people]), *rows]) + "\n")
    rows = [f"{one}\t{one[:-1]}" for one in people]
    (folder / "samples.tsv").write_text("\n".join(["sample\tgroup", *rows]) + "\n")


@pytest.fixture(scope="module")
def cohort(phantom, atlas, tmp_path_factory):
    """Dataset and output folder with the finished maps of twelve people, six of them changed."""
    folder = tmp_path_factory.mktemp("cohort")
    bids, out = folder / "bids", folder / "out"
    _, labels = atlas
    prepare_folder(out, STUDY.name)
    rng = np.random.default_rng(2)
    change = np.append(0.0, phantom.table.values)[labels]
    lines = ["participant_id\tgroup\tage\tsex"]
    for k, group in enumerate(GROUPS):
        subject = f"{k:02d}"
        anat = bids / f"sub-{subject}" / "anat"
        anat.mkdir(parents=True)
        (anat / f"sub-{subject}_T1w.nii.gz").touch()
        lines.append(f"sub-{subject}\t{group}\t{rng.integers(20, 50)}\t{'FM'[k % 2]}")
        for stage in ("grey", "reho"):
            values = 5.0 + 0.5 * rng.standard_normal(SHAPE) + (group != "HC") * change
            values[labels == 0] = 0.0
            finish(out, subject, stage, values, rng)
    (bids / "dataset_description.json").write_text('{"Name": "maps", "BIDSVersion": "1.10.0"}')
    (bids / "participants.tsv").write_text("\n".join(lines) + "\n")
    return bids, out


def finish(out, subject, stage, values, rng):
    """Leave what a finished stage of the participant level leaves, around a given map."""
    table = STUDY.stage(stage)
    records = {}
    for role in ("smoothed", "volume", "reho", "mask", "metrics"):
        if role not in table.outputs:
            continue
        uri = table.outputs[role].format(subject=subject)
        path = out / uri
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".json":
            measured = {"tiv_ml": 1400.0 + rng.random(), "mean_fd_mm": rng.random() / 10}
            write_json(path, (GREY if stage == "grey" else REHO) | measured)
        else:
            save(path, values > 0 if role == "mask" else values, AFFINE)
        records[role] = file_record(uri, path)
    unit = f"sub-{subject}"
    record = Record(
        study=STUDY.reference, stage=stage, version=table.version, unit=unit, recipe="made",
        params={}, inputs={}, outputs=records, notices=(), started="", seconds=0.0, threads=1,
        peak_mem_mb=1,
    )  # fmt: skip
    write_record(out, record)


def planned(cohort, **values):
    bids, out = cohort
    given = {key.replace("__", "."): str(value) for key, value in values.items()}
    configuration = resolve(STUDY.configuration, {}, given)
    made = plan_group(STUDY, Dataset.open(bids), configuration, out)
    return {job.stage: job for job in made.jobs}


def test_without_expression_no_gene_stage_is_planned(cohort):
    assert not [name for name in planned(cohort) if "genes" in name or name == "expression"]


def test_every_contrast_gets_a_gene_stage_on_its_own_profile(cohort, atlas):
    folder, _ = atlas
    jobs = planned(cohort, genes__expression=folder / "expression.csv",
                   groups__atlas=folder / "atlas.nii.gz")  # fmt: skip
    made = {name for name in jobs if name.startswith("genes_")}
    pairs = ("resistant_controls", "resistant_sensitive", "sensitive_controls", "together")
    assert made == {f"genes_{kind}_{pair}" for kind in ("grey", "reho") for pair in pairs}
    job = jobs["genes_reho_resistant_controls"]
    assert job.inputs["profile"].path == jobs["reho_resistant_controls"].outputs["profile"]
    assert job.inputs["ready_expression"].path == str(folder / "expression.csv")
    assert job.inputs["made_expression"] is None
    assert job.inputs["atlas"].path == str(folder / "atlas.nii.gz")
    assert job.outputs["report"] == genes_page("reho_resistant_controls")
    assert job.params["side"] == "left"


def test_a_download_is_made_into_a_table_first(cohort, tmp_path):
    jobs = planned(cohort, genes__ahba=tmp_path)
    job = jobs["genes_grey_resistant_controls"]
    assert job.inputs["made_expression"].path == jobs["expression"].outputs["expression"]
    assert job.inputs["ready_expression"] is None
    assert jobs["expression"].params == {"ahba": str(tmp_path), "mode": "abagen"}


def group_level(cohort, *more):
    bids, out = cohort
    return main(
        ["resistance", str(bids), str(out), "group", "--serial", "--groups-n-permutations", "9",
         *more]
    )  # fmt: skip


@pytest.fixture(scope="module")
def finished(cohort, atlas):
    folder, _ = atlas
    code = group_level(
        cohort, "--groups-atlas", str(folder / "atlas.nii.gz"),
        "--groups-atlas-labels", str(folder / "atlas.csv"),
        "--genes-expression", str(folder / "expression.csv"),
        "--genes-gene-sets", str(folder / "sets.gmt"),
        "--genes-n-maps", "999", "--genes-n-list", "100", "--genes-list-rule", "length",
        "--genes-network", str(folder / "network.tsv"),
        "--genes-counts", str(folder / "counts.tsv"), "--genes-factor", "group",
        "--genes-samples", str(folder / "samples.tsv"), "--genes-contrast", "DRE", "HC",
    )  # fmt: skip
    assert code == 0
    return cohort[1]


def test_maps_of_groups_lead_to_the_planted_genes(finished, phantom):
    for modality in ("grey", "reho"):
        path = finished / "group" / f"desc-{modality}resistantcontrols_genes.tsv"
        with path.open(newline="") as stream:
            rows = list(csv.DictReader(stream, delimiter="\t"))
        ranked = sorted(rows, key=lambda row: -float(row["z"]))[: len(phantom.planted)]
        found = {row["gene"] for row in ranked} & set(phantom.planted)
        assert len(found) > 0.8 * len(phantom.planted)
    terms = (finished / "group/desc-greyresistantcontrols_terms.tsv").read_text().splitlines()
    assert "planted programme" in terms[1]
    left = (finished / "group/desc-greyresistantcontrols_leftout.tsv").read_text().splitlines()
    assert left[0] == "region\treason"
    components = json.loads(
        (finished / "group/desc-greyresistantcontrols_components.json").read_text()
    )
    assert components["p_component"][0] < 0.05


def test_contrasts_are_joined_on_a_page_of_their_own(finished):
    page = (finished / genes_page("grey_together")).read_text()
    for heading in ("Maps and scores", "Terms over contrasts", "Network", "Terms of blood genes",
                    "Overlap with blood", "ENIGMA-Epilepsy"):  # fmt: skip
        assert f"{heading}</h2>" in page
    for title in ("DRE v DSE", "DRE v HC", "DSE v HC"):
        assert title in page
    path = finished / "group/desc-greytogether_terms.tsv"
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    first = {row["term"]: row for row in rows}["planted programme"]
    # Planted in both groups of patients, and in neither against the other.
    assert set(first) >= {"z DRE v HC", "z DSE v HC"}
    assert not any("DRE v DSE" in name for name in first)
    assert float(first["p_every"]) < 0.05
    assert float(first["q_together"]) < 0.1
    assert min(float(row["p_together"]) for row in rows) >= 1 / 1000


def test_the_figures_of_the_paper_are_left_for_it(finished):
    names = {path.name for path in (finished / "figures").iterdir()}
    numbers = [(1, "grey"), (2, "reho")]
    numbers += [(number, kind) for number in (3, 4, 5) for kind in ("grey", "reho")]
    assert names == {f"figure-{n}_{kind}.{end}" for n, kind in numbers for end in ("svg", "png")}
    for name in names:
        content = (finished / "figures" / name).read_bytes()
        assert content.startswith(b"\x89PNG" if name.endswith("png") else b"<?xml")


def test_the_group_page_links_the_gene_pages(finished):
    page = (finished / "group.html").read_text()
    for modality in ("grey", "reho"):
        name = genes_page(f"{modality}_resistant_controls")
        assert f'<a href="{name}">' in page
        assert "Genes behind a map" in (finished / name).read_text()


def test_the_group_page_says_how_to_get_genes(cohort, capsys):
    assert group_level(cohort) == 0
    page = (cohort[1] / "group.html").read_text()
    assert "--genes-expression FILE" in page
    told = page.partition("Gene expression was not given")[2].partition("</section>")[0]
    assert told and "href=" not in told


def test_a_download_needs_its_whole_path(tmp_path):
    with pytest.raises(InputError, match="must be a whole path"):
        expression_stage(
            ExpressionFiles(None, None, None, None, tmp_path / "e.csv", tmp_path / "l.tsv"),
            ahba="ahba", mode="abagen",
        )  # fmt: skip


def test_blood_counts_of_the_study_are_compared_and_met_by_every_contrast(finished, phantom):
    with (finished / "group/desc-blood_degs.tsv").open(newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    found = {row["gene"] for row in rows if row["corrected"] == "true"}
    assert len(found & set(phantom.planted[:30])) >= 28
    assert len(found - set(phantom.planted[:30])) <= 5
    assert "Differential expression</h2>" in (finished / "blood.html").read_text()
    page = (finished / genes_page("grey_resistant_controls")).read_text()
    assert "Overlap with blood</h2>" in page


def test_the_study_writes_its_methods_text(finished):
    text = (finished / "methods.md").read_text()
    assert "[@love2014]" in text
    assert "Blood counts of DRE, HC (column group)" in text
    assert "the 100 (Falx's default: 1500) genes of largest bootstrap Z" in text
    assert str(finished.parent) not in text
    assert "@article{love2014," in (finished / "methods.bib").read_text()
    assert 'href="methods.html"' in (finished / "group.html").read_text()
