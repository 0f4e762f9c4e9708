"""Scenes that several tests of the planner share."""

from __future__ import annotations

import pytest

from falx.surgery.tracks.head_scene import scene_from_labels
from surgery.phantom import head_labels, head_signature, same_place


@pytest.fixture(scope="session")
def labels():
    return head_labels()


@pytest.fixture(scope="session")
def scene(labels):
    return scene_from_labels(labels, head_signature(labels), "left", same_place)
