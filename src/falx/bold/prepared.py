"""A run that another program has preprocessed, with its table of confounds.

Names of columns are those of fMRIPrep (Esteban et al. 2019, Nat Methods 16:111, version 20 and
later): ``trans_x`` … ``rot_z`` (mm, radians), ``white_matter``, ``csf``, ``global_signal`` and the
components ``w_comp_cor_00`` …, ``c_comp_cor_00`` …
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from falx.bold.confounds import friston24, spike_regressors
from falx.bold.reho_run import Nuisance
from falx.bold.settings import RehoSettings
from falx.core.errors import InputError
from falx.core.tables import Table

__all__ = ["motion_columns", "prepared_nuisance"]

MOTION = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")
TISSUES = {"white matter": ("white_matter", "w_comp_cor"), "CSF": ("csf", "c_comp_cor")}
"""Tissue to the column of its mean, and to what the names of its components begin with."""


def motion_columns(table: Table, volumes: int, dropped: int) -> npt.NDArray[np.float64]:
    """Return motion parameters, shape (T, 6), mm and radians, without the first volumes.

    Parameters
    ----------
    volumes, dropped
        Of the run, all of them, and how many are dropped.
    """
    return np.column_stack([_column(table, name, volumes, dropped) for name in MOTION])


def prepared_nuisance(
    table: Table,
    parameters: npt.NDArray[np.floating],
    spikes: npt.NDArray[np.bool_],
    series: npt.NDArray[np.float32],
    dropped: int,
    settings: RehoSettings,
) -> Nuisance:
    """Take the signals that Falx takes out from the table of another program.

    Parameters
    ----------
    parameters, spikes
        Shapes (T, 6) and (T,), after the drop.
    series
        Shape (V, T): the brain, for the global signal.
    """
    volumes = len(parameters) + dropped
    beside = spike_regressors(spikes, previous=settings.spikes_before, later=settings.spikes_after)
    parts = {"motion": friston24(parameters), "spikes": beside}
    for name, (mean, component) in TISSUES.items():
        wanted = [mean]
        if settings.compcor_components:
            wanted = [f"{component}_{k:02d}" for k in range(settings.compcor_components)]
        columns = [_column(table, column, volumes, dropped) for column in wanted]
        parts[name] = np.column_stack(columns)
    if settings.global_signal:
        parts["global signal"] = series.mean(axis=0, dtype=np.float64)[:, None]
    return Nuisance(parts, {})


def _column(table: Table, name: str, volumes: int, dropped: int) -> npt.NDArray[np.float64]:
    """Return one column after the drop, or raise with what is wrong with it."""
    do = "give the table of confounds of fMRIPrep 20 or later, or --no-bold-prepared"
    values = table.numbers(table.need(name, do=do))
    if len(values) != volumes:
        raise InputError(
            "the table of confounds is of another run",
            where=table.where,
            found=f"{len(values)} rows for {volumes} volumes",
            do="give the table that was written with the run",
        )
    kept = values[dropped:]
    if not np.isfinite(kept).all():
        raise InputError(
            "a confound has no value for some volumes",
            where=f"{table.where}, {name}",
            found=f"{np.count_nonzero(~np.isfinite(kept))} of {len(kept)}",
            do=do,
        )
    return kept
