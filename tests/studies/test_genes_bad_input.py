"""Bad input as a user of the gene commands gives it, and the sentence that comes back."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from falx.cli.main import main
from falx.data.fetch import Download
from falx.images.nifti import save
from gene_inputs import GENES, N, write_expression, write_inputs, write_map

SYMBOLS = ["SEPT2", "ABCA1", "C3orf33", "TUBB2A", *(f"G{i}" for i in range(4, 40))]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return write_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture
def run(capsys):
    """Run ``falx``; give its exit code and all that it said."""

    def falx(*arguments):
        code = main([str(a) for a in arguments])
        said = capsys.readouterr()
        return code, said.out + said.err

    return falx


@pytest.fixture
def enrich(tmp_path, run):
    """Run ``falx enrich`` on a gene list; give exit code, words and page."""
    (tmp_path / "universe.txt").write_text("\n".join(SYMBOLS))
    sets = [f"set {k}\t\t" + "\t".join(SYMBOLS[k::4]) for k in range(4)]
    (tmp_path / "sets.gmt").write_text("\n".join(sets) + "\n")

    def falx(text, *more):
        (tmp_path / "list.txt").write_text(text)
        code, said = run(
            "enrich", tmp_path / "list.txt", "--universe", tmp_path / "universe.txt",
            "--gene-sets", tmp_path / "sets.gmt", "--out", tmp_path / "out", *more,
        )  # fmt: skip
        page = tmp_path / "out/report.html"
        return code, said + (page.read_text() if page.exists() else "")

    return falx


def test_an_empty_gene_list(enrich):
    code, said = enrich("\n  \n")
    assert code == 2
    assert "list.txt: the gene list is empty" in said


def test_a_list_of_other_identifiers(enrich):
    code, said = enrich("ENSG00000141510\nENSG00000139618\n")
    assert code == 2
    assert "no gene of the list is among the tested genes" in said


def test_dates_case_and_repetition_in_a_list(enrich):
    code, said = enrich("2-Sep\nabca1\nC3ORF33\nG4\nG4\n1-Mar\nNOSUCH\n")
    assert code == 0
    assert "symbols were repaired (found: 2-Sep → SEPT2)" in said
    assert "left out (found: 1-Mar); write the gene&#39;s present symbol" in said
    assert "1 genes are not among the tested genes (found: NOSUCH)" in said
    assert "genes are given more than once (found: G4)" in said


def test_aliases_lead_to_present_symbols(enrich, tmp_path):
    (tmp_path / "aliases.tsv").write_text("alias\tsymbol\nTUBB2\tTUBB2A\nBOTH\tG4\nBOTH\tG5\n")
    code, said = enrich("TUBB2\nG6\nBOTH\n", "--aliases", tmp_path / "aliases.tsv")
    assert code == 0
    assert "symbols were repaired (found: TUBB2 → TUBB2A)" in said
    assert "aliases of several genes are not used (found: BOTH)" in said
    (tmp_path / "aliases.tsv").write_text("TUBB2\n")
    code, said = enrich("G6\n", "--aliases", tmp_path / "aliases.tsv")
    assert code == 2
    assert "aliases.tsv, line 1: a line does not name an alias and a symbol" in said


def test_loops_and_repeated_edges_in_a_network(enrich, tmp_path):
    edges = [(a, b) for i, a in enumerate(SYMBOLS[:6]) for b in SYMBOLS[i:6]]
    lines = [f"{a}\t{b}" for a, b in [*edges, *((b, a) for a, b in edges)]]
    (tmp_path / "net.tsv").write_text("\n".join(lines) + "\n")
    code, said = enrich("\n".join(SYMBOLS[:8]), "--network", tmp_path / "net.tsv")
    assert code == 0
    assert "6 genes with 15 interactions" in said
    assert "net.tsv: edges of a gene to itself, or given before" in said
    assert "(found: 12 to itself, 15 repeated)" in said


def test_a_library_without_descriptions_and_one_that_is_no_gmt(enrich, tmp_path):
    assert enrich("\n".join(SYMBOLS[::4]))[0] == 0  # every description of sets.gmt is empty
    (tmp_path / "sets.gmt").write_text("set 1 ABCA1 SEPT2\n")
    code, said = enrich("ABCA1")
    assert code == 2
    assert "sets.gmt, line 1: a line has no tab" in said


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        ("3.5", "that are not whole (found: 3.5 for bad in s0)"),
        ("-4", "negative counts (found: -4 for bad in s0)"),
        ("x", "number"),
    ],
)
def test_counts_that_are_no_counts(tmp_path, run, cell, told):
    names = [f"s{i}" for i in range(6)]
    rows = [",".join(["gene", *names])]
    rows += [f"g{k}," + ",".join(str(10 + k + i) for i in range(6)) for k in range(5)]
    rows.append(f"bad,{cell}," + ",".join("12345"))
    (tmp_path / "counts.csv").write_text("\n".join(rows) + "\n")
    design = ["sample,group", *(f"{n},{'AB'[i % 2]}" for i, n in enumerate(names))]
    (tmp_path / "design.csv").write_text("\n".join(design) + "\n")
    code, said = run(
        "degs", tmp_path / "counts.csv", tmp_path / "design.csv", "--factor", "group",
        "--contrast", "A", "B", "--out", tmp_path / "out",
    )  # fmt: skip
    assert code == 2
    assert told in said
    assert not (tmp_path / "out").exists()


@pytest.fixture
def genes(made, tmp_path, run):
    """Run ``falx genes`` on files of the shared folder, one of them changed."""

    def falx(*more, source="map.nii.gz", expression="expression.csv"):
        return run(
            "genes", made / source, "--expression", made / expression, "--out", tmp_path / "out",
            "--n-maps", "49", "--n-list", "5", "--beside", "random", *more,
        )  # fmt: skip

    return falx


def atlas_of(made, name, change):
    """Write a changed copy of the atlas; give its options."""
    from falx.images.nifti import load

    atlas = load(made / "atlas.nii.gz")
    data, affine = change(np.array(atlas.data), np.array(atlas.affine))
    save(made / f"{name}.nii.gz", data, affine)
    return "--atlas", made / f"{name}.nii.gz", "--labels", made / "labels.csv"


def test_an_atlas_with_swapped_sides(made, genes):
    code, said = genes(*atlas_of(made, "swapped", lambda data, affine: (data[::-1], affine)))
    assert code == 2
    assert "40 regions lie on the other side than their name says" in said
    assert "r0 at x = 69.0 mm" in said


def test_an_atlas_with_nan_background(made, genes):
    def holed(data, affine):
        return np.where(data == 0, np.nan, data).astype(np.float32), affine

    code, said = genes(*atlas_of(made, "holed", holed))
    assert code == 2
    assert "NaN" in said or "not finite" in said


def test_an_atlas_in_another_space(made, genes):
    def far(data, affine):
        affine = affine.copy()
        affine[1, 3] += 400
        return data, affine

    code, said = genes(*atlas_of(made, "far", far))
    assert code == 2
    assert "region" in said
    assert "space" in said or "no voxel" in said


def test_a_map_of_few_regions(made, genes):
    write_map(made / "few.tsv")
    rows = (made / "few.tsv").read_text().splitlines()[:16]
    (made / "few.tsv").write_text("\n".join(rows) + "\n")
    code, said = genes(source="few.tsv")
    assert code == 2
    assert "too few regions for spatial statistics (found: 15 regions)" in said


def test_regions_without_samples_are_left_out(made, genes, tmp_path):
    table = np.random.default_rng(3).standard_normal((N, len(GENES)))
    path = write_expression(made / "empty.csv", GENES, table)
    lines = path.read_text().splitlines()
    lines[5] = "r4," + "," * (len(GENES) - 1)
    path.write_text("\n".join(lines) + "\n")
    code, said = genes(source="map.tsv", expression="empty.csv")
    assert code == 0, said
    assert "r4\tno tissue sample lies in it" in (tmp_path / "out/left_out.tsv").read_text()


def test_a_gene_in_two_columns(made, genes):
    table = np.random.default_rng(3).standard_normal((N, 3))
    write_expression(made / "twice.csv", ["A", "B", "A"], table)
    code, said = genes(source="map.tsv", expression="twice.csv")
    assert code == 2
    assert "a gene occurs twice (found: ['A']); merge its columns" in said


class Cut(BaseHTTPRequestHandler):
    """Says how long the file is, and closes the line half-way while the server says so."""

    def do_GET(self):
        body = self.server.body
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if self.server.cut else body)

    def log_message(self, *_):
        pass


def test_a_download_that_stops_half_way_is_not_used(made, run, genes, tmp_path, monkeypatch):
    with ThreadingHTTPServer(("127.0.0.1", 0), Cut) as server:
        server.body, server.cut = (made / "expression.csv").read_bytes(), True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}/expression.csv"
        # Only the address is not the catalogue's own.
        entry = Download("tables", "fetched.csv", None, "", "made up", address, "")
        monkeypatch.setattr("falx.data.fetch.catalogue", lambda: (entry,))
        monkeypatch.setattr("falx.data.fetch.RETRIES", 0)
        try:
            code, said = run("fetch", "tables", "--to", made)
            assert code == 2
            assert "the transfer stopped half-way" in said
            assert "run the same command again" in said
            assert not list(made.glob("*fetched*"))
            code, said = genes(source="map.tsv", expression="fetched.csv")
            assert code == 2
            assert "does not exist" in said
            server.cut = False
            assert run("fetch", "tables", "--to", made)[0] == 0
        finally:
            server.shutdown()
            thread.join()
    assert genes(source="map.tsv", expression="fetched.csv")[0] == 0
