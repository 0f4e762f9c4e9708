"""Two groups of maps from a notebook: the same t as by hand, and where the groups differ."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy
from hypothesis import given, settings
from hypothesis import strategies as st

import falx
from falx.core.errors import FalxError, GridError, InputError

QUICK = {"n_permutations": 1, "enhance": False}


@pytest.fixture(scope="module")
def phantom():
    return falx.phantom_groups(people=6)


@pytest.fixture(scope="module")
def found(phantom):
    return falx.group_map(phantom.images, phantom.groups, n_permutations=60, voxel_p=0.01)


def test_t_is_that_of_the_two_sample_test(phantom, found) -> None:
    stack = np.stack([image.data for image in phantom.images]).astype(float)
    own = scipy.stats.ttest_ind(stack[:6], stack[6:], axis=0).statistic
    inside = found.mask.data
    np.testing.assert_allclose(found.image.data[inside], own[inside], atol=1e-4)
    assert (found.image.data[~inside] == 0).all() and np.isnan(found.q.data[~inside]).all()
    assert found.contrast == "patients - controls"
    assert 5 <= found.found.fit.dof <= 10  # Welch


def test_the_largest_cluster_is_where_it_was_lowered(phantom, found) -> None:
    first = found.clusters[0]
    lowered = phantom.lowered
    middle = (
        lowered.affine[:3, :3] @ np.argwhere(lowered.data).mean(axis=0) + lowered.affine[:3, 3]
    )
    assert np.linalg.norm(np.array(first.peak_mm) - middle) < 25
    assert first.t < 0
    extent = found.found.clusters[0].cluster.extent
    assert first.volume_mm3 == pytest.approx(extent * 6.0**3)
    assert first.p_mass == found.found.clusters[0].p_mass <= 0.1


def test_a_turned_contrast_turns_every_t(phantom, found) -> None:
    turned = falx.group_map(
        phantom.images, phantom.groups, contrast=("controls", "patients"), **QUICK
    )
    np.testing.assert_allclose(turned.image.data, -found.image.data, atol=1e-5)
    assert turned.p is None and found.p is not None


@settings(max_examples=10)
@given(st.permutations(range(12)))
def test_the_order_of_people_does_not_matter(phantom, found, order) -> None:
    again = falx.group_map(
        [phantom.images[k] for k in order],
        [phantom.groups[k] for k in order],
        contrast=("patients", "controls"),
        **QUICK,
    )
    np.testing.assert_allclose(again.image.data, found.image.data, atol=1e-4)


def test_an_array_with_an_affine_is_the_same(phantom, found) -> None:
    stack = np.stack([image.data for image in phantom.images])
    affine = phantom.images[0].affine
    again = falx.group_map(stack, phantom.groups, affine=affine, mask=found.mask, **QUICK)
    np.testing.assert_array_equal(again.image.data, found.image.data)


def test_a_third_group_takes_no_part(phantom, found) -> None:
    images = [*phantom.images, phantom.images[0]]
    groups = [*phantom.groups, "others"]
    again = falx.group_map(images, groups, contrast=("patients", "controls"), **QUICK)
    np.testing.assert_array_equal(again.image.data, found.image.data)
    with pytest.raises(InputError, match="two groups can be compared .*others.*contrast="):
        falx.group_map(images, groups)


def test_a_covariate_is_held_constant(phantom) -> None:
    age = np.linspace(20, 60, 12)
    again = falx.group_map(phantom.images, phantom.groups, covariates={"age": age}, **QUICK)
    assert 4 <= again.found.fit.dof <= 9  # Welch
    with pytest.raises(InputError, match="age: a covariate has one number a person .*3 for 12"):
        falx.group_map(phantom.images, phantom.groups, covariates={"age": [1, 2, 3]}, **QUICK)


def test_it_prints_and_draws_itself(found) -> None:
    text = repr(found)
    assert text.startswith("patients - controls (6 patients, 6 controls)")
    assert "degrees of freedom" in text and "permuted mass" in text
    assert "<caption>patients - controls" in found._repr_html_()
    assert found.plot()._repr_png_().startswith(b"\x89PNG")
    nothing = replace(found, found=replace(found.found, clusters=()))
    assert nothing.plot().axes


def test_what_cannot_be_compared_is_refused(phantom) -> None:
    images, groups = list(phantom.images), list(phantom.groups)
    stack = np.stack([image.data for image in images])
    moved = falx.Image(images[0].data, images[0].affine @ np.diag([1, 1, 1.5, 1]))
    hole = falx.Image(np.full_like(images[0].data, np.nan), images[0].affine)
    for call, sentence in (
        (lambda: falx.group_map(stack, groups), "does not say where it lies .*|give affine="),
        (lambda: falx.group_map(images[0], groups), "several maps are needed"),
        (lambda: falx.group_map([], groups), "no map was given"),
        (lambda: falx.group_map(images[:-1], groups), "maps and groups differ in number"),
        (lambda: falx.group_map(images, "AB"), "a list of words is needed"),
        (lambda: falx.group_map(images, groups, affine=np.eye(4)), "the maps are one array"),
        (lambda: falx.group_map([hole, *images[1:]], groups), "no voxel is measured in everybody"),
        (lambda: falx.group_map(images, groups, permutations=9), "did you mean 'n_permutations'"),
        (lambda: falx.group_map(images, groups, contrast=("a", "b")), "two of the groups"),
        (lambda: falx.group_map(images, groups, contrast="ab"), "a list of words"),
    ):
        with pytest.raises(FalxError, match=sentence):
            call()
    with pytest.raises(GridError, match="map 1 and map 12 have the same shape"):
        falx.group_map([*images[:-1], moved], groups)
    mask = falx.Image(np.ones((25, 25, 25), bool), images[0].affine)
    with pytest.raises(InputError, match="not finite inside the mask"):
        falx.group_map([hole, *images[1:]], groups, mask=mask)
