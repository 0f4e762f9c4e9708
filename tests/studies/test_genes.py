"""The gene studies end to end: a planted programme is found, and the commands work."""

from __future__ import annotations

import json

import numpy as np
import pytest

from falx.cli.main import main
from falx.core.errors import InputError
from falx.core.files import read_table
from falx.genes.association_study import GeneLists, Settings, gene_lists, study_map, study_sets
from falx.genes.files import Knowledge, Known, Surface, source_text
from falx.genes.network.interactions import make_network
from falx.genes.nulls.generate import null_plan
from falx.genes.phantom import make_gene_phantom
from falx.genes.sets.library import Origin
from falx.genes.tables import Expression, join
from falx.images.nifti import save
from falx.studies.genes import demo as demo_genes
from falx.studies.genes.blood_overlap import BloodGenes
from falx.studies.genes.enigma import enigma_table
from falx.studies.genes.files import GenesFiles, genes_stage
from falx.studies.genes.lists import read_gene_list
from falx.studies.genes.page import list_sentence
from falx.studies.genes.study import relate
from falx.studies.resistance.configuration import PUBLISHED

FEW = Settings(n_maps=999, n_draws=500, list_rule="length", n_list=100, beside=("random",))


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    # With 51 sets the least q that n maps can give is 51 / (n + 1).
    return demo_genes.run(folder, n_maps=1999), folder


def test_planted_programme_is_found(demo):
    found, _ = demo
    assert found.median_rank <= 35  # 30.5 is perfect for 60 genes
    assert found.in_top >= 0.9
    assert found.false_positives <= 0.10
    assert found.theme.startswith("planted programme")
    assert found.ensemble_q < 0.05


def test_demo_leaves_what_the_report_shows(demo):
    found, folder = demo
    names = {path.name for path in folder.iterdir()}
    assert {
        "genes.tsv",
        "components.json",
        "report.html",
        "network.graphml",
        "truth.json",
    } <= names
    page = found.report.read_text(encoding="utf-8")
    for heading in ("Map", "Component", "Genes", "Terms: phantom sets", "Themes: phantom sets"):
        assert heading in page
    assert "moran" in page
    assert json.loads((folder / "truth.json").read_text())["n_planted"] == 60


def test_command_repeats_the_demo_from_its_files(demo, tmp_path, capsys):
    _, folder = demo
    inputs = folder / "inputs"
    code = main(
        [
            "genes", str(inputs / "map.tsv"), "--out", str(tmp_path),
            "--expression", str(inputs / "expression.csv"),
            "--gene-sets", str(inputs / "sets.gmt"), "--network", str(inputs / "network.tsv"),
            "--n-maps", "1999", "--n-list", "100", "--seed", "7",
        ]
    )  # fmt: skip
    assert code == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(tmp_path / "report.html")
    first, second = (json.loads((f / "components.json").read_text()) for f in (folder, tmp_path))
    assert second["explained_variance"] == pytest.approx(first["explained_variance"], rel=1e-6)
    assert second["p_component"] == first["p_component"]


def test_map_and_blood_stand_side_by_side(demo, tmp_path, capsys):
    """Half the planted genes rise in blood, beside as many that are not of the programme."""
    _, folder = demo
    planted = json.loads((folder / "truth.json").read_text())["planted"]
    rows = (folder / "genes.tsv").read_text().splitlines()[1:]
    others = [g for g in (row.split("\t")[0] for row in rows) if g not in planted]
    changed = {*planted[:30], *others[:30]}
    lines = ["gene\tlog2FoldChange\tas_published\tcorrected"]
    for gene in [*planted, *others]:
        flag = str(gene in changed).lower()
        lines.append(f"{gene}\t{1.5 if gene in changed else 0.1}\t{flag}\t{flag}")
    (tmp_path / "degs.tsv").write_text("\n".join(lines) + "\n")
    inputs = folder / "inputs"
    arguments = [
        "genes", str(inputs / "map.tsv"), "--out", str(tmp_path / "out"),
        "--expression", str(inputs / "expression.csv"),
        "--gene-sets", str(inputs / "sets.gmt"), "--n-maps", "499", "--list-rule", "length",
        "--n-list", "100", "--degs", str(tmp_path / "degs.tsv"),
    ]  # fmt: skip
    assert main(arguments) == 0
    page = (tmp_path / "out/report.html").read_text()
    section = page[page.index("<h2", page.index("Overlap with blood</h2>") - 60) :]
    assert "2000 genes were tested on both sides" in section
    assert "P, spatial" in section
    assert "pathway in blood" in section
    assert "planted programme" in section
    capsys.readouterr()
    (tmp_path / "degs.tsv").write_text("gene\tp\nA\t1\n")
    assert main(arguments) == 2
    assert "degs.tsv: the table is not degs.tsv of falx degs" in capsys.readouterr().err


def test_shuffled_genes_lose_the_programme():
    phantom = make_gene_phantom(7)
    order = np.random.default_rng(0).permutation(len(phantom.expression.genes))
    shuffled = Expression(
        "shuffled",
        phantom.expression.regions,
        phantom.expression.genes,
        phantom.expression.values[:, order],
    )
    study = study_map(join(phantom.table, shuffled), FEW)
    sets = study_sets(study, phantom.library)
    assert sets.ensemble.q[sets.ensemble.names.index("planted programme")] > 0.05


def test_lists_can_require_both_rates():
    phantom = make_gene_phantom(7)
    data = join(phantom.table, phantom.expression)
    strict = study_map(data, Settings(n_maps=4999, n_draws=500, list_rule="length",
                                      require_fdr=True, beside=()))  # fmt: skip
    lists = gene_lists(strict)
    planted = set(phantom.planted)
    assert len(planted & set(lists.positive)) >= 50
    assert len(set(lists.positive) - planted) <= 6


def test_lists_of_the_demonstration_have_the_stated_rate(demo):
    _, folder = demo
    truth = set(json.loads((folder / "truth.json").read_text())["planted"])
    rows = read_table(folder / "genes.tsv").records()
    listed = {row["gene"] for row in rows if row["list"]}
    assert listed == {row["gene"] for row in rows if float(row["q_spatial"]) < 0.05}
    assert len(listed & truth) >= 0.9 * len(truth)
    assert len(listed - truth) <= 0.1 * len(listed)
    up = sum(row["list"] == "positive" for row in rows)
    held = f"rate of 0.05: {up} positive and {len(listed) - up} negative genes"
    assert held in (folder / "report.html").read_text(encoding="utf-8")


def test_the_page_names_the_rule_of_the_lists():
    lists = GeneLists(("A", "B"), ("C",))
    by_length = list_sentence(Settings(list_rule="length", n_list=7), lists)
    assert "2 positive and 1 negative" in by_length
    assert "among the 7 of largest bootstrap Z" in by_length
    assert "without an error rate" in by_length
    both = list_sentence(Settings(list_rule="length", require_fdr=True), lists)
    assert "pass the bootstrap's and the spatial rate" in both
    assert "rate of 0.1: 2 positive" in list_sentence(Settings(list_q=0.1), lists)
    assert PUBLISHED["genes.list_rule"] == "length"
    assert PUBLISHED["genes.require_fdr"]
    assert null_plan(str(PUBLISHED["genes.null"])) == {
        "cortex": "spin_nearest", "subcortex": "moran",
    }  # fmt: skip
    assert Settings().n_list == 1500


def test_a_map_without_genes_has_empty_lists_and_a_page():
    phantom = make_gene_phantom(7, n_regions=60, n_genes=200, n_planted=20, strength=0.0)
    changed = dict.fromkeys(phantom.planted[:8], 1)
    blood = BloodGenes(phantom.expression.genes, {"as_published": changed, "corrected": changed})
    found = relate(
        phantom.table,
        phantom.expression,
        Settings(n_maps=199, n_draws=50, beside=()),
        Known((phantom.library,), make_network(phantom.edges, Origin("phantom"))),
        blood,
    )
    assert found.lists.both == ()
    assert found.network is None
    assert found.sets[0].over == {}
    assert found.sets[0].themes.themes == ()
    assert found.sets[0].ensemble.names
    assert "No gene passes the spatial false-discovery rate of 0.05" in found.page
    assert "no test against a null" in found.page
    assert "lists are empty, so no pathway of the map is compared" in found.page


def test_enrich_command(demo, tmp_path, capsys):
    _, folder = demo
    truth = json.loads((folder / "truth.json").read_text())["planted"]
    for name, genes in (("one", truth[:40]), ("two", truth[20:])):
        (tmp_path / f"{name}.txt").write_text("\n".join(genes))
    code = main(
        [
            "enrich", str(tmp_path / "one.txt"), str(tmp_path / "two.txt"),
            "--universe", str(folder / "genes.tsv"),
            "--gene-sets", str(folder / "inputs/sets.gmt"),
            "--network", str(folder / "inputs/network.tsv"), "--out", str(tmp_path / "out"),
        ]
    )  # fmt: skip
    assert code == 0
    capsys.readouterr()
    rows = (tmp_path / "out/terms_sets.tsv").read_text().splitlines()
    assert rows[1].split("\t")[2].startswith("planted programme")
    assert "Lists together" in (tmp_path / "out/report.html").read_text()


def test_degs_command(reference, tmp_path, capsys):
    pytest.importorskip("pydeseq2")
    data = reference / "deseq2/small_"
    imaging = tmp_path / "genes.tsv"
    members = ["positive", "negative", "", "positive", "", "negative", "", "", "positive", ""]
    lines = [f"gene{i}\t{m}" for i, m in enumerate(members, 1)]
    imaging.write_text("gene\tlist\n" + "\n".join(lines) + "\n")
    code = main(
        [
            "degs", f"{data}counts.csv", f"{data}metadata.csv", "--factor", "condition",
            "--contrast", "B", "A", "--imaging", str(imaging), "--out", str(tmp_path / "out"),
        ]
    )  # fmt: skip
    assert code == 0
    capsys.readouterr()
    page = (tmp_path / "out/report.html").read_text()
    assert "Overlap with imaging genes" in page
    assert (tmp_path / "out/degs.tsv").read_text().startswith("gene\tbaseMean")


def test_fetch_command_lists_and_shows(capsys):
    assert main(["fetch"]) == 0
    assert "CC0-1.0" in capsys.readouterr().out
    assert main(["fetch", "trrust", "--dry-run"]) == 0
    assert "licence: CC BY-SA 4.0" in capsys.readouterr().out
    assert main(["fetch", "trust"]) == 2
    assert "did you mean 'trrust'" in capsys.readouterr().err


def test_bad_commands_end_with_one_sentence(tmp_path, capsys):
    (tmp_path / "m.tsv").write_text("region\tvalue\nA\t1\n")
    (tmp_path / "e.csv").write_text("r,G\nA,1\n")
    code = main(
        ["genes", str(tmp_path / "m.tsv"), "--out", str(tmp_path), "--expression",
         str(tmp_path / "e.csv"), "--nulls", "morann"]
    )  # fmt: skip
    assert code == 2
    assert "did you mean 'moran'" in capsys.readouterr().err
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(InputError, match="gene list is empty"):
        read_gene_list(source_text(tmp_path / "empty.txt"))


def test_enigma_table_states_what_it_mixes():
    table = enigma_table("tlemtsl")
    assert len(table.regions) == 82
    assert "thickness" in table.notes[0]


def test_the_demonstration_runs_from_the_command_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(demo_genes.run.__kwdefaults__, "n_maps", 499)
    assert main(["demo", str(tmp_path), "--study", "genes", "--seed", "7"]) == 0
    said = capsys.readouterr().out
    assert "median rank of the planted genes" in said
    assert str(tmp_path / "report.html") in said


@pytest.fixture(scope="module")
def group_profile(demo, tmp_path_factory):
    """Atlas, profile as a group map gives it, and arguments of the stage, from the phantom."""
    _, made = demo
    folder = tmp_path_factory.mktemp("profile")
    phantom = make_gene_phantom(7)
    grid = np.zeros((40, 90, 60), dtype=np.int16)
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = [-81, -110, -60]
    corner = np.linalg.inv(affine)
    lines = ["label\tname\tmean_t\tn_voxels"]
    labels = ["id,label,hemisphere,structure"]
    table = phantom.table
    for i, (name, xyz) in enumerate(zip(table.regions, table.centroids_mm, strict=True), start=1):
        voxel = np.round(corner[:3, :3] @ xyz + corner[:3, 3]).astype(int)
        grid[tuple(np.clip(voxel, 0, np.array(grid.shape) - 1))] = i
        value = f"{table.values[i - 1]:.10g}" if i > 3 else "n/a"
        lines.append(f"{i}\t{name}\t{value}\t1")
        labels.append(f"{i},{name},L,{table.blocks[i - 1]}")
    save(folder / "atlas.nii.gz", grid, affine)
    (folder / "atlas.csv").write_text("\n".join(labels) + "\n", encoding="utf-8")
    (folder / "profile.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    inputs = made / "inputs"
    return folder, {
        "profile": folder / "profile.tsv", "atlas": folder / "atlas.nii.gz",
        "atlas_labels": folder / "atlas.csv", "ready_expression": inputs / "expression.csv",
        "made_expression": None, "degs": None, "made_degs": None,
    }, Knowledge(gene_sets=(inputs / "sets.gmt",), network=(inputs / "network.tsv",))  # fmt: skip


def _outputs(folder):
    names = ("genes.tsv", "terms.tsv", "components.json", "left_out.tsv", "report.html")
    return {name.partition(".")[0]: folder / name for name in names}


LEFT = Settings(side="left", n_maps=1999, n_list=100, seed=7)


def test_the_stage_finds_the_programme_in_a_group_profile(group_profile, tmp_path):
    _, files, knowledge = group_profile
    outputs = _outputs(tmp_path)
    genes_stage(GenesFiles(**files, **outputs), knowledge, Surface(), LEFT)
    terms = outputs["terms"].read_text(encoding="utf-8").splitlines()
    assert terms[0].startswith("library\t")
    assert any("planted programme" in line for line in terms[1:])
    page = outputs["report"].read_text(encoding="utf-8")
    assert "3 regions lie outside the map." in page
    planted = set(make_gene_phantom(7).planted)
    rows = [line.split("\t") for line in outputs["genes"].read_text("utf-8").splitlines()]
    z = rows[0].index("z")
    ranked = sorted(rows[1:], key=lambda row: -float(row[z]))[: len(planted)]
    assert len(planted & {row[0] for row in ranked}) > 0.8 * len(planted)


def test_a_profile_of_another_atlas_is_refused(group_profile, tmp_path):
    folder, files, knowledge = group_profile
    text = (folder / "profile.tsv").read_text(encoding="utf-8")
    first = make_gene_phantom(7).table.regions[5]
    (tmp_path / "profile.tsv").write_text(text.replace(first, "elsewhere"), encoding="utf-8")
    with pytest.raises(InputError, match="the atlas does not know.*found: elsewhere"):
        genes_stage(
            GenesFiles(**{**files, "profile": tmp_path / "profile.tsv"}, **_outputs(tmp_path)),
            knowledge, Surface(), LEFT,
        )  # fmt: skip
    with pytest.raises(InputError, match="unknown value for null"):
        Settings(null="chance")
