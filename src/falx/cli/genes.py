"""``falx genes``: imaging transcriptomics of any map or regional table."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from falx.atlas.atlas import Atlas
from falx.cli.knowledge import add_knowledge, aliases_of, libraries_of, network_of
from falx.core.errors import InputError, check_option
from falx.images.nifti import load

if TYPE_CHECKING:
    from falx.genes.nulls.generate import NullMethod
    from falx.genes.tables import RegionTable

__all__ = ["add_arguments", "run"]

EXAMPLE = "enigma:"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "map",
        metavar="MAP",
        help="NIfTI map (with --atlas), regional table, or enigma:SYNDROME, which ships",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="OUT", help="output folder")
    parser.add_argument(
        "--expression",
        type=Path,
        required=True,
        metavar="FILE",
        help="region × gene CSV, or the folder of an Allen download",
    )
    parser.add_argument(
        "--mode", choices=("abagen", "bmhlab"), default="abagen",
        help="how the Allen download is processed (default abagen)",
    )  # fmt: skip
    parser.add_argument("--atlas", type=Path, metavar="NIFTI", help="label volume")
    parser.add_argument("--labels", type=Path, metavar="TABLE", help="names of its labels")
    parser.add_argument("--column", metavar="NAME", help="column of values in a table")
    parser.add_argument("--side", choices=("left", "right"), help="analyse one side only")
    parser.add_argument("--blocks", nargs="+", metavar="BLOCK", help="cortex, subcortex …")
    parser.add_argument(
        "--nulls",
        default="moran",
        metavar="METHOD",
        help="moran, variogram, gaussian, spin (cortex only), random; or by block: "
        "cortex=spin,subcortex=moran",
    )
    parser.add_argument(
        "--as-published", action="store_true",
        help="leave spun maps, and maps made by block, as rough as they come",
    )  # fmt: skip
    parser.add_argument("--n-maps", type=int, default=5000, help="null maps (default 5000)")
    parser.add_argument("--n-list", type=int, default=1500, help="genes a list (default 1500)")
    parser.add_argument(
        "--require-fdr", action="store_true", help="lists hold only genes that pass both rates"
    )
    parser.add_argument(
        "--correlation", choices=("pearson", "spearman"), default="pearson", help="per gene"
    )
    parser.add_argument("--seed", type=int, default=1, help="of every random draw (default 1)")
    parser.add_argument(
        "--degs", type=Path, metavar="TSV", help="degs.tsv of falx degs, for the overlap"
    )
    add_knowledge(parser)


def run(arguments: argparse.Namespace) -> int:
    """Read, analyse, write, and say where to look."""
    from falx.genes.association_study import Settings
    from falx.studies.genes.blood_overlap import read_blood_genes
    from falx.studies.genes.expression import expression_from
    from falx.studies.genes.study import Sources, analyse

    atlas = _atlas(arguments)
    table = _table(arguments, atlas)
    expression = expression_from(
        arguments.expression, atlas=atlas, mode=arguments.mode, out=arguments.out
    )
    settings = Settings(
        null=_nulls(arguments.nulls),
        restore=not arguments.as_published,
        n_maps=arguments.n_maps,
        n_list=arguments.n_list,
        require_fdr=arguments.require_fdr,
        correlation=arguments.correlation,
        seed=arguments.seed,
    )
    result = analyse(
        table,
        expression,
        arguments.out,
        settings=settings,
        sources=Sources(
            libraries_of(arguments),
            network_of(arguments),
            aliases_of(arguments),
            read_blood_genes(arguments.degs) if arguments.degs else None,
        ),
        side=arguments.side,
        blocks=arguments.blocks,
    )
    study = result.study
    share, p = study.model.explained_variance[0], study.component_p[0]
    print(
        f"{len(study.data.regions)} regions, {len(study.data.genes)} genes; component 1 explains "
        f"{share:.1%}, P = {p:.3g} ({study.nulls.method})"
    )
    for notice in result.notices:
        print(f"note: {notice}")
    print(result.report)
    return 0


def _atlas(arguments: argparse.Namespace) -> Atlas | None:
    from falx.atlas.files import load_atlas

    if arguments.atlas is None:
        return None
    return load_atlas(arguments.atlas, arguments.labels)


def _table(arguments: argparse.Namespace, atlas: Atlas | None) -> RegionTable:
    from falx.genes.tables import read_region_table, table_of_map

    name = arguments.map
    if name.startswith(EXAMPLE):
        from falx.studies.genes.enigma import enigma_table

        return enigma_table(name.removeprefix(EXAMPLE))
    if name.endswith((".nii", ".nii.gz")):
        if atlas is None:
            raise InputError("a map needs an atlas", where=name, do="give --atlas and --labels")
        return table_of_map(load(name), atlas, name=Path(name).name)
    return read_region_table(name, column=arguments.column)


def _nulls(text: str) -> NullMethod | Mapping[str, NullMethod]:
    from falx.genes.nulls.generate import NULL_METHODS

    def known(name: str) -> NullMethod:
        if name == "spin":
            return "spin_nearest"
        check_option("--nulls", name, NULL_METHODS)
        return next(method for method in NULL_METHODS if method == name)

    if "=" not in text:
        return known(text)
    parts = [part.partition("=") for part in text.split(",")]
    return {block.strip(): known(method.strip()) for block, _, method in parts}
