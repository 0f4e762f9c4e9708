"""A series with a slice missing, cut, turned or of somebody else never becomes an image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pydicom = pytest.importorskip("pydicom", reason="the extra dicom is not installed")
pytest.importorskip("dcm2niix", reason="the extra dicom is not installed")

from falx.cli.main import main  # noqa: E402
from falx.core.errors import FalxNotice, InputError, collect_notices  # noqa: E402
from falx.images.nifti import load  # noqa: E402
from falx.surgery.dicom.completeness import Plane, Unreadable, check_whole  # noqa: E402
from falx.surgery.dicom.files import read_series, survey  # noqa: E402
from surgery.dicom_phantom import TELLING, oblique_affine_lps, write_series  # noqa: E402

VOLUME = np.ones((24, 20, 10), np.uint16) * 100 * np.arange(1, 11, dtype=np.uint16)
TURN = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def stack(count: int, step: float = 3.0, *, start: float = 0.0, frames: int = 1) -> list[Plane]:
    return [
        Plane("uid", "3", "p", (1.0, 2.0, start + k * step), TURN, f * count + k + 1)
        for f in range(frames)
        for k in range(count)
    ]


def check(planes: list[Plane], *unreadable: Unreadable) -> None:
    check_whole(planes, unreadable, "3", where="scan")


@settings(max_examples=50, deadline=None)
@given(
    st.integers(1, 40), st.floats(0.4, 8.0), st.floats(-200, 200), st.integers(1, 4),
    st.randoms(use_true_random=False),
)  # fmt: skip
def test_whole_stacks_pass_in_any_order(
    count: int, step: float, start: float, frames: int, random: object
) -> None:
    planes = stack(count, step, start=start, frames=frames)
    random.shuffle(planes)  # type: ignore[attr-defined]
    with collect_notices() as notices:
        check(planes)
    assert notices == []


@settings(max_examples=50, deadline=None)
@given(st.integers(5, 40), st.floats(0.4, 8.0), st.integers(1, 3), st.data())
def test_a_slice_that_is_gone_inside_is_always_found(
    count: int, step: float, frames: int, data: st.DataObject
) -> None:
    planes = stack(count, step, frames=frames)
    del planes[data.draw(st.integers(1, count - 2))]
    with pytest.raises(InputError, match="slices are missing"):
        check(planes)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda p: [*p[:4], *p[6:]], r"found: about 2, the first after slice 4 of 8: .* 9\.00 mm"),
        (lambda p: [*p, p[3]], r"missing or doubled \(found: 9 of 10 places"),
        (lambda p: [*p[:5], *(replace(q, position_mm=(1, 2, q.position_mm[2] + 0.5))
                              for q in p[5:])], r"steps from 3\.00 to 3\.50 mm"),
        (lambda p: [*p[:9], replace(p[9], patient="q")], r"different patients \(found: 2 pat"),
        (lambda p: [*p[:9], replace(p[9], complete=False)], r"truncated \(found: 1 of 10"),
        (lambda p: [*p[:9], replace(p[9], orientation=None)], "1 of 10 without position"),
        (lambda p: [*p[:9], replace(p[9], position_mm=None)], "1 of 10 without position"),
        (lambda p: [*p[:9], replace(p[9], orientation=(0, 1, 0, 1, 0, 0))], "not parallel"),
        (lambda p: [replace(q, expected=11) for q in p], "found: 10, while the header says 11"),
    ],
)  # fmt: skip
def test_series_that_are_not_whole(
    change: Callable[[list[Plane]], list[Plane]], match: str
) -> None:
    with pytest.raises(InputError, match=rf"^scan, series 3: .*{match}"):
        check(change(stack(10)))


def test_what_other_series_lack_is_their_affair() -> None:
    other = [replace(p, number="4", series="other", patient="q") for p in stack(10)[::3]]
    check([*stack(10), *other])
    check([*stack(10), *(replace(p, series="second") for p in stack(7, 4.0))])
    with pytest.warns(FalxNotice, match="could not be checked"):
        check(other)


def test_numbers_that_are_left_out_are_a_notice() -> None:
    with pytest.warns(FalxNotice, match=r"not numbered one after .*\(found: 2 numbers"):
        check([replace(p, instance=p.instance + 2 * (p.instance > 9)) for p in stack(10)])


def test_a_damaged_file_may_be_a_slice() -> None:
    with pytest.raises(InputError, match=r"are damaged .*\(found: IM3: is empty\)"):
        check(stack(10), Unreadable("IM3", "is empty"))


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    write_series(tmp_path / "scan", VOLUME, oblique_affine_lps())
    return tmp_path / "scan"


def change_slice(name: str, **tags: object) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        data = pydicom.dcmread(folder / name)
        for tag, value in tags.items():
            if value is None:
                delattr(data, tag)
            else:
                setattr(data, tag, value)
        data.save_as(folder / name)

    return apply


def bring_in(scan: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    bids = scan.parent / "bids"
    code = main(["dicom-in", str(scan), str(bids), "--participant-label", "07"])
    said = capsys.readouterr()
    return code, said.out + said.err


def without_geometry(folder: Path) -> None:
    for path in folder.iterdir():
        change_slice(path.name, ImageOrientationPatient=None, ImagePositionPatient=None)(folder)


def cut(folder: Path) -> None:
    path = folder / "IM0003"
    path.write_bytes(path.read_bytes()[:-300])


DAMAGES = [
    (lambda f: (f / "IM0003").unlink(), "slices are missing (found: about 1, the first after"),
    (lambda f: (f / "IM0003").write_bytes(b""), "slices are missing"),
    (lambda f: (f / "IM0009").write_bytes(b""), "IM0009: is empty"),
    (cut, "could be converted (found: Warning: File not large enough to store image"),
    (lambda f: (f / "IM0003").write_bytes((f / "IM0003").read_bytes()[:500]), "series 3"),
    (without_geometry, "do not say where they lie (found: 10 of 10"),
    (change_slice("IM0003", PatientID="P2"), "of different patients (found: 2 patients)"),
]


@pytest.mark.parametrize(("damage", "sentence"), DAMAGES)
def test_no_image_comes_of_a_damaged_series(
    scan: Path,
    capsys: pytest.CaptureFixture[str],
    damage: Callable[[Path], None],
    sentence: str,
) -> None:
    damage(scan)
    code, said = bring_in(scan, capsys)
    assert code == 2
    assert sentence in said
    assert "Traceback" not in said
    assert not any(value in said for value in TELLING.values())
    assert not list(scan.parent.rglob("*.nii.gz"))


def test_a_whole_series_comes_in_as_before(scan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (scan / "README.txt").write_text("no DICOM")
    code, said = bring_in(scan, capsys)
    assert code == 0
    (path,) = scan.parent.rglob("*_T1w.nii.gz")
    assert load(path).data.shape[2] == 10
    planes, unreadable = survey(scan)
    assert (len(planes), unreadable) == (10, ())
    assert all(plane.complete and plane.number == "3" for plane in planes)
    assert "T1w.nii.gz" in said


def test_noise_in_dicom_files_raises_no_foreign_error(scan: Path) -> None:
    content, seeded = (scan / "IM0003").read_bytes(), np.random.default_rng(3)
    for _ in range(120):
        damaged = bytearray(content)
        place = int(seeded.integers(132, 1500))
        damaged[place : place + 4] = seeded.bytes(int(seeded.integers(1, 5)))
        (scan / "IM0003").write_bytes(damaged)
        survey(scan)
    (scan / "IM0003").write_bytes(content[:132] + b"\xff" * 40)
    planes, unreadable = survey(scan)
    assert len(planes) == 9
    assert [file.name for file in unreadable] == ["IM0003"] or len(planes) == 9
    with pytest.raises(InputError):
        read_series(scan)


@pytest.mark.parametrize("change", ["other", "none", "rows"])
def test_slices_of_other_pixels_are_refused(tmp_path: Path, change: str) -> None:
    """A converter takes the spacing of one slice for all: half a millimetre off at the edge."""
    folder = tmp_path / "dicom"
    write_series(folder, VOLUME, oblique_affine_lps())
    path = sorted(folder.iterdir())[3]
    data = pydicom.dcmread(path)
    if change == "other":
        data.PixelSpacing = [data.PixelSpacing[0], float(data.PixelSpacing[1]) + 0.05]
    elif change == "none":
        del data.PixelSpacing
    else:
        data.Rows, data.Columns = data.Columns, data.Rows
    data.save_as(path)
    planes, unreadable = survey(folder)
    with pytest.raises(InputError, match="slices differ in their pixels, or do not say"):
        check_whole(planes, unreadable, "3", where="dicom")


def test_a_slice_of_which_the_first_bytes_are_left_is_not_passed_over(tmp_path: Path) -> None:
    folder = tmp_path / "dicom"
    write_series(folder, VOLUME, oblique_affine_lps())
    last = max(folder.iterdir())
    whole = last.read_bytes()
    for length in (60, 310):
        last.write_bytes(whole[:length])
        planes, unreadable = survey(folder)
        assert [file.name for file in unreadable] == [last.name]
        with pytest.raises(InputError, match="damaged and may be slices of the series"):
            check_whole(planes, unreadable, "3", where="dicom")
