"""Foci of low metabolism that noise and healthy asymmetry do not account for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from falx.api.head import Coregistered, matrix_to, middle_of
from falx.api.inputs import settings_of
from falx.api.metabolic import Asymmetry, CorrectedImage, measured_pet
from falx.api.results import Result, drawn, percent
from falx.core.errors import InputError, check_option, collect_notices
from falx.core.grid import SIDES, Side
from falx.images.nifti import Image, as_stored
from falx.pet.calibrated import Calibrated, Calibration, Focus
from falx.pet.settings import Correction
from falx.pet.steps import (
    PET,
    Correctable,
    Tissues,
    find_foci,
)
from falx.report.slices import Layer, slices_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FociMap", "foci"]


@dataclass(frozen=True, eq=False, repr=False)
class FociMap(Result):
    """Foci of low metabolism that noise and healthy asymmetry do not account for.

    Parameters
    ----------
    image
        Mask on the T1w grid.
    probability
        Of belonging to a focus, on the T1w grid.
    calibrated
        Foci, rates and maps on the template grid.
    level
        Familywise rate of false foci that was accepted.
    """

    image: Image
    probability: Image
    calibrated: Calibrated
    level: float
    of: Asymmetry
    notices: tuple[str, ...] = ()
    title = "Calibrated foci of low metabolism"

    @property
    def foci(self) -> tuple[Focus, ...]:
        """The foci, the most certain first."""
        return self.calibrated.foci

    def _facts(self) -> Sequence[tuple[str, object]]:
        found = self.calibrated
        rows: list[tuple[str, object]] = [
            ("foci", f"{len(found.foci)} at a familywise rate of {self.level:g}"),
            ("volume, mm³", float(self.image.data.sum() * self.image.grid.voxel_volume_mm3)),
            ("expected false share of it", percent(found.false_share)),
        ]
        for number, focus in enumerate(found.foci, start=1):
            place = ", ".join(f"{mm:.0f}" for mm in focus.peak_mm)
            told = f"{focus.side}, P = {focus.probability:.3g}, asymmetry {focus.depth:.3f}"
            rows.append((f"focus {number}", f"{told}, lowest at template mm ({place})"))
        if found.refuted:
            doubt = "the other side is lower than noise and healthy people account for as well"
            rows.append(("doubt", doubt))
        return rows

    def plot(self) -> Figure:
        """Draw the asymmetry with the foci outlined, through their middle."""
        layers = [
            Layer(self.of.image, "map", "RdBu_r", -0.3, 0.3, 0.03, "asymmetry index"),
            Layer(self.image, "contour", "cyan", label="foci"),
        ]
        return drawn(slices_figure(self.of.head.image, layers, centre_mm=middle_of(self.image)))


def foci(
    pet: Any,
    of: Asymmetry,
    *,
    matrix: npt.ArrayLike | Coregistered | CorrectedImage | None = None,
    side: str | None = None,
    seed: int = 1,
    correction: Mapping[str, object] | None = None,
    **choices: Any,
) -> FociMap:
    """Find the tissue whose asymmetry neither noise nor healthy people account for.

    A person without a focus should have a false one with the probability `level`. That was
    measured on phantoms alone, with an assumed smoothness of healthy asymmetry; a PET that was
    filtered after reconstruction is not recognised: ``docs/methods/signature.md``.

    Parameters
    ----------
    pet
        The *measured* PET that :func:`correct_pet` was given; its noise is measured in it.
    of
        From :func:`asymmetry` of the corrected PET.
    matrix
        T1w mm → PET mm: what :func:`correct_pet` or :func:`coregister` returned, or a matrix.
    side
        Declared side of the focus, ``"left"`` or ``"right"``; both sides are searched if absent.
    seed
        Of the draws of noise and of healthy asymmetry.
    correction
        The choices that :func:`correct_pet` was given.
    choices
        See :class:`falx.pet.calibrated.Calibration`: ``level``, ``draws``, ``maps``.
    """
    _check_asymmetry(of)
    if side is not None:
        check_option("side", side, SIDES)
    settings = settings_of(Calibration, choices)
    how = settings_of(Correction, dict(correction or {}))
    head = of.head
    with collect_notices() as notices:
        given = _matrix_of(matrix, how)
        to_pet = matrix_to(pet if given is None else given, given is None, head, of.place.threads)
        tissues = Tissues(head.gm, head.wm, head.csf, head.structures)
        measured = Correctable(
            measured_pet(pet, how.frames, None), np.linalg.inv(to_pet), tissues, how
        )
        found = find_foci(
            measured, of._as_scaled(), of.metrics, of.place, settings,
            side=cast("Side | None", side), rng=np.random.default_rng(seed),
        )  # fmt: skip
    return FociMap(
        image=as_stored(found.mask, of.place.native.affine),
        probability=as_stored(found.probability, of.place.native.affine),
        calibrated=found.found,
        level=settings.level,
        of=of,
        notices=tuple(notices),
    )


def _check_asymmetry(of: Asymmetry) -> None:
    if not isinstance(of, Asymmetry):
        raise InputError(
            "foci are found in an asymmetry",
            found=type(of).__name__,
            do="give what falx.asymmetry returned",
        )
    if of.metrics.quantity != PET.name:
        raise InputError(
            "foci are found in the asymmetry of a PET",
            found=f"that of {of.metrics.quantity}",
            do="give that of the corrected PET",
        )


def _matrix_of(
    matrix: npt.ArrayLike | Coregistered | CorrectedImage | None, how: Correction
) -> npt.ArrayLike | Coregistered | None:
    """Return the matrix of a corrected PET, if it was corrected in the same way."""
    if not isinstance(matrix, CorrectedImage):
        return matrix
    if matrix.metrics.method != how.method:
        raise InputError(
            "the noise would be that of another correction",
            found=f"the PET was corrected by {matrix.metrics.method}, not {how.method}",
            do="give the choices of falx.correct_pet as correction={…}",
        )
    return matrix.matrix
