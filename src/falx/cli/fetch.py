"""``falx fetch``: data from official sources, with size, hash and licence shown."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from falx.data.fetch import Download, catalogue, fetch, groups

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="what to fetch; none: list all")
    parser.add_argument(
        "--to", type=Path, metavar="FOLDER", help="where to put it; default ./falx-data/NAME"
    )
    parser.add_argument("--dry-run", action="store_true", help="show what would be fetched")


def run(arguments: argparse.Namespace) -> int:
    """List the catalogue, or fetch one group."""
    if arguments.name is None:
        for name in dict.fromkeys(d.group for d in catalogue()):
            print(_line(name, groups(name)))
        return 0
    files = groups(arguments.name)
    folder = arguments.to or Path("falx-data") / arguments.name
    for file in files:
        size = f"{file.n_bytes / 1e6:.1f} MB" if file.n_bytes else "size not published"
        print(f"{file.path}: {size}; licence: {file.licence}; from {file.url}")
    if arguments.dry_run:
        return 0
    for file in files:
        got = fetch(file, folder, progress=_progress if sys.stderr.isatty() else None)
        how = "fetched" if got.fresh else "already there"
        unknown = got.fresh and ":" not in file.checksum
        keep = "; the source publishes no hash: keep this one" if unknown else ""
        print(f"{got.path} ({how}, sha256 {got.sha256}{keep})")
    print(folder)
    return 0


def _line(name: str, files: tuple[Download, ...]) -> str:
    sizes = [file.n_bytes for file in files]
    total = f"{sum(n for n in sizes if n) / 1e6:.0f} MB" if all(sizes) else "size varies"
    return f"{name:18s} {len(files):2d} files, {total:12s} {files[0].licence}; {files[0].note}"


def _progress(done: int, total: int | None) -> None:
    share = f" of {total / 1e6:.0f}" if total else ""
    print(f"\r{done / 1e6:.0f}{share} MB", end="", file=sys.stderr)
