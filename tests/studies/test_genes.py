"""The gene studies end to end: a planted programme is found, and the commands work."""

from __future__ import annotations

import json

import numpy as np
import pytest

from falx.cli.main import main
from falx.errors import InputError
from falx.genes.association_study import Settings, gene_lists, study_map, study_sets
from falx.genes.phantom import make_gene_phantom
from falx.genes.tables import Expression, join
from falx.studies import demo_genes
from falx.studies.enigma_genes import enigma_table
from falx.studies.gene_lists import read_gene_list
from falx.studies.genes import file_name

FEW = Settings(n_maps=999, n_draws=500, n_list=100, beside=("random",))


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
    strict = study_map(data, Settings(n_maps=4999, n_draws=500, require_fdr=True, beside=()))
    lists = gene_lists(strict)
    planted = set(phantom.planted)
    assert len(planted & set(lists.positive)) >= 50
    assert len(set(lists.positive) - planted) <= 6


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


def test_degs_command(shared, tmp_path, capsys):
    pytest.importorskip("pydeseq2")
    data = shared / "data/rnaseq/pydeseq2__datasets__synthetic__test_"
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
        read_gene_list(tmp_path / "empty.txt")


def test_enigma_table_states_what_it_mixes():
    table = enigma_table("tlemtsl")
    assert len(table.regions) == 82
    assert "thickness" in table.notes[0]
    assert file_name("a/b c") == "a-b-c"
