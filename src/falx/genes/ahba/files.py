"""Finding and reading the files of the atlas, in Allen's or abagen's layout, packed or not."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError
from falx.core.files import read_table
from falx.core.tables import Table, decode, is_missing, parse_matrix, parse_table
from falx.genes.ahba.matrix import read_matrix

__all__ = [
    "DONORS",
    "AhbaFolder",
    "Ontology",
    "Reannotation",
    "RnaSeq",
    "find_ahba",
    "read_coordinates",
    "read_reannotation",
    "whole_numbers",
]

DONORS = ("9861", "10021", "12876", "14380", "15496", "15697")


@dataclass(frozen=True, eq=False)
class Ontology:
    """Structures of the Allen ontology.

    Attributes
    ----------
    hemisphere
        ``L``, ``R`` or empty, by structure id.
    path
        Identifiers from the root to the structure.
    mirrored
        The same structure on the other side, where it exists.
    """

    hemisphere: dict[int, str]
    path: dict[int, tuple[int, ...]]
    mirrored: dict[int, int]


@dataclass(frozen=True, eq=False)
class RnaSeq:
    """RNA sequencing of one donor: TPM (genes × samples), symbols, Entrez ids, sample places."""

    tpm: npt.NDArray[np.float64]
    symbols: tuple[str, ...]
    entrez: dict[str, int]
    well_id: npt.NDArray[np.int64]
    structure_id: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Reannotation:
    """Probes re-annotated to the genome (Arnatkeviciute et al. 2019).

    Rows without an Entrez id are left out; `dropped` counts them.
    """

    probe_name: tuple[str, ...]
    symbol: tuple[str, ...]
    entrez: npt.NDArray[np.int64]
    dropped: int


@dataclass(frozen=True)
class AhbaFolder:
    """A download: donor to microarray folder or archive, and to RNA-seq where it exists."""

    root: Path
    microarray: dict[str, Path]
    rnaseq: dict[str, Path]

    @contextmanager
    def open(self, donor: str, name: str, *, kind: str = "microarray") -> Iterator[IO[bytes]]:
        """Open one CSV file of a donor as bytes."""
        place = (self.microarray if kind == "microarray" else self.rnaseq)[donor]
        if place.is_dir():
            path = place / f"{name}.csv"
            if not path.exists():
                raise InputError(
                    "a file of the download is missing", where=path, do="download the donor again"
                )
            with path.open("rb") as stream:
                yield stream
        else:
            with zipfile.ZipFile(place) as archive:
                inside = [n for n in archive.namelist() if n.split("/")[-1] == f"{name}.csv"]
                if not inside:
                    raise InputError(
                        "a file of the archive is missing",
                        where=place.name,
                        found=f"no {name}.csv",
                        do="download the donor again",
                    )
                with archive.open(inside[0]) as stream:
                    yield stream

    def text(self, donor: str, name: str, *, kind: str = "microarray") -> str:
        """Read a file of a donor as text."""
        with self.open(donor, name, kind=kind) as stream:
            return decode(stream.read(), where=f"donor {donor}, {name}.csv")

    def table(self, donor: str, name: str, *, kind: str = "microarray") -> Table:
        """Read a small table with header."""
        text = self.text(donor, name, kind=kind)
        return parse_table(text, where=f"donor {donor}, {name}.csv")

    def matrix(
        self,
        donor: str,
        name: str,
        probes: npt.NDArray[np.int64],
        n_samples: int,
        *,
        dtype: npt.DTypeLike = np.float64,
    ) -> npt.NDArray[np.float64]:
        """Read chosen probes of a microarray matrix, shape (probes, samples)."""
        with self.open(donor, name) as stream:
            binary: BinaryIO = stream  # type: ignore[assignment]
            return read_matrix(
                binary, probes, n_samples, where=f"donor {donor}, {name}.csv", dtype=dtype
            )

    def ontology(self, donor: str) -> Ontology:
        """Read the ontology and pair left with right structures by acronym."""
        table = self.table(donor, "Ontology")
        ids = [int(i) for i in table.texts("id")]
        sides = ["" if is_missing(side) else side for side in table.texts("hemisphere")]
        paths = [
            tuple(int(p) for p in path.strip("/").split("/"))
            for path in table.texts("structure_id_path")
        ]
        acronyms = table.texts("acronym")
        by_place = dict(zip(zip(acronyms, sides, strict=True), ids, strict=True))
        twins = {
            i: by_place.get((acronym, {"L": "R", "R": "L"}.get(side, "")))
            for i, acronym, side in zip(ids, acronyms, sides, strict=True)
            if side
        }
        mirrored = {i: twin for i, twin in twins.items() if twin is not None}
        return Ontology(
            dict(zip(ids, sides, strict=True)), dict(zip(ids, paths, strict=True)), mirrored
        )

    def rna(self, donor: str) -> RnaSeq:
        """Read RNA-seq TPM."""
        annot = self.table(donor, "SampleAnnot", kind="rnaseq")
        tpm = parse_matrix(
            self.text(donor, "RNAseqTPM", kind="rnaseq"),
            where=f"donor {donor}, RNAseqTPM.csv",
            what="expression",
            headed=False,
        )
        genes = self.table(donor, "Genes", kind="rnaseq")
        found = zip(genes.texts("gene_symbol"), genes.numbers("entrez_id"), strict=True)
        entrez = {symbol: int(number) for symbol, number in found if np.isfinite(number)}
        return RnaSeq(
            tpm.values,
            tpm.rows,
            entrez,
            whole_numbers(annot, "well_id"),
            whole_numbers(annot, "ontology_structure_id"),
        )


def whole_numbers(table: Table, column: str) -> npt.NDArray[np.int64]:
    """Return a column of identifiers, shape (n_rows,).

    Raises
    ------
    InputError
        If one is missing.
    """
    found = table.numbers(column)
    if not np.isfinite(found).all():
        raise InputError(
            "an identifier is missing", where=table.where, found=f"column {column}",
            do="download the file again",
        )  # fmt: skip
    return found.astype(np.int64)


def find_ahba(root: Path | str) -> AhbaFolder:
    """Find the donors below a folder: Allen's archives or folders, or abagen's layout.

    Raises
    ------
    InputError
        If no donor is there, or an archive is damaged.
    """
    root = Path(root)
    if not root.is_dir():
        raise InputError("the folder does not exist", where=root, do="run: falx fetch ahba")
    microarray = _donor_places(root, "normalized_microarray_donor")
    rnaseq = _donor_places(root, "rnaseq_donor")
    if not microarray:
        raise InputError(
            "no donor of the Allen Human Brain Atlas is here",
            where=root,
            found="no normalized_microarray_donor*",
            do="give the folder that holds microarray/, or run: falx fetch ahba",
        )
    for place in [*microarray.values(), *rnaseq.values()]:
        if place.suffix == ".zip" and not zipfile.is_zipfile(place):
            raise InputError("an archive is incomplete", where=place.name, do="download it again")
    return AhbaFolder(root, microarray, rnaseq)


def _donor_places(root: Path, prefix: str) -> dict[str, Path]:
    """Donor to folder, or to archive where there is no folder; donors in Allen's order."""
    found: dict[str, Path] = {}
    for pattern in (f"{prefix}*.zip", f"*/{prefix}*.zip", f"{prefix}*", f"*/{prefix}*"):
        for place in sorted(root.glob(pattern)):
            if place.is_dir() or place.suffix == ".zip":
                found[place.name.removeprefix(prefix).removesuffix(".zip")] = place
    order = {donor: i for i, donor in enumerate(DONORS)}
    return dict(sorted(found.items(), key=lambda item: (order.get(item[0], 99), item[0])))


def read_reannotation(path: Path | str) -> Reannotation:
    """Read the re-annotation table: probe_name, gene_symbol, entrez_id."""
    table = _csv(path, ("probe_name", "gene_symbol", "entrez_id"))
    entrez = table.numbers("entrez_id")
    kept = np.flatnonzero(np.isfinite(entrez))
    names, symbols = table.texts("probe_name"), table.texts("gene_symbol")
    return Reannotation(
        tuple(names[i] for i in kept),
        tuple(symbols[i] for i in kept),
        entrez[kept].astype(np.int64),
        len(table) - len(kept),
    )


def read_coordinates(path: Path | str) -> dict[int, tuple[float, float, float]]:
    """Read corrected MNI coordinates by well id, RAS+ mm."""
    axes = ("corrected_mni_x", "corrected_mni_y", "corrected_mni_z")
    table = _csv(path, ("well_id", *axes))
    wells = whole_numbers(table, "well_id").tolist()
    x, y, z = (table.numbers(name).tolist() for name in axes)
    return dict(zip(wells, zip(x, y, z, strict=True), strict=True))


def _csv(path: Path | str, columns: tuple[str, ...]) -> Table:
    path = Path(path)
    if not path.exists():
        raise InputError("the table does not exist", where=path, do="run: falx fetch ahba-tables")
    table = read_table(path)
    missing = [name for name in columns if name not in table.header]
    if missing:
        raise InputError(
            "the table lacks columns",
            where=path.name,
            found=f"no {missing}",
            do="use the table of the Allen Brain Atlas's download as it is",
        )
    return table
