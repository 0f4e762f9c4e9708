"""Settings of the segmentation, with the defaults of Mo 2025."""

from __future__ import annotations

from dataclasses import dataclass

from falx.core.errors import check_range
from falx.core.settings import check_settings, option

__all__ = ["AFFINE_PRIORS", "Penalties", "SegmentationSettings"]

AFFINE_PRIORS = ("european", "east_asian", "none")


@dataclass(frozen=True)
class Penalties:
    """Weights of the deformation's energy, per mm³ of the head.

    Parameters
    ----------
    absolute
        Squared displacement, 1/mm².
    membrane
        Squared first derivatives.
    bending
        Squared second derivatives, mm².
    shear
        Squared symmetric part of the Jacobian: change of length without rotation (Lamé's mu).
    divergence
        Squared divergence: change of volume (Lamé's lambda).
    """

    absolute: float = 0.0
    membrane: float = 0.001
    bending: float = 0.5
    shear: float = 0.05
    divergence: float = 0.2


@dataclass(frozen=True)
class SegmentationSettings:
    """Settings of :func:`falx.anatomy.segmentation.unified.segment`.

    Parameters
    ----------
    affine_prior
        Expected size of the head relative to the template.
    bias_fwhm_mm
        Shortest width of intensity inhomogeneity that is modelled, mm.
    bias_regularisation
        Precision per mm³ of the white noise whose smoothed image the logarithm of the
        inhomogeneity is taken for.
    sampling_mm
        Distance of the samples to which the model is fitted, mm.
    refine
        Refine the map by :func:`falx.anatomy.refinement.refine`; of the stage, not of the model.
    gaussians
        Number of Gaussians for each of the six classes.
    penalties
        Energy of the deformation.
    relaxation
        Factor on the deformation's energy in the first round; it is halved every round.
    rounds
        Most outer rounds.
    mrf_strength
        Weight of the neighbours in the Markov random field; 0 switches it off.
    clean_up
        Remove grey and white matter that is not connected with the brain.
    """

    affine_prior: str = option("european", help="size of head to expect", choices=AFFINE_PRIORS)
    bias_fwhm_mm: float = option(
        60.0, help="smoothness of the bias field", unit="mm", low=30, high=150
    )
    bias_regularisation: float = option(1e-3, help="weight against a strong bias", low=0, high=10)
    sampling_mm: float = option(3.0, help="spacing of the fit", unit="mm", low=2, high=6)
    refine: bool = option(False, help="refine the map to the template diffeomorphically")
    gaussians: tuple[int, int, int, int, int, int] = (1, 1, 2, 3, 4, 2)
    penalties: Penalties = Penalties()
    relaxation: float = 64.0
    rounds: int = 13
    mrf_strength: float = 1.0
    clean_up: bool = True

    def __post_init__(self) -> None:
        check_settings(self)
        check_range("mrf_strength", self.mrf_strength, 0, 10)
