"""The page of a group study holds maps, tables and people; absent contrasts leave no trace."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from calling import call
from falx.core.files import read_table, write_json
from falx.images.nifti import save
from falx.maps.files import group_map_stage
from falx.studies.resistance.files import GroupReportFiles, group_report_stage

SHAPE = (18, 20, 16)
AFFINE = np.diag([8.0, 8.0, 8.0, 1.0])
AFFINE[:3, 3] = [-68.0, -100.0, -60.0]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Ten people, five with a loss on the left, as files, maps and page."""
    folder, rng = tmp_path_factory.mktemp("page"), np.random.default_rng(5)
    place = np.linalg.norm(np.indices(SHAPE).T - np.array([4, 8, 8]), axis=-1).T < 3.1
    lines, maps, metrics = ["participant_id\tgroup"], {}, {}
    for k in range(10):
        subject, group = f"{k:02d}", "DRE" if k < 5 else "HC"
        values = ndimage.gaussian_filter(rng.normal(size=SHAPE), 1.3)
        values = 9.0 + values / values.std() - (4.0 * place if group == "DRE" else 0)
        maps[subject], metrics[subject] = folder / f"{subject}.nii.gz", folder / f"{subject}.json"
        save(maps[subject], values, AFFINE)
        write_json(metrics[subject], {"tiv_ml": 1400.0 + 50.0 * rng.standard_normal()})
        lines.append(f"sub-{subject}\t{group}")
    (folder / "participants.tsv").write_text("\n".join(lines) + "\n")
    (folder / "status.tsv").write_text(
        "participant_id\tstatus\tgroup\tstage\treason\n"
        "sub-98\tfinished\tincluded\tn/a\tn/a\nsub-99\texcluded\tleft out\tn/a\tno T1w\n"
    )
    (folder / "failures.tsv").write_text(
        "step\treason\ngrey_resistant_sensitive\tgroup DSE is empty.\n"
    )
    write_json(
        folder / "people.json",
        {"groups": ["DRE", "HC"], "rows": [
            {"variable": "age", "cells": ["30", "31"], "test": "analysis of variance", "p": 0.5}
        ]},
    )  # fmt: skip
    roles = {"t_map": "t.nii.gz", "z_map": "z.nii.gz", "p_tfce_map": "p.nii.gz",
             "table": "t.tsv", "table_latex": "t.tex", "table_html": "t.html",
             "profile": "p.tsv", "values": "v.tsv", "summary": "s.json",
             "person_maps": "p.npz"}  # fmt: skip
    outputs = {role: folder / f"out_{name}" for role, name in roles.items()}
    call(
        group_map_stage,
        maps=maps, masks=None, metrics=metrics, participants=folder / "participants.tsv",
        atlas=None, atlas_labels=None, **outputs, first="DRE", second="HC", group_column="group",
        columns=(), measures=(), head_size="ancova", least_share=1.0, least_value=0.1,
        voxel_p=0.005, cluster_p=0.05, n_permutations=100, min_region_voxels=2,
        listed_by="extent", seed=1, title="Grey-matter volume", variance="groups", tail="counted",
        blocks="", site="", harmonise="none",
    )  # fmt: skip
    shown = {role: {"grey_resistant_controls": outputs[role]}
             for role in ("summary", "table", "values", "t_map", "person_maps")}  # fmt: skip
    files = GroupReportFiles(
        demographics=folder / "people.json",
        people=folder / "status.tsv",
        failures=folder / "failures.tsv",
        page=folder / "group.html",
        results=folder / "results.tsv",
        **shown,
    )
    group_report_stage(files, bonferroni="contrasts")
    return folder, outputs


def test_page_shows_people_maps_and_clusters(page):
    folder, outputs = page
    text = (folder / "group.html").read_text()
    assert "2 people: 1 included, 1 left out (excluded)." in text
    assert text.index("sub-99") < text.rindex("Who was compared")
    assert "Grey-matter volume: DRE - HC" in text
    assert "Regional homogeneity" not in text
    assert "tiv_ml" in text
    assert "step grey_resistant_sensitive, could not be computed: group DSE is empty." in text
    assert text.count('src="data:image/png;base64,') == 6
    table = read_table(outputs["table"])
    # A ball that was planted across tissues: its middle is white matter, named after grey.
    assert set(table.texts("centre_region")) == {"left hippocampus"}
    assert {"left superior temporal", "left insula"} < set(table.texts("region"))


def test_profile_can_be_read_by_column(page):
    header, *rows = page[1]["profile"].read_text().splitlines()
    assert header.split("\t") == ["label", "name", "mean_t", "n_voxels"]
    assert any(row.split("\t")[1] == "left precuneus" for row in rows)


def test_p_allows_for_the_comparison_that_failed(page):
    folder, _ = page
    header, row = (line.split("\t") for line in (folder / "results.tsv").read_text().splitlines())
    found = dict(zip(header, row, strict=True))
    assert (found["step"], found["comparisons"]) == ("grey_resistant_controls", "2")
    assert float(found["p_bonferroni"]) == pytest.approx(min(1.0, 2 * float(found["least_p"])))
    assert "(× 2)" in (folder / "group.html").read_text()


def test_lines_above_the_table_stand_on_the_page(page):
    text = (page[0] / "group.html").read_text()
    for fact in ("dLh: ", "resels R0 to R3: ", "FWHM of the residuals: ", "Monte-Carlo error"):
        assert fact in text
    assert "group/out_t.tsv, for print .tex" in text
    assert "peak, mm" in text
