"""How often each null map rejects when nothing is there.

Maps are drawn from a normal field with covariance exp(-d / range) on the centroids of the left
Brainnetome regions, independent of the expression (300 genes: eight smooth factors, range 25 mm,
and white noise of SD 0.7). A test at 5 % should reject 5 % of them.

``python benchmarks/genes_type_one.py 200 10 25`` prints the table; ``--step`` before the numbers
gives maps a step of one standard deviation from cortex to subcortex, either way, and genes one of
their own (standard deviation 1.5).
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from falx.atlas.files import load_atlas
from falx.core.errors import FalxNotice
from falx.core.multiplicity import monte_carlo_p
from falx.genes.association import gene_correlations
from falx.genes.nulls.gaussian import fit_field
from falx.genes.nulls.generate import Positions, distances, null_maps
from falx.genes.nulls.lost_smoothness import (
    covariance_after_moran,
    covariance_after_spins,
    restoring_matrix,
)
from falx.genes.nulls.moran import (
    block_means,
    inverse_distance_weights,
    moran_eigenvectors,
    moran_maps,
)
from falx.genes.nulls.spin import centroid_points, parcel_points, spin_assignments
from falx.genes.pls import explained_variance

CORTEX = 105


@dataclass(frozen=True)
class Rate:
    """Share of data sets where P < 0.05, for the component and for single genes."""

    null: str
    range_mm: float
    component: float
    genes: float


def left_brainnetome(shared: Path) -> Positions:
    """Centroids, blocks and sphere points of the 123 left regions."""
    import nibabel as nib
    from nilearn.datasets import load_fsaverage

    folder = shared / "data" / "atlas"
    atlas = load_atlas(
        folder / "BrainnetomeAtlas_BNA_MPM_thr25_1.25mm.nii.gz", folder / "BN_Atlas_246_LUT.txt"
    )
    atlas = atlas.select(list(range(1, 247, 2)))
    labels = nib.freesurfer.read_annot(folder / "lh.BN_Atlas.annot")[0]
    vertices = load_fsaverage("fsaverage5")["sphere"].parts["left"].coordinates
    sphere = np.full((len(atlas.regions), 3), np.nan)
    sphere[:CORTEX] = parcel_points(vertices, labels, atlas.labels[:CORTEX].tolist())
    blocks = ("cortex",) * CORTEX + ("subcortex",) * (len(atlas.regions) - CORTEX)
    return Positions(atlas.centroids_mm, blocks, ("left",) * len(blocks), sphere)


def _field(d: np.ndarray, range_mm: float) -> np.ndarray:
    return np.linalg.cholesky(np.exp(-d / range_mm) + 1e-9 * np.eye(len(d)))


def nulls_of(
    place: Positions, n_maps: int, rng: np.random.Generator
) -> dict[str, Callable[[np.ndarray, float], np.ndarray]]:
    """Name to a function from map and true range to its null maps."""
    d = distances(place.centroids_mm)

    def made(method: object) -> Callable[[np.ndarray, float], np.ndarray]:
        return lambda y, _: (
            null_maps(
                y,
                place,
                n_maps,
                rng,
                method=method,  # type: ignore[arg-type]
            ).maps
        )

    projected = centroid_points(place.centroids_mm, place.blocks, place.sides)
    deep = distances(place.centroids_mm[CORTEX:])
    means = block_means(place.blocks)
    basis = moran_eigenvectors(inverse_distance_weights(deep))
    fitted: dict[bytes, np.ndarray] = {}

    def fit(y: np.ndarray) -> np.ndarray:
        """Covariance fitted to a map, kept until the next map."""
        if y.tobytes() not in fitted:
            fitted.clear()
            factor = fit_field(y, d, place.blocks).factor
            fitted[y.tobytes()] = factor @ factor.T
        return fitted[y.tobytes()]

    def restored(
        maps: np.ndarray, y: np.ndarray, left_of: Callable[[np.ndarray], np.ndarray], restore: bool
    ) -> np.ndarray:
        """Restore as null_maps does, with the fit kept from null to null."""
        if not restore:
            return maps
        C = fit(y)
        level = means @ y
        left = np.zeros_like(C)
        left[:CORTEX, :CORTEX] = left_of(C[:CORTEX, :CORTEX])
        left[CORTEX:, CORTEX:] = covariance_after_moran(C[CORTEX:, CORTEX:], basis)
        return level + (maps - level) @ restoring_matrix(left, C)

    def spun(
        method: str, sphere: np.ndarray = place.sphere, *, restore: bool = True
    ) -> Callable[[np.ndarray, float], np.ndarray]:
        # The regions do not move between data sets, so their rotations are drawn once; the
        # rest is what null_maps does.
        turned = spin_assignments(
            sphere[:CORTEX],
            place.sides[:CORTEX],
            n_maps,
            rng,
            method=method,  # type: ignore
        )

        def run(y: np.ndarray, _: float) -> np.ndarray:
            maps = np.hstack([y[:CORTEX][turned], moran_maps(y[CORTEX:], deep, n_maps, rng)])
            return restored(maps, y, lambda C: covariance_after_spins(C, turned), restore)

        return run

    def gaussian(y: np.ndarray, _: float) -> np.ndarray:
        factor = np.linalg.cholesky(fit(y))
        return rng.standard_normal((n_maps, len(d))) @ factor.T

    near = distances(place.centroids_mm[:CORTEX])

    def by_block(*, restore: bool = True) -> Callable[[np.ndarray, float], np.ndarray]:
        if restore:
            return made({"cortex": "moran", "subcortex": "moran"})

        def run(y: np.ndarray, _: float) -> np.ndarray:
            cortex = moran_maps(y[:CORTEX], near, n_maps, rng)
            return np.hstack([cortex, moran_maps(y[CORTEX:], deep, n_maps, rng)])

        return run

    return {
        "oracle (true covariance)": lambda _, r: (
            rng.standard_normal((n_maps, len(d))) @ _field(d, r).T
        ),
        "random permutation": made("random"),
        "Moran, joint": made("moran"),
        "Moran, by block": by_block(),
        "variogram, joint": made("variogram"),
        "Gaussian, fitted": gaussian,
        "spin nearest + Moran": spun("nearest"),
        "spin Vasa + Moran": spun("vasa"),
        "spin Hungarian + Moran": spun("hungarian"),
        "spin nearest + Moran, from centroids": spun("nearest", projected),
        "Moran, by block, raw": by_block(restore=False),
        "spin nearest, as published": spun("nearest", restore=False),
        "spin Vasa, as published": spun("vasa", restore=False),
        "spin Hungarian, as published": spun("hungarian", restore=False),
    }


def study(
    place: Positions,
    *,
    n_sets: int = 400,
    n_maps: int = 300,
    n_genes: int = 300,
    ranges_mm: tuple[float, ...] = (10.0, 25.0, 40.0),
    only: tuple[str, ...] = (),
    step: bool = False,
    seed: int = 1,
) -> list[Rate]:
    """Run the simulation for every null and range."""
    warnings.simplefilter("ignore", FalxNotice)
    rng = np.random.default_rng(seed)
    d = distances(place.centroids_mm)
    factor = _field(d, 25.0)
    nulls = {k: v for k, v in nulls_of(place, n_maps, rng).items() if not only or k in only}
    rates = []
    for range_mm in ranges_mm:
        field = _field(d, range_mm)
        component = dict.fromkeys(nulls, 0)
        single = dict.fromkeys(nulls, 0.0)
        for done in range(1, n_sets + 1):
            shared = factor @ rng.standard_normal((len(d), 8))
            X = shared @ rng.standard_normal((8, n_genes)) / np.sqrt(8)
            X += 0.7 * rng.standard_normal(X.shape)
            y = field @ rng.standard_normal(len(d))
            if step:
                X[CORTEX:] += 1.5 * rng.standard_normal(n_genes)
                y[CORTEX:] += rng.choice([-1.0, 1.0])
            observed = explained_variance(X, y)[0, 0]
            for name, draw in nulls.items():
                maps = draw(y, range_mm)
                null = explained_variance(X, maps)[:, 0]
                component[name] += float(monte_carlo_p(observed, null, two_sided=False)) < 0.05
                single[name] += (gene_correlations(X, y, maps).p < 0.05).mean()
            if done % 20 == 0:
                shown = {name: round(100 * count / done, 1) for name, count in component.items()}
                print(f"{range_mm:g} mm, {done} data sets: {shown}", file=sys.stderr, flush=True)
        rates += [Rate(n, range_mm, component[n] / n_sets, single[n] / n_sets) for n in nulls]
    return rates


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "--step"]
    sets = int(words[0]) if words else 400
    ranges = [float(word) for word in words[1:]] or [10.0, 25.0, 40.0]
    place = left_brainnetome(Path(__file__).resolve().parents[2] / "shared")
    for range_mm in ranges:
        found = study(
            place, n_sets=sets, ranges_mm=(range_mm,), step="--step" in sys.argv,
            seed=int(range_mm),
        )  # fmt: skip
        for rate in found:
            print(
                f"{rate.null:28s} {rate.range_mm:3.0f} mm  component {rate.component:6.1%}"
                f"  genes {rate.genes:6.1%}",
                flush=True,
            )
