"""``falx``: finds the command, runs it, and turns errors into one sentence and a code."""

from __future__ import annotations

import argparse
import importlib
import io
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from types import FrameType, ModuleType

from falx import __version__
from falx.core.errors import FalxError
from falx.core.threads import WAITING

__all__ = ["COMMANDS", "Command", "main"]


@dataclass(frozen=True)
class Command:
    """A command and the module that holds it.

    The module is imported only when the command is used. It has ``add_arguments(parser)`` and
    ``run(arguments) -> int``.
    """

    name: str
    help: str
    module: str


COMMANDS: tuple[Command, ...] = (
    Command("demo", "phantom patients from raw images to a report", "falx.cli.demo"),
    Command("desk", "patients, images, runs and plans in a browser", "falx.cli.desk"),
    Command(
        "signature", "metabolic signature of a patient and its ablation", "falx.cli.signature"
    ),
    Command("norms", "healthy PET asymmetry from a site's own controls", "falx.cli.norms"),
    Command("resistance", "grey matter, resting BOLD and group maps", "falx.cli.resistance"),
    Command("compare", "maps of any kind between any groups", "falx.cli.compare"),
    Command("genes", "imaging transcriptomics of a map or regional table", "falx.cli.genes"),
    Command("enrich", "pathways, regulators and networks of gene lists", "falx.cli.enrich"),
    Command("degs", "changed genes of blood RNA-seq counts", "falx.cli.degs"),
    Command("fetch", "data from official sources, with hash and licence", "falx.cli.fetch"),
    Command("plan", "laser plan for one patient", "falx.cli.plan"),
    Command("ablation", "proposal of what a laser took", "falx.cli.ablation"),
    Command("vessels", "proposal of the vessels around the target", "falx.cli.vessels"),
    Command("dicom-in", "a patient's DICOM folder to BIDS images", "falx.cli.dicom_in"),
    Command("dicom-out", "masks to files of a navigation station", "falx.cli.dicom_out"),
    Command("outcome", "prognosis, pooled results, power and phantom cohorts", "falx.cli.outcome"),
    Command("reproduce", "published numbers, recomputed", "falx.cli.reproduce"),
    Command("verify", "what no longer matches its provenance", "falx.cli.verify"),
    Command("stage", "run one job of a plan (used by the engine)", "falx.cli.stage"),
)


def main(arguments: Sequence[str] | None = None, *, commands: Sequence[Command] = COMMANDS) -> int:
    """Run a command line and return its exit code: 0 done, 1 some subjects failed, 2 refused."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal may lack the ³ of mm³
            stream.reconfigure(errors="replace")
    signal.signal(signal.SIGTERM, _interrupt)
    os.environ.update({**WAITING, **os.environ})
    try:
        parsed, command = _parse(words, commands)
        if command is None:
            return 2
        return int(command.run(parsed))
    except FalxError as error:
        print(f"falx: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of a pipe, such as head, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        from falx.core.disk import explain

        known = explain(error, where="falx")
        if known is None:
            raise
        print(known, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            "falx: interrupted; the same command goes on where this one stopped.",
            file=sys.stderr,
        )
        return 130


def _parse(
    words: list[str], known: Sequence[Command]
) -> tuple[argparse.Namespace, ModuleType | None]:
    parser = argparse.ArgumentParser(
        prog="falx",
        description="What differs across the midline of the brain in epilepsy.",
        epilog="Research software: it must not decide a treatment.",
    )
    parser.add_argument("--version", action="version", version=f"falx {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    chosen = next((word for word in words if not word.startswith("-")), None)
    module: ModuleType | None = None
    for command in known:
        own = commands.add_parser(
            command.name, help=command.help, description=command.help, allow_abbrev=False
        )
        if command.name == chosen:
            module = importlib.import_module(command.module)
            module.add_arguments(own)
    parsed = parser.parse_args(words)
    if module is None:
        parser.print_help(sys.stderr)
    return parsed, module


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """Treat a batch system's request to end like Ctrl-C."""
    raise KeyboardInterrupt
