"""What the live view of a patient shows: PET, asymmetry, signature, structures, ablation."""

from __future__ import annotations

import numpy as np

from falx.images.nifti import Image
from falx.report.live_page import LiveImages
from falx.report.patient_view import MapSource, MaskSource

__all__ = ["live_images"]

ORANGE, YELLOW, BLUE, PINK = (242, 142, 43), (242, 208, 43), (84, 145, 214), (230, 96, 176)
PET_LEVELS = 20_000


def live_images(
    t1w: Image,
    brain: Image,
    signature: Image,
    *,
    hippocampus: Image | None,
    amygdala: Image | None,
    title: str = "signature",
    pet: Image | None = None,
    asymmetry: Image | None = None,
    ablation: Image | None = None,
) -> LiveImages:
    """Choose colours and ranges of a patient's images, native T1w space.

    Parameters
    ----------
    t1w, pet, asymmetry
        Maps; the last two may be absent.
    brain, signature, hippocampus, amygdala, ablation
        Masks; hippocampus and amygdala of the side of the focus. The last three may be absent.
    title
        What the signature is called.
    """
    masks = [MaskSource("signature", title, signature, ORANGE, alpha=255)]
    for name, mask, colour in (
        ("hippocampus", hippocampus, YELLOW), ("amygdala", amygdala, BLUE),
    ):  # fmt: skip
        if mask is not None:
            masks.append(MaskSource(name, name, mask, colour, shown=False))
    if ablation is not None:
        masks.append(MaskSource("ablation", "ablation that was made", ablation, PINK, alpha=150))
    maps = []
    if pet is not None:
        high = float(np.quantile(pet.data, 0.999)) or 1.0
        maps.append(
            MapSource("pet", "PET", pet, "hot", 0.3 * high, high, high / PET_LEVELS,
                      unit="in the unit of the PET image")
        )  # fmt: skip
    if asymmetry is not None:
        title = "asymmetry (low here)"
        maps.append(
            MapSource("asymmetry", title, asymmetry, "viridis", 0.06, 0.4, 1e-4, sign=-1,
                      unit="asymmetry index")
        )  # fmt: skip
    return LiveImages(t1w, brain, maps, masks)
