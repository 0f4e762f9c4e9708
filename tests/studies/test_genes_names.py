"""Tables as users have them: sides and places from names, identifiers, lists that Falx wrote."""

from __future__ import annotations

import numpy as np
import pytest

from falx.cli.main import main
from falx.core.errors import FalxNotice, InputError
from falx.core.files import read_table
from falx.data.enigma import enigma_regions
from falx.genes.sets.library import SourceText, read_aliases
from falx.genes.symbols import present_names
from falx.genes.tables import (
    Expression,
    named_places,
    one_table,
    read_region_table,
    renamed,
    with_symbols,
)
from falx.studies.genes import lists as gene_lists

REGIONS = enigma_regions()
HEADER = "CorticalThickness,Structure,d_icv,se_icv,pobs,,\n"
HGNC = (
    "symbol\tprev_symbol\talias_symbol\tentrez_id\tensembl_gene_id\n"
    "SEPTIN7\tSEPT7|CDC10\t\t989\tENSG00000122545\n"
    "SP1\tOLD\t\t6667\tENSG00000185591\nSP3\tOLD\t\t6670\tENSG00000172845\n"
)


def text(content, name="table.tsv"):
    return SourceText(name, content, "")


def raw(block):
    rows = [r for r in REGIONS if r.block == block]
    lines = [f"x,{r.name},{0.01 * i:g},.1,.5,," for i, r in enumerate(rows)]
    return HEADER + "\n".join(lines) + "\n"


def test_raw_enigma_tables_are_placed_by_their_names():
    both = one_table([read_region_table(text(raw(b))) for b in ("cortex", "subcortex")])
    placed = named_places(both)
    assert placed.regions == tuple(r.name for r in REGIONS)
    assert placed.sides == tuple(r.side for r in REGIONS)
    assert placed.centroids_mm == pytest.approx(np.array([r.centroid_mm for r in REGIONS]))
    assert (
        np.sign(placed.centroids_mm[:, 0]) == [(-1) ** (s == "left") for s in placed.sides]
    ).all()


@pytest.mark.parametrize(
    ("cortical", "deep"),
    [("{0}h.bankssts", "{1}-Hippocampus"), ("ctx-{0}h-bankssts", "{0}hippo".title()),
     ("bankssts_{1}", "hippocampus_{1}")],
)  # fmt: skip
def test_sides_come_from_names_and_mirror_with_them(cortical, deep):
    of = {}
    for side, letter in (("Left", "l"), ("Right", "r")):
        names = [pattern.format(letter, side) for pattern in (cortical, deep)]
        if deep == "{0}Hippo":
            names[1] = letter.upper() + "hippo"
        table = named_places(read_region_table(text("".join(
            ["region\tvalue\n", *(f"{n}\t{i}\n" for i, n in enumerate(names))]))))  # fmt: skip
        assert set(table.sides) == {side.lower()}
        of[letter] = table.centroids_mm
    assert of["l"][:, 0] == pytest.approx(-of["r"][:, 0], abs=6)
    assert (of["l"][:, 0] < 0).all()


def test_names_of_another_atlas_are_not_guessed():
    table = read_region_table(text("region\tvalue\nL_bankssts\t1\nA8m_L\t2\n"))
    assert np.isnan(named_places(table).centroids_mm).all()
    assert table.sides == ("left", "left")


def test_a_region_in_two_tables_is_refused():
    table = read_region_table(text(raw("cortex")))
    with pytest.raises(InputError, match="a region is in two of the tables"):
        one_table([table, table])


def test_names_of_map_and_matrix_meet():
    table = read_region_table(text("region\tvalue\nlh.insula\t1\nrh.insula\t2\n"))
    matrix = Expression("x", ("R_insula", "L_insula"), ("A",), np.ones((2, 1)))
    assert renamed(table, matrix).regions == ("L_insula", "R_insula")


def test_identifiers_become_symbols_with_an_account():
    with pytest.warns(FalxNotice, match="aliases of several genes"):
        aliases = read_aliases(text(HGNC, "hgnc.txt"))
    assert "OLD" not in aliases  # a former name of two genes
    given = ("ENSG00000185591.10", "989", "SP3", "6670", "ENSG00000000001", "A1BG")
    matrix = Expression("m", ("r",), given, np.arange(6.0)[None])
    with pytest.warns(FalxNotice, match="2 converted, 2 lost"):
        found, account = with_symbols(matrix, aliases)
    assert found.genes == ("SP1", "SEPTIN7", "SP3", "A1BG")
    assert found.values.tolist() == [[0, 1, 2, 5]]
    assert account == (
        ("ENSG00000185591.10", "SP1", "converted"),
        ("989", "SEPTIN7", "converted"),
        ("6670", "SP3", "left out: another row is this gene"),
        ("ENSG00000000001", "", "identifier not known"),
    )
    with pytest.raises(InputError, match="no identifier of the matrix is known"):
        with_symbols(Expression("m", ("r",), ("ENSG00000000001",), np.ones((1, 1))), aliases)


def test_names_without_aliases_stay():
    assert present_names(("SP1", "A-B"), {}).account == ()


GENES = "gene\tz\tq_spatial\tlist\n" + "".join(
    f"G{i}\t1\t0.01\t{'positive' if i < 8 else ''}\n" for i in range(40)
)
DEGS = "gene\tlog2FoldChange\tas_published\tcorrected\n" + "".join(
    f"G{i}\t{1 if i % 2 else -1}\ttrue\t{str(i < 10).lower()}\n" for i in range(5, 60)
)


def test_tables_of_falx_bring_their_lists_and_universe(tmp_path, capsys):
    (tmp_path / "genes.tsv").write_text(GENES)
    (tmp_path / "degs.tsv").write_text(DEGS)
    (tmp_path / "sets.gmt").write_text(
        "hit\t\t" + "\t".join(f"G{i}" for i in range(5, 12)) + "\n"
        "miss\t\t" + "\t".join(f"G{i}" for i in range(20, 30)) + "\n"
    )
    words = ["enrich", str(tmp_path / "genes.tsv"), str(tmp_path / "degs.tsv"), "--gene-sets",
             str(tmp_path / "sets.gmt"), "--out", str(tmp_path / "out")]  # fmt: skip
    assert main(words) == 0
    rows = read_table(tmp_path / "out/terms_sets.tsv", unique=False).records()
    found = {(row["list"], row["term"]): int(row["overlap"]) for row in rows}
    assert found["genes, positive", "hit"] == 3
    assert found["degs, up", "hit"] == 3
    assert found["degs, down", "hit"] == 2
    page = (tmp_path / "out/report.html").read_text()
    assert "35 genes" in page  # tested in both tables: G5 to G39
    (tmp_path / "plain.txt").write_text("G1\nG2\n")
    assert main([words[0], str(tmp_path / "plain.txt"), *words[2:]]) == 2
    said = capsys.readouterr().err
    assert "plain: it is not known which genes were tested" in said
    assert "give --universe FILE" in said


def test_an_empty_list_is_told_and_nothing_is_made_of_it():
    empty = text(GENES.replace("positive", ""), "genes.tsv")
    with pytest.warns(FalxNotice, match="nothing is tested for it"):
        given = gene_lists.read_lists(empty, "genes")
    assert given.lists == {}
    assert len(given.tested) == 40
    with pytest.raises(InputError, match="no gene was tested in every table"):
        gene_lists.tested_genes(
            [given, gene_lists.read_lists(text(DEGS.replace("G", "H")), "degs")]
        )
