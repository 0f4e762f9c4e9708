"""The PET corrected for partial volume, and the asymmetry of images.

Each function does what a stage of ``falx signature`` does, on values as the files of the stage
before would carry them, so that both give the same numbers, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from falx.api.head import Coregistered, Head, matrix_to, need_head
from falx.api.inputs import image_of, settings_of
from falx.api.results import Result, drawn
from falx.core.errors import InputError, check_option, collect_notices
from falx.core.grid import normalisation_grid
from falx.images.nifti import Image, as_stored
from falx.pet.files import read_pet
from falx.pet.frames import Pet, average_frames, check_pet
from falx.pet.maps import Place
from falx.pet.metrics import AsymmetryMetrics, PetMetrics
from falx.pet.noise import Noise
from falx.pet.scaling import Scaled
from falx.pet.settings import AsymmetrySettings, Correction
from falx.pet.steps import (
    Quantity,
    Tissues,
    correct_measured,
    image_asymmetry,
)
from falx.report.slices import Layer, slices_figure
from falx.studies.signature.modalities import MODALITIES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Asymmetry", "CorrectedImage", "asymmetry", "correct_pet", "measured_pet"]

QUANTITIES: Mapping[str, Quantity] = {m.key: m.quantity for m in MODALITIES}


@dataclass(frozen=True, eq=False, repr=False)
class CorrectedImage(Result):
    """A PET after the correction for partial volume.

    Parameters
    ----------
    image
        On the voxels of the PET, the affine to T1w mm; zero where not defined.
    head
        The head it belongs to.
    matrix
        Shape (4, 4), T1w mm → PET mm.
    metrics
        Activities, regional asymmetry and its standard error, noise.
    noise
        Of the corrected image, in T1w mm; its standard deviation is zero everywhere if it could
        not be measured.
    measured
        The PET before the correction, its affine to T1w mm.
    """

    image: Image
    head: Head
    matrix: npt.NDArray[np.float64]
    metrics: PetMetrics
    noise: Noise
    measured: Image

    @property
    def notices(self) -> tuple[str, ...]:
        """What was said on the way."""
        return tuple(self.metrics.notices)

    def _heading(self) -> str:
        return f"PET, partial volume corrected by {self.metrics.method}"

    def _facts(self) -> Sequence[tuple[str, object]]:
        found = self.metrics
        regional = found.regional_asymmetry.get("mesial_temporal", {})
        error = found.regional_asymmetry_se.get("mesial_temporal")
        spread = "" if error is None else f" ± {error:.3f}"
        return [
            ("point spread, mm FWHM", found.effective_psf_fwhm_mm),
            ("units", found.units),
            *(
                (f"regional asymmetry, {side} mesial temporal", f"{value:+.3f}{spread}")
                for side, value in regional.items()
            ),
        ]

    def plot(self) -> Figure:
        """Draw the PET over the T1w."""
        high = float(np.quantile(self.image.data, 0.999)) or 1.0
        layer = Layer(
            self.image, "map", "hot", 0.0, high, 0.1 * high, f"PET, {self.metrics.units}"
        )
        return drawn(slices_figure(self.head.image, [layer]))


@dataclass(frozen=True, eq=False, repr=False)
class Asymmetry(Result):
    """Asymmetry index of an image, (value - mirror) over their mean.

    Parameters
    ----------
    image
        The index on the T1w grid; zero where not defined.
    template
        The index on the template grid.
    scaled
        The image on its intensity scale, template grid.
    metrics
        Scale, reference, means of the structures.
    source
        The corrected PET that it is of; ``None`` for any other image.
    """

    image: Image
    template: Image
    scaled: Image
    head: Head
    place: Place
    metrics: AsymmetryMetrics
    source: CorrectedImage | None = None

    @property
    def notices(self) -> tuple[str, ...]:
        """What was said on the way."""
        return tuple(self.metrics.notices)

    def _heading(self) -> str:
        return f"Asymmetry of {self.metrics.quantity} (negative: lower than the other side)"

    def _facts(self) -> Sequence[tuple[str, object]]:
        found = self.metrics
        return [
            ("intensity scale", f"{found.scale}, by the {found.reference}"),
            ("smoothing, mm FWHM", found.smoothing_fwhm_mm),
            *(
                (f"{side} {name.replace('_', ' ')}", one.mean_asymmetry)
                for name, sides in found.structures.items()
                for side, one in sides.items()
            ),
        ]

    def plot(self) -> Figure:
        """Draw the index over the T1w."""
        layer = Layer(self.image, "map", "RdBu_r", -0.3, 0.3, 0.03, "asymmetry index")
        return drawn(slices_figure(self.head.image, [layer]))

    def _as_scaled(self) -> Scaled:
        found = self.metrics
        return Scaled(self.scaled.data, found.scale, found.mean, found.sd)


def correct_pet(
    pet: Any,
    head: Head,
    *,
    matrix: npt.ArrayLike | Coregistered | None = None,
    units: str | None = None,
    seed: int = 1,
    threads: int = 2,
    **choices: Any,
) -> CorrectedImage:
    """Correct a PET for partial volume on its own voxels, coregistered to the T1w.

    Parameters
    ----------
    pet
        Path, image of nibabel, or array with affine, 3D or with frames.
    head
        From :func:`segment`.
    matrix
        T1w mm → PET mm, or what :func:`coregister` returned; found here if absent.
    units
        Of an image without a sidecar.
    seed
        Of the draws that calibrate the noise.
    choices
        See :class:`falx.pet.settings.Correction`: ``method``, ``psf_fwhm_mm``,
        ``smoothing_fwhm_mm``, ``floor``, ``frames``.
    """
    need_head(head, "correct_pet")
    settings = settings_of(Correction, choices)
    with collect_notices() as notices:
        measured = measured_pet(pet, settings.frames, units)
        to_pet = matrix_to(pet if matrix is None else matrix, matrix is None, head, threads)
        tissues = Tissues(head.gm, head.wm, head.csf, head.structures)
        to_t1, rng = np.linalg.inv(to_pet), np.random.default_rng(seed)
        found = correct_measured(measured, to_t1, tissues, settings, rng=rng, threads=threads)
    return CorrectedImage(
        image=as_stored(found.image.data, found.image.affine),
        head=head,
        matrix=to_pet,
        metrics=replace(found.metrics, notices=tuple(notices)),
        noise=found.noise,
        measured=as_stored(measured.image.data, to_t1 @ measured.image.affine),
    )


def asymmetry(
    image: Any,
    head: Head | None = None,
    *,
    quantity: str = "pet",
    matrix: npt.ArrayLike | Coregistered | None = None,
    threads: int = 2,
    **choices: Any,
) -> Asymmetry:
    """Take the asymmetry of an image about the midsagittal plane of the template.

    Parameters
    ----------
    image
        What :func:`correct_pet` returned; or an image with its `head`.
    quantity
        ``"pet"`` (exact zeros are missing), ``"flair"`` or ``"gm"`` (grey-matter fraction).
    matrix
        T1w mm → image mm, or what :func:`coregister` returned; none for an image in T1w space.
    choices
        See :class:`falx.pet.settings.AsymmetrySettings`: ``scale``, ``reference``,
        ``smoothing_fwhm_mm``, ``voxel_mm``.
    """
    of = head if head is not None else getattr(image, "head", None)
    need_head(of, "asymmetry")
    assert isinstance(of, Head)
    check_option("quantity", quantity, QUANTITIES)
    settings = settings_of(AsymmetrySettings, choices)
    grid = normalisation_grid(settings.voxel_mm)
    with collect_notices() as notices:
        if isinstance(image, Coregistered):
            source, to_image = image.image, None
        else:
            source = image_of(image, quantity, ndim=3)
            to_image = None if matrix is None else matrix_to(matrix, False, of, threads)
        place = of._place(grid, threads)
        found = image_asymmetry(
            source,
            place,
            settings,
            quantity=QUANTITIES[quantity],
            reference=settings.reference,
            matrix=to_image,
        )
    return Asymmetry(
        image=as_stored(found.native, place.native.affine),
        template=as_stored(found.index, grid.affine),
        scaled=as_stored(found.scaled.image, grid.affine),
        head=of,
        place=place,
        metrics=replace(found.metrics, notices=tuple(notices)),
        source=image if isinstance(image, CorrectedImage) and quantity == "pet" else None,
    )


def measured_pet(pet: Any, frames: str, units: str | None) -> Pet:
    """Return a PET, its frames averaged; `units` where no sidecar says them."""
    if isinstance(pet, str | PathLike):
        measured = read_pet(Path(pet), frames=frames)
        return replace(measured, units=units or measured.units)
    noise = None
    try:
        image = image_of(pet, "PET")
    except InputError as error:
        if "3D image is needed" not in str(error):
            raise
        image, noise = average_frames(image_of(pet, "PET", ndim=4), frames, None, where="PET")
    return Pet(check_pet(image, where="PET"), units, noise)
