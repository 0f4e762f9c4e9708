"""What several commands of the study write: networks, the methods text, names of files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from falx.core.files import write_text
from falx.genes.network.analysis import graphml, sif
from falx.genes.network.interactions import Network
from falx.genes.network.mcode import Module
from falx.studies.methods.study_text import (
    methods_texts,
)
from falx.studies.methods.text import MethodsText

__all__ = [
    "file_name",
    "write_methods",
    "write_network",
]


def write_network(network: tuple[Network, Sequence[Module]] | None, out: Path) -> None:
    """Write interactions and modules for other programs, if there are any."""
    if network is not None:
        write_text(out / "network.graphml", graphml(*network))
        write_text(out / "network.sif", sif(network[0]))


def write_methods(text: MethodsText, out: Path) -> None:
    """Write the methods text beside the page."""
    for name, content in methods_texts(text).items():
        write_text(out / name, content)


def file_name(title: str) -> str:
    """Turn a title into a file name.

    Examples
    --------
    >>> file_name("GO BP: all")
    'GO-BP-all'
    """
    words = "".join(c if c.isalnum() or c in "._" else " " for c in title).split()
    return "-".join(words)
