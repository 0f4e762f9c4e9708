"""``falx genes``: imaging transcriptomics of any map or regional table."""

from __future__ import annotations

import argparse
from pathlib import Path

from falx.cli.gene_sources import add_knowledge
from falx.cli.options import add_options, options_from
from falx.genes.association_study import Settings
from falx.genes.files import Knowledge, Surface
from falx.studies.genes.configuration import ExpressionSource, GenesConfiguration

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "map",
        nargs="+",
        metavar="MAP",
        help="NIfTI map (with --atlas), regional tables, or enigma:SYNDROME, which ships",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="OUT", help="output folder")
    parser.add_argument(
        "--atlas", type=Path, metavar="NIFTI", help="label volume; places the regions of a table"
    )
    parser.add_argument("--labels", type=Path, metavar="TABLE", help="names of its labels")
    parser.add_argument("--column", metavar="NAME", help="column of values in a table")
    add_options(parser.add_argument_group("expression"), ExpressionSource)
    study = parser.add_argument_group("study")
    add_options(study, Settings, also={"null": ("--nulls",)})
    study.add_argument(
        "--as-published", action="store_false", dest="restore", default=argparse.SUPPRESS,
        help="leave spun maps, and maps made by block, as rough as they come",
    )  # fmt: skip
    add_options(parser.add_argument_group("surface"), Surface)
    add_knowledge(parser)
    parts = (ExpressionSource, Settings, Surface, Knowledge)
    add_options(parser, GenesConfiguration, without=parts)


def run(arguments: argparse.Namespace) -> int:
    """Read, analyse, write, and say where to look."""
    from falx.studies.genes.files import MapFiles, relate_map

    folder = getattr(arguments, "expression", None)
    if folder is not None and Path(folder).is_dir():
        del arguments.expression
        arguments.ahba = folder
    files = MapFiles(
        arguments.map[0], arguments.atlas, arguments.labels, arguments.column,
        tuple(arguments.map[1:]),
    )  # fmt: skip
    found = relate_map(files, options_from(arguments, GenesConfiguration), arguments.out)
    study = found.study
    share, p = study.model.explained_variance[0], study.component_p[0]
    print(
        f"{len(study.data.regions)} regions, {len(study.data.genes)} genes; component 1 explains "
        f"{share:.1%}, P = {p:.3g} ({study.nulls.method})"
    )
    for notice in found.notices:
        print(f"note: {notice}")
    print(arguments.out / "report.html")
    return 0
