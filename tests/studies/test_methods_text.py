"""The methods text: every step and every departing setting once, from what really ran."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from falx.core.settings import Option, flatten, options_of, resolve
from falx.core.study import Study, load_study
from falx.genes.association_study import Settings
from falx.studies.methods.references import CITED, REFERENCES
from falx.studies.methods.sentences import NOT_TOLD, OF_COMMANDS, OF_STEPS
from falx.studies.methods.study_text import call_text, methods_files, study_text
from falx.studies.methods.text import MethodsText

STUDIES = [
    load_study(f"falx.studies.{name}")
    for name in (
        "signature.study:STUDY",
        "resistance.study:STUDY",
        "norms.study:STUDY",
        "norms.study:READY",
    )
]
PRESETS = [(study, name) for study in STUDIES for name in (*study.presets, "")]


@dataclass
class NamedFile:
    """A file of a record."""

    uri: str


@dataclass
class MadeRecord:
    """A record as the engine writes it."""

    unit: str
    stage: str
    params: dict[str, Any]
    inputs: dict[str, Any]
    packages: dict[str, str] = field(default_factory=lambda: {"numpy": "2.1.0"})
    falx: str = "0.2.0"
    python: str = "3.11.9"


def records_of(
    study: Study, values: dict[str, Any], people: tuple[str, ...] = ("sub-01", "sub-02")
) -> list[MadeRecord]:
    """Records of every stage that a configuration asks for."""
    made = []
    for stage in study.stages:
        if not stage.wanted(values):
            continue
        params = {name: values[key] for name, key in stage.params.items() if key in values}
        inputs = {
            name: NamedFile(f"config:{source.role}:{Path(str(values[source.role])).name}")
            for name, source in stage.sources.items()
            if source.origin == "config" and values[source.role]
        }
        units = people if stage.level == "participant" else ("group",)
        made += [MadeRecord(unit, stage.name, params, dict(inputs)) for unit in units]
    return made


def text_of(study: Study, records: list[MadeRecord], chosen: dict[str, Any]) -> MethodsText:
    """The text of records."""
    filed: dict[str, dict[str, Any]] = {}
    for record in records:
        filed.setdefault(record.unit, {})[record.stage] = record
    return study_text(study, filed, chosen)


def moved(option: Option) -> Any:
    """A value off its default."""
    if option.choices:
        other = [word for word in option.choices if word not in (option.default, *_many(option))]
        return (other[0],) if option.many else (other or [option.choices[0]])[0]
    if option.kind is bool:
        return not option.default
    if option.kind is Path:
        return Path(f"/somewhere/{option.key}.tsv")
    if option.kind is str:
        return (f"{option.key}_other",) if option.many else f"{option.key}_other"
    number = option.kind(0.37 if option.kind is float else 7)
    return (number,) if option.many else number


def _many(option: Option) -> tuple[Any, ...]:
    return option.default if isinstance(option.default, tuple) else ()


def off(values: dict[str, Any], options: dict[str, Option]) -> set[str]:
    """Options off their defaults."""
    return {
        key for key, value in values.items()
        if value != options[key].default and not (value in (None, ()) and not options[key].default)
    }  # fmt: skip


def check_once(study: Study, values: dict[str, Any]) -> MethodsText:
    """Assert that each step and each departing option is told once."""
    options = options_of(study.configuration)
    records = records_of(study, values)
    found = text_of(study, records, values)
    stages = Counter(stage for one in found.statements for stage in one.stages)
    assert stages == Counter({record.stage for record in records})
    named = Counter(key for one in found.statements for key in one.options)
    for key in off(values, options):
        assert named[key] == 1, key
    assert max(named.values(), default=1) == 1
    for one in found.statements:
        assert found.markdown.count(one.text) == 1
    assert not [mark for mark in ("{", "}", "<<", ">>", "?", "  ") if mark in found.words]
    assert "a value that was not recorded" not in found.words
    assert "/somewhere" not in found.markdown
    return found


@pytest.mark.parametrize(("study", "preset"), PRESETS, ids=lambda one: getattr(one, "name", one))
def test_every_preset_tells_each_step_and_departure_once(study: Study, preset: str) -> None:
    layer = study.presets.get(preset, {})
    found = check_once(study, flatten(resolve(study.configuration, layer)))
    told = [one.text for one in found.statements if f"preset {preset} " in one.text]
    assert len(told) == (1 if layer else 0)
    paper = found.statements[0].text
    if "follows a published study" in paper:  # the defaults are not the paper's, and say so
        assert ("not all of its settings are those of that study" in paper) == (not layer)


@pytest.mark.parametrize("study", STUDIES, ids=lambda one: one.name)
def test_every_option_moved_off_its_default_is_told_once(study: Study) -> None:
    options = options_of(study.configuration)
    values = {key: moved(option) for key, option in options.items()}
    found = check_once(study, values)
    for key, option in options.items():
        if option.kind is Path:
            assert f"{key}.tsv" in found.words
    for name, preset in study.presets.items():
        if preset:
            assert f"preset {name} " not in found.words


def test_every_function_of_a_study_has_a_sentence_and_every_reference_is_cited() -> None:
    functions = {
        getattr(stage.run, "func", stage.run).__name__
        for study in STUDIES
        for stage in study.stages
    }
    assert functions <= {*OF_STEPS, *NOT_TOLD}
    cited = {
        key.strip().removeprefix("@")
        for text in (*OF_STEPS.values(), *OF_COMMANDS.values())
        for found in CITED.finditer(text)
        for key in found[1].split(";")
    }
    assert cited | {"falx", "mo2025", "liu2024"} == set(REFERENCES)


def test_people_who_ran_with_other_values_are_told_apart() -> None:
    study = STUDIES[0]
    values = flatten(resolve(study.configuration, {}))
    records = records_of(study, values, ("sub-01", "sub-02"))
    records += records_of(study, values | {"pet.psf_fwhm_mm": 4.5}, ("sub-03",))
    found = text_of(study, records, values)
    assert "6 mm (in 2 steps) or 4.5 mm (Falx's default: 6 mm) (in 1 step)" in found.words


@pytest.mark.parametrize("method", ["calibrated", "threshold"])
def test_a_signature_names_the_limits_of_its_own_method_alone(method: str) -> None:
    study = STUDIES[0]
    values = flatten(resolve(study.configuration, {"signature.method": method}))
    words = text_of(study, records_of(study, values), values).words
    assert ("the threshold of the asymmetry index was" in words) == (method == "threshold")
    assert ("familywise rate of false foci was 0.05" in words) == (method == "calibrated")
    assert ("where a side was declared, foci lie on it" in words) == (method == "calibrated")
    assert ("declared or else suggested by the asymmetry" in words) == (method == "threshold")


def test_a_setting_that_no_step_took_is_said_to_be_none_of_the_results() -> None:
    study = STUDIES[0]
    values = flatten(resolve(study.configuration, {}))
    records = [r for r in records_of(study, values) if r.stage == "anatomy"]
    found = text_of(study, records, values | {"pet.method": "gtm"})
    assert found.statements[-1].text == (
        "Chosen for the last run, and taken by no step that ran: partial-volume correction "
        "(pet.method): gtm."
    )


def test_what_was_given_by_hand_and_prepared_elsewhere_is_said() -> None:
    study = STUDIES[1]
    values = flatten(resolve(study.configuration, {}))
    records = records_of(study, values)
    for record in records:
        if record.stage == "motion" and record.unit == "sub-01":
            record.inputs["prepared"] = NamedFile("bids:derivatives:bold.nii.gz")
    words = text_of(study, records, values).words
    assert "realigned, or taken as fMRIPrep (Esteban et al. 2019) had prepared them" in words
    assert "slices of runs that were realigned here were shifted" in words
    assert "CAT12" not in words
    for record in records:
        if record.stage == "motion":
            record.inputs["prepared"] = NamedFile("bids:derivatives:bold.nii.gz")
        if record.stage == "grey":
            record.inputs["cat12"] = NamedFile("bids:cat12:mwp1sub-01_T1w.nii")
    words = text_of(study, records, values).words
    assert "slice times" not in words
    assert "Grey matter, that of CAT12 (Gaser et al. 2024), was" in words
    signature = STUDIES[0]
    given = records_of(signature, flatten(resolve(signature.configuration, {})))
    given.append(MadeRecord("sub-01", "planned", {}, {}))
    assert OF_COMMANDS["planned"].removesuffix(".") in text_of(signature, given, {}).words


def test_files_agree_with_each_other() -> None:
    study = STUDIES[1]
    values = flatten(resolve(study.configuration, study.presets["liu2024"]))
    files = methods_files(study, records_of(study, values), values)
    assert set(files) == {"methods.md", "methods.bib", "methods.html"}
    assert files == methods_files(study, records_of(study, values), values)
    keys = {k.strip().removeprefix("@") for f in CITED.finditer(files["methods.md"])
            for k in f[1].split(";")}  # fmt: skip
    for key in keys:
        assert files["methods.bib"].count(f"{{{key},") == 1
    assert files["methods.bib"].count("\n}\n") == len(keys)
    assert "Falx 0.2.0" in files["methods.md"]
    assert "numpy 2.1.0" in files["methods.md"]


def test_a_single_call_has_a_text_as_well() -> None:
    found = call_text("relate_map", [Settings(list_q=0.1, null="variogram")])
    assert "below 0.1 (Falx's default: 0.05)" in found.words
    assert "variogram matching (Burt et al. 2020)" in found.words
    length = call_text("relate_map", [Settings(list_rule="length", n_list=300)]).words
    assert "the 300 (Falx's default: 1500) genes of largest bootstrap Z" in length
    assert "false-discovery rate (Benjamini" not in length
