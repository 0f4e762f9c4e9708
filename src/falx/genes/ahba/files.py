"""Finding and reading the files of the atlas, in Allen's or abagen's layout, packed or not."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError
from falx.genes.ahba.matrix import read_matrix

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "DONORS",
    "AhbaFolder",
    "Ontology",
    "Reannotation",
    "RnaSeq",
    "find_ahba",
    "read_coordinates",
    "read_reannotation",
]

DONORS = ("9861", "10021", "12876", "14380", "15496", "15697")
MICROARRAY_FILES = ("MicroarrayExpression", "PACall", "Probes", "SampleAnnot", "Ontology")


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

    def table(self, donor: str, name: str, *, kind: str = "microarray") -> pd.DataFrame:
        """Read a small table with header."""
        import pandas as pd

        with self.open(donor, name, kind=kind) as stream:
            return pd.read_csv(stream, low_memory=False)

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
        import pandas as pd

        table = self.table(donor, "Ontology")
        ids = [int(i) for i in table["id"]]
        sides = ["" if pd.isna(h) else str(h) for h in table["hemisphere"]]
        paths = [
            tuple(int(p) for p in str(t).strip("/").split("/")) for t in table["structure_id_path"]
        ]
        acronyms = [str(a) for a in table["acronym"]]
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
        import pandas as pd

        annot = self.table(donor, "SampleAnnot", kind="rnaseq")
        with self.open(donor, "RNAseqTPM", kind="rnaseq") as stream:
            tpm = pd.read_csv(stream, header=None, index_col=0)
        genes = self.table(donor, "Genes", kind="rnaseq")
        entrez = {
            str(s): int(e)
            for s, e in zip(genes["gene_symbol"], genes["entrez_id"], strict=True)
            if not pd.isna(e)
        }
        return RnaSeq(
            tpm.to_numpy(dtype=np.float64),
            tuple(str(s) for s in tpm.index),
            entrez,
            _integers(annot, "well_id"),
            _integers(annot, "ontology_structure_id"),
        )


def _integers(table: pd.DataFrame, column: str) -> npt.NDArray[np.int64]:
    return table[column].to_numpy(dtype=np.int64)


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
    kept = table.dropna(subset=["entrez_id"])
    return Reannotation(
        tuple(str(n) for n in kept["probe_name"]),
        tuple(str(s) for s in kept["gene_symbol"]),
        kept["entrez_id"].to_numpy(dtype=np.int64),
        len(table) - len(kept),
    )


def read_coordinates(path: Path | str) -> dict[int, tuple[float, float, float]]:
    """Read corrected MNI coordinates by well id, RAS+ mm."""
    names = ("well_id", "corrected_mni_x", "corrected_mni_y", "corrected_mni_z")
    table = _csv(path, names)
    rows = table[list(names)].to_numpy(dtype=np.float64)
    return {int(w): (float(x), float(y), float(z)) for w, x, y, z in rows}


def _csv(path: Path | str, columns: tuple[str, ...]) -> pd.DataFrame:
    import pandas as pd

    path = Path(path)
    if not path.exists():
        raise InputError("the table does not exist", where=path, do="run: falx fetch ahba-tables")
    table = pd.read_csv(path)
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise InputError("the table lacks columns", where=path.name, found=f"no {missing}")
    return table
