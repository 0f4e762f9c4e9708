"""What holds for every sample, probe and region on the way to an expression matrix."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from falx.atlas.atlas import make_atlas
from falx.atlas.label_table import LabelRow
from falx.core.errors import InputError, OptionError
from falx.core.tables import parse_table
from falx.genes.ahba.files import Ontology, Reannotation
from falx.genes.ahba.losses import Ledger
from falx.genes.ahba.matching import labelled_voxels, match_nearest, match_stepwise
from falx.genes.ahba.probes import annotate
from falx.genes.ahba.regions import DonorSamples, aggregate, fill_missing, region_values
from falx.genes.ahba.samples import (
    Samples,
    mirror_samples,
    read_samples,
    side_agrees,
    structure_class,
    unlike_samples,
)
from falx.genes.ahba.selection import SELECTIONS, Microarray, choose_probes, differential_stability
from falx.images.nifti import Image

few = settings(max_examples=15, deadline=None)
SEEDS = st.integers(0, 2**32 - 1)
ONTOLOGY = Ontology(
    {1: "L", 2: "R", 3: "", 4: "L"},
    {1: (4005, 4008, 1), 2: (4005, 4008, 2), 3: (4005, 9352, 3), 4: (4005, 4008, 4249, 4)},
    {1: 2, 2: 1},
)


def drawn_samples(rng, n=20, donor="9861"):
    structure = rng.integers(1, 5, n)
    mm = rng.uniform(-60, 60, (n, 3)).round(1)
    mm[structure == 3, 0] = 0.0
    names = tuple(f"name {s}" for s in structure)
    return Samples(donor, np.arange(n), np.arange(100, 100 + n), structure, ("CX",) * n, names, mm)


def boxes():
    """Two boxes of 3 × 3 × 3 voxels of 2 mm on either side, and their atlas."""
    labels = np.zeros((9, 5, 5), dtype=np.int32)
    labels[0:3, 1:4, 1:4], labels[6:9, 1:4, 1:4] = 1, 2
    affine = np.diag([2.0, 2, 2, 1])
    affine[:3, 3] = [-8, -4, -4]
    rows = (LabelRow(1, "a_L", "left", "cortex"), LabelRow(2, "a_R", "right", "cortex"))
    return make_atlas(Image(labels, affine), rows)


@few
@given(SEEDS)
def test_mirrored_samples_keep_expression_and_change_side(seed):
    samples = drawn_samples(np.random.default_rng(seed))
    both = mirror_samples(samples, ONTOLOGY, "bidirectional")
    moved = samples.mni_mm[:, 0] != 0
    assert len(both) == len(samples) + moved.sum()
    copies = both.take(np.arange(len(samples), len(both)))
    assert sorted(copies.column) == sorted(samples.column[moved])
    for i in range(len(copies)):
        original = int(copies.column[i])
        assert copies.mni_mm[i] == pytest.approx(samples.mni_mm[original] * [-1, 1, 1])
        here = int(samples.structure_id[original])
        assert copies.structure_id[i] == ONTOLOGY.mirrored.get(here, here)
    one, other = (mirror_samples(samples, ONTOLOGY, how) for how in ("leftright", "rightleft"))
    assert len(one) + len(other) == len(both) + len(samples)
    assert (one.mni_mm[len(samples) :, 0] > 0).all()
    assert (other.mni_mm[len(samples) :, 0] < 0).all()
    with pytest.raises(OptionError, match="unknown value for lr_mirror"):
        mirror_samples(samples, ONTOLOGY, "both")


@few
@given(SEEDS)
def test_sides_agree_where_sign_and_hemisphere_do(seed):
    samples = drawn_samples(np.random.default_rng(seed))
    x = samples.mni_mm[:, 0]
    wanted = {1: x < 0, 4: x < 0, 2: x > 0, 3: x == 0}
    agrees = side_agrees(samples, ONTOLOGY)
    for i, structure in enumerate(samples.structure_id.tolist()):
        assert agrees[i] == wanted[structure][i]
    classes = {1: "cortex", 2: "cortex", 3: "other", 4: "subcortex/brainstem"}
    assert structure_class(samples, ONTOLOGY) == tuple(
        classes[s] for s in samples.structure_id.tolist()
    )


@few
@given(SEEDS)
def test_the_sample_that_is_unlike_the_others_is_found(seed):
    rng = np.random.default_rng(seed)
    profile = rng.standard_normal(40)
    table = profile[:, None] + 0.3 * rng.standard_normal((40, 15))
    table[:, 4] = -profile
    assert np.flatnonzero(unlike_samples(table, 2.0)).tolist() == [4]
    order = rng.permutation(15)
    assert unlike_samples(table[:, order], 2.0).tolist() == (order == 4).tolist()


@few
@given(SEEDS)
def test_annotation_tables_become_samples(seed):
    rng = np.random.default_rng(seed)
    mm = rng.uniform(-60, 60, (4, 3)).round(1)
    lines = ["structure_id,well_id,slab_type,structure_name,mni_x,mni_y,mni_z"]
    lines += [f'{i},{70 + i},CX,"gyrus, left",{x},{y},{z}' for i, (x, y, z) in enumerate(mm)]
    table = parse_table("\n".join(lines), where="SampleAnnot.csv")
    read = read_samples("9861", table)
    assert read.mni_mm == pytest.approx(mm)
    assert read.name == ("gyrus, left",) * 4
    places = {70 + i: tuple(-point) for i, point in enumerate(mm)}
    assert read_samples("9861", table, places).mni_mm == pytest.approx(-mm)
    del places[71]
    with pytest.raises(InputError, match=r"no corrected coordinate.*1, first well 71"):
        read_samples("9861", table, places)


@few
@given(SEEDS)
def test_probes_come_in_order_with_the_gene_they_have_now(seed):
    rng = np.random.default_rng(seed)
    ids = rng.permutation(8) + 100
    rows = [f"{i},P{i},G{i},{'' if i % 3 == 0 else i}" for i in ids]
    table = parse_table("\n".join(["probe_id,probe_name,gene_symbol,entrez_id", *rows]), where="P")
    ledger = Ledger()
    own = annotate(table, None, ledger)
    assert own.ids.tolist() == [i for i in range(100, 108) if i % 3]
    assert own.symbols.tolist() == [f"G{i}" for i in own.ids]
    assert own.entrez.tolist() == own.ids.tolist()
    new = Reannotation(("P101", "P104"), ("X", "Y"), np.array([7, 8]), 0)
    other = annotate(table, new, ledger)
    assert (other.ids.tolist(), other.symbols.tolist()) == ([101, 104], ["X", "Y"])
    assert [(s.before, s.after) for s in ledger.steps] == [(8, len(own)), (8, 2)]
    assert ledger.why("100")[-1].reason == "the re-annotation gives the probe no gene"
    with pytest.raises(InputError, match="no probe has a gene"):
        annotate(table, Reannotation(("Q",), ("X",), np.array([7]), 0), ledger)


@few
@given(
    SEEDS,
    st.sampled_from([m for m in SELECTIONS if m not in {"average", "rnaseq", "diff_stability"}]),
)
def test_every_gene_gets_one_of_its_own_probes_whatever_the_order(seed, method):
    rng = np.random.default_rng(seed)
    genes = np.sort(rng.integers(0, 4, 12)).astype(np.intp)
    donors = [Microarray(rng.standard_normal((12, 20)), drawn_samples(rng, donor=d)) for d in "ab"]
    rows = choose_probes(method, donors, genes)
    assert genes[rows].tolist() == sorted(set(genes.tolist()))
    order = rng.permutation(12)
    turned = [Microarray(d.expression[order], d.samples) for d in donors]
    again = choose_probes(method, turned, genes[order])
    assert order[again].tolist() == rows.tolist()
    if method == "max_variance":
        spread = np.concatenate([d.expression for d in donors], axis=1).std(axis=1)
        assert all(spread[r] == spread[genes == genes[r]].max() for r in rows)


@few
@given(SEEDS)
def test_stability_is_the_mean_rank_correlation_of_structures(seed):
    rng = np.random.default_rng(seed)
    donors = []
    for name in "abc":
        samples = drawn_samples(rng, donor=name)
        donors.append(Microarray(rng.standard_normal((3, 20)), samples))
    r = []
    for i, a in enumerate(donors):
        for b in donors[i + 1 :]:
            shared = sorted(
                {*a.samples.structure_id.tolist()} & {*b.samples.structure_id.tolist()}
            )
            means = [
                [d.expression[1, d.samples.structure_id == s].mean() for s in shared]
                for d in (a, b)
            ]
            r.append(stats.spearmanr(*means)[0])
    assert differential_stability(donors)[1] == pytest.approx(np.mean(r))
    with pytest.raises(InputError, match="needs at least two donors"):
        differential_stability(donors[:1])


def drawn_donor(rng, name, n=12):
    labels = rng.integers(0, 4, n).astype(np.int32)
    return DonorSamples(
        name, rng.standard_normal((5, n)), labels, rng.uniform(-9, 9, (n, 3)), None
    )


@few
@given(SEEDS, st.sampled_from(["mean", "median"]))
def test_regions_hold_their_own_samples(seed, metric):
    rng = np.random.default_rng(seed)
    donors = [drawn_donor(rng, name) for name in "ab"]
    labels = np.array([1, 2, 3, 9], dtype=np.int32)
    combine = {"mean": np.mean, "median": np.median}[metric]
    for donor in donors:
        values = region_values(donor, labels, metric)
        for row, label in enumerate(labels):
            inside = donor.expression[:, donor.labels == label]
            expected = combine(inside, axis=1) if inside.size else np.full(5, np.nan)
            np.testing.assert_allclose(values[row], expected)
    pooled = aggregate(donors, labels, over="samples", metric=metric)
    all_labels = np.concatenate([d.labels for d in donors])
    everything = np.concatenate([d.expression for d in donors], axis=1)
    for row in (0, 1, 2):
        inside = everything[:, all_labels == labels[row]]
        if inside.size:
            assert pooled[row] == pytest.approx(combine(inside, axis=1))
    apart = aggregate(donors, labels, over="donors", metric=metric)
    assert np.isnan(apart[3]).all()
    first, second = (region_values(d, labels, metric) for d in donors)
    for row in (0, 1, 2):
        present = [v[row] for v in (first, second) if np.isfinite(v[row]).all()]
        if present:
            assert apart[row] == pytest.approx(combine(present, axis=0))


@few
@given(SEEDS)
def test_a_region_without_samples_takes_the_nearest_of_its_kind(seed):
    rng = np.random.default_rng(seed)
    atlas = boxes()
    donor = drawn_donor(rng, "a")
    region = atlas.regions[0]
    found = fill_missing(donor, region, atlas, labelled_voxels(atlas), "centroids")
    away = np.linalg.norm(donor.points_mm - np.array(region.centroid_mm), axis=1)
    assert found.distance_mm == pytest.approx(away.min())
    assert found.values == pytest.approx(donor.expression[:, away.argmin()])
    kinds = (("right", "cortex"),) * 12
    other = DonorSamples("a", donor.expression, donor.labels, donor.points_mm, kinds)
    voxels = labelled_voxels(atlas)
    assert fill_missing(other, region, atlas, voxels, "centroids") is None
    assert fill_missing(other, region, atlas, voxels, "interpolate") is None
    whole = fill_missing(donor, region, atlas, voxels, "interpolate")
    low, high = donor.expression.min(axis=1), donor.expression.max(axis=1)
    assert ((whole.values >= low - 1e-12) & (whole.values <= high + 1e-12)).all()
    with pytest.raises(OptionError, match="unknown value for missing"):
        fill_missing(donor, region, atlas, voxels, "guess")


@few
@given(SEEDS, st.floats(0.5, 6))
def test_nearest_labels_are_within_reach(seed, within_mm):
    points = np.random.default_rng(seed).uniform(-12, 12, (30, 3))
    atlas = boxes()
    voxels = labelled_voxels(atlas)
    labels = match_nearest(points, voxels, within_mm=within_mm)
    apart = np.linalg.norm(points[:, None] - voxels.points_mm[None], axis=2)
    assert ((labels > 0) == (apart.min(axis=1) <= within_mm)).all()
    hit = labels > 0
    assert (labels[hit] == voxels.labels[apart.argmin(axis=1)][hit]).all()
    assert (points[labels == 1][:, 0] < 0).all()
    wider = match_nearest(points, voxels, within_mm=within_mm + 2)
    assert (wider[hit] == labels[hit]).all()


@few
@given(SEEDS)
def test_growing_balls_never_let_go(seed):
    points = np.random.default_rng(seed).uniform(-12, 12, (30, 3))
    atlas = boxes()
    voxels = labelled_voxels(atlas)
    before = np.zeros(30, dtype=np.int32)
    for tolerance in range(4):
        labels = match_stepwise(points, atlas, voxels, tolerance_mm=tolerance)
        assert (labels[before > 0] == before[before > 0]).all()
        before = labels
    wrong_side = match_stepwise(points, atlas, voxels, kinds=[("left", "cortex")] * 30)
    assert set(wrong_side.tolist()) <= {0, 1}
    other_class = match_stepwise(points, atlas, voxels, kinds=[("left", "cerebellum")] * 30)
    assert not other_class.any()
