"""Files of knowledge that a map's genes are compared with: which there are, and how each is read.

A new source of gene sets is a reader module, a field of :class:`GeneSetSources` and a row of
:data:`READERS`; every command and study that takes gene sets then has it.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError, OptionError
from falx.core.settings import check_settings, option
from falx.core.tables import Table, decode, parse_table
from falx.data.enigma import gwas_genes, gwas_phenotypes
from falx.genes.network.interactions import Network, read_network
from falx.genes.nulls.surface import Hemisphere
from falx.genes.sets.library import GeneSetLibrary, Origin, SourceText, read_aliases, read_gmt
from falx.genes.sets.ontology import go_sets
from falx.genes.sets.regulators import Regulation, read_trrust, regulator_sets
from falx.genes.sets.specificity import read_specificity, read_tissue_expression

__all__ = [
    "READERS",
    "GeneSetSources",
    "Knowledge",
    "Known",
    "Surface",
    "read_design",
    "read_hemispheres",
    "read_known",
    "source_text",
]


@dataclass(frozen=True)
class GeneSetSources:
    """Where gene sets come from."""

    gene_sets: tuple[Path, ...] = option((), help="gene-set files (GMT)")
    ontology: Path | None = option(None, help="Gene Ontology (OBO), with annotations")
    annotations: Path | None = option(None, help="genes of its terms (GAF)")
    aspect: Literal["BP", "MF", "CC"] = option(
        "BP", help="branch of it: process, function or component"
    )
    regulators: Path | None = option(None, help="regulators and their targets (TRRUST)")
    regulator_signs: bool = option(
        False, help="test as well whether a regulator's targets move as their mode says"
    )
    specificity: Path | None = option(
        None, help="table of specific genes, columns gene and tissue or cell type"
    )
    tissues: Path | None = option(
        None, help="gene × tissue table of expression; genes of one tissue make its set"
    )
    gwas: bool = option(
        False, help="genes of the epilepsies' genome-wide study (ILAE 2018), which ship"
    )


@dataclass(frozen=True)
class Knowledge(GeneSetSources):
    """What genes are compared with: sets, interactions, and earlier symbols."""

    network: tuple[Path, ...] = option(
        (),
        help="interactions: STRING links (and info), BioGRID TAB3, HINT edges and index, or an "
        "edge list",
    )
    network_score: int = option(
        132, help="combined score that a STRING edge must exceed", low=0, high=1000
    )
    aliases: Path | None = option(
        None,
        help="other names of genes and their present symbols, two columns, or HGNC's complete "
        "set (Ensembl, Entrez and former symbols)",
    )

    def __post_init__(self) -> None:
        check_settings(self)
        if (self.ontology is None) != (self.annotations is None):
            raise OptionError(
                "Gene Ontology needs its terms and its annotations",
                found="one of the two",
                do="give ontology (OBO) and annotations (GAF)",
            )


@dataclass(frozen=True)
class Surface:
    """Cortical surfaces that spin tests turn; without them regions are spun by their centroids."""

    surface_labels: tuple[Path, ...] = option(
        (), help="FreeSurfer annotations of the atlas, left and right, for spins"
    )
    spheres: tuple[Path, ...] = option(
        (), help="spherical surfaces of the same vertices, left and right"
    )


@dataclass(frozen=True, eq=False)
class Known:
    """Knowledge as read."""

    libraries: tuple[GeneSetLibrary, ...] = ()
    network: Network | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)
    signed: tuple[Regulation, ...] = ()


Reader = Callable[[GeneSetSources], Iterable[GeneSetLibrary]]


def _gene_ontology(sources: GeneSetSources) -> Iterable[GeneSetLibrary]:
    if sources.ontology is not None and sources.annotations is not None:
        yield go_sets(
            source_text(sources.ontology), source_text(sources.annotations), aspect=sources.aspect
        )


def _gwas(sources: GeneSetSources) -> Iterable[GeneSetLibrary]:
    if sources.gwas:
        sets = {"epilepsy, any phenotype": gwas_genes()}
        sets |= {f"epilepsy, {name}": gwas_genes(name) for name in gwas_phenotypes()}
        yield GeneSetLibrary("epilepsy GWAS", sets, Origin("ILAE 2018"))


def _each(path: Path | None) -> Iterable[SourceText]:
    return () if path is None else (source_text(path),)


READERS: tuple[Reader, ...] = (
    lambda given: [read_gmt(source_text(path)) for path in given.gene_sets],
    _gene_ontology,
    lambda given: [regulator_sets(*read_trrust(text)) for text in _each(given.regulators)],
    lambda given: [read_specificity(text) for text in _each(given.specificity)],
    lambda given: [read_tissue_expression(text) for text in _each(given.tissues)],
    _gwas,
)
"""One row a source: what it gives of the files that are named."""


def read_known(knowledge: Knowledge) -> Known:
    """Read everything that is named."""
    network = None
    if knowledge.network:
        texts = [source_text(path) for path in knowledge.network]
        network = read_network(texts, score_above=knowledge.network_score)
    aliases: dict[str, str] = {}
    for text in _each(knowledge.aliases):
        aliases = read_aliases(text)
    signed: tuple[Regulation, ...] = ()
    if knowledge.regulator_signs:
        for text in _each(knowledge.regulators):
            signed = tuple(r for r in read_trrust(text)[0] if r.sign)
    libraries = tuple(library for read in READERS for library in read(knowledge))
    return Known(libraries, network, aliases, signed)


def read_design(path: Path | str) -> Table:
    """Read sample metadata: one row a sample, names in the first column."""
    source = source_text(path)
    return parse_table(source.text, where=source.name)


def read_hemispheres(surface: Surface) -> tuple[Hemisphere, ...]:
    """Read the annotations and spheres of both sides, or of the left alone.

    Raises
    ------
    InputError
        If there are not as many of one as of the other, or their vertices differ in number.
    """
    if len(surface.surface_labels) != len(surface.spheres) or len(surface.spheres) > 2:
        raise InputError(
            "surfaces need an annotation and a sphere for each side",
            found=f"{len(surface.surface_labels)} annotations, {len(surface.spheres)} spheres",
            do="give both of the left side, then both of the right",
        )
    from nibabel.freesurfer.io import read_annot

    found = []
    for side, labels, sphere in zip(
        ("left", "right"), surface.surface_labels, surface.spheres, strict=False
    ):
        of_vertex, _, names = read_annot(labels)
        vertices = _vertices(sphere)
        if len(vertices) != len(of_vertex):
            raise InputError(
                "annotation and sphere differ in vertices",
                where=labels.name,
                found=f"{len(of_vertex)} and {len(vertices)}",
                do="give the sphere of the same surface",
            )
        words = tuple(name.decode() if isinstance(name, bytes) else str(name) for name in names)
        found.append(Hemisphere(side, vertices, np.asarray(of_vertex), words))  # type: ignore[arg-type]
    return tuple(found)


def _vertices(path: Path) -> npt.NDArray[np.float64]:
    from nibabel.freesurfer.io import read_geometry
    from nibabel.gifti.gifti import GiftiImage

    if ".gii" in path.suffixes:
        return np.asarray(GiftiImage.from_filename(path).agg_data("pointset"), dtype=np.float64)
    return np.asarray(read_geometry(path)[0], dtype=np.float64)


def source_text(path: Path | str) -> SourceText:
    """Content and SHA-256 of a text file, plain or gzip-compressed.

    Raises
    ------
    InputError
        If there is no such file, or it is a folder, empty, damaged or not text.
    """
    path = Path(path)
    if not path.exists():
        raise InputError("the file does not exist", where=path, do="check the path")
    if path.is_dir():
        raise InputError("a file is needed, not a folder", where=path, do="name a file in it")
    raw = path.read_bytes()
    if not raw:
        raise InputError("the file is empty", where=path.name, do="copy or fetch it again")
    packed = raw[:2] == b"\x1f\x8b" or path.suffix == ".gz"
    try:
        data = gzip.decompress(raw) if packed else raw
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(
            "the file is truncated or damaged", where=path.name, do="copy or fetch it again"
        ) from error
    return SourceText(path.name, decode(data, where=path.name), hashlib.sha256(raw).hexdigest())
