"""Files of regional gene expression: an Allen download in, a region × gene matrix out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from falx.atlas.atlas import Atlas
from falx.atlas.files import load_group_atlas
from falx.core.errors import InputError, check_option
from falx.core.files import write_text
from falx.genes.ahba.abagen import AbagenOptions, abagen_expression
from falx.genes.ahba.bmhlab import BmhlabOptions, bmhlab_expression
from falx.genes.ahba.files import find_ahba, read_coordinates, read_reannotation
from falx.genes.tables import (
    Expression,
)

__all__ = [
    "ExpressionFiles",
    "MadeExpression",
    "expression_stage",
    "make_expression",
]

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
