"""Genes: figures beside their targets, ratios to peers measured in the same run."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
from scipy import stats

from benchmarks.table import Row, cpu_seconds, render
from falx.genes.association import gene_correlations
from falx.genes.nulls.generate import distances
from falx.genes.nulls.moran import moran_maps
from falx.genes.nulls.spin import spin_assignments
from falx.genes.nulls.variogram import variogram_maps
from falx.genes.pls import bootstrap_counts, bootstrap_weights, explained_variance, zscore_columns
from falx.genes.sets.library import GeneSetLibrary, Origin, restrict
from falx.genes.sets.ora import hypergeometric_tail, over_representation
from falx.genes.sets.themes import kappa_matrix

REGIONS, GENES, MAPS = 123, 10_027, 5_000


def _data() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    points = rng.uniform(-60, 60, (REGIONS, 3))
    d = distances(points)
    y = np.linalg.cholesky(np.exp(-d / 25) + 1e-9 * np.eye(REGIONS)) @ rng.standard_normal(REGIONS)
    return rng.standard_normal((REGIONS, GENES)), y, points, moran_maps(y, d, MAPS, rng)


def _association(X: np.ndarray, y: np.ndarray, maps: np.ndarray) -> list[Row]:
    from sklearn.cross_decomposition import PLSRegression

    A, B = np.ascontiguousarray(zscore_columns(X).T), np.ascontiguousarray(maps.T)
    product = cpu_seconds(lambda: A @ B, repeats=3)
    pls = cpu_seconds(lambda: explained_variance(X, maps), repeats=3)
    few = 5
    sklearn = cpu_seconds(lambda: [PLSRegression(1).fit(X, m).score(X, m) for m in maps[:few]])
    counts = bootstrap_counts(REGIONS, MAPS, np.random.default_rng(2))
    boot = cpu_seconds(lambda: bootstrap_weights(X, y, counts), repeats=3)
    gene_correlations(X[:, :10], y, maps[:10])  # compiled before it is timed
    genes = cpu_seconds(lambda: gene_correlations(X, y, maps), repeats=3)
    pearson = cpu_seconds(lambda: [stats.pearsonr(X[:, 0], m) for m in maps[:500]])
    ratio_pls = sklearn / few * MAPS / pls
    ratio_genes = pearson / 500 * MAPS * GENES / genes
    return [
        Row("PLS1, 5,000 nulls, 123 × 10,027", pls, "CPU s", "≤ 0.5", pls <= 0.5),
        Row("… against scikit-learn, one by one", ratio_pls, "×", "≥ 1,000", ratio_pls >= 1000),
        Row("bootstrap z, 5,000 draws", boot / product, "products", "≤ 2", boot <= 2 * product,
            f"one product {product:.2f} CPU s"),
        Row("spatial P of 10,027 genes", genes / product, "products", "≤ 2.5",
            genes <= 2.5 * product),
        Row("… against scipy pearsonr", ratio_genes, "×", "≥ 1,000", ratio_genes >= 1000),
    ]  # fmt: skip


def _memory() -> Row:
    """Peak of everything that the bootstrap allocates."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((REGIONS, GENES)), rng.standard_normal(REGIONS)
    tracemalloc.start()
    bootstrap_weights(X, y, bootstrap_counts(REGIONS, MAPS, rng))
    megabytes = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return Row("bootstrap, peak memory", megabytes, "MB", "< 300", megabytes < 300)


def _nulls(y: np.ndarray, points: np.ndarray) -> list[Row]:
    rng = np.random.default_rng(3)
    d = distances(points)
    variogram = cpu_seconds(lambda: variogram_maps(y, d, MAPS, rng))
    moran = cpu_seconds(lambda: moran_maps(y, d, MAPS, rng), repeats=3)
    sphere = points / np.linalg.norm(points, axis=1, keepdims=True)
    sides = ("left",) * REGIONS
    spin = cpu_seconds(lambda: spin_assignments(sphere, sides, MAPS, rng))
    return [
        Row("5,000 variogram-matched maps", variogram, "CPU s", "≤ 5", variogram <= 5),
        Row("5,000 Moran maps", moran, "CPU s", "≤ 0.17", moran <= 0.17, "BrainSpace 0.17 s"),
        Row("5,000 Hungarian spins, 123 parcels", spin, "CPU s", "≤ 2.5", spin <= 2.5,
            "neuromaps 12.3 s"),
    ]  # fmt: skip


def _sets() -> list[Row]:
    rng = np.random.default_rng(4)
    universe = tuple(f"G{i}" for i in range(GENES))
    sizes = rng.integers(5, 300, 5000)
    sets = {
        f"S{i}": tuple(universe[g] for g in rng.choice(GENES, n, replace=False))
        for i, n in enumerate(sizes)
    }
    library = GeneSetLibrary("made", sets, Origin("made"))
    genes = [universe[g] for g in rng.choice(GENES, 1500, replace=False)]
    hypergeometric_tail([1], [2], 3, 10)
    tested = restrict(library, universe)
    total = cpu_seconds(lambda: over_representation(genes, restrict(library, universe)))
    result = over_representation(genes, tested)
    exact = stats.hypergeom.sf(result.overlap - 1, GENES, result.set_size, 1500)
    apart = float(np.abs(result.p - exact).max())
    kappa = cpu_seconds(lambda: kappa_matrix(tested, range(500)))
    return [
        Row("over-representation, 5,000 sets × 1,500", total, "CPU s", "≤ 0.6", total <= 0.6),
        Row("… largest difference to scipy's P", apart, "", "≤ 1e-12", apart <= 1e-12),
        Row("kappa of 500 terms", kappa, "CPU s", "≤ 0.4", kappa <= 0.4),
    ]


def write_full_size(root: Path, *, probes: int = 58_692, seed: int = 5) -> Path:
    """Write a made-up download of full size: six donors, 3,702 samples; returns the folder."""
    rng = np.random.default_rng(seed)
    widths = {"9861": 946, "10021": 893, "12876": 363, "14380": 529, "15496": 470, "15697": 501}
    numbers = np.array([f"{v:.14f}" for v in rng.uniform(1, 15, 20_000)], dtype=object)
    for donor, n in widths.items():
        folder = root / f"normalized_microarray_donor{donor}"
        folder.mkdir(parents=True)
        with (
            (folder / "MicroarrayExpression.csv").open("w") as values,
            (folder / "PACall.csv").open("w") as calls,
        ):
            for probe in range(probes):
                start = int(rng.integers(0, len(numbers) - n))
                values.write(f"{probe + 1}," + ",".join(numbers[start : start + n]) + "\n")
                calls.write(f"{probe + 1}" + (",1" if probe % 3 else ",0") * n + "\n")
        names = [f"{probe + 1},P{probe},{probe // 3},G{probe // 3},name,{probe // 3 + 1},1"
                 for probe in range(probes)]  # fmt: skip
        head = "probe_id,probe_name,gene_id,gene_symbol,gene_name,entrez_id,chromosome"
        (folder / "Probes.csv").write_text("\n".join([head, *names]) + "\n")
        _write_samples(folder, n, rng)
    return root


def _write_samples(folder: Path, n: int, rng: np.random.Generator) -> None:
    head = (
        "structure_id,slab_num,well_id,slab_type,structure_acronym,structure_name,polygon_id,"
        "mri_voxel_x,mri_voxel_y,mri_voxel_z,mni_x,mni_y,mni_z"
    )
    xyz = np.column_stack(
        [-rng.uniform(1, 60, n), rng.uniform(-90, 60, n), rng.uniform(-30, 60, n)]
    )
    rows = [
        f'{4010 + i % 200},1,{i},CX,a{i % 200},"gyrus, left",1,0,0,0,{x:.1f},{y:.1f},{z:.1f}'
        for i, (x, y, z) in enumerate(xyz)
    ]
    (folder / "SampleAnnot.csv").write_text("\n".join([head, *rows]) + "\n")
    head = "id,acronym,name,parent_structure_id,hemisphere,graph_order,structure_id_path,color"
    rows = [f'{4010 + i},a{i},"g{i}, left",4008,L,1,/4005/4008/{4010 + i}/,E' for i in range(200)]
    (folder / "Ontology.csv").write_text("\n".join([head, *rows]) + "\n")


def _full_download() -> list[Row]:
    """CPU time and peak memory of the abagen mode on a download of full size."""
    code = (
        "import resource, sys, time, numpy as np\n"
        "from falx.atlas.atlas import LabelRow, make_atlas\n"
        "from falx.images.nifti import Image\n"
        "from falx.genes.ahba.abagen import abagen_expression, AbagenOptions\n"
        "from falx.genes.ahba.files import find_ahba\n"
        "labels = np.zeros((60, 60, 40), dtype=np.int32)\n"
        "i, j, k = np.indices(labels.shape)\n"
        "labels[:] = 1 + (i // 15) + 4 * (j // 10) + 24 * (k // 8)\n"
        "affine = np.diag([1.0, 2.5, 2.5, 1.0]); affine[:3, 3] = [-60.5, -90, -35]\n"
        "rows = [LabelRow(n, f'r{n}_L', 'left', 'cortex') for n in np.unique(labels).tolist()]\n"
        "atlas = make_atlas(Image(labels, affine), rows)\n"
        "made = abagen_expression(find_ahba(sys.argv[1]), atlas)\n"
        "print(time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        write_full_size(Path(folder))
        done = subprocess.run(
            [sys.executable, "-c", code, folder], capture_output=True, text=True, check=True
        )
    seconds, kilobytes = (float(word) for word in done.stdout.split())
    gigabytes = kilobytes / 1e6
    return [
        Row("AHBA download of full size, abagen mode", seconds, "CPU s", "≤ 60", seconds <= 60),
        Row("… peak memory", gigabytes, "GB", "≤ 3", gigabytes <= 3),
    ]


def rows(*, full_download: bool = True) -> list[Row]:
    """Measure every row of the target table."""
    X, y, points, maps = _data()
    measured = [*_association(X, y, maps), _memory(), *_nulls(y, points), *_sets()]
    return measured + (_full_download() if full_download else [])


if __name__ == "__main__":
    print(render(rows(full_download="--small" not in sys.argv)))
