"""A study of tiny text files named like images, with the shape of a real table.

``warm`` and ``cool`` read an image each, ``join`` takes both, ``tell`` gathers records into
a page, ``mean`` is of the group. Files called ``slow``, ``flaky``, ``crash``, ``die``,
``greedy`` or ``full`` beside the images make ``warm`` misbehave, ``drift`` gives it other
numbers. Nothing heavy is imported, so that a job costs little more than a Python start.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from falx.bids.derivative import output_path
from falx.core.errors import InputError, notify
from falx.core.settings import option
from falx.core.stage import Stage
from falx.core.study import RawInput, Study, column


@dataclass(frozen=True)
class Warmth:
    """How the image is warmed."""

    gain: float = option(2.0, help="factor", low=0, high=10)
    offset_mm: float = option(0.0, help="shift", unit="mm", low=-5, high=5)
    how: Literal["plain", "squared"] = option("plain", help="kind of warming")


@dataclass(frozen=True)
class Joining:
    """How both are joined."""

    weights: tuple[float, ...] = option((1.0, 1.0), help="weight of each image")
    strict: bool = option(False, help="refuse negative values")
    extra: Path | None = option(None, help="file with a number to add")
    folder: str = option("", help="folder of a download")


@dataclass(frozen=True)
class Columns:
    """Headers."""

    side: str | None = column("side of the focus", "side", values={"L": "left", "R": "right"})


@dataclass(frozen=True)
class Configuration:
    """All of it."""

    columns: Columns = field(default_factory=Columns)
    warm: Warmth = field(default_factory=Warmth)
    join: Joining = field(default_factory=Joining)


def read(path: Path) -> list[float]:
    return [float(word) for word in path.read_text().split()]


def write(path: Path, values: Iterable[float]) -> None:
    path.write_text(" ".join(map(str, values)))


def warm_stage(
    *, t1w: Path, warmed: Path, gain: float, offset_mm: float, how: str, side: str, label: str
) -> None:
    values = read(t1w)
    if not any(values):
        raise InputError("the image is empty", where=f"sub-{label}", found="all zeros")
    misbehave(t1w.parent, warmed)
    sign = -1 if side == "left" else 1
    if (t1w.parent / "drift").exists():
        offset_mm += 1
    write(warmed, (sign * gain * (v**2 if how == "squared" else v) + offset_mm for v in values))
    warmed.with_name(warmed.name.replace(".nii.gz", ".json")).write_text("{}")
    if side == "left":
        notify("the focus is on the left", where=f"sub-{label}")


def _wait_while_there(slow: Path) -> None:
    """Wait as many seconds as a file says, but no longer than it is there."""
    with contextlib.suppress(FileNotFoundError):
        until = time.monotonic() + float(slow.read_text())
        while slow.exists() and time.monotonic() < until:
            time.sleep(0.02)


def misbehave(folder: Path, output: Path) -> None:
    """Do what a file beside the image says."""
    if (folder / "slow").exists():
        _wait_while_there(folder / "slow")
    if (folder / "flaky").exists():
        (folder / "flaky").unlink()
        raise InputError("the first attempt always fails", where="toy")
    if (folder / "crash").exists():
        output.write_text("half")
        raise ZeroDivisionError("toy")
    if (folder / "die").exists():
        os.kill(os.getpid(), 9)
    if (folder / "greedy").exists():
        bytearray(int((folder / "greedy").read_text()))
    if (folder / "full").exists():
        output.write_text("half")
        with Path("/dev/full").open("wb") as full:
            full.write(b"0" * 100_000)


def cool_stage(*, flair: Path, cooled: Path, units: str | None) -> None:
    write(cooled, (v - (1 if units == "C" else 0) for v in read(flair)))


def join_stage(
    *,
    warmed: Path,
    cooled: Path | None,
    extra: Path | None,
    joined: Path,
    numbers: Path,
    weights: tuple[float, ...],
    strict: bool,
) -> None:
    values = [weights[0] * v for v in read(warmed)]
    if cooled is not None:
        values = [v + weights[1] * w for v, w in zip(values, read(cooled), strict=True)]
    if extra is not None:
        values = [v + read(extra)[0] for v in values]
    if strict and min(values) < 0:
        raise InputError("there are negative values", where=joined.name)
    write(joined, values)
    numbers.write_text(json.dumps({"mean": sum(values) / len(values)}))


def tell_stage(*, records: Mapping[str, Path], numbers: Path, page: Path) -> None:
    lines = [f"mean {json.loads(numbers.read_text())['mean']}"]
    for name, path in records.items():
        lines += [name, *json.loads(path.read_text())["notices"]]
    page.write_text("<p>" + "<br>".join(lines) + "</p>")


def mean_stage(
    *,
    numbers: Mapping[str, Path],
    participants: Path | None,
    exclusions: Path,
    table: Path,
    folder: str,
) -> None:
    means = {k: json.loads(path.read_text())["mean"] for k, path in numbers.items()}
    if len(means) == 1:
        notify("the mean is one of a single person", do="add people")
    lines = [f"{k}\t{v}" for k, v in sorted(means.items())]
    lines.append(f"mean\t{sum(means.values()) / len(means)}")
    if folder and not Path(folder).is_dir():
        raise InputError("there is no such folder", found=folder)
    lines += exclusions.read_text().splitlines()[1:]
    table.write_text("\n".join(lines) + "\n")


STAGES = (
    Stage(
        "warm",
        warm_stage,
        inputs={"t1w": "raw.t1w"},
        outputs={"warmed": output_path("anat", "T1w", space="orig", desc="warm")},
        params={
            "gain": "warm.gain",
            "offset_mm": "warm.offset_mm",
            "how": "warm.how",
            "side": "participant.side",
            "label": "subject.label",
        },
        mem_mb=100,
        disk_mb=1,
    ),
    Stage(
        "cool",
        cool_stage,
        inputs={"flair": "raw.flair"},
        outputs={"cooled": output_path("anat", "FLAIR", space="orig", desc="cool")},
        params={"units": "raw.flair:Units?"},
        mem_mb=100,
        disk_mb=1,
    ),
    Stage(
        "join",
        join_stage,
        inputs={
            "warmed": "warm.warmed",
            "cooled": "cool.cooled?",
            "extra": "config.join.extra?",
        },
        outputs={
            "joined": output_path("anat", "T1w", space="orig", desc="joined"),
            "numbers": output_path("anat", "stats", extension=".json", desc="joined"),
        },
        params={"weights": "join.weights", "strict": "join.strict"},
        mem_mb=100,
        disk_mb=1,
    ),
    Stage(
        "tell",
        tell_stage,
        inputs={"records": "provenance.all", "numbers": "join.numbers"},
        outputs={"page": "sub-{subject}.html"},
        mem_mb=100,
        disk_mb=1,
    ),
    Stage(
        "mean",
        mean_stage,
        inputs={
            "numbers": "join.numbers*",
            "participants": "raw.participants?",
            "exclusions": "study.exclusions",
        },
        outputs={"table": "group/means.tsv"},
        params={"folder": "join.folder"},
        level="group",
        mem_mb=100,
        disk_mb=1,
    ),
)

STUDY = Study(
    name="toy",
    reference="toy_study:STUDY",
    stages=STAGES,
    raw={
        "t1w": RawInput(
            "T1w image",
            suffix="T1w",
            datatype="anat",
            sessions=("preop", None),
            required=True,
            judged=False,
        ),
        "flair": RawInput(
            "FLAIR image",
            suffix="FLAIR",
            datatype="anat",
            sessions=("preop", None),
            judged=False,
        ),
        "participants": RawInput("table of participants", dataset_file="participants.tsv"),
    },
    configuration=Configuration,
    presets={"hot": {"warm.gain": 5.0}},
    show={"participant": "tell.page", "group": "mean.table"},
)


def write_dataset(root: Path, subjects: int = 2) -> Path:
    """Write a dataset; the images of subject n hold the value n, odd ones a left focus."""
    root.mkdir(parents=True)
    (root / "dataset_description.json").write_text('{"Name": "toy", "BIDSVersion": "1.10.0"}')
    lines = ["participant_id\tside"]
    for number in range(1, subjects + 1):
        label = f"{number:02d}"
        folder = root / f"sub-{label}" / "anat"
        folder.mkdir(parents=True)
        for suffix in ("T1w", "FLAIR"):
            write(folder / f"sub-{label}_{suffix}.nii.gz", [number, number + 1])
        lines.append(f"sub-{label}\t{'L' if number % 2 else 'R'}")
    (root / "participants.tsv").write_text("\n".join(lines) + "\n")
    return root


def halve_stage(*, numbers: Mapping[str, Path], half: Path, divisor: float) -> None:
    if divisor > 3:
        raise InputError("the divisor is too large", found=divisor)
    total = sum(json.loads(path.read_text())["mean"] for path in numbers.values())
    write(half, [total / divisor])


def compare_stage(*, first: Path | None, second: Path | None, failures: Path, page: Path) -> None:
    parts = ["none" if path is None else path.read_text() for path in (first, second)]
    page.write_text("\n".join([*parts, *failures.read_text().splitlines()[1:]]))


def need_stage(*, first: Path, needed: Path) -> None:
    write(needed, read(first))


def _half(name: str, key: str) -> Stage:
    return Stage(
        name,
        halve_stage,
        inputs={"numbers": "join.numbers*"},
        outputs={"half": f"group/{name}.txt"},
        params={"divisor": key},
        level="group",
        mem_mb=100,
        disk_mb=1,
    )


GROUP_STUDY = replace(
    STUDY,
    reference="toy_study:GROUP_STUDY",
    stages=(
        *STAGES[:-1],
        _half("first", "warm.gain"),
        _half("second", "warm.offset_mm"),
        Stage(
            "need", need_stage, inputs={"first": "first.half"},
            outputs={"needed": "group/need.txt"}, level="group", mem_mb=100, disk_mb=1,
        ),
        Stage(
            "compare",
            compare_stage,
            inputs={
                "first": "first.half?", "second": "second.half?", "failures": "study.failures",
            },
            outputs={"page": "group.html"},
            level="group",
            mem_mb=100,
            disk_mb=1,
        ),
    ),
    show={"participant": "tell.page", "group": "compare.page"},
)  # fmt: skip
"""The toy study with two comparisons of the group, a page of both, and a stage that needs one."""
