"""What a release consists of agrees with itself."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import jinja2
import pytest
import yaml

import falx

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]


@pytest.fixture
def versions() -> Iterator[object]:
    spec = importlib.util.spec_from_file_location("versions", ROOT / "scripts/test_versions.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.modules.pop("versions", None)


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[><=\[ ]", one)[0].lower().replace("_", "-") for one in requirements}


def test_the_version_is_the_same_everywhere() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    heading = re.search(r"^## (\S+) \((\S+)\)", text, re.MULTILINE)
    assert heading is not None
    assert str(citation["version"]) == falx.__version__ == heading[1]
    assert str(citation["date-released"]) == heading[2]


def test_the_citation_has_what_its_format_asks_for() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors", "license", "version"} <= set(citation)
    titles = " ".join(one["title"] for one in citation["references"])
    assert "laser ablation" in titles
    assert "drug-resistant epilepsy" in titles


def test_what_an_extra_asks_for_is_pinned() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {line.partition("==")[0].lower().replace("_", "-") for line in lines if "==" in line}
    wanted = {one for extra in EXTRAS.values() for one in names(extra)}
    assert wanted | names(PROJECT["dependencies"]) <= pinned | {"falx"}


def test_oracles_are_in_the_extra_of_the_tests() -> None:
    oracles = {"pybids", "bidsschematools", "patsy", "statsmodels", "nilearn", "firthmodels"}
    assert oracles <= names(EXTRAS["test"])
    for library in ("bids", "bidsschematools", "patsy", "statsmodels", "nilearn"):
        assert importlib.util.find_spec(library) is not None, library


def test_the_recipe_of_conda_asks_for_what_the_project_does() -> None:
    text = (ROOT / "conda/meta.yaml").read_text(encoding="utf-8")
    run = text.partition("  run:")[2].partition("\n\n")[0]
    asked = {re.sub(r"\s+", "", line.strip("- ")) for line in run.splitlines() if "-" in line}
    wanted = {*PROJECT["dependencies"], *EXTRAS["pages"], *EXTRAS["genes"]}
    own = {one.replace("matplotlib>", "matplotlib-base>") for one in wanted}
    assert asked == own | {f"python{PROJECT['requires-python']}"}


def test_containers_use_one_python_and_what_exists() -> None:
    docker = (ROOT / "containers/Dockerfile").read_text(encoding="utf-8")
    definition = (ROOT / "containers/falx.def").read_text(encoding="utf-8")
    (image,) = set(re.findall(r"(python:3\.\d+-slim)", docker + definition))
    low, high = PROJECT["requires-python"].removeprefix(">="), image.split(":")[1].split("-")[0]
    assert tuple(map(int, low.split("."))) <= tuple(map(int, high.split(".")))
    for text in (docker, definition):
        assert "constraints.txt" in text
        assert "FALX_VIEWER=0" in text
    sections = re.findall(r"^%(\w+)", definition, re.MULTILINE)
    assert {"files", "post", "environment", "runscript", "test", "labels"} <= set(sections)
    assert definition.startswith("Bootstrap: docker\nFrom: ")


def test_the_scripts_of_the_definition_are_shell() -> None:
    definition = (ROOT / "containers/falx.def").read_text(encoding="utf-8")
    parts = re.split(r"^%(\w+)$", definition, flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    for name in ("post", "environment", "test", "runscript"):
        subprocess.run(["/bin/sh", "-n"], input=sections[name], text=True, check=True)
    docker = (ROOT / "containers/Dockerfile").read_text(encoding="utf-8")
    (install,) = re.findall(r"^RUN (.+)$", docker, re.MULTILINE)
    subprocess.run(["/bin/sh", "-n"], input=install, text=True, check=True)
    both = '/opt/falx/bin/pip install -c constraints.txt ".[all]"'
    assert both in install and both in sections["post"]


def test_the_recipe_of_conda_is_whole_once_it_is_rendered() -> None:
    text = (ROOT / "conda/meta.yaml").read_text(encoding="utf-8")
    rendered = jinja2.Template(text).render(environ={}, PYTHON="python")
    recipe = yaml.safe_load(rendered)
    assert recipe["package"] == {"name": "falx", "version": falx.__version__}
    assert {"source", "build", "requirements", "test", "about"} <= set(recipe)
    (entry,) = recipe["build"]["entry_points"]
    assert entry == f"falx = {PROJECT['scripts']['falx']}"
    for name in recipe["about"]["license_file"]:
        assert (ROOT / name).is_file()


def test_workflows_run_targets_that_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    ran = set()
    for path in (ROOT / ".github/workflows").glob("*.yml"):
        flow = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert flow["permissions"] == {"contents": "read"}
        for job in flow["jobs"].values():
            assert job["timeout-minutes"] <= 90
            for step in job["steps"]:
                if (line := step.get("run", "")).startswith("make "):
                    ran |= set(line.split()[1:])
    assert ran <= targets
    assert {"test", "lint", "docs", "wheel", "types", "layers"} <= ran
    checks = yaml.safe_load((ROOT / ".github/workflows/checks.yml").read_text(encoding="utf-8"))
    tried = checks["jobs"]["tests"]["strategy"]["matrix"]["python"]
    offered = [c.rpartition(" ")[2] for c in PROJECT["classifiers"] if "Python :: 3." in c]
    assert tried == offered


def test_templates_of_issues_ask_for_no_patient() -> None:
    templates = sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"))
    assert len(templates) == 3
    for path in templates:
        form = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert {"name", "description", "body"} <= set(form)
    assert "No patient's images" in (templates[0].read_text() + templates[2].read_text())


def test_the_paper_cites_what_its_bibliography_holds() -> None:
    text = (ROOT / "paper/paper.md").read_text(encoding="utf-8")
    cited = set(re.findall(r"@([a-z]+\d{4})", text))
    held = set(re.findall(r"@article\{(\w+),", (ROOT / "paper/paper.bib").read_text("utf-8")))
    assert cited == held
    for page in re.findall(r"`(docs/[\w/.-]+\.md)`", text):
        assert (ROOT / page).is_file()


def test_figures_of_the_paper_stand_in_the_method_pages() -> None:
    text = (ROOT / "paper/paper.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \| `(docs/\S+?)`", text, re.MULTILINE)
    assert len(rows) >= 10
    for part, _, figures, page in rows:
        known = (
            (ROOT / page).read_text(encoding="utf-8").replace("⁻⁹", "-9").replace("10-9", "e-9")
        )
        known = re.sub(r"5 · e-9", "5e-9", known)
        for number in re.findall(r"\d*\.?\d+(?:e-\d+)?", figures):
            assert number in known, f"{part}: {number} is not in {page}"


def test_lowest_versions_are_those_behind_the_signs(versions) -> None:
    assert versions.lowest("numpy>=2.0") == "numpy==2.0.*"
    assert versions.lowest("dcm2niix>=1.0.20250506") == "dcm2niix==1.0.20250506"
    assert versions.lowest("snakemake>=9") == "snakemake==9.0.*"
    pinned = [versions.lowest(one) for one in versions.requirements()]
    assert all("==" in one for one in pinned)
    assert len(pinned) > 15
