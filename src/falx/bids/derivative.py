"""What Falx writes, as a BIDS derivatives dataset: names, description, what to ignore."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from falx.bids.entities import folder_of, format_name
from falx.core.errors import check_option

__all__ = ["BIDS_VERSION", "IGNORED", "description", "output_path", "readme"]

BIDS_VERSION = "1.10.0"

IGNORED: tuple[str, ...] = (
    "logs",
    "provenance",
    "group",
    "configuration*.toml",
    "exclusions.tsv",
    "participants_status.tsv",
    "failures.tsv",
    "methods.bib",
    "methods.md",
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
    study: str,
    version: str,
    *,
    dataset_type: str = "derivative",
    authors: Sequence[str] = (),
    links: Mapping[str, str] | None = None,
) -> dict[str, object]:
    """Return the content of ``dataset_description.json``.

    Parameters
    ----------
    authors
        Of the dataset that it was made from.
    links
        Name of each dataset in the URIs of sidecars to the place where it lies.

    Examples
    --------
    >>> description("signature", "0.1.0")["GeneratedBy"]
    [{'Name': 'Falx', 'Version': '0.1.0', 'Description': 'falx signature'}]
    """
    check_option("dataset_type", dataset_type, ["raw", "derivative"])
    said: dict[str, object] = {
        "Name": f"Falx {study}",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": dataset_type,
        "GeneratedBy": [
            {"Name": "Falx", "Version": version, "Description": f"falx {study}"},
        ],
    }
    known = {"Authors": list(authors), "DatasetLinks": dict(links or {})}
    return said | {key: value for key, value in known.items() if value}


def readme(study: str, version: str) -> str:
    """Return the text of ``README.md``: what the folder holds, and what it must not be used for.

    Examples
    --------
    >>> readme("signature", "0.2.0").splitlines()[0]
    '# Derivatives of falx signature'
    """
    return (
        f"# Derivatives of falx {study}\n\n"
        f"Written by Falx {version}. Begin with the pages (`*.html`): they open in a browser, "
        "without a network.\n\n"
        "- `sub-*/` and `group/`: images, tables and records\n"
        "- `configuration*.toml`: every choice of the run, with its unit; `--config` reads it\n"
        "- `participants_status.tsv`: what happened to whom, and why\n"
        "- `provenance/`: how each file came to be; `falx verify` compares\n"
        "- `logs/`: what the steps said; it may hold paths of the machine\n\n"
        "Research software: no authority has approved it as a medical device, and it must not "
        "decide a treatment.\n"
        "Please cite Falx and the study whose method was used.\n"
    )
