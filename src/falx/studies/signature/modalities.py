"""The images whose asymmetry the signature study takes: each is one row here, and nowhere else.

Stages, records, the numbers of a patient, the tables of a group, their names and units, and what
``falx.asymmetry`` can be asked for follow from :data:`MODALITIES`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from falx.bids.derivative import output_path
from falx.core.errors import FalxError
from falx.core.study import RawInput
from falx.pet.steps import PET, Quantity

__all__ = ["MODALITIES", "PREOP", "Modality"]

PREOP: tuple[str | None, ...] = ("preop", None)
"""Sessions in which an image before the operation is sought."""


@dataclass(frozen=True)
class Modality:
    """An image whose asymmetry is taken.

    Parameters
    ----------
    key
        Its name in tables and stages: ``ai_flair``, ``asymmetry_flair``.
    label
        Its name for people: ``"asymmetry of FLAIR"``.
    quantity
        What its voxels are; ``quantity.name`` goes into descriptions.
    names
        Gives the paths of its files from their entities.
    tag
        Its name in the names of files: ``asymmetryFLAIR``, ``from-T1w_to-FLAIR``.
    raw
        The file of the dataset; none for an image that an earlier stage makes in T1w space.
        It is coregistered, and may be absent if it is not required.
    source
        The output that holds the image, where it is not the raw file: ``"anatomy.gm"``.
    space
        Its tag in the name of the coregistration, where that is another.
    ending
        Ends the descriptions of its maps, where `names` do not tell them from others.
    reference
        Region that sets the intensity scale; none: as the configuration says.
    """

    key: str
    label: str
    quantity: Quantity
    names: Callable[..., str]
    tag: str
    raw: RawInput | None = None
    source: str = ""
    space: str = ""
    ending: str = ""
    reference: str | None = "brain"

    def __post_init__(self) -> None:
        if not self.key.isidentifier():
            raise FalxError(f"the modality {self.key!r} needs a key that can be a name.")
        if self.raw is None and not self.source:
            raise FalxError(f"the modality {self.key} has neither a file nor a stage it is from.")

    @property
    def mark(self) -> str:
        """What marks a source that may be absent."""
        return "?" if self.raw is not None and not self.raw.required else ""


MODALITIES: tuple[Modality, ...] = (
    Modality(
        "pet",
        "PET",
        PET,
        partial(output_path, "pet", "pet", trc="FDG"),
        "PET",
        raw=RawInput(
            "FDG-PET image",
            suffix="pet",
            datatype="pet",
            sessions=PREOP,
            entities={"trc": "FDG"},
            required=True,
        ),
        source="pet.corrected",
        space="FDG",
        reference=None,
    ),
    Modality(
        "flair",
        "FLAIR",
        Quantity("FLAIR", receive_field=True),
        partial(output_path, "anat", "FLAIR"),
        "FLAIR",
        raw=RawInput(
            "FLAIR image",
            suffix="FLAIR",
            datatype="anat",
            sessions=PREOP,
            judged_as="T1w",
        ),
    ),
    Modality(
        "gm",
        "grey matter",
        Quantity("grey-matter density", least=0.1),
        partial(output_path, "anat", "T1w"),
        "GM",
        source="anatomy.gm",
        ending="GM",
    ),
)
"""In the order of tables."""
