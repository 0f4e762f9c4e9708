"""The ``abagen`` mode against abagen 0.1.3 on a synthetic download.

Origin of the numbers: reference/abagen/README.md.
"""

from __future__ import annotations

import csv
import gzip
import itertools
import json
import tarfile

import numpy as np
import pytest

from falx.atlas.files import load_atlas
from falx.atlas.label_table import LabelRow
from falx.core.errors import InputError
from falx.genes.ahba.abagen import AbagenOptions, abagen_expression
from falx.genes.ahba.files import find_ahba, read_coordinates, read_reannotation

# The cases left for the slow run repeat options that the others cover.
REPEATED = {3, 10, 11, 13, 15, 16, 17}
CASES = [
    pytest.param(f"{n:02d}", marks=pytest.mark.slow if n in REPEATED else ()) for n in range(1, 19)
]


@pytest.fixture(scope="module")
def reference(shared):
    return shared / "reference" / "abagen"


@pytest.fixture(scope="module")
def download(reference, tmp_path_factory):
    folder = tmp_path_factory.mktemp("download")
    with tarfile.open(reference / "ahba_inputs.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return find_ahba(folder / "ahba")


@pytest.fixture(scope="module")
def tables(reference):
    folder = reference.parents[1] / "data" / "ahba"
    return (
        read_reannotation(folder / "reannotated.csv.gz"),
        read_coordinates(folder / "corrected_mni_coordinates.csv.gz"),
    )


@pytest.fixture(scope="module")
def atlases(reference):
    volume = reference.parents[1] / "data/atlas/BrainnetomeAtlas_BNA_MPM_thr25_1.25mm.nii.gz"
    rows = [
        LabelRow(
            int(r["id"]), r["label"], {"L": "left", "R": "right"}[r["hemisphere"]], r["structure"]
        )
        for r in read_table(reference / "atlas_info_full.csv.gz")
    ]
    full = load_atlas(volume, rows)
    return {"full": full, "left": full.select(full.labels[full.labels % 2 == 1].tolist())}


def read_table(path):
    with gzip.open(path, "rt") as stream:
        return list(csv.DictReader(stream))


def options_of(case):
    stated = dict(case["all_options"])
    if stated.pop("exact") is False:
        stated["missing"] = "centroids"
    norms = {k: stated[k] or "none" for k in ("sample_norm", "gene_norm")}
    other = ("corrected_mni", "reannotated", "return_donors", "donors")
    kept = {k: v for k, v in stated.items() if k not in other}
    return AbagenOptions(**{**kept, **norms, "use_atlas_info": case["atlas_info"]})


@pytest.mark.parametrize("number", CASES)
def test_equal_to_abagen(number, reference, download, tables, atlases):
    path = next((reference / "results").glob(f"{number}_*.json"))
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
    name = str(path).removesuffix(".json")
    rows = read_table(f"{name}.csv.gz")
    genes = tuple(key for key in rows[0] if key not in {"label", "donor"})
    assert ours.genes == genes
    position = {int(label): i for i, label in enumerate(ours.labels)}
    for row in rows:
        theirs = np.array([float(row[g] or "nan") for g in genes])
        where = position[int(row["label"])]
        mine = (
            ours.by_donor[ours.donors.index(row["donor"]), where]
            if "donor" in row
            else ours.values[where]
        )
        np.testing.assert_allclose(mine, theirs, atol=1e-8)
    for row in read_table(f"{name}_counts.csv.gz"):
        expected = [int(row[d]) for d in ours.donors]
        assert ours.counts[position[int(row["label"])]].tolist() == expected
    labels = read_table(f"{name}_labels.csv.gz")
    for donor in ours.donors:
        mine = [(r["well_id"], r["label"]) for r in labels if r["donor"] == donor]
        wells = ours.samples[donor].well_id
        assert [
            (str(w), str(n)) for w, n in zip(wells, ours.sample_labels[donor], strict=True)
        ] == mine
    if (reference / "results" / f"{path.stem}_probes.csv.gz").exists():
        for row in read_table(f"{name}_probes.csv.gz"):
            chosen = ours.probes[tuple(row["donors"].split(";"))]
            assert chosen[row["gene_symbol"]] == int(row["probe_id"])


def test_stability_needs_two_donors(download, atlases):
    with pytest.raises(InputError, match="at least two donors"):
        abagen_expression(download, atlases["left"], options=AbagenOptions(donors=("9861",)))


def test_every_loss_has_a_reason(download, atlases, tables):
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
