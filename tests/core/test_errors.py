import warnings

import numpy as np
import pytest

from falx.core.errors import (
    GridError,
    InputError,
    OptionError,
    check_option,
    check_range,
    check_same_grid,
    collect_notices,
    notify,
)


def test_a_sentence_says_what_where_found_and_do() -> None:
    error = InputError("PET is empty", where="sub-07", found="all zeros", do="look again")
    assert str(error) == "sub-07: PET is empty (found: all zeros); look again."


def test_option_names_the_nearest() -> None:
    with pytest.raises(OptionError, match="did you mean 'mg3'"):
        check_option("pvc", "mg33", ["none", "mg2", "mg3"])


@pytest.mark.parametrize("value", [-1.0, 20.0, float("nan"), float("inf")])
def test_range_names_limits_and_unit(value: float) -> None:
    with pytest.raises(OptionError, match="from 0 to 12 mm"):
        check_range("psf_fwhm_mm", value, 0, 12, unit="mm")


def test_grids_that_differ_in_shape_or_place_are_told_apart() -> None:
    eye = np.eye(4)
    with pytest.raises(GridError, match="2×3×4 and 2×3×5"):
        check_same_grid("PET", (2, 3, 4), eye, "T1w", (2, 3, 5), eye)
    shifted = eye.copy()
    shifted[0, 3] = 2.0
    with pytest.raises(GridError, match="2.00 mm apart"):
        check_same_grid("PET", (2, 3, 4), eye, "T1w", (2, 3, 4), shifted)
    check_same_grid("PET", (2, 3, 4), eye, "T1w", (2, 3, 4), eye + 1e-6)


def test_notices_are_collected_once_and_other_warnings_pass() -> None:
    with pytest.warns(RuntimeWarning, match="other"), collect_notices() as notices:
        notify("thick slices", where="sub-01", found="6 mm")
        notify("thick slices", where="sub-01", found="6 mm")
        warnings.warn("other", RuntimeWarning, stacklevel=1)
    assert notices == ["sub-01: thick slices (found: 6 mm)."]
