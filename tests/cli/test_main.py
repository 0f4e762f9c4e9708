"""``falx`` itself: what it costs to ask for help, and how it refuses."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import falx as package
from falx.cli.main import COMMANDS
from falx.studies.genes.configuration import ExpressionSource

Run = Callable[..., tuple[int, str, str]]
SOURCE = str(Path(package.__file__).parents[1])


def python(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        env={**os.environ, "PYTHONPATH": SOURCE},
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_names_every_command_and_imports_nothing_heavy() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = python("-X", "importtime", "-m", "falx", "--help")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0
    lines = [line.strip() for line in done.stdout.splitlines()]
    for command in COMMANDS:  # name and words on one line
        assert any(re.fullmatch(rf"{command.name} +{re.escape(command.help)}", x) for x in lines)
    loaded = {
        line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.split("\n")
    }
    assert not loaded & {"numpy", "scipy", "snakemake", "nibabel", "numba", "psutil", "pandas"}
    cpu_s = (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)
    assert cpu_s < 0.3


def test_version(falx: Run) -> None:
    assert falx("--version")[:2] == (0, f"falx {package.__version__}\n")


def test_no_command_and_an_unknown_one_are_refused(falx: Run) -> None:
    code, printed, errors = falx()
    assert (code, printed) == (2, "")
    assert "commands:" in errors
    assert falx("signatur")[0] == 2


def test_every_command_explains_itself(falx: Run) -> None:
    for command in COMMANDS:
        code, printed, _ = falx(command.name, "--help")
        assert code == 0
        assert command.help.partition(" (")[0] in printed.replace("\n", " ")


def test_every_module_of_the_engine_and_bids_imports_without_the_science() -> None:
    modules = "falx.engine.run, falx.engine.verify, falx.bids.query, falx.cli.app"
    heavy = "{'numpy', 'snakemake', 'nibabel'}"
    done = python("-c", f"import {modules}, sys; print({heavy} & {{*sys.modules}})")
    assert done.stdout == "set()\n", done.stderr


def actions(name: str) -> list[argparse.Action]:
    """What a command takes, its own ``--help`` left out."""
    (command,) = [one for one in COMMANDS if one.name == name]
    parser = argparse.ArgumentParser()
    importlib.import_module(command.module).add_arguments(parser)
    return [one for one in parser._actions if one.dest != "help"]


@pytest.mark.parametrize("name", [command.name for command in COMMANDS])
def test_every_argument_is_explained(name: str) -> None:
    silent = {"participant_label", "series"}  # said by their names
    for action in actions(name):
        if action.dest in silent:
            continue
        assert action.help, action.dest
        assert not action.help.endswith("."), action.dest


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("genes", {"map": "MAP", "out": "OUT", "atlas": "NIFTI", "labels": "TABLE",
                   "column": "NAME"}),
        ("enrich", {"genes": "GENES", "out": "OUT", "universe": "FILE"}),
        ("degs", {"counts": "COUNTS", "design": "DESIGN", "imaging": "TSV", "threads": "N"}),
        ("desk", {"folder": "FOLDER", "port": "N"}),
        ("plan", {"out": "OUT", "participant_label": "LABEL", "plan": "FILE", "jobs": "N"}),
        ("verify", {"out": "OUT", "bids": "BIDS"}),
        ("demo", {"out": "OUT", "patients": "N", "voxel_mm": "MM", "jobs": "N"}),
        ("dicom-in", {"dicom": "DICOM", "bids": "BIDS", "t1w": "SERIES", "pet": "SERIES"}),
        ("dicom-out", {"mask": "NAME=FILE", "burn_in": "NAME", "to": "FOLDER"}),
        ("fetch", {"name": "NAME", "to": "FOLDER"}),
        ("reproduce", {"output_dir": "DIR", "resamples": "N"}),
        ("outcome", {"what": "WHAT"}),
        ("stage", {"orders": "ORDERS", "lease": "TOKEN"}),
        ("signature", {"bids": "BIDS", "derivatives": "DIR", "column": "NAME=HEADER",
                       "mem_gb": "GB", "config": "FILE"}),
    ],
)  # fmt: skip
def test_arguments_are_called_what_they_take(name: str, taken: dict[str, str]) -> None:
    found = {action.dest: action.metavar for action in actions(name)}
    assert {dest: found[dest] for dest in taken} == taken


@pytest.mark.parametrize(
    ("name", "needed"),
    [
        ("genes", {"map", "out"}),
        ("enrich", {"genes", "out"}),
        ("degs", {"counts", "design", "out"}),
        ("desk", set()),
        ("plan", {"out"}),
        ("dicom-in", {"dicom", "bids", "participant_label"}),
        ("dicom-out", {"out", "dicom", "participant_label"}),
        ("verify", {"out"}),
        ("demo", {"out"}),
        ("fetch", set()),
        ("reproduce", {"study"}),
        ("outcome", {"what"}),
        ("stage", {"orders"}),
        ("signature", {"bids", "out", "level"}),
        ("resistance", {"bids", "out", "level"}),
    ],
)
def test_what_a_command_cannot_do_without(name: str, needed: set[str]) -> None:
    assert {action.dest for action in actions(name) if action.required} == needed


def test_options_of_genes_stand_in_their_groups() -> None:
    (command,) = [one for one in COMMANDS if one.name == "genes"]
    parser = argparse.ArgumentParser()
    importlib.import_module(command.module).add_arguments(parser)
    groups = {g.title: {a.dest for a in g._group_actions} for g in parser._action_groups}
    assert groups["expression"] == {item.name for item in dataclasses.fields(ExpressionSource)}
    assert {"null", "restore", "seed", "n_maps"} <= groups["study"]
    assert groups["surface"] == {"surface_labels", "spheres"}
    assert {"gene_sets", "network", "ontology"} <= groups["knowledge (user-supplied or fetched)"]
    assert {"degs"} <= groups["options"]
    flags = [a.option_strings for a in parser._actions if a.dest == "null"]
    assert flags == [["--null", "--nulls"]]
