"""Settings of the segmentation, with the defaults of Mo 2025."""

from __future__ import annotations

from dataclasses import dataclass

from falx.core.errors import check_option, check_range

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
    gaussians
        Number of Gaussians for each of the six classes.
    bias_fwhm_mm
        Shortest width of intensity inhomogeneity that is modelled, mm.
    bias_regularisation
        Precision per mm³ of the white noise whose smoothed image the logarithm of the
        inhomogeneity is taken for.
    penalties
        Energy of the deformation.
    affine_prior
        Expected size of the head relative to the template: ``european``, ``east_asian``
        or ``none``.
    sampling_mm
        Distance of the samples to which the model is fitted, mm.
    relaxation
        Factor on the deformation's energy in the first round; it is halved every round.
    rounds
        Most outer rounds.
    mrf_strength
        Weight of the neighbours in the Markov random field; 0 switches it off.
    clean_up
        Remove grey and white matter that is not connected with the brain.
    """

    gaussians: tuple[int, int, int, int, int, int] = (1, 1, 2, 3, 4, 2)
    bias_fwhm_mm: float = 60.0
    bias_regularisation: float = 0.001
    penalties: Penalties = Penalties()
    affine_prior: str = "european"
    sampling_mm: float = 3.0
    relaxation: float = 64.0
    rounds: int = 12
    mrf_strength: float = 1.0
    clean_up: bool = True

    def __post_init__(self) -> None:
        check_option("affine_prior", self.affine_prior, AFFINE_PRIORS)
        check_range("bias_fwhm_mm", self.bias_fwhm_mm, 20, 500, unit="mm")
        check_range("bias_regularisation", self.bias_regularisation, 0, 1e3)
        check_range("sampling_mm", self.sampling_mm, 1, 8, unit="mm")
        check_range("mrf_strength", self.mrf_strength, 0, 10)
