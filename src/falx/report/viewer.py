"""The live part of a patient's page: volumes, surfaces and what-if data inside the one file."""

from __future__ import annotations

import base64
import gzip
import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

import numpy as np
import numpy.typing as npt

from falx.images.nifti import Image
from falx.report.mesh import Mesh, mz3
from falx.report.page import Raw
from falx.report.people_values import PackedPeople

__all__ = ["Live", "SurfaceLayer", "Viewer", "VolumeLayer", "WhatIf", "is_built", "live_view"]

Colour = tuple[int, int, int]

AZIMUTH = {"left": 250, "right": 110}
"""From where the 3D view looks at first: the side of the focus, a little from behind."""


@dataclass(frozen=True, eq=False)
class VolumeLayer:
    """An image of the three planes; the first is the background.

    Parameters
    ----------
    name, title
        One word for the page's own use, and what a reader calls it.
    image
        Any grid; its values are what a click shows.
    colour
        A colour for a mask, or the name of a NiiVue colour map.
    low, high
        Range of the colour map; below `low` an overlay is not drawn.
    step
        Values are rounded to multiples of this.
    threshold
        Whether a slider moves `low`.
    sign
        -1 if the values were turned so that what is looked for is positive.
    unit
        Unit of the values, for the colour bar.
    values_of
        Name of the layer whose values at a click this one holds; it is never drawn.
    """

    name: str
    title: str
    image: Image
    colour: Colour | str = "gray"
    opacity: float = 1.0
    low: float = 0.0
    high: float = 1.0
    step: float = 1.0
    shown: bool = True
    threshold: bool = False
    sign: int = 1
    values_of: str = ""
    unit: str = ""


@dataclass(frozen=True, eq=False)
class SurfaceLayer:
    """A surface of the 3D view, with its colour and opacity from 0 to 255."""

    name: str
    mesh: Mesh
    rgba: tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class WhatIf:
    """What the page needs to score a plan by the planner's rules.

    Parameters
    ----------
    plan
        Entry, target and burns to start from, as plain values.
    scene
        Plain values: grids, limits, whole counts.
    arrays
        Name to array; the page reads their bytes.
    wanted
        Ablative rate that a plan should reach, 0…1.
    plans
        Plans that may be loaded, each with ``plan``, its name ``title``, the ``words`` that say
        how sure it is, and whether it ``passes``; the panel's colour follows these, for what
        is edited is judged by nobody yet.
    goal
        Plain values: threshold of the rate, and the probabilities that a plan should have.
    """

    plan: Mapping[str, object]
    scene: Mapping[str, object]
    arrays: Mapping[str, npt.NDArray[Any]]
    wanted: float
    plans: Sequence[Mapping[str, Any]] = ()
    goal: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Viewer:
    """Everything that the live view shows; `people` is what a place says of everybody."""

    label: str
    side: str
    centre_mm: Sequence[float]
    layers: Sequence[VolumeLayer]
    surfaces: Sequence[SurfaceLayer] = field(default_factory=tuple)
    what_if: WhatIf | None = None
    people: PackedPeople | None = None


@dataclass(frozen=True)
class Live:
    """A live view as parts of a page: markup with data, script, style.

    Parameters
    ----------
    people_bytes
        How much of the markup is everybody's values.
    """

    markup: Raw
    script: str
    style: str
    people_bytes: int = 0


def is_built() -> bool:
    """Whether the front end was built into this installation."""
    return _asset("viewer.js").is_file()


def live_view(viewer: Viewer) -> Live:
    """Return the live view; :func:`is_built` says whether there is one to return."""
    setup: dict[str, object] = {
        "label": viewer.label,
        "centre": [float(v) for v in viewer.centre_mm],
        "azimuth": AZIMUTH[viewer.side],
        "layers": [_record(layer) for layer in viewer.layers],
        "surfaces": [
            {"id": f"falx-surface-{s.name}", "name": s.name, "rgba": s.rgba}
            for s in viewer.surfaces
        ],
    }
    data = [_data(f"falx-layer-{layer.name}", _nifti(layer)) for layer in viewer.layers]
    data += [_data(f"falx-surface-{s.name}", mz3(s.mesh)) for s in viewer.surfaces]
    if viewer.what_if is not None:
        what_if = viewer.what_if
        setup |= {"plan": what_if.plan, "scene": what_if.scene, "wanted": what_if.wanted}
        setup |= {"plans": list(what_if.plans), "goal": dict(what_if.goal)}
        data += [
            _data(f"falx-{name}", np.ascontiguousarray(array).tobytes())
            for name, array in what_if.arrays.items()
        ]
    people = _people(viewer.people, setup)
    data += people
    text = json.dumps(setup, ensure_ascii=True).replace("</", "<\\/")
    data.append(f'<script type="application/json" id="falx-setup">{text}</script>')
    shown = _text("viewer.html").replace("LABEL", html.escape(viewer.label))
    shown += "" if viewer.what_if is None else _text("what_if.html")
    shown += _text("people.html") if people else ""
    markup = f'{_text("still.html")}<div id="falx-viewer" hidden>\n{shown}</div>\n'
    return Live(
        Raw(markup + "\n".join(data)),
        _text("viewer.js"),
        _text("viewer.css"),
        sum(map(len, people)),
    )


def _people(found: PackedPeople | None, setup: dict[str, object]) -> list[str]:
    """Add everybody's values to the setup and return their data."""
    if found is None or not found.setup:
        return []
    setup |= {"people": list(found.setup), "peopleTold": found.told}
    return [
        _data(f"falx-{name}", np.ascontiguousarray(array).tobytes())
        for name, array in found.arrays.items()
    ]


def _asset(name: str) -> Traversable:
    return resources.files("falx.report") / "assets" / name


def _text(name: str) -> str:
    return _asset(name).read_text(encoding="utf-8")


def _record(layer: VolumeLayer) -> dict[str, object]:
    solid = not isinstance(layer.colour, str)
    return {
        "id": f"falx-layer-{layer.name}",
        "name": layer.name,
        "title": layer.title,
        "colormap": f"falx-{layer.name}" if solid else layer.colour,
        "rgb": layer.colour if solid else None,
        "opacity": layer.opacity,
        "low": layer.low,
        "high": layer.high,
        "shown": layer.shown,
        "threshold": layer.threshold,
        "sign": layer.sign,
        "valuesOf": layer.values_of,
        "unit": layer.unit,
    }


def _nifti(layer: VolumeLayer) -> bytes:
    """Bytes of a NIfTI file in the smallest integer type that holds the layer's steps."""
    import nibabel as nib

    scaled = np.rint(np.asarray(layer.image.data, dtype=np.float64) / layer.step)
    low, high = float(scaled.min()), float(scaled.max())
    if low >= 0 and high <= np.iinfo(np.uint8).max:
        kind: type[np.generic] = np.uint8
    else:
        kind = np.int16 if max(-low, high) <= np.iinfo(np.int16).max else np.int32
    image = nib.nifti1.Nifti1Image(scaled.astype(kind), layer.image.affine)
    image.header.set_slope_inter(layer.step, 0.0)
    image.header.set_xyzt_units("mm")
    return bytes(image.to_bytes())


def _data(name: str, content: bytes) -> str:
    packed = base64.b64encode(gzip.compress(content, 6, mtime=0)).decode()
    return f'<script type="application/octet-stream" id="{name}">{packed}</script>'
