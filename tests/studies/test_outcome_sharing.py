"""What leaves a centre and what comes in: models, prognoses, validations, pooled results."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from falx.cli.main import main
from falx.core.errors import FalxNotice, InputError, OptionError
from falx.core.participants import participants_of
from falx.core.records import plain, record_of
from falx.core.tables import parse_table
from falx.pet.metrics import Definition
from falx.studies.outcome.cohort import PUBLISHED, Cohort, join_cohort, published_cohort
from falx.studies.outcome.files import read_models, read_results
from falx.studies.outcome.outcome import OutcomeSettings, study_outcome
from falx.studies.outcome.page import outcome_page
from falx.studies.outcome.patient import PatientNumbers
from falx.studies.outcome.pooling import pool_results, results_of_models
from falx.studies.outcome.power import Effect, power_table
from falx.studies.outcome.score_model import CohortModels, hold_against, predict, prognoses
from falx.studies.outcome.table_one import describe
from falx.studies.outcome.tables import TABLES
from studies.outcome_cohort import QUICK, write_finished_participants

OTHER = Definition("calibrated", "mg3", "proportional", 0.05)


@pytest.fixture(scope="module")
def study():
    return study_outcome(published_cohort(), QUICK)


@pytest.fixture(scope="module")
def model(study):
    return study.models_file.models[0]


def elsewhere(rng, n=60):
    """Patients of another centre, of the published definition, free by their rate."""
    rate = rng.uniform(0.26, 0.78, n)
    free = rng.random(n) < 1 / (1 + np.exp(-8 * (rate - 0.5)))
    values = {"rate_hippocampus": rate}
    return Cohort(tuple(map(str, range(n))), free, values, "60 others", definition=PUBLISHED)


# The file of models


def test_the_file_holds_no_patient(study, model):
    text = json.dumps(plain(study.models_file))
    cohort = study.cohort
    assert len(text) < 150_000
    assert not any(f'"{subject}"' in text for subject in cohort.subjects)
    own = {f"{v:.4f}" for v in cohort.values["rate_hippocampus"]}
    lines = {"intercept", "slope"}
    rest = {k: v for k, v in plain(model).items() if k != "lines"}
    assert lines < set(plain(model)["lines"]["weak"])
    assert not any(value in json.dumps(rest) for value in own)
    assert (model.low, model.high) == (0.24, 0.8)


def test_the_file_is_read_back_and_predicts_what_the_page_says(study, model):
    again = record_of(CohortModels, json.loads(json.dumps(plain(study.models_file))), where="f")
    assert again.models[0].fingerprint == model.fingerprint
    found = study.prognoses[0]
    for prior, said in (("weak", found.weak), ("literature", found.literature)):
        for rate, chance in zip(found.rates[1:-1], said[1:-1], strict=True):
            told = predict(again.models[0], float(rate), PUBLISHED, prior=prior)
            assert told.mean == pytest.approx(chance.mean, abs=0.01)
            assert told.low == pytest.approx(chance.low, abs=0.03)
            assert told.high == pytest.approx(chance.high, abs=0.03)


@pytest.mark.parametrize(
    ("rate", "definition", "message"),
    [
        (0.9, PUBLISHED, "outside the cohort .* .found: 90.0%; the cohort's rates run from 24%"),
        (0.1, PUBLISHED, "outside the cohort"),
        (0.5, OTHER, "rates of another definition .found: model: threshold"),
        (0.5, None, "rates of another definition .*rate: not stated"),
    ],
)
def test_a_rate_that_the_model_does_not_know_gets_no_number(model, rate, definition, message):
    with pytest.raises(InputError, match=message):
        predict(model, rate, definition)


def test_five_of_each_outcome_are_needed_for_a_prognosis(rng):
    few = replace(elsewhere(rng, 12), seizure_free=np.arange(12) < 9)
    with pytest.raises(InputError, match="at least 5 patients of each outcome"):
        prognoses(few, "rate_hippocampus", rng)


# Another centre


def test_a_model_is_held_against_patients_of_the_same_definition(model, rng):
    cohort = elsewhere(rng)
    found = hold_against(cohort, model)
    assert (found.score, found.found.n, found.outside) == ("rate_hippocampus", 60, 0)
    assert found.found.area.auc > 0.6
    published = replace(
        cohort, values={"rate_hippocampus_published": cohort.values["rate_hippocampus"]},
        definition=OTHER,
    )  # fmt: skip
    assert hold_against(published, model).found.slope == found.found.slope
    far = replace(cohort, values={"rate_hippocampus": cohort.values["rate_hippocampus"] + 0.1})
    assert hold_against(far, model).outside == int(np.sum(far.values["rate_hippocampus"] > 0.8))


def test_what_validates_nothing_is_refused(study, model, rng):
    with pytest.raises(InputError, match="made from these very patients"):
        hold_against(study.cohort, model)
    with pytest.raises(InputError, match="no rate of these patients is of the model's definition"):
        hold_against(replace(elsewhere(rng), definition=OTHER), model)
    with pytest.raises(InputError, match="no rate of these patients"):
        hold_against(elsewhere(rng), replace(model, definition=None))
    few = replace(elsewhere(rng), seizure_free=np.arange(60) < 3)
    with pytest.raises(InputError, match="at least 5 patients of each outcome.*3 seizure free"):
        hold_against(few, model)


def test_the_page_says_how_the_model_of_elsewhere_did(study, rng):
    found = study_outcome(elsewhere(rng), QUICK, study.models_file)
    page = outcome_page(found)
    assert "A model of elsewhere on these patients" in page
    assert "calibration slope (1 is perfect)" in page
    header, rows = TABLES["validation"](found)
    assert rows[0][header.index("n")] == 60
    same = study_outcome(study.cohort, QUICK, study.models_file)
    assert "made from these very patients" in " ".join(same.warnings)
    assert TABLES["validation"](same)[0] == ["remark"]


def test_results_of_centres_are_pooled_by_figure_and_definition(study, rng):
    others = [prognoses(elsewhere(rng), "rate_hippocampus", rng).model for _ in range(2)]
    files = [CohortModels("falx outcome model 1", "x", (one,)) for one in others]
    results = [r for i, one in enumerate(files) for r in results_of_models(str(i), one)]
    found = {one.figure: one for one in pool_results(results)}
    assert set(found) == {"seizure_free", "odds_ratio"}
    ratio = found["odds_ratio"]
    assert min(o.log_odds for o in others) <= ratio.pooled.value <= max(o.log_odds for o in others)
    moved = [replace(r, definition="other") if r.centre == "1" else r for r in results]
    with pytest.raises(InputError, match="no figure comes from two centres"):
        pool_results(moved)


# Table one


def of_columns(**columns):
    n = 30
    cohort = published_cohort()
    assert all(len(cells) == n for cells in columns.values())
    return replace(cohort, further=columns)


def test_columns_are_described_by_what_they_hold(rng):
    words = tuple("ab"[i % 2] for i in range(30))
    cohort = of_columns(
        iq=tuple(f"{v:.1f}" for v in rng.normal(100, 15, 30)),
        lesion=words,
        code=tuple(str(i % 3) for i in range(30)),
        same=("x",) * 30,
        note=tuple(f"word {i}" for i in range(30)),
        rare=("1.5", "2.5", *[None] * 28),
    )
    found, said = describe(cohort)
    assert [(d.name, d.kind) for d in found] == [
        ("iq", "number"), ("lesion", "category"), ("code", "category"),
    ]  # fmt: skip
    lesion = found[1]
    free = cohort.seizure_free
    for level in lesion.levels:
        here = np.array([w == level.name for w in words])
        assert (level.not_free, level.free) == (np.sum(here & ~free), np.sum(here & free))
    told = " ".join(said)
    assert "Column same not described: the same entry in every patient" in told
    assert "Column note not described: 30 different entries" in told
    assert "Column rare not described: known for" in told
    (as_number,), _ = describe(cohort, ["code:number"])
    assert (as_number.kind, as_number.not_free.n) == ("number", 9)
    study = study_outcome(cohort, QUICK)
    names = [row[0] for row in TABLES["table1"](study)[1]]
    assert {"iq", "lesion: a", "lesion: b"} <= set(names)
    with pytest.raises(InputError, match="no further column 'iqq'"):
        describe(cohort, ["iqq"])
    with pytest.raises(OptionError, match="a column of table one cannot be read"):
        OutcomeSettings(table_one=("iq:text",))


def test_skewed_numbers_are_compared_by_ranks(rng):
    cohort = of_columns(
        skew=tuple(f"{v:.3f}" for v in rng.lognormal(0, 2, 30)),
        even=tuple(f"{v:.3f}" for v in np.linspace(0, 1, 30)),
    )
    tests = {d.name: d.test for d in describe(cohort)[0]}
    assert tests["skew"] == "Mann–Whitney"


def test_exclusions_and_short_follow_up_are_left_out_by_name():
    text = "participant_id outcome follow_up_months exclude\n" + "\n".join(
        f"sub-{i} {1 + 3 * (i % 2)} {months} {word}"
        for i, (months, word) in enumerate(
            [(24, "no"), (6, "no"), (24, "yes"), (24, "tumour"), ("n/a", "n/a"), (12, 0)]
        )
    )
    table = parse_table("\n".join("\t".join(line.split()) for line in text.splitlines()),
                        where="participants.tsv")  # fmt: skip
    numbers = {str(i): PatientNumbers({"ai_pet": -0.1}) for i in range(6)}
    with pytest.warns(FalxNotice, match="left out of the group"):
        cohort = join_cohort(numbers, participants_of(table))
    assert cohort.subjects == ("0", "4", "5")
    assert cohort.excluded == {
        "1": "followed for 6 months, fewer than 12",
        "2": "excluded in participants.tsv",
        "3": "excluded in participants.tsv: tumour",
    }
    with pytest.warns(FalxNotice):
        everyone = join_cohort(numbers, participants_of(table), least_follow_up_months=0)
    assert everyone.subjects == ("0", "1", "4", "5")
    np.testing.assert_array_equal(everyone.values["follow_up_months"], [24, 6, np.nan, 12])
    assert "exclude" not in everyone.further


def test_ablation_is_set_against_head_and_structures():
    values = {"ablation_mm3": 5000.0, "tiv_mm3": 1.5e6, "hippocampus_ipsi_mm3": 2500.0,
              "amygdala_ipsi_mm3": 1500.0}  # fmt: skip
    table = parse_table("participant_id\toutcome\nsub-1\t1\nsub-2\t4", where="participants.tsv")
    people = participants_of(table)
    cohort = join_cohort({"1": PatientNumbers(values), "2": PatientNumbers({})}, people)
    assert cohort.values["ablation_per_tiv"][0] == pytest.approx(1 / 300)
    assert cohort.values["ablation_per_volume"][0] == pytest.approx(1.25)
    assert np.isnan(cohort.values["ablation_per_volume"][1])


# Power


def test_power_grows_with_the_cohort_and_is_the_level_without_an_effect():
    rng = np.random.default_rng(3)
    small, large = power_table([20, 100], Effect(odds_ratio=3.0), rng, simulations=40)
    assert small.beyond < large.beyond
    assert large.beyond > 0.9
    assert large.beyond_low < large.beyond <= large.beyond_high
    (none,) = power_table([30], Effect(odds_ratio=1.0), rng, simulations=100)
    assert none.alone_low < 0.05 < none.alone_high or none.alone < 0.05
    with pytest.raises(OptionError, match="nothing is tested in fewer than 10 patients"):
        list(power_table([9], Effect(), rng))
    with pytest.raises(OptionError, match="correlation"):
        Effect(correlation=1.5)


# The command line


@pytest.fixture(scope="module")
def centres(tmp_path_factory):
    folder = tmp_path_factory.mktemp("centres")
    for seed, n in ((1, 30), (2, 36)):
        words = ["outcome", "phantom", str(folder / str(seed)), "--patients", str(n)]
        assert main([*words, "--seed", str(seed), "--odds-ratio", "3"]) == 0
    return folder


def test_a_phantom_cohort_has_its_page_and_shares_its_models(centres, capsys):
    one, two = (centres / name / "group/desc-models_outcome.json" for name in ("1", "2"))
    page = (centres / "1/group.html").read_text(encoding="utf-8")
    assert "Summary" in page
    assert "30 simulated patients, " in page and "of this dataset" not in page
    assert "methods.html" not in page  # no study ran, so no methods text lies beside it
    assert read_models(one).source == "30 simulated patients"
    assert read_models(one).models[0].n == 30
    patients = sorted((centres / "2/numbers").iterdir())[:3]
    code = main(["outcome", "predict", str(one), *map(str, patients)])
    said = capsys.readouterr().out.splitlines()
    assert len(said) in (4, 5, 6)
    assert all("seizure freedom expected in" in line or "no prognosis" in line for line in said)
    assert code == any("no prognosis" in line for line in said)
    assert main(["outcome", "pool", str(one), str(two), "--output-dir", str(centres / "p")]) == 0
    assert "odds ratio per percentage point" in capsys.readouterr().out
    assert (centres / "p/pooled.tsv").is_file()
    with pytest.raises(InputError, match="two files come from the same patients|named twice"):
        read_results([one, one])


def test_words_of_the_command_are_refused_in_sentences(centres, tmp_path, capsys):
    assert main(["outcome", "phantom", str(centres / "1")]) == 2
    assert "the folder is not empty" in capsys.readouterr().err
    other = tmp_path / "other.json"
    other.write_text('{"format": "mine", "source": "x", "models": []}', encoding="utf-8")
    assert main(["outcome", "predict", str(other), str(other)]) == 2
    assert "no outcome model of this version" in capsys.readouterr().err
    assert main(["outcome", "pool", str(centres / "1/group/desc-models_outcome.json")]) == 2
    assert "at least two centres" in capsys.readouterr().err


def test_a_model_is_held_against_a_group_by_the_command_line(centres, tmp_path, capsys):
    bids, out = tmp_path / "bids", tmp_path / "out"
    write_finished_participants(bids, out)
    records = sorted(out.glob("sub-*/anat/*numbers*.json"))
    model = centres / "1/group/desc-models_outcome.json"
    settings = ["--group-resamples", "20", "--group-permutations", "20"]
    words = ["signature", str(bids), str(out), "group", "--serial", *settings]
    assert main([*words, "--group-iterations", "5", "--validate", str(model)]) == 0
    assert len(records) == 24
    results = json.loads((out / "group/desc-results_outcome.json").read_text(encoding="utf-8"))
    assert "no rate of these patients is of the model's definition" in str(results["warnings"])
    code = main([*words, "--validate", str(tmp_path / "none.json")])
    assert code == 2
    assert "the file that group.validate names does not exist" in capsys.readouterr().err


def test_power_is_printed_and_written(tmp_path, capsys):
    words = ["outcome", "power", "--patients", "20", "--simulations", "20"]
    assert main([*words, "--output-dir", str(tmp_path)]) == 0
    assert "beyond anatomy" in capsys.readouterr().out
    assert "How many patients" in (tmp_path / "power.html").read_text(encoding="utf-8")
