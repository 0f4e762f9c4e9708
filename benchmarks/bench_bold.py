"""Resting BOLD and group maps: CPU seconds beside peers and targets.

C-PAC's algorithm is rewritten from its description: a Python loop that ranks every voxel of
the volume, background included, and a second one that gathers each neighbourhood. Peers run
with the threads of the process; CPU seconds of all threads count.
"""

from __future__ import annotations

import warnings
from functools import partial

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from benchmarks.table import Row, cpu_seconds
from bold.simulation import moving_head
from falx.bold.cleaning import Band, clean, cleaning_basis
from falx.bold.confounds import spike_regressors
from falx.bold.motion import realign
from falx.bold.reho import regional_homogeneity
from falx.maps.anova import effect_and_nuisance, group_contrasts, permuted_f
from falx.maps.design import Design, group_design, partition, two_sample_design
from falx.maps.inference.clusters import cluster_maxima
from falx.maps.inference.neighbours import neighbour_table
from falx.maps.inference.permutation import (
    moving_nuisance,
    permutation_null,
    permuted_t,
    unit_residuals,
)
from falx.maps.inference.rearrangements import permutation_plan, sign_plan
from falx.maps.inference.tfce import tfce
from falx.maps.linear import fit_contrast
from falx.maps.welch_f import flipped_f, wald_form

SHAPE = (61, 73, 61)
TIMES = 250
TR_S = 2.0


def brain_mask() -> npt.NDArray[np.bool_]:
    """Ellipsoid of about 69,800 voxels on the 3 mm grid of 61×73×61."""
    centred = (np.indices(SHAPE).T - (np.array(SHAPE) - 1) / 2) / (0.3946 * np.array(SHAPE))
    return np.asarray((centred**2).sum(axis=-1).T <= 1.0)


def rows() -> list[Row]:
    mask = brain_mask()
    rng = np.random.default_rng(0)
    series = rng.standard_normal((int(mask.sum()), TIMES), dtype=np.float32)
    return [
        *reho_rows(series, mask),
        *cleaning_rows(series, rng),
        *motion_rows(),
        *permutation_rows(rng),
        *enhancement_rows(mask, rng),
        *against_tfce_rows(mask, rng),
        *any_difference_rows(rng),
    ]


def reho_rows(series: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_]) -> list[Row]:
    regional_homogeneity(series[:27], np.ones((3, 3, 3), bool))
    own = cpu_seconds(lambda: regional_homogeneity(series, mask), repeats=3)
    slow = cpac_seconds(series, mask)
    what = f"ReHo, {mask.sum():,} voxels × {TIMES}, 27 neighbours"
    return [
        Row(what, own, "CPU s", "≤ 0.4", own <= 0.4),
        Row("  against C-PAC's algorithm", slow / own, "×", "≥ 50", slow / own >= 50),
    ]


def cpac_seconds(series: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_]) -> float:
    """Whole cost of C-PAC's algorithm, extrapolated from a tenth of its voxels."""
    share = 10
    voxels = mask.size // share
    some = rng_rows(series, voxels)
    ranks = np.empty((TIMES, voxels))

    def rank() -> None:
        for v in range(voxels):
            values = some[v]
            order = np.argsort(values)
            placed = np.empty(TIMES)
            placed[order] = np.arange(TIMES)
            _, where = np.unique(values, return_inverse=True)
            sums = np.bincount(where, weights=placed)
            ranks[:, v] = np.ceil((sums / np.bincount(where))[where])

    def concord() -> None:
        for v in range(int(mask.sum()) // share):
            block = ranks[:, v % (voxels - 27) : v % (voxels - 27) + 27]
            total = np.sum(block, axis=1)
            s = np.sum(total**2) - TIMES * np.mean(total) ** 2
            _ = 12 * s / (27**2 * (TIMES**3 - TIMES))

    return share * (cpu_seconds(rank) + cpu_seconds(concord))


def rng_rows(series: npt.NDArray[np.float32], n: int) -> npt.NDArray[np.float32]:
    return series[np.arange(n) % len(series)]


def cleaning_rows(series: npt.NDArray[np.float32], rng: np.random.Generator) -> list[Row]:
    from nilearn.signal import clean as nilearn_clean

    spikes = spike_regressors(np.arange(TIMES) % 50 == 7)
    nuisance = np.hstack([rng.standard_normal((TIMES, 28)).cumsum(axis=0), spikes])
    run = (
        series
        + 1000
        + rng.standard_normal((len(series), 33)).astype(np.float32)
        @ (nuisance.T.astype(np.float32))
    )
    run = run.astype(np.float32)
    cleaned = clean(run, cleaning_basis(nuisance, TR_S, band=Band()))
    own = cpu_seconds(lambda: clean(run, cleaning_basis(nuisance, TR_S, band=Band())), repeats=3)
    some = np.ascontiguousarray(run[::4].T)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nilearn_clean(some[:, :9], t_r=TR_S, low_pass=0.08, high_pass=0.01)
        peer = 4 * cpu_seconds(
            lambda: nilearn_clean(
                some,
                confounds=nuisance,
                t_r=TR_S,
                low_pass=0.08,
                high_pass=0.01,
                standardize=False,
            )
        )
    unit = cleaned[::20].astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    centred = nuisance - nuisance.mean(axis=0)
    left = float(np.abs(unit @ (centred / np.linalg.norm(centred, axis=0))).max())
    return [
        Row("joint cleaning, 28 nuisance + 5 spikes + band", own, "CPU s", "≤ 0.5", own <= 0.5),
        Row("  against nilearn signal.clean", peer / own, "×", "≥ 30", peer / own >= 30),
        Row("  largest |r| with a nuisance column", left, "", "≤ 1e-6", left <= 1e-6),
    ]


def motion_rows() -> list[Row]:
    run = moving_head(40)
    realign(run.volumes[:2], run.affine)
    estimate = realign(run.volumes, run.affine)
    own = 1e3 * cpu_seconds(lambda: realign(run.volumes, run.affine)) / len(run.volumes)
    error = run.error_um(estimate.matrices)[1:]
    return [
        Row("motion, 64×64×33, a volume", own, "CPU ms", "≤ 60", own <= 60),
        Row("  mean error", error.mean(), "µm", "≤ 10", error.mean() <= 10, "SPM12: 11.3"),
        Row("  worst volume", error.max(), "µm", "≤ 30", error.max() <= 30),
    ]


def permutation_rows(rng: np.random.Generator) -> list[Row]:
    from nilearn.mass_univariate import permuted_ols

    people, voxels, own_n, peer_n = 74, 400_000, 1280, 20
    data = rng.standard_normal((people, voxels), dtype=np.float32)
    covariates = {"age": rng.standard_normal(people), "sex": rng.integers(0, 2, people)}
    design = two_sample_design(["a"] * 37 + ["b"] * 37, "a", "b", covariates)
    contrast = design.contrast({"a - b": 1.0})
    permutation_null(data[:, :9], design, contrast, permutation_plan(people, 2, rng))

    def null_of(n: int) -> object:
        return permutation_null(data, design, contrast, permutation_plan(people, n, rng))

    start = cpu_seconds(lambda: null_of(1))
    own = 1e3 * (cpu_seconds(lambda: null_of(own_n)) - start) / (own_n - 1)

    def peer_of(n: int) -> object:
        return permuted_ols(
            design.matrix[:, :1], data, confounding_vars=design.matrix[:, 2:], n_perm=n,
            two_sided_test=True, random_state=1, n_jobs=1, output_type="dict",
        )  # fmt: skip

    peer = 1e3 * (cpu_seconds(lambda: peer_of(peer_n)) - cpu_seconds(lambda: peer_of(0))) / peer_n
    apart = worst_t(data[:, :20_000], design, contrast)
    return [
        Row("permutation, 74 × 400,000, 2 covariates", own, "CPU ms", "≤ 5", own <= 5),
        Row("  against nilearn permuted_ols", peer / own, "×", "≥ 40", peer / own >= 40),
        Row("  largest relative difference of t", apart, "", "≤ 1e-5", apart <= 1e-5),
    ]


def worst_t(
    data: npt.NDArray[np.float32], design: Design, contrast: npt.NDArray[np.float64]
) -> float:
    from nilearn.mass_univariate import permuted_ols

    theirs = permuted_ols(
        design.matrix[:, :1], data.astype(np.float64), confounding_vars=design.matrix[:, 2:],
        n_perm=0, output_type="dict",
    )["t"][0]  # fmt: skip
    own = fit_contrast(data, design, contrast).t
    return float(np.abs(own - theirs).max() / np.abs(theirs).max())


def enhancement_rows(mask: npt.NDArray[np.bool_], rng: np.random.Generator) -> list[Row]:
    from nilearn.mass_univariate._utils import calculate_tfce

    field = ndimage.gaussian_filter(rng.standard_normal(mask.shape), 1.2) * mask
    field /= field[mask].std()
    values, table = field[mask], neighbour_table(mask, 6)
    tfce(values[:27], neighbour_table(np.ones((3, 3, 3), bool), 6))
    cluster_maxima(values, table, 2.0)
    own = 1e3 * cpu_seconds(lambda: tfce(values, table), repeats=3)
    faces = ndimage.generate_binary_structure(3, 1)
    peer = 1e3 * cpu_seconds(
        lambda: calculate_tfce(field[..., None], faces, two_sided_test=True), repeats=2
    )
    everywhere = neighbour_table(mask, 26)
    more = 1e3 * cpu_seconds(lambda: tfce(values, everywhere), repeats=3)
    clusters = 1e3 * cpu_seconds(lambda: cluster_maxima(values, everywhere, 2.9), repeats=3)
    return [
        Row(f"TFCE, {len(values):,} voxels, 6 neighbours", own, "CPU ms", "–", True),
        Row("  against nilearn (100 steps)", peer / own, "×", "≥ 20", peer / own >= 20),
        Row("TFCE, 26 neighbours", more, "CPU ms", "–", True, "exact integral"),
        Row("largest and heaviest cluster, 26 neighbours", clusters, "CPU ms", "–", True),
    ]


def smooth_maps(
    n: int, mask: npt.NDArray[np.bool_], rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Noise of FWHM 2.8 voxels inside a mask, shape (n, V)."""
    noise = rng.standard_normal((n, *mask.shape), dtype=np.float32)
    return np.asarray(ndimage.gaussian_filter(noise, (0, 1.2, 1.2, 1.2))[:, mask])


def against_tfce_rows(mask: npt.NDArray[np.bool_], rng: np.random.Generator) -> list[Row]:
    """One map, and 74 people permuted with two covariates, beside the package `tfce`."""
    import tfce as peer
    from tfce.glm import PermutedGLM

    people, count, repeats = 74, 16, 20
    data, table = smooth_maps(people, mask, rng), neighbour_table(mask, 26)
    covariates = {"age": rng.standard_normal(people), "sex": rng.integers(0, 2, people)}
    design = two_sample_design(["a"] * 37 + ["b"] * 37, "a", "b", covariates)
    contrast = design.contrast({"a - b": 1.0})
    parts = partition(design, contrast)
    unit, moving = unit_residuals(data, parts.nuisance), moving_nuisance(parts.nuisance)
    orders = permutation_plan(people, count, rng).orders
    nuisance = design.matrix[:, 1:]
    rest = data.T - data.T @ np.linalg.pinv(nuisance).T @ nuisance.T
    model, volume = PermutedGLM(rest, design.matrix, contrast), np.zeros(mask.shape)
    values = fit_contrast(data, design, contrast).t
    volume[mask] = values

    def own_with_model() -> None:
        for t in permuted_t(unit, parts, moving, orders):
            np.abs(tfce(t, table)).max()

    def theirs_with_model() -> None:
        for order in orders:
            volume[mask] = model.fit(order)
            np.abs(peer.tfce(volume, connectivity=26)).max()

    own_with_model()
    rows = []
    for what, own, theirs, share in (
        ("one map", lambda: tfce(values, table), lambda: peer.tfce(volume, connectivity=26), 1),
        ("with the model", own_with_model, theirs_with_model, count),
    ):
        mine, other = (1e3 * cpu_seconds(f, repeats=repeats) / share for f in (own, theirs))
        rows.append(
            Row(f"TFCE, 26 neighbours, {what}", mine, "CPU ms", f"< {other:.1f}", mine < other,
                "the package tfce in the same run")
        )  # fmt: skip
    return rows


def any_difference_rows(rng: np.random.Generator) -> list[Row]:
    """F of three groups, 74 people × 100,000: a variance each against one of all."""
    groups, voxels, count = ["a"] * 25 + ["b"] * 25 + ["c"] * 24, 100_000, 16
    data, rows = rng.standard_normal((74, voxels), dtype=np.float32), []
    for covariates in (0, 2):
        more = {f"c{k}": rng.standard_normal(74) for k in range(covariates)}
        design = group_design(groups, more)
        contrasts = group_contrasts(design, 3)
        effect, nuisance = effect_and_nuisance(design, contrasts)
        unit = unit_residuals(data, nuisance)
        drawn, flips = permutation_plan(74, count, rng), sign_plan(74, count, rng)
        form = wald_form(design, contrasts, groups)
        dof = 74 - effect.shape[1] - nuisance.shape[1]
        one = partial(permuted_f, unit, effect, nuisance, dof, drawn)
        each = partial(flipped_f, unit, form, flips)
        each()
        ratio = cpu_seconds(each, repeats=5) / cpu_seconds(one, repeats=5)
        what = f"F, a variance each against one, {covariates} covariates"
        rows.append(Row(what, ratio, "×", "≤ 2", ratio <= 2))
    return rows
