"""Shipped tables beside their definitions, and what a download may not be."""

from __future__ import annotations

import hashlib
import math
import zipfile
from importlib import resources

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from falx.core.errors import GridError, InputError, OptionError
from falx.core.grid import Grid
from falx.data import fetch as fetching
from falx.data.asymmetry_norms import (
    LEVELS,
    RegionNorm,
    asymmetry_norms,
    healthy_field,
    healthy_sd,
)
from falx.data.enigma import (
    SYNDROMES,
    enigma_regions,
    gwas_genes,
    gwas_phenotypes,
    load_enigma,
)
from falx.data.fetch import Download, catalogue, fetch, groups, matches
from falx.data.labels import TISSUES, HeadLabels, head_labels, recode, swap_sides, t1_intensities
from falx.data.liu2024 import CONTRASTS, GROUP_SIZES, MEN, OVERLAPS, PEAKS
from falx.data.liu2024 import SYNDROMES as KINDS
from falx.data.mo2025 import load_patients, load_table1
from falx.data.priors import _crop, structure_grid, tissue_grid, write_tissues
from falx.images.nifti import load

few = settings(max_examples=15, deadline=None)
SEEDS = st.integers(0, 2**32 - 1)


# Downloads


def described(**changed: object) -> Download:
    plain = {"group": "g", "path": "a/b.bin", "n_bytes": 4, "checksum": "", "licence": "CC0",
             "url": "https://example.org/b", "note": ""}  # fmt: skip
    return Download(**{**plain, **changed})


@pytest.mark.parametrize(
    ("content", "changed", "whole"),
    [
        (b"falx", {}, True),
        (b"fal", {}, False),
        (b"falxx", {}, False),
        (b"any size", {"n_bytes": None}, True),
        (b"falx", {"checksum": "sha256:" + hashlib.sha256(b"falx").hexdigest()}, True),
        (b"fa1x", {"checksum": "sha256:" + hashlib.sha256(b"falx").hexdigest()}, False),
        (b"falx", {"checksum": "md5:" + hashlib.md5(b"falx", usedforsecurity=False).hexdigest()},
         True),
        (b"fa1x", {"checksum": "md5:" + hashlib.md5(b"falx", usedforsecurity=False).hexdigest()},
         False),
        (b"falx", {"checksum": "zip"}, False),
    ],
)  # fmt: skip
def test_a_file_is_whole_as_far_as_the_catalogue_can_tell(content, changed, whole, tmp_path):
    path = tmp_path / "f"
    assert not matches(path, described(**changed))
    path.write_bytes(content)
    assert matches(path, described(**changed)) is whole


def test_archives_are_read_through(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.csv", "1,2,3\n" * 100)
    good = path.read_bytes()
    one = described(n_bytes=None, checksum="zip")
    assert matches(path, one)
    path.write_bytes(good[:40] + b"?" + good[41:])
    assert not matches(path, one)
    path.write_bytes(good[:-5])
    assert not matches(path, one)


def test_a_file_that_is_there_is_not_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "_transfer", None)  # calling it would fail
    target = tmp_path / "a" / "b.bin"
    target.parent.mkdir()
    target.write_bytes(b"falx")
    found = fetch(described(), tmp_path)
    assert (found.path, found.fresh) == (target, False)
    assert found.sha256 == hashlib.sha256(b"falx").hexdigest()


def test_a_file_that_is_not_whole_goes_before_the_new_one_comes(tmp_path, monkeypatch):
    target = tmp_path / "a" / "b.bin"
    target.parent.mkdir()
    target.write_bytes(b"half of it")
    seen = []

    def transfer(download, path, progress, retries):
        seen.append((path.exists(), retries))
        path.write_bytes(b"new!")

    monkeypatch.setattr(fetching, "_transfer", transfer)
    assert fetch(described(), tmp_path).fresh
    assert (
        fetch(described(n_bytes=9), tmp_path, retries=0).sha256
        == hashlib.sha256(b"new!").hexdigest()
    )
    assert seen == [(False, fetching.RETRIES), (False, 0)]


@pytest.mark.parametrize(
    ("content", "changed", "told"),
    [
        (b"fal", {}, r"a/b.bin: the file has another size .*found: 3 bytes, not 4.; try again"),
        (b"falx", {"checksum": "zip"}, r"not what the catalogue describes .found: a damaged arch"),
    ],
)
def test_a_file_that_came_wrong_loses_its_name(content, changed, told, tmp_path):
    target = tmp_path / "b.bin"
    target.write_bytes(content)
    with pytest.raises(InputError, match=told):
        fetching._check(described(**changed), target)
    assert not target.exists()
    target.write_bytes(b"falx")
    fetching._check(described(), target)
    assert target.exists()


def test_progress_counts_pieces_towards_the_known_size():
    said = []
    bar = fetching._Bar(lambda done, total: said.append((done, total)), 10)
    bar.update(4)
    bar.update(3)
    bar.reset()
    bar.update(1)
    unknown = fetching._Bar(lambda done, total: said.append((done, total)), None)
    unknown.update(2)
    unknown.total = 50
    unknown.update(2)
    unknown.close()
    assert said == [(4, 10), (7, 10), (1, 10), (2, None), (4, 50)]


def test_groups_hold_their_files_in_order_and_names_are_suggested():
    known = catalogue()
    for name in dict.fromkeys(d.group for d in known):
        assert groups(name) == tuple(d for d in known if d.group == name)
    assert len({(d.group, d.path) for d in known}) == len(known)
    with pytest.raises(OptionError, match="did you mean 'ahba'"):
        groups("abha")


# Labels


def made_labels() -> HeadLabels:
    n = np.array([0, 3, 7])
    return HeadLabels(
        n, n + 1, ("air", "left a", "right a"), ("none", "left", "right"),
        np.array([0, 7, 3]), ("air", "GM", "GM"), np.array([0, 3, 7]), n * 0,
    )  # fmt: skip


def test_lookups_leave_what_is_no_label_at_minus_one():
    labels = made_labels()
    assert labels.table(labels.mirror).tolist() == [0, -1, -1, 7, -1, -1, -1, 3]
    assert labels.table(labels.mirror, stored=True).tolist() == [-1, 0, -1, -1, 7, -1, -1, -1, 3]
    assert labels.ids(tissue="GM") == [3, 7]
    assert labels.ids(tissue="GM", structure=7) == [7]
    assert labels.ids(structure=0, tissue="WM") == [] and labels.ids() == [0, 3, 7]
    assert labels.tissue_number.tolist() == [TISSUES.index(t) for t in labels.tissue]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([0, 8], r"head holds labels that the label table does not know .found: .8..; recode"),
        ([-1, 0], r"found: .-1."),
        ([0, 5, 1, 5], r"found: .1, 5."),
        ([*range(8, 30)], r"found: .8, 9, 10, 11, 12, 13, 14, 15, 16, 17..; recode"),
    ],
)
def test_labels_that_no_table_knows_are_named(values, told):
    labels = made_labels()
    with pytest.raises(InputError, match=told):
        recode(np.array(values), labels.table(labels.mirror), where="head")
    assert recode(np.array([7, 0, 3]), labels.table(labels.mirror)).tolist() == [3, 0, 7]
    assert recode(np.zeros((0, 2), int), labels.table(labels.mirror)).shape == (0, 2)


@few
@given(SEEDS)
def test_swapping_changes_the_side_and_nothing_else(seed):
    labels = head_labels()
    drawn = np.random.default_rng(seed).choice(labels.index, (3, 4, 2))
    swapped = swap_sides(drawn)
    row = {int(i): k for k, i in enumerate(labels.index)}
    for before, after in zip(drawn.ravel().tolist(), swapped.ravel().tolist(), strict=True):
        sides = labels.side[row[before]], labels.side[row[after]]
        assert sides in {("left", "right"), ("right", "left"), ("none", "none")}
        assert labels.tissue[row[before]] == labels.tissue[row[after]]
    assert (swap_sides(swapped) == drawn).all()


def test_intensities_have_a_row_for_every_class_that_labels_name():
    found = t1_intensities()
    columns = head_labels().t1_column
    assert len(found.name) == len(found.mean) == 25
    assert columns.min() == 0 and columns.max() == 24
    assert (found.mean > 0).all() and (found.within_sd > 0).all() and (found.mean_sd > 0).all()


# Healthy asymmetry


def norm(**changed: object) -> RegionNorm:
    plain = {"region": "r", "people": 99, "mean": 0.3, "sd": 0.4, "q025": -1.0, "q250": -0.2,
             "median": 0.1, "q750": 0.5, "q975": 1.0}  # fmt: skip
    return RegionNorm(**{**plain, **changed})


def test_percentiles_are_straight_lines_between_those_of_the_table():
    one = norm()
    assert one.quantiles == (-1.0, -0.2, 0.1, 0.5, 1.0)
    assert one.about_zero == pytest.approx(0.5)
    for value, level in zip(one.quantiles, LEVELS, strict=True):
        assert one.percentile(value) == pytest.approx(100 * level)
    assert one.percentile(-0.6) == pytest.approx(100 * (0.025 + 0.25) / 2)
    assert one.percentile(0.2) == pytest.approx(50 + 25 / 4)


@pytest.mark.parametrize("sds", [0.1, 0.5, 1.0])
def test_tails_are_joined_to_the_outer_percentiles(sds):
    one = norm(people=10**6)
    edge = stats.norm.isf(0.025)
    wanted = 100 * stats.norm.sf(edge + sds)
    assert one.percentile(-1.0 - sds * 0.4) == pytest.approx(wanted)
    assert one.percentile(1.0 + sds * 0.4) == pytest.approx(100 - wanted)


def test_no_more_is_claimed_than_the_people_allow():
    assert norm().percentile(-50) == pytest.approx(1.0)
    assert norm().percentile(50) == pytest.approx(99.0)
    assert norm(people=9).percentile(-50) == pytest.approx(10.0)


def test_a_structure_has_its_own_spread_and_the_rest_that_of_its_neighbours():
    grid = Grid((40, 12, 12), np.diag([3.0, 3, 3, 1.0]))
    labels = np.zeros(grid.shape, int)
    labels[:20], labels[20:] = 17, 10
    found = healthy_sd(labels, grid)
    known = asymmetry_norms()
    assert found[2, 6, 6] == pytest.approx(known["hippocampus"].about_zero / 0.7, rel=1e-4)
    assert found[-3, 6, 6] == pytest.approx(known["thalamus"].about_zero / 0.7, rel=1e-4)
    between = found[19:21, 6, 6].mean() * 0.7
    both = (known["hippocampus"].about_zero + known["thalamus"].about_zero) / 2
    assert between == pytest.approx(both, rel=0.02)
    cortical = [v.about_zero for k, v in known.items()
                if k not in {"hippocampus", "amygdala", "thalamus", "caudate", "putamen",
                             "cerebellar_cortex", "globus_pallidus", "ventral_diencephalon",
                             "mesial_temporal"}
                ]  # fmt: skip
    rms = math.sqrt(np.mean(np.square(cortical)))
    assert healthy_sd(0 * labels, grid) == pytest.approx(rms / 0.7)
    assert healthy_sd(0 * labels + 3, grid)[5, 5, 5] == pytest.approx(rms / 0.7)


@settings(max_examples=4, deadline=None)
@given(SEEDS, st.sampled_from([6.0, 15.0]))
def test_fields_have_the_spread_that_was_asked_for(seed, fwhm):
    grid = Grid(
        (60, 24, 24), np.array([[2.0, 0, 0, -59], [0, 2, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1]])
    )
    sd = np.full(grid.shape, 0.05, np.float32)
    field = healthy_field(sd, grid, np.random.default_rng(seed), fwhm_mm=fwhm)
    assert (field == -field[::-1]).all()
    assert field[:20].std() == pytest.approx(0.05, rel=0.25)
    double = healthy_field(2 * sd, grid, np.random.default_rng(seed), fwhm_mm=fwhm)
    assert double == pytest.approx(2 * field, abs=1e-7)


def test_fields_refuse_lopsided_grids_and_impossible_widths(rng):
    grid = Grid((6, 4, 4), np.eye(4))
    with pytest.raises(GridError, match="not symmetric about x = 0 mm"):
        healthy_field(np.ones(grid.shape), grid, rng)
    for fwhm in (0.5, 101.0):
        with pytest.raises(OptionError, match="fwhm_mm is out of range"):
            healthy_field(np.ones(grid.shape), grid, rng, fwhm_mm=fwhm)


# Published numbers


@pytest.mark.parametrize("syndrome", sorted(SYNDROMES))
def test_effect_sizes_stand_in_the_order_of_their_regions(syndrome):
    found = load_enigma(syndrome)
    assert found.names == tuple(r.name for r in enigma_regions())
    folder = resources.files("falx.data") / "enigma_epilepsy"
    for kind, block in (("CortThick", "cortex"), ("SubVol", "subcortex")):
        lines = (
            (folder / f"{syndrome}_case-controls_{kind}.csv").read_text("utf-8-sig").splitlines()
        )
        header = [cell.strip('"') for cell in lines[0].split(",")]
        name, d, n = (header.index(word) for word in ("Structure", "d_icv", "n_patients"))
        for line in lines[1:]:
            cells = [cell.strip('"') for cell in line.split(",")]
            if cells[name] in found.names:
                row = found.names.index(cells[name])
                assert found.cohens_d[row] == pytest.approx(float(cells[d]))
                assert found.n_patients[row] == int(cells[n])
                assert found.regions[row].block == block
    assert ((found.p >= 0) & (found.p <= 1)).all()


def test_regions_have_a_mirror_image_each():
    regions = {r.name: r for r in enigma_regions()}
    for name, one in regions.items():
        if not name.startswith("L"):
            continue
        other = regions["R" + name[1:]]
        assert (one.side, other.side, one.block) == ("left", "right", other.block)
        assert one.x_mm < 0 < other.x_mm
        apart = np.subtract(one.centroid_mm, np.multiply(other.centroid_mm, [-1, 1, 1]))
        assert np.linalg.norm(apart) < 8
    with pytest.raises(OptionError, match="did you mean 'allepi'"):
        load_enigma("alepi")


def test_genes_of_all_phenotypes_are_those_of_each():
    each = [gwas_genes(name) for name in gwas_phenotypes()]
    assert set(gwas_genes()) == set().union(*each)
    assert all(list(genes) == sorted(set(genes)) for genes in [gwas_genes(), *each])
    assert list(gwas_phenotypes()) == sorted(set(gwas_phenotypes()))
    with pytest.raises(OptionError, match="phenotype"):
        gwas_genes("no such thing")


def test_patients_have_every_column_and_sums_of_their_parts():
    found = load_patients()
    assert {len(column) for column in found.values.values()} == {30}
    assert len(set(found.labels)) == 30 and np.isfinite(list(found.values.values())).all()
    for what in ("mm3", "difference_mm3"):
        total = found[f"hippocampus_{what}"] + found[f"amygdala_{what}"]
        assert found[f"both_{what}"] == pytest.approx(total, rel=1e-6)
    for name in ("gm", "flair", "pet"):
        assert found[f"ai_{name}"] == pytest.approx(found[f"ai_{name}_full"], abs=1e-6)
    for name in ("seizure_free", "left_side", "seeg"):
        assert set(found[name]) == {0.0, 1.0}
    for name in ("rate_hippocampus", "rate_amygdala"):
        assert found[name].min() >= 0 and found[name].max() <= 1
    with pytest.raises(OptionError, match="did you mean 'rate_amygdala'"):
        found["rate_amigdala"]


def test_every_row_of_the_first_table_counts_all_patients():
    rows = load_table1()
    free = int(load_patients()["seizure_free"].sum())
    assert len(rows) == 15 == len({row.variable for row in rows})
    for row in rows:
        (nsf0, sf0), (nsf1, sf1) = row.counts
        assert (nsf0 + nsf1, sf0 + sf1) == (30 - free, free)
        assert 0 <= row.published_p <= 1 and row.level_0 != row.level_1


def test_what_liu_print_agrees_with_itself():
    assert {g: sum(n) for g, n in MEN.items()} == GROUP_SIZES
    assert tuple(np.sum(list(KINDS.values()), axis=0)) == (22, 25)
    for peak in PEAKS:
        assert peak.contrast in {c.groups for c in CONTRASTS if c.map == peak.map}
        (direction,) = {c.direction for c in CONTRASTS
                        if (c.map, c.groups) == (peak.map, peak.contrast)}  # fmt: skip
        assert np.sign(peak.t) == direction
        assert (peak.mm[0] < 0) == peak.region.endswith("_L")
    for found in OVERLAPS:
        assert len(found.shared) <= found.blood_term
        assert list(found.map_terms) == sorted(found.map_terms, reverse=True)


# Priors


def test_grids_of_priors_are_symmetric_and_cover_the_head():
    for grid, size in ((tissue_grid(), 1.5), (structure_grid(), 1.0)):
        assert grid.voxel_sizes_mm == pytest.approx(size)
        low = grid.affine[:3, 3]
        high = low + size * (np.array(grid.shape) - 1)
        assert low[0] == pytest.approx(-high[0])
    x_mm = structure_grid().affine[0, 3] + np.arange(structure_grid().shape[0])
    assert np.abs(x_mm).min() == pytest.approx(0.5)


@few
@given(SEEDS)
def test_a_box_holds_all_that_is_there_and_no_empty_border(seed):
    rng = np.random.default_rng(seed)
    data = (rng.random((5, 6, 7)) > 0.93).astype(np.uint8)
    data[2, 3, 4] = 9
    low, box = _crop(data)
    whole = np.zeros_like(data)
    whole[tuple(slice(a, a + n) for a, n in zip(low, box.shape, strict=True))] = box
    assert (whole == data).all()
    for axis in range(3):
        faces = np.take(box, [0, -1], axis=axis)
        assert all(np.take(faces, k, axis=axis).any() for k in (0, 1))


def test_tissues_are_written_in_eight_bits(tmp_path):
    grid = Grid((3, 2, 2), np.diag([1.5, 1.5, 1.5, 1]))
    priors = np.zeros((3, 2, 2, 6))
    priors[..., 0], priors[..., 1] = 0.25, 0.75
    write_tissues(priors, grid, tmp_path)
    (path,) = tmp_path.glob("*.nii.gz")
    found = load(path, ndim=4)
    assert found.data[0, 0, 0].tolist() == [64, 191, 0, 0, 0, 0]
    assert found.affine.tolist() == grid.affine.tolist()
