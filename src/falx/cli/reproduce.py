"""``falx reproduce``: a study's published numbers, recomputed."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("study", choices=["liu2024", "mo2025"], help="which publication")
    parser.add_argument(
        "--as-published", action="store_true", help="print the paper's own methods only"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    parser.add_argument(
        "--output-dir", type=Path, metavar="DIR", help="also write TSV, JSON and the page here"
    )
    parser.add_argument(
        "--resamples",
        type=int,
        default=2000,
        metavar="N",
        help="bootstrap resamples of mo2025, default 2000",
    )
    parser.add_argument(
        "--seed", type=int, default=2025, help="seed of all resampling, default 2025"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print every item; write the files where asked."""
    from falx.studies.outcome.outcome import OutcomeSettings
    from falx.studies.reproduce import files, liu2024, mo2025

    settings = OutcomeSettings(
        resamples=arguments.resamples,
        permutations=5 * arguments.resamples // 2,
        seed=arguments.seed,
    )
    liu = arguments.study == "liu2024"
    if liu:
        items = liu2024.reproduce_liu2024()
    else:
        items = mo2025.reproduce_mo2025(n_resamples=settings.resamples, seed=settings.seed)
    if arguments.json:
        print(files.as_json(items), end="")
    else:
        as_text = liu2024.as_text if liu else mo2025.as_text
        print(as_text(items, published_only=arguments.as_published))
    if arguments.output_dir is not None:
        page = liu2024.as_page(items) if liu else mo2025.as_page(items, settings)
        path = files.write_reproduction(arguments.study, items, page, arguments.output_dir)
        if not arguments.json:
            print(f"\nlook at {path}")
    return 0
