"""Ten layouts of public datasets and derivatives are read without a file being renamed."""

from __future__ import annotations

from pathlib import Path

import pytest

from falx.bids.index import Index
from falx.bids.query import find_one, parse_filter
from falx.studies.resistance.study import STUDY

T1W, REST = "sub-07/anat/sub-07_T1w.nii.gz", "sub-07/func/sub-07_task-rest_bold.nii.gz"
PREPARED = "sub-07_task-rest_space-MNI152NLin2009cAsym"

LAYOUTS = {
    "plain": ((T1W, REST, "sub-07/func/sub-07_task-rest_bold.json"), (),
              {"t1w": T1W, "bold": REST}),
    "JSON at the root": ((T1W, REST, "task-rest_bold.json", "T1w.json"), (),
                         {"t1w": T1W, "bold": REST}),
    "several tasks": (
        (T1W, REST, "sub-07/func/sub-07_task-nback_bold.nii.gz",
         "sub-07/func/sub-07_task-restingstate_bold.nii.gz"), (),
        {"bold": REST}),
    "another name of the task": (
        (T1W, "sub-07/func/sub-07_task-restingstate_bold.nii.gz"), ("bold.task=restingstate",),
        {"bold": "sub-07/func/sub-07_task-restingstate_bold.nii.gz"}),
    "runs": (
        (T1W, "sub-07/func/sub-07_task-rest_run-1_bold.nii.gz",
         "sub-07/func/sub-07_task-rest_run-2_bold.nii.gz"), ("bold.run=1",),
        {"t1w": T1W, "bold": "sub-07/func/sub-07_task-rest_run-1_bold.nii.gz"}),
    "sessions of any name": (
        ("sub-07/ses-Besuch1/anat/sub-07_ses-Besuch1_T1w.nii.gz",
         "sub-07/ses-mri3T/func/sub-07_ses-mri3T_task-rest_bold.nii.gz"), (),
        {"t1w": "sub-07/ses-Besuch1/anat/sub-07_ses-Besuch1_T1w.nii.gz",
         "bold": "sub-07/ses-mri3T/func/sub-07_ses-mri3T_task-rest_bold.nii.gz"}),
    "two sessions of both": (
        tuple(f"sub-07/ses-{s}/{folder}/sub-07_ses-{s}_{name}.nii.gz" for s in ("01", "02")
              for folder, name in (("anat", "T1w"), ("func", "task-rest_bold"))),
        ("t1w.ses=02", "bold.ses=02"),
        {"t1w": "sub-07/ses-02/anat/sub-07_ses-02_T1w.nii.gz",
         "bold": "sub-07/ses-02/func/sub-07_ses-02_task-rest_bold.nii.gz"}),
    "multi-echo": (
        (T1W, *(f"sub-07/func/sub-07_task-rest_echo-{e}_bold.nii.gz" for e in (1, 2, 3)),
         *(f"sub-07/func/sub-07_task-rest_echo-{e}_sbref.nii.gz" for e in (1, 2, 3))),
        ("bold.echo=2",),
        {"bold": "sub-07/func/sub-07_task-rest_echo-2_bold.nii.gz"}),
    "acquisitions and contrasts": (
        ("sub-07/anat/sub-07_acq-mprage_T1w.nii.gz", "sub-07/anat/sub-07_acq-tse_T2w.nii.gz",
         "sub-07/func/sub-07_task-rest_acq-mb4_dir-AP_bold.nii.gz",
         "sub-07/func/sub-07_task-rest_acq-mb4_dir-AP_sbref.nii.gz",
         "sub-07/fmap/sub-07_dir-PA_epi.nii.gz"), (),
        {"t1w": "sub-07/anat/sub-07_acq-mprage_T1w.nii.gz",
         "bold": "sub-07/func/sub-07_task-rest_acq-mb4_dir-AP_bold.nii.gz"}),
    "fMRIPrep, FreeSurfer and CAT12": (
        (T1W, REST,
         f"derivatives/fmriprep/sub-07/func/{PREPARED}_desc-preproc_bold.nii.gz",
         f"derivatives/fmriprep/sub-07/func/{PREPARED}_desc-brain_mask.nii.gz",
         "derivatives/fmriprep/sub-07/func/sub-07_task-rest_desc-confounds_timeseries.tsv",
         "derivatives/freesurfer/sub-07/mri/aseg.mgz",
         "derivatives/CAT12.9_2550/sub-07/anat/mwp1sub-07_T1w.nii",
         "derivatives/CAT12.9_2550/sub-07/anat/smwp1sub-07_T1w.nii",
         "derivatives/CAT12.9_2550/sub-07/anat/cat_sub-07_T1w.xml"), (),
        {"prepared": f"sub-07/func/{PREPARED}_desc-preproc_bold.nii.gz",
         "prepared_mask": f"sub-07/func/{PREPARED}_desc-brain_mask.nii.gz",
         "confounds": "sub-07/func/sub-07_task-rest_desc-confounds_timeseries.tsv",
         "structures": "sub-07/mri/aseg.mgz", "cat12": "sub-07/anat/mwp1sub-07_T1w.nii",
         "cat12_report": "sub-07/anat/cat_sub-07_T1w.xml"}),
    "FastSurfer, longitudinal CAT12 in folders of its own": (
        (T1W, REST, "derivatives/fastsurfer/sub-07_ses-a/mri/aseg.auto_noCCseg.mgz",
         "derivatives/cat12/sub-07/ses-a/anat/mri/mwp1sub-07_ses-a_T1w.nii",
         "derivatives/cat12/sub-07/ses-a/anat/report/cat_sub-07_ses-a_T1w.xml"), (),
        {"structures": "sub-07_ses-a/mri/aseg.auto_noCCseg.mgz",
         "cat12": "sub-07/ses-a/anat/mri/mwp1sub-07_ses-a_T1w.nii",
         "cat12_report": "sub-07/ses-a/anat/report/cat_sub-07_ses-a_T1w.xml"}),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_need_no_renaming(tmp_path: Path, layout: str) -> None:
    names, filters, expected = LAYOUTS[layout]
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}" if name.endswith(".json") else "")
    own = tmp_path / "derivatives"
    derivatives = [Index(folder) for folder in sorted(own.iterdir())] if own.is_dir() else []
    for role, name in expected.items():
        found = find_one(
            role,
            STUDY.raw[role],
            "07",
            dataset=Index(tmp_path),
            own_derivatives=derivatives,
            filters=[parse_filter(text, [*STUDY.raw]) for text in filters],
        )
        assert found is not None, role
        assert found.path.as_posix().endswith("/" + name)
