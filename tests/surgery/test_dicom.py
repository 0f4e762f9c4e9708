"""Round trips through the hospital's formats, read back by other libraries."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

pydicom = pytest.importorskip("pydicom", reason="the extra dicom is not installed")
highdicom = pytest.importorskip("highdicom", reason="the extra dicom is not installed")

from falx.cli.main import main  # noqa: E402
from falx.core.errors import FalxNotice, InputError, collect_notices  # noqa: E402
from falx.images.nifti import load, save  # noqa: E402
from falx.surgery.dicom.files import hand_over, read_series  # noqa: E402
from falx.surgery.dicom.identity import Identity  # noqa: E402
from falx.surgery.outcome.ablation import dice  # noqa: E402
from surgery.dicom_phantom import (  # noqa: E402
    TELLING,
    as_ras,
    ball_with_hole,
    oblique_affine_lps,
    write_series,
)

SHAPE = (48, 64, 20)


X, Y, Z = np.meshgrid(*[np.linspace(0, 1, n) for n in SHAPE], indexing="ij")
VOLUME = (200 + 900 * X + 500 * Y * Z + 50 * np.sin(40 * X * Y)).astype(np.uint16)


@pytest.fixture
def volume():
    return VOLUME


@pytest.fixture
def donor_folder(tmp_path, volume, rng):
    folder = tmp_path / "Zebulon scan"
    write_series(folder, volume, oblique_affine_lps(), rng=rng)
    return folder


@pytest.fixture(scope="module")
def products(tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("products")
    write_series(tmp_path / "scan", VOLUME, oblique_affine_lps(), rng=np.random.default_rng(1))
    donor = read_series(tmp_path / "scan")
    masks = {
        "ablation": as_ras(ball_with_hole(donor.grid), donor.grid),
        "signature": as_ras(ball_with_hole(donor.grid, offset=(-8.0, 3.0, 5.0)), donor.grid),
    }
    with pytest.warns(FalxNotice, match="study's identifiers"):
        written = hand_over(masks, donor, tmp_path / "out", Identity("sub-07"))
    return donor, written


def test_geometry_is_read_from_shuffled_slices(donor_folder, volume):
    donor = read_series(donor_folder)
    expected = np.diag([-1.0, -1.0, 1.0, 1.0]) @ oblique_affine_lps()
    assert donor.grid.shape == SHAPE
    assert np.allclose(donor.grid.affine, expected, atol=1e-4)
    for k, dataset in enumerate(donor.slices):
        assert np.array_equal(dataset.pixel_array, volume[:, :, k].T)


def _segment_points(segmentation, number):
    """World RAS coordinates of a segment's voxels, through its own geometry."""
    found = []
    for frame, item in enumerate(segmentation.PerFrameFunctionalGroupsSequence):
        shared = segmentation.SharedFunctionalGroupsSequence[0]
        named = item if "SegmentIdentificationSequence" in item else shared
        if named.SegmentIdentificationSequence[0].ReferencedSegmentNumber != number:
            continue
        turn = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float)
        down, across = (float(v) for v in shared.PixelMeasuresSequence[0].PixelSpacing)
        place = np.array(item.PlanePositionSequence[0].ImagePositionPatient, float)
        rows, columns = np.nonzero(segmentation.pixel_array[frame])
        lps = place + columns[:, None] * turn[:3] * across + rows[:, None] * turn[3:] * down
        found.append(lps * [-1, -1, 1])
    return np.concatenate(found)


def test_segmentation_object_is_read_back_exactly(products):
    donor, (path, *_) = products
    segmentation = pydicom.dcmread(path)
    for number, offset in ((1, (6.0, 4.0, -2.0)), (2, (-8.0, 3.0, 5.0))):
        mask = ball_with_hole(donor.grid, offset=offset)
        wanted = np.argwhere(mask) @ donor.grid.affine[:3, :3].T + donor.grid.affine[:3, 3]
        voxels = np.linalg.inv(donor.grid.affine)
        points = _segment_points(segmentation, number)
        index = np.rint(points @ voxels[:3, :3].T + voxels[:3, 3]).astype(int)
        back = np.zeros_like(mask)
        back[tuple(index.T)] = True
        assert len(points) == len(wanted)
        assert dice(back, mask) == 1.0
    assert segmentation.FrameOfReferenceUID == donor.slices[0].FrameOfReferenceUID
    assert segmentation.ReferencedSeriesSequence[0].SeriesInstanceUID == (
        donor.slices[0].SeriesInstanceUID
    )


def test_structure_set_is_rasterised_back(products):
    from matplotlib.path import Path as Outline

    donor, (_, path, *_) = products
    dataset = pydicom.dcmread(path)
    to_voxel = np.linalg.inv(np.diag([-1.0, -1.0, 1.0, 1.0]) @ donor.grid.affine)
    columns, rows, _ = donor.grid.shape
    pixels = np.stack(np.meshgrid(np.arange(columns), np.arange(rows), indexing="ij"), -1)
    for item, offset in zip(
        dataset.ROIContourSequence, ((6.0, 4.0, -2.0), (-8.0, 3.0, 5.0)), strict=True
    ):
        back = np.zeros(donor.grid.shape, bool)
        for contour in item.ContourSequence:
            points = np.array(contour.ContourData, float).reshape(-1, 3)
            voxels = points @ to_voxel[:3, :3].T + to_voxel[:3, 3]
            k = round(float(voxels[0, 2]))
            assert np.abs(voxels[:, 2] - k).max() < 0.01
            inside = Outline(voxels[:, :2], closed=False).contains_points(pixels.reshape(-1, 2))
            back[:, :, k] ^= inside.reshape(columns, rows)
            assert max(len(str(value)) for value in contour.ContourData) <= 16
        assert dice(back, ball_with_hole(donor.grid, offset=offset)) >= 0.99
    assert len(dataset.StructureSetLabel) <= 16
    reference = dataset.ReferencedFrameOfReferenceSequence[0]
    assert reference.FrameOfReferenceUID == donor.slices[0].FrameOfReferenceUID


def test_burned_in_series_keeps_place_and_marks_the_outline(products, volume):
    donor, (*_, marked, plain) = products
    for folder in (marked, plain):
        again = read_series(folder)
        assert np.allclose(again.grid.affine, donor.grid.affine, atol=1e-4)
        assert again.slices[0].FrameOfReferenceUID == donor.slices[0].FrameOfReferenceUID
        assert again.slices[0].SeriesInstanceUID != donor.slices[0].SeriesInstanceUID
        assert again.slices[0].SeriesDescription.startswith("RESEARCH")
    with_target = np.stack([s.pixel_array.T for s in read_series(marked).slices], -1)
    without = np.stack([s.pixel_array.T for s in read_series(plain).slices], -1)
    assert np.array_equal(without, volume)
    changed = with_target != without
    mask = ball_with_hole(donor.grid)
    assert changed.any()
    assert not (changed & ~mask).any()
    assert set(np.unique(with_target[changed])) == {4095}


def test_all_products_share_one_frame_of_reference(products):
    _, written = products
    files = [p for path in written for p in ([path] if path.is_file() else path.glob("*.dcm"))]
    frames = {str(pydicom.dcmread(p).FrameOfReferenceUID) for p in files}
    assert len(frames) == 1
    assert len(files) == 2 + 2 * SHAPE[2]


def _bytes_of(folder):
    for path in folder.rglob("*"):
        yield path, str(path.name).encode()
        if path.is_file():
            content = path.read_bytes()
            yield path, content
            if path.name.endswith(".gz"):
                yield path, gzip.decompress(content)


def test_nothing_of_the_patient_is_in_the_products(products):
    words = [word for text in TELLING.values() for word in text.replace("^", " ").split()]
    words = [w for w in words if len(w) > 4 and w not in ("beside", "lives")]
    assert len(words) > 12
    _, written = products
    for path, content in _bytes_of(written[0].parent):
        for word in words:
            assert word.encode() not in content, f"{word} in {path.name}"


def test_patient_tags_are_kept_only_when_asked_for(donor_folder, tmp_path):
    donor = read_series(donor_folder)
    masks = {"ablation": as_ras(ball_with_hole(donor.grid), donor.grid)}
    with collect_notices() as notices:
        written = hand_over(
            masks, donor, tmp_path / "kept", Identity("sub-07", keep_patient_tags=True)
        )
    assert any("carry the patient's name" in notice for notice in notices)
    for path in (written[0], written[1], written[2] / "0001.dcm"):
        dataset = pydicom.dcmread(path)
        assert dataset.PatientID == TELLING["PatientID"]
        assert str(dataset.PatientName) == TELLING["PatientName"]
        assert "InstitutionName" not in dataset


def test_missing_slices_are_refused(donor_folder):
    Path(read_series(donor_folder).slices[9].filename).unlink()
    with pytest.raises(InputError, match="has missing slices"):
        read_series(donor_folder)


def test_doubled_slices_are_refused(donor_folder):
    shutil.copy(donor_folder / "IM0007", donor_folder / "IM0099")
    with pytest.raises(InputError, match="holds slices twice"):
        read_series(donor_folder)


def test_mixed_orientations_are_refused(donor_folder):
    path = donor_folder / "IM0003"
    dataset = pydicom.dcmread(path)
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.save_as(path)
    with pytest.raises(InputError, match="mixes orientations"):
        read_series(donor_folder)


def test_several_series_need_a_choice(donor_folder, volume):
    write_series(
        donor_folder / "more", volume, oblique_affine_lps(), description="FLAIR", number=5
    )
    with pytest.raises(InputError, match="several image series"):
        read_series(donor_folder)
    assert read_series(donor_folder, series="5").slices[0].SeriesDescription == "FLAIR"
    with pytest.raises(InputError, match="no image series fits"):
        read_series(donor_folder, series="9")


def test_a_mask_of_another_place_is_refused(products, tmp_path):
    donor, _ = products
    mask = as_ras(ball_with_hole(donor.grid), donor.grid)
    elsewhere = mask.affine.copy()
    elsewhere[:3, 3] += 200
    far = type(mask)(mask.data, elsewhere)
    with pytest.raises(InputError, match="does not lie on the DICOM series"):
        hand_over({"far": far}, donor, tmp_path / "no", Identity("sub-07"))


def test_dicom_in_keeps_place_and_values_and_nothing_of_the_patient(
    donor_folder, volume, tmp_path, capsys, rng
):
    write_series(
        donor_folder / "pet", volume[::2, ::2, ::2],
        oblique_affine_lps((1.8, 2.2, 6.0)), modality="PT", description="FDG brain AC", number=7,
        rng=rng,
    )  # fmt: skip
    bids = tmp_path / "bids"
    code = main(
        ["dicom-in", str(donor_folder), str(bids), "--participant-label", "07", "--t1w", "3",
         "--pet", "7"]
    )  # fmt: skip
    assert code == 0
    t1w = bids / "sub-07/ses-preop/anat/sub-07_ses-preop_T1w.nii.gz"
    assert str(t1w) in capsys.readouterr().out
    image = load(t1w)
    donor = read_series(donor_folder, series="3")
    from falx.core.grid import reorient_to_ras

    expected, affine = reorient_to_ras(volume, donor.grid.affine)
    assert np.allclose(image.affine, affine, atol=1e-3)
    assert np.array_equal(image.data, expected.astype(np.float32))
    header = nib.load(t1w).header
    assert bytes(header["descrip"]).strip(b"\0") == b""
    sidecar = json.loads((t1w.parent / "sub-07_ses-preop_T1w.json").read_text())
    assert sidecar["MagneticFieldStrength"] == 3
    pet = json.loads((bids / "sub-07/ses-preop/pet/sub-07_ses-preop_trc-FDG_pet.json").read_text())
    assert pet["Units"] == "Bq/mL"
    words = [word for text in TELLING.values() for word in text.replace("^", " ").split()]
    for path, content in _bytes_of(bids):
        for word in words:
            if len(word) > 4 and word not in ("beside", "lives"):
                assert word.encode() not in content, f"{word} in {path.name}"


def test_converted_dataset_passes_the_bids_validator(donor_folder, volume, tmp_path, rng):
    validator = shutil.which("bids-validator-deno", path=str(Path(sys.executable).parent))
    if validator is None:
        pytest.skip("bids-validator-deno is not installed")
    write_series(donor_folder / "pet", volume, oblique_affine_lps(), modality="PT",
                 description="FDG brain AC", number=7, rng=rng)  # fmt: skip
    bids = tmp_path / "bids"
    main(["dicom-in", str(donor_folder), str(bids), "--participant-label", "07", "--t1w", "3",
          "--pet", "7"])  # fmt: skip
    done = subprocess.run(
        [validator, "--json", str(bids)], capture_output=True, text=True, check=False
    )
    issues = json.loads(done.stdout)["issues"]["issues"]
    errors = [i for i in issues if i["severity"] == "error"]
    assert errors == [], errors


def test_a_guess_is_announced_and_doubt_is_refused(donor_folder, volume, tmp_path, capsys):
    assert main(["dicom-in", str(donor_folder), str(tmp_path / "b"), "--participant-label",
                 "07"]) == 0  # fmt: skip
    assert "series for t1w was guessed" in capsys.readouterr().out
    write_series(donor_folder / "more", volume, oblique_affine_lps(), number=4)
    assert main(["dicom-in", str(donor_folder), str(tmp_path / "c"), "--participant-label",
                 "07"]) == 2  # fmt: skip
    assert "2 series fit t1w" in capsys.readouterr().err


def test_dicom_out_from_the_command_line(donor_folder, tmp_path, capsys):
    donor = read_series(donor_folder)
    mask = as_ras(ball_with_hole(donor.grid), donor.grid)
    path = tmp_path / "mask.nii.gz"
    save(path, mask.data, mask.affine)
    out = tmp_path / "falx"
    words = ["dicom-out", str(out), str(donor_folder), "--participant-label", "07"]
    assert main([*words, "--mask", f"cavity={path}"]) == 0
    assert (out / "sub-07/dicom/segmentation.dcm").exists()
    assert (out / "sub-07/dicom").stat().st_mode & 0o777 == 0o700
    capsys.readouterr()
    assert main(words) == 2
    assert "neither a planned ablation nor a signature" in capsys.readouterr().err


def spoil(folder, how):
    """Make a donor series that cannot be trusted."""
    path = folder / "IM0003"
    if how == "a slice is missing":
        Path(read_series(folder).slices[9].filename).unlink()
    elif how == "a slice is there twice":
        shutil.copy(path, folder / "IM0099")
    elif how == "a mask lies elsewhere":
        return
    else:
        dataset = pydicom.dcmread(path)
        if how == "orientations differ":
            dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        else:
            dataset.Rows, dataset.PixelData = dataset.Rows - 1, dataset.PixelData[: -2 * SHAPE[0]]
        dataset.save_as(path)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("a slice is missing", "has missing slices"),
        ("a slice is there twice", "holds slices twice"),
        ("orientations differ", "mixes orientations"),
        ("sizes differ", "mixes"),
        ("a mask lies elsewhere", "does not lie on the DICOM series"),
    ],
)
def test_a_bad_series_is_one_sentence_and_nothing_is_written(
    donor_folder, tmp_path, capsys, how, message
):
    grid = read_series(donor_folder).grid
    mask = as_ras(ball_with_hole(grid), grid)
    spoil(donor_folder, how)
    affine = mask.affine.copy()
    affine[:3, 3] += 200 if how == "a mask lies elsewhere" else 0
    save(tmp_path / "mask.nii.gz", mask.data, affine)
    words = ["dicom-out", str(tmp_path / "falx"), str(donor_folder), "--participant-label", "07",
             "--mask", f"cavity={tmp_path / 'mask.nii.gz'}"]  # fmt: skip
    assert main(words) == 2
    text = capsys.readouterr().err
    assert message in text
    assert text.count("\n") == 1
    assert not [path for path in (tmp_path / "falx").rglob("*") if path.is_file()]


def test_in_and_out_again_keeps_side_and_place(donor_folder, volume, tmp_path):
    """A target drawn on the converted image, on the patient's left, comes back where it was."""
    words = ["--participant-label", "07", "--t1w", "3"]
    assert main(["dicom-in", str(donor_folder), str(tmp_path / "bids"), *words]) == 0
    image = load(tmp_path / "bids/sub-07/ses-preop/anat/sub-07_ses-preop_T1w.nii.gz")
    middle = image.grid.centres_mm().reshape(-1, 3).mean(axis=0)
    wanted = np.add(middle, [-9.0, 4.0, 3.0])
    drawn = ((image.grid.centres_mm() - wanted) ** 2).sum(axis=-1) <= 10.0**2
    save(tmp_path / "mask.nii.gz", drawn, image.affine)
    out = ["dicom-out", str(tmp_path / "falx"), str(donor_folder), *words[:2], "--mask",
           f"target={tmp_path / 'mask.nii.gz'}"]  # fmt: skip
    assert main(out) == 0
    folder = tmp_path / "falx/sub-07/dicom"
    segmentation = pydicom.dcmread(folder / "segmentation.dcm")
    points = _segment_points(segmentation, 1)
    assert len(points) == drawn.sum()
    assert np.allclose(points.mean(axis=0), image.grid.centres_mm()[drawn].mean(axis=0), atol=1e-3)
    assert points[:, 0].mean() < middle[0] - 5
    again = read_series(folder / "t1w_with_target")
    bright = np.stack([s.pixel_array.T for s in again.slices], -1) != volume
    outline = again.grid.centres_mm()[bright]
    assert bright.any()
    assert np.abs(np.linalg.norm(outline - wanted, axis=1) - 10.0).max() < 3.5
    assert np.allclose(outline.mean(axis=0), wanted, atol=1.5)


def test_importing_the_room_does_not_load_the_dicom_libraries():
    code = "import sys, falx.surgery.dicom.files; print('highdicom' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          check=True, env={"PYTHONPATH": ":".join(sys.path)})  # fmt: skip
    assert done.stdout.strip() == "False"
