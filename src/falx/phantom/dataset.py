"""Write phantoms as a BIDS dataset, the truth beside the images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from falx import __version__
from falx.bids.entities import folder_of, format_name
from falx.core.errors import InputError
from falx.core.files import write_json, write_table, write_text
from falx.images.nifti import Image, save
from falx.phantom.heads import Head
from falx.phantom.patient import Patient, PatientSpec, mirror_patient, simulate_patient

__all__ = ["write_cohort", "write_dataset", "write_patient"]

BIDS_VERSION = "1.10.0"
MASKS, TRUTH = Path("derivatives/masks"), Path("derivatives/truth")

README = """Phantom patients made by Falx {version}: no person was scanned.

Head shapes come from public label maps (SynthSeg, Apache-2.0), made symmetric and deformed at
random; intensities are simulated. The folder derivatives/truth holds what was planted.
For software tests and teaching only.
"""

PARTICIPANT_COLUMNS = {
    "side": {
        "Description": "Side of the epileptic focus",
        "Levels": {"left": "left", "right": "right"},
    },
    "age": {"Description": "Age at surgery", "Units": "year"},
    "sex": {"Description": "Sex", "Levels": {"F": "female", "M": "male"}},
    "onset_age": {"Description": "Age at the first seizure", "Units": "year"},
    "duration": {"Description": "Duration of epilepsy", "Units": "year"},
    "seeg": {
        "Description": "Whether depth electrodes were used before surgery",
        "Levels": {"yes": "yes", "no": "no"},
    },
    "ilae": {"Description": "ILAE class of the seizure outcome, 1 to 6"},
    "seizure_free": {
        "Description": "Free of seizures after surgery",
        "Levels": {"yes": "yes", "no": "no"},
    },
}

PET_SIDECAR: Mapping[str, object] = {
    "Modality": "PT",
    "Manufacturer": "Falx",
    "ManufacturersModelName": "phantom",
    "Units": "Bq/mL",
    "BodyPart": "brain",
    "TracerName": "FDG",
    "TracerRadionuclide": "F18",
    "InjectedRadioactivity": 250,
    "InjectedRadioactivityUnits": "MBq",
    "InjectedMass": "n/a",
    "InjectedMassUnits": "n/a",
    "SpecificRadioactivity": "n/a",
    "SpecificRadioactivityUnits": "n/a",
    "ModeOfAdministration": "bolus",
    "TimeZero": "10:00:00",
    "ScanStart": 2400,
    "InjectionStart": 0,
    "FrameTimesStart": [2400],
    "FrameDuration": [600],
    "AcquisitionMode": "static",
    "ImageDecayCorrected": True,
    "ImageDecayCorrectionTime": 0,
    "ReconMethodName": "simulated",
    "ReconMethodParameterLabels": ["none"],
    "ReconMethodParameterUnits": ["none"],
    "ReconMethodParameterValues": [0],
    "ReconFilterType": "none",
    "ReconFilterSize": 0,
    "AttenuationCorrection": "none needed: simulated",
}


def write_cohort(
    root: Path,
    specs: Iterable[PatientSpec],
    rng: np.random.Generator,
    *,
    mirror: bool = False,
    head: Head | None = None,
) -> None:
    """Simulate patients one after the other and write them as one dataset.

    Parameters
    ----------
    rng
        Every patient gets a generator of its own from it, so that the first patients of a
        larger cohort are those of a smaller one.
    mirror
        Write every patient's mirror image.
    head
        Base head of all patients; the shipped ones if absent.
    """
    listed = list(specs)
    patients = (
        simulate_patient(spec, own, head=head)
        for spec, own in zip(listed, rng.spawn(len(listed)), strict=True)
    )
    write_dataset(root, (mirror_patient(p) for p in patients) if mirror else patients)


def write_dataset(root: Path, patients: Iterable[Patient]) -> None:
    """Write patients as a BIDS dataset with masks and truth as derivatives.

    Raises
    ------
    InputError
        If the folder exists and is not empty, or two patients share a label.
    """
    if root.exists() and any(root.iterdir()):
        raise InputError("the folder of the dataset is not empty", where=root, do="name a new one")
    _describe(root)
    seen: list[PatientSpec] = []
    for patient in patients:
        if patient.spec.label in {spec.label for spec in seen}:
            raise InputError("two patients share a label", found=patient.spec.label)
        write_patient(root, patient)
        seen.append(patient.spec)
    _write_participants(root, seen)


def write_patient(root: Path, patient: Patient) -> None:
    """Write the images of one patient, the ablation mask and the truth."""
    pre, post = ({"sub": patient.spec.label, "ses": s} for s in ("preop", "postop"))
    mr = {"Manufacturer": "Falx", "MagneticFieldStrength": 3}
    _write(root, pre, "anat", "T1w", patient.t1w, mr)
    _write(root, pre, "anat", "FLAIR", patient.flair, mr)
    _write(root, {**pre, "trc": "FDG"}, "pet", "pet", patient.pet, PET_SIDECAR)
    contrast = {**mr, "ContrastBolusIngredient": "GADOLINIUM"}
    _write(root, post, "anat", "T1w", patient.t1w_postop, contrast)
    mask = {"Type": "Lesion", "Sources": [f"bids:raw:{_path(post, 'anat', 'T1w')}"]}
    _write(root / MASKS, {**post, "label": "ablation"}, "anat", "mask", patient.ablation, mask)
    _write_truth(root / TRUTH, patient)


def _write_truth(root: Path, patient: Patient) -> None:
    spec, truth = patient.spec, patient.truth
    pre = {"sub": spec.label, "ses": "preop"}
    labels = Head(truth.labels.data, truth.labels.affine)
    source = {"Sources": [f"bids:raw:{_path(pre, 'anat', 'T1w')}"]}
    _write(root, {**pre, "desc": "truth"}, "anat", "dseg", truth.labels, source)
    for tissue in ("GM", "WM", "CSF"):
        image = Image(labels.fraction(tissue), labels.affine)
        _write(root, {**pre, "label": tissue}, "anat", "probseg", image, source)
    signature = {**source, "Type": "Lesion"}
    _write(root, {**pre, "desc": "signature"}, "anat", "mask", truth.signature, signature)
    ablation = Image(truth.ablation.mask, labels.affine)
    _write(root, {**pre, "desc": "ablation"}, "anat", "mask", ablation, signature)
    activity = {"sub": spec.label, "ses": "preop", "trc": "FDG", "space": "T1w", "desc": "exact"}
    _write(root, activity, "pet", "pet", truth.activity, PET_SIDECAR)
    name = f"sub-{spec.label}/sub-{spec.label}_truth.json"
    write_json(root / name, _numbers(patient))


def _numbers(patient: Patient) -> dict[str, object]:
    spec, truth = patient.spec, patient.truth
    return {
        "side": spec.side,
        "depth": spec.depth,
        "extent": spec.extent,
        "atrophy": spec.atrophy,
        "asymmetry": truth.asymmetry,
        "ablative_rate": truth.ablation.rate,
        "ablative_rate_hippocampus": truth.ablation.rate_hippocampus,
        "ablative_rate_amygdala": truth.ablation.rate_amygdala,
        "signature_mm3": float(truth.signature.data.sum()) * truth.signature.grid.voxel_volume_mm3,
        "volumes_mm3": truth.volumes_mm3,
        "psf_fwhm_mm": spec.pet.psf_fwhm_mm,
        "t1w_to_pet": truth.t1w_to_pet,
        "t1w_to_flair": truth.t1w_to_flair,
        "t1w_to_postop": truth.t1w_to_postop,
        **spec.clinical,
    }


def _write(
    root: Path,
    entities: dict[str, str],
    datatype: str,
    suffix: str,
    image: Image,
    sidecar: Mapping[str, object],
) -> None:
    save(root / _path(entities, datatype, suffix), image.data, image.affine, sidecar=sidecar)


def _path(entities: dict[str, str], datatype: str, suffix: str) -> str:
    return f"{folder_of(entities, datatype)}/{format_name(entities, suffix, '.nii.gz')}"


def _describe(root: Path) -> None:
    generated = [{"Name": "Falx", "Version": __version__, "Description": "phantom"}]
    common = {"BIDSVersion": BIDS_VERSION, "GeneratedBy": generated, "License": "CC0-1.0"}
    raw = {"Name": "Falx phantom patients", "DatasetType": "raw", **common,
           "Authors": ["The Falx developers"]}  # fmt: skip
    write_json(root / "dataset_description.json", raw)
    write_text(root / "README", README.format(version=__version__))
    # The truth holds exact activities and numbers for which BIDS has no name.
    write_text(root / ".bidsignore", "derivatives/truth\n")
    for folder, name in ((MASKS, "ablation masks"), (TRUTH, "truth")):
        about = {"Name": f"Falx phantom {name}", "DatasetType": "derivative",
                 "DatasetLinks": {"raw": "../.."}, **common}  # fmt: skip
        write_json(root / folder / "dataset_description.json", about)


def _write_participants(root: Path, specs: list[PatientSpec]) -> None:
    extra = [c for c in PARTICIPANT_COLUMNS if any(c in spec.clinical for spec in specs)]
    columns = ["participant_id", "side", *extra]
    rows = [
        [f"sub-{spec.label}", spec.side, *(str(spec.clinical.get(key, "n/a")) for key in extra)]
        for spec in specs
    ]
    write_table(root / "participants.tsv", columns, rows)
    described = {key: PARTICIPANT_COLUMNS[key] for key in columns[1:]}
    write_json(root / "participants.json", described)
