"""Atrophy and ablation with exact truth."""

from __future__ import annotations

import pytest
from scipy import ndimage

from falx.core.errors import InputError
from falx.phantom.heads import mirror_head
from falx.phantom.lesion import ablate_hippocampus, atrophy
from falx.phantom.pet import mesial_region


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.25, 0.4])
def test_atrophy_takes_the_share_asked_for_and_leaves_fluid(head, fraction):
    less = atrophy(head, 17, fraction)
    before, after = head.mask(17).sum(), less.mask(17).sum()
    assert after == before - round(fraction * before)
    changed = less.labels != head.labels
    assert (less.labels[changed] == 24).all()
    assert (head.labels[changed] == 17).all()
    assert less.mask(53).sum() == before


def test_atrophy_starts_at_the_surface(head):
    less = atrophy(head, 17, 0.2)
    surface = head.mask(17) & ~ndimage.binary_erosion(head.mask(17))
    lost = head.mask(17) & ~less.mask(17)
    assert not (lost & ~surface).any()


def test_more_atrophy_contains_less(head):
    small, large = atrophy(head, 53, 0.1), atrophy(head, 53, 0.3)
    assert not (large.mask(53) & ~small.mask(53)).any()


def test_a_missing_structure_is_named(head):
    with pytest.raises(InputError, match=r"no such structure \(found: 99\)"):
        atrophy(head, 99, 0.1)


@pytest.mark.parametrize("rate", [0.25, 0.5, 0.8])
@pytest.mark.parametrize("side", ["left", "right"])
def test_the_ablation_takes_the_rate_asked_for(head, side, rate):
    signature = mesial_region(head, side)
    ablation = ablate_hippocampus(head, side, signature, rate)
    counted = (ablation.mask & signature).sum() / signature.sum()
    assert ablation.rate == counted
    assert counted == pytest.approx(rate, abs=0.02)
    assert 2 < ablation.radius_mm < 15
    assert not (ablation.mask & head.mask(16)).any()


def test_no_ablation_is_no_ablation(head):
    ablation = ablate_hippocampus(head, "left", mesial_region(head, "left"), 0.0)
    assert not ablation.mask.any()
    assert ablation.rate == 0


def test_the_rates_of_both_structures_add_up(head):
    signature = mesial_region(head, "left")
    a = ablate_hippocampus(head, "left", signature, 0.6)
    n_h, n_a = head.mask(17).sum(), head.mask(18).sum()
    joint = (a.rate_hippocampus * n_h + a.rate_amygdala * n_a) / (n_h + n_a)
    assert joint == pytest.approx(a.rate)


def test_the_mirrored_head_gets_the_mirrored_ablation(head):
    left = ablate_hippocampus(head, "left", mesial_region(head, "left"), 0.5)
    mirrored = mirror_head(head)
    right = ablate_hippocampus(mirrored, "right", mesial_region(mirrored, "right"), 0.5)
    assert (left.mask[::-1] ^ right.mask).sum() <= 2  # ties of the distance


def test_a_signature_elsewhere_is_refused(head):
    with pytest.raises(InputError, match="left: the signature does not reach"):
        ablate_hippocampus(head, "left", mesial_region(head, "right"), 0.5)
