"""What each command hands to the library, what it prints of the answer, and its exit code."""

from __future__ import annotations

import argparse
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from falx.cli import app, demo, demo_resistance, dicom_out, plan, stage, verify
from falx.cli import fetch as fetching
from falx.core.files import write_json
from falx.engine.orders import PERSON, Orders
from falx.engine.provenance import Record, file_record, write_record
from falx.images.nifti import save
from falx.phantom.patient import PatientSpec
from falx.studies.genes import files as genes_files
from falx.studies.genes import lists_files
from falx.studies.outcome.outcome import OutcomeSettings
from falx.studies.plan.inputs import NEEDED
from falx.studies.reproduce import files as reproduced
from falx.studies.reproduce import liu2024, mo2025
from falx.studies.reproduce.comparison import REPRODUCED, Item
from falx.studies.signature.study import STUDY as SIGNATURE

Run = Callable[..., tuple[int, str, str]]


class Heard:
    """Takes the place of a function: remembers how it was called, and answers."""

    def __init__(self, answer: object = None) -> None:
        self.answer = answer
        self.calls: list[tuple[tuple, dict]] = []

    def __call__(self, *given: object, **named: object) -> object:
        self.calls.append((given, named))
        return self.answer(*given, **named) if callable(self.answer) else self.answer

    @property
    def last(self) -> tuple[tuple, dict]:
        return self.calls[-1]


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Heard]:
    def put(module: object, name: str, answer: object = None) -> Heard:
        found = Heard(answer)
        monkeypatch.setattr(module, name, found)
        return found

    return put


# Genes


def test_degs_hands_over_files_comparison_and_threads(falx: Run, heard, tmp_path) -> None:
    compared = heard(lists_files, "compare_blood", (tmp_path / "p.html", ("one", "two")))
    words = ("--factor", "group", "--contrast", "DRE", "HC", "--threads", "3")
    code, printed, _ = falx("degs", "counts.tsv", "design.tsv", "--out", tmp_path, *words)
    assert code == 0
    (counts, design, comparison, out), named = compared.last
    assert (counts, design, out) == (Path("counts.tsv"), Path("design.tsv"), tmp_path)
    assert (comparison.factor, comparison.contrast) == ("group", ("DRE", "HC"))
    assert named == {"imaging": None, "threads": 3}
    assert printed.splitlines() == ["note: one", "note: two", str(tmp_path / "p.html")]
    falx("degs", "c", "d", "--out", tmp_path, *words[:-2], "--imaging", "genes.tsv")
    assert compared.last[1] == {"imaging": Path("genes.tsv"), "threads": 1}


def test_enrich_hands_over_its_lists_in_order(falx: Run, heard, tmp_path) -> None:
    compared = heard(lists_files, "compare_lists_of", tmp_path / "p.html")
    sets = tmp_path / "s.gmt"
    sets.touch()
    words = ("--universe", "all.txt", "--out", tmp_path, "--gene-sets", sets, "--seed", "9")
    code, printed, _ = falx("enrich", "b.txt", "a.txt", *words)
    (lists, universe, configuration, out), _ = compared.last
    assert (code, printed) == (0, f"{tmp_path}/p.html\n")
    assert lists == [Path("b.txt"), Path("a.txt")]
    assert (universe, out) == (Path("all.txt"), tmp_path)
    assert (configuration.gene_sets, configuration.seed) == ((sets,), 9)


def found_map(share: float, p: float) -> types.SimpleNamespace:
    data = types.SimpleNamespace(regions=("a", "b", "c"), genes=("G",) * 5)
    model = types.SimpleNamespace(explained_variance=np.array([share, 0.9]))
    nulls = types.SimpleNamespace(method="moran")
    study = types.SimpleNamespace(data=data, model=model, component_p=(p, 0.9), nulls=nulls)
    return types.SimpleNamespace(study=study, notices=("rough",))


def test_genes_prints_the_first_component_and_where_to_look(falx: Run, heard, tmp_path) -> None:
    related = heard(genes_files, "relate_map", found_map(0.2345, 0.00421))
    words = ("--atlas", "a.nii", "--labels", "a.tsv", "--column", "t", "--nulls", "spin")
    code, printed, _ = falx("genes", "m.nii", "--out", tmp_path, *words)
    assert code == 0
    assert printed.splitlines() == [
        "3 regions, 5 genes; component 1 explains 23.4%, P = 0.00421 (moran)",
        "note: rough",
        str(tmp_path / "report.html"),
    ]
    (files, configuration, out), _ = related.last
    assert out == tmp_path
    assert vars(files) == {
        "source": "m.nii", "atlas": Path("a.nii"), "labels": Path("a.tsv"), "column": "t",
        "more": (),
    }  # fmt: skip
    assert (configuration.null, configuration.restore) == ("spin", True)


def test_genes_as_published_leaves_maps_rough_and_a_folder_is_allens(
    falx: Run, heard, tmp_path
) -> None:
    related = heard(genes_files, "relate_map", found_map(0.1, 1.0))
    falx("genes", "m.nii", "--out", tmp_path, "--as-published", "--expression", tmp_path)
    configuration = related.last[0][1]
    assert configuration.restore is False
    assert Path(configuration.ahba) == tmp_path
    assert configuration.expression is None
    table = tmp_path / "expression.csv"
    table.touch()
    falx("genes", "m.nii", "--out", tmp_path, "--expression", table)
    assert (related.last[0][1].ahba, related.last[0][1].expression) == ("", table)


def test_ontology_and_annotations_at_once(falx: Run, heard, tmp_path) -> None:
    compared = heard(lists_files, "compare_lists_of", "page")
    obo, gaf = tmp_path / "go.obo", tmp_path / "go.gaf"
    obo.touch(), gaf.touch()
    falx("enrich", "g", "--universe", "u", "--out", tmp_path, "--go", obo, gaf)
    configuration = compared.last[0][2]
    assert (configuration.ontology, configuration.annotations) == (obo, gaf)
    falx("enrich", "g", "--universe", "u", "--out", tmp_path, "--trrust", obo, "--go", obo, gaf)
    assert compared.last[0][2].regulators == obo


# Reproduction


ITEM = Item(1, "first", "AUC", "0.74", "0.735", "0.70", REPRODUCED, "because")


def test_reproduce_liu_draws_nothing_and_writes_where_asked(falx: Run, heard, tmp_path) -> None:
    heard(liu2024, "reproduce_liu2024", (ITEM,))
    text = heard(liu2024, "as_text", "the text")
    heard(liu2024, "as_page", "<p>page</p>")
    assert falx("reproduce", "liu2024") == (0, "the text\n", "")
    assert text.last == (((ITEM,),), {"published_only": False})
    code, printed, _ = falx(
        "reproduce", "liu2024", "--as-published", "--output-dir", tmp_path / "o"
    )
    assert text.last[1] == {"published_only": True}
    assert (code, printed) == (0, f"the text\n\nlook at {tmp_path}/o/liu2024.html\n")
    assert (tmp_path / "o" / "liu2024.html").read_text() == "<p>page</p>"
    assert "0.735" in (tmp_path / "o" / "liu2024.tsv").read_text()


def test_reproduce_mo_takes_resamples_and_seed(falx: Run, heard, tmp_path) -> None:
    made = heard(mo2025, "reproduce_mo2025", (ITEM,))
    page = heard(mo2025, "as_page", "page")
    words = ("--resamples", "400", "--seed", "7", "--json", "--output-dir", tmp_path)
    code, printed, _ = falx("reproduce", "mo2025", *words)
    assert made.last == ((), {"n_resamples": 400, "seed": 7})
    assert page.last[0][1] == OutcomeSettings(resamples=400, permutations=1000, seed=7)
    # With --json nothing but JSON is printed.
    assert (code, printed) == (0, reproduced.as_json((ITEM,)))
    assert (tmp_path / "mo2025.json").read_text() == printed


# Checking, and jobs of a plan


def test_verify_counts_and_repairs(falx: Run, heard, tmp_path) -> None:
    heard(verify, "verify_folder", ["a is gone", "b was changed"])
    repaired = heard(verify, "repair", ("sub-01/pet", "sub-01/tell", "group/mean"))
    code, printed, _ = falx("verify", tmp_path)
    assert code == 1 and repaired.calls == []
    assert printed.splitlines() == [
        "a is gone", "b was changed", "2 differences; --repair deletes what does not match",
    ]  # fmt: skip
    code, printed, _ = falx("verify", tmp_path, "--repair")
    assert code == 0
    assert repaired.last[0] == (tmp_path, ["a is gone", "b was changed"])
    assert printed.splitlines()[-1].startswith("3 steps are to be done again")


@pytest.fixture
def orders(tmp_path) -> Path:
    path = tmp_path / "out/.falx/jobs/sub-01" / f"{PERSON}.json"
    Orders(()).write(path)
    return path


def test_orders_of_a_run_that_lost_the_folder_do_nothing(falx: Run, orders, heard) -> None:
    ran = heard(stage, "run_orders")
    assert falx("stage", orders, "--lease", "gone")[0] == 1
    assert ran.calls == []


@pytest.mark.parametrize(("done", "code"), [(True, 0), (False, 1)])
def test_orders_are_run_below_their_output_folder(falx: Run, orders, heard, done, code) -> None:
    ran = heard(stage, "run_orders", done)
    assert falx("stage", orders)[0] == code
    assert ran.last == ((Orders(()), orders.parents[3]), {"lease": ""})


def test_orders_of_a_run_that_waits_are_told_to_it(falx: Run, orders, heard, monkeypatch) -> None:
    told = heard(stage, "work_off", True)
    monkeypatch.setattr(stage, "holds_lease", lambda *_: True)
    Orders((), parent=7).write(orders)
    assert falx("stage", orders, "--lease", "held")[0] == 0
    assert told.last[0] == (Orders((), parent=7), orders.parents[3], "held")


# The plan


def planned(heard, suggested: object) -> tuple[Heard, Heard]:
    document = types.SimpleNamespace(
        notices=("close to a vessel",), suggested=suggested, trade_offs=()
    )
    found = types.SimpleNamespace(side="left", focus=None, t1w=Path("t1w.nii.gz"))
    found_files = heard(plan, "find_files", found)
    heard(plan, "load_images", "images")
    heard(plan, "write_pages")
    heard(plan, "plan_words", "one laser")
    staged = heard(plan, "plan_stage", types.SimpleNamespace(document=document))
    return found_files, staged


@pytest.fixture
def no_record(monkeypatch) -> list[tuple]:
    """Stand-in of the folder's lock and record; what was asked of it."""
    asked: list[tuple] = []

    class Held(types.SimpleNamespace):
        def __enter__(self):
            return self

        def __exit__(self, *_):
            asked.append(("written", self))

    def held(*given):
        asked.append(given)
        return Held()

    monkeypatch.setattr(plan, "by_hand", held)
    monkeypatch.setattr(dicom_out, "by_hand", held)
    return asked


@pytest.mark.parametrize(("suggested", "code"), [("A", 0), (None, 0)])
def test_no_suggested_plan_is_an_answer(
    falx: Run, heard, no_record, tmp_path, suggested, code
) -> None:
    found, staged = planned(heard, suggested)
    words = ("--participant-label", "sub-07", "--side", "left", "--jobs", "3")
    got, printed, _ = falx("plan", tmp_path, *words)
    assert got == code
    assert printed.splitlines()[:2] == ["close to a vessel", "one laser"]
    (out, label, given), named = found.last
    assert (out, label, named) == (tmp_path, "07", {"side": "left", "focus": None})
    assert set(given.values()) == {None} and {"vessels", "sinuses", "user_plan"} <= set(given)
    assert staged.last[1] == {"label": "sub-07", "threads": 3}
    assert no_record[0][:2] == (tmp_path, "sub-07/planned")
    assert no_record[0][3]["side"] == "left"
    assert no_record[1][0] == "written" and no_record[1][1].notices == ()


def test_a_given_plan_is_scored(falx: Run, heard, no_record, tmp_path) -> None:
    found, staged = planned(heard, "A")
    falx("plan", tmp_path, "--participant-label", "07", "--plan", "mine.json", "--vessels", "v")
    given = found.last[0][2]
    assert (given["user_plan"], given["vessels"]) == (Path("mine.json"), Path("v"))
    assert no_record[0][1] == "sub-07/scored"
    assert "focus" not in no_record[0][3]
    assert staged.last[0][0].side == "left"


@pytest.mark.parametrize(("words", "goal"), [((), 0.5), (("--threshold", "0.7"), 0.7)])
def test_a_focus_has_a_goal_a_record_and_files_of_its_own(
    falx: Run, heard, no_record, tmp_path, words, goal
) -> None:
    found, staged = planned(heard, "A")
    found.answer.focus = 3
    assert falx("plan", tmp_path, "--participant-label", "07", "--focus", "3", *words)[0] == 0
    assert found.last[1] == {"side": None, "focus": 3}
    assert no_record[0][1] == "sub-07/plannedFocus3"
    assert no_record[0][3]["focus"] == 3
    (_, outputs, choices), _ = staged.last
    assert outputs.page.name == "sub-07_desc-plannedFocus3_plan.html"
    assert choices.goal.threshold == goal


@pytest.fixture
def signature_folder(tmp_path) -> Path:
    """What a plan reads, with the record of the stage that wrote the signature."""
    for name, output, _ in NEEDED.values():
        path = tmp_path / SIGNATURE.stage(name).outputs[output].format(subject="07")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("image")
    leave_signature(tmp_path, "first")
    return tmp_path


def leave_signature(out: Path, recipe: str) -> None:
    uri = SIGNATURE.stage("signature").outputs["signature_native"].format(subject="07")
    record = Record(
        study=SIGNATURE.reference, stage="signature", version=1, unit="sub-07", recipe=recipe,
        params={}, inputs={}, outputs={"signature_native": file_record(uri, out / uri)},
        notices=(), started="", seconds=0.0, threads=1, peak_mem_mb=1,
    )  # fmt: skip
    write_record(out, record)


def test_what_is_outdated_is_planned_again_with_the_choices_of_then(
    falx: Run, heard, signature_folder, tmp_path_factory
) -> None:
    document = types.SimpleNamespace(notices=(), suggested="A", trade_offs=())
    staged = heard(plan, "plan_stage", types.SimpleNamespace(document=document))
    for name in ("load_images", "write_pages", "plan_words"):
        heard(plan, name)
    vessels = tmp_path_factory.mktemp("other") / "vessels.nii.gz"
    vessels.write_text("mask")
    choices = ("--min-sinus-mm", "4.5", "--side", "right")
    words = ("--participant-label", "07", "--vessels", vessels, *choices)
    assert falx("plan", signature_folder, *words)[0] == 0
    code, printed, _ = falx("plan", signature_folder, "--redo")
    assert (code, printed, len(staged.calls)) == (0, "no plan is outdated\n", 1)
    leave_signature(signature_folder, "second")
    code, _, errors = falx("plan", signature_folder, "--redo")
    assert code == 2
    assert "made with a file from elsewhere: vessels; give it again with --vessels" in errors
    assert falx("plan", signature_folder, "--redo", "--vessels", vessels)[0] == 0
    first, second = (given for given, _ in staged.calls)
    assert second == first
    assert second[0].side == "right"
    assert second[2].limits.min_sinus_mm == 4.5
    assert staged.calls[0][1] == staged.calls[1][1] == {"label": "sub-07", "threads": 2}
    assert falx("plan", signature_folder, "--redo")[1] == "no plan is outdated\n"


# DICOM


def test_masks_are_handed_over_with_a_pseudonym(
    falx: Run, heard, no_record, tmp_path, monkeypatch
) -> None:
    from falx.surgery.dicom import files as dicom

    heard(dicom, "read_series", lambda folder, series: (folder, series))
    mask = tmp_path / "m.nii.gz"
    save(mask, np.ones((2, 2, 2), bool), np.eye(4))

    def hand_over(masks, series, folder, identity, burned_in):
        (folder / "seg").mkdir(parents=True)
        (folder / "seg" / "a.dcm").touch()
        return ["seg/a.dcm"]

    over = heard(dicom, "hand_over", hand_over)
    words = ("--participant-label", "sub-07", "--mask", f"goal={mask}", "--burn-in", "goal")
    code, printed, _ = falx("dicom-out", tmp_path, tmp_path / "d", *words, "--series", "4")
    assert (code, printed) == (0, "seg/a.dcm\n")
    (masks, series, folder, identity), named = over.last
    assert list(masks) == ["goal"] and masks["goal"].data.all()
    assert series == (tmp_path / "d", "4")
    assert folder == tmp_path / "sub-07" / "dicom"
    assert (identity.label, identity.keep_patient_tags) == ("sub-07", False)
    assert named == {"burned_in": "goal"}
    assert no_record[0][3] == {"burned_in": True}
    assert no_record[1][1].outputs == {"seg/a.dcm": folder / "seg" / "a.dcm"}


class Series(types.SimpleNamespace):
    """A converted series."""


def converted(heard, series: dict[str, Series | None]) -> tuple[Heard, Heard, Heard]:
    from falx.surgery.dicom import completeness, files
    from falx.surgery.dicom import converted_series as inward

    heard(files, "convert", list(filter(None, series.values())))
    planes = [types.SimpleNamespace(number=n) for n in (3, 5, 5, 9)]
    heard(files, "survey", (planes, ["odd"]))
    heard(inward, "pick", lambda _, role, wanted: series.get(role))
    stored = heard(files, "store")
    return stored, heard(completeness, "check_whole"), heard(completeness, "check_patient")


def test_series_become_images_and_are_checked_together(falx: Run, heard, tmp_path) -> None:
    pet = Series(number=9, description="FDG", sidecar={"InjectedRadioactivity": 200})
    t1w = Series(number=5, description="MPRAGE", sidecar={})
    stored, whole, person = converted(heard, {"t1w": t1w, "pet": pet})
    bids = tmp_path / "bids"
    code, printed, _ = falx("dicom-in", tmp_path / "d", bids, "--participant-label", "sub-07")
    assert code == 0
    t1w_path = bids / "sub-07/ses-preop/anat/sub-07_ses-preop_T1w.nii.gz"
    pet_path = bids / "sub-07/ses-preop/pet/sub-07_ses-preop_trc-FDG_pet.nii.gz"
    made, *paths = printed.splitlines()
    assert made.startswith("participants.tsv was made: write left or right")
    assert paths == [str(t1w_path), str(pet_path)]
    assert (bids / "participants.tsv").read_text() == "participant_id\tside\nsub-07\tn/a\n"
    assert stored.calls[0] == ((t1w, t1w_path), {"extra": {}})
    (series, path), named = stored.calls[1]
    assert (series, path) == (pet, pet_path)
    assert named["extra"]["InjectedRadioactivity"] == 200
    assert [call[0][2] for call in whole.calls] == [5, 9]
    # The images of one patient: the second check sees the planes of both series.
    assert [[p.number for p in call[0][0]] for call in person.calls] == [[5, 5], [5, 5, 9]]
    assert (bids / "dataset_description.json").exists()


def test_no_known_series_is_refused_with_their_names(falx: Run, heard, tmp_path) -> None:
    from falx.surgery.dicom import files

    stored, _, _ = converted(heard, {})
    heard(files, "convert", [Series(number=7, description="b"), Series(number=2, description="a")])
    code, _, errors = falx("dicom-in", tmp_path / "d", tmp_path / "b", "--participant-label", "7")
    assert code == 2 and stored.calls == []
    assert (
        "none of the series is known to be a T1w, FLAIR or PET image (found: 2 a, 7 b)" in errors
    )
    assert not (tmp_path / "b").exists()


def test_notices_of_a_conversion_are_printed_first(falx: Run, heard, tmp_path) -> None:
    pet = Series(number=9, description="FDG", sidecar={})
    converted(heard, {"pet": pet})
    _, printed, _ = falx("dicom-in", tmp_path / "d", tmp_path / "b", "--participant-label", "7")
    first, _, last = printed.splitlines()
    assert "do not say how much activity was injected" in first
    assert last.endswith("_trc-FDG_pet.nii.gz")


@pytest.mark.parametrize(("said", "contrast"), [("MPRAGE post-op", False), ("MPRAGE KM", True)])
def test_contrast_medium_is_named_where_the_series_says_so(
    falx: Run, heard, tmp_path, said, contrast
) -> None:
    converted(heard, {"t1w": Series(number=5, description=said, sidecar={})})
    bids = tmp_path / "b"
    bids.mkdir()
    (bids / "participants.tsv").write_text("participant_id\nsub-1\n")
    _, printed, _ = falx(
        "dicom-in", tmp_path / "d", bids, "--participant-label", "7", "--session", "postop"
    )
    assert ("ce-gadolinium" in printed) == contrast
    assert (bids / "participants.tsv").read_text() == "participant_id\nsub-1\n"


# Demonstrations


def outcome(code: int) -> types.SimpleNamespace:
    return types.SimpleNamespace(code=code, failed=(), excluded=(), show=())


def demonstration(heard, tmp_path, codes: list[int]) -> Heard:
    heard(demo.Dataset, "open", "dataset")
    heard(demo, "_write", lambda bids, specs, seed: bids.mkdir())
    heard(demo, "compare_patient", lambda truth, out, label: [label])
    heard(demo, "render_recovered", " ".join)
    heard(demo, "_plan")
    left = iter(codes)
    return heard(demo, "run_study", lambda request, say: outcome(next(left)))


def test_two_patients_are_studied_compared_and_planned(falx: Run, heard, tmp_path) -> None:
    ran = demonstration(heard, tmp_path, [0])
    code, printed, _ = falx("demo", tmp_path, "--seed", "4", "--voxel-mm", "2", "--jobs", "3")
    assert code == 0
    bids = tmp_path / "bids-seed4-2mm"
    assert printed.splitlines()[0] == (
        f"simulating the raw images of 2 phantom patients in {bids}"
    )
    assert "01 02" in printed.splitlines()
    request = ran.last[0][0]
    assert (request.level, request.out) == ("participant", tmp_path / "signature")
    assert request.resources.jobs == 3
    assert [call[0] for call in demo._plan.calls] == [
        (tmp_path / "signature", "01", 3), (tmp_path / "signature", "02", 3),
    ]  # fmt: skip
    assert demo.compare_patient.calls[0][0][0] == bids / "derivatives" / "truth"


def test_failed_steps_are_not_compared_or_planned(falx: Run, heard, tmp_path) -> None:
    demonstration(heard, tmp_path, [1])
    code, printed, _ = falx("demo", tmp_path)
    assert code == 1
    assert "planted and found are not compared, and nothing is planned." in printed
    assert demo.compare_patient.calls == demo._plan.calls == []


@pytest.mark.parametrize(("codes", "code"), [([0, 0], 0), ([0, 1], 1), ([1, 0], 1)])
def test_a_cohort_has_a_group_level(falx: Run, heard, tmp_path, codes, code) -> None:
    ran = demonstration(heard, tmp_path, codes)
    assert falx("demo", tmp_path, "--patients", "3")[0] == code
    levels = [call[0][0].level for call in ran.calls]
    assert levels == ["participant", "group"]
    assert {call[0][0].out for call in ran.calls} == {tmp_path / "signature-cohort3"}
    assert (tmp_path / "bids-cohort3-seed1-1.5mm").is_dir()
    assert demo._plan.calls == []


def test_a_second_demonstration_simulates_nothing(falx: Run, heard, tmp_path) -> None:
    demonstration(heard, tmp_path, [0, 0])
    falx("demo", tmp_path)
    _, printed, _ = falx("demo", tmp_path)
    assert len(demo._write.calls) == 1
    assert "simulating" not in printed


def resistance(heard, codes: list[int], complete: bool = True) -> Heard:
    heard(demo_resistance.Dataset, "open", "dataset")
    heard(demo_resistance, "write_resting_cohort", lambda part, specs, rng, jobs: part.mkdir())
    found = types.SimpleNamespace(complete=complete)
    heard(demo_resistance, "compare_cohort", found)
    heard(demo_resistance, "render_cohort", "planted beside found")
    heard(demo_resistance, "compare_people", (60.0, 0.2))
    heard(demo_resistance, "mean_maps", {})
    heard(demo_resistance, "compare_planted", ([], {}, [Path("page.html")]))
    heard(demo_resistance, "render_planted", "small effects beside found")
    left = iter(codes)
    return heard(demo_resistance, "run_study", lambda request, say: outcome(next(left)))


@pytest.mark.parametrize(
    ("codes", "complete", "code", "said"),
    [
        ([0, 0], True, 0, "planted beside found"),
        ([0, 0], False, 0, "A planted change was not found."),
        ([1, 0], True, 1, "planted and found are not compared."),
        ([0, 1], True, 1, "planted and found are not compared."),
    ],
)
def test_groups_that_are_large_enough_are_studied_at_both_levels(
    heard, tmp_path, capsys, codes, complete, code, said
) -> None:
    ran = resistance(heard, codes, complete)
    sizes = {"DRE": 5, "HC": 5}
    assert demo_resistance.study_phantoms(tmp_path, sizes, seed=5, jobs=1) == code
    printed = capsys.readouterr().out
    assert said in printed and ("not found" in printed) == (not complete)
    assert [call[0][0].level for call in ran.calls] == ["participant", "group"]
    configuration = ran.last[0][0].configuration
    assert configuration.groups.n_permutations == 499
    assert (tmp_path / "bids-resistance-seed5").is_dir()
    assert not list(tmp_path.glob(".bids*"))
    people = demo_resistance.write_resting_cohort.last[0][1]
    assert len(people) == 10


@pytest.mark.parametrize("code", [0, 1])
def test_few_people_come_from_images_and_a_cohort_from_maps(falx: Run, heard, tmp_path, code):
    ran = resistance(heard, [code])
    got, printed, _ = falx("demo", tmp_path, "--study", "resistance")
    assert got == code
    assert [call[0][0].level for call in ran.calls] == ["participant"]
    compared = len(demo_resistance.compare_planted.calls)
    assert compared == (code == 0)
    assert ("small effects beside found" in printed and "page.html" in printed) == (code == 0)
    assert ("head motion is off by 60 µm" in printed) == (code == 0)


def test_half_a_cohort_is_thrown_away(falx: Run, heard, tmp_path) -> None:
    resistance(heard, [0])
    half = tmp_path / ".bids-resistance-seed1.part"
    half.mkdir()
    (half / "old").touch()
    falx("demo", tmp_path, "--study", "resistance")
    assert not (tmp_path / "bids-resistance-seed1" / "old").exists()


# The BIDS-App grammar


def test_every_word_of_a_run_reaches_the_study(falx: Run, dataset, heard, tmp_path) -> None:
    ran = heard(app, "run_study", outcome(0))
    more = tmp_path / "more"
    more.mkdir()
    write_json(more / "dataset_description.json", {"Name": "m", "BIDSVersion": "1.9.0"})
    words = ("--participant-label", "02", "--jobs", "3", "--mem-gb", "1.5", "--enforce-memory",
             "--profile", "slurm", "--derivatives", more, "--preset", "hot", "--dry-run",
             "--filter", "t1w.run=1")  # fmt: skip
    code, printed, errors = falx("toy", dataset, tmp_path / "out", "group", *words)
    assert (code, errors) == (0, "")
    assert printed == ""  # what a dry run has to say, the run says itself
    (request, say), _ = ran.last
    assert (request.level, request.subjects, request.preset) == ("group", ("02",), "hot")
    assert request.dry_run and say.__self__ is request.watch.__self__  # of the same teller
    found = request.resources
    assert (found.jobs, found.mem_mb, found.profile) == (3, 1500, "slurm")
    assert request.out == tmp_path / "out"
    falx("toy", dataset, tmp_path / "out", "group", "--serial")
    assert ran.last[0][0].resources is None and not ran.last[0][0].dry_run


@pytest.mark.parametrize(
    ("n_failed", "n_left", "line"),
    [
        (0, 1, "0 steps failed, 1 subject left out:"),
        (2, 0, "2 steps failed, 0 subjects left out:"),
        (1, 3, "1 step failed, 3 subjects left out:"),
    ],
)
def test_troubles_are_counted_in_words(capfd, n_failed, n_left, line) -> None:
    failed = types.SimpleNamespace(job="sub-01 pet", failure="empty.", log="x.log")
    left = types.SimpleNamespace(reason="sub-02: none.")
    found = types.SimpleNamespace(
        failed=[failed] * n_failed, excluded=[left] * n_left, show=["/o/sub-01.html"]
    )
    app.print_outcome(found, Path("/o"))
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == line
    assert lines[-2:] == ["look at:", "  /o/sub-01.html"]
    assert len(lines) == 1 + n_left + 2 * n_failed + 2


def test_a_size_that_nobody_publishes_is_said(falx: Run, heard, tmp_path) -> None:
    def file(n_bytes):
        return types.SimpleNamespace(
            path=f"f{n_bytes}",
            n_bytes=n_bytes,
            licence="CC0",
            url="https://x",
            note="n",
            group="g",
        )

    files = (file(2_600_000), file(None))
    heard(fetching, "groups", files)
    heard(fetching, "catalogue", files)
    _, printed, _ = falx("fetch", "g", "--dry-run")
    assert printed.splitlines() == [
        "f2600000: 2.6 MB; licence: CC0; from https://x",
        "fNone: size not published; licence: CC0; from https://x",
    ]
    assert falx("fetch")[1].split() == ["g", "2", "files,", "size", "varies", "CC0;", "n"]
    heard(fetching, "groups", files[:1])
    assert falx("fetch")[1].split() == ["g", "1", "files,", "3", "MB", "CC0;", "n"]


def test_patients_of_the_demonstration_keep_their_voxels() -> None:
    parser = argparse.ArgumentParser()
    demo.add_arguments(parser)
    first, second = demo._patients(parser.parse_args(["out", "--voxel-mm", "1"]))
    assert isinstance(first, PatientSpec)
    assert (first.label, first.side, first.voxel_mm) == ("01", "right", 1.0)
    assert (second.label, second.side, second.voxel_mm) == ("02", "left", 1.0)
    assert first.ablative_rate < second.ablative_rate
    seeds = [
        demo._patients(parser.parse_args(["o", "--patients", "4", "--seed", s])) for s in "12"
    ]
    assert seeds[0] != seeds[1]
