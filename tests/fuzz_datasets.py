"""Cases of folders: DICOM series, datasets with odd names, rotten outputs; and of commands."""

from __future__ import annotations

import atexit
import contextlib
import io
import json
import os
import random
import shutil
import tempfile
from functools import cache
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom

import toy_study
from falx.bids.index import Index
from falx.cli.main import main
from falx.core.errors import InputError
from falx.engine.verify import repair, verify_folder
from fuzzing import Case, SilentError, damaged
from surgery.dicom_phantom import oblique_affine_lps, write_series
from toy_cli import TOY_COMMANDS
from toy_run import Toy

SHAPE = (11, 9, 7)
HEADER_END = 1400
"""Pixels begin behind this byte; nobody can tell whether a pixel is right."""


def _series(case: Case, modality: str = "MR") -> tuple[Path, np.ndarray]:
    volume = case.numbers.integers(1, 2000, SHAPE).astype("u2")
    what = {"MR": "T1 MPRAGE", "PT": "FDG PET AC"}[modality]
    folder = case.folder / "dicom"
    write_series(folder, volume, oblique_affine_lps(), modality=modality, description=what)
    return folder, volume


def _converted(case: Case, folder: Path) -> nib.Nifti1Image | None:
    """Convert by the command; None if it refused in a sentence, on one line of errors."""
    said, errors = io.StringIO(), io.StringIO()
    words = ["dicom-in", str(folder), str(case.folder / "bids"), "--participant-label", "01"]
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(errors):
        code = main(words)
    if code != 0:
        if "Traceback" in errors.getvalue() or not errors.getvalue().startswith("falx: "):
            raise AssertionError(f"{code}: {errors.getvalue()}")
        raise InputError(errors.getvalue().strip().rstrip("."))
    (path,) = (case.folder / "bids").rglob("*.nii.gz")
    return nib.load(path)


def _world(volume: np.ndarray, affine_lps: np.ndarray) -> dict[tuple[float, ...], int]:
    """Value at every place, RAS mm."""
    voxels = np.argwhere(np.ones(volume.shape, bool))
    world = (voxels @ affine_lps[:3, :3].T + affine_lps[:3, 3]) * (-1, -1, 1)
    values = volume[tuple(voxels.T)]
    return {tuple(np.round(p, 1) + 0.0): int(v) for p, v in zip(world, values, strict=True)}


def _compare(image: nib.Nifti1Image, volume: np.ndarray, *, spare: int) -> None:
    """Every voxel must lie where its slice says; `spare` of them may have other values."""
    truth = _world(volume, oblique_affine_lps())
    values = np.asanyarray(image.dataobj)
    voxels = np.argwhere(np.ones(values.shape, bool))
    world = voxels @ image.affine[:3, :3].T + image.affine[:3, 3]
    wrong = 0
    for place, voxel in zip(world, voxels, strict=True):
        near = min(truth, key=lambda p: sum((a - b) ** 2 for a, b in zip(p, place, strict=True)))
        if np.linalg.norm(np.array(near) - place) > 0.2:
            raise SilentError(f"a voxel at {place}, where no slice lies")
        wrong += truth[near] != int(values[tuple(voxel)])
    if wrong > spare:
        raise SilentError(f"{wrong} voxels have a value of another place")


def dicom_files(case: Case) -> str:
    """Slices lost, doubled, damaged, of another patient or another series."""
    rng = case.rng
    folder, volume = _series(case)
    paths = sorted(folder.iterdir())
    kind = rng.choice(["lose", "truncate", "bytes", "bytes", "double", "patient", "empty", "tag",
                       "junk", "spacing"])  # fmt: skip
    path, spare = rng.choice(paths), 0
    if kind == "lose":
        for gone in rng.sample(paths, rng.randrange(1, 4)):
            gone.unlink()
    elif kind == "truncate":
        path.write_bytes(path.read_bytes()[: rng.randrange(path.stat().st_size)])
    elif kind == "bytes":
        path.write_bytes(damaged(path.read_bytes(), rng))
        spare = 99  # one slice: nothing in DICOM protects its pixels
    elif kind == "double":
        shutil.copy(path, folder / "again.dcm")
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "junk":
        case.write("dicom/notes.txt", rng.randbytes(300))
    else:
        data = pydicom.dcmread(path)
        if kind == "patient":
            data.PatientID, data.PatientName = "other", "Other"
        elif kind == "spacing":
            data.PixelSpacing = [data.PixelSpacing[0], float(data.PixelSpacing[1]) * 1.5]
        else:
            name = rng.choice(["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing",
                               "Rows", "InstanceNumber", "SeriesNumber", "PixelData",
                               "BitsAllocated", "SeriesInstanceUID"])  # fmt: skip
            delattr(data, name)
        data.save_as(path)
    image = _converted(case, folder)
    if image is not None:
        _compare(image, volume, spare=spare)
    if kind in ("patient", "empty", "truncate", "spacing"):
        raise SilentError(f"{kind} was not seen")
    return "right"


# fmt: off
NAMES = ("sub-01_T1w", "sub-01_ses-a_T1w", "sub_01_T1w", "sub-01__T1w", "-_T1w", "sub-01_T1w.",
         "sub-01_sub-02_T1w", "sub-ä_T1w", "sub-01_acq-\u202e_T1w", "a" * 200, "sub-01_ T1w",
         "sub-01_task-rest_bold", ".sub-01_T1w", "sub-01_T1w copy", "'; rm -rf x; '_T1w")
# fmt: on


def dataset(case: Case) -> str:
    """A dataset with odd names, links and folders: the good image is found, or a sentence."""
    rng = case.rng
    root = case.folder / "bids"
    good = root / "sub-01" / "anat" / "sub-01_T1w.nii.gz"
    good.parent.mkdir(parents=True)
    good.write_text("1 2")
    for _ in range(rng.randrange(1, 5)):
        name = rng.choice(NAMES) + rng.choice([".nii.gz", ".nii", ".json", "", ".nii.gz.part"])
        folder = rng.choice(["", "sub-01", "sub-01/anat", "sub-01/ses-x/anat", "sub-02/anat", "x"])
        path = root / folder / name
        if not os.path.lexists(path):
            kind = rng.choice(["file", "folder", "loop", "dangling", "json"])
            path.parent.mkdir(parents=True, exist_ok=True)
            if kind == "folder":
                path.mkdir()
            elif kind in ("loop", "dangling"):
                path.symlink_to(path.parent if kind == "loop" else "nowhere")
            else:
                path.write_text("{" if kind == "json" else "3 4")
    index = Index(root)
    if "01" not in index.subjects:
        raise SilentError("the subject is lost")
    found = [file.path for file in index.files("01")]
    if "sub-01/anat/sub-01_T1w.nii.gz" not in found:
        raise SilentError(f"the image is lost: {found}")
    for file in index.files("01"):
        if file.path == "sub-01/anat/sub-01_T1w.nii.gz":
            index.sidecar(file)
    return "right"


@cache
def _gold() -> Toy:
    """Return a toy study of both levels that went well."""
    folder = tempfile.mkdtemp(prefix="falx-gold-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    toy = Toy(Path(folder), 2)
    assert toy.run().code == 0
    assert toy.run("group").code == 0
    return toy


def _copy(case: Case) -> Toy:
    gold = _gold()
    toy = object.__new__(Toy)
    toy.__dict__.update(vars(gold))
    toy.out = Path(shutil.copytree(gold.out, case.folder / "out"))
    toy.bids = Path(shutil.copytree(gold.bids, case.folder / "bids"))
    return toy


def _rot(path: Path, rng: random.Random) -> None:
    """Damage a file; its size and time may stay, as on a disk that fails."""
    before, data = path.stat(), path.read_bytes()
    if rng.random() < 0.6 and data:
        content = bytearray(data)
        place = rng.randrange(len(data))
        digit = chr(content[place]).isdigit()
        content[place] = ord(rng.choice("0123456789")) if digit else content[place] ^ 1
        path.write_bytes(content)
    else:
        path.write_bytes(damaged(data, rng))
    if rng.random() < 0.7:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def rotten_folder(case: Case) -> str:
    """Files of the output folder rot; another run never computes with them and exits 0."""
    rng = case.rng
    toy = _copy(case)
    private = rng.random() < 0.2
    files = sorted(
        p for p in toy.out.rglob("*")
        if p.is_file() and p.name != "lock.json"
        and (p.relative_to(toy.out).parts[0] == ".falx") == private
        and p.relative_to(toy.out).parts[0] != "logs"
    )  # fmt: skip
    rotten = rng.sample(files, min(len(files), rng.randrange(1, 4)))
    for path in rotten:
        _rot(path, rng)
    gain = rng.choice([2.0, 3.0])
    weights = rng.choice([(1.0, 1.0), (1.0, 2.0)])
    values = {"warm__gain": gain, "join__weights": weights}
    if rng.random() < 0.3:
        repair(toy.out, verify_folder(toy.out))
    outcome = toy.run(**values)
    group = toy.run("group", **values)
    found = verify_folder(toy.out)
    if outcome.code != 0:
        raise InputError(f"the run ended with {outcome.code}: {outcome.failed}")
    if group.code != 0:
        return "refused"
    wanted = _numbers(gain, weights)
    if not found and _told(toy) != wanted:
        raise SilentError(f"{[p.name for p in rotten]}: {_told(toy)} for {wanted}")
    if found:
        # What no step had to read may be rotten still: verify names it.
        fresh = {m.uri for m in found}
        changed = {p.relative_to(toy.out).as_posix() for p in rotten}
        if not fresh <= changed:
            raise SilentError(f"{fresh - changed} is not as it should be")
        return "refused"
    return "right"


def _numbers(gain: float, weights: tuple[float, float]) -> dict[str, float]:
    """Mean of the joined image of each person, and theirs: the toy study by hand."""
    means = {}
    for n in (1, 2):
        sign = -1 if n % 2 else 1
        joined = [weights[0] * sign * gain * v + weights[1] * v for v in (n, n + 1)]
        means[f"{n:02d}"] = sum(joined) / 2
    return means | {"mean": sum(means.values()) / 2}


def _told(toy: Toy) -> dict[str, float]:
    lines = (toy.out / "group" / "means.tsv").read_text().splitlines()
    return {name: float(value) for name, value in (line.split("\t") for line in lines)}


WORDS = (
    "nan",
    "-1",
    "1e999",
    "",
    "x" * 999,
    "../..",
    "--",
    "-",
    "é",
    "0",
    "[]",
    "true",
    "\n",
    "*",
)


def command_line(case: Case) -> str:
    """Words that make no sense: a sentence and exit code 2, and nothing written."""
    rng = case.rng
    root = toy_study.write_dataset(case.folder / "bids", 1)
    options = ("--warm-gain", "--warm-offset-mm", "--warm-how", "--join-weights", "--join-extra",
               "--participant-label", "--column", "--config", "--preset", "--jobs", "--mem-gb",
               "--bids-filter", "--derivatives", "--nonsense")  # fmt: skip
    option, word = rng.choice(options), rng.choice(WORDS)
    out = case.folder / "out"
    words = ["toy", str(root), str(out), rng.choice(["participant", "group", word]), "--serial"]
    said, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(errors):
        try:
            code = main([*words, option, word], commands=TOY_COMMANDS)
        except SystemExit as error:
            code = int(error.code or 0)
    if "Traceback" in errors.getvalue():
        raise AssertionError(errors.getvalue())
    if code == 2:
        if not errors.getvalue().strip():
            raise SilentError(f"{option} {word!r} ended with 2 and no word")
        return "refused"
    if code != 0:
        raise SilentError(f"{option} {word!r} ended with {code}: {said.getvalue()}")
    numbers = json.loads(next(out.rglob("*desc-joined_stats.json")).read_text())["mean"]
    if numbers != -1.5 and option not in ("--warm-gain", "--warm-offset-mm", "--join-weights"):
        raise SilentError(f"{option} {word!r} gave {numbers}")
    return "right"


def foreign_folder(case: Case) -> str:
    """An output folder that holds something else: refused, or found to be of Falx."""
    rng = case.rng
    toy = _copy(case)
    place = rng.choice([".falx/folder.json", ".falx/people.json", ".falx/lock.json",
                        "dataset_description.json", "provenance/manifest.json",
                        ".falx/digests.json"])  # fmt: skip
    content = rng.choice([b"", b"[]", b"null", b"{", b"7", b"\xff\xfe", b'{"a": [1]}',
                          b'{"lease": 3, "pid": "x", "host": 1}', b"[" * 5000,
                          b'{"01": 3}'])  # fmt: skip
    (toy.out / place).write_bytes(content)
    outcome = toy.run()
    if outcome.code != 0:
        raise InputError(f"the run ended with {outcome.code}: {outcome.failed}")
    toy.run("group")
    if _told(toy) != _numbers(2.0, (1.0, 1.0)):
        raise SilentError(f"{place} {content!r}: {_told(toy)}")
    return "right"
