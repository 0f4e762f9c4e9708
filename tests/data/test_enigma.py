"""The ENIGMA-Epilepsy example that ships."""

from __future__ import annotations

import pytest

from falx.core.errors import OptionError
from falx.data.enigma import SYNDROMES, enigma_regions, gwas_genes, load_enigma


def test_every_syndrome_has_82_regions():
    for syndrome in SYNDROMES:
        assert len(load_enigma(syndrome).cohens_d) == 82


@pytest.mark.parametrize(
    ("syndrome", "region", "d", "n"),
    [
        # Whelan 2018 as in notes/genes.md 2.5: the sclerotic hippocampus shrinks on its side.
        ("tlemtsl", "Lhippo", -1.728, (1412, 410)),
        ("tlemtsr", "Rhippo", -1.906, None),
        ("allepi", "Lhippo", -0.353, None),
        ("gge", "Lhippo", -0.319, None),
    ],
)
def test_anchors(syndrome, region, d, n):
    loaded = load_enigma(syndrome)
    row = loaded.names.index(region)
    assert loaded.cohens_d[row] == pytest.approx(d)
    if n:
        assert (loaded.n_controls[row], loaded.n_patients[row]) == n


def test_names_and_centroids_agree_about_the_side():
    for region in enigma_regions():
        assert (region.centroid_mm[0] < 0) == (region.side == "left") == (region.name[0] == "L")


def test_gwas_genes():
    assert len(gwas_genes()) == 21
    assert "SCN1A" in gwas_genes("allepilepsy")
    with pytest.raises(OptionError, match="unknown value for phenotype"):
        gwas_genes("absence")
