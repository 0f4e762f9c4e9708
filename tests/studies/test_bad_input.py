"""Bad input to ``falx signature``: one clear sentence, and what can go on goes on.

Every case changes one file of a dataset that was studied before, so that only what depends on
that file is done again.
"""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from falx.cli.main import main

PET = "sub-01/ses-preop/pet/sub-01_ses-preop_trc-FDG_pet.nii.gz"
T1W = "sub-01/ses-preop/anat/sub-01_ses-preop_T1w.nii.gz"
MASK = "derivatives/masks/sub-01/ses-postop/anat/sub-01_ses-postop_label-ablation_mask.nii.gz"

Change = Callable[[Path], None]


def data(path: str, change: Callable[[np.ndarray], np.ndarray]) -> Change:
    """Replace the voxels of an image."""

    def apply(folder: Path) -> None:
        image = nib.load(folder / path)
        values = change(np.asanyarray(image.dataobj).copy())
        nib.save(nib.Nifti1Image(values, image.affine), folder / path)

    return apply


def header(path: str, change: Callable[[nib.Nifti1Header], None]) -> Change:
    """Replace the header of an image, byte by byte: the library refuses to write bad ones."""

    def apply(folder: Path) -> None:
        raw = bytearray(gzip.decompress((folder / path).read_bytes()))
        described = nib.Nifti1Header(bytes(raw[:348]))
        change(described)
        raw[:348] = described.binaryblock
        (folder / path).write_bytes(gzip.compress(bytes(raw), 1))

    return apply


def half(values: np.ndarray) -> np.ndarray:
    values = values.astype(np.float32)
    values[: len(values) // 2] = np.nan
    return values


def holes(values: np.ndarray) -> np.ndarray:
    gone = np.random.default_rng(1).random(values.shape) < 0.01
    return np.where(gone, np.nan, values).astype(np.float32)


def flat(described: nib.Nifti1Header) -> None:
    described["qform_code"], described["sform_code"] = 0, 1
    described["srow_z"] = 0.0


def apart(described: nib.Nifti1Header) -> None:
    described["srow_x"][3] += 30.0


def truncated(folder: Path) -> None:
    (folder / PET).write_bytes((folder / PET).read_bytes()[:20000])


def other_side(folder: Path) -> None:
    table = folder / "participants.tsv"
    table.write_text(table.read_text().replace("right", "left"))


def twice(folder: Path) -> None:
    table = folder / "participants.tsv"
    table.write_text(table.read_text() + table.read_text().splitlines()[1] + "\n")


def second_t1w(folder: Path) -> None:
    shutil.copy(folder / T1W, (folder / T1W).with_name("sub-01_ses-preop_acq-b_T1w.nii.gz"))


@pytest.fixture
def study(bids, out, tmp_path, capsys) -> Callable[..., tuple[int, str]]:
    """Change a copy of the dataset, study it again, and return the exit code and the text."""

    def run(change: Change, *options: str) -> tuple[int, str]:
        shutil.copytree(bids, tmp_path / "bids")
        shutil.copytree(out, tmp_path / "out")
        change(tmp_path / "bids")
        capsys.readouterr()
        words = ["signature", str(tmp_path / "bids"), str(tmp_path / "out"), "participant"]
        code = main([*words, "--serial", *options])
        said = capsys.readouterr()
        return code, said.out + said.err

    return run


FAILS = [
    ("missing PET", lambda folder: (folder / PET).unlink(), "there is no FDG-PET image"),
    ("zeros", data(PET, np.zeros_like), "there is nothing to see (found: the value 0 everywhere)"),
    ("NaN", data(PET, lambda v: np.full(v.shape, np.nan, np.float32)), "no finite value"),
    ("left half", data(PET, half), "the FDG-PET image shows only a part of the head"),
    ("holes", data(PET, holes), "the FDG-PET image lacks values inside the head"),
    ("everything ablated", data(MASK, np.ones_like), "the ablation mask is larger than anything"),
    ("dynamic", data(PET, lambda v: np.stack([v, v], -1)), "the PET is dynamic (found: 2 frames)"),
    ("singular affine", header(PET, flat), "the affine from voxels to millimetres is singular"),
    ("truncated", truncated, "the image is truncated or damaged"),
    ("empty ablation", data(MASK, np.zeros_like), "the ablation mask is empty"),
    ("wrong side", other_side, "the ablation lies on the other side than the declared focus"),
    ("two T1w", second_t1w, "2 files could be the pre-operative T1w image"),
]


@pytest.mark.parametrize(("change", "sentence"), [case[1:] for case in FAILS],
                         ids=[case[0] for case in FAILS])  # fmt: skip
def test_what_cannot_be_used_is_named_and_nothing_stays_half_done(
    study, tmp_path, change, sentence
) -> None:
    code, said = study(change)
    assert code == 1
    assert sentence in said
    assert "look at:" not in said
    assert "Traceback" not in said
    assert not [*(tmp_path / "out").rglob("*.part*"), *(tmp_path / "out").rglob("*.tmp*")]


def test_a_single_frame_on_a_fourth_axis_is_a_still_image(study) -> None:
    code, said = study(data(PET, lambda v: v[..., None]))
    assert (code, "FAILED" in said) == (0, False)


def test_forms_that_disagree_are_a_notice_in_the_report(study, tmp_path) -> None:
    code, _ = study(header(PET, apart))
    assert code == 0
    page = (tmp_path / "out/sub-01.html").read_text(encoding="utf-8")
    assert "sform and qform disagree; the sform is used (found: up to 30.0 mm apart)" in page


def test_a_mask_on_another_grid_is_brought_over(study) -> None:
    def coarser(folder: Path) -> None:
        image = nib.load(folder / MASK)
        thin = np.asanyarray(image.dataobj)[::2]
        nib.save(nib.Nifti1Image(thin, image.affine @ np.diag([2, 1, 1, 1])), folder / MASK)

    code, said = study(coarser)
    assert (code, "FAILED" in said) == (0, False)


@pytest.mark.parametrize(
    ("change", "options", "sentence"),
    [
        (twice, [], "participants.tsv: subject 01 stands there twice"),
        (lambda _: None, ["--participant-label", "99"], "there is no subject 99"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(study, change, options, sentence) -> None:
    code, said = study(change, *options)
    assert code == 2
    assert sentence in said


def test_an_output_folder_inside_the_dataset_is_refused(bids, capsys) -> None:
    inside = bids / "derivatives" / "falx"
    assert main(["signature", str(bids), str(inside), "participant", "--serial"]) == 2
    assert "the output folder lies inside the BIDS folder" in capsys.readouterr().err
    assert not inside.exists()
