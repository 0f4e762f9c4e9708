"""Numbers on real maps: ENIGMA-Epilepsy against the ENIGMA Toolbox expression table.

R2 and P are those of notes/genes.md section 5.4 (left Desikan regions, 1,645 genes).
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import hadamard

from falx.core.multiplicity import monte_carlo_p
from falx.data.enigma import load_enigma
from falx.genes.files import source_text
from falx.genes.nulls.generate import Positions, null_maps
from falx.genes.pls import explained_variance, fit_pls
from falx.genes.tables import read_expression

ANCHORS = {
    "allepi": (0.174273, 0.194772),
    "tlemtsl": (0.148264, 0.200740),
    "tlemtsr": (0.430917, 0.421654),
    "gge": (0.128858, 0.305054),
    "allotherepi": (0.253682, 0.259429),
}


@pytest.fixture(scope="module")
def expression(reference):
    """Tables of 64 columns with the products X X' of the 1,645 genes, by number of regions.

    The component knows X by X X' alone. A Hadamard matrix turns a root of it so that all columns
    have one length, as z-scored genes have.
    """
    found = {}
    for n in (34, 41):
        path = reference / f"enigma_expression/kernel_{n}.csv.gz"
        values, vectors = np.linalg.eigh(read_expression(source_text(path)).values)
        found[n] = (vectors * np.sqrt(np.maximum(values, 0))) @ hadamard(64)[:n]
    return found


def left(enigma, *, subcortex):
    return [
        i
        for i, r in enumerate(enigma.regions)
        if r.side == "left" and (subcortex or r.block == "cortex")
    ]


@pytest.mark.parametrize("syndrome", ANCHORS)
def test_explained_variance(expression, syndrome):
    enigma = load_enigma(syndrome)
    for expected, subcortex in zip(ANCHORS[syndrome], (False, True), strict=True):
        rows = left(enigma, subcortex=subcortex)
        assert len(rows) == (41 if subcortex else 34)
        model = fit_pls(expression[len(rows)], enigma.cohens_d[rows])
        assert model.explained_variance[0] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("syndrome", "method", "p"),
    [
        ("tlemtsr", "random", 0.0002),
        ("tlemtsr", "moran", 0.024),
        ("allotherepi", "random", 0.037),
        ("allotherepi", "moran", 0.152),
        ("tlemtsl", "random", 0.22),
        ("tlemtsl", "moran", 0.41),
    ],
)
@pytest.mark.filterwarnings("ignore:null maps. random permutation")
def test_null_p(expression, syndrome, method, p):
    """As published, with weights 1/d: the figures come from another implementation."""
    enigma = load_enigma(syndrome)
    rows = left(enigma, subcortex=False)
    place = Positions(
        np.array([enigma.regions[i].centroid_mm for i in rows]), ("cortex",) * len(rows)
    )
    y = enigma.cohens_d[rows]
    nulls = null_maps(y, place, 5000, np.random.default_rng(7), method=method, restore=False)
    null_r2 = explained_variance(expression[34], nulls.maps)[:, 0]
    ours = float(
        monte_carlo_p(explained_variance(expression[34], y)[0, 0], null_r2, two_sided=False)
    )
    # Both P values are Monte-Carlo estimates from 5000 maps.
    error = np.sqrt(2 * p * (1 - p) / 5000)
    assert ours == pytest.approx(p, abs=3 * error + 0.0005)
