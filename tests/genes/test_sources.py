"""Files of knowledge, tables of regions, and null maps: what is read, counted and refused."""

from __future__ import annotations

import gzip
import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.freesurfer.io import write_annot, write_geometry

from falx.atlas.atlas import make_atlas
from falx.atlas.label_table import LabelRow
from falx.core.errors import FalxNotice, InputError, OptionError, collect_notices
from falx.core.tables import parse_table
from falx.data.enigma import gwas_genes, gwas_phenotypes
from falx.genes.association_study import Settings
from falx.genes.blood.counts import Counts, check_design, merge_symbols, read_counts
from falx.genes.blood.differential import Comparison, Fit, differential
from falx.genes.files import Knowledge, Surface, read_design, read_hemispheres, read_known
from falx.genes.network.interactions import Network, make_network
from falx.genes.nulls.gaussian import fit_field, gaussian_maps
from falx.genes.nulls.generate import (
    Positions,
    _tell_of_errors,
    distances,
    null_maps,
    null_plan,
)
from falx.genes.nulls.moran import inverse_distance_weights, moran_index, moran_maps
from falx.genes.nulls.spin import centroid_points, random_rotations, spin_assignments
from falx.genes.nulls.surface import _bare
from falx.genes.nulls.variogram import make_variogram, smoothers
from falx.genes.sets.library import (
    GeneSetLibrary,
    Origin,
    SourceText,
    read_aliases,
    read_gmt,
    restrict,
)
from falx.genes.sets.regulators import read_trrust, regulator_sets
from falx.genes.sets.specificity import read_specificity, read_tissue_expression
from falx.genes.symbols import check_gene_list, match_symbols
from falx.genes.tables import (
    Expression,
    RegionTable,
    join,
    placed,
    read_expression,
    read_region_table,
    table_of_map,
)
from falx.images.nifti import Image

few = settings(max_examples=10, deadline=None)
SEEDS = st.integers(0, 2**32 - 1)


def text(content: str, name: str = "x.tsv") -> SourceText:
    return SourceText(name, content)


# Files of knowledge


@pytest.fixture
def files(tmp_path):
    """One small file of each source."""
    contents = {
        "sets.gmt": "one\t\tA\tB\ntwo\thttp://x\tB\tC\n",
        "trrust.tsv": "F\tA\tActivation\t1;2\nF\tB\tUnknown\t3\nF\tA\tUnknown\t4\n",
        "cells.csv": "gene,class\nA,neuron\nB,glia\nA,neuron\n",
        "tissues.csv": "gene,brain,liver\nA,9,0\nB,1,1\nC,0,0\n",
        "edges.txt": "X Y\nY Z\n",
        "aliases.tsv": "alias\tsymbol\nOLD\tA\nTWO\tA\nTWO\tB\n",
    }
    for name, content in contents.items():
        (tmp_path / name).write_text(content)
    return tmp_path


def test_everything_that_is_named_is_read(files):
    given_ = Knowledge(
        gene_sets=(files / "sets.gmt",), regulators=files / "trrust.tsv", regulator_signs=True,
        specificity=files / "cells.csv", tissues=files / "tissues.csv", gwas=True,
        network=(files / "edges.txt",), aliases=files / "aliases.tsv",
    )  # fmt: skip
    with collect_notices() as said:
        known = read_known(given_)
    names = [library.name for library in known.libraries]
    assert names == ["sets", "TRRUST", "cells", "tissue specificity", "epilepsy GWAS"]
    sets, factors, cells, tissues, gwas = (dict(one.sets) for one in known.libraries)
    assert sets == {"one": ("A", "B"), "two": ("B", "C")}
    assert known.libraries[0].descriptions == {"two": "http://x"}
    assert factors == {"F": ("A", "B")}
    assert cells == {"neuron": ("A",), "glia": ("B",)}
    assert tissues == {"brain": ("A",)}
    assert gwas["epilepsy, any phenotype"] == gwas_genes()
    assert len(gwas) == 1 + len(gwas_phenotypes())
    assert known.network.edges() == (("X", "Y"), ("Y", "Z"))
    assert known.aliases == {"OLD": "A"}
    assert any("aliases of several genes are not used (found: TWO)" in line for line in said)
    # The pair given twice keeps both modes, of which one has a sign.
    assert [(r.factor, r.target, r.sign, r.references) for r in known.signed] == [
        ("F", "A", 1, ("1", "2", "4")),
    ]  # fmt: skip
    digest = hashlib.sha256((files / "sets.gmt").read_bytes()).hexdigest()
    assert known.libraries[0].origin.sha256 == digest
    assert known.libraries[1].origin.licence == "CC BY-SA 4.0"


def test_nothing_named_is_nothing_read():
    known = read_known(Knowledge())
    assert (known.libraries, known.network, known.signed) == ((), None, ())
    assert dict(known.aliases) == {}


def test_an_ontology_comes_with_its_annotations(files):
    for name in ("ontology", "annotations"):
        with pytest.raises(OptionError, match=r"needs its terms and its annot.*found: one of the"):
            Knowledge(**{name: files / "sets.gmt"})


def test_regulators_without_signs_are_only_sets(files):
    assert read_known(Knowledge(regulators=files / "trrust.tsv")).signed == ()
    regulations, origin = read_trrust(text((files / "trrust.tsv").read_text(), "trrust.tsv"))
    assert regulator_sets(regulations, origin, sign=0).sets == {"F": ("B",)}
    gmt, _ = read_trrust(text("F\t\tA\tB\n", "t.gmt"))
    assert [(r.target, r.modes) for r in gmt] == [("A", ("Unknown",)), ("B", ("Unknown",))]
    with pytest.raises(InputError, match=r"t.tsv, line 3: a row is not TF, Target, Regulation"):
        read_trrust(text("F\tA\tActivation\nF\tA\tactivates\n", "t.tsv"))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            "gene,score\nA,1\n",
            r"c.csv: the table needs a gene and a tissue .*found: gene, score",
        ),
        ("symbol,cell\nA,x\n", None),
    ],
)
def test_tables_of_cells_have_two_columns(content, told):
    if told:
        with pytest.raises(InputError, match=told):
            read_specificity(text(content, "c.csv"))
        return
    assert read_specificity(text(content, "c.csv.gz")).name == "c"


def test_only_rows_of_the_classes_named_count():
    content = "gene,tissue,class\nA,x,Specific\nB,x,selective\nC,x,housekeeping\n,x,specific\n"
    assert read_specificity(text(content)).sets == {"x": ("A", "B")}
    assert read_specificity(text(content), classes=("housekeeping",)).sets == {"x": ("C",)}
    with pytest.raises(InputError, match="at least two tissues"):
        read_tissue_expression(text("gene,brain\nA,9\n"))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("a b c\n", r"g.gmt, line 1: a line has no tab .found: 'a b c'.; give set name"),
        ("a\t\tX\na\t\tY\n", r"g.gmt: a set name occurs twice .found: a"),
        ("\n  \n", "g.gmt: the file holds no gene set"),
    ],
)
def test_files_that_are_no_gmt(content, told):
    with pytest.raises(InputError, match=told):
        read_gmt(text(content, "g.gmt"))


def test_names_and_descriptions_of_sets_are_trimmed():
    found = read_gmt(text(" a \tNA\t X\tX \t\nb\t why \tY\t\n", "lib.gmt.gz"), licence="CC0")
    assert found.sets == {"a": ("X",), "b": ("Y",)}
    assert found.descriptions == {"b": "why"}
    assert (found.name, found.origin.licence) == ("lib", "CC0")
    assert read_gmt(text("a\t\tX\n"), name="given").name == "given"


@pytest.mark.parametrize("line", ["A", "A,", ",B", "A\t"])
def test_aliases_name_two_symbols(line):
    with pytest.raises(InputError, match=r"a.csv, line 2: a line does not name an alias and a s"):
        read_aliases(text(f"OLD,NEW\n{line}\n", "a.csv"))
    assert read_aliases(text("OLD,NEW\n\nalias,A\n")) == {"OLD": "NEW", "alias": "A"}


def test_few_genes_of_a_library_are_told_and_none_refused():
    library = GeneSetLibrary("lib", {"s": tuple(f"G{i}" for i in range(30))}, Origin(""))
    with pytest.warns(
        FalxNotice, match=r"lib: few genes .* are among the tested genes .found: 5 of 30"
    ):
        sets = restrict(library, [f"G{i}" for i in range(5)])
    assert (sets.lost, sets.sizes.tolist()) == (25, [5])
    with pytest.raises(InputError, match=r"found: 4 of 30 genes are among the tested ones"):
        restrict(library, [f"G{i}" for i in range(4)])
    with pytest.raises(InputError, match="lib: the tested genes repeat a symbol"):
        restrict(library, ["G1", "G1"])
    six = [f"G{i}" for i in range(6)]
    assert restrict(library, six, any_case=False).lost == 24
    renamed = restrict(library, ["X", *six], aliases={"G9": "X"})
    assert "X" in renamed.members("s")
    assert restrict(library, six).indicator(["G1", "G5", "no"]).tolist() == [0, 1, 0, 0, 0, 1]


def test_what_happened_to_a_list_is_told():
    match = match_symbols(["7-Sep", "1-Mar", "NONE", "g1", "g1"], ["SEPT7", "G1"])
    with collect_notices() as said:
        assert check_gene_list(match, where="mine") is match
    assert len(said) == 4
    assert "mine: symbols were repaired (found: 7-Sep → SEPT7)." in said
    assert "mine: 1 genes are not among the tested genes (found: NONE)." in said
    assert "mine: genes are given more than once (found: g1)." in said
    assert any("could be several genes and are left out (found: 1-Mar)" in line for line in said)
    with collect_notices() as quiet:
        check_gene_list(match_symbols(["G1"], ["G1"]))
    assert quiet == []
    with pytest.raises(InputError, match=r"no gene of the list .*found: 2 unknown symbols"):
        check_gene_list(match_symbols(["A", "1-Dec"], ["G1"]))


# Surfaces and designs


def test_annotations_and_spheres_come_in_pairs(tmp_path):
    vertices = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [-1, 0, 0]])
    write_geometry(tmp_path / "sphere", vertices, np.array([[0, 1, 2]]))
    write_geometry(tmp_path / "small", vertices[:3], np.array([[0, 1, 2]]))
    table = np.array([[1, 2, 3, 0, 0], [4, 5, 6, 0, 0]])
    table[:, 4] = table[:, 0] + table[:, 1] * 2**8 + table[:, 2] * 2**16
    write_annot(str(tmp_path / "l.annot"), np.array([0, 1, 1, 0]), table, ["a", "b"])
    pair = Surface((tmp_path / "l.annot",), (tmp_path / "sphere",))
    (left,) = read_hemispheres(pair)
    assert (left.side, left.names) == ("left", ("a", "b"))
    assert left.of_vertex.tolist() == [0, 1, 1, 0]
    assert left.vertices == pytest.approx(vertices)
    both = Surface((tmp_path / "l.annot",) * 2, (tmp_path / "sphere",) * 2)
    assert [one.side for one in read_hemispheres(both)] == ["left", "right"]
    assert read_hemispheres(Surface()) == ()
    with pytest.raises(InputError, match=r"found: 1 annotations, 2 spheres.; give both"):
        read_hemispheres(Surface((tmp_path / "l.annot",), (tmp_path / "sphere",) * 2))
    with pytest.raises(InputError, match="3 annotations, 3 spheres"):
        read_hemispheres(Surface((tmp_path / "l.annot",) * 3, (tmp_path / "sphere",) * 3))
    with pytest.raises(InputError, match=r"l.annot: .* differ in vertices .found: 4 and 3"):
        read_hemispheres(Surface((tmp_path / "l.annot",), (tmp_path / "small",)))


@pytest.mark.parametrize(
    ("name", "bare"),
    [("lh.bankssts", "bankssts"), ("Area 4_R", "area 4"), ("Left-Thalamus", "thalamus"),
     ("clear", "clear"), ("L_", ""), ("rh", "rh"), ("pole left", "pole")],
)  # fmt: skip
def test_names_lose_their_side(name, bare):
    assert _bare(name) == bare


def test_a_design_may_be_compressed(tmp_path):
    path = tmp_path / "d.csv.gz"
    path.write_bytes(gzip.compress(b"sample,group\ns1,a\n"))
    assert read_design(path).records() == [{"sample": "s1", "group": "a"}]
    path.write_bytes(gzip.compress(b"sample,group\n" * 50)[:-12])
    with pytest.raises(InputError, match="d.csv.gz: the file is truncated or damaged; copy or"):
        read_design(path)
    with pytest.raises(InputError, match="a file is needed, not a folder; name a file in it"):
        read_design(tmp_path)
    with pytest.raises(InputError, match="the file does not exist; check the path"):
        read_design(tmp_path / "none.csv")


# Counts


def counts(n_genes=6, groups="aabb") -> tuple[Counts, str]:
    rng = np.random.default_rng(1)
    samples = tuple(f"s{i}" for i in range(len(groups)))
    values = rng.integers(1, 50, (n_genes, len(groups)))
    design = "sample,group\n" + "".join(f"s{i},{g}\n" for i, g in enumerate(groups))
    return Counts(values, tuple(f"G{i}" for i in range(n_genes)), samples), design


def test_designs_are_brought_to_the_order_of_the_counts():
    table, _ = counts()
    design = parse_table("sample,group,age\ns3,b,4\ns0,a,1\ns1,a,2\ns2,b,3\n", where="d")
    found = check_design(table, design, "group", ("b", "a"))
    assert found == {"group": ("a", "a", "b", "b"), "age": ("1", "2", "3", "4")}


@pytest.mark.parametrize(
    ("design", "factor", "contrast", "told"),
    [
        ("sample,group\ns0,a\ns1,a\ns2,b\ns9,b\n", "group", ("a", "b"),
         r"without design: .'s3'.; without counts: .'s9'."),
        ("sample,group\ns0,a\ns1,a\ns2,b\ns3,b\n", "sex", ("a", "b"),
         r"no such column .found: sex.; choose one of group"),
        ("sample,group\ns0,a\ns1,a\ns2,b\ns3,b\n", "group", ("a", "c"),
         r"a group of the contrast is not in the design .found: c.; choose two of a, b"),
        ("sample,group\ns0,a\ns1,a\ns2,a\ns3,b\n", "group", ("a", "b"),
         r"a group of the contrast has one sample .found: b.; variation cannot"),
    ],
)  # fmt: skip
def test_designs_that_compare_nothing(design, factor, contrast, told):
    with pytest.raises(InputError, match=told):
        check_design(counts()[0], parse_table(design, where="d"), factor, contrast)


def test_the_filter_counts_samples_of_the_smaller_group():
    values = np.array([[9, 9, 9, 0, 0], [9, 9, 0, 0, 0], [9, 0, 0, 0, 0]])
    table = Counts(values, ("A", "B", "C"), tuple(f"s{i}" for i in range(5)))
    design = parse_table("sample,group\ns0,a\ns1,a\ns2,b\ns3,b\ns4,b\n", where="d")
    seen: list[Counts] = []

    def backend(used, columns, comparison, threads):
        seen.append(used)
        n = np.ones(len(used.genes))
        return Fit(n, n, n, n, n, n, np.array([1.0, 2, 1, 1, 1]), n)

    for least, kept in ((0, "ABC"), (1, "AB"), (9, "AB")):
        one = Comparison("group", ("a", "b"), least_count=least)
        found = differential(table, design, one, backend=backend)
        assert "".join(found.genes) == kept and set(found.dropped) == set("ABC") - set(kept)
    assert found.normalised[0].tolist() == [9, 4.5, 9, 0, 0]
    assert found.contrast == ("a", "b")
    with pytest.raises(InputError, match=r"no gene passes .*found: least_count 10"):
        differential(table, design, Comparison("group", ("a", "b"), least_count=10),
                     backend=backend)  # fmt: skip


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        ("1.5", r"the table holds counts that are not whole .found: 1.5 for B in s1.; give raw"),
        ("-2", r"the table holds negative counts .found: -2 for B in s1"),
        ("", r"the table holds missing counts .found: nan for B in s1"),
    ],
)
def test_counts_are_whole_and_there(cell, told):
    with pytest.raises(InputError, match=told):
        read_counts(text(f"gene,s0,s1\nA,1,2\nB,3,{cell}\n", "c.csv"))


def test_empty_samples_and_twins_are_refused():
    with pytest.raises(InputError, match=r"a sample has no counts .found: .'s1'."):
        read_counts(text("gene,s0,s1\nA,1,0\nB,3,0\n"))
    with pytest.raises(InputError, match="sample name occurs twice|two columns|twice"):
        read_counts(text("gene,s0,s0\nA,1,2\n"))


def test_of_repeated_genes_the_row_with_most_counts_is_kept():
    table = Counts(np.array([[1, 1], [5, 5], [2, 2], [5, 5]]),
                   ("ENSG1.2", "ENSG1.7", "X", " X "), ("a", "b"))  # fmt: skip
    with pytest.warns(FalxNotice, match=r"c: 2 rows repeat a gene; .*found: ENSG1, X"):
        found = merge_symbols(table, where="c")
    assert (found.genes, found.values.tolist()) == (("ENSG1", "X"), [[5, 5], [5, 5]])


# Regions


def regions(n: int = 5, **changed: object) -> RegionTable:
    plain = {
        "name": "t", "regions": tuple(f"r{i}" for i in range(n)), "values": np.arange(n) * 1.0,
        "centroids_mm": np.arange(3.0 * n).reshape(n, 3) ** 2, "blocks": ("cortex",) * n,
        "sides": ("left", "right") * (n // 2) + ("left",) * (n % 2),
    }  # fmt: skip
    return RegionTable(**{**plain, **changed})


def expression(n: int = 5, genes: str = "ABC", **changed: object) -> Expression:
    rng = np.random.default_rng(2)
    plain = {"name": "e", "regions": tuple(f"r{i}" for i in range(n)), "genes": tuple(genes),
             "values": rng.normal(size=(n, len(genes)))}  # fmt: skip
    return Expression(**{**plain, **changed})


def test_every_region_left_out_has_its_reason():
    values = np.array([0.0, np.nan, 2, 3, 4, 5, 6])
    blocks = ("cortex", "cortex", "cortex", "cerebellum", "cortex", "cortex", "cortex")
    sides = ("left", "left", "left", "left", "left", "right", "left")
    table = regions(7, values=values, blocks=blocks, sides=sides)
    whole = expression(7)
    whole.values[2] = np.nan
    kept = [0, 1, 2, 3, 5, 6]
    matrix = Expression("e", tuple(f"r{k}" for k in kept), whole.genes, whole.values[kept])
    found = join(table, matrix, side="left", blocks=["cortex"])
    assert dict(found.left_out) == {
        "r1": "the map has no value there", "r2": "no tissue sample lies in it",
        "r3": "only cortex is analysed", "r4": "the expression matrix does not have it",
        "r5": "only the left side is analysed",
    }  # fmt: skip
    assert found.regions == ("r0", "r6") and found.values.tolist() == [0, 6]
    assert found.expression == pytest.approx(whole.values[[0, 6]])


def test_genes_with_holes_or_without_change_are_dropped_and_told():
    matrix = expression(genes="ABCD")
    matrix.values[0, 1] = np.nan
    matrix.values[:, 2] = 4.0
    with pytest.warns(FalxNotice, match=r"e: genes without a value .* are dropped .found: 2"):
        found = join(regions(), matrix)
    assert found.genes == ("A", "D") and found.expression.shape == (5, 2)
    matrix.values[1, :] = [np.nan, 1, 4, np.nan]
    with pytest.raises(InputError, match=r"no gene has a value in every .*4 genes in 5 regions"):
        join(regions(), matrix)


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (regions(regions=tuple("abcde")), r"share no region .found: 'a' and 'r0'"),
        (
            regions(values=np.full(5, np.nan)),
            r"no region is left .found: 5 regions of which",
        ),
        (
            regions(centroids_mm=np.full((5, 3), np.nan)),
            "positions of the regions are not known",
        ),
    ],
)
def test_maps_that_meet_no_expression(table, told):
    with pytest.raises(InputError, match=told):
        join(table, expression())


def test_dates_become_genes_where_only_one_is_possible():
    matrix = expression(genes=["7-Sep", "SEPT9", "9-Sep", "1-Dec", "A"])
    with pytest.warns(FalxNotice, match=r"into dates .found: 7-Sep → SEPT7, 9-Sep → "):
        found = join(regions(), matrix)
    assert found.genes == ("SEPT7", "SEPT9", "9-Sep", "1-Dec", "A")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("region,value\na,1\na,2\n", "t.csv: a region occurs twice"),
        ("region,value\n", "t.csv: the table has no rows"),
        ("region,other\na,1\n", r"found: region, other.; name them region and value"),
    ],
)
def test_tables_that_are_no_map(content, told):
    with pytest.raises(InputError, match=told):
        read_region_table(text(content, "t.csv"))


def test_matrices_hold_each_region_and_gene_once():
    found = read_expression(SourceText("m.csv", "region,A,B\nr0,1,\nr1,2,3\n", "ab"))
    assert (found.regions, found.genes, found.sha256) == (("r0", "r1"), ("A", "B"), "ab")
    assert np.isnan(found.values[0, 1]) and found.values[1].tolist() == [2, 3]
    with pytest.raises(InputError, match="m.csv: a region occurs twice"):
        read_expression(text("region,A\nr0,1\nr0,2\n", "m.csv"))
    with pytest.raises(InputError, match="occurs twice"):
        read_expression(text("region,A,A\nr0,1,2\n", "m.csv"))


def small_atlas():
    labels = np.zeros((8, 4, 4), np.int32)
    labels[1:3], labels[5:7] = 1, 2
    affine = np.diag([2.0, 2, 2, 1])
    affine[:3, 3] = [-7, 0, 0]
    rows = (LabelRow(1, "a_L", "left", "cortex"), LabelRow(2, "a_R", "right", "Subcortex"))
    return make_atlas(Image(labels, affine), rows)


def test_an_atlas_gives_place_block_and_side():
    atlas = small_atlas()
    table = regions(2, regions=("a_R", "a_L"))
    found = placed(table, atlas)
    assert found.centroids_mm.tolist() == [[4, 3, 3], [-4, 3, 3]]
    assert (found.blocks, found.sides) == (("subcortex", "cortex"), ("right", "left"))
    assert found.values is table.values
    with pytest.raises(InputError, match=r"the atlas does not know .found: r0, r1"):
        placed(regions(2), atlas)


def test_a_map_is_averaged_in_its_regions_and_low_coverage_is_noted():
    atlas = small_atlas()
    data = np.broadcast_to(np.arange(8.0)[:, None, None], (8, 4, 4)).astype(np.float32)
    found = table_of_map(Image(data, atlas.image.affine), atlas, name="m")
    assert found.values == pytest.approx([1.5, 5.5]) and found.notes == ()
    half = Image(data[:6], atlas.image.affine)
    assert table_of_map(half, atlas, name="m").notes == ()  # one half of a_R
    part = Image(data[:6, :3], half.affine)
    cut = table_of_map(part, atlas, name="m")
    assert cut.notes == ("less than half of 1 regions lies inside the map: a_R",)
    assert cut.values == pytest.approx([1.5, 5.0])
    with pytest.raises(InputError, match=r"1 regions have no voxel in the map .found: a_R"):
        table_of_map(Image(data[:5], half.affine), atlas, name="m")


# Null maps


def place(n: int = 24, seed: int = 0, **changed: object) -> Positions:
    rng = np.random.default_rng(seed)
    plain = {"centroids_mm": rng.uniform(-60, 60, (n, 3)), "blocks": ("cortex",) * n}
    return Positions(**{**plain, **changed})


@pytest.mark.parametrize(
    ("n", "values", "method", "told"),
    [
        (19, None, "moran", r"too few regions .*found: 19 regions.; use an atlas with"),
        (24, np.ones(24), "moran", "the map is constant; check what was averaged"),
        (24, np.full(24, np.nan), "moran", "the map has missing values; leave those regions out"),
        (24, np.arange(23.0), "moran", r"differ in regions .found: 23 and 24"),
        (24, None, {"subcortex": "moran"}, r"blocks have no null method .found: .'cortex'."),
        (24, None, "spin_nearest", "a spin needs the regions on the cortical sphere"),
    ],
)
def test_maps_that_have_no_null(n, values, method, told):
    y = np.arange(float(n)) ** 2 if values is None else values
    with pytest.raises(InputError, match=told):
        null_maps(y, place(n), 3, np.random.default_rng(0), method=method)


def test_small_blocks_lost_sides_and_places_off_the_cortex_are_refused():
    y, rng = np.arange(24.0) ** 2, np.random.default_rng(0)
    mixed = place(blocks=("cortex",) * 20 + ("subcortex",) * 4)
    with pytest.raises(InputError, match=r"a block is too small .*found: .'subcortex': 4."):
        null_maps(y, mixed, 3, rng, method={"cortex": "moran", "subcortex": "moran"})
    sphere = rng.normal(size=(24, 3))
    sphere[3] = np.nan
    sides = ("left",) * 24
    with pytest.raises(InputError, match=r"undefined off the cortex .found: 1 regions without"):
        null_maps(y, place(sides=sides, sphere=sphere), 3, rng, method="spin_nearest")
    sphere[3] = 1.0
    with pytest.raises(InputError, match="a spun region has no side"):
        null_maps(y, place(sides=(None, *sides[1:]), sphere=sphere), 3, rng, method="spin_vasa")
    with pytest.raises(InputError, match=r"positions differ in length .found: .23, 24."):
        place(sides=("left",) * 23)
    with pytest.raises(OptionError, match="number of null maps is out of range"):
        null_maps(y, place(), 0, rng)


@pytest.mark.parametrize(
    ("plan", "told"),
    [("morann", "did you mean 'moran'"), ("cortex=spun", "did you mean 'spin'"),
     ("cortex=spin,subcortex", "null.*found: ''")],
)  # fmt: skip
def test_plans_that_name_no_null(plan, told):
    with pytest.raises(OptionError, match=told):
        null_plan(plan)
    with pytest.raises(OptionError):
        Settings(null=plan)


@few
@given(SEEDS)
def test_moran_maps_keep_mean_spread_and_index(seed):
    rng = np.random.default_rng(seed)
    points, y = rng.uniform(-60, 60, (22, 3)), rng.normal(size=22)
    d = distances(points)
    for i, j in ((0, 1), (5, 20)):
        assert d[i, j] == pytest.approx(np.sqrt(((points[i] - points[j]) ** 2).sum()))
    W = inverse_distance_weights(d)
    z = y - y.mean()
    index = 22 / W.sum() * sum(W[i, j] * z[i] * z[j] for i in range(22) for j in range(22))
    assert moran_index(y, W) == pytest.approx(index / (z**2).sum())
    maps = moran_maps(y, d, 5, rng)
    assert maps.mean(axis=1) == pytest.approx(y.mean())
    assert maps.std(axis=1) == pytest.approx(y.std())
    assert moran_index(maps, W) == pytest.approx(float(moran_index(y, W)))
    d[3, 4] = d[4, 3] = 0
    with pytest.raises(InputError, match="two regions share a position"):
        inverse_distance_weights(d)


@few
@given(SEEDS)
def test_variograms_weigh_pairs_by_their_distance(seed):
    rng = np.random.default_rng(seed)
    d = distances(rng.uniform(-60, 60, (12, 3)))
    x = rng.normal(size=12)
    found = make_variogram(d, percentile=100.0, n_bins=25)
    pairs = [(i, j) for i in range(12) for j in range(i + 1, 12)]
    apart = np.array([d[p] for p in pairs])
    assert found.lags_mm == pytest.approx(np.linspace(apart.min(), apart.max(), 25))
    width = 3 * (found.lags_mm[1] - found.lags_mm[0])
    half = 0.5 * np.array([(x[i] - x[j]) ** 2 for i, j in pairs])
    for bin_ in (0, 12, 24):
        w = np.exp(-((2.68 * (found.lags_mm[bin_] - apart) / width) ** 2) / 2)
        assert found(x)[bin_] == pytest.approx((w * half).sum() / w.sum())
    with pytest.raises(InputError, match=r"too few regions for a variogram .found: 6 pairs"):
        make_variogram(d[:4, :4], percentile=100.0)
    smooth = smoothers(d, (0.25,))[0]
    assert smooth.sum(axis=1) == pytest.approx(1) and (np.diag(smooth) == 0).all()
    for row in range(12):
        near = np.argsort(np.where(np.arange(12) == row, np.inf, d[row]))[:3]
        assert set(np.flatnonzero(smooth[row])) == set(near)
        w = np.exp(-d[row, near] / d[row, near[-1]])
        assert smooth[row, near] == pytest.approx(w / w.sum())


def test_a_fitted_field_is_the_likeliest_of_its_grid_and_drawn_from(rng):
    d = distances(rng.uniform(-40, 40, (40, 3)))
    factor = np.linalg.cholesky(np.exp(-d / 20) + 1e-9 * np.eye(40))
    y = 5 + 2 * factor @ rng.normal(size=40)
    field = fit_field(y, d)
    white = np.linalg.solve(field.factor, np.column_stack([y, np.ones(40)]))
    assert field.mean == pytest.approx(white[:, 1] @ white[:, 0] / (white[:, 1] @ white[:, 1]))
    left = white[:, 0] - field.mean * white[:, 1]
    assert field.variance == pytest.approx(left @ left / 39)
    maps = gaussian_maps(y, d, 3000, rng)
    assert maps.mean() == pytest.approx(field.mean, abs=0.3)
    assert maps.var(axis=0).mean() == pytest.approx(field.variance, rel=0.1)


@few
@given(SEEDS, st.sampled_from(["nearest", "vasa", "hungarian"]))
def test_spins_keep_sides_and_turn_mirror_regions_alike(seed, method):
    rng = np.random.default_rng(seed)
    left = rng.normal(size=(8, 3))
    points = np.vstack([left, left * [-1, 1, 1]])
    sides = ["left"] * 8 + ["right"] * 8
    moved = spin_assignments(points, sides, 4, rng, method=method)
    assert (moved[:, :8] < 8).all() and (moved[:, 8:] >= 8).all()
    assert (moved[:, 8:] == moved[:, :8] + 8).all()
    assert not (moved == np.arange(16)).all(axis=1).any()
    if method != "nearest":
        assert (np.sort(moved, axis=1) == np.arange(16)).all()
    with pytest.raises(InputError, match="every spun region needs a side; leave midline regions"):
        spin_assignments(points, [*sides[:-1], None], 1, rng)
    with pytest.raises(OptionError, match="did you mean 'vasa'"):
        spin_assignments(points, sides, 1, rng, method="vaso")


def test_rotations_and_directions_are_of_length_one(rng):
    turns = random_rotations(50, rng)
    assert turns @ turns.transpose(0, 2, 1) == pytest.approx(np.tile(np.eye(3), (50, 1, 1)))
    assert np.linalg.det(turns) == pytest.approx(1)
    xyz = rng.uniform(-60, 60, (7, 3))
    blocks = ("cortex",) * 5 + ("subcortex", "cortex")
    sides = ("left", "left", "left", "right", "right", "left", None)
    found = centroid_points(xyz, blocks, sides)
    assert np.isnan(found[5:]).all()
    away = xyz[:3] - xyz[:3].mean(axis=0)
    assert found[:3] == pytest.approx(away / np.linalg.norm(away, axis=1, keepdims=True))
    assert found[3] == pytest.approx(-found[4])
    middle = np.array([[0.0, 0, 0], [-1, 0, 0], [1, 0, 0]])
    placed_ = centroid_points(middle, ("cortex",) * 3, ("left",) * 3)
    assert np.isnan(placed_[0]).all() and placed_[1:, 0].tolist() == [-1, 1]
    alone = centroid_points(xyz[:1], ("cortex",), ("left",))
    assert np.isnan(alone).all()
    with pytest.warns(FalxNotice, match="spun by the direction of their centroids"):
        _tell_of_errors({"spin_nearest"}, restored=True, projected=True)


# Networks


def test_a_network_counts_edges_once_and_keeps_who_has_no_partner():
    network = make_network([("b", "a"), ("c", "b")], Origin("n"))
    assert isinstance(network, Network)
    assert (network.n_edges, network.edges()) == (2, (("a", "b"), ("b", "c")))
    part = network.induced(["a", "c", "zz"])
    assert part.neighbours == {} and part.n_edges == 0
    assert network.induced(["a", "c"], keep_isolated=True).neighbours == {
        "a": frozenset(), "c": frozenset(),
    }  # fmt: skip
