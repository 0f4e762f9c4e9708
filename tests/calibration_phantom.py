"""Cheap patients to study the signature: true tissue maps, true template map, PET redrawn."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from falx.atlas.freesurfer_numbers import MESIAL, MESIAL_NUMBERS, PAIRS
from falx.core.grid import Grid, Side, apply_affine, normalisation_grid
from falx.images.nifti import Image
from falx.images.resample import sample
from falx.images.smooth import smooth
from falx.pet.asymmetry import Asymmetry
from falx.pet.calibrated import Calibrated, Calibration, calibrated_signature
from falx.pet.decoy import NullMaps
from falx.pet.finding import Foci, named_outline, probability_on_t1w
from falx.pet.maps import Place, normalise, scaled_asymmetry
from falx.pet.named import named_region
from falx.pet.noise import Chain, corrected_noise, measure_noise, noise_maps
from falx.pet.norms import healthy_maps
from falx.pet.precision import asymmetry_standard_errors
from falx.pet.pvc import Corrected, correct, spread_fractions
from falx.pet.regions import grey_regions, regional_asymmetry
from falx.pet.scaling import Scaled
from falx.pet.shares import ErrorDraws, false_shares
from falx.phantom.asymmetry import with_healthy_asymmetry
from falx.phantom.cohort import as_in_people
from falx.phantom.heads import SHIPPED, Head, deformation, load_head, symmetric_head, warp_head
from falx.phantom.intensities import smooth_noise
from falx.phantom.lesion import atrophy
from falx.phantom.patient import PatientSpec
from falx.phantom.pet import ACTIVITY, PetQuality, activity, mesial_region, miscorrected
from falx.phantom.scan import rescan, rigid
from falx.surgery.outcome.rate_interval import (
    RateErrors,
    RateInterval,
    rate_intervals,
    signed_distance_mm,
)

PARTS = ("mesial", "front", "hippocampus", "cortex")
UNSEEN_DICE = {"hippocampus": 0.959, "amygdala": 0.894}
"""Medians of both sides over 14 heads in no prior: docs/methods/anatomy.md."""

GM_FLOOR, SMOOTHING_MM, VOXEL_MM = 0.2, 6.0, 2.0
SETTINGS = Calibration()
CORTEX = (*PAIRS["cerebral cortex"], *PAIRS["cerebellar cortex"])


def planted_region(head: Head, side: Side, part: str, rng: np.random.Generator) -> np.ndarray:
    """Where a focus is planted."""
    mesial = mesial_region(head, side)
    grid = head.grid
    mm = grid.centres_mm()
    if part == "front":
        return mesial & (mm[..., 1] > np.median(mm[mesial][:, 1]))
    if part == "hippocampus":
        return head.mask(MESIAL[side][0])
    if part == "cortex":
        away = ndimage.distance_transform_edt(~mesial, sampling=grid.voxel_sizes_mm) > 25.0
        own = mm[..., 0] < -15.0 if side == "left" else mm[..., 0] > 15.0
        cortex = head.mask(*PAIRS["cerebral cortex"]) & own
        centre = mm[cortex & away][rng.integers(np.count_nonzero(cortex & away))]
        near = np.linalg.norm(mm - centre, axis=-1)
        order = np.sort(near[cortex])
        return cortex & (near <= order[int(3000.0 / grid.voxel_volume_mm3)])
    return mesial


def traced_labels(head: Head, rng: np.random.Generator) -> np.ndarray:
    """Labels of a head with the mesial outlines a little off, as a segmentation draws them.

    The outline of each structure is moved by a smooth random field (FWHM 8 mm), so far that its
    Dice with the true one is :data:`UNSEEN_DICE`, and its volume is wrong by 5 % (SD). What it
    gains is taken from all others, and what it loses becomes what lies nearest.
    """
    labels, sizes_mm = head.labels.copy(), head.grid.voxel_sizes_mm
    for side in ("left", "right"):
        for number, dice in zip(MESIAL[side], UNSEEN_DICE.values(), strict=True):
            true = head.labels == number
            depth = smooth(true.astype(np.float32), sizes_mm, 3.0)
            grain = smooth_noise(head.grid, rng, fwhm_mm=8.0)
            size = int(np.count_nonzero(true) * np.exp(0.05 * rng.standard_normal()))
            near, (low, high) = depth > 0.02, (0.0, 1.0)
            for _ in range(12):  # the wider, the lower the Dice
                middle = 0.5 * (low + high)
                moved = np.where(near, depth + np.float32(middle) * grain, -np.inf)
                drawn = moved >= np.partition(moved, -size, axis=None)[-size]
                shared = 2.0 * np.count_nonzero(drawn & true)
                worse = shared / (size + np.count_nonzero(true)) < dice
                low, high = (low, middle) if worse else (middle, high)
            nearest = ndimage.distance_transform_edt(
                true, return_distances=False, return_indices=True
            )
            labels[true & ~drawn] = head.labels[tuple(nearest)][true & ~drawn]
            labels[drawn & ~true] = number
    return labels


@dataclass(frozen=True)
class Rate:
    """Ablative rate of the hippocampus: by the mask, its interval, and of what was planted."""

    point: float | None
    interval: RateInterval
    true: float


@dataclass(frozen=True, eq=False)
class Found:
    """What a draw of noise gave, with precision, sensitivity and share of normal grey matter.

    `stated` is the expected false share of the mask, `shares` are draws of it.
    """

    signature: Calibrated
    precision: float
    sensitivity: float
    marked: float
    shares: np.ndarray
    rate: Rate
    stated: float


@dataclass(frozen=True, eq=False)
class Drawn:
    """One PET of a phantom as measured, its asymmetry, its null maps, and what the regions say."""

    measured: Image
    asymmetry: Asymmetry
    maps: NullMaps
    image: np.ndarray
    regional: dict[str, dict[Side, float]]
    regional_se: dict[str, float]


class Phantom:
    """One head with or without a focus, by default the mesial temporal one of the demonstration.

    `part` of the focus: ``"mesial"`` (hippocampus and amygdala), ``"front"`` (their front half),
    ``"hippocampus"``, or ``"cortex"`` (3 ml of cortex at random, not near the former). With
    `traced` the signature knows the mesial outlines as a segmentation does; `as_people` the
    activities, the depth of a focus and the scanner with its errors are drawn as in people, and
    the point spread is stated as it is.
    """

    def __init__(
        self,
        seed: int,
        *,
        depth: float = 0.25,
        lost: float = 0.2,
        part: str = "mesial",
        traced: bool = False,
        as_people: bool = False,
    ) -> None:
        rng = np.random.default_rng(seed)
        self.quality, uptake = PetQuality(), "usual"
        if as_people:
            own = np.random.default_rng([seed, 5])
            spec = as_in_people(PatientSpec("01", "left", depth=depth), own)
            depth, self.quality, uptake = spec.depth, spec.pet, spec.uptake
        self.side: Side = ("left", "right")[seed % 2]
        head = symmetric_head(load_head(SHIPPED[seed % 3]), voxel_mm=VOXEL_MM)
        head = warp_head(head, deformation(head.grid, rng, amplitude_mm=3.0))
        self.exact = activity(head, rng, uptake=uptake)
        self.planted = np.zeros(head.labels.shape, bool)
        if depth > 0:
            self.planted = planted_region(head, self.side, part, rng)
            self.exact = np.where(self.planted, (1 - depth) * self.exact, self.exact)
            if part == "mesial":
                diseased = atrophy(head, MESIAL[self.side][0], lost)
                gone = (diseased.labels == 24) & (head.labels != 24)
                self.exact = np.where(gone, np.float32(0.1), self.exact).astype(np.float32)
                self.planted &= ~gone
                head = diseased
            self.exact = self.exact.astype(np.float32)
        self.head: Head = head
        self.labels = traced_labels(head, np.random.default_rng(seed)) if traced else head.labels
        self.pose = rigid(rng)
        affine = head.affine
        tissues = [Image(head.fraction(t).astype(np.float32), affine) for t in ("GM", "WM", "CSF")]
        gained = np.isin(self.labels, MESIAL_NUMBERS)
        lost_grey = np.isin(head.labels, MESIAL_NUMBERS) & ~gained
        lost_grey &= ~np.isin(self.labels, CORTEX)
        seen = np.where(lost_grey, 0.0, np.where(gained, 1.0, tissues[0].data))
        self.gm = Image(seen.astype(np.float32), affine)
        self.pet_grid: Grid = self.blurred(self.exact).grid
        self.to_head = np.linalg.inv(self.pose)
        self.spread = spread_fractions(
            *tissues, grey_regions(head.labels, head.grid.voxel_sizes_mm),
            self.pet_grid, self.to_head, fwhm_mm=self.quality.psf_fwhm_mm,
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
            Image(np.where(brain, self.labels, 0).astype(np.int16), head.affine),
            (template.centres_mm() - shift).astype(np.float32),
            (head.grid.centres_mm() + shift).astype(np.float32),
        )

    def blurred(self, exact: np.ndarray) -> Image:
        seen = smooth(exact, self.head.grid.voxel_sizes_mm, self.quality.psf_fwhm_mm)
        seen = miscorrected(seen, self.head.grid, self.quality)
        return rescan(seen, self.head.grid, self.pose, self.quality.voxel_mm)

    def observed(
        self, rng: np.random.Generator, *, people: bool, attenuation: float = 0.0
    ) -> np.ndarray:
        """Draw a PET as measured; `people` adds a healthy person's asymmetry.

        `attenuation` is the slope of an error from left to right, by 100 mm.
        """
        exact = with_healthy_asymmetry(self.exact, self.head, rng) if people else self.exact
        clean = self.blurred(exact).data
        if attenuation:
            x_mm = self.pet_grid.centres_mm()[..., 0] - self.pose[0, 3]
            clean = clean * (1.0 + attenuation * x_mm / 100.0).astype(np.float32)
        grain = smooth_noise(self.pet_grid, rng, fwhm_mm=self.quality.noise_fwhm_mm)
        level = self.quality.noise * (0.3 * ACTIVITY[0][1] + 0.7 * np.maximum(clean, 0.0))
        return np.maximum(clean + level * grain, 0.0).astype(np.float32)

    def asymmetry(self, observed: np.ndarray) -> tuple[Corrected, Scaled, Asymmetry]:
        """Correct a PET, and take its asymmetry in template space."""
        result = correct(observed, self.spread)
        image = Image(result.image, self.to_head @ self.pet_grid.affine)
        normal = normalise(image, result.defined, self.place, smoothing_fwhm_mm=SMOOTHING_MM)
        return result, *scaled_asymmetry(normal, normal.defined, "proportional")

    def null_maps(
        self, observed: np.ndarray, result: Corrected, scaled: Scaled, rng: np.random.Generator
    ) -> NullMaps:
        """Measure the noise of a PET, and draw maps of it and of healthy asymmetry."""
        noise = measure_noise(observed, self.pet_grid, self.spread, result.activities, rng)
        noise = corrected_noise(noise, self.spread.gm, result.defined, self.to_head)
        chain = Chain(self.place, scaled.image * scaled.mean, SMOOTHING_MM)
        return NullMaps(
            noise_maps(noise, chain, SETTINGS.draws, rng),
            healthy_maps(chain, SETTINGS.draws, rng),
        )

    def draw(self, rng: np.random.Generator, *, people: bool, attenuation: float = 0.0) -> Drawn:
        """Draw a PET with its asymmetry and its null maps."""
        observed = self.observed(rng, people=people, attenuation=attenuation)
        result, scaled, asymmetry = self.asymmetry(observed)
        return Drawn(
            Image(observed, self.to_head @ self.pet_grid.affine),
            asymmetry,
            self.null_maps(observed, result, scaled, rng),
            scaled.image * scaled.mean,
            regional_asymmetry(result.activities, self.spread),
            asymmetry_standard_errors(observed, self.pet_grid, self.spread, result.activities),
        )

    def sought(
        self, drawn: Drawn, rng: np.random.Generator, side: Side | None
    ) -> tuple[Calibrated, np.ndarray]:
        """Seek foci in it, on a declared side or on both; also their probability on the T1w."""
        grey, place = self.place.to_template(self.gm), self.place
        region = None
        if side is not None:
            labels = place.to_template(place.labels, how="nearest")
            labels = np.where(grey > GM_FLOOR, labels, 0)
            chain = Chain(place, drawn.image, SMOOTHING_MM)
            region = named_region(
                "mesial temporal", side, labels, grey, chain, self.quality.psf_fwhm_mm
            )
        found = calibrated_signature(
            drawn.asymmetry.index, grey > GM_FLOOR, drawn.maps, SETTINGS, side=side, rng=rng,
            region=region,
        )  # fmt: skip
        native = probability_on_t1w(found, place, drawn.asymmetry.valid)
        return found, np.where(self.gm.data > GM_FLOOR, native, np.float32(0))

    def find(self, rng: np.random.Generator, *, people: bool, attenuation: float = 0.0) -> Found:
        """Draw a PET and find its signature."""
        return self.found_in(self.draw(rng, people=people, attenuation=attenuation), rng)

    def found_in(self, drawn: Drawn, rng: np.random.Generator) -> Found:
        """Find the signature of a drawn PET on the declared side."""
        found, native = self.sought(drawn, rng, self.side)
        mask = native > 0.5
        errors = ErrorDraws(drawn.maps, found.widened)
        shares = false_shares(found, errors, 200, rng, named_outline(found, mask, self.place))
        stated = float(1.0 - native[mask].mean()) if mask.any() else 0.0
        rate = self._rate(
            Foci(found, native, mask, (), np.zeros(mask.shape, np.int16)), errors, rng
        )
        return self._scored(found, mask, shares, rate, stated)

    def _rate(self, foci: Foci, errors: ErrorDraws, rng: np.random.Generator) -> Rate:
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
            foci, errors, self.place, drawn, {"hippocampus": allowed}, settings, rng
        )["hippocampus"]
        whole = float(foci.probability[hippocampus].sum())
        taken = float(foci.probability[hippocampus & drawn.data].sum())
        point = taken / whole if (foci.mask & hippocampus).any() else None
        return Rate(point, interval, float(burnt.mean()) if burnt.size else 0.0)

    def _scored(
        self, found: Calibrated, mask: np.ndarray, shares: np.ndarray, rate: Rate, stated: float
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
            stated,
        )
