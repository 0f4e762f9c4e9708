"""How often effects as small as real ones are found on maps, beside nilearn and `tfce`.

    python -m benchmarks.map_power [--datasets 100] [--permutations 99] [--g 0 0.5 0.8 1]

Two groups of 25 maps: smooth noise of SD 1 and FWHM 2.7 voxels in 16³ voxels, with g added to the
second group within 3 voxels of a point (123 voxels); age as a covariate. A data set counts as
found if anything that passes a familywise 5 % touches the planted ball; with g = 0 anything that
passes counts, and the share is the error. All programs get the same data and number of
permutations.
Intervals are 95 % (Clopper and Pearson 1934). The true-discovery bound is the mean share of the
ball that is bounded as differing.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage, stats

from falx.maps.design import two_sample_design
from falx.maps.group_maps import compare
from falx.maps.settings import InferenceOptions

SHAPE, SIGMA = (16, 16, 16), 2.7 / np.sqrt(8 * np.log(2))
GROUPS = ["a"] * 25 + ["b"] * 25
VOXEL_P, ALPHA, CONNECTIVITY = 0.001, 0.05, 26
BALL = np.linalg.norm(np.indices(SHAPE).T - 8.0, axis=-1).T.ravel() <= 3.0

Floats = npt.NDArray[np.float64]
Found = dict[str, bool]


@dataclass
class Tally:
    """Data sets of one g in which each test found something, and the bounds."""

    found: dict[str, list[bool]]
    bounds: dict[str, list[float]]

    def add(self, found: Found) -> None:
        """Count one data set."""
        for name, hit in found.items():
            self.found.setdefault(name, []).append(hit)

    def lines(self, g: float) -> Iterator[str]:
        """Yield a line a test."""
        for name, hits in self.found.items():
            interval = stats.binomtest(sum(hits), len(hits)).proportion_ci(method="exact")
            bound = ""
            if name in self.bounds:
                bound = f"   bounded as true: {100 * np.mean(self.bounds[name]):.0f} % of the ball"
            yield (
                f"g = {g:<4} {name:<42} {np.mean(hits):.2f} "
                f"({interval.low:.2f} to {interval.high:.2f}){bound}"
            )


def dataset(g: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Simulate maps, shape (50, V), and age, shape (50,)."""
    noise = rng.normal(size=(len(GROUPS), *SHAPE))
    smooth = ndimage.gaussian_filter(noise, (0, SIGMA, SIGMA, SIGMA), mode="wrap")
    data = (smooth / smooth.std()).reshape(len(GROUPS), -1)
    data[25:, BALL] += g
    return data, rng.uniform(20, 60, len(GROUPS))


def touched(passing: npt.NDArray[np.bool_], g: float) -> bool:
    """Whether voxels that pass, shape (V,), count."""
    return bool(passing[BALL].any() if g else passing.any())


def of_falx(data: Floats, age: Floats, g: float, seed: int, n: int, tally: Tally) -> Found:
    """Every correction of Falx, with a variance a group (signs) and with one for all."""
    found = {}
    design = two_sample_design(GROUPS, "b", "a", {"age": age})
    for variance in ("groups", "equal"):
        options = InferenceOptions(n_permutations=n + 1, voxel_p=VOXEL_P, variance=variance)
        rng, mask = np.random.default_rng(seed), np.ones(SHAPE, bool)
        result = compare(
            data.astype(np.float32), mask, design, np.array([1.0, 0, 0]), rng,
            options=options, groups=GROUPS,
        )  # fmt: skip
        name = f"Falx, {variance}"
        found[f"{name}: TFCE"] = touched(result.p_tfce <= ALPHA, g)
        for by in ("extent", "mass"):
            passing = np.zeros(data.shape[1], bool)
            for one in result.clusters:
                passing[one.cluster.rows] |= getattr(one, f"p_{by}") <= ALPHA
            found[f"{name}: cluster {by}"] = touched(passing, g)
        found[f"{name}: largest |t|"] = touched(result.p_voxel <= ALPHA, g)
        share = (result.at_least(np.flatnonzero(BALL)) or 0) / BALL.sum()
        tally.bounds.setdefault(f"{name}: largest |t|", []).append(share)
    return found


def of_nilearn(data: Floats, age: Floats, g: float, seed: int, n: int) -> Found:
    """Largest |t|, extent, mass and TFCE of nilearn's permuted_ols."""
    import nibabel as nib
    from nilearn.maskers import NiftiMasker
    from nilearn.mass_univariate import permuted_ols

    masker = NiftiMasker(nib.Nifti1Image(np.ones(SHAPE, np.int8), np.eye(4)), verbose=0).fit()
    tested = np.array([float(name == "b") for name in GROUPS])
    out = permuted_ols(
        tested[:, None], data, confounding_vars=age[:, None], n_perm=n, two_sided_test=True,
        random_state=seed, n_jobs=1, masker=masker, threshold=VOXEL_P, output_type="dict",
        tfce=True, verbose=0,
    )  # fmt: skip
    least = -np.log10(ALPHA) - 1e-9
    found = {"nilearn: largest |t|": touched(out["logp_max_t"][0] >= least, g)}
    for by in ("size", "mass"):
        passing = np.ravel(out[f"logp_max_{by}"]) >= least
        found[f"nilearn: cluster {by}"] = touched(passing, g)
    found["nilearn: TFCE"] = touched(np.ravel(out["logp_max_tfce"]) >= least, g)
    return found


def of_tfce(data: Floats, age: Floats, g: float, seed: int, n: int) -> Found:
    """TFCE of the `tfce` package, permuted by its own model."""
    from tfce import tfce
    from tfce.glm import PermutedGLM

    tested = np.array([float(name == "b") for name in GROUPS])
    design = np.column_stack([tested, np.ones(len(tested)), age - age.mean()])
    confounds = design[:, 1:]
    # Freedman and Lane: residuals of the nuisance model are permuted.
    residuals = data.T - data.T @ np.linalg.pinv(confounds).T @ confounds.T
    model = PermutedGLM(residuals, design, np.array([1.0, 0, 0]))
    rng = np.random.default_rng(seed)

    def enhanced(order: npt.NDArray[np.int64] | None) -> Floats:
        t = model.fit(order).reshape(SHAPE)
        return np.abs(tfce(t, connectivity=CONNECTIVITY)).ravel()

    observed = enhanced(None)
    null = [observed.max(), *(enhanced(rng.permutation(len(tested))).max() for _ in range(n))]
    p = (np.array(null)[:, None] >= observed).mean(axis=0)
    return {"tfce: TFCE": touched(p <= ALPHA, g)}


def main() -> None:
    """Run the study and print a line a test."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--datasets", type=int, default=100)
    parser.add_argument("--permutations", type=int, default=99)
    parser.add_argument("--g", type=float, nargs="+", default=[0.0, 0.5, 0.8, 1.0])
    parser.add_argument("--without-peers", action="store_true")
    options = parser.parse_args()
    for g in options.g:
        tally = Tally({}, {})
        for k in range(options.datasets):
            data, age = dataset(g, np.random.default_rng([k, round(100 * g)]))
            given = (data, age, g, k, options.permutations)
            tally.add(of_falx(*given, tally))
            if not options.without_peers:
                tally.add(of_nilearn(*given) | of_tfce(*given))
        print("\n".join(tally.lines(g)), flush=True)


if __name__ == "__main__":
    main()
