"""Regional gene expression: a ready matrix, or one made from an Allen download."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from falx.atlas.atlas import Atlas
from falx.atlas.files import load_atlas
from falx.core.errors import InputError, check_option
from falx.core.files import write_text
from falx.data.priors import ATLAS_FILE, DATA
from falx.genes.ahba.abagen import AbagenOptions, abagen_expression
from falx.genes.ahba.bmhlab import BmhlabOptions, bmhlab_expression
from falx.genes.ahba.files import find_ahba, read_coordinates, read_reannotation
from falx.genes.tables import Expression, read_expression

__all__ = [
    "EXPRESSION_MODES",
    "MadeExpression",
    "expression_from",
    "expression_stage",
    "group_atlas",
    "make_expression",
]

EXPRESSION_MODES = ("abagen", "bmhlab")
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
        One of :data:`EXPRESSION_MODES`.
    reannotation, coordinates
        Tables of probes and of corrected sample positions; those beside the download if absent.
    """
    check_option("expression mode", mode, EXPRESSION_MODES)
    download = find_ahba(folder)
    probes = read_reannotation(_beside(reannotation, folder, REANNOTATION))
    places = read_coordinates(_beside(coordinates, folder, COORDINATES))
    if mode == "abagen":
        # Classes of the atlas only count when the table names them as the ontology does.
        options = AbagenOptions(use_atlas_info=all(r.structure for r in atlas.regions))
        made = abagen_expression(
            download, atlas, reannotation=probes, coordinates=places, options=options
        )
        table = Expression(f"AHBA, {mode}", made.regions, made.genes, made.values)
        return MadeExpression(table, made.ledger.tsv())
    other = bmhlab_expression(
        download, atlas, reannotation=probes, coordinates=places, options=BmhlabOptions()
    )
    table = Expression(f"AHBA, {mode}", other.regions, other.genes, other.values)
    return MadeExpression(table, other.ledger.tsv())


def _beside(path: Path | None, folder: Path, name: str) -> Path:
    """Path that was given, or the table beside the download."""
    if path is not None:
        return path
    places = [folder / name, folder.parent / name]
    return next((p for p in places if p.exists()), places[0])


def expression_from(
    path: Path,
    *,
    atlas: Atlas | None = None,
    mode: str = "abagen",
    out: Path | None = None,
) -> Expression:
    """Read a ready matrix, or make one from an Allen download and an atlas.

    Parameters
    ----------
    path
        A CSV or TSV matrix, or the folder of a download.
    out
        Where the matrix and its losses are kept, when it is made.
    """
    if not path.is_dir():
        return read_expression(path)
    if atlas is None:
        raise InputError("an Allen download needs an atlas", where=path, do="give --atlas")
    made = make_expression(path, atlas, mode=mode)
    if out is not None:
        write_text(out / "expression.csv", made.csv())
        write_text(out / "expression_losses.tsv", made.losses)
    return made.expression


def expression_stage(
    *,
    atlas: Path | None,
    atlas_labels: Path | None,
    reannotation: Path | None,
    coordinates: Path | None,
    expression: Path,
    losses: Path,
    folder: str,
    mode: str,
) -> None:
    """Make the region × gene matrix of an atlas from an Allen download.

    Parameters
    ----------
    atlas, atlas_labels
        Inputs: label volume in MNI space and its table; the shipped structures if absent.
    reannotation, coordinates
        Inputs, optional: see :func:`make_expression`.
    expression, losses
        Outputs: the matrix (CSV); probes, genes, samples and regions that were lost, and why.
    folder
        The download, its whole path.
    mode
        One of :data:`EXPRESSION_MODES`.
    """
    download = Path(folder).expanduser()
    if not download.is_absolute():
        raise InputError(
            "the folder of the Allen download must be a whole path",
            where="genes.ahba",
            found=folder,
            do="write it from the root of the file system",
        )
    made = make_expression(
        download,
        group_atlas(atlas, atlas_labels),
        mode=mode,
        reannotation=reannotation,
        coordinates=coordinates,
    )
    write_text(expression, made.csv())
    write_text(losses, made.losses)


def group_atlas(atlas: Path | None, labels: Path | None) -> Atlas:
    """Atlas of the group tables: the one that is named, or the shipped structures."""
    if atlas is not None:
        return load_atlas(atlas, labels)
    return load_atlas(DATA / ATLAS_FILE, DATA / ATLAS_FILE.replace(".nii.gz", ".tsv"))
