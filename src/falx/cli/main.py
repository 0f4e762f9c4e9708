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
from falx.cli.parsing import Parser, folders_first, options_of_parser, unknown_option
from falx.core.errors import FalxError
from falx.core.threads import ENVIRONMENT

__all__ = ["COMMANDS", "Command", "main", "whole_parser"]


@dataclass(frozen=True)
class Command:
    """A command and the module that holds it.

    The module is imported only when the command is used. It has ``add_arguments(parser)`` and
    ``run(arguments) -> int``.

    Parameters
    ----------
    resumes
        Whether the same command, given again, does only what is missing.
    """

    name: str
    help: str
    module: str
    resumes: bool = False


COMMANDS: tuple[Command, ...] = (
    Command("demo", "simulated patients from raw images to a report", "falx.cli.demo"),
    Command("desk", "patients, images, runs and plans in a browser", "falx.cli.desk"),
    Command(
        "signature",
        "metabolic signature of a patient and its ablation",
        "falx.cli.signature",
        resumes=True,
    ),
    Command(
        "norms", "healthy PET asymmetry from a site's own controls", "falx.cli.norms", resumes=True
    ),
    Command(
        "resistance",
        "grey matter, resting BOLD and group maps",
        "falx.cli.resistance",
        resumes=True,
    ),
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
    Command("outcome", "prognosis, pooled results, power, simulated cohorts", "falx.cli.outcome"),
    Command("reproduce", "published numbers, recomputed", "falx.cli.reproduce"),
    Command("verify", "what no longer matches its provenance", "falx.cli.verify"),
    Command("completion", "a script by which the shell completes options", "falx.cli.completion"),
    Command("stage", "run one job of a plan (used by the engine)", "falx.cli.stage"),
)


def main(arguments: Sequence[str] | None = None, *, commands: Sequence[Command] = COMMANDS) -> int:
    """Run a command line and return its exit code: 0 done, 1 some subjects failed, 2 refused."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal may lack the ³ of mm³
            stream.reconfigure(errors="replace")
    signal.signal(signal.SIGTERM, _interrupt)
    os.environ.update({**ENVIRONMENT, **os.environ})
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
        goes_on = any(command.resumes and command.name in words[:1] for command in commands)
        again = "the same command continues where this one stopped"
        print(
            f"falx: interrupted; {again if goes_on else 'give the command again'}.",
            file=sys.stderr,
        )
        return 130


class _Help(argparse.HelpFormatter):
    """Leaves room for the longest command, which argparse indents after it has measured it."""

    def add_argument(self, action: argparse.Action) -> None:
        super().add_argument(action)
        if isinstance(action, argparse._SubParsersAction):
            self._action_max_length += self._indent_increment


def _parse(
    words: list[str], known: Sequence[Command]
) -> tuple[argparse.Namespace, ModuleType | None]:
    at = next((k for k, word in enumerate(words) if not word.startswith("-")), None)
    chosen = None if at is None else words[at]
    parser, own, module = _parsers(known, chosen)
    if at is not None and own is not None:
        greedy = [flag for a in own._actions if a.nargs == "+" for flag in a.option_strings]
        words = [*words[: at + 1], *folders_first(words[at + 1 :], greedy)]
        _refuse_unknown(own, words[at + 1 :])
    parsed, left = parser.parse_known_args(words)
    if left:
        of = own or parser
        of.error(unknown_option(left, options_of_parser(of)))
    if module is None:
        parser.print_help(sys.stderr)
    return parsed, module


def _refuse_unknown(own: Parser, words: Sequence[str]) -> None:
    """End with a suggestion if an option is unknown, before its value is taken for a folder."""
    options = list(options_of_parser(own))
    for word in words:
        if word == "--":
            return
        name = word.partition("=")[0]
        if name.startswith("--") and not any(option.startswith(name) for option in options):
            own.error(unknown_option([name], options))


def _parsers(
    known: Sequence[Command], chosen: str | None
) -> tuple[Parser, Parser | None, ModuleType | None]:
    """Return the parser, that of the chosen command, and its module; others stay empty."""
    parser = Parser(
        prog="falx",
        description="What differs across the midline of the brain in epilepsy.",
        epilog="Research software: it must not decide a treatment.",
        formatter_class=_Help,
    )
    parser.add_argument("--version", action="version", version=f"falx {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    module, its_own = None, None
    for command in known:
        own = commands.add_parser(
            command.name, help=command.help, description=command.help, allow_abbrev=False
        )
        if command.name == chosen:
            module = importlib.import_module(command.module)
            module.add_arguments(own)
            its_own = own
    return parser, its_own, module


def whole_parser(known: Sequence[Command] = COMMANDS) -> Parser:
    """Return the parser with the arguments of every command, which loads them all."""
    parser, _, _ = _parsers(known, None)
    (below,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    for command in known:
        importlib.import_module(command.module).add_arguments(below.choices[command.name])
    return parser


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """Treat a batch system's request to end like Ctrl-C."""
    raise KeyboardInterrupt
