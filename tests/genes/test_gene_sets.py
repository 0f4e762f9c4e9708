"""Gene-set readers and tests: counts of real files, scipy, explicit loops."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import cohen_kappa_score

from falx.core.errors import FalxNotice, InputError
from falx.data.enigma import gwas_genes
from falx.genes.association import correlate
from falx.genes.files import source_text
from falx.genes.sets.ensemble import ensemble_enrichment
from falx.genes.sets.library import GeneSetLibrary, Origin, SourceText, read_gmt, restrict
from falx.genes.sets.ontology import go_sets, read_obo
from falx.genes.sets.ora import hypergeometric_tail, over_representation
from falx.genes.sets.ranked import enrichment_scores, ranked_enrichment
from falx.genes.sets.regulators import Regulation, read_trrust, regulator_sets, signed_regulators
from falx.genes.sets.specificity import read_specificity, specific_sets, tissue_specificity
from falx.genes.sets.themes import compare_lists, find_themes, kappa_matrix, theme_network
from falx.genes.symbols import match_symbols

UNIVERSE = tuple(f"G{i}" for i in range(200))


@pytest.fixture
def library(rng):
    sets = {
        f"S{i}": tuple(rng.choice(UNIVERSE, rng.integers(5, 40), replace=False)) for i in range(40)
    }
    sets["planted"] = UNIVERSE[:20]
    sets["planted too"] = UNIVERSE[:18]
    return GeneSetLibrary("made", sets, Origin("made"))


# Counts of notes/genes.md section 2.4.
LIBRARIES = {
    "enrichr.GO_Biological_Process_2021.gmt.gz": (6036, 14937),
    "h.all.v7.0.symbols.gmt.gz": (50, 4384),
    "ReactomePathways_2024-09-18.gmt.gz": (2694, 11668),
    "trrust_rawdata.human.gmt.gz": (795, None),
}


def check_library(path, n_sets, n_genes):
    library = read_gmt(source_text(path))
    assert len(library.sets) == n_sets
    assert n_genes in (None, len(library.genes))
    assert "" not in library.genes
    assert len(library.origin.sha256) == 64


@pytest.mark.parametrize("file", LIBRARIES)
def test_libraries_in_circulation_are_read(reference, file):
    check_library(reference / "gene_sets" / file, *LIBRARIES[file])


def test_names_with_commas_stay_whole(reference):
    library = read_gmt(source_text(reference / "gene_sets/ReactomePathways_2024-09-18.gmt.gz"))
    assert "18S rRNA, 5.8S rRNA, 28S rRNA" in library.genes
    assert "Activation of NIMA Kinases NEK9, NEK6, NEK7" in library.sets


def test_trrust_forms_agree(reference):
    folder = reference / "gene_sets"
    table, origin = read_trrust(source_text(folder / "trrust_rawdata.human.tsv.gz"))
    gmt, _ = read_trrust(source_text(folder / "trrust_rawdata.human.gmt.gz"))
    assert len(table) == len(gmt) == 8427
    assert len({r.factor for r in table}) == 795
    assert len({r.target for r in table}) == 2492
    ours, theirs = ({(r.factor, r.target) for r in form} for form in (table, gmt))
    damaged = ours - theirs
    assert len(damaged) == 4
    assert all("-0" in "".join(pair) for pair in damaged)
    assert sum(len(r.modes) > 1 for r in table) == 845
    assert len(regulator_sets(table, origin).sets["SP1"]) == 472


def test_gwas_genes_in_go_biological_process(reference):
    """notes/genes.md check 16, scipy's values."""
    library = read_gmt(
        source_text(reference / "gene_sets/enrichr.GO_Biological_Process_2021.gmt.gz")
    )
    universe = sorted(library.genes)
    sets = restrict(library, universe, smallest=1, largest=10**6)
    result = over_representation(match_symbols(gwas_genes(), universe).found, sets)
    row = {name.split(" (")[0]: i for i, name in enumerate(result.names)}
    cation, action = row["cation transport"], row["neuronal action potential"]
    assert (result.overlap[cation], result.set_size[cation]) == (5, 174)
    assert result.p[cation] == pytest.approx(3.542785889e-6, rel=1e-9)
    assert result.q[cation] == pytest.approx(0.0109415228, rel=1e-8)
    assert (result.overlap[action], result.set_size[action]) == (3, 22)
    assert result.p[action] == pytest.approx(3.625421721e-6, rel=1e-9)
    assert (result.q < 0.05).sum() == 6
    assert len(result.names) == 6036


def test_gwas_genes_in_reactome(reference):
    """notes/genes.md check 17."""
    library = read_gmt(source_text(reference / "gene_sets/ReactomePathways_2024-09-18.gmt.gz"))
    universe = sorted(library.genes)
    sets = restrict(library, universe, smallest=1, largest=10**6, any_case=False)
    found = match_symbols(gwas_genes(), universe, any_case=False).found
    result = over_representation(found, sets)
    row = result.names.index("Interaction between L1 and Ankyrins")
    assert len(found) == 18
    assert (result.overlap[row], result.set_size[row]) == (3, 31)
    assert result.p[row] == pytest.approx(1.3488373977e-5, rel=1e-9)
    assert result.q[row] == pytest.approx(0.020029, rel=1e-4)
    assert (result.q < 0.05).sum() == 2


def test_kappa_anchor(reference):
    """notes/genes.md check 18."""
    library = read_gmt(
        source_text(reference / "gene_sets/enrichr.GO_Biological_Process_2021.gmt.gz")
    )
    sets = restrict(library, sorted(library.genes), smallest=1, largest=10**6)
    rows = [
        next(i for i, n in enumerate(sets.names) if go in n) for go in ("GO:0031175", "GO:0007399")
    ]
    assert sets.sizes[rows].tolist() == [171, 447]
    assert kappa_matrix(sets, rows)[0, 1] == pytest.approx(0.095045577, abs=1e-9)


def test_kappa_is_scikit_learns(library):
    sets = restrict(library, UNIVERSE)
    kappa = kappa_matrix(sets, range(10))
    dense = sets.membership.toarray()
    for i, j in ((0, 1), (3, 8), (5, 5)):
        assert kappa[i, j] == pytest.approx(cohen_kappa_score(dense[i], dense[j]), abs=1e-12)


def test_hypergeometric_tail_is_scipys(rng):
    N = rng.integers(50, 15000, 400)
    for total in N:
        M, n = rng.integers(1, total, 2)
        k = int(rng.integers(max(0, M + n - total), min(M, n) + 1))
        ours = hypergeometric_tail([k], [M], n, total)[0]
        assert ours == pytest.approx(stats.hypergeom.sf(k - 1, total, M, n), rel=1e-9, abs=1e-12)
    assert hypergeometric_tail([0, 3], [10, 3], 3, 10).tolist() == pytest.approx([1.0, 1 / 120])


def test_planted_list_is_found_and_grouped(library):
    sets = restrict(library, UNIVERSE)
    result = over_representation(UNIVERSE[:22], sets)
    assert result.names[result.order()[0]] == "planted"
    assert result.factor[result.order()[0]] == pytest.approx(200 / 22)
    themes = find_themes(result, sets)
    assert themes.themes[0].terms == ("planted", "planted too")
    network = theme_network(themes)
    assert ("planted", "planted too") in {edge[:2] for edge in network.edges}


def test_no_enriched_term_gives_no_theme(library):
    sets = restrict(library, UNIVERSE)
    result = over_representation(UNIVERSE[::2], sets)
    assert find_themes(result, sets, p_below=1e-12).themes == ()


def test_empty_and_full_lists_are_refused(library):
    sets = restrict(library, UNIVERSE)
    with pytest.raises(InputError, match="gene list is empty"):
        over_representation([], sets)
    with pytest.raises(InputError, match="every tested gene"):
        over_representation(UNIVERSE, sets)
    with pytest.warns(FalxNotice, match="outside the tested ones"):
        over_representation([*UNIVERSE[:5], "ELSEWHERE"], sets)


def test_size_filter_follows_intersection(library):
    sets = restrict(library, UNIVERSE[:100], smallest=5, largest=15)
    assert sets.sizes.min() >= 5
    assert sets.sizes.max() <= 15
    assert len(sets.names) + sets.too_small + sets.too_large == len(library.sets)
    with pytest.raises(InputError, match="no gene set is left"):
        restrict(library, ("X1", "X2"))


def test_random_lists_find_nothing(library, rng):
    sets = restrict(library, UNIVERSE)
    found = [
        (over_representation(rng.choice(UNIVERSE, 40, replace=False), sets).q < 0.05).sum()
        for _ in range(40)
    ]
    assert np.mean(np.array(found) > 0) < 0.15


def planted_expression(rng):
    X = rng.standard_normal((60, 200))
    y = rng.standard_normal(60)
    X[:, :20] += 0.8 * y[:, None]
    return X, y, rng.standard_normal((999, 60))


@pytest.mark.parametrize("correlation", ["pearson", "spearman"])
def test_ensemble_equals_a_plain_loop(library, rng, correlation):
    X, y, nulls = planted_expression(rng)
    sets = restrict(library, UNIVERSE)
    result = ensemble_enrichment(X, y, nulls, sets, correlation=correlation)
    r, null_r = (
        correlate(X, y, correlation=correlation)[:, 0],
        correlate(X, nulls, correlation=correlation),
    )
    for row in (0, 7, len(sets.names) - 2):
        columns = [UNIVERSE.index(g) for g in sets.members(sets.names[row])]
        score, null = r[columns].mean(), null_r[columns].mean(axis=0)
        assert result.score[row] == pytest.approx(score)
        assert result.p[row] == (1 + (np.abs(null) >= abs(score) - 1e-12).sum()) / 1000
        assert result.z[row] == pytest.approx((score - null.mean()) / null.std(ddof=1))
    planted = result.names.index("planted")
    assert result.q[planted] < 0.05
    assert result.p_max[planted] < 0.05


def test_shuffled_genes_lose_the_planted_set(library, rng):
    X, y, nulls = planted_expression(rng)
    shuffled = X[:, rng.permutation(200)]
    result = ensemble_enrichment(shuffled, y, nulls, restrict(library, UNIVERSE))
    assert result.q[result.names.index("planted")] > 0.05


def naive_score(statistic, members):
    order = np.argsort(-statistic, kind="stable")
    inside = np.isin(order, list(members))
    step = np.where(inside, np.abs(statistic[order]), 0.0)
    walk = np.cumsum(step / step.sum()) - np.cumsum(~inside) / (~inside).sum()
    return walk[np.argmax(np.abs(walk))]


def test_ranked_score_equals_the_running_sum(library, rng):
    sets = restrict(library, UNIVERSE)
    statistic = rng.standard_normal(200)
    score = enrichment_scores(statistic, sets)
    for row, name in enumerate(sets.names):
        members = [UNIVERSE.index(g) for g in sets.members(name)]
        assert score[row] == pytest.approx(naive_score(statistic, members), abs=1e-12)


def test_ranked_enrichment_finds_the_planted_set(library, rng):
    X, y, nulls = planted_expression(rng)
    sets = restrict(library, UNIVERSE)
    result = ranked_enrichment(correlate(X, y)[:, 0], correlate(X, nulls[:300]), sets)
    planted = result.names.index("planted")
    assert result.score[planted] > 0.6
    assert result.normalised[planted] > 1.5
    assert result.p[planted] == result.p.min()


def test_lists_are_compared(library):
    sets = restrict(library, UNIVERSE)
    both = compare_lists({"a": UNIVERSE[:20], "b": UNIVERSE[10:40]}, sets)
    assert both.gene_overlap[0, 1] == pytest.approx(10 / 40)
    assert list(both.results) == ["a", "b", "union"]
    assert (both.p_combined >= both.p_best - 1e-12).all()
    with pytest.raises(InputError, match="at least two"):
        compare_lists({"a": UNIVERSE[:20]}, sets)


def test_signed_regulators():
    regulations = [Regulation("TF", f"G{i}", ("Activation",), ()) for i in range(10)]
    regulations += [Regulation("TF", f"G{i}", ("Repression",), ()) for i in range(10, 15)]
    regulations += [Regulation("TF", "G99", ("Unknown", "Activation", "Repression"), ())]
    fits = signed_regulators(regulations, UNIVERSE[:10], UNIVERSE[10:20], UNIVERSE)
    assert (fits.consistent[0], fits.opposed[0]) == (15, 0)
    assert fits.p[0] < 1e-6
    reverse = signed_regulators(regulations, UNIVERSE[10:20], UNIVERSE[:10], UNIVERSE)
    assert (reverse.consistent[0], reverse.opposed[0]) == (0, 15)


def test_specificity(tmp_path):
    result = tissue_specificity(
        [[0, 4.0, 0], [3, 3, 3], [10, 1, 0]], ("A", "B", "C"), ("x", "y", "z")
    )
    assert result.tau == pytest.approx([1.0, 0.0, (1 - 0.1 + 1) / 2])
    assert specific_sets(result).sets == {"x": ("C",), "y": ("A",)}
    path = tmp_path / "pagenbase.csv"
    path.write_text("gene,tissue,class\nA,DRG,specific\nB,DRG,housekeeping\nC,heart,selective\n")
    assert read_specificity(source_text(path)).sets == {"DRG": ("A",), "heart": ("C",)}
    with pytest.raises(InputError, match="not negative"):
        tissue_specificity([[-1.0, 2.0]], ("A",), ("x", "y"))


OBO = """format-version: 1.2
data-version: releases/2024-01-01

[Term]
id: GO:1
name: root
namespace: biological_process

[Term]
id: GO:2
name: middle
namespace: biological_process
alt_id: GO:22
is_a: GO:1 ! root

[Term]
id: GO:3
name: leaf
namespace: biological_process
relationship: part_of GO:2 ! middle
relationship: regulates GO:9 ! other

[Term]
id: GO:4
name: gone
is_obsolete: true
"""


def gaf_line(symbol, term, qualifier="", evidence="IDA"):
    return "\t".join(["UniProtKB", "P1", symbol, qualifier, term, "PMID:1", evidence, *[""] * 10])


def test_annotations_climb_the_ontology(tmp_path):
    (tmp_path / "go.obo").write_text(OBO)
    lines = [
        "!gaf-version: 2.2",
        gaf_line("LEAF", "GO:3"),
        gaf_line("MID", "GO:22"),
        gaf_line("NEVER", "GO:3", qualifier="NOT|involved_in"),
        gaf_line("NODATA", "GO:1", evidence="ND"),
    ]
    (tmp_path / "go.gaf.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    obo, gaf = (source_text(tmp_path / name) for name in ("go.obo", "go.gaf.gz"))
    library = go_sets(obo, gaf)
    assert {n: set(g) for n, g in library.sets.items()} == {
        "root (GO:1)": {"LEAF", "MID"},
        "middle (GO:2)": {"LEAF", "MID"},
        "leaf (GO:3)": {"LEAF"},
    }
    assert read_obo(obo).origin.version == "releases/2024-01-01"
    with pytest.raises(InputError, match="no annotation meets"):
        go_sets(obo, gaf, aspect="CC")


TRAILING = """[Term]
id: GO:1
name: root
namespace: biological_process

[Term]
id: GO:2
namespace: biological_process
is_a: GO:1 {is_inferred="true"} ! root

[Term]
id: GO:3
name: leaf
namespace: biological_process
relationship: part_of GO:2 {gci_filler="x"}
"""


def test_qualifiers_behind_a_parent_and_terms_without_a_name():
    """Both stand in files of the OBO Foundry; a reader of lines loses the parents, or stops."""
    gaf = SourceText("go.gaf", gaf_line("LEAF", "GO:3") + "\n" + gaf_line("MID", "GO:2"))
    library = go_sets(SourceText("go.obo", TRAILING), gaf)
    assert {n: set(g) for n, g in library.sets.items()} == {
        "root (GO:1)": {"LEAF", "MID"},
        "GO:2": {"LEAF", "MID"},
        "leaf (GO:3)": {"LEAF"},
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("format-version: 1.2\n", "holds no ontology term"),
        ("[Term]\nword\n", "cannot be read"),
    ],
)
def test_no_ontology(text, told):
    with pytest.raises(InputError, match=rf"go\.obo: the (file|ontology) {told}"):
        read_obo(SourceText("go.obo", text))


def test_gmt_refusals(tmp_path):
    path = tmp_path / "bad.gmt"
    path.write_text("one set,a,b\n")
    with pytest.raises(InputError, match="no tab"):
        read_gmt(source_text(path))
    path.write_text("s\t\ta\tb\ns\t\tc\n")
    with pytest.raises(InputError, match="occurs twice"):
        read_gmt(source_text(path))
    path.write_text("\n")
    with pytest.raises(InputError, match="no gene set"):
        read_gmt(source_text(path))
