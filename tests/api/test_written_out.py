"""What a notebook prints, refuses and hands over, word by word; a plan of a made-up search."""

from __future__ import annotations

import types
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_rgba

import falx
from falx.api import functional
from falx.api import plan as planning
from falx.api.ablation import SignatureMap
from falx.api.functional import Homogeneity
from falx.api.genes import Enrichment, GeneMap
from falx.api.groups import GroupComparison, group_map
from falx.api.inputs import numbers_of, settings_of, words_of
from falx.api.outcome import Roc
from falx.api.plan import NOTICE, LaserPlanning
from falx.core.errors import FalxError, InputError, OptionError, notify
from falx.core.grid import Grid
from falx.genes.sets.library import GeneSetLibrary, Origin, restrict
from falx.genes.sets.ora import over_representation
from falx.images.nifti import Image, load
from falx.maps.settings import InferenceOptions
from falx.report.figures import BLUE, GREY, ORANGE
from falx.surgery.tracks.geometry import Burn, LaserPlan, Trajectory, ablation_mask
from falx.surgery.tracks.limits import Goal, Limits, Placement, Search
from falx.surgery.tracks.scene import Target
from surgery.phantom import ellipsoid, head_labels, same_place

few = settings(max_examples=4, deadline=None)
SEEDS = st.integers(0, 2**32 - 1)
CUBE = np.diag([2.0, 2.0, 2.0, 1.0])


def some(**given: object) -> types.SimpleNamespace:
    return types.SimpleNamespace(**given)


# Plans


TRACK = Trajectory(np.array([-30.0, -60.0, 20.0]), np.array([-25.0, -10.0, -15.0]))


def laser_plan() -> LaserPlan:
    return LaserPlan(TRACK, (Burn(6.0, 0.0), Burn(5.5, 8.0)))


def assessed(rate: float | None = 0.512) -> types.SimpleNamespace:
    return some(plan=laser_plan(), rate=rate, tissue=some(outside_mm3=1234.5), length_mm=71.25,
                clearance_mm=3.14159)  # fmt: skip


def searched(*, suggested: bool, shaken: bool = True) -> types.SimpleNamespace:
    option = some(
        assessment=assessed(),
        robustness=some(reaches=0.913, holds=0.857, harmless=0.964) if shaken else None,
    )
    return some(
        funnel=some(pairs=4000, feasible=35), options=[option] * 3,
        suggested=option if suggested else None, explanation=None if suggested else "too deep",
    )  # fmt: skip


def head(shape=(10, 12, 9)) -> types.SimpleNamespace:
    image = Image(np.zeros(shape, np.float32), CUBE)
    at = some(at="map")
    return some(structures=image, image=image, to_template=at)


def signature_of(shape=(10, 12, 9)) -> SignatureMap:
    mask = Image(np.ones(shape, bool), CUBE)
    metrics = some(side="left", notices=())
    return SignatureMap(
        image=mask, published=mask, template=mask, probability=mask,
        of=some(head=head(shape)), metrics=metrics,
    )  # fmt: skip


def planned(**changed: object) -> LaserPlanning:
    return LaserPlanning(searched(**changed), signature_of().image, signature_of(), ("look",))


def test_a_suggested_plan_prints_its_track_burns_and_scores() -> None:
    text = repr(planned(suggested=True))
    for what, value in {
        "pairs of entry and target, that keep the rules": "4000, 35",
        "plans to choose from": "3",
        "entry, RAS+ mm": "-30.0, -60.0, 20.0",
        "target, RAS+ mm": "-25.0, -10.0, -15.0",
        "burns, radius and pull-back, mm": "6, 0; 5.5, 8",
        "ablative rate, hippocampus": "51.2 %",
        "heated outside the targets, mm³": "1234",
        "length, mm": "71.25",
        "clearance, mm": "3.142",
        "keeps every limit when misplaced": "85.7 %",
        "reaches the threshold when misplaced": "91.3 %",
        "touches nothing when misplaced": "96.4 %",
        "notice": "look",
    }.items():
        (row,) = [line for line in text.split("\n") if line.strip().startswith(what)]
        assert row.split("  ")[-1].strip() == value
    assert text.startswith("Laser plan\n")


def test_no_plan_says_what_stands_in_the_way() -> None:
    found = planned(suggested=False)
    assert (found.suggested, found.assessment, found.robustness) == (None, None, None)
    assert "suggested" in repr(found) and "none: too deep" in repr(found)
    assert "entry, RAS+ mm" not in repr(found)
    whole = planned(suggested=True, shaken=False)
    assert whole.suggested == laser_plan()
    assert "misplaced" not in repr(whole)


SCENE = some(focus=None, target=Target())


@pytest.fixture
def looked(monkeypatch) -> list[tuple[tuple, dict]]:
    """Stand-in of the search; how it was called."""
    calls: list[tuple[tuple, dict]] = []

    def scene(*given, **named):
        calls.append((given, named))
        notify("a label is odd")
        return SCENE

    def search(*given, **named):
        calls.append((given, named))
        return searched(suggested=search.suggested)

    search.suggested = True
    monkeypatch.setattr(planning, "scene_from_labels", scene)
    monkeypatch.setattr(planning, "search", search)
    calls.append(((search,), {}))
    return calls


def test_a_search_gets_every_choice_where_it_belongs(looked) -> None:
    found = signature_of()
    vessels = np.zeros((10, 12, 9), np.float32)
    vessels[4, 5, 6] = 1
    result = falx.plan(
        found, vessels=(vessels, CUBE), threads=3, max_length_mm=80, threshold=0.5,
        keep_probability=0.7, draws=200, max_burns=1, seed=9,
    )  # fmt: skip
    (structures, image, side, at), masks = looked[1]
    assert (structures, image, side, at) == (
        found.of.head.structures, found.image, "left", "map",
    )  # fmt: skip
    assert masks["vessels"].data.sum() == 1 and masks["sinuses"] is None
    (scene, limits, goal), how = looked[2]
    assert scene is SCENE
    assert limits == Limits(max_length_mm=80) and goal == Goal(threshold=0.5, keep_probability=0.7)
    assert how["placement"] == Placement(draws=200)
    assert (how["max_burns"], how["threads"]) == (1, 3)
    assert how["rng"].integers(1000) == np.random.default_rng(9).integers(1000)
    assert result.notices == (NOTICE, "a label is odd.")
    grid = Grid((10, 12, 9), CUBE)
    assert (result.image.data == ablation_mask(laser_plan(), grid)).all()


def test_vessels_that_were_not_checked_are_said_and_no_plan_is_an_empty_mask(looked) -> None:
    looked[0][0][0].suggested = False
    result = falx.plan(signature_of())
    assert result.notices == (NOTICE, "Vessels were not checked.", "a label is odd.")
    assert result.image.data.shape == (10, 12, 9) and not result.image.data.any()
    assert looked[2][0][1:] == (Limits(), Goal())
    assert looked[2][1]["max_burns"] == Search().max_burns


def test_a_focus_is_planned_for_by_its_number() -> None:
    labels = head_labels()
    places = labels.grid.centres_mm()
    numbers = np.zeros(labels.data.shape, np.int16)
    numbers[ellipsoid(places, (36.0, 40.0, 24.0), (7.0,) * 3) & (labels.data > 0)] = 2
    found = replace(
        signature_of(labels.data.shape),
        of=some(head=some(structures=labels, image=labels, to_template=some(at=same_place))),
        numbers=Image(numbers, labels.affine),
        metrics=some(
            side="left", notices=(),
            calibrated=some(everywhere=(some(number=2, region="right cerebral cortex"),)),
        ),
    )  # fmt: skip
    result = falx.plan(found, focus=2, draws=300)
    assert result.target == Target.of_focus(2, "right cerebral cortex")
    assert result.suggested.trajectory.target_mm[0] > 0
    assert result.assessment.rate == pytest.approx(result.image.data[numbers == 2].mean())
    assert result.assessment.rate >= 0.5
    assert "ablative rate, focus 2" in repr(result)
    assert "hippocampus" not in repr(result)
    said = " ".join(result.notices)
    assert "No outcome study stands behind a plan for focus 2: that 50.0% of it" in said
    assert "30 patients" not in said
    with pytest.raises(InputError, match=r"there is no focus 1 in this patient .found: focus 2"):
        falx.plan(found, focus=1)
    with pytest.raises(InputError, match="this signature knows no foci"):
        falx.plan(replace(found, numbers=None), focus=2)


def test_what_is_no_signature_and_no_choice_is_refused() -> None:
    with pytest.raises(InputError, match=r"made for a signature .found: str.; give what falx.sig"):
        falx.plan("signature.nii.gz")
    with pytest.raises(OptionError, match="did you mean 'max_length_mm'"):
        falx.plan(signature_of(), max_lenght_mm=80)
    with pytest.raises(OptionError, match="threshold is out of range"):
        falx.plan(signature_of(), threshold=1.5)
    assert planning._rules({"seed": 4, "keep_probability": 0.2}) == (
        Limits(), Goal(keep_probability=0.2), Placement(), Search(seed=4),
    )  # fmt: skip


# Groups


def people(n: int = 5, seed: int = 1) -> list[Image]:
    rng = np.random.default_rng(seed)
    return [Image((5 + rng.normal(size=(6, 6, 6))).astype(np.float32), CUBE) for _ in range(2 * n)]


QUIET = {"n_permutations": 1, "enhance": False}


@pytest.mark.filterwarnings("ignore")
def test_groups_are_named_in_the_order_that_people_come() -> None:
    images = people()
    found = group_map(images, ["b"] * 5 + ["a"] * 5, **QUIET)
    assert (found.contrast, dict(found.sizes)) == ("b - a", {"b": 5, "a": 5})
    mean = np.mean([i.data for i in images], axis=0, dtype=np.float64)
    assert found.background.data == pytest.approx(mean, abs=1e-5)
    assert found.mask.data.all()
    assert found.found.options == InferenceOptions(**QUIET)
    assert "permuted mass" not in repr(found)


@pytest.mark.filterwarnings("ignore")
def test_a_voxel_that_is_zero_in_one_person_is_not_compared() -> None:
    images = people()
    images[3].data[0, 0, 0] = 0
    images[7].data[1, 1, 1] = np.nan
    found = group_map(images, ["a"] * 5 + ["b"] * 5, **QUIET)
    assert found.mask.data.sum() == 214
    assert not found.mask.data[0, 0, 0] and not found.mask.data[1, 1, 1]
    assert found.image.data[0, 0, 0] == 0 and np.isnan(found.q.data[1, 1, 1])
    mask = np.zeros((6, 6, 6))
    mask[2:] = 0.6
    inside = group_map(images, ["a"] * 5 + ["b"] * 5, mask=(mask, CUBE), **QUIET)
    assert inside.mask.data.sum() == 144


@pytest.mark.filterwarnings("ignore")
def test_covariates_follow_the_people_who_are_compared() -> None:
    images, age = people(), np.arange(10.0) ** 2
    groups = ["a", "c", "a", "b", "b", "a", "a", "b", "b", "b"]
    found = group_map(images, groups, contrast=("a", "b"), covariates={"age": age}, **QUIET)
    kept = [k for k, g in enumerate(groups) if g != "c"]
    same = group_map(
        [images[k] for k in kept],
        [groups[k] for k in kept],
        covariates={"age": age[kept]},
        **QUIET,
    )
    assert found.image.data == pytest.approx(same.image.data)
    assert dict(found.sizes) == {"a": 4, "b": 5}
    with pytest.raises(InputError, match=r"age: .*one number a person .found: 9 for 10 people"):
        group_map(images, groups, contrast=("a", "b"), covariates={"age": age[:9]})


@pytest.mark.parametrize(
    ("groups", "contrast", "told"),
    [
        ("aaaabbbbcc", None, r"two groups can be compared .found: a, b, c.; name them with"),
        ("aaaaaaaaaa", None, r"two groups can be compared .found: a"),
        ("aaaaabbbbb", ("a", "b", "a"), r"names two of the groups .found: a, b, a.; choose from"),
        ("aaaaabbbbb", ("a", "x"), r"names two of the groups .found: a, x.; choose from a, b"),
    ],
)
def test_contrasts_that_name_no_two_groups(groups, contrast, told) -> None:
    with pytest.raises(InputError, match=told):
        group_map(people(), list(groups), contrast=contrast)


def test_clusters_carry_place_volume_and_probabilities() -> None:
    cluster = some(peak_row=3, extent=7)
    one = some(cluster=cluster, p_fsl=0.2, p_extent=0.03, p_mass=None)
    mask = np.zeros((3, 3, 3), bool)
    mask[1] = True
    inside = Image(mask, CUBE)
    t = np.zeros(9)
    t[3] = -4.5
    result = some(clusters=(one,), fit=some(t=t))
    found = GroupComparison(inside, inside, None, inside, inside, "a - b", {}, result)
    (row,) = found.clusters
    # The fourth voxel of the middle slab is (1, 1, 0).
    assert (row.peak_mm, row.t) == ((2.0, 2.0, 0.0), -4.5)
    assert row.volume_mm3 == pytest.approx(56.0)
    assert (row.p_random_field, row.p_extent, row.p_mass) == (0.2, 0.03, None)


# Genes


GENES = tuple(f"G{i}" for i in range(20))


def test_a_table_of_sets_comes_from_the_smallest_p() -> None:
    sets = {"b": GENES[:6], "a": GENES[:6], "other": GENES[10:16]}
    found = falx.enrich(GENES[:5], sets, GENES)
    assert isinstance(found, Enrichment)
    assert [row.name for row in found.table] == ["a", "b", "other"]
    tested = restrict(GeneSetLibrary("s", sets, Origin("")), GENES)
    own = over_representation(GENES[:5], tested)
    row = found.table[0]
    assert (row.overlap, row.size, row.factor) == (5, 6, pytest.approx(5 * 20 / (6 * 5)))
    assert (row.p, row.q) == (pytest.approx(own.p[1]), pytest.approx(own.q[1]))
    lines = repr(found).split("\n")
    assert lines[0] == "Gene sets of the given sets"
    assert lines[1].split("  ")[-1].strip() == "5, 20"
    assert any(line.strip().startswith("a ") and "5 of 6, 3.3 ×, q = " in line for line in lines)


def test_a_map_of_genes_prints_its_components_and_lists() -> None:
    rng = np.random.default_rng(3)
    X, y, places = rng.normal(size=(24, 30)), rng.normal(size=24), rng.uniform(-50, 50, (24, 3))
    found = falx.pls(X, y, places, n_maps=19, n_draws=20, n_components=2)
    assert isinstance(found, GeneMap)
    assert found.genes == tuple(f"gene{k}" for k in range(1, 31))
    assert found.study.data.regions[0] == "region1"
    assert set(found.study.data.positions.blocks) == {"all"}
    text = repr(found)
    assert "regions, genes" in text and "24, 30" in text and "19 (moran)" in text
    assert "component 2" in text and "first in the lists" in text
    assert found.p == pytest.approx(found.study.genes.p)
    named = falx.pls(X, y, places, genes=[f"x{k}" for k in range(30)], n_maps=19, n_draws=20,
                     n_components=2)  # fmt: skip
    assert named.genes[3] == "x3" and named.z == pytest.approx(found.z)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"values": np.ones(23)}, r"shapes .23,., .24, 5. and .24, 3."),
        ({"centroids_mm": np.ones((24, 2))}, r"not of the same regions"),
        ({"values": [np.nan] * 24}, "map: values are missing; leave those regions out"),
        ({"expression": np.full((24, 5), np.inf)}, "expression: values are missing"),
        ({"centroids_mm": np.full((24, 3), np.nan)}, "centroids_mm: values are missing"),
        ({"genes": ["a"]}, r"genes differ in number from the table .found: 1 and 5"),
        ({"regions": ["a"] * 25}, r"regions differ in number from the table .found: 25 and 24"),
        ({"blocks": "cortex"}, "blocks: a list of words is needed"),
        ({"nmaps": 3}, "did you mean 'n_maps'"),
    ],
)
def test_tables_of_unlike_regions_are_refused(changed, told) -> None:
    rng = np.random.default_rng(1)
    plain = {"expression": rng.normal(size=(24, 5)), "values": rng.normal(size=24),
             "centroids_mm": rng.normal(size=(24, 3))}  # fmt: skip
    with pytest.raises(FalxError, match=told):
        falx.pls(**{**plain, **changed})


@pytest.mark.parametrize("sets", [3, ["a", "b"], None])
def test_sets_are_a_mapping_a_library_or_a_file(sets) -> None:
    with pytest.raises(InputError, match=rf"gene sets are needed .found: {type(sets).__name__}"):
        falx.enrich(GENES[:3], sets, GENES)


# Outcome


@few
@given(SEEDS)
def test_the_printed_figures_are_those_of_the_result(seed) -> None:
    rng = np.random.default_rng(seed)
    outcome = np.arange(16) % 2
    score = outcome + rng.normal(0, 0.8, 16)
    found = falx.roc(score, outcome, resamples=30, repeats=2, seed=seed % 1000)
    assert isinstance(found, Roc)
    facts = dict(found._facts())
    assert facts["patients, with the event"] == "16, 8"
    wins = np.mean([(p > n) + 0.5 * (p == n) for p in score[1::2] for n in score[::2]])
    assert facts["area (95 %, BCa bootstrap)"].startswith(f"{wins:.3f} (")
    assert facts["best cut"].startswith("above ")
    called = score > found.cut.threshold
    assert facts["sensitivity"] == f"{100 * called[1::2].mean():.1f} %"
    assert facts["specificity"] == f"{100 * (~called[::2]).mean():.1f} %"
    balanced = 50 * (called[1::2].mean() + (~called[::2]).mean())
    assert facts["balanced accuracy"] == f"{balanced:.1f} %"
    low = falx.roc(-score, outcome, higher_is_positive=False, resamples=30, repeats=2)
    assert dict(low._facts())["best cut"].startswith("below ")


# Homogeneity


def test_a_run_is_cleaned_only_with_its_repetition_time(monkeypatch) -> None:
    rng = np.random.default_rng(2)
    run = (rng.normal(100, 5, (6, 6, 6, 90)).astype(np.float32), CUBE)
    mask = (np.ones((6, 6, 6), bool), CUBE)
    seen: list[dict] = []
    whole = functional.regional_homogeneity

    def heard(series, inside, **named):
        seen.append({"series": series, **named})
        return whole(series, inside, **named)

    monkeypatch.setattr(functional, "regional_homogeneity", heard)
    raw = falx.reho(*(run, mask), neighbours=7, threads=1)
    assert isinstance(raw, Homogeneity)
    assert seen[0]["neighbours"] == 7 and seen[0]["threads"] == 1
    assert (seen[0]["series"] == run[0].reshape(-1, 90)).all()
    assert raw.dof is None and raw.volumes == 90 and "degrees" not in repr(raw)
    clean = falx.reho(run, mask, repetition_time_s=2.0, nuisance=rng.normal(size=(90, 2)))
    assert np.abs(seen[1]["series"].mean(axis=1)).max() < 1e-3
    assert clean.dof and "degrees of freedom left" in repr(clean)
    assert raw.background.data == pytest.approx(run[0].mean(axis=3), abs=1e-4)
    with pytest.raises(InputError, match="nuisance is taken out with the band; give repetition"):
        falx.reho(run, mask, nuisance=np.ones((90, 1)))
    with pytest.raises(OptionError, match="smoothing_fwhm_mm is out of range"):
        falx.reho(run, mask, smoothing_fwhm_mm=31)
    alone = np.zeros((6, 6, 6), bool)
    alone[::5, ::5, ::5] = True
    with pytest.raises(InputError, match="no voxel has enough neighbours inside the mask"):
        falx.reho(run, (alone, CUBE))


# Inputs and files


@pytest.mark.parametrize(
    ("given_", "told"),
    [
        ("abc", r"^x: a list of words is needed .found: 'abc'"),
        (b"abc", "a list of words is needed"),
        (7, r"a list of words is needed .found: 7"),
    ],
)
def test_one_word_is_no_list(given_, told) -> None:
    with pytest.raises(InputError, match=told):
        words_of(given_, "x")
    assert words_of(np.array(["a", "b"]), "x") == ("a", "b") and words_of([1, 2], "x") == (
        "1",
        "2",
    )


@pytest.mark.parametrize(
    ("given_", "ndim", "told"),
    [
        (3.0, 1, r"a column of numbers is needed .found: shape of one value"),
        ([], 1, r"found: shape 0"),
        ([[1, 2]], 1, r"found: shape 1×2"),
        ([1, 2], 2, r"a 2D table is needed .found: shape 2"),
        (["a"], 1, "not every value is a number; give numbers, NaN where missing"),
        ([[1], [1, 2]], 2, "not every value is a number"),
    ],
)
def test_numbers_have_the_axes_that_were_asked_for(given_, ndim, told) -> None:
    with pytest.raises(InputError, match=told):
        numbers_of(given_, "x", ndim=ndim)


@dataclass(frozen=True)
class Choices:
    width_mm: float = 3.0
    rounds: int = 2


def test_a_choice_far_from_all_lists_them() -> None:
    assert settings_of(Choices, {"rounds": 5}) == Choices(rounds=5)
    with pytest.raises(OptionError, match="there is no choice 'zzz'; the choices are width_mm, r"):
        settings_of(Choices, {"zzz": 1})
    with pytest.raises(OptionError, match="did you mean 'rounds'"):
        settings_of(Choices, {"round": 1})


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_results_and_series_are_written_as_they_are(name, tmp_path) -> None:
    series = np.arange(48, dtype=np.int16).reshape(2, 3, 4, 2)
    path = falx.save((series, CUBE), tmp_path / name)
    assert path == tmp_path / name
    assert (load(path, ndim=4).data == series).all()
    mask = some(image=Image(np.eye(3, dtype=bool)[None].repeat(2, 0), CUBE))
    falx.save(mask, tmp_path / name)
    assert load(tmp_path / name).data.sum() == 6
    with pytest.raises(InputError, match="a.mgz: images are written as NIfTI; end the name"):
        falx.save(mask, tmp_path / "a.mgz")


# Data to try on


@settings(max_examples=3, deadline=None)
@given(SEEDS, st.sampled_from([0.0, 1.0, 3.0]))
def test_patients_are_lower_by_what_was_asked(seed, effect) -> None:
    plain = falx.phantom_groups(seed=seed, people=3, effect=0.0)
    found = falx.phantom_groups(seed=seed, people=3, effect=effect)
    for k, (a, b) in enumerate(zip(plain.images, found.images, strict=True)):
        taken = a.data - b.data
        assert taken[~found.lowered.data] == pytest.approx(0)
        wanted = effect if found.groups[k] == "patients" else 0.0
        assert taken[found.lowered.data] == pytest.approx(wanted, abs=1e-4)
    assert found.groups == ("patients",) * 3 + ("controls",) * 3
    inside = plain.images[0].data > 0
    assert plain.images[0].data[inside].std() == pytest.approx(1, rel=0.02)


def test_phantoms_refuse_what_they_do_not_know() -> None:
    with pytest.raises(InputError, match=r"does not know a choice .found: .*n_region"):
        falx.phantom_genes(n_region=3)
    with pytest.raises(OptionError, match="did you mean 'voxel_mm'"):
        falx.phantom_patient(voxelmm=3)
    for call in (lambda: falx.phantom_groups(people=2), lambda: falx.phantom_rest(volumes=9)):
        with pytest.raises(OptionError, match="is out of range"):
            call()


@pytest.fixture(scope="module")
def gene_map() -> GeneMap:
    rng = np.random.default_rng(5)
    X, y, places = rng.normal(size=(30, 40)), rng.normal(size=30), rng.uniform(-50, 50, (30, 3))
    X[:, :6] += 3 * y[:, None]
    X[:, 6:10] -= 3 * y[:, None]
    return falx.pls(X, y, places, n_maps=199, n_draws=60, n_components=1, list_q=0.2)


def test_a_map_of_genes_prints_the_figures_of_its_study(gene_map) -> None:
    facts, study = dict(gene_map._facts()), gene_map.study
    share = study.model.explained_variance[0]
    assert facts["regions, genes"] == "30, 40"
    assert facts["null maps"] == "199 (moran)"
    assert facts["component 1"] == (
        f"{100 * share:.1f} % of the map, spatial P = {study.component_p[0]:.3g}"
    )
    assert "component 2" not in facts
    assert facts["genes with bootstrap q < 0.05"] == int((study.weights.q < 0.05).sum())
    assert facts["genes with spatial q < 0.05"] == int((study.genes.q < 0.05).sum())
    assert len(gene_map.positive) >= 3 and len(gene_map.negative) >= 3
    assert facts["genes in the lists"] == (
        f"{len(gene_map.positive)} positive, {len(gene_map.negative)} negative"
    )
    first = (*gene_map.positive[:3], *gene_map.negative[:3])
    assert facts["first in the lists"] == ", ".join(first)
    bare = replace(gene_map, positive=(), negative=())
    assert dict(bare._facts())["first in the lists"] == "none"


def test_a_map_of_genes_is_drawn_beside_its_null_maps(gene_map) -> None:
    (axis,) = gene_map.plot().axes
    heights = [patch.get_height() for patch in axis.patches]
    assert sum(heights) == 199 and len(heights) == 40
    edges = [patch.get_x() for patch in axis.patches]
    null = 100 * gene_map.study.comparisons[0].null_r2
    assert min(edges) == pytest.approx(null.min())
    (line,) = axis.lines
    share = 100 * gene_map.study.model.explained_variance[0]
    assert line.get_xdata() == pytest.approx([share, share])
    assert line.get_color() == ORANGE and axis.patches[0].get_facecolor() == to_rgba(GREY)
    assert axis.get_xlabel() == "variance explained by the first component, %"
    assert axis.get_ylabel() == "null maps"
    labels = [text.get_text() for text in axis.get_legend().get_texts()]
    assert set(labels) == {"null maps", f"map, P = {gene_map.study.comparisons[0].p:.3g}"}
    assert not axis.get_legend().get_frame_on()


def test_sets_are_drawn_from_the_smallest_p_downwards() -> None:
    names = [f"set {k:02d} {'x' * 60}" for k in range(12)]
    rng = np.random.default_rng(6)
    sets = {n: tuple(rng.choice(GENES, 6, replace=False)) for n in names}
    found = falx.enrich(GENES[:5], sets, GENES)
    figure = found.plot()
    (axis,) = figure.axes
    rows = found.table[:10]
    assert [t.get_text() for t in axis.get_yticklabels()] == [r.name[:50] for r in rows[::-1]]
    widths = [patch.get_width() for patch in axis.patches]
    assert widths == pytest.approx([-np.log10(r.q) for r in rows[::-1]])
    assert axis.patches[0].get_facecolor() == to_rgba(BLUE) and axis.get_xlabel() == "-log10 q"
    assert figure.get_size_inches() == pytest.approx([7.0, 0.8 + 0.3 * 10])
    facts = dict(found._facts())
    n_found = int((found.found.q < 0.05).sum())
    assert facts["sets tested, with q < 0.05"] == f"12, {n_found}"
    assert len(facts) == 2 + 5


def test_sizes_of_sets_are_filtered_where_asked() -> None:
    sets = {"four": GENES[:4], "five": GENES[:5], "ten": GENES[:10]}
    assert [r.name for r in falx.enrich(GENES[:3], sets, GENES).table] == ["five", "ten"]
    small = falx.enrich(GENES[:3], sets, GENES, smallest=4, largest=5)
    assert {r.name for r in small.table} == {"four", "five"}
    with pytest.raises(InputError, match="genes: a list of words is needed"):
        falx.enrich("G1", sets, GENES)
    with pytest.raises(InputError, match="universe: a list of words is needed"):
        falx.enrich(GENES[:3], sets, "G1")
    with pytest.raises(InputError, match="five: a list of words is needed"):
        falx.enrich(GENES[:3], {"five": "G1"}, GENES)


def test_notices_of_a_list_stay_with_its_result() -> None:
    found = falx.enrich([*GENES[:3], "X1"], {"s": GENES[:5]}, GENES)
    assert found.notices == (
        "the given sets: genes outside the tested ones do not count (found: 1).",
    )
    assert repr(found).split("\n")[-1].strip().startswith("notice")


def test_a_library_and_a_path_are_taken_as_they_are(tmp_path) -> None:
    path = tmp_path / "mine.gmt"
    path.write_text("s\t\t" + "\t".join(GENES[:5]) + "\n")
    for given_ in (path, str(path)):
        assert repr(falx.enrich(GENES[:3], given_, GENES)).startswith("Gene sets of mine")
    library = GeneSetLibrary("own", {"s": GENES[:5]}, Origin("x"))
    assert falx.enrich(GENES[:3], library, GENES).found.library == "own"
