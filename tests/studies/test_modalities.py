"""A modality is declared in one row, and everything that handles images follows the table."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

import falx
from falx.core.errors import FalxError
from falx.images.plausible import LIMITS
from falx.pet.steps import Quantity
from falx.studies.outcome.labels import label
from falx.studies.outcome.outcome import ASYMMETRIES, SCALES
from falx.studies.signature import modalities
from falx.studies.signature.modalities import MODALITIES, Modality
from falx.studies.signature.study import STUDY

SOURCE = Path(falx.__file__).parent
HANDLING = (
    *("studies/signature", "studies/outcome", "surgery/outcome", "images", "api", "core"),
    *("engine", "report", "surgery/files.py", "pet/steps.py", "pet/files.py"),
)
NAMED = {
    "studies/signature/modalities.py",  # the table itself
    "studies/outcome/family.py",  # the tests that the study asks first, a choice of its own
    "studies/signature/recovery.py",  # what the phantom plants
    "studies/outcome/phantom.py",  # the columns of a made-up cohort
    "api/demo.py",
}


def words_of(path: Path) -> set[str]:
    """Words of the strings of a module that are no docstrings, and of its names."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    said = {
        node.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found |= set() if node.value in said else {node.value}
        for name in ("id", "arg", "attr"):
            found |= {str(getattr(node, name))} if hasattr(node, name) else set()
    return {part.lower() for text in found for part in text.replace("_", " ").split()}


def test_no_module_but_the_table_names_a_modality_that_need_not_be_there() -> None:
    files = [f for place in HANDLING for f in sorted((SOURCE / place).rglob("*.py"))]
    files += [SOURCE / place for place in HANDLING if place.endswith(".py")]
    naming = {f.relative_to(SOURCE).as_posix() for f in files if "flair" in words_of(f)}
    assert len(files) > 80
    assert naming <= NAMED
    assert "studies/signature/modalities.py" in naming


def test_stages_numbers_names_and_the_interface_follow_the_table() -> None:
    from falx.api.metabolic import QUANTITIES

    keys = [modality.key for modality in MODALITIES]
    for key in keys:
        assert STUDY.stage(f"asymmetry_{key}").outputs
        assert f"ai_{key}" in ASYMMETRIES and f"ai_{key}" in SCALES
        assert label(f"ai_{key}").startswith("asymmetry of ")
    for stage, group in (("ablation", "scaled"), ("ablation", "scaled_metrics"),
                         ("numbers", "asymmetry"), ("report", "asymmetry")):  # fmt: skip
        inputs = [name for name in STUDY.stage(stage).inputs if name.startswith(f"{group}.")]
        assert inputs == [f"{group}.{key}" for key in keys]
    assert list(QUANTITIES) == keys


def test_raw_images_are_coregistered_judged_and_may_be_absent_as_their_row_says() -> None:
    for modality in MODALITIES:
        optional = {STUDY.stage("ablation").sources[f"scaled.{modality.key}"].optional}
        if modality.raw is None:
            assert optional == {False} and modality.key not in STUDY.raw
            continue
        assert STUDY.raw[modality.key] is modality.raw
        assert STUDY.stage(f"coregister_{modality.key}").outputs
        assert optional == {not modality.raw.required}
        assert (modality.raw.judged_as or modality.raw.suffix) in LIMITS


def test_a_new_row_gives_a_study_with_its_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    from falx.studies.signature import study

    row = Modality(
        "trial", "trial PET", Quantity("trial PET", zero_is_missing=True),
        lambda **entities: f"sub-{{subject}}/trial_{entities['desc']}_{entities['space']}.nii.gz",
        "TRIAL", raw=modalities.RawInput("trial PET", suffix="pet", datatype="pet"),
    )  # fmt: skip
    monkeypatch.setattr(modalities, "MODALITIES", (*MODALITIES, row))
    try:
        found = importlib.reload(study).STUDY
        assert found.stage("asymmetry_trial").inputs["matrix"] == "coregister_trial.matrix"
        assert found.stage("report").inputs["coregistrations.trial"] == "coregister_trial.matrix?"
        assert found.stage("numbers").inputs["asymmetry.trial"] == "asymmetry_trial.metrics?"
        paths = [path for stage in found.stages for path in stage.outputs.values()]
        assert len(paths) == len(set(paths))
    finally:
        monkeypatch.undo()
        importlib.reload(study)


def test_a_row_that_cannot_be_used_is_refused() -> None:
    with pytest.raises(FalxError, match="a key that can be a name"):
        Modality("t2-w", "T2w", Quantity("T2w"), str, "T2w", source="anatomy.gm")
    with pytest.raises(FalxError, match="neither a file nor a stage"):
        Modality("t2w", "T2w", Quantity("T2w"), str, "T2w")
