"""What Falx writes, as a BIDS derivatives dataset: names, description, what to ignore."""

from __future__ import annotations

from falx.bids.entities import folder_of, format_name
from falx.core.errors import check_option

__all__ = ["BIDS_VERSION", "IGNORED", "description", "output_path"]

BIDS_VERSION = "1.10.0"

IGNORED: tuple[str, ...] = (
    "logs",
    "provenance",
    "group",
    "configuration*.toml",
    "exclusions.tsv",
    "participants_status.tsv",
    "failures.tsv",
    "**/*.html",
    "**/*_xfm.*",
    "**/*_metrics.json",
    "**/*_foci.tsv",
    "**/*_plan.*",
    "**/dicom",
    "figures",
)
"""Patterns for ``.bidsignore``: files that BIDS has no name for.

Folders stand without a slash: with one, the validator passes over what is inside but still
complains of a top folder itself."""


def output_path(
    datatype: str, suffix: str, *, extension: str = ".nii.gz", group: bool = False, **entities: str
) -> str:
    """Return the path of an output below the output folder, ``{subject}`` left open.

    Parameters
    ----------
    datatype
        ``"anat"``, ``"pet"``, ``"func"`` …, or ``"figures"``.
    suffix
        ``"probseg"``, ``"mask"``, ``"pet"`` …
    group
        A file of the whole study: no subject in folder and name.
    entities
        Short keys and values: ``space="T1w", label="GM"``.

    Examples
    --------
    >>> output_path("anat", "probseg", space="T1w", label="GM")
    'sub-{subject}/anat/sub-{subject}_space-T1w_label-GM_probseg.nii.gz'
    """
    if not entities and group:
        return f"{datatype}/{suffix}{extension}"
    own = entities if group else {"sub": "SUBJECT", **entities}
    name = format_name(own, suffix, extension)
    folder = "group" if group else folder_of({"sub": "SUBJECT"}, datatype)
    return f"{folder}/{name}".replace("sub-SUBJECT", "sub-{subject}")


def description(
    study: str, version: str, *, dataset_type: str = "derivative"
) -> dict[str, object]:
    """Return the content of ``dataset_description.json``.

    Examples
    --------
    >>> description("signature", "0.1.0")["GeneratedBy"]
    [{'Name': 'Falx', 'Version': '0.1.0', 'Description': 'falx signature'}]
    """
    check_option("dataset_type", dataset_type, ["raw", "derivative"])
    return {
        "Name": f"Falx {study}",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": dataset_type,
        "GeneratedBy": [
            {"Name": "Falx", "Version": version, "Description": f"falx {study}"},
        ],
    }
