"""``falx outcome``: a model for a new patient, results of several centres, and planning."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from falx.cli.options import add_options, options_from
from falx.core.errors import InputError
from falx.studies.outcome.power import Effect

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command can do."""
    verbs = parser.add_subparsers(
        title="what", metavar="WHAT", dest="what", required=True,
        help="predict, pool, power or phantom",
    )  # fmt: skip
    predict = verbs.add_parser("predict", help="a model's prognosis of new patients")
    predict.add_argument("model", type=Path, metavar="MODEL", help="models file of a group")
    predict.add_argument(
        "patients", type=Path, nargs="+", metavar="NUMBERS",
        help="numbers of the participant level, sub-*/anat/*desc-numbers*.json",
    )  # fmt: skip
    pool = verbs.add_parser("pool", help="a meta-analysis of several centres' results")
    pool.add_argument(
        "results", type=Path, nargs="+", metavar="FILE",
        help="each centre's desc-models_outcome.json or desc-validation_outcome.tsv",
    )  # fmt: skip
    pool.add_argument("--output-dir", type=Path, metavar="DIR", help="also write table and page")
    power = verbs.add_parser("power", help="how many patients it would take")
    power.add_argument(
        "--patients", type=int, nargs="+", default=[20, 30, 50, 75, 100, 150, 200], metavar="N",
        help="sizes of cohort, default 20 30 50 75 100 150 200",
    )  # fmt: skip
    power.add_argument(
        "--simulations",
        type=int,
        default=500,
        metavar="N",
        help="cohorts of each size, default 500",
    )
    power.add_argument("--output-dir", type=Path, metavar="DIR", help="also write table and page")
    phantom = verbs.add_parser("phantom", help="a simulated cohort of numbers and its group page")
    phantom.add_argument("out", type=Path, metavar="OUT", help="new folder")
    phantom.add_argument(
        "--patients", type=int, default=30, metavar="N", help="how many, default 30"
    )
    for verb in (power, phantom):
        add_options(verb, Effect)
        verb.add_argument(
            "--seed", type=int, default=1, metavar="N", help="seed of all draws, default 1"
        )


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked for."""
    verbs: dict[str, Callable[[argparse.Namespace], int]] = {
        "predict": _predict, "pool": _pool, "power": _power, "phantom": _phantom,
    }  # fmt: skip
    return verbs[arguments.what](arguments)


def _predict(arguments: argparse.Namespace) -> int:
    from falx.studies.outcome import files

    found = files.read_models(arguments.model)
    refused = 0
    for path in arguments.patients:
        for line, said in files.prognosis_lines(found, path):
            print(line)
            refused += not said
    return 1 if refused else 0


def _pool(arguments: argparse.Namespace) -> int:
    from falx.studies.outcome import files, pooling

    found = pooling.pool_results(files.read_results(arguments.results))
    print(files.as_text(pooling.POOLED, found))
    if arguments.output_dir is not None:
        title = f"Results of {len(arguments.results)} files pooled"
        page = files.write_fields(arguments.output_dir, "pooled", title, pooling.POOLED, found)
        print(f"look at {page}")
    return 0


def _power(arguments: argparse.Namespace) -> int:
    import numpy as np

    from falx.studies.outcome import files, power

    effect = options_from(arguments, Effect)
    rng = np.random.default_rng(arguments.seed)
    sizes, n = arguments.patients, arguments.simulations
    found = list(power.power_table(sizes, effect, rng, simulations=n))
    said = (
        f"Share of simulated cohorts with P < .05 (penalised): {effect.seizure_free:.0%} seizure "
        f"free, odds ratio {effect.odds_ratio:g} per SD of the score and "
        f"{effect.odds_ratio_anatomy:g} of anatomy, correlation {effect.correlation:g}."
    )
    print(said)
    print(files.as_text(power.POWER, found))
    if arguments.output_dir is not None:
        title = "How many patients would it take?"
        page = files.write_fields(arguments.output_dir, "power", title, power.POWER, found, said)
        print(f"look at {page}")
    return 0


def _phantom(arguments: argparse.Namespace) -> int:
    import numpy as np

    from falx.core.errors import check_range
    from falx.studies.outcome import files, phantom

    check_range("--patients", arguments.patients, 1, 100_000)
    if arguments.out.exists() and any(arguments.out.iterdir()):
        raise InputError(
            "the folder is not empty", where=arguments.out, do="name a new one for the phantom"
        )
    effect = options_from(arguments, Effect)
    rng = np.random.default_rng(arguments.seed)
    made = phantom.phantom_cohort(arguments.patients, effect, rng)
    print(f"look at {files.write_phantom(arguments.out, made)}")
    return 0
