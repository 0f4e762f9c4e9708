"""The page of one person of the resistance study: grey matter, motion, cleaning, ReHo."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.anatomy.metrics import CoregistrationMetrics, GreyMetrics
from falx.bold.records import MotionRecord, RehoRecord
from falx.data.priors import template
from falx.images.nifti import Image
from falx.images.warp import CoordinateMap
from falx.report.page import Block, Figure, Notice, Section, Table, Text
from falx.report.provenance import StageRecord, provenance_blocks
from falx.report.slices import Layer, slices
from falx.report.template_space import in_template
from falx.studies.methods.study_text import person_section
from falx.studies.resistance.person_figures import carpet_figure, homogeneity_figure, motion_figure

__all__ = ["PersonContent", "RunContent", "person_sections"]


@dataclass(frozen=True, eq=False)
class RunContent:
    """What is known of a run.

    Parameters
    ----------
    reference, tsnr
        On the grid of the run.
    coregistration
        Of the T1w to the run; None without.
    reho_map
        Kendall's W in template space.
    carpet
        Series before and after cleaning, shape (V, T) each.
    """

    motion: MotionRecord
    reference: Image
    tsnr: Image
    coregistration: CoregistrationMetrics | None = None
    reho: RehoRecord | None = None
    reho_map: Image | None = None
    carpet: tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]] | None = None


@dataclass(frozen=True, eq=False)
class PersonContent:
    """What the page shows.

    Parameters
    ----------
    anatomy_notices
        What the anatomy stage said on the way.
    t1w, gm, wm
        In native T1w space.
    volume
        Smoothed grey-matter volume in template space.
    to_native
        Template grid → T1w mm.
    provenance
        Record of every earlier stage.
    """

    anatomy_notices: Sequence[str]
    grey: GreyMetrics
    t1w: Image
    gm: Image
    wm: Image
    volume: Image
    to_native: CoordinateMap
    run: RunContent | None
    provenance: Mapping[str, StageRecord]


def person_sections(content: PersonContent) -> list[Section]:
    """Lay out the page."""
    run = content.run
    sections = [Section("Result", list(_result(content)))]
    if run is not None:
        sections.append(Section("Head motion", list(_motion(run.motion))))
    sections.append(Section("Grey matter", list(_grey(content))))
    sections.append(Section("The template", list(_template(content.t1w, content.to_native))))
    if run is not None:
        sections.append(Section("The run", list(_run(run, content.wm))))
        if run.reho is not None and run.reho_map is not None and run.carpet is not None:
            blocks = _reho(run.reho, run.reho_map, run.carpet)
            sections.append(Section("Cleaning and regional homogeneity", list(blocks)))
    sections.append(Section("How it was made", provenance_blocks(content.provenance)))
    study = "falx.studies.resistance.study:STUDY"
    sections.append(person_section(study, "", content.provenance))
    return sections


def _notices(content: PersonContent) -> list[str]:
    """Return what was said on the way, each sentence once."""
    said = [*content.anatomy_notices, *content.grey.notices]
    if content.run is not None:
        said += content.run.motion.notices
        said += content.run.reho.notices if content.run.reho is not None else ()
    return list(dict.fromkeys(said))


def _result(content: PersonContent) -> Iterator[Block]:
    grey, run = content.grey, content.run
    yield Text(f"Intracranial volume {grey.tiv_ml:.0f} mL, grey matter {grey.gm_ml:.0f} mL.")
    if run is None:
        yield Notice(["There is no resting run, so neither motion nor ReHo."], "note")
    elif run.motion.excluded:
        reasons = "; ".join(run.motion.reasons)
        yield Notice([f"The run is excluded from group maps: {reasons}."], "fail")
    else:
        yield Text(f"The head moved little enough: mean FD {run.motion.mean_fd_mm:.3f} mm.")
    if run is not None and run.reho is not None:
        reho = run.reho
        yield Text(
            f"Mean ReHo {reho.mean_reho:.3f} over {reho.mask_voxels} voxels; "
            f"{reho.dof_left} of {reho.volumes} degrees of freedom are left."
        )
    if notices := _notices(content):
        yield Notice(notices)


def _grey(content: PersonContent) -> Iterator[Block]:
    grey = content.grey
    yield Table(
        ("grey matter, mL", "white matter, mL", "CSF, mL", "intracranial, mL"),
        [[grey.gm_ml, grey.wm_ml, grey.csf_ml, grey.tiv_ml]],
    )
    layers = [
        Layer(content.gm, "contour", "orange", label="grey matter"),
        Layer(content.wm, "contour", "cyan", label="white matter"),
    ]
    yield Figure(
        slices(content.t1w, layers, offsets_mm=(-20.0, 0.0, 20.0)), "Tissues over the T1w."
    )
    shown = Layer(content.volume, "map", "viridis", 0.1, 1.0, 0.1, "grey-matter volume")
    yield Figure(
        slices(template("t1"), [shown]),
        "Smoothed grey-matter volume in template space: it should follow the cortex.",
    )


def _template(t1w: Image, to_native: CoordinateMap) -> Iterator[Block]:
    warped = in_template(t1w, to_native, voxel_mm=1.5)
    layers = [
        Layer(template("brain"), "contour", "yellow", label="brain of the template"),
        Layer(template("wm"), "contour", "cyan", label="its white matter"),
    ]
    yield Figure(
        slices(warped, layers, offsets_mm=(-20.0, 0.0, 20.0)),
        "Contours of the template over the T1w that was brought to it: they should follow the "
        "edge of the brain and of the white matter.",
    )


def _motion(motion: MotionRecord) -> Iterator[Block]:
    yield Figure(
        motion_figure(motion),
        f"Head motion; {len(motion.spikes)} of {motion.volumes} volumes are spikes.",
    )
    yield Table(
        ("largest shift, mm", "largest turn, °", "mean FD, mm", "spikes, %", "FD > 0.5 mm",
         "excluded"),
        [[motion.largest_translation_mm, motion.largest_rotation_deg,
          motion.mean_fd_mm, motion.spike_percent, motion.volumes_above_0_5_mm,
          motion.excluded]],
        flags=["fail" if motion.excluded else "ok"],
    )  # fmt: skip
    yield Table(
        ("limit, mm and °", "volumes shifted further", "volumes turned further", "either",
         "a study with this limit"),
        [[f"{row.limit:.1f}", row.shifted_volumes, row.turned_volumes, row.volumes,
          "leaves the run out" if row.volumes else "keeps it"]
         for row in motion.beyond_limits],
        caption="How strict a limit on motion the run would pass.",
    )  # fmt: skip
    yield Table(
        ("Power 2012", "Jenkinson 1999", "Van Dijk 2012"),
        [[motion.mean_fd_mm, motion.mean_fd_jenkinson_mm, motion.mean_fd_van_dijk_mm]],
        caption="Mean framewise displacement, mm, by three definitions; spikes and exclusion "
        "go by the first.",
    )


def _run(run: RunContent, white: Image) -> Iterator[Block]:
    mean, ratio, found = run.reference, run.tsnr, run.coregistration
    if found is not None:
        moved = Image(white.data, np.array(found.matrix) @ white.affine)
        yield Figure(
            slices(
                mean,
                [Layer(moved, "contour", "cyan", label="white matter of the T1w")],
                offsets_mm=(-20.0, 0.0, 20.0),
            ),
            "Coregistration: white matter of the T1w over the mean of the realigned run.",
        )
        yield Table(
            ("NMI by the header", "NMI after", "moved, mm", "overlap"),
            [[found.nmi_before, found.nmi_after, found.mean_shift_mm, found.overlap]],
        )
    inside = ratio.data[mean.data > 0.5 * np.percentile(mean.data, 95)]
    high = float(np.percentile(inside, 98))
    yield Figure(
        slices(mean, [Layer(ratio, "map", "magma", 0.0, high, 5.0, "tSNR")]),
        f"Temporal signal-to-noise ratio; median in the head {np.median(inside):.0f}.",
    )


def _reho(
    reho: RehoRecord,
    image: Image,
    carpet: tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]],
) -> Iterator[Block]:
    yield Table(
        ("volumes", "trend", "band", "nuisance", "left"),
        [[reho.volumes, reho.dof_trend, reho.dof_band, reho.dof_nuisance,
          reho.dof_left]],
        caption="How the degrees of freedom were spent.",
    )  # fmt: skip
    yield Table(
        tuple(reho.nuisance_columns),
        [list(reho.nuisance_columns.values())],
        caption=f"Nuisance signals.{_tissues(reho)}",
    )
    yield Figure(
        carpet_figure(*carpet),
        "Every row is a voxel. What is left of vertical stripes is motion or breathing.",
    )
    low, high = reho.reho_quantiles[0], reho.reho_quantiles[-1]
    yield Figure(
        slices(
            template("t1"),
            [Layer(image, "map", "viridis", low, high, 1e-6, "Kendall's W")],
            offsets_mm=(-20.0, 0.0, 20.0),
        ),
        f"Regional homogeneity; {reho.coverage_percent:.1f} % of the brain is covered. "
        f"Residuals are smooth to {', '.join(f'{x:.1f}' for x in reho.residual_fwhm_mm)} mm.",
    )
    yield Figure(
        homogeneity_figure(reho),
        f"Chance is 1/K, the mean of independent series. {_full(reho)} % of the voxels have all "
        f"{reho.neighbours} series; those with fewer lie at the edge of the brain.",
    )


def _tissues(reho: RehoRecord) -> str:
    """Say from how many voxels tissue signals come, and how much of them components hold."""
    voxels = reho.tissue_voxels.items()
    text = f" Inside the tissues: {' and '.join(f'{n} voxels of {name}' for name, n in voxels)}."
    explained = reho.explained_percent.items()
    shares = [f"{sum(parts):.0f} % of {name}" for name, parts in explained if parts]
    return text + (f" Components hold {' and '.join(shares)} variance." if shares else "")


def _full(reho: RehoRecord) -> str:
    full = reho.voxels_by_neighbours.get(str(reho.neighbours), 0)
    return f"{100 * full / reho.mask_voxels:.0f}"
