"""A coarse phantom, made once."""

from __future__ import annotations

import numpy as np
import pytest

from falx.phantom.heads import Head, load_head, symmetric_head
from falx.phantom.patient import Patient, PatientSpec, simulate_patient


@pytest.fixture(scope="session")
def head() -> Head:
    """Shipped head, symmetric, 2.5 mm."""
    return symmetric_head(load_head("12"), voxel_mm=2.5)


@pytest.fixture(scope="session")
def spec() -> PatientSpec:
    return PatientSpec(label="07", side="right", depth=0.3, extent=0.8, voxel_mm=2.5, head="12")


@pytest.fixture(scope="session")
def patient(spec) -> Patient:
    return simulate_patient(spec, np.random.default_rng(5))
