"""Columns of every table that Falx writes, taken from the code that writes them."""

from __future__ import annotations

import ast
import csv
import dataclasses
from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import numpy as np

from falx.maps.cluster_table import ClusterRow, EffectRow
from falx.maps.cluster_values import ClusterValue
from falx.maps.deviations.sample import DeviationRow
from falx.maps.together.conjunction import ClusterCorrelation, SharedRegion
from falx.pet import foci
from falx.studies.norms.page import HEADER as NORMS
from falx.studies.outcome import files as outcome
from falx.studies.outcome.fields import Field
from falx.studies.outcome.group_fields import THRESHOLDS
from falx.studies.outcome.model_fields import VALIDATION
from falx.studies.outcome.outcome import OutcomeSettings
from falx.studies.outcome.phantom import phantom_cohort
from falx.studies.outcome.power import Effect
from falx.studies.resistance.group_results import RESULT_COLUMNS
from falx.studies.resistance.quality import PersonQuality
from falx.studies.resistance.role_files import FurtherPair

SOURCE = Path(__file__).parents[1] / "src" / "falx"
GAP = "…"

WRITTEN: Mapping[tuple[str, str], tuple[str, str]] = {
    ("genes_stage", "genes"): ("studies/genes/output_tables.py", "genes_tsv"),
    ("genes_stage", "terms"): ("studies/genes/output_tables.py", "terms_tsv"),
    ("genes_stage", "left_out"): ("studies/genes/output_tables.py", "left_out_tsv"),
    ("blood_stage", "degs"): ("studies/genes/output_tables.py", "degs_tsv"),
    ("expression_stage", "losses"): ("genes/ahba/losses.py", "tsv"),
    ("role_together_stage", "terms"): ("studies/genes/together_page.py", "joint_tsv"),
    **{
        (f"{kind}_map_stage", "profile"): ("maps/files.py", "_write")
        for kind in ("group", "subgroup")
    },
    ("role_regression_stage", "profile"): ("maps/files.py", "_write"),
}
"""Stage function and output to the function whose source names the columns."""


NEEDS_MORE = {"validation": VALIDATION, "thresholds": THRESHOLDS}
"""Tables of the outcome that a made-up cohort leaves empty, and their fields."""


def columns_by_output(folder: Path) -> dict[tuple[str, str], tuple[str, ...]]:
    """Return the columns of every table by stage function and output.

    Parameters
    ----------
    folder
        An empty one; the tables of the outcome are those of a small made-up cohort.
    """
    found = {
        ("signature_stage", "foci"): tuple(foci.COLUMNS),
        ("norms_stage", "table"): tuple(NORMS),
        ("group_report_stage", "results"): tuple(RESULT_COLUMNS),
        ("role_deviation_stage", "index"): _fields(DeviationRow),
        ("role_anova_stage", "table"): EffectRow.columns(),
        ("role_further_stage", "index"): _fields(FurtherPair),
        ("pairs_stage", "table"): ("modality", "first", "second"),
        ("together_stage", "regions"): _fields(SharedRegion),
        ("together_stage", "correlations"): _fields(ClusterCorrelation),
        ("quality_stage", "table"): _fields(PersonQuality),
    }
    for kind in ("group_map_stage", "subgroup_map_stage", "role_regression_stage"):
        found[kind, "table"] = ClusterRow.columns()
        found[kind, "values"] = _fields(ClusterValue)
    for key, (module, function) in WRITTEN.items():
        found[key] = columns_in(SOURCE / module, function)
    made = phantom_cohort(24, Effect(), np.random.default_rng(1))
    outcome.write_phantom(folder, made, OutcomeSettings(resamples=20, permutations=20))
    for path in sorted((folder / "group").glob("*.tsv")):
        name = path.name.removeprefix("desc-").removesuffix("_outcome.tsv")
        header = path.read_text(encoding="utf-8").partition("\n")[0]
        found["outcome_stage", name] = tuple(header.split("\t"))
    for name, fields in NEEDS_MORE.items():
        found["outcome_stage", name] = _keys(fields)
    return found


def other_tables() -> dict[str, tuple[str, ...]]:
    """Return the columns of tables that no stage of a study writes, by what they are."""
    from falx.studies.outcome.pooling import POOLED
    from falx.studies.outcome.power import POWER
    from falx.studies.reproduce.answer import FIELDS

    people = "engine/people.py", "write_people"
    return {
        "participants_status.tsv, of every run": columns_in(SOURCE / people[0], people[1]),
        "falx reproduce: mo2025.tsv, liu2024.tsv": _keys(FIELDS),
        "falx outcome pool: pooled.tsv": _keys(POOLED),
        "falx outcome power: power.tsv": _keys(POWER),
        "falx enrich: terms of lists": columns_in(
            SOURCE / "studies/genes/output_tables.py", "list_terms_tsv"
        ),
        "falx enrich: regulators": columns_in(
            SOURCE / "studies/genes/output_tables.py", "regulators_tsv"
        ),
    }


@cache
def _words() -> Mapping[str, str]:
    with Path(__file__).with_name("column_words.tsv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    found = {row["column"]: row["words"] for row in rows}
    assert len(found) == len(rows), "a column is described twice"
    return found


def words_of(column: str) -> str:
    """Return what a column holds: by its whole name, or by the longest pattern that fits.

    Examples
    --------
    >>> words_of("auc_spline_5fold"), words_of("auc_score")
    ('the same in five folds', 'area of the score')
    """
    known = _words()
    plain = column.replace(GAP, "x")
    fits = [name for name in known if name == column or ("*" in name and fnmatchcase(plain, name))]
    if not fits or (max(fits, key=len) == "*_*" and GAP not in column):
        return ""
    return known[column if column in known else max(fits, key=len)]


def columns_in(path: Path, function: str) -> tuple[str, ...]:
    """Return the texts of the header that a function hands to its table.

    The header is the first tuple or list of texts that the function assigns to ``columns`` or
    gives to ``write_table`` or ``table_text``, and what it adds to ``columns`` below.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    (found,) = (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == function)
    names: list[str] = []
    for node in ast.walk(found):
        if isinstance(node, ast.Assign | ast.AugAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(target, ast.Name) and target.id in ("columns", "header"):
                names += _texts(node.value)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in (
            "write_table",
            "table_text",
        ):
            at = 1 if ast.unparse(node.func) == "write_table" else 0
            names += [] if names else _texts(node.args[at])
    return tuple(names)


def _texts(node: ast.expr) -> list[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.JoinedStr):
        parts = [str(v.value) if isinstance(v, ast.Constant) else GAP for v in node.values]
        return ["".join(parts)]
    if isinstance(node, ast.Tuple | ast.List):
        return [text for item in node.elts for text in _texts(item)]
    if isinstance(node, ast.Starred):
        return _texts(node.value)
    if isinstance(node, ast.GeneratorExp | ast.ListComp):
        return _texts(node.elt)
    return []


def _fields(kind: type) -> tuple[str, ...]:
    return tuple(item.name for item in dataclasses.fields(kind))


def _keys(fields: object) -> tuple[str, ...]:
    assert isinstance(fields, tuple | list)
    return tuple(one.key for one in fields if isinstance(one, Field) and one.key)
