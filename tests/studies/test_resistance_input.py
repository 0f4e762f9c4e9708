"""Bad input to ``falx resistance``: one clear sentence and an exit code; others go on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from falx.cli.main import main
from falx.core.files import read_table, write_json
from falx.core.grid import box_grid
from falx.core.settings import resolve
from falx.images.nifti import save
from falx.images.warp import CoordinateMap, save_map
from falx.studies.resistance.study import STUDY
from studies import finished

RUN_SHAPE, N_VOLUMES, TR_S = (14, 16, 12), 110, 2.0
RUN_AFFINE = np.diag([14.0, 14.0, 14.0, 1.0])
RUN_AFFINE[:3, 3] = [-91.0, -105.0, -77.0]
BRAIN_GRID = box_grid((-84.0, -120.0, -84.0), (84.0, 90.0, 96.0), 6.0)

Change = Callable[[dict], None]


def run_volumes() -> np.ndarray:
    """A blob that brightens and fades, with noise, as int16."""
    rng = np.random.default_rng(1)
    where = np.indices(RUN_SHAPE).T - (np.array(RUN_SHAPE) - 1) / 2
    blob = 1000.0 * np.exp(-(np.linalg.norm(where / RUN_SHAPE, axis=-1).T ** 2) * 12)
    noise = rng.normal(size=(*RUN_SHAPE, N_VOLUMES))
    return (blob[..., None] + 8.0 * noise + 20.0).clip(1).astype(np.int16)


@pytest.fixture(scope="module")
def volumes():
    return run_volumes()


def write_run(bids: Path, made: dict) -> None:
    """Write a run with its header and sidecar."""
    image = nib.Nifti1Image(made["data"], made["affine"])
    image.header.set_zooms((14.0, 14.0, 14.0, made["header_s"]))
    image.header.set_xyzt_units("mm", "sec")
    path = bids / "sub-01" / "func" / "sub-01_task-rest_bold.nii.gz"
    path.parent.mkdir()
    nib.save(image, path)
    sidecar = {key: value for key, value in made["sidecar"].items() if value is not None}
    path.with_name("sub-01_task-rest_bold.json").write_text(json.dumps(sidecar))


@pytest.fixture
def participant(tmp_path, volumes, capsys) -> Callable[..., tuple[int, str]]:
    """Study one person whose anatomy is done; return the exit code and the text."""
    bids, out = tmp_path / "bids", tmp_path / "out"

    def run(change: Change, earlier: dict | None = None) -> tuple[int, str]:
        finished.dataset(bids, {"01": {"group": "DRE"}})
        slices = (np.arange(RUN_SHAPE[2]) * TR_S / RUN_SHAPE[2]).tolist()
        made = {
            "data": volumes.copy(), "affine": RUN_AFFINE, "header_s": TR_S,
            "sidecar": {"RepetitionTime": TR_S, "SliceTiming": slices},
        }  # fmt: skip
        change(made)
        write_run(bids, made)
        done = {**anatomy(), **(earlier or {})}
        finished.finish(STUDY, bids, out, resolve(STUDY.configuration), done)
        code = main(["resistance", str(bids), str(out), "participant", "--serial"])
        said = capsys.readouterr()
        assert "Traceback" not in said.out + said.err
        return code, said.out + said.err

    return run


def anatomy() -> dict[str, finished.Writer]:
    """Outputs of the anatomy stage: a ball of white matter in grey matter, in place."""
    mm = BRAIN_GRID.centres_mm()
    depth = np.linalg.norm((mm - [0, -16, 6]) / [66, 80, 62], axis=-1)
    gm, wm, csf = depth < 1.0, depth < 0.8, depth < 0.3
    parts = {"gm": gm & ~wm, "wm": wm & ~csf, "csf": csf}
    still = CoordinateMap(mm.astype(np.float32), BRAIN_GRID.affine)
    written = {
        f"anatomy.{name}": finished.image(mask.astype(np.float32), BRAIN_GRID.affine)
        for name, mask in parts.items()
    }
    bright = sum(b * p for b, p in zip((0.6, 0.9, 0.2), parts.values(), strict=True))
    return {
        **written,
        "anatomy.corrected": finished.image(bright.astype(np.float32), BRAIN_GRID.affine),
        "anatomy.brain_mask": finished.image(gm, BRAIN_GRID.affine),
        "anatomy.structures": finished.image(gm.astype(np.int16), BRAIN_GRID.affine),
        "anatomy.to_template": lambda _, path: save_map(path, still),
        "anatomy.to_native": lambda _, path: save_map(path, still),
        "anatomy.metrics": lambda _, path: write_json(path, {"notices": []}),
    }


def sidecar(**values) -> Change:
    return lambda made: made["sidecar"].update(values)


def header(seconds: float, **values) -> Change:
    def change(made: dict) -> None:
        made["header_s"] = seconds
        made["sidecar"].update(values)

    return change


def volume(at: int, change: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Change:
    def apply(made: dict) -> None:
        made["data"][..., at] = change(made["data"][..., at], made["data"][..., at - 1])

    return apply


def short(made: dict) -> None:
    made["data"] = made["data"][..., :20]


RUNS = [
    ("TR missing", header(0.0, RepetitionTime=None),
     "the repetition time is not known (found: header 0, no RepetitionTime in the sidecar)"),
    ("TR contradictory", sidecar(RepetitionTime=3.0),
     "header and sidecar contradict each other about the repetition time (found: 2 and 3 s)"),
    ("slice times too few", sidecar(SliceTiming=[0.0, 1.0]),
     "SliceTiming does not list every slice (found: 2 times for 12 slices)"),
    ("slice times in ms", sidecar(SliceTiming=[160.0 * k for k in range(12)]),
     "these look like milliseconds); write SliceTiming in seconds"),
    ("20 volumes", short, "the run is too short (found: 20 volumes, 15 after dropping 5)"),
    ("frozen", volume(50, lambda _, before: before),
     "two volumes in a row are identical: the run is frozen (found: volumes 50 and 51)"),
    ("empty", volume(50, lambda now, _: np.zeros_like(now)),
     "a volume is empty or not finite (found: volume 51)"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "sentence"), [case[1:] for case in RUNS],
                         ids=[case[0] for case in RUNS])  # fmt: skip
def test_a_run_that_cannot_be_used_is_named_and_leaves_nothing(
    participant, tmp_path, change, sentence
) -> None:
    code, said = participant(change)
    assert code == 1
    assert sentence in said
    assert "sub-01/motion" in said
    assert "grey FAILED" not in said
    assert not [*(tmp_path / "out").rglob("*boldref*"), *(tmp_path / "out").rglob("*.part*")]


def test_a_run_that_does_not_reach_its_t1w_is_refused(participant, tmp_path) -> None:
    n = N_VOLUMES - 5
    still = {
        "repetition_time_s": TR_S, "dropped_volumes": 5, "volumes": n, "spikes": [],
        "matrices": np.tile(np.eye(4), (n, 1, 1)), "parameters": np.zeros((n, 6)),
        "reference": "first", "convention": "mm", "beyond_limits": [], "excluded": False,
        "reasons": [], "notices": [], "fd_threshold_mm": 0.2, "mean_fd_mm": 0.0,
        "spike_percent": 0.0, "volumes_above_0_5_mm": 0, "largest_translation_mm": 0.0,
        "largest_rotation_deg": 0.0, "mean_fd_jenkinson_mm": 0.0, "mean_fd_van_dijk_mm": 0.0,
        **dict.fromkeys(("residual", "fd_power_mm", "fd_jenkinson_mm", "fd_van_dijk_mm"),
                        np.zeros(n)),
    }  # fmt: skip
    away = np.eye(4)
    away[1, 3] = 170.0
    reference = finished.image(np.ones(RUN_SHAPE, np.float32), RUN_AFFINE)
    earlier = {
        "motion.motion": lambda _, path: write_json(path, still),
        "motion.reference": reference,
        "motion.tsnr": reference,
        "coregister_bold.matrix": lambda _, path: write_json(path, {"matrix": away}),
    }
    code, said = participant(lambda _: None, earlier)
    assert code == 1
    assert "the run does not cover the brain of its T1w" in said
    assert "[1 of 3] sub-01 grey (" in said
    assert not [*(tmp_path / "out").rglob("*desc-reho*")]


MAP_SHAPE = (12, 14, 12)
MAP_AFFINE = np.diag([12.0, 12.0, 12.0, 1.0])
MAP_AFFINE[:3, 3] = [-66.0, -100.0, -50.0]
PEOPLE = {
    f"{k:02d}": {"group": "DRE" if k < 6 else "HC", "age": 20 + 7 * k % 30, "half": 0}
    for k in range(12)
}


@pytest.fixture
def group(tmp_path, capsys) -> Callable[..., tuple[int, str]]:
    """Compare people whose maps are made here; return the exit code and the text."""
    bids, out = tmp_path / "bids", tmp_path / "out"

    def run(
        *options: str, people=PEOPLE, shapes=None, shift=None, runs: bool = True
    ) -> tuple[int, str]:
        finished.dataset(bids, people)
        for subject in people if runs else ():
            func = bids / f"sub-{subject}" / "func"
            func.mkdir()
            (func / f"sub-{subject}_task-rest_bold.nii.gz").touch()
        finished.finish(STUDY, bids, out, resolve(STUDY.configuration), maps(shapes or {}, shift))
        words = ["resistance", str(bids), str(out), "group", "--serial"]
        code = main([*words, "--groups-n-permutations", "9", *options])
        said = capsys.readouterr()
        assert "Traceback" not in said.out + said.err
        return code, said.out + said.err

    return run


def maps(shapes, shift) -> dict[str, finished.Writer]:
    rng = np.random.default_rng(4)

    def write(subject: str, path: Path) -> None:
        shape = shapes.get(subject, MAP_SHAPE)
        save(path, 1.0 + 0.1 * rng.standard_normal(shape), MAP_AFFINE)

    def mask(subject: str, path: Path) -> None:
        held = np.ones(shapes.get(subject, MAP_SHAPE), bool)
        if shift is not None:
            held[:] = False
            held[int(subject) % MAP_SHAPE[0]] = True
        save(path, held, MAP_AFFINE)

    def measured(_: str, path: Path) -> None:
        write_json(path, {"tiv_ml": 1400 + 40 * rng.random(), "mean_fd_mm": 0.1 * rng.random()})

    return {
        "grey.smoothed": write, "grey.volume": write, "grey.metrics": measured,
        "reho.smoothed": write, "reho.reho": write, "reho.mask": mask, "reho.metrics": measured,
    }  # fmt: skip


TWO_GROUPS = ("--groups-sensitive", "", "--groups-columns", "age")


def test_a_group_with_one_person_does_not_stop_the_others(group, tmp_path) -> None:
    people = {**PEOPLE, "12": {"group": "DSE", "age": 33, "half": 0}}
    code, said = group("--groups-columns", "age", people=people)
    assert code == 1
    sentence = "group DSE: a group needs at least two images (found: 1)"
    assert sentence in said
    page = (tmp_path / "out/group.html").read_text()
    assert "step grey_resistant_sensitive, could not be computed" in page
    assert sentence in page
    assert "Grey-matter volume: DRE - HC" in page
    assert f"{tmp_path / 'out' / 'group.html'}" in said


def test_collinear_covariates_are_named(group, tmp_path) -> None:
    people = {s: {**row, "half": row["age"] / 2} for s, row in PEOPLE.items()}
    code, said = group("--groups-sensitive", "", "--groups-columns", "age", "half", people=people)
    assert code == 1
    assert "half: a covariate is constant or a combination of the other columns" in said
    assert (tmp_path / "out/group.html").exists()


def test_maps_on_unequal_grids_are_named(group) -> None:
    code, said = group(*TWO_GROUPS, shapes={"03": (13, 14, 12)})
    assert code == 1
    assert "sub-03 and the first map are on different grids" in said


def test_masks_that_share_no_voxel_are_named_and_grey_matter_goes_on(group, tmp_path) -> None:
    code, said = group(*TWO_GROUPS, shift=True)
    assert code == 1
    assert "no voxel is covered by the masks of all images" in said
    page = (tmp_path / "out/group.html").read_text()
    assert "Grey-matter volume: DRE - HC" in page
    assert "Regional homogeneity: DRE - HC" not in page


def test_without_runs_grey_matter_is_compared_alone(group) -> None:
    code, said = group(*TWO_GROUPS, "--dry-run", runs=False)
    assert code == 0
    assert "no finished stage reho, so no reho_resistant_controls" in said
    assert "group grey_resistant_controls: not done yet" in said
    assert "group group_report: not done yet" in said
    assert "group reho" not in said


def test_what_is_planned_follows_from_the_groups_that_are_named(group) -> None:
    kinds = ("--groups-subgroup-column", "half", "--groups-generalised", "")
    _, said = group("--groups-predictor", "age", *kinds, "--dry-run")
    planned = [line.partition(":")[0].removeprefix("group ") for line in said.splitlines()]
    grey = [name for name in planned if name.startswith("grey")]
    assert grey == [
        "grey_resistant_sensitive", "grey_resistant_controls", "grey_sensitive_controls",
        "grey_anova", "grey_regression", "grey_temporal_resistant_controls",
        "grey_temporal_sensitive_controls", "grey_deviation",
    ]  # fmt: skip


OTHERS = ("--groups-others", "siblings", "new onset")


def five_groups(n: int) -> dict[str, dict[str, object]]:
    names = ("DRE", "HC", "siblings", "new onset")
    return {f"{k:02d}": {"group": names[k % 4], "age": 20 + 7 * k % 30} for k in range(n)}


def test_groups_without_a_role_are_planned(group) -> None:
    people = {**five_groups(16), "16": {"group": "one", "age": 50}}
    code, said = group(*TWO_GROUPS, *OTHERS, "one", "--dry-run", people=people, runs=False)
    assert code == 0
    assert "the further group 'one' has 1 (found in group: DRE, HC, new onset, one" in said
    planned = {line.partition(":")[0] for line in said.splitlines()}
    assert {"group grey_resistant_controls", "group grey_further", "group grey_anova"} < planned


def test_groups_that_are_not_named_are_told_and_not_planned(group) -> None:
    _, said = group(*TWO_GROUPS, "--dry-run", people=five_groups(16), runs=False)
    assert "grey_further" not in said and "grey_anova" not in said
    assert "of no group that is compared: new onset, siblings (--groups-others" in said


@pytest.mark.slow
def test_any_number_of_groups_of_any_names_is_compared(group, tmp_path) -> None:
    """Two roles and three further groups, of which one has a single person and stops nobody."""
    people = {**five_groups(28), "28": {"group": "one", "age": 50}}
    code, said = group(*TWO_GROUPS, *OTHERS, "one", people=people, runs=False)
    assert code == 1 and "group one: a group needs at least two images" in said
    page = (tmp_path / "out/group.html").read_text()
    for pair in ("DRE - siblings", "DRE - new onset", "siblings - HC", "siblings - new onset"):
        assert f"Grey-matter volume: {pair}" in page
    table = read_table(next((tmp_path / "out").rglob("*_results.tsv")))
    assert len(table) == 6 and set(table.texts("comparisons")) == {"10"}
    written = {path.name for path in (tmp_path / "out/group").glob("*siblingsnewonset_*")}
    assert len(written) >= 9
