"""From series to files of a dataset: all of them or none, and nothing of the person."""

from __future__ import annotations

import gzip
import json

import nibabel as nib
import numpy as np
import pytest

from falx.core.errors import InputError
from falx.studies.dicom_in.files import SLOTS, image_path, import_series, nifti_series
from falx.surgery.dicom.completeness import Plane, Unreadable


@pytest.fixture
def series(tmp_path):
    """Return a function that makes a series of a NIfTI file."""
    (tmp_path / "in").mkdir()

    def make(name="T1 of Doe.nii.gz", number="n1", value=3.0, **fields):
        path = tmp_path / "in" / name
        image = nib.Nifti1Image(np.full((5, 6, 7), value, np.float32), np.diag([2, 2, 2, 1.0]))
        image.header["descrip"] = b"John Doe"
        nib.save(image, path)
        if fields:
            sidecar = path.with_name(name.partition(".")[0] + ".json")
            sidecar.write_text(json.dumps(fields))
        return nifti_series(path, tmp_path / "in", number, name)

    return make


def planes(number="3", patient="4711\0Doe^John"):
    return [
        Plane("1.2", number, patient, (0.0, 0.0, 2.0 * k), (1, 0, 0, 0, 1, 0), k + 1)
        for k in range(6)
    ]


def test_a_nifti_file_keeps_place_and_values_and_loses_what_tells(series, tmp_path) -> None:
    taken = series(EchoTime=0.003, PatientName="Doe", SeriesDescription="T1 of Doe")
    assert taken.sidecar == {"EchoTime": 0.003}
    written, _ = import_series(tmp_path / "bids", "07", {"t1w": taken}, [], [], where="it")
    assert written == (tmp_path / "bids" / image_path("07", "preop", "t1w", contrast=False),)
    image = nib.load(written[0])
    assert np.array_equal(image.affine, np.diag([2, 2, 2, 1.0]))
    assert (np.asarray(image.dataobj) == 3).all()
    assert b"Doe" not in gzip.decompress(written[0].read_bytes())
    sidecar = written[0].with_name(written[0].name.replace(".nii.gz", ".json"))
    assert json.loads(sidecar.read_text()) == {"EchoTime": 0.003}
    described = json.loads((tmp_path / "bids" / "dataset_description.json").read_text())
    assert described["DatasetType"] == "raw"


def test_every_place_has_a_name_of_its_own(series, tmp_path) -> None:
    chosen = {key: series(f"{k}.nii", f"n{k}", k) for k, key in enumerate(SLOTS)}
    written, notices = import_series(tmp_path / "bids", "7", chosen, [], [], where="it")
    assert sorted(path.name for path in written) == [
        "sub-7_ses-postop_T1w.nii.gz",
        "sub-7_ses-postop_ce-gadolinium_T1w.nii.gz",
        "sub-7_ses-preop_FLAIR.nii.gz",
        "sub-7_ses-preop_T1w.nii.gz",
        "sub-7_ses-preop_trc-FDG_pet.nii.gz",
    ]
    values = [float(np.asarray(nib.load(path).dataobj).max()) for path in written]
    assert values == [0, 1, 2, 3, 4]
    assert any("activity was injected" in notice for notice in notices)


def test_nothing_is_overwritten_and_nothing_half_written(series, tmp_path) -> None:
    bids, one = tmp_path / "bids", series()
    with pytest.raises(InputError, match="no image was chosen"):
        import_series(bids, "07", {}, [], [], where="it")
    import_series(bids, "07", {"flair": one}, [], [], where="it")
    before = {path: path.read_bytes() for path in bids.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match=r"sub-07_ses-preop_FLAIR.nii.gz: the dataset has this"):
        import_series(bids, "07", {"t1w": one, "flair": one}, [], [], where="it")
    assert {path: path.read_bytes() for path in bids.rglob("*") if path.is_file()} == before


def test_series_of_two_people_or_with_gaps_are_refused(series, tmp_path) -> None:
    one, two = series(number="3"), series("b.nii", "4")
    chosen = {"t1w": one, "flair": two}
    both = planes("3") + planes("4", "4712\0Roe^Jane")
    with pytest.raises(InputError, match="of different patients"):
        import_series(tmp_path / "bids", "07", chosen, both, [], where="it")
    gap = [plane for plane in planes("3") if plane.instance != 2]
    with pytest.raises(InputError, match="slices are missing"):
        import_series(tmp_path / "bids", "07", {"t1w": one}, gap, [], where="it")
    with pytest.raises(InputError, match="damaged and may be slices"):
        import_series(
            tmp_path / "bids",
            "07",
            {"t1w": one},
            planes(),
            [Unreadable("x", "is empty")],
            where="it",
        )
    assert not (tmp_path / "bids").exists()
    other = planes("9", "4712\0Roe^Jane")  # a series that is not chosen may be of anybody
    assert import_series(tmp_path / "bids", "07", {"t1w": one}, planes() + other, [], where="it")


@pytest.mark.parametrize("label", ["Doe", "doe", "JOHN", "doejohn", "4711"])
def test_a_pseudonym_that_is_the_person_is_refused(series, tmp_path, label) -> None:
    with pytest.raises(InputError, match="is the patient's name or number") as refused:
        import_series(
            tmp_path / "bids", label, {"t1w": series(number="3")}, planes(), [], where="it"
        )
    assert label not in str(refused.value)
    assert not (tmp_path / "bids").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"not an image", "is no NIfTI-1 image"),
        (b"\x1f\x8b\x08 broken", "cannot be unpacked"),
        ((540).to_bytes(4, "little") + b"n+2" + bytes(600), "is no NIfTI-1 image"),
        ((348).to_bytes(4, "big") + bytes(340) + b"n+1\0" + bytes(100), "is no NIfTI-1 image"),
        (b"", "is no NIfTI-1 image"),
    ],
)
def test_what_is_no_image_is_refused_by_its_name(tmp_path, content, said) -> None:
    path = tmp_path / ("x.nii.gz" if content.startswith(b"\x1f") else "x.nii")
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"mri one: the file {said}"):
        nifti_series(path, tmp_path, "n1", "mri one")
    assert not (tmp_path / "nifti-n1.nii").exists()


def test_an_image_that_unpacks_without_end_is_refused(tmp_path, monkeypatch) -> None:
    from falx.studies.dicom_in import files

    monkeypatch.setattr(files, "LARGEST", 10_000)
    path = tmp_path / "x.nii.gz"
    with gzip.open(path, "wb") as stream:
        stream.write((348).to_bytes(4, "little") + bytes(340) + b"n+1\0" + bytes(20_000))
    with pytest.raises(InputError, match="10001 bytes"):
        nifti_series(path, tmp_path, "n1", "x")
