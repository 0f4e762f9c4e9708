"""Cheap patients to study the signature: true tissue maps, true template map, PET redrawn."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from falx.atlas.freesurfer_numbers import MESIAL, PAIRS
from falx.core.grid import Grid, Side, apply_affine, normalisation_grid
from falx.images.nifti import Image
from falx.images.resample import sample
from falx.images.smooth import smooth
from falx.pet.calibrated import (
    Calibrated,
    Calibration,
    ErrorDraws,
    calibrated_signature,
    false_shares,
)
from falx.pet.decoy import NullMaps
from falx.pet.finding import Foci
from falx.pet.maps import Place, normalise, scaled_asymmetry
from falx.pet.noise import Chain, corrected_noise, measure_noise, noise_maps
from falx.pet.norms import healthy_maps
from falx.pet.pvc import correct, spread_fractions
from falx.pet.regions import grey_regions
from falx.phantom.asymmetry import with_healthy_asymmetry
from falx.phantom.heads import SHIPPED, Head, deformation, load_head, symmetric_head, warp_head
from falx.phantom.intensities import smooth_noise
from falx.phantom.lesion import atrophy
from falx.phantom.pet import ACTIVITY, PetQuality, activity, mesial_region
from falx.phantom.scan import rescan, rigid
from falx.surgery.outcome.rate_interval import (
    RateErrors,
    RateInterval,
    rate_intervals,
    signed_distance_mm,
)

GM_FLOOR, SMOOTHING_MM, PSF_MM, VOXEL_MM = 0.2, 6.0, 6.0, 2.0
SETTINGS = Calibration()


@dataclass(frozen=True)
class Rate:
    """Ablative rate of the hippocampus: by the mask, its interval, and of what was planted."""

    point: float | None
    interval: RateInterval
    true: float


@dataclass(frozen=True, eq=False)
class Found:
    """What a draw of noise gave, with precision, sensitivity and share of normal grey matter.

    `shares` are draws of the false share of the mask.
    """

    signature: Calibrated
    precision: float
    sensitivity: float
    marked: float
    shares: np.ndarray
    rate: Rate


class Phantom:
    """One head with or without a mesial temporal focus, as the demonstration plants it."""

    def __init__(self, seed: int, *, depth: float = 0.25, lost: float = 0.2) -> None:
        rng = np.random.default_rng(seed)
        self.side: Side = ("left", "right")[seed % 2]
        head = symmetric_head(load_head(SHIPPED[seed % 3]), voxel_mm=VOXEL_MM)
        head = warp_head(head, deformation(head.grid, rng, amplitude_mm=3.0))
        self.exact, self.planted = activity(head, rng), np.zeros(head.labels.shape, bool)
        if depth > 0:
            self.planted = mesial_region(head, self.side)
            self.exact = np.where(self.planted, (1 - depth) * self.exact, self.exact)
            diseased = atrophy(head, MESIAL[self.side][0], lost)
            gone = (diseased.labels == 24) & (head.labels != 24)
            self.exact = np.where(gone, np.float32(0.1), self.exact).astype(np.float32)
            self.planted &= ~gone
            head = diseased
        self.head: Head = head
        self.pose, self.quality = rigid(rng), PetQuality()
        affine = head.affine
        tissues = [Image(head.fraction(t).astype(np.float32), affine) for t in ("GM", "WM", "CSF")]
        self.gm = tissues[0]
        self.pet_grid: Grid = self.blurred(self.exact).grid
        self.to_head = np.linalg.inv(self.pose)
        self.spread = spread_fractions(
            *tissues, grey_regions(head.labels, head.grid.voxel_sizes_mm),
            self.pet_grid, self.to_head, fwhm_mm=PSF_MM,
        )  # fmt: skip

    @cached_property
    def place(self) -> Place:
        """The true way to a template: a shift of the brain's middle into the template's box."""
        head, template = self.head, normalisation_grid(VOXEL_MM)
        cortex = head.mask(*PAIRS["cerebral cortex"], *PAIRS["cerebellar cortex"])
        mm = apply_affine(head.affine, np.argwhere(cortex))
        shift = np.array([0.0, -18.0, 4.0]) - 0.5 * (mm.min(axis=0) + mm.max(axis=0))
        shift[0] = 0.0
        brain = head.tissues() <= 2
        return Place(
            head.grid,
            template,
            Image(brain.astype(np.float32), head.affine),
            Image(np.where(brain, head.labels, 0).astype(np.int16), head.affine),
            (template.centres_mm() - shift).astype(np.float32),
            (head.grid.centres_mm() + shift).astype(np.float32),
        )

    def blurred(self, exact: np.ndarray) -> Image:
        seen = smooth(exact, self.head.grid.voxel_sizes_mm, self.quality.psf_fwhm_mm)
        return rescan(seen, self.head.grid, self.pose, self.quality.voxel_mm)

    def find(self, rng: np.random.Generator, *, people: bool) -> Found:
        """Draw a PET and find its signature; `people` adds a healthy person's asymmetry."""
        exact = with_healthy_asymmetry(self.exact, self.head, rng) if people else self.exact
        clean = self.blurred(exact).data
        grain = smooth_noise(self.pet_grid, rng, fwhm_mm=self.quality.noise_fwhm_mm)
        level = self.quality.noise * (0.3 * ACTIVITY[0][1] + 0.7 * np.maximum(clean, 0.0))
        observed = np.maximum(clean + level * grain, 0.0).astype(np.float32)
        result = correct(observed, self.spread)
        image = Image(result.image, self.to_head @ self.pet_grid.affine)
        normal = normalise(image, result.defined, self.place, smoothing_fwhm_mm=SMOOTHING_MM)
        scaled, asymmetry = scaled_asymmetry(normal, normal.defined, "proportional")
        noise = measure_noise(observed, self.pet_grid, self.spread, result.activities, rng)
        noise = corrected_noise(noise, self.spread.gm, result.defined, self.to_head)
        chain = Chain(self.place, scaled.image * scaled.mean, SMOOTHING_MM)
        maps = NullMaps(
            noise_maps(noise, chain, SETTINGS.draws, rng),
            healthy_maps(chain, SETTINGS.draws, rng),
        )
        grey = self.place.to_template(self.gm) > GM_FLOOR
        found = calibrated_signature(
            asymmetry.index, grey, maps, SETTINGS, side=self.side, rng=rng
        )
        native, _ = self.place.to_native(found.probability, asymmetry.valid)
        mask = (native > 0.5) & (self.gm.data > GM_FLOOR)
        shares = false_shares(found, asymmetry.index, ErrorDraws(maps, found.widened), 200, rng)
        errors = ErrorDraws(maps, found.widened)
        index, _ = self.place.to_native(asymmetry.index, asymmetry.valid)
        rate = self._rate(Foci(found, native, mask, ()), errors, index, rng)
        return self._scored(found, mask, shares, rate)

    def _rate(
        self, foci: Foci, errors: ErrorDraws, index: np.ndarray, rng: np.random.Generator
    ) -> Rate:
        """Ablate the front of the hippocampus; what was really burnt lies a little beside it."""
        settings, affine = RateErrors(), self.head.affine
        hippocampus = self.head.mask(MESIAL[self.side][0])
        y_mm = self.head.grid.centres_mm()[..., 1]
        front = hippocampus & (y_mm > np.quantile(y_mm[hippocampus], rng.uniform(0.2, 0.6)))
        drawn = Image(ndimage.binary_dilation(front, iterations=1), affine)
        at = self.head.grid.centres_mm()[hippocampus & self.planted]
        shift = settings.shift_sd_mm * rng.standard_normal(3)
        edge = settings.edge_sd_mm * rng.standard_normal()
        burnt = sample(signed_distance_mm(drawn), at - shift, outside=1e3) <= edge
        allowed = hippocampus & (self.gm.data > GM_FLOOR)
        interval = rate_intervals(
            foci, errors, index, self.place, drawn, {"hippocampus": allowed}, settings, rng
        )["hippocampus"]
        inside = foci.mask & hippocampus
        whole = np.count_nonzero(inside)
        point = np.count_nonzero(inside & drawn.data) / whole if whole else None
        return Rate(point, interval, float(burnt.mean()) if burnt.size else 0.0)

    def _scored(
        self, found: Calibrated, mask: np.ndarray, shares: np.ndarray, rate: Rate
    ) -> Found:
        hit = np.count_nonzero(mask & self.planted)
        x_mm = self.place.to_template_mm[..., 0]
        own = (x_mm < 0) if self.side == "left" else (x_mm > 0)
        normal = (self.gm.data > GM_FLOOR) & own & ~self.planted
        return Found(
            found,
            hit / max(np.count_nonzero(mask), 1),
            hit / max(np.count_nonzero(self.planted), 1),
            np.count_nonzero(mask & normal) / np.count_nonzero(normal),
            shares,
            rate,
        )
