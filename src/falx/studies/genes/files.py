"""Files of the study `genes`: expression, maps and lists in; tables and pages out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from falx.atlas.atlas import Atlas
from falx.atlas.files import load_atlas, load_group_atlas
from falx.core.errors import InputError, check_option, collect_notices
from falx.core.files import read_table, write_bytes, write_json, write_table, write_text
from falx.core.possible import check_possible
from falx.genes.ahba.abagen import AbagenOptions, abagen_expression
from falx.genes.ahba.bmhlab import BmhlabOptions, bmhlab_expression
from falx.genes.ahba.files import find_ahba, read_coordinates, read_reannotation
from falx.genes.association_study import Settings
from falx.genes.blood.counts import read_counts
from falx.genes.blood.differential import Comparison, differential
from falx.genes.files import (
    Knowledge,
    Surface,
    read_design,
    read_hemispheres,
    read_known,
    source_text,
)
from falx.genes.network.analysis import graphml, sif
from falx.genes.network.interactions import Network
from falx.genes.network.mcode import Module
from falx.genes.nulls.surface import sphere_points
from falx.genes.tables import (
    Expression,
    RegionTable,
    named_places,
    one_table,
    placed,
    read_expression,
    read_region_table,
    renamed,
    table_of_map,
    with_symbols,
)
from falx.images.nifti import load
from falx.report.figures import png, svg
from falx.studies.genes.blood_overlap import BloodGenes, blood_genes
from falx.studies.genes.configuration import (
    ExpressionSource,
    GenesConfiguration,
    ListsConfiguration,
)
from falx.studies.genes.enigma import enigma_table
from falx.studies.genes.lists import (
    blood_report,
    enrich_lists,
    imaging_genes,
    read_gene_list,
    read_lists,
    tested_genes,
)
from falx.studies.genes.output_tables import (
    components_json,
    degs_tsv,
    genes_tsv,
    left_out_tsv,
    list_terms_tsv,
    regulators_tsv,
    terms_tsv,
)
from falx.studies.genes.study import GenesFindings, relate
from falx.studies.genes.together import relate_together
from falx.studies.genes.together_figures import blood_figure, joint_figure, score_figure
from falx.studies.genes.together_page import joint_tsv, together_page
from falx.studies.methods.study_text import (
    call_text,
    link_section,
    methods_section,
    methods_texts,
)
from falx.studies.methods.text import MethodsText

__all__ = [
    "BloodFiles",
    "ExpressionFiles",
    "GenesFiles",
    "MapFiles",
    "TogetherFiles",
    "blood_stage",
    "compare_blood",
    "compare_lists_of",
    "expression_stage",
    "genes_stage",
    "make_expression",
    "relate_map",
    "together_stage",
    "write_findings",
]

PAPER_DPI = 300
EXAMPLE = "enigma:"
REANNOTATION = "reannotated.csv.gz"
COORDINATES = "corrected_mni_coordinates.csv.gz"


@dataclass(frozen=True, eq=False)
class MadeExpression:
    """A matrix made from an Allen download, and the table of everything that was lost."""

    expression: Expression
    losses: str

    def csv(self) -> str:
        """Region × gene table; a region without samples has empty cells."""
        lines = ["region," + ",".join(self.expression.genes)]
        lines += [
            f"{name}," + ",".join("" if np.isnan(v) else f"{v:.10g}" for v in row)
            for name, row in zip(self.expression.regions, self.expression.values, strict=True)
        ]
        return "\n".join(lines) + "\n"


def make_expression(
    folder: Path,
    atlas: Atlas,
    *,
    mode: str = "abagen",
    reannotation: Path | None = None,
    coordinates: Path | None = None,
) -> MadeExpression:
    """Turn an Allen download into a region × gene matrix.

    Parameters
    ----------
    folder
        The download, in Allen's or abagen's layout.
    mode
        ``abagen`` or ``bmhlab``.
    reannotation, coordinates
        Tables of probes and of corrected sample positions; those beside the download if absent.
    """
    check_option("expression mode", mode, ("abagen", "bmhlab"))
    download = find_ahba(folder)
    probes = read_reannotation(_beside(reannotation, folder, REANNOTATION))
    places = read_coordinates(_beside(coordinates, folder, COORDINATES))
    if mode == "abagen":
        # Classes of the atlas only count when the table names them as the ontology does.
        options = AbagenOptions(use_atlas_info=all(r.structure for r in atlas.regions))
        made = abagen_expression(
            download, atlas, reannotation=probes, coordinates=places, options=options
        )
    else:
        made = bmhlab_expression(
            download, atlas, reannotation=probes, coordinates=places, options=BmhlabOptions()
        )
    table = Expression(f"AHBA, {mode}", made.regions, made.genes, made.values)
    return MadeExpression(table, made.ledger.tsv())


def _beside(path: Path | None, folder: Path, name: str) -> Path:
    """Path that was given, or the table beside the download."""
    if path is not None:
        return path
    places = [folder / name, folder.parent / name]
    return next((p for p in places if p.exists()), places[0])


@dataclass(frozen=True)
class ExpressionFiles:
    """Files of the stage that makes expression.

    Parameters
    ----------
    atlas, atlas_labels
        Inputs: label volume in MNI space and its table; the shipped structures if absent.
    reannotation, coordinates
        Inputs, optional: see :func:`make_expression`.
    expression, losses
        Outputs: the matrix (CSV); probes, genes, samples and regions that were lost, and why.
    """

    atlas: Path | None
    atlas_labels: Path | None
    reannotation: Path | None
    coordinates: Path | None
    expression: Path
    losses: Path


def expression_stage(files: ExpressionFiles, *, ahba: str, mode: str) -> None:
    """Make the region × gene matrix of an atlas from an Allen download, given its whole path."""
    download = Path(ahba).expanduser()
    if not download.is_absolute():
        raise InputError(
            "the folder of the Allen download must be a whole path",
            where="genes.ahba",
            found=ahba,
            do="write it from the root of the file system",
        )
    made = make_expression(
        download,
        load_group_atlas(files.atlas, files.atlas_labels),
        mode=mode,
        reannotation=files.reannotation,
        coordinates=files.coordinates,
    )
    write_text(files.expression, made.csv())
    write_text(files.losses, made.losses)


@dataclass(frozen=True)
class GenesFiles:
    """Files of the gene stage of a group map.

    Parameters
    ----------
    profile
        Input: TSV of :func:`falx.maps.files.group_map_stage`, columns ``label``, ``name``,
        ``mean_t``, ``n_voxels``; regions outside the map hold no value.
    atlas, atlas_labels
        Inputs: label volume of the profile and its table, which place the regions; the shipped
        structures if absent.
    ready_expression, made_expression
        Inputs: region × gene matrix (CSV), the user's own or the one made from an Allen
        download; the user's own goes first.
    degs
        Input, optional: genes changed in blood.
    report, genes, terms, components, left_out
        Outputs: the page; genes with weights and P, terms of every library, components (JSON),
        and the regions that were left out.
    """

    profile: Path
    atlas: Path | None
    atlas_labels: Path | None
    ready_expression: Path | None
    made_expression: Path | None
    degs: Path | None
    report: Path
    genes: Path
    terms: Path
    components: Path
    left_out: Path


def genes_stage(
    files: GenesFiles, knowledge: Knowledge, surface: Surface, settings: Settings
) -> None:
    """Relate the regional profile of a group map to gene expression."""
    expression = files.ready_expression or files.made_expression
    if expression is None:
        raise InputError("gene expression is missing", do="give a region × gene table")
    profile = read_region_table(source_text(files.profile), column="mean_t")
    kept = np.isfinite(profile.values)
    atlas = load_group_atlas(files.atlas, files.atlas_labels)
    with collect_notices() as notices:
        known = read_known(knowledge)
        matrix = with_symbols(read_expression(source_text(expression)), known.aliases)[0]
    table = _on_surface(_inside(placed(profile, atlas), kept), surface)
    told = replace(table, notes=(*table.notes, *notices))
    found = relate(told, matrix, settings, known, _blood(files.degs), [link_section()])
    check_possible(found)
    write_text(files.report, found.page)
    write_text(files.genes, genes_tsv(found.study, found.lists))
    write_text(files.left_out, left_out_tsv(found.study.data.left_out))
    write_json(files.components, components_json(found.study))
    write_text(files.terms, _joined(found))


@dataclass(frozen=True, eq=False)
class TogetherFiles:
    """Files of the stage that joins the contrasts of one kind of map.

    Parameters
    ----------
    profile
        Inputs: regional profiles by contrast, as of :class:`GenesFiles`.
    atlas, atlas_labels, ready_expression, made_expression
        Inputs: as of :class:`GenesFiles`.
    degs, made_degs
        Inputs, optional: genes changed in blood, the user's table or the study's own.
    page, terms
        Outputs: the page, and the terms over contrasts (TSV).
    scores_svg, scores_png, terms_svg, terms_png, blood_svg, blood_png
        Outputs: pictures for a paper.
    """

    profile: Mapping[str, Path]
    atlas: Path | None
    atlas_labels: Path | None
    ready_expression: Path | None
    made_expression: Path | None
    degs: Path | None
    made_degs: Path | None
    page: Path
    terms: Path
    scores_svg: Path
    scores_png: Path
    terms_svg: Path
    terms_png: Path
    blood_svg: Path
    blood_png: Path


def together_stage(
    files: TogetherFiles,
    knowledge: Knowledge,
    surface: Surface,
    settings: Settings,
    *,
    titles: Mapping[str, str],
    joined: Sequence[str],
    name: str,
) -> None:
    """Relate the contrasts of one kind of map to genes together.

    Parameters
    ----------
    titles
        Contrast to its title.
    joined
        Contrasts whose terms are tested together.
    name
        Of the maps.
    """
    expression = files.ready_expression or files.made_expression
    if expression is None:
        raise InputError("gene expression is missing", do="give a region × gene table")
    atlas = load_group_atlas(files.atlas, files.atlas_labels)
    tables = {}
    for contrast, path in files.profile.items():
        profile = read_region_table(source_text(path), column="mean_t")
        inside = _inside(placed(profile, atlas), np.isfinite(profile.values))
        tables[titles[contrast]] = _on_surface(inside, surface)
    known = read_known(knowledge)
    found = relate_together(
        tables,
        with_symbols(read_expression(source_text(expression)), known.aliases)[0],
        settings,
        known,
        _blood(files.degs or files.made_degs),
        joined=[titles[contrast] for contrast in joined if contrast in files.profile],
    )
    check_possible(found)
    numbers = {region.name: region.label for region in atlas.regions}
    drawn = {
        "scores": score_figure(found, atlas.image, numbers),
        "terms": joint_figure(found.joint, found.joined),
        "blood": blood_figure(found),
    }
    for what, figure in drawn.items():
        write_text(getattr(files, f"{what}_svg"), svg(figure).decode())
        write_bytes(getattr(files, f"{what}_png"), png(figure, dpi=PAPER_DPI))
    shown = {what: png(figure) for what, figure in drawn.items()}
    write_text(files.page, together_page(found, name, shown))
    write_text(files.terms, joint_tsv(found.joint, found.joined))


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


def _inside(table: RegionTable, kept: np.ndarray) -> RegionTable:
    """Drop the regions that lie outside a group map, and say how many."""
    rows = np.flatnonzero(kept)
    lost = len(kept) - len(rows)
    notes = (f"{lost} regions lie outside the map.",) if lost else ()
    return replace(
        table,
        regions=tuple(table.regions[i] for i in rows),
        values=table.values[rows],
        centroids_mm=table.centroids_mm[rows],
        blocks=tuple(table.blocks[i] for i in rows),
        sides=tuple(table.sides[i] for i in rows),
        notes=(*table.notes, *notes),
    )


def _on_surface(table: RegionTable, surface: Surface) -> RegionTable:
    """Give the regions their places on the cortical sphere, if surfaces are named."""
    if not surface.spheres and not surface.surface_labels:
        return table
    return replace(
        table, sphere=sphere_points(table.regions, table.sides, read_hemispheres(surface))
    )


def _blood(path: Path | None) -> BloodGenes | None:
    return None if path is None else blood_genes(read_table(path, unique=False))


def _joined(found: GenesFindings) -> str:
    """Join the term tables of several libraries under one header."""
    lines: list[str] = []
    for one in found.sets:
        header, *rows = terms_tsv(one).splitlines()
        lines += [f"library\t{header}"] if not lines else []
        lines += [f"{one.library.name}\t{row}" for row in rows]
    return "\n".join(lines or ["library"]) + "\n"


@dataclass(frozen=True)
class MapFiles:
    """What ``falx genes`` reads beside its configuration.

    Parameters
    ----------
    source
        NIfTI map, regional table, or ``enigma:SYNDROME``.
    atlas, labels
        Label volume and its table, needed for a map; they place the regions of a table too.
    column
        Column of values in a table.
    more
        Further tables, of other regions.
    """

    source: str
    atlas: Path | None = None
    labels: Path | None = None
    column: str | None = None
    more: tuple[str, ...] = ()


def relate_map(files: MapFiles, configuration: GenesConfiguration, out: Path) -> GenesFindings:
    """Relate a map, a regional table or an example to genes; write tables and a page."""
    atlas = None if files.atlas is None else load_atlas(files.atlas, files.labels)
    with collect_notices() as notices:
        table = _on_surface(_region_table(files, atlas), configuration)
        expression = _expression(configuration, atlas, out)
        known, blood = read_known(configuration), _blood(configuration.degs)
        expression, account = with_symbols(expression, known.aliases)
    table = renamed(table, expression)
    told = replace(table, notes=(*table.notes, *notices))
    text = call_text("relate_map", [configuration])
    found = relate(told, expression, configuration, known, blood, [methods_section(text)])
    write_findings(found, out)
    _write_methods(text, out)
    if account:
        write_table(out / "identifiers.tsv", ("given", "symbol", "what"), account)
    return found


def _region_table(files: MapFiles, atlas: Atlas | None) -> RegionTable:
    name = files.source
    if name.startswith(EXAMPLE):
        return enigma_table(name.removeprefix(EXAMPLE))
    if name.endswith((".nii", ".nii.gz")):
        if atlas is None:
            raise InputError("a map needs an atlas", where=name, do="give --atlas and --labels")
        return table_of_map(load(name), atlas, name=Path(name).name)
    texts = [source_text(path) for path in (name, *files.more)]
    table = one_table([read_region_table(text, column=files.column) for text in texts])
    return named_places(table) if atlas is None else placed(table, atlas)


def _expression(given: ExpressionSource, atlas: Atlas | None, out: Path) -> Expression:
    """Read a ready matrix, or make one from an Allen download and keep it with its losses."""
    if given.expression is not None:
        return read_expression(source_text(given.expression))
    if not given.ahba:
        raise InputError(
            "gene expression is missing",
            do="give --expression FILE (falx fetch enigma-expression) or --ahba FOLDER",
        )
    if atlas is None:
        raise InputError("an Allen download needs an atlas", where=given.ahba, do="give --atlas")
    made = make_expression(
        Path(given.ahba).expanduser(),
        atlas,
        mode=given.mode,
        reannotation=given.reannotation,
        coordinates=given.coordinates,
    )
    write_text(out / "expression.csv", made.csv())
    write_text(out / "expression_losses.tsv", made.losses)
    return made.expression


def write_findings(found: GenesFindings, out: Path) -> None:
    """Write tables and one report into a folder."""
    check_possible(found)
    write_text(out / "genes.tsv", genes_tsv(found.study, found.lists))
    write_text(out / "left_out.tsv", left_out_tsv(found.study.data.left_out))
    write_json(out / "components.json", components_json(found.study))
    for one in found.sets:
        write_text(out / f"terms_{_file_name(one.library.name)}.tsv", terms_tsv(one))
    if found.regulators is not None:
        write_text(out / "regulators.tsv", regulators_tsv(found.regulators))
    _write_network(found.network, out)
    write_text(out / "report.html", found.page)


def _write_network(network: tuple[Network, Sequence[Module]] | None, out: Path) -> None:
    if network is not None:
        write_text(out / "network.graphml", graphml(*network))
        write_text(out / "network.sif", sif(network[0]))


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
    _write_methods(text, out)
    for name, results in found.terms.items():
        write_text(out / f"terms_{_file_name(name)}.tsv", list_terms_tsv(results))
    _write_network(found.network, out)
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
    _write_methods(text, out)
    write_text(out / "degs.tsv", degs_tsv(result, found.published.genes, found.corrected.genes))
    write_text(out / "report.html", found.page)
    return out / "report.html", tuple(notices)


def _write_methods(text: MethodsText, out: Path) -> None:
    for name, content in methods_texts(text).items():
        write_text(out / name, content)


def _file_name(title: str) -> str:
    """Turn a title into a file name.

    Examples
    --------
    >>> _file_name("GO BP: all")
    'GO-BP-all'
    """
    words = "".join(c if c.isalnum() or c in "._" else " " for c in title).split()
    return "-".join(words)
