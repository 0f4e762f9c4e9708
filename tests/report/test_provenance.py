"""How results came about, as blocks of a page."""

from __future__ import annotations

from falx.core.files import read_record, write_json
from falx.report.page import Details, Section, Table, Text, render
from falx.report.provenance import MadeFile, StageRecord, provenance_blocks

RECORD = StageRecord(
    5, 12.345, "0.1.0", "3.12.1", {"refine": False, "voxel_mm": 2.0},
    {"t1w": MadeFile("bids:raw:sub-01/anat/T1w.nii.gz", "a" * 40)},
    {"gm": MadeFile("sub-01/anat/gm.nii.gz", "0123456789abcdef0000")},
    {"numpy": "2.1", "scipy": "1.15"},
)  # fmt: skip


def test_parameters_files_and_versions_are_folded_away_by_stage() -> None:
    one, two = provenance_blocks({"anatomy": RECORD, "pet": StageRecord()})
    assert isinstance(one, Details)
    assert (one.title, two.title) == (
        "anatomy (version 5, 12.3 s)",
        "pet (version None, 0.0 s)",
    )
    parameters, files, versions = one.blocks
    assert (
        isinstance(parameters, Table) and isinstance(files, Table) and isinstance(versions, Text)
    )
    assert parameters.rows == [["refine", "False"], ["voxel_mm", "2.0"]]
    assert [row[0] for row in files.rows] == ["t1w", "gm"]
    assert files.rows[1] == ["gm", "sub-01/anat/gm.nii.gz", "0123456789abcdef"]
    assert versions.text == "Falx 0.1.0, Python 3.12.1, numpy 2.1, scipy 1.15"


def test_a_record_on_disk_may_know_more(tmp_path) -> None:
    write_json(
        tmp_path / "anatomy.json",
        {
            "stage": "anatomy", "version": 5, "seconds": 1, "falx": "0.1.0", "python": "3.12",
            "outputs": {"gm": {"uri": "gm.nii.gz", "blake2b": "ff", "size": 12, "mtime_ns": 3}},
            "notices": ["said"], "peak_mem_mb": 900, "params": {"refine": True, "family": ["a"]},
        },
    )  # fmt: skip
    record = read_record(StageRecord, tmp_path / "anatomy.json")
    assert record.outputs["gm"] == MadeFile("gm.nii.gz", "ff")
    assert record.notices == ("said",)
    assert record.params == {"refine": True, "family": ["a"]}
    assert provenance_blocks({"anatomy": record})[0].title == "anatomy (version 5, 1.0 s)"


def test_what_came_from_outside_is_escaped_on_the_page() -> None:
    record = StageRecord(params={"<b>": "</table><script>"})
    page = render("t", [Section("How", provenance_blocks({"x": record}))])
    assert "&lt;b&gt;" in page and "</table><script>" not in page
