"""The label table of the heads."""

from __future__ import annotations

import numpy as np
import pytest

from falx.core.errors import InputError
from falx.data.labels import TISSUES, head_labels, recode, t1_intensities


def test_mirroring_twice_is_nothing():
    labels = head_labels()
    mirror = labels.table(labels.mirror)
    np.testing.assert_array_equal(mirror[mirror[labels.index]], labels.index)


def test_mirrored_labels_agree_in_everything_but_side():
    labels = head_labels()
    mirror = labels.table(labels.mirror)
    structure = labels.table(labels.structure)
    row = {int(i): n for n, i in enumerate(labels.index)}
    swap = {"left": "right", "right": "left", "none": "none"}
    for n, index in enumerate(labels.index):
        other = row[int(mirror[index])]
        assert labels.side[other] == swap[labels.side[n]]
        assert labels.tissue[other] == labels.tissue[n]
        assert labels.t1_column[other] == labels.t1_column[n]
        assert structure[mirror[index]] == (mirror[structure[index]] if structure[index] else 0)


def test_stored_labels_fit_eight_bits_and_are_unique():
    stored = head_labels().stored
    assert stored.max() <= 255
    assert len(set(stored.tolist())) == len(stored)


def test_every_tissue_is_known_and_every_label_has_an_intensity():
    labels = head_labels()
    assert set(labels.tissue) == set(TISSUES)
    assert set(labels.t1_column.tolist()) == set(range(len(t1_intensities().name)))


def test_white_matter_is_brighter_than_grey_and_csf_darkest():
    table = dict(zip(t1_intensities().name, t1_intensities().mean, strict=True))
    assert table["cerebral white matter"] > table["grey matter"] > table["cerebrospinal fluid"]


def test_the_tables_equal_the_publishers_arrays(reference):
    """Source: SynthSeg ``prior_means_t1.npy`` and ``prior_stds_t1.npy``, row 0 and row 1."""
    means = np.load(reference / "synthseg_heads/prior_means_t1.npy")
    sds = np.load(reference / "synthseg_heads/prior_stds_t1.npy")
    table = t1_intensities()
    np.testing.assert_allclose([table.mean, table.mean_sd], means, atol=0.006)
    np.testing.assert_allclose([table.within_sd, table.within_sd_sd], sds, atol=0.006)


def test_sides_equal_the_publishers_pairs(reference):
    pairs = np.load(reference / "synthseg_heads/generation_labels.npy")
    mirror = head_labels().table(head_labels().mirror)
    np.testing.assert_array_equal(mirror[pairs[18:36]], pairs[36:])


def test_an_unknown_label_is_named():
    labels = head_labels()
    with pytest.raises(InputError, match=r"does not know \(found: \[9\]"):
        recode(np.array([17, 9]), labels.table(labels.mirror))
    with pytest.raises(InputError, match="999"):
        recode(np.array([999]), labels.table(labels.mirror))
