"""Files of gene lists and of blood counts: what falx enrich and falx degs read and write."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from falx.core.errors import InputError, collect_notices
from falx.core.files import read_table, write_text
from falx.genes.blood.counts import read_counts
from falx.genes.blood.differential import Comparison, differential
from falx.genes.files import (
    read_design,
    read_known,
    source_text,
)
from falx.studies.genes.configuration import (
    ListsConfiguration,
)
from falx.studies.genes.lists import (
    blood_report,
    enrich_lists,
    imaging_genes,
    read_gene_list,
    read_lists,
    tested_genes,
)
from falx.studies.genes.output_tables import (
    degs_tsv,
    list_terms_tsv,
)
from falx.studies.genes.written import file_name, write_methods, write_network
from falx.studies.methods.study_text import (
    call_text,
    link_section,
    methods_section,
)

__all__ = [
    "BloodFiles",
    "blood_stage",
    "compare_blood",
    "compare_lists_of",
]


@dataclass(frozen=True)
class BloodFiles:
    """Files of the stage of blood counts.

    Parameters
    ----------
    counts, samples
        Inputs: raw counts, genes × samples, and one row a sample.
    degs, page
        Outputs: the table of genes and the page.
    """

    counts: Path
    samples: Path
    degs: Path
    page: Path


def blood_stage(files: BloodFiles, comparison: Comparison, *, threads: int = 1) -> None:
    """Compare groups of blood counts within a study."""
    result = differential(
        read_counts(source_text(files.counts)), read_design(files.samples), comparison,
        threads=threads,
    )  # fmt: skip
    found = blood_report(result, more=[link_section()])
    write_text(files.degs, degs_tsv(result, found.published.genes, found.corrected.genes))
    write_text(files.page, found.page)


def compare_lists_of(
    lists: Sequence[Path], universe: Path | None, configuration: ListsConfiguration, out: Path
) -> Path:
    """Test files of gene lists against knowledge; write tables and a page, and return it.

    Parameters
    ----------
    universe
        Every tested gene; those of the tables of ``falx genes`` and ``falx degs`` if ``None``.
    """
    with collect_notices() as notices:
        known = read_known(configuration)
        if not known.libraries and known.network is None:
            raise InputError(
                "there is nothing to compare the genes with",
                do="give --gene-sets, --regulators or --network",
            )
        given = [read_lists(source_text(path), path.stem) for path in lists]
        if universe is None:
            tested = tested_genes(given)
        else:
            tested = tuple(dict.fromkeys(read_gene_list(source_text(universe))))
    named = [(name, genes) for one in given for name, genes in one.lists.items()]
    if not named:
        raise InputError(
            "no list holds a gene, so there is nothing to test",
            where=", ".join(path.name for path in lists),
            do="an empty list is an answer; --list-rule length of falx genes gives a ranking",
        )
    text = call_text("compare_lists_of", [configuration])
    found = enrich_lists(
        _named_apart(named),
        tested,
        known,
        notices=notices,
        seed=configuration.seed,
        more=[methods_section(text)],
    )
    write_methods(text, out)
    for name, results in found.terms.items():
        write_text(out / f"terms_{file_name(name)}.tsv", list_terms_tsv(results))
    write_network(found.network, out)
    write_text(out / "report.html", found.page)
    return out / "report.html"


def _named_apart(named: Sequence[tuple[str, tuple[str, ...]]]) -> dict[str, tuple[str, ...]]:
    """Give lists of one name a number, as files of several folders may be called alike."""
    times = Counter(name for name, _ in named)
    seen: Counter[str] = Counter()
    out = {}
    for name, genes in named:
        seen[name] += 1
        out[name if times[name] == 1 else f"{name} ({seen[name]})"] = genes
    return out


def compare_blood(
    counts: Path,
    design: Path,
    comparison: Comparison,
    out: Path,
    *,
    imaging: Path | None = None,
    threads: int = 1,
) -> tuple[Path, tuple[str, ...]]:
    """Compare groups of blood counts; write the table and a page, and return it with notices."""
    with collect_notices() as notices:
        genes = None if imaging is None else imaging_genes(read_table(imaging, unique=False))
        result = differential(
            read_counts(source_text(counts)), read_design(design), comparison, threads=threads
        )
    text = call_text("compare_blood", [comparison])
    more = [methods_section(text)]
    found = blood_report(result, imaging=genes, notices=notices, more=more)
    write_methods(text, out)
    write_text(out / "degs.tsv", degs_tsv(result, found.published.genes, found.corrected.genes))
    write_text(out / "report.html", found.page)
    return out / "report.html", tuple(notices)
