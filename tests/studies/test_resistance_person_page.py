"""The page of one person shows the run, its cleaning and how well it lies in the template."""

from __future__ import annotations

import re

import numpy as np
import pytest
from matplotlib.image import imread

from calling import call
from falx.bold.records import RehoRecord
from falx.core.files import write_json
from falx.core.grid import normalisation_grid
from falx.core.records import record_of
from falx.images.nifti import Image, save
from falx.images.warp import CoordinateMap, save_map
from falx.report.template_space import in_template
from falx.studies.resistance.person_figures import homogeneity_figure
from falx.studies.resistance.person_files import run_report_stage

N = 30
GRID = normalisation_grid(6.0)
MOTION = {
    "repetition_time_s": 2.0, "dropped_volumes": 5, "reference": "first", "convention": "mm",
    "matrices": np.tile(np.eye(4), (N, 1, 1)), "residual": np.zeros(N), "notices": [],
    "fd_jenkinson_mm": np.zeros(N), "fd_van_dijk_mm": np.zeros(N),
    "parameters": np.zeros((N, 6)), "fd_power_mm": np.full(N, 0.1), "fd_threshold_mm": 0.2,
    "spikes": [3], "volumes": N, "largest_translation_mm": 1.7, "largest_rotation_deg": 0.2,
    "mean_fd_mm": 0.1234, "mean_fd_jenkinson_mm": 0.0567, "mean_fd_van_dijk_mm": 0.0345,
    "spike_percent": 3.3, "volumes_above_0_5_mm": 0, "excluded": False, "reasons": [],
    "beyond_limits": [
        {"limit": 2.0, "shifted_volumes": 0, "turned_volumes": 0, "volumes": 0},
        {"limit": 1.5, "shifted_volumes": 7, "turned_volumes": 0, "volumes": 7},
    ],
}  # fmt: skip
REHO = {
    "order": "joint", "band_hz": [0.01, 0.08], "least_neighbours": 2, "ties": "none",
    "edge": "partial", "border": "compute", "notices": [], "mean_fd_mm": 0.1234,
    "excluded": False, "reasons": [],
    "volumes": N, "dof_trend": 2, "dof_band": 5, "dof_nuisance": 8, "dof_left": 15,
    "nuisance_columns": {"motion": 24, "spikes": 1, "white matter": 2, "CSF": 2},
    "tissue_voxels": {"white matter": 5210, "CSF": 411},
    "explained_percent": {"white matter": [31.0, 11.0], "CSF": [20.0, 13.0]},
    "mask_voxels": 1000, "mean_reho": 0.21, "reho_quantiles": [0.1, 0.15, 0.2, 0.25, 0.3],
    "reho_histogram": {"edges": np.linspace(0, 1, 11), "voxels": [0, 500, 500, *[0] * 7]},
    "neighbours": 27, "voxels_by_neighbours": {"12": 200, "27": 800},
    "coverage_percent": 99.0, "residual_fwhm_mm": [6.0, 6.1, 6.2],
}  # fmt: skip
GREY = {
    "tiv_ml": 1400.0, "gm_ml": 600.0, "wm_ml": 500.0, "csf_ml": 300.0, "template_gm_ml": 620.0,
    "modulated": True, "smoothing_fwhm_mm": 6.0, "notices": [],
}  # fmt: skip


def ball(radius_mm):
    mm = GRID.centres_mm() - [0, -18, 8]
    return np.clip((radius_mm - np.linalg.norm(mm, axis=-1)) / 6 + 0.5, 0, 1).astype(np.float32)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A head of two balls, its maps and its metrics, as files."""
    folder = tmp_path_factory.mktemp("person")
    images = {
        "t1w": ball(70) + ball(40), "gm": ball(70) - ball(40), "wm": ball(40),
        "volume": ball(60), "reference": ball(70), "tsnr": 80 * ball(70), "reho": 0.2 * ball(60),
    }  # fmt: skip
    for name, data in images.items():
        save(folder / f"{name}.nii.gz", data, GRID.affine)
    identity = CoordinateMap(GRID.centres_mm().astype(np.float32), GRID.affine)
    save_map(folder / "to_native.nii.gz", identity)
    write_json(folder / "anatomy_metrics.json", {})
    write_json(folder / "grey_metrics.json", GREY)
    write_json(folder / "motion_metrics.json", MOTION)
    write_json(folder / "reho_metrics.json", REHO)
    series = np.zeros((20, N), np.float16)
    np.savez(folder / "carpet.npz", before=series, after=series)
    return folder


def page(folder, *, with_run):
    images = {n: folder / f"{n}.nii.gz" for n in ("t1w", "gm", "wm", "volume", "to_native")}
    metrics = {n: folder / f"{n}.json" for n in ("anatomy_metrics", "grey_metrics")}
    of_run = {n: folder / f"{n}.nii.gz" for n in ("reference", "tsnr", "reho")}
    of_run |= {n: folder / f"{n}.json" for n in ("motion_metrics", "reho_metrics")}
    of_run["carpet"] = folder / "carpet.npz"
    call(
        run_report_stage, records={}, page=folder / "page.html", subject="07", coregistration=None,
        **images, **metrics, **{n: path if with_run else None for n, path in of_run.items()},
    )  # fmt: skip
    return (folder / "page.html").read_text()


@pytest.fixture(scope="module")
def whole(made):
    """The page of a person with a run."""
    return page(made, with_run=True)


def rows(text):
    """Cells of every table row."""
    found = re.findall(r"<tr[^>]*>(.*?)</tr>", text, flags=re.DOTALL)
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", row, flags=re.DOTALL) for row in found]
    return [[cell.strip() for cell in row] for row in cells]


def test_motion_is_judged_by_each_limit_and_three_displacements(whole):
    found = rows(whole)
    assert ["2.0", "0", "0", "0", "keeps it"] in found
    assert ["1.5", "7", "0", "7", "leaves the run out"] in found
    assert ["0.1234", "0.0567", "0.0345"] in found


def test_cleaning_homogeneity_and_registration_are_shown(whole):
    assert ["24", "1", "2", "2"] in rows(whole)
    assert "5210 voxels of white matter and 411 voxels of CSF" in whole
    assert "Components hold 42 % of white matter and 33 % of CSF variance." in whole
    assert "80 % of the voxels have all 27 series" in whole
    assert "Contours of the template over the T1w" in whole
    assert whole.count("data:image/png") == 8


def test_person_without_a_run_has_the_template_still(made):
    text = page(made, with_run=False)
    assert "There is no resting run" in text
    assert "Contours of the template over the T1w" in text
    assert text.count("data:image/png") == 3


def test_image_is_brought_to_the_template_by_its_map():
    # A person who lies 12 mm further left: the map leads there, the picture is back in place.
    image = Image(ball(40), GRID.affine.copy())
    image.affine[0, 3] -= 12.0
    shifted = GRID.centres_mm() - [12.0, 0.0, 0.0]
    found = in_template(image, CoordinateMap(shifted.astype(np.float32), GRID.affine), voxel_mm=6)
    np.testing.assert_allclose(found.data, ball(40), atol=1e-4)


def test_histogram_draws_its_bars_where_the_voxels_are():
    import io

    def inked(voxels):
        shown = REHO | {"reho_histogram": {"edges": np.linspace(0, 1, 11), "voxels": voxels}}
        pixels = imread(io.BytesIO(homogeneity_figure(record_of(RehoRecord, shown, where="x"))))[
            ..., :3
        ]
        blue = np.abs(pixels - [0x2F / 255, 0x6D / 255, 0xB5 / 255]).max(axis=-1) < 0.02
        return np.flatnonzero(blue[:, : blue.shape[1] // 2].any(axis=0)).mean()

    assert inked([0, 9, 1, *[0] * 7]) < inked([0, 0, 0, 0, 9, 1, *[0] * 4])
