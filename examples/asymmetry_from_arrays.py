"""
Asymmetry from arrays
=====================

No file and no pipeline: an array on a grid that is symmetric about x = 0, its asymmetry index, and
where a structure stands among healthy people.
"""

import matplotlib.pyplot as plt
import numpy as np

from falx.core.grid import box_grid
from falx.pet.asymmetry import asymmetry_index, ratio_of_means
from falx.pet.norms import percentile_of

grid = box_grid((-60, -60, -40), (60, 60, 40), 2.0)
x, y, z = np.moveaxis(grid.centres_mm(), -1, 0)
inside = (x / 60) ** 2 + (y / 60) ** 2 + (z / 40) ** 2 < 1
left = (x + 30) ** 2 + y**2 + (z + 10) ** 2 < 12**2  # left is x < 0, wherever the array begins
right = np.flip(left, 0)
uptake = np.where(inside, 5.0, 0.0)
uptake[left] *= 0.85  # 15 % less on the left

found = asymmetry_index(uptake, grid, inside)
print(f"index in the left sphere: {found.index[left].mean():+.3f}")  # 2 (a - b) / (a + b)
print(
    f"from the regional means:  {ratio_of_means(uptake[left].mean(), uptake[right].mean()):+.3f}"
)
healthy = percentile_of("hippocampus", -0.08, side="left")
print(f"a hippocampus at -0.08: percentile {healthy.percentile:.2f} of {healthy.people} people")

figure, axis = plt.subplots()
shown = axis.imshow(found.index[:, :, 15].T, cmap="RdBu_r", vmin=-0.3, vmax=0.3, origin="lower")
axis.set_title("asymmetry index, left is left")
figure.colorbar(shown)
figure.savefig("asymmetry.png")
