"""Cases of gene files: what an independent reading of the same text gives, or a sentence."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from falx.genes.blood.counts import read_counts
from falx.genes.files import source_text
from falx.genes.network.interactions import read_network
from falx.genes.sets.library import read_aliases, read_gmt
from falx.genes.sets.ontology import go_sets
from falx.genes.sets.regulators import read_trrust
from falx.genes.sets.specificity import read_specificity, read_tissue_expression
from falx.genes.tables import read_expression, read_region_table
from falx.studies.genes.lists import read_gene_list
from fuzzing import Case, SilentError, damaged

CELLS = ("", "n/a", "NaN", "x", "1e400", "-1", "0", "1,5", '"', "\t", "1-Mar", "7.5", "∞", "0x1A")


def _mixed(case: Case, text: str, between: str) -> bytes:
    """Damage a table by its bytes, a cell, a line, or its header."""
    rng = case.rng
    kind = rng.choice(["bytes", "bytes", "cell", "cell", "line", "twice", "header", "ends"])
    lines = [line.split(between) for line in text.splitlines()]
    if kind == "bytes":
        return damaged(text.encode(), rng)
    row = rng.choice(lines)
    if kind == "cell":
        row[rng.randrange(len(row))] = rng.choice(CELLS)
    elif kind == "line":
        lines.remove(row)
    elif kind == "twice":
        lines.append(list(row))
    elif kind == "header":
        lines[0][rng.randrange(len(lines[0]))] = rng.choice([*CELLS, *lines[0]])
    ends = rng.choice(["\r\n", "\r", "\n\n"]) if kind == "ends" else "\n"
    return (ends.join(between.join(line) for line in lines) + "\n").encode()


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return float("nan")


def expression(case: Case) -> str:
    """Regions by genes: each value belongs to the region and gene under whose name it stands."""
    genes, regions = [f"G{i}" for i in range(6)], [f"r{i}" for i in range(5)]
    values = case.numbers.normal(size=(5, 6)).round(4)
    rows = [",".join([name, *map(str, row)]) for name, row in zip(regions, values, strict=True)]
    text = "\n".join([",".join(["region", *genes]), *rows]) + "\n"
    path = case.write("expression.csv", _mixed(case, text, ","))
    found = read_expression(source_text(path))
    told = {line.split(",")[0].strip(): line.split(",")[1:] for line in _lines(path)[1:]}
    header = _lines(path)[0].split(",")[-len(found.genes) :]
    for name, row in zip(found.regions, found.values, strict=True):
        cells = {g.strip(): _number(c) for g, c in zip(header, told[name], strict=False)}
        mine = dict(zip(found.genes, row, strict=True))
        if not np.array_equal([cells[g] for g in mine], list(mine.values()), equal_nan=True):
            raise SilentError(f"{name}: {mine} for {cells}")
        if np.isinf(row).any():
            raise SilentError("an infinite expression")
    return "right"


def _lines(path: object) -> list[str]:
    text = source_text(path).text  # type: ignore[arg-type]
    return [line for line in text.splitlines() if line.strip().strip("\ufeff")]


def region_table(case: Case) -> str:
    """A table of a map: values and places by name, sides by letter."""
    rng, n = case.rng, 6
    lines = ["region\tvalue\tx_mm\ty_mm\tz_mm\tblock\tside"]
    for i in range(n):
        x, y, z, v = (rng.uniform(-60, 60) for _ in range(4))
        lines.append(f"r{i}\t{v:.3f}\t{x:.1f}\t{y:.1f}\t{z:.1f}\tcortex\t{rng.choice('LR')}")
    path = case.write("map.tsv", _mixed(case, "\n".join(lines), "\t"))
    found = read_region_table(source_text(path))
    if len({len(found.regions), len(found.values), len(found.sides)}) != 1:
        raise SilentError("columns of different length")
    if not all(name for name in found.regions) or np.isinf(found.values).any():
        raise SilentError(f"nameless or infinite: {found.regions}, {found.values}")
    rows = {line.split("\t")[0].strip(): line.split("\t") for line in _lines(path)[1:]}
    header = [name.strip().casefold() for name in _lines(path)[0].split("\t")]
    if "value" in header and header.count("value") == 1 and '"' not in path.read_text("latin-1"):
        for name, value in zip(found.regions, found.values, strict=True):
            if name in rows and header.index("value") < len(rows[name]):
                told = _number(rows[name][header.index("value")])
                if not np.isclose(told, value, equal_nan=True):
                    raise SilentError(f"{name}: {value} for {told}")
    return "right"


def gene_sets(case: Case) -> str:
    """A GMT file: the genes of a line belong to the set at its head."""
    rng = case.rng
    lines = [
        "\t".join([f"set {i}", rng.choice(["", "NA", "http://x"])]
                  + [f"G{rng.randrange(40)}" for _ in range(rng.randrange(1, 9))])
        for i in range(rng.randrange(1, 6))
    ]  # fmt: skip
    path = case.write("sets.gmt", _mixed(case, "\n".join(lines) + "\n", "\t"))
    found = read_gmt(source_text(path))
    for name, genes in found.sets.items():
        if not name or not all(genes):
            raise SilentError(f"a nameless set or gene: {name!r} {genes}")
    return "right"


def gene_list(case: Case) -> str:
    """A list of genes: every line one gene, none empty."""
    rng = case.rng
    text = "\n".join(["gene"] * rng.randrange(2) + [f"G{i}" for i in range(8)]) + "\n"
    path = case.write("list.txt", _mixed(case, text, "\t"))
    found = read_gene_list(source_text(path))
    if not found or not all(found):
        raise SilentError(f"empty names: {found}")
    return "right"


STRING = "protein1 protein2 combined_score"
BIOGRID = "\t".join([
    "#BioGRID ID", "Official Symbol Interactor A", "Official Symbol Interactor B",
    "Experimental System Type", "Organism ID Interactor A", "Organism ID Interactor B",
])  # fmt: skip


def network(case: Case) -> str:
    """Interactions in four forms: edges join genes that stand in one line."""
    rng = case.rng
    pairs = [(rng.randrange(9), rng.randrange(9)) for _ in range(12)]
    form = rng.choice(["list", "string", "biogrid", "indexed"])
    files = {
        "list": [("\n".join(f"G{a}\tG{b}" for a, b in pairs), "\t")],
        "string": [("\n".join([STRING, *(f"9606.G{a} 9606.G{b} {rng.randrange(999)}"
                                          for a, b in pairs)]), " ")],
        "biogrid": [("\n".join([BIOGRID, *(f"1\tG{a}\tG{b}\tphysical\t9606\t9606"
                                            for a, b in pairs)]), "\t")],
        "indexed": [("\n".join(f"{a}\t{b}" for a, b in pairs), "\t"),
                    ("\n".join(f"{a}\tG{a}" for a in range(9)), "\t")],
    }[form]  # fmt: skip
    spoilt = rng.randrange(len(files))
    sources = []
    for place, (text, between) in enumerate(files):
        data = _mixed(case, text + "\n", between) if place == spoilt else (text + "\n").encode()
        sources.append(source_text(case.write(f"n{place}.tsv", data)))
    found = read_network(sources)
    for gene, partners in found.neighbours.items():
        if not gene.strip() or gene in partners or not partners:
            raise SilentError(f"{form}: {gene!r} with {partners}")
        if any(gene not in found.neighbours[other] for other in partners):
            raise SilentError("an edge of one direction")
    return "right"


def blood_counts(case: Case) -> str:
    """Counts of RNA: whole, not negative, and under the name of their sample."""
    values = case.numbers.integers(0, 500, (6, 4))
    rows = [",".join([f"G{i}", *map(str, row)]) for i, row in enumerate(values)]
    text = "\n".join([",".join(["gene", "a", "b", "c", "d"]), *rows]) + "\n"
    path = case.write("counts.csv", _mixed(case, text, ","))
    found = read_counts(source_text(path))
    if found.values.min() < 0 or found.values.shape != (len(found.genes), len(found.samples)):
        raise SilentError("negative counts, or names that do not fit")
    if not all(found.genes) or not all(found.samples):
        raise SilentError(f"nameless: {found.genes}, {found.samples}")
    return "right"


TRRUST = "STAT3\tBRCA1\tActivation\t123;456\nTP53\tMYC\tRepression\t1\nFOS\tJUN\tUnknown\t2\n"
OBO = (
    "format-version: 1.2\n\n[Term]\nid: GO:1\nname: root\nnamespace: biological_process\n\n"
    "[Term]\nid: GO:2\nname: leaf\nnamespace: biological_process\nis_a: GO:1 ! root\n"
)
GAF = "!gaf-version: 2.2\n" + "".join(
    f"UniProtKB\tP{i}\tG{i}\tinvolved_in\tGO:2\tPMID:1\tIDA\t\tP\t\t\tprotein\ttaxon:9606\t"
    "20200101\tX\t\t\n"
    for i in range(6)
)  # fmt: skip
TISSUES = "gene\tbrain\tliver\theart\n" + "".join(
    f"G{i}\t{9 * (i % 2)}\t1\t{i}\n" for i in range(8)
)
READERS: tuple[tuple[str, Callable[..., object]], ...] = (
    (TRRUST, read_trrust),
    (TISSUES, read_tissue_expression),
    (TISSUES, read_specificity),
    ("alias\tsymbol\nA1\tG1\nA2\tG2\n", read_aliases),
)


def knowledge(case: Case) -> str:
    """Regulators, tissues, aliases and ontologies: read whole, or a sentence."""
    rng = case.rng
    if rng.random() < 0.3:
        texts = [OBO.encode(), GAF.encode()]
        spoilt = rng.randrange(2)
        texts[spoilt] = damaged(texts[spoilt], rng)
        obo, gaf = (case.write(f"o{i}.txt", text) for i, text in enumerate(texts))
        go_sets(source_text(obo), source_text(gaf), aspect="BP")
        return "right"
    text, read = rng.choice(READERS)
    read(source_text(case.write("k.tsv", _mixed(case, text, "\t"))))
    return "right"


def packed_text(case: Case) -> str:
    """A text that is packed with a checksum."""
    import gzip

    text = "gene\n" + "\n".join(f"G{i}" for i in range(40))
    path = case.write("list.txt.gz", damaged(gzip.compress(text.encode(), mtime=0), case.rng))
    if source_text(path).text != text:
        raise SilentError("another text under a checksum that is right")
    return "right"
