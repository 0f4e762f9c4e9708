"""One person of the resistance study: T1w and resting BOLD with planted changes.

Places and directions are those that Liu et al. 2024 print, NeuroImage 303:120908; no published
source for their size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from falx.core.errors import check_range
from falx.images.nifti import Image
from falx.phantom.bold import BoldPhantom, BoldPlan, bold_run
from falx.phantom.heads import SHIPPED, Head, deformation, load_head, symmetric_head, warp_head
from falx.phantom.intensities import MrQuality, t1w
from falx.phantom.scan import rigid

__all__ = [
    "PLACES",
    "RestingPerson",
    "RestingSpec",
    "place_mask",
    "simulate_person",
    "simulate_resting_cohort",
]

LEFT_CEREBELLAR_CORTEX, RIGHT_CEREBRAL_CORTEX, FLUID = 8, 42, 24

PRECUNEUS_MM = (9.0, -44.0, 13.0)
"""Middle of the right precuneus, mm about the centre of the cerebral white matter."""

PRECUNEUS_RADIUS_MM = 24.0
"""About 12 cm³ of cortex: at P < 0.001 it has to leave a cluster in maps of 4 mm."""

PLACES = ("left posterior cerebellum", "right precuneus")

COARSE_RUN = BoldPlan(
    shape=(34, 42, 32),
    voxel_mm=(5.0, 5.0, 5.0),
    n_volumes=125,
    repetition_time_s=3.0,
    coherence_fwhm_mm=12.0,
    noise_percent=1.2,
)


@dataclass(frozen=True)
class RestingSpec:
    """What is planted in a person.

    Parameters
    ----------
    label
        Subject label, letters and digits.
    group
        Entry of ``participants.tsv``.
    gm_loss
        Share of the cortex of the left posterior cerebellum that is lost.
    cerebellar_coherence, precuneal_coherence
        Factor of the coherent signal in the left posterior cerebellum and in the right
        precuneus; 1 leaves it as it is.
    head
        Shipped head the person is made from.
    deformation_mm
        Root mean square displacement of the deformation that makes the head a new one.
    voxel_mm
        Voxel edge of the T1w, mm.
    run
        How the resting run is taken.
    clinical
        Further columns of ``participants.tsv``.
    """

    label: str = "01"
    group: str = "HC"
    gm_loss: float = 0.0
    cerebellar_coherence: float = 1.0
    precuneal_coherence: float = 1.0
    head: str = "05"
    deformation_mm: float = 3.0
    voxel_mm: float = 2.5
    pose_mm: float = 10.0
    pose_degrees: float = 8.0
    run: BoldPlan = COARSE_RUN
    mr: MrQuality = field(default_factory=MrQuality)
    clinical: Mapping[str, str | float | int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_range("gm_loss", self.gm_loss, 0.0, 0.9)
        check_range("cerebellar_coherence", self.cerebellar_coherence, 0.0, 10.0)
        check_range("precuneal_coherence", self.precuneal_coherence, 0.0, 10.0)
        # A plain copy, unlike a mapping proxy, can be sent to another process.
        object.__setattr__(self, "clinical", dict(self.clinical))


@dataclass(frozen=True, eq=False)
class RestingPerson:
    """Images of one person and the truth behind them.

    Parameters
    ----------
    places
        Name of each of :data:`PLACES` to its mask on the grid of the T1w, before any loss.
    lost_mm3
        Grey matter taken from the left posterior cerebellum.
    t1w_to_bold
        4×4, from the mm of the T1w to the mm of the run's first volume.
    """

    spec: RestingSpec
    t1w: Image
    bold: BoldPhantom
    places: Mapping[str, Image]
    lost_mm3: float
    t1w_to_bold: npt.NDArray[np.float64]


def simulate_resting_cohort(
    sizes: Mapping[str, int], rng: np.random.Generator, *, template: RestingSpec | None = None
) -> tuple[RestingSpec, ...]:
    """Specify a cohort in which the first group named carries every change.

    Parameters
    ----------
    sizes
        People by group, as ``{"DRE": 8, "HC": 8}``; the group called ``HC`` has no epilepsy.
    template
        Holds what is common to all (voxel size, run, image quality).
    """
    common = template or RestingSpec()
    changed = next(iter(sizes))
    groups = [group for group, n in sizes.items() for _ in range(n)]
    specs = []
    for k, group in enumerate(groups):
        one = replace(
            common,
            label=f"{k + 1:02d}",
            group=group,
            head=SHIPPED[k % len(SHIPPED)],
            clinical=_clinical(rng, k, patient=group != "HC"),
        )
        if group == changed:
            one = replace(one, gm_loss=0.45, cerebellar_coherence=0.2, precuneal_coherence=4.0)
        specs.append(one)
    return tuple(specs)


def simulate_person(
    spec: RestingSpec, rng: np.random.Generator, *, head: Head | None = None
) -> RestingPerson:
    """Simulate the T1w and the resting run of one person.

    Parameters
    ----------
    head
        Base head; the shipped one that `spec` names if absent.
    """
    whole = symmetric_head(head or load_head(spec.head), voxel_mm=spec.voxel_mm)
    if spec.deformation_mm > 0:
        field_ = deformation(whole.grid, rng, amplitude_mm=spec.deformation_mm)
        whole = warp_head(whole, field_)
    places = {name: place_mask(whole, name) for name in PLACES}
    diseased = _thinned(whole, places[PLACES[0]], spec.gm_loss)
    at_t1w, at_bold = (
        rigid(rng, shift_mm=spec.pose_mm, turn_degrees=spec.pose_degrees) for _ in range(2)
    )
    affine = at_t1w @ whole.grid.affine
    lost = np.count_nonzero(places[PLACES[0]] & ~diseased.fraction("GM"))
    return RestingPerson(
        spec=spec,
        t1w=Image(t1w(diseased, rng, spec.mr), affine),
        bold=_run(spec, diseased, places, at_bold @ whole.grid.affine, rng),
        places={name: Image(mask, affine) for name, mask in places.items()},
        lost_mm3=float(lost * whole.grid.voxel_volume_mm3),
        t1w_to_bold=at_bold @ np.linalg.inv(at_t1w),
    )


def place_mask(head: Head, name: str) -> npt.NDArray[np.bool_]:
    """Grey matter of one of :data:`PLACES`, shape of the head.

    The cerebellar place is the rear half of the cerebellar cortex of the left side; the
    precuneal one is what lies within 24 mm of its middle in the cortex of the right side.
    """
    points = head.grid.centres_mm()
    if name == PLACES[0]:
        cortex = head.mask(LEFT_CEREBELLAR_CORTEX)
        return np.asarray(cortex & (points[..., 1] < np.median(points[cortex][:, 1])))
    cortex = head.mask(RIGHT_CEREBRAL_CORTEX)
    return np.asarray(
        cortex & (np.linalg.norm(points - PRECUNEUS_MM, axis=-1) < PRECUNEUS_RADIUS_MM)
    )


def _run(
    spec: RestingSpec,
    head: Head,
    places: Mapping[str, npt.NDArray[np.bool_]],
    affine: npt.NDArray[np.float64],
    rng: np.random.Generator,
) -> BoldPhantom:
    """Take the resting run, the head lying as `affine` says."""
    coherence = np.ones(head.labels.shape, np.float32)
    coherence[places[PLACES[0]]] = spec.cerebellar_coherence
    coherence[places[PLACES[1]]] = spec.precuneal_coherence
    gm, wm, csf = (
        Image(head.fraction(tissue).astype(np.float32), affine) for tissue in ("GM", "WM", "CSF")
    )
    return bold_run(gm, wm, csf, spec.run, rng, coherence=Image(coherence, affine))


def _thinned(head: Head, place: npt.NDArray[np.bool_], share: float) -> Head:
    """Turn a share of the grey matter of a place to fluid, its outermost voxels first."""
    voxels = np.argwhere(place)
    depth = ndimage.distance_transform_edt(head.tissues() != 2, sampling=head.grid.voxel_sizes_mm)
    order = np.argsort(depth[tuple(voxels.T)], kind="stable")
    gone = voxels[order[: round(share * len(voxels))]]
    labels = head.labels.copy()
    labels[tuple(gone.T)] = FLUID
    return Head(labels, head.affine)


def _clinical(
    rng: np.random.Generator, k: int, *, patient: bool
) -> Mapping[str, str | float | int]:
    age = int(rng.integers(18, 55))
    common: dict[str, str | float | int] = {"age": age, "sex": str(rng.choice(["F", "M"]))}
    if not patient:
        return common
    onset = int(rng.integers(3, age - 1))
    kind = "TLE" if k % 2 else "IGE"
    return {**common, "epilepsy_type": kind, "onset_age": onset, "duration": age - onset}
