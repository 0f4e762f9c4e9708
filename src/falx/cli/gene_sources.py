"""Options of knowledge about genes, and the names that they had before."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from falx.cli.options import add_options
from falx.genes.files import Knowledge

__all__ = ["add_knowledge"]

EARLIER = {"regulators": ("--trrust",)}


class _Both(argparse.Action):
    """``--go OBO GAF``: the two options in one."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,  # noqa: ARG002 - the signature of argparse
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,  # noqa: ARG002
    ) -> None:
        namespace.ontology, namespace.annotations = list(values or ())


def add_knowledge(parser: argparse.ArgumentParser) -> None:
    """Add the options of gene sets, regulators, tissues and networks."""
    group = parser.add_argument_group("knowledge (user-supplied or fetched)")
    add_options(group, Knowledge, also=EARLIER)
    group.add_argument(
        "--go",
        action=_Both,
        nargs=2,
        metavar=("OBO", "GAF"),
        default=argparse.SUPPRESS,
        help="ontology and annotations at once",
    )
