"""Counts of Allen samples in the regions of Brainnetome by three rules of matching.

Origin of the numbers: docs/methods/genes.md. The volume may not be passed on: tests that have it
call :func:`check_counts`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from falx.genes.ahba.files import read_coordinates, read_reannotation
from falx.genes.ahba.matching import labelled_voxels, match_by_class, match_nearest, match_stepwise

ORDER = ("2001", "2002", "1009", "1012", "1015", "1016")


def read_tissue(folder):
    coordinates = read_coordinates(folder / "corrected_mni_coordinates.csv.gz")
    tables = [pd.read_csv(folder / f"H0351.{d}_SampleAnnot.csv") for d in ORDER]
    assert [len(t) for t in tables] == [946, 893, 363, 529, 470, 501]
    table = pd.concat(tables, keys=ORDER, names=["donor"]).reset_index("donor")
    table["corrected"] = [coordinates[w] for w in table["well_id"]]
    assert table["slab_type"].value_counts().to_dict() == {"CX": 2748, "BS": 586, "CB": 368}
    return table


def points(table, *, corrected=True):
    if corrected:
        return np.array(table["corrected"].tolist())
    return table[["mni_x", "mni_y", "mni_z"]].to_numpy()


def left_right(labels):
    left, right = labels[labels % 2 == 1], labels[(labels > 0) & (labels % 2 == 0)]
    return len(left), len(set(left.tolist())), len(right), len(set(right.tolist()))


def check_counts(brainnetome, ahba):
    """Compare the counts on the volume, of the samples in the folder `ahba`."""
    table = read_reannotation(ahba / "reannotated.csv.gz")
    assert (len(table.probe_name), table.dropped) == (45821, 71)
    assert len(set(table.entrez.tolist())) == len(set(table.symbol)) == 20232
    tissue = read_tissue(ahba)
    check_nearest_rule(brainnetome, tissue)
    check_published_rule(brainnetome, tissue)
    check_stepwise_rule(brainnetome, tissue)


def check_nearest_rule(brainnetome, tissue):
    voxels = labelled_voxels(brainnetome)
    for within_mm, corrected, expected in (
        (0.7, True, (1155, 123, 409, 104)),
        (1.0, True, (1697, 123, 591, 112)),
        (2.0, True, (1881, 123, 660, 114)),
        (3.0, True, (1970, 123, 688, 115)),
        (2.0, False, (1819, 123, 664, 114)),
    ):
        labels = match_nearest(points(tissue, corrected=corrected), voxels, within_mm=within_mm)
        assert left_right(labels) == expected
    counts = np.bincount(match_nearest(points(tissue), voxels), minlength=247)[1::2]
    assert (counts < 5).sum() == 5
    assert counts.min() == 3


def check_published_rule(brainnetome, tissue):
    kept = tissue[tissue["slab_type"] == "CX"]
    for within_mm, expected in ((2.5, (1832, 123, 641, 114)), (2.0, (1782, 123, 624, 114))):
        labels = match_by_class(
            points(kept), kept["structure_name"].tolist(), brainnetome, within_mm=within_mm
        )
        assert left_right(labels) == expected
    left = (labels % 2 == 1) & (labels > 0)
    assert (left & (labels <= 210)).sum() == 1270
    per_donor = [(left & (kept["donor"] == d).to_numpy()).sum() for d in ORDER]
    assert per_donor == [325, 257, 239, 339, 300, 322]


def check_stepwise_rule(brainnetome, tissue):
    mm = points(tissue)
    left = tissue["structure_name"].str.contains("left").to_numpy()
    right = tissue["structure_name"].str.contains("right").to_numpy()
    agrees = (
        (left & (mm[:, 0] < 0)) | (right & (mm[:, 0] > 0)) | (~left & ~right & (mm[:, 0] == 0))
    )
    assert agrees.sum() == 3466
    voxels = labelled_voxels(brainnetome)
    for tolerance, expected in ((1, (1625, 122, 526, 113)), (2, (1875, 123, 640, 114))):
        labels = match_stepwise(mm[agrees], brainnetome, voxels, tolerance_mm=tolerance)
        assert left_right(labels) == expected
    donors = tissue["donor"].to_numpy()[agrees]
    per_donor = [((labels % 2 == 1) & (donors == d)).sum() for d in ORDER]
    assert per_donor == [329, 268, 259, 367, 310, 342]
