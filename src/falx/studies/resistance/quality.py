"""The quality of the whole sample on one page, where people are left out by hand.

What is measured of everybody in a row, the picture of where their maps lie, and a box to untick;
the page saves the table that the next run of the group level obeys. How alike a map is to all
others is CAT12's check of the sample (Gaser et al. 2024, GigaScience 13:giae049).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from html import escape
from importlib import resources

import numpy as np
import numpy.typing as npt

from falx.core.possible import Percent
from falx.data.priors import template
from falx.images.nifti import Image
from falx.images.resample import resample
from falx.maps.head_size import LOW_HOMOGENEITY_Z, sample_homogeneity
from falx.report.figures import ORANGE, new_figure, png
from falx.report.page import Block, Figure, Notice, Raw, Section, Text

__all__ = [
    "PersonQuality",
    "homogeneity_of",
    "lie_figure",
    "quality_script",
    "quality_sections",
    "tsnr_of",
]

PEOPLE_A_FIGURE = 12
LEVELS_MM = (-30.0, 10.0)
"""Planes of the pictures: through the cerebellum, and through the thalamus."""

BRIGHT_SHARE = 0.3

HEADINGS = {
    "tiv_ml": "head, mL",
    "grey_alike_z": "grey alike, z",
    "mean_fd_mm": "mean FD, mm",
    "spike_percent": "spikes, %",
    "largest_mm": "shift, mm",
    "largest_deg": "turn, degrees",
    "tsnr": "tSNR",
    "dof": "d.f.",
    "fwhm_mm": "FWHM, mm",
    "reho_alike_z": "ReHo alike, z",
}
"""Measures of a person, and what stands above them."""


@dataclass(frozen=True)
class PersonQuality:
    """What is measured of one person; None where there is no run, or fewer than three maps.

    Parameters
    ----------
    include, reason
        ``yes`` or ``no``, and why not: as somebody decided before, or as motion decides.
    grey_alike_z, reho_alike_z
        Mean correlation of a map with all others, as z over people.
    tsnr
        See :func:`tsnr_of`.
    dof, fwhm_mm
        Of the cleaned run: degrees of freedom left, and width of the noise.
    """

    participant_id: str
    include: str
    reason: str
    group: str | None
    tiv_ml: float
    grey_alike_z: float | None = None
    mean_fd_mm: float | None = None
    spike_percent: Percent | None = None
    largest_mm: float | None = None
    largest_deg: float | None = None
    tsnr: float | None = None
    dof: float | None = None
    fwhm_mm: float | None = None
    reho_alike_z: float | None = None

    @property
    def odd(self) -> tuple[str, ...]:
        """Measures that are worth a look: maps unlike all others."""
        z = {"grey_alike_z": self.grey_alike_z, "reho_alike_z": self.reho_alike_z}
        return tuple(k for k, v in z.items() if v is not None and v < LOW_HOMOGENEITY_Z)


def homogeneity_of(maps: Mapping[str, npt.NDArray[np.floating]]) -> dict[str, float]:
    """How alike everybody's map is to all others, as z; nothing for fewer than three.

    Parameters
    ----------
    maps
        By subject, shape (X, Y, Z) each; compared where all are finite and not 0.
    """
    if len(maps) < 3 or len({values.shape for values in maps.values()}) > 1:
        return {}
    stack = np.stack(list(maps.values()))
    held = np.isfinite(stack).all(axis=0) & (stack != 0).all(axis=0)
    if not held.any():
        return {}
    z = sample_homogeneity(stack[:, held]).z
    return dict(zip(maps, map(float, z), strict=True))


def tsnr_of(tsnr: Image, reference: Image) -> float | None:
    """Median over the voxels of a run that are brighter than three tenths of its 98th percentile.

    Those are brain and some scalp, wherever the head lies and whatever the scanner's scale; None
    if there are none.
    """
    bright = reference.data > BRIGHT_SHARE * np.percentile(reference.data, 98)
    inside = tsnr.data[bright & np.isfinite(tsnr.data) & (tsnr.data > 0)]
    return float(np.median(inside)) if inside.size else None


def lie_figure(volumes: Mapping[str, Image]) -> bytes:
    """Draw everybody's grey matter in two planes under the outline of the template; PNG.

    Parameters
    ----------
    volumes
        By subject, in template space.
    """
    rows = -(-2 * len(volumes) // 8)
    figure = new_figure(10.0, 1.7 * rows)
    axes = np.atleast_1d(figure.subplots(rows, 8)).ravel()
    for axis in axes:
        axis.set_axis_off()
    for n, (subject, image) in enumerate(volumes.items()):
        brain = resample(template("brain"), image.grid)
        brightest = float(np.percentile(image.data, 99))
        for k, level_mm in enumerate(LEVELS_MM):
            plane = int(np.rint((level_mm - image.affine[2, 3]) / image.affine[2, 2]))
            plane = min(max(plane, 0), image.data.shape[2] - 1)
            axis = axes[2 * n + k]
            shown = image.data[:, :, plane].T
            axis.imshow(shown, cmap="gray", origin="lower", vmin=0, vmax=brightest)
            if brain[:, :, plane].any():
                axis.contour(brain[:, :, plane].T, [0.5], colors=ORANGE, linewidths=0.7)
            if k == 0:
                axis.set_title(f"sub-{subject}", fontsize=7, loc="left")
    return png(figure)


def quality_sections(
    people: Sequence[PersonQuality], volumes: Mapping[str, Image], left_out: Mapping[str, str]
) -> list[Section]:
    """Lay out the page.

    Parameters
    ----------
    volumes
        Everybody's grey matter in template space.
    left_out
        Decisions that name somebody without maps.
    """
    blocks: list[Block] = [
        Text(
            "Untick whom no map should hold, write why, and save the table; the group level obeys "
            "it with --groups-decisions decisions.tsv. Decide before looking at the results. A "
            "run that motion excludes stays excluded whatever is ticked here; its person still "
            "counts for grey matter."
        ),
        Raw(_table(people)),
    ]
    if odd := [one.participant_id for one in people if one.odd]:
        blocks.insert(
            0,
            Notice([f"Maps unlike all others (z below {LOW_HOMOGENEITY_Z:g}): {', '.join(odd)}"]),
        )
    if left_out:
        named = ", ".join(f"sub-{s}" for s in left_out)
        blocks.append(Notice([f"Decided upon without having a map: {named}"]))
    pictures: list[Block] = []
    subjects = list(volumes)
    for start in range(0, len(subjects), PEOPLE_A_FIGURE):
        chosen = {s: volumes[s] for s in subjects[start : start + PEOPLE_A_FIGURE]}
        pictures.append(
            Figure(lie_figure(chosen), "Grey matter in the template; its outline in orange.")
        )
    return [Section("Who is in", blocks), Section("Where their maps lie", pictures)]


def _table(people: Sequence[PersonQuality]) -> str:
    shown = [k for k in HEADINGS if any(getattr(one, k) is not None for one in people)]
    head = "".join(f"<th>{escape(HEADINGS[key])}</th>" for key in shown)
    rows = "".join(_row(one, shown) for one in people)
    return (
        '<table id="decisions"><thead><tr><th>in</th><th>person</th><th>group</th>'
        f"{head}<th>why not</th></tr></thead><tbody>{rows}</tbody></table>"
        '<p><button type="button" id="save-decisions">Save decisions.tsv</button></p>'
    )


def _row(one: PersonQuality, shown: Sequence[str]) -> str:
    name = escape(one.participant_id)
    ticked = " checked" if one.include == "yes" else ""
    cells = "".join(
        f'<td class="number{" warn" if key in one.odd else ""}">{_number(getattr(one, key))}</td>'
        for key in shown
    )
    return (
        f'<tr data-person="{name}"><td><input type="checkbox" aria-label="{name} is in"{ticked}>'
        f"</td><td>{name}</td><td>{escape(one.group or '–')}</td>{cells}<td><input type="
        f'"text" size="12" aria-label="why {name} is out" value="{escape(one.reason)}"></td></tr>'
    )


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def quality_script(people: Sequence[PersonQuality]) -> str:
    """JavaScript that saves the table as it stands, with all that was measured."""
    columns = [item.name for item in fields(PersonQuality)]
    table = [[getattr(one, name) for name in columns] for one in people]
    source = resources.files("falx.studies.resistance") / "quality.js"
    setup = json.dumps({"columns": columns, "rows": table})
    return f"const QUALITY = {setup};\n{source.read_text(encoding='utf-8')}"
