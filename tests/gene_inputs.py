"""Small inputs of ``falx genes``, shared by its tests."""

from __future__ import annotations

import numpy as np

from falx.images.nifti import save

N = 40
GENES = [f"G{i}" for i in range(30)]


def write_inputs(folder):
    """Write a map, an atlas of 40 left cortical regions, its labels and expression."""
    rng = np.random.default_rng(0)
    affine = np.diag([3.0, 3.0, 3.0, 1.0])
    affine[:3, 3] = -90
    labels = np.zeros((60, 60, 60), dtype=np.int16)
    voxels = np.argwhere(np.arange(60)[:, None, None] + 0 * labels < 28)
    labels[tuple(rng.permutation(voxels)[:N].T)] = np.arange(1, N + 1)
    save(folder / "map.nii.gz", rng.standard_normal(labels.shape).astype(np.float32), affine)
    save(folder / "atlas.nii.gz", labels, affine)
    rows = [f"{i + 1},r{i},L,cortex" for i in range(N)]
    (folder / "labels.csv").write_text("\n".join(["id,label,hemisphere,structure", *rows]))
    table = rng.standard_normal((N, len(GENES)))
    write_expression(folder / "expression.csv", GENES, table)
    write_map(folder / "map.tsv")
    return folder


def write_expression(path, genes, table):
    rows = [f"r{i}," + ",".join(f"{v:.5f}" for v in row) for i, row in enumerate(table)]
    path.write_text("\n".join(["region," + ",".join(genes), *rows]) + "\n")
    return path


def write_map(path, last="r39\t0.5\t-30\t20\t10\tcortex\tL"):
    rng = np.random.default_rng(1)
    lines = ["region\tvalue\tx_mm\ty_mm\tz_mm\tblock\tside"]
    for i in range(N - 1):
        x, y, z = rng.uniform(-60, 60, 3)
        lines.append(f"r{i}\t{rng.normal():.4f}\t{-abs(x):.2f}\t{y:.2f}\t{z:.2f}\tcortex\tL")
    path.write_text("\n".join([*lines, last]) + "\n")
    return path
