"""The ``abagen`` mode against abagen 0.1.3 on a synthetic download.

Origin of the numbers: tests/reference/abagen/README.md.
"""

from __future__ import annotations

import itertools
import json
import tarfile
from dataclasses import replace

import numpy as np
import pytest

from falx.atlas.atlas import Atlas, Region
from falx.atlas.files import load_atlas
from falx.atlas.label_table import LabelRow
from falx.core.errors import InputError
from falx.core.files import read_table
from falx.genes.ahba.abagen import AbagenOptions, abagen_expression
from falx.genes.ahba.files import find_ahba, read_coordinates, read_reannotation
from falx.images.nifti import Image
from genes.brainnetome_counts import check_counts

CASES = [f"{n:02d}" for n in range(1, 19)]
VOLUME = "data/atlas/BrainnetomeAtlas_BNA_MPM_thr25_1.25mm.nii.gz"
INTERPOLATED = "05"  # needs every voxel of the atlas


@pytest.fixture(scope="module")
def folder(reference):
    return reference / "abagen"


@pytest.fixture(scope="module")
def download(folder, tmp_path_factory):
    place = tmp_path_factory.mktemp("download")
    with tarfile.open(folder / "ahba_inputs.tar.xz") as archive:
        archive.extractall(place, filter="data")
    return find_ahba(place / "ahba")


@pytest.fixture(scope="module")
def tables(folder, download):
    return (
        read_reannotation(download.root / "reannotated_subset.csv"),
        read_coordinates(folder / "coordinates.csv.gz"),
    )


def both_sides(full):
    left = tuple(region for region in full.regions if region.side == "left")
    return {"full": full, "left": replace(full, regions=left)}


@pytest.fixture(scope="module")
def atlases(folder):
    """Regions with names, classes and centroids, in a volume that holds none of them."""
    regions = tuple(
        Region(int(r["label"]), r["name"], r["side"], r["structure"],
               tuple(float(r[f"{axis}_mm"]) for axis in "xyz"), 0.0, 0)
        for r in read_table(folder / "regions.csv").records()
    )  # fmt: skip
    empty = Image(np.zeros((2, 2, 2), dtype=np.int32), np.eye(4))
    return both_sides(Atlas("regions", empty, regions))


def rows_of(path):
    return read_table(path).records()


def options_of(case):
    stated = dict(case["all_options"])
    if stated.pop("exact") is False:
        stated["missing"] = "centroids"
    other = ("corrected_mni", "reannotated", "return_donors", "donors")
    kept = {k: v for k, v in stated.items() if k not in other}
    return AbagenOptions(**kept, use_atlas_info=case["atlas_info"])


def check_case(number, folder, download, tables, atlases):
    """Compare everything that abagen gave; a third of its genes is kept."""
    path = next(folder.glob(f"{number}_*.json"))
    case = json.loads(path.read_text())
    raw = not case["all_options"]["reannotated"]
    reannotation, coordinates = (None, None) if raw else tables
    ours = abagen_expression(
        download,
        atlases[case["atlas"]],
        reannotation=reannotation,
        coordinates=coordinates,
        options=options_of(case),
    )
    stem = path.stem
    assert list(ours.genes) == json.loads((folder / "genes.json").read_text())[stem]
    rows = rows_of(folder / f"{stem}.csv.gz")
    genes = [key for key in rows[0] if key not in {"label", "donor"}]
    columns = [ours.genes.index(gene) for gene in genes]
    position = {int(label): i for i, label in enumerate(ours.labels)}
    for row in rows:
        theirs = np.array([float(row[g] or "nan") for g in genes])
        where = position[int(row["label"])]
        mine = (
            ours.by_donor[ours.donors.index(row["donor"]), where]
            if "donor" in row
            else ours.values[where]
        )
        np.testing.assert_allclose(mine[columns], theirs, atol=1e-8)
    for row in rows_of(folder / f"{stem}_counts.csv.gz"):
        expected = [int(row[d]) for d in ours.donors]
        assert ours.counts[position[int(row["label"])]].tolist() == expected
    labels = rows_of(folder / f"{stem}_labels.csv.gz")
    for donor in ours.donors:
        theirs = [(r["well_id"], r["label"]) for r in labels if r["donor"] == donor]
        mine = zip(ours.samples[donor].well_id, ours.sample_labels[donor], strict=True)
        assert [(str(w), str(n)) for w, n in mine] == theirs
    if (folder / f"{stem}_probes.csv.gz").exists():
        for row in rows_of(folder / f"{stem}_probes.csv.gz"):
            chosen = ours.probes[tuple(row["donors"].split(";"))]
            assert chosen[row["gene_symbol"]] == int(row["probe_id"])


def place_by_label(folder, stem, monkeypatch):
    """Give samples the labels that abagen gave them."""
    given = rows_of(folder / f"{stem}_labels.csv.gz")

    def labels(samples, *_):
        mine = [row for row in given if row["donor"] == samples.donor]
        assert [int(row["well_id"]) for row in mine] == samples.well_id.tolist()
        return np.array([int(row["label"]) for row in mine], dtype=np.int32)

    monkeypatch.setattr("falx.genes.ahba.abagen._abagen_labels", labels)
    monkeypatch.setattr("falx.genes.ahba.abagen.labelled_voxels", lambda _: None)


@pytest.mark.parametrize("number", [case for case in CASES if case != INTERPOLATED])
def test_equal_to_abagen(number, folder, download, tables, atlases, monkeypatch):
    """With abagen's own labels of the samples, which need the atlas's volume."""
    place_by_label(folder, next(folder.glob(f"{number}_*.json")).stem, monkeypatch)
    check_case(number, folder, download, tables, atlases)


def test_samples_find_their_regions_on_the_volume(shared, folder, download, tables, atlases):
    """As abagen found them, filling regions without any, and by the counts of three rules."""
    rows = [LabelRow(r.label, r.name, r.side, r.structure) for r in atlases["full"].regions]
    full = load_atlas(shared / VOLUME, rows)
    sides = {"full": full, "left": full.select(full.labels[full.labels % 2 == 1].tolist())}
    for number in (INTERPOLATED, "10", "14"):
        check_case(number, folder, download, tables, sides)
    classes = {n: "cortex" if n <= 210 else "subcortex/brainstem" for n in range(1, 247)}
    check_counts(load_atlas(shared / VOLUME, [
        LabelRow(n, f"r{n}", "left" if n % 2 else "right", classes[n]) for n in classes
    ]), shared / "data/ahba")  # fmt: skip


def test_stability_needs_two_donors(download, atlases):
    with pytest.raises(InputError, match="at least two donors"):
        abagen_expression(download, atlases["left"], options=AbagenOptions(donors=("9861",)))


def test_every_loss_has_a_reason(folder, download, atlases, tables, monkeypatch):
    place_by_label(folder, "02_rnaseq_left", monkeypatch)
    ours = abagen_expression(
        download,
        atlases["left"],
        reannotation=tables[0],
        coordinates=tables[1],
        options=AbagenOptions(probe_selection="rnaseq"),
    )
    genes = [step for step in ours.ledger.steps if step.kind == "gene"]
    assert genes[-1].after == len(ours.genes)
    for before, after in itertools.pairwise(genes):
        assert before.after == after.before
    lost = {loss.name for loss in ours.ledger.losses if loss.kind == "gene"}
    assert len(lost) == genes[0].before - len(ours.genes)
    assert not lost & set(ours.genes)
    [why] = ours.ledger.why("EXT2")
    assert "gives no probe of the gene a score" in why.reason
    assert ours.ledger.tsv().count("\n") == 1 + len(ours.ledger.losses)
