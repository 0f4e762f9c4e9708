import numpy as np

from falx.anatomy.normalise import modulated, warped
from falx.core.grid import box_grid
from falx.images.nifti import Image


def test_modulation_keeps_the_volume_of_tissue(case):
    grid = box_grid((-98, -134, -72), (98, 98, 116), 2.0)
    grey = Image(case.result.gm, case.image.affine)
    native_mm3 = case.result.gm.sum() * case.image.grid.voxel_volume_mm3
    kept_mm3 = modulated(grey, case.result.to_native, grid).sum() * grid.voxel_volume_mm3
    np.testing.assert_allclose(kept_mm3, native_mm3, rtol=5e-3)


def test_without_modulation_probabilities_stay_probabilities(case):
    grid = box_grid((-98, -134, -72), (98, 98, 116), 4.0)
    values = warped(Image(case.result.gm, case.image.affine), case.result.to_native, grid)
    assert values.min() >= 0
    assert values.max() <= 1 + 1e-6
