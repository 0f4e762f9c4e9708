"""What the pages of the site say is what the program does."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from falx.cli.main import COMMANDS, whole_parser
from falx.cli.parsing import options_of_parser

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path
    for path in (*(ROOT / "docs").rglob("*.md"), ROOT / "README.md")
    if "_build" not in path.parts and path.parent.name != "reference"
)
COMMAND = re.compile(r"(?<![\w./-])falx ((?:[a-z][a-z-]+)\b[^`\n#(&]*)")


@pytest.fixture(scope="module")
def scripts() -> Iterator[None]:
    sys.path.insert(0, str(ROOT / "scripts"))
    yield
    sys.path.remove(str(ROOT / "scripts"))


@pytest.fixture(scope="module")
def columns(scripts, tmp_path_factory) -> dict[tuple[str, str], tuple[str, ...]]:
    """Columns of every table of a study, as small studies write them."""
    found = importlib.import_module("site_columns")
    return found.columns_by_output(tmp_path_factory.mktemp("columns"))


@pytest.fixture(scope="module")
def said(scripts) -> list[str]:
    """Sentences of every error and notice."""
    return [one.what for one in importlib.import_module("site_messages").messages()]


def pattern_of(sentence: str) -> re.Pattern[str]:
    """Match a sentence whose gaps may be anything."""
    parts = [re.escape(part) for part in re.split(r"…", sentence)]
    return re.compile(".+?".join(parts) if len(parts) > 1 else parts[0])


def test_every_sentence_of_the_troubleshooting_is_printed_by_the_program(said) -> None:
    texts = importlib.import_module("site_messages").texts()
    printed = [*said, *(one for one in texts if len(one) < 300)]
    text = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
    sentences = re.findall(r"^### `(.+)`$", text, re.MULTILINE)
    assert len(sentences) > 30
    for sentence in sentences:
        found = pattern_of(sentence)
        assert any(found.search(one) or pattern_of(one).fullmatch(sentence) for one in printed), (
            f"no message reads: {sentence}"
        )


def test_a_made_up_sentence_is_noticed(said) -> None:
    assert not any(pattern_of("the scanner is on fire").search(one) for one in said)
    assert len(said) > 500


def commands_on(path: Path) -> list[str]:
    """Command lines in code of a page, whole ones and those in a line of text."""
    text = path.read_text(encoding="utf-8")
    blocks = re.findall(r"^```[a-z]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    inline = re.findall(r"(?<!`)`(falx [^`]+)`(?!`)", text)
    lines = [line for block in blocks for line in block.splitlines()]
    return [match[1].strip() for one in (*lines, *inline) for match in COMMAND.finditer(one)]


def test_every_command_and_option_on_a_page_exists() -> None:
    options = {name: set() for name in (command.name for command in COMMANDS)}
    for action in whole_parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, parser in action.choices.items():
                options[name] = set(options_of_parser(parser))
    checked = 0
    for path in PAGES:
        for line in commands_on(path):
            name = line.split()[0]
            assert name in options, f"{path.name}: falx {line}"
            for flag in re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z](?!-?…)", line):
                near = [one for one in options[name] if one.startswith(flag)]
                assert flag in options[name] or (f"{flag}-…" in line and near), (
                    f"{path.name}: falx {line} has no {flag}"
                )
                checked += 1
    assert checked > 60


def test_every_option_that_a_page_for_users_names_alone_exists() -> None:
    known = set(options_of_parser(whole_parser()))
    named = [
        (path.name, match[1], match[2])
        for path in PAGES
        if path.parent.name != "methods"  # whose figures come from scripts with options of theirs
        for match in re.finditer(r"`(--[a-z][a-z0-9-]*)([^`]*)`", path.read_text(encoding="utf-8"))
    ]
    wrong = [
        (page, option)
        for page, option, more in named
        if option not in known
        and not ("…" in more and any(one.startswith(option) for one in known))
    ]
    assert wrong == []
    assert len(named) > 40


@pytest.mark.parametrize("name", ["options", "outputs", "api"])
def test_the_reference_is_made_of_the_code(scripts, name: str) -> None:
    if importlib.util.find_spec("numpydoc") is None:
        pytest.skip("numpydoc comes with the extra docs, which make docs installs")
    reference = importlib.import_module("site_reference")
    text = "\n".join(getattr(reference, f"{name}_page")())
    if name == "options":
        for command in COMMANDS:
            assert (f"\n## falx {command.name}\n" in text) == (command.name != "stage")
        assert "| `--pet-psf-fwhm-mm` MM |" in text
        assert "`pet.psf_fwhm_mm`" in text
    elif name == "outputs":
        assert "sub-07_desc-biascorrected_T1w.nii.gz" in text
        assert "| `volume_mm3` | Volume on the T1w grid | mm³ |" in text
        assert "| file | what it holds |" in text
        rows = re.findall(r"^\| `[^`]+` \| (.*) \|$", text, re.MULTILINE)
        assert len(rows) > 300
    else:
        import falx

        for public in falx.__all__:
            assert public in ("FalxError", "__version__") or f"falx.{public}\n" in text


def test_every_column_says_what_it_holds(columns) -> None:
    import site_columns

    tables = columns | site_columns.other_tables()
    names = {name for own in tables.values() for name in own}
    assert len(names) > 250
    assert sorted(name for name in names if not site_columns.words_of(name)) == []
    plain = {name for name in site_columns._words() if "*" not in name}
    assert sorted(plain - names) == []
    assert site_columns.words_of("a_column_of_nobody") == ""


def test_every_table_of_a_study_has_columns(columns) -> None:
    from falx.core.stage import _unwrapped

    for name in ("signature", "resistance", "norms"):
        study = importlib.import_module(f"falx.studies.{name}.study").STUDY
        for stage in study.stages:
            function, _ = _unwrapped(stage.run)
            for key, path in stage.outputs.items():
                if path.endswith(".tsv"):
                    assert len(columns[function.__name__, key]) > 1, (stage.name, key)


@pytest.mark.parametrize(
    ("markup", "fault"),
    [
        ('<p id="a"><a href="#a">x</a>', None),
        ('<a href="#b">x</a>', "has no such anchor"),
        ('<a href="gone.html">x</a>', "links to gone.html, which is not there"),
        ('<a href="https://example.org">x</a>', None),
        ('<script src="https://example.org/x.js"></script>', "loads https://example.org/x.js"),
        ('<link rel="stylesheet" href="gone.css">', "loads gone.css, which is not there"),
        ('<link rel="canonical" href="https://example.org">', None),
    ],
)
def test_dead_links_and_what_loads_from_outside_are_found(
    scripts, tmp_path: Path, capsys, markup: str, fault: str | None
) -> None:
    check = importlib.import_module("check_site")
    (tmp_path / "page.html").write_text(markup)
    code = check.main([str(tmp_path)])
    printed = capsys.readouterr().out
    assert code == (fault is not None)
    assert fault is None or fault in printed


def test_lines_of_a_page_are_taken_apart(tmp_path: Path) -> None:
    page = tmp_path / "x.md"
    block = "```\nfalx fetch x && falx norms x --ready\n```\n"
    page.write_text(f"Run `falx plan OUT --redo`.\n\n{block}")
    assert commands_on(page) == ["fetch x", "norms x --ready", "plan OUT --redo"]
