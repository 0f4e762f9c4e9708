"""``falx genes`` from the command line: nulls of a volume atlas, and input that is not as it
should be."""

from __future__ import annotations

import numpy as np
import pytest

from falx.cli.main import main
from falx.images.nifti import save

N = 40
GENES = [f"G{i}" for i in range(30)]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Folder with a map, an atlas of 40 left cortical regions, its labels and expression."""
    folder = tmp_path_factory.mktemp("inputs")
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


@pytest.fixture
def genes(made, tmp_path, capsys):
    """Run ``falx genes``; give its exit code and all that it said."""

    def run(*more, source="map.tsv", expression="expression.csv"):
        code = main(
            [
                "genes", str(made / source), "--expression", str(made / expression),
                "--out", str(tmp_path / "out"), "--n-maps", "49", "--n-list", "5", *more,
            ]
        )  # fmt: skip
        said = capsys.readouterr()
        return code, said.out + said.err

    return run


def test_spin_on_a_volume_atlas(made, genes):
    atlas = ("--atlas", str(made / "atlas.nii.gz"))
    labels = ("--labels", str(made / "labels.csv"))
    code, said = genes(*atlas, *labels, "--nulls", "spin", source="map.nii.gz")
    assert code == 0
    assert "(spin_nearest)" in said
    assert "direction of their centroids" in said
    code, said = genes(*atlas, *labels, "--nulls", "spin_vasa", source="map.nii.gz")
    assert code == 0
    assert "the Váša spin rejects a true null too often" in said
