"""``falx genes`` from the command line: nulls of a volume atlas, and input that is not as it
should be."""

from __future__ import annotations

import numpy as np
import pytest

from falx.cli.main import main
from falx.core.errors import InputError
from falx.genes.blood.counts import read_counts
from falx.genes.files import source_text
from gene_inputs import GENES, N, write_expression, write_inputs, write_map


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return write_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture
def genes(made, tmp_path, capsys):
    """Run ``falx genes``; give its exit code and all that it said."""

    def run(*more, source="map.tsv", expression="expression.csv"):
        code = main(
            [
                "genes", str(made / source), "--expression", str(made / expression),
                "--out", str(tmp_path / "out"), "--n-maps", "49", "--n-list", "5",
                "--beside", "random", *more,
            ]
        )  # fmt: skip
        said = capsys.readouterr()
        return code, said.out + said.err

    return run


def test_spin_on_a_volume_atlas(made, genes):
    atlas = ("--atlas", str(made / "atlas.nii.gz"))
    labels = ("--labels", str(made / "labels.csv"))
    code, said = genes(*atlas, *labels, "--nulls", "spin", source="map.nii.gz")
    assert code == 0
    assert "(spin_nearest)" in said
    assert "direction of their centroids" in said
    spin = ("--nulls", "spin_vasa", "--as-published")
    code, said = genes(*atlas, *labels, *spin, source="map.nii.gz")
    assert code == 0
    assert "the Váša spin as published rejects a true null too often" in said


def test_spin_needs_to_know_the_cortex(made, genes):
    rows = (made / "map.tsv").read_text().replace("\tcortex\t", "\tsubcortex\t", 3)
    (made / "deep.tsv").write_text(rows)
    code, said = genes("--nulls", "spin", source="deep.tsv")
    assert code == 2
    assert "3 regions without a place on the sphere" in said
    assert "use moran or variogram" in said


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "the file is empty"),
        (b"region,G1,G2\nr0,1,2\nr1,1,2,3\n", "line 3 has 4 cells, others have 3"),
        (bytes(range(256)), "not a text that can be read"),
        (b"\x1f\x8b\x08\x00\x00", "truncated or damaged"),
    ],
)
def test_expression_that_cannot_be_read(made, genes, content, told):
    (made / "bad.csv").write_bytes(content)
    code, said = genes(expression="bad.csv")
    assert code == 2
    assert told in said


def test_holes_in_every_gene(made, genes):
    table = np.ones((N, N)) * np.arange(N)[:, None]
    np.fill_diagonal(table, np.nan)
    write_expression(made / "holes.csv", [f"G{i}" for i in range(N)], table)
    code, said = genes(expression="holes.csv")
    assert code == 2
    assert "no gene has a value in every region" in said


def test_dates_are_made_genes_again_and_told(made, genes, tmp_path):
    table = np.random.default_rng(2).standard_normal((N, 30))
    write_expression(made / "dates.csv", ["2-Sep", "1-Mar", "Sep-7", "7-Sep", *GENES[4:]], table)
    code, said = genes(expression="dates.csv")
    assert code == 0
    assert "2-Sep → SEPT2, 1-Mar → ?, Sep-7 → ?, 7-Sep → ?" in said
    assert "\nSEPT2\t" in (tmp_path / "out/genes.tsv").read_text()


def test_a_short_row_leaves_its_region_out(made, genes, tmp_path):
    write_map(made / "short.tsv", last="r39")
    assert genes(source="short.tsv")[0] == 0
    assert "r39\tthe map has no value there" in (tmp_path / "out/left_out.tsv").read_text()


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (("--seed", "-5"), "seed is out of range"),
        (("--n-list", "-5"), "n_list is out of range"),
        (("--blocks", "cerebellum"), "40 regions of which: only cerebellum is analysed"),
    ],
)
def test_options_that_leave_nothing(genes, more, told):
    code, said = genes(*more)
    assert code == 2
    assert told in said


def test_a_folder_is_no_map(genes):
    code, said = genes(source=".")
    assert code == 2
    assert "a file is needed, not a folder" in said


@pytest.mark.parametrize("content", [b"", bytes(range(256))])
def test_counts_that_cannot_be_read(tmp_path, content):
    (tmp_path / "counts.csv").write_bytes(content)
    with pytest.raises(InputError, match=r"counts\.csv: the (file is empty|table is not a text)"):
        read_counts(source_text(tmp_path / "counts.csv"))
