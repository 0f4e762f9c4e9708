"""Cases of tables, JSON, configuration and plans."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import Any

import numpy as np

import toy_study
from falx.bids.index import Index
from falx.core.errors import FalxError
from falx.core.files import read_json, read_participants
from falx.core.settings import options_of, read_toml, resolve, to_toml
from falx.core.study import columns_of
from falx.pet.settings import AsymmetrySettings, Correction, SignatureRule
from falx.studies.plan.files import read_plan
from falx.studies.resistance.configuration import ResistanceConfiguration
from falx.studies.signature.configuration import SignatureConfiguration
from fuzzing import Case, SilentError, damaged

SIDES = {"L": "left", "R": "right"}
JUNK = ("n/a", "", "NaN", "left\0", "L\u200b", '"L', "Łódź", "L,R", " L ", "1e999", "L" * 5000)


def participants(case: Case) -> str:
    """A table of people: nobody's side may become another's, and nobody may vanish."""
    rng = case.rng
    people = {f"{n:02d}": rng.choice("LR") for n in range(1, rng.randrange(3, 9))}
    ages = {label: str(rng.randrange(18, 70)) for label in people}
    header = ["participant_id", "age", "side"]
    rows = [[f"sub-{label}", ages[label], people[label]] for label in people]
    kind = rng.choice(["encoding", "twice", "column", "cells", "bytes", "junk", "case", "shuffle",
                       "line ends"])  # fmt: skip
    changed: set[str] = set()
    if kind == "twice":
        rows.append(list(rng.choice(rows)))
    elif kind == "column":
        header.insert(rng.randrange(4), rng.choice(["side", "Side", "SIDE", "side "]))
        rows = [[*row, rng.choice("LR")] for row in rows]
    elif kind == "cells":
        row = rng.choice(rows)
        row.insert(rng.randrange(4), "x") if rng.random() < 0.5 else row.pop()
    elif kind == "junk":
        row = rng.choice(rows)
        place = rng.randrange(3)
        row[place] = rng.choice(JUNK)
        changed = {row[0].removeprefix("sub-")} | ({*people} if place == 0 else set())
    elif kind == "case":
        header = [rng.choice([str.upper, str.title, str.lower])(name) for name in header]
    elif kind == "shuffle":
        order = rng.sample(range(3), 3)
        header, rows = [header[i] for i in order], [[row[i] for i in order] for row in rows]
    ends = rng.choice(["\r\n", "\r", "\n\n"]) if kind == "line ends" else "\n"
    text = ends.join("\t".join(row) for row in [header, *rows]) + rng.choice(["", ends])
    encoding = rng.choice(["utf-16", "utf-8-sig", "utf-16-le", "latin-1", "utf-32"])
    data = text.encode(encoding if kind == "encoding" else "utf-8")
    if kind == "bytes":
        data = damaged(data, rng)
    path = case.write("participants.tsv", data)
    found = read_participants(path)
    column = columns_of(toy_study.Columns)["side"]
    known = {}
    for label in found.rows:
        try:
            known[label] = column.of(found, label, None)
        except FalxError:
            changed.add(label)
    if kind == "bytes":
        return _as_bytes_say(data, found.rows)
    lost = people.keys() - known.keys() - changed
    turned = [n for n in known.keys() & people.keys() - changed if known[n] != SIDES[people[n]]]
    if lost or turned or (kind == "twice"):
        raise SilentError(f"{kind}: lost {lost}, turned {turned}: {data!r}")
    return "right"


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _as_bytes_say(data: bytes, rows: Any) -> str:
    """Compare with an independent reading of the damaged bytes."""
    lines = list(csv.reader(io.StringIO(_text(data), newline=""), delimiter="\t"))
    strip = " \t\ufeff\u200b\u200e\u200f"
    names = {line[0].strip().strip(strip).removeprefix("sub-") for line in lines if any(line)}
    if not set(rows) <= names:
        raise SilentError(f"people who do not stand there: {set(rows) - names}")
    return "right"


def side_words(case: Case) -> str:
    """Words for a side: the right one, or a sentence."""
    words = {"L": "left", "left": "left", " Left ": "left", "R": "right", "RIGHT": "right",
             "r": "right"}  # fmt: skip
    odd = ("both", "links", "0", "1", "rightleft", "L/R", "?", "left right", "lef", "droit")
    word = case.rng.choice([*words, *odd])
    path = case.write("participants.tsv", f"participant_id\tside\nsub-01\t{word}\n")
    column = columns_of(toy_study.Columns)["side"]
    found = column.of(read_participants(path), "01", None)
    if found != words.get(word):
        raise SilentError(f"{word!r} was taken for {found!r}")
    return "right"


def json_text(case: Case) -> str:
    """JSON that is deep, huge, doubled or damaged: what it says, or a sentence."""
    rng = case.rng
    content = {"Units": "C", "RepetitionTime": 2.0, "SliceTiming": [0.0, 0.5], "Ä": None}
    text = json.dumps(content)
    kind = rng.choice(["bytes", "deep", "digits", "twice", "list", "nan", "bom"])
    if kind == "deep":
        depth = rng.choice([2000, 100_000])
        text = '{"a":' + "[" * depth + "]" * depth + "}"
    elif kind == "digits":
        text = '{"RepetitionTime": ' + "9" * rng.choice([400, 5000, 100_000]) + "}"
    elif kind == "twice":
        text = text[:-1] + ', "Units": "F"}'
    elif kind == "list":
        text = rng.choice(["[]", "3", '"x"', "null", "true"])
    elif kind == "nan":
        text = '{"RepetitionTime": NaN, "SliceTiming": [Infinity]}'
    data = text.encode("utf-8-sig" if kind == "bom" else "utf-8")
    if kind == "bytes":
        data = damaged(data, rng)
    case.write("sub-01/anat/sub-01_T1w.nii.gz", "x")
    path = case.write("sub-01/anat/sub-01_T1w.json", data)
    index = Index(case.folder)
    (file,) = [one for one in index.files("01") if one.path.endswith(".nii.gz")]
    found = index.sidecar(file)
    if kind == "twice":
        raise SilentError("one of two values of a key was taken")
    if kind == "bom" and found != content:
        raise SilentError(f"read as {found}")
    if kind == "bytes" and found != read_json(path):
        raise SilentError("two readings differ")
    return "right"


SETTINGS = (SignatureConfiguration, ResistanceConfiguration, toy_study.Configuration)
VALUES: tuple[Any, ...] = (
    math.nan, math.inf, -math.inf, -1, 0, 1, 3, 1e308, 10**400, 2.5, True, False, "", "3", "nan",
    "none", [], [1], ["a"], [[1]], {}, None, "é" * 100, -0.0, 1e-320, [math.nan],
)  # fmt: skip


def configuration(case: Case) -> str:
    """A value for an option: in its range and of its type, or a sentence."""
    rng = case.rng
    kind = rng.choice(SETTINGS)
    key, declared = rng.choice(list(options_of(kind).items()))
    value = rng.choice(VALUES)
    built = resolve(kind, {key: value})
    section, name = key.split(".")
    found = getattr(getattr(built, section), name)
    for one in found if declared.many else (found,):
        if one is None and declared.nullable:
            continue
        if declared.kind in (int, float):
            good = type(one) is declared.kind and declared.low <= one <= declared.high
        elif declared.kind is bool:
            good = isinstance(one, bool)
        else:
            good = isinstance(one, str) and (not declared.choices or one in declared.choices)
        if not good:
            raise SilentError(f"{key} took {value!r} as {one!r}")
    path = case.write("c.toml", to_toml(built))
    if resolve(kind, read_toml(path)) != built:
        raise SilentError(f"{key} = {value!r} does not come back from its own file")
    return "right"


def toml_bytes(case: Case) -> str:
    """A damaged configuration file: what it says by another reader, or a sentence."""
    import tomllib

    kind = case.rng.choice(SETTINGS)
    path = case.write("c.toml", damaged(to_toml(kind()).encode(), case.rng))
    built = resolve(kind, read_toml(path))
    told = tomllib.loads(path.read_text())
    for section, values in told.items():
        for name, value in values.items():
            found = getattr(getattr(built, section), name)
            if (list(found) if isinstance(found, tuple) else found) != value:
                raise SilentError(f"{section}.{name} = {value!r} was read as {found!r}")
    return "right"


def settings_by_hand(case: Case) -> str:
    """The same from Python: a settings record takes no value beyond its range."""
    kind = case.rng.choice([Correction, AsymmetrySettings, SignatureRule])
    name, declared = case.rng.choice(list(options_of(kind).items()))
    value = case.rng.choice(VALUES)
    made = getattr(kind(**{name: value}), name)
    if declared.kind in (int, float) and not declared.low <= made <= declared.high:
        raise SilentError(f"{name} took {value!r}")
    return "right"


PLAN = {
    "entry_ras_mm": [-35.1, -90.0, 10.5], "target_ras_mm": [-25.0, -10.0, -12.0],
    "entry_lps_mm": [35.1, 90.0, 10.5], "target_lps_mm": [25.0, 10.0, -12.0],
    "burns": [{"radius_mm": 8.0, "pull_back_mm": 24.0, "tip_offset_mm": 0.0}],
}  # fmt: skip
PARTS: tuple[Any, ...] = (
    None, [], {}, "x", 7, [1, 2], [math.nan] * 3, [1e308] * 3, [0, 0, "a"], [[1, 2, 3]], -5,
    [True, False, True], [{"radius_mm": -3}], [{"radius_mm": 1e9}], [{"radius_mm": math.nan}],
    [{}], [{"radius_mm": 6}] * 3, 10**400, [-25.0, -10.0, -12.0],
)  # fmt: skip


def plan(case: Case) -> str:
    """A plan file: the place that it names in both frames, or a sentence."""
    rng = case.rng
    content = json.loads(json.dumps(PLAN))
    words: Any = {"plan": content} if rng.random() < 0.3 else content
    kind = rng.choice(["bytes", "part", "lose", "mirror", "suggested"])
    key = rng.choice(list(PLAN))
    if kind == "part":
        content[key] = rng.choice(PARTS)
    elif kind == "lose":
        del content[key]
    elif kind == "mirror":
        axis = rng.randrange(3)
        content[key if key != "burns" else "entry_ras_mm"][axis] *= -1
    elif kind == "suggested":
        words = {"suggested": rng.choice([0, 1, -1, 5, True, 2.5]), "options": [{"plan": content}]}
    data = json.dumps(words).encode()
    if kind == "bytes":
        data = damaged(data, rng)
    read = read_plan(case.write("plan.json", data))
    told = json.loads(_text(data))
    told = told["options"][0] if "options" in told else told
    told = told.get("plan", told)
    if kind == "mirror":
        raise SilentError("one of two places was taken")
    for end in ("entry", "target"):
        found = getattr(read.trajectory, f"{end}_mm")
        if not np.allclose(found, told[f"{end}_ras_mm"]) or not np.isfinite(found).all():
            raise SilentError(f"{end} was read as {found}")
        lps = told.get(f"{end}_lps_mm")
        if lps is not None and not np.allclose(np.array(lps) * (-1, -1, 1), found, atol=2e-3):
            raise SilentError(f"{end} is {found} and {lps}")
    if [b.radius_mm for b in read.burns] != [b["radius_mm"] for b in told["burns"]]:
        raise SilentError("other burns")
    if not all(0 < b.radius_mm < 50 for b in read.burns):
        raise SilentError(f"impossible burns {read.burns}")
    return "right"
