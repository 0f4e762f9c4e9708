"""A head of ellipsoids with known fractions, labels and activities; symmetric about x = 0."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from falx.core.files import write_json
from falx.core.grid import Grid, box_grid
from falx.images.nifti import Image, save
from falx.images.resample import resample
from falx.images.smooth import smooth
from falx.images.warp import CoordinateMap, save_map

ACTIVITY = {"gm": 4.0, "wm": 1.0, "csf": 0.1, "outside": 0.5}


@dataclass(frozen=True, eq=False)
class Head:
    """Fractions on a symmetric grid, FreeSurfer labels, and a PET of infinite resolution."""

    grid: Grid
    gm: np.ndarray
    wm: np.ndarray
    csf: np.ndarray
    labels: np.ndarray
    activity: np.ndarray

    @property
    def brain(self) -> np.ndarray:
        return self.gm + self.wm + self.csf > 0.5

    @property
    def t1w(self) -> np.ndarray:
        return 90 * self.gm + 150 * self.wm + 40 * self.csf

    def pet(self, grid: Grid, *, fwhm_mm: float = 6.0, matrix: np.ndarray | None = None) -> Image:
        """The PET as a scanner sees it; `matrix` is T1w mm → PET mm."""
        blurred = smooth(self.activity, self.grid.voxel_sizes_mm, fwhm_mm)
        back = np.eye(4) if matrix is None else np.linalg.inv(matrix)
        seen = resample(Image(blurred, self.grid.affine), grid, matrix=back, how="cubic")
        return Image(np.asarray(seen, dtype=np.float32), grid.affine)


def make_head(*, depth: float = 0.15, side: str = "left", voxel_mm: float = 2.0) -> Head:
    """Build a head whose mesial temporal structures of one side are lower by `depth`."""
    grid = box_grid((-84, -100, -76), (84, 84, 84), voxel_mm)
    mm = grid.centres_mm()

    def fraction(centre: tuple[float, ...], radii: tuple[float, ...]) -> np.ndarray:
        inside = np.linalg.norm((mm - centre) / radii, axis=-1)
        return np.clip((1 - inside) * min(radii) / voxel_mm + 0.5, 0, 1)

    brain = fraction((0, -8, 4), (66, 82, 62))
    core = fraction((0, -8, 4), (61, 77, 57))
    fluid = fraction((14, -5, 12), (7, 26, 9)) + fraction((-14, -5, 12), (7, 26, 9))
    fluid = np.clip(fluid, 0, 1)
    labels = np.zeros(grid.shape, dtype=np.int32)
    grey = brain - core
    for sign, numbers in ((-1, (17, 18)), (1, (53, 54))):
        hippocampus = fraction((sign * 27, -24, -14), (6.5, 19, 6.5))
        amygdala = fraction((sign * 25, 4, -18), (8, 7, 8))
        grey = np.maximum(grey, np.maximum(hippocampus, amygdala))
        labels[hippocampus > 0.5] = numbers[0]
        labels[(amygdala > 0.5) & (labels == 0)] = numbers[1]
    csf = np.minimum(fluid, brain - grey)
    white = np.clip(brain - grey - csf, 0, 1)
    factor = np.ones(grid.shape)
    factor[np.isin(labels, (17, 18) if side == "left" else (53, 54))] = 1 - depth
    activity = ACTIVITY["gm"] * grey * factor + ACTIVITY["wm"] * white + ACTIVITY["csf"] * csf
    scalp = fraction((0, -8, 4), (80, 96, 76)) - fraction((0, -8, 4), (75, 91, 71))
    activity = activity + ACTIVITY["outside"] * scalp
    return Head(grid, grey, white, csf, labels, activity)


def pet_grid() -> Grid:
    """The grid of a clinical scanner: 2 × 2 × 3.27 mm."""
    affine = np.diag([2.0, 2.0, 3.27, 1.0])
    affine[:3, 3] = (-90, -104, -80)
    return Grid((91, 98, 50), affine)


def rigid(
    shift_mm: tuple[float, float, float], turn_rad: tuple[float, float, float]
) -> np.ndarray:
    """Rigid matrix from a shift and Euler angles."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", turn_rad).as_matrix()
    matrix[:3, 3] = shift_mm
    return matrix


def write_head(folder: Path, head: Head, matrix: np.ndarray, pet: Image) -> dict[str, Path]:
    """Write what the anatomy and coregistration stages would: maps here are the identity."""
    names = ("gm", "wm", "csf", "brain_mask", "structures", "pet", "to_native", "to_template")
    files = {name: folder / f"{name}.nii.gz" for name in names}
    for name in ("gm", "wm", "csf"):
        save(files[name], getattr(head, name).astype(np.float32), head.grid.affine)
    save(files["brain_mask"], head.brain, head.grid.affine)
    save(files["structures"], head.labels, head.grid.affine)
    save(files["pet"], pet.data, pet.affine)
    write_json(folder / "pet.json", {"Units": "Bq/mL"})
    coarse = box_grid((-96, -120, -90), (96, 104, 104), 8.0)
    identity = CoordinateMap(coarse.centres_mm().astype(np.float32), coarse.affine)
    save_map(files["to_native"], identity)
    save_map(files["to_template"], identity)
    files["matrix"] = folder / "matrix.json"
    write_json(files["matrix"], {"matrix": matrix})
    return files
