"""Figures of a resting run: head motion, series before and after cleaning, homogeneity."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from falx.bold.records import MotionRecord, RehoRecord
from falx.report.figures import BLUE, INK, ORANGE, new_figure, png

__all__ = ["carpet_figure", "homogeneity_figure", "motion_figure"]


def motion_figure(motion: MotionRecord) -> bytes:
    """Draw six motion parameters and framewise displacement with its threshold; PNG."""
    parameters = np.array(motion.parameters)
    figure = new_figure(9.0, 6.0)
    shift, turn, displaced = figure.subplots(3, 1, sharex=True)
    for column, name in enumerate("xyz"):
        shift.plot(parameters[:, column], lw=1, label=name)
        turn.plot(np.rad2deg(parameters[:, 3 + column]), lw=1, label=name)
    displaced.plot(motion.fd_power_mm, lw=1, color=INK)
    displaced.axhline(motion.fd_threshold_mm, color=ORANGE, lw=1)
    spikes = list(motion.spikes)
    displaced.plot(spikes, np.array(motion.fd_power_mm)[spikes], "o", color=ORANGE)
    for axis, label in ((shift, "shift, mm"), (turn, "turn, degrees"), (displaced, "FD, mm")):
        axis.set_ylabel(label)
    shift.legend(ncols=3, frameon=False, loc="upper right")
    displaced.set_xlabel("volume")
    return png(figure)


def carpet_figure(before: npt.NDArray[np.floating], after: npt.NDArray[np.floating]) -> bytes:
    """Draw series, shape (V, T), as grey values, before and after cleaning; PNG."""
    figure = new_figure(9.0, 5.5)
    for axis, values, title in zip(
        figure.subplots(2, 1, sharex=True), (before, after), ("before", "after"), strict=True
    ):
        drawn = axis.imshow(
            values.astype(np.float32), aspect="auto", cmap="gray", vmin=-3, vmax=3,
            interpolation="nearest",
        )  # fmt: skip
        axis.set_ylabel(f"voxels, {title}")
        axis.set_yticks([])
    axis.set_xlabel("volume")
    figure.colorbar(drawn, ax=figure.axes, label="% of the mean", fraction=0.02)
    return png(figure)


def homogeneity_figure(reho: RehoRecord) -> bytes:
    """Draw how Kendall's W and the number of neighbours are distributed; PNG."""
    figure = new_figure(9.0, 3.0)
    left, right = figure.subplots(1, 2)
    edges = np.array(reho.reho_histogram.edges)
    voxels = np.array(reho.reho_histogram.voxels)
    left.stairs(voxels, edges, fill=True, color=BLUE)
    left.axvline(reho.reho_quantiles[2], color=INK, lw=1, label="median")
    left.axvline(1 / reho.neighbours, color=ORANGE, lw=1, label="chance")
    left.set(xlim=(0, edges[1:][voxels > 0].max()), xlabel="Kendall's W", ylabel="voxels")
    left.legend(frameon=False)
    used = {int(k): n for k, n in reho.voxels_by_neighbours.items()}
    share = 100.0 * np.array(list(used.values())) / reho.mask_voxels
    right.bar(list(used), share, color=BLUE)
    right.set(xlabel="series in the neighbourhood, K", ylabel="voxels, %")
    right.set_xlim(0, reho.neighbours + 1)
    return png(figure)
