"""What a series of a patient's folder seems to be; the user confirms it.

The words are those of scanners' protocols as vendors deliver them and hospitals change them; the
ranges of times separate the usual weightings at 1.5 and 3 T: no published source.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Appearance", "appearance", "with_contrast"]

T1 = (
    "t1",
    "t1w",
    "mprage",
    "bravo",
    "spgr",
    "tfe",
    "brainvar",
    "mp2rage",
    "fspgr",
    "vibe",
    "ffe3d",
)
FLAIR = ("flair", "tirm", "darkfluid", "brainview")
PET = ("fdg", "pet", "suv")
CONTRAST = ("gd", "gad", "gado", "gadolinium", "ce", "contrast", "km", "gadovist", "dotarem",
            "gadavist", "prohance", "post", "c")  # fmt: skip
AFTER = ("postop", "postoperative", "posttherapy", "postlitt", "ablation", "litt")
UNCORRECTED = ("nac", "uncorrected", "noac")
OTHER = ("localizer", "localiser", "scout", "survey", "mip", "ct", "topogram", "dwi", "dti", "adc",
         "swi", "bold", "asl", "phase", "projection", "screen", "report", "trace")  # fmt: skip
LEAST_SLICES, THICK_MM = 20, 3.0
"""A stack of fewer slices is no head; thicker ones hide the hippocampus."""


@dataclass(frozen=True)
class Appearance:
    """What a series seems to be.

    Parameters
    ----------
    role
        ``"t1w"``, ``"flair"``, ``"pet"``, or empty.
    words
        For people: ``"FDG-PET, dynamic (20 frames), not attenuation-corrected"``.
    contrast, after
        Whether it seems to be with contrast medium, and after the operation.
    score
        Larger where several series seem to have one role and this is the better one.
    doubts
        What speaks against using it, in clauses.
    """

    role: str
    words: str
    contrast: bool = False
    after: bool = False
    score: int = 0
    doubts: tuple[str, ...] = ()


def appearance(
    description: str,
    sidecar: Mapping[str, object],
    shape: Sequence[int],
    spacing_mm: Sequence[float],
) -> Appearance:
    """Judge a series by its description, its sidecar and its grid.

    Parameters
    ----------
    description
        Of the series, or the name of a file.
    sidecar
        Fields of dcm2niix; none for a file without one.
    shape, spacing_mm
        Voxels along each axis, length 3, or 4 with the frames; their distances, mm, length 3.

    Examples
    --------
    >>> appearance("T1 MPRAGE sag", {"Modality": "MR"}, (176, 256, 256), (1, 1, 1)).words
    'T1w'
    """
    words = _words(description)
    frames = int(shape[3]) if len(shape) > 3 else 1
    kind = str(sidecar.get("Modality", ""))
    if min(shape[:3]) < LEAST_SLICES:
        return Appearance("", f"too few slices for a head ({min(shape[:3])})")
    if words & set(OTHER) or kind not in ("", "MR", "PT"):
        return Appearance("", f"another kind of image ({kind or 'by its name'})")
    doubts = _thick(spacing_mm)
    if kind == "PT" or (kind == "" and _speaks(words, description, PET)):
        return _pet(words, sidecar, frames, doubts)
    if frames > 1:
        return Appearance("", f"a series of {frames} volumes")
    if _speaks(words, description, FLAIR) or (not words & set(T1) and _weighted(sidecar, "flair")):
        return Appearance("flair", "FLAIR", after=_after(words), score=-len(doubts), doubts=doubts)
    if _speaks(words, description, T1) or _weighted(sidecar, "t1w"):
        return _t1w(description, words, sidecar, doubts)
    return Appearance("", "not recognised")


def _pet(
    words: set[str], sidecar: Mapping[str, object], frames: int, doubts: tuple[str, ...]
) -> Appearance:
    said = str(sidecar.get("AttenuationCorrection", "")).strip().lower()
    uncorrected = bool(words & set(UNCORRECTED)) or said in ("none", "no")
    corrected = not uncorrected and ("ac" in words or bool(said))
    told = ["FDG-PET" if "fdg" in words else "PET"]
    told.append(f"dynamic ({frames} frames)" if frames > 1 else "static")
    if uncorrected:
        told.append("not attenuation-corrected")
        doubts = (*doubts, "without attenuation correction deep structures read too low")
    elif corrected:
        told.append("attenuation-corrected")
    else:
        doubts = (*doubts, "whether it is attenuation-corrected is not said")
    score = 10 * corrected - 20 * uncorrected - (frames > 1)
    return Appearance("pet", ", ".join(told), score=score, doubts=doubts)


def _t1w(
    description: str, words: set[str], sidecar: Mapping[str, object], doubts: tuple[str, ...]
) -> Appearance:
    contrast = with_contrast(description)
    after = _after(words)
    told = ["T1w"]
    if after:
        told.append("after the operation")
    if contrast:
        told.append("with contrast medium")
    if words & {"post"} and not after:
        doubts = (*doubts, "“post” may mean contrast medium or the operation")
    flat = str(sidecar.get("MRAcquisitionType", "")) == "2D"
    if flat:
        doubts = (*doubts, "acquired slice by slice (2D)")
    score = -10 * contrast - 5 * flat - len(doubts)
    return Appearance("t1w", ", ".join(told), contrast, after, score, doubts)


def with_contrast(description: str) -> bool:
    """Whether the description of a series says that contrast medium was given.

    Examples
    --------
    >>> with_contrast("t1 mprage sag KM"), with_contrast("t1 mprage post-op")
    (True, False)
    """
    return bool(_words(description) & set(CONTRAST)) or "+c" in description.lower()


def _words(description: str) -> set[str]:
    """Words of a description; letters and digits that touch are parted as well as kept."""
    text = re.sub(r"(post|nach).?op", " postop ", description.lower())
    return {*re.findall(r"[a-z0-9]+", text), *re.findall(r"[a-z]+", text)}


def _speaks(words: set[str], description: str, known: Sequence[str]) -> bool:
    text = re.sub(r"[^a-z0-9]", "", description.lower())
    return bool(words & set(known)) or any(k in text for k in known if len(k) > 3)


def _after(words: set[str]) -> bool:
    return bool(words & set(AFTER))


def _thick(spacing_mm: Sequence[float]) -> tuple[str, ...]:
    thickest = max(spacing_mm[:3])
    return (f"thick slices ({thickest:.1f} mm)",) if thickest > THICK_MM else ()


def _weighted(sidecar: Mapping[str, object], role: str) -> bool:
    """Whether the times of a sequence, s, are those of an inversion-prepared T1w or a FLAIR."""
    times = [sidecar.get(name) for name in ("EchoTime", "RepetitionTime", "InversionTime")]
    if not all(isinstance(time, int | float) for time in times):
        return False
    echo, repetition, inversion = (float(str(time)) for time in times)
    if role == "flair":
        return echo > 0.07 and repetition > 4 and 1.5 < inversion < 3
    return echo < 0.006 and repetition < 3 and 0.4 < inversion < 1.3
