"""Maps of groups in the live view: three linked planes over the template, and the clusters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from falx.data.priors import template
from falx.images.nifti import Image
from falx.maps.group_summary import FSummary
from falx.report.live_page import LiveImages, live_page
from falx.report.page import Section
from falx.report.patient_view import MapSource
from falx.report.people_values import PeopleValues, packed_people
from falx.studies.compare.sections import HIGHER, LOWER, MapContent, layer_of

__all__ = ["group_live_page"]

MOST = 6
"""Maps in the live view, the first with a listed cluster; more would make the page too large."""


def group_live_page(
    title: str, sections: Sequence[Section], maps: Mapping[str, MapContent]
) -> str:
    """Return the page with its maps over the template behind the first section.

    Parameters
    ----------
    maps
        By name of the comparison, as the layers are called.
    """
    found = {name: content for name, content in maps.items() if content.rows} or maps
    shown = dict(list(found.items())[:MOST])
    brain = template("brain")
    images = LiveImages(
        template("t1"),
        Image(brain.data > 0.5, brain.affine),
        [source for name, content in shown.items() for source in _layers(name, content)],
        (),
        packed_people([one for n, c in shown.items() for one in _people(n, c)]),
    )
    first = next(iter(shown.values()))
    centre = [0.0, -20.0, 10.0]
    if first.rows:
        centre = [first.rows[0].x_mm, first.rows[0].y_mm, first.rows[0].z_mm]
    return live_page(title, sections, images, label="the template", side="left", centre_mm=centre)


def _people(name: str, content: MapContent) -> Iterator[PeopleValues]:
    """Everybody's values of a comparison, as the page packs them."""
    found = content.people
    if found is None:
        return
    values = np.full((*found.mask.shape, len(found.people)), np.nan, np.float32)
    values[found.mask] = found.coded.values()
    yield PeopleValues(
        layer_of(name, 1.0).removesuffix(f"-{HIGHER}"),
        f"{content.title}, {content.summary.contrast}",
        found.people, found.groups, found.grid.affine, values, found.adjust,
    )  # fmt: skip


def _layers(name: str, content: MapContent) -> list[MapSource]:
    """One layer for each sign, from the threshold of the map upwards."""
    summary, image = content.summary, content.image
    of_f = isinstance(summary, FSummary)
    low = summary.critical_f if isinstance(summary, FSummary) else summary.critical_t
    high = max(float(np.abs(image.data).max()), 1.2 * low)
    signs = ((1, HIGHER, "warm"),) if of_f else ((1, HIGHER, "warm"), (-1, LOWER, "winter"))
    return [
        MapSource(
            layer_of(name, sign),
            f"{content.title}, {summary.contrast}" + ("" if of_f else f": {word}"),
            image,
            colours,
            low,
            high,
            high / 200,
            sign,
            "F" if of_f else "t",
        )
        for sign, word, colours in signs
    ]
