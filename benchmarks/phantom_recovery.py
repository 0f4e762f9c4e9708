"""What was planted in phantom patients beside what ``falx signature`` finds, over many seeds.

    python -m benchmarks.phantom_recovery FOLDER [--seeds 10] [--voxel-mm 1.25] [--jobs 2]

Every seed is a new head with a focus on alternate sides. The regional asymmetry is shown as
found at 5 % noise, with its standard error, and on the same anatomy without noise in the PET.
A study of minutes per patient, not part of ``make bench``.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from falx.anatomy.files import load_matrix
from falx.bids.dataset import Dataset
from falx.core.settings import resolve
from falx.engine.orders import Resources
from falx.engine.run import Request, run_study
from falx.images.nifti import load, load_labels
from falx.pet.pvc import correct, spread_fractions
from falx.pet.regions import grey_regions, regional_asymmetry
from falx.phantom.dataset import write_cohort
from falx.phantom.heads import SHIPPED
from falx.phantom.patient import PatientSpec
from falx.phantom.pet import PetQuality, observe_pet
from falx.studies.signature.study import STUDY

RATES = (0.35, 0.45, 0.55, 0.65, 0.75)


def main() -> int:
    options = _parser().parse_args()
    bids, out = options.folder / "bids", options.folder / "signature"
    specs = [_spec(n, options.voxel_mm) for n in range(options.seeds)]
    if not bids.exists():
        write_cohort(bids, specs, np.random.default_rng(options.first_seed))
    outcome = run_study(
        Request(
            study=STUDY,
            dataset=Dataset.open(bids),
            out=out,
            level="participant",
            configuration=resolve(STUDY.configuration),
            resources=Resources(options.jobs, None, "", False),
        ),
        lambda text: print(text, flush=True),
    )
    rows = [_row(bids, out, spec) for spec in specs]
    _print(rows)
    return outcome.code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=100)
    parser.add_argument("--voxel-mm", type=float, default=1.25)
    parser.add_argument("--jobs", type=int, default=2)
    return parser


def _spec(number: int, voxel_mm: float) -> PatientSpec:
    return PatientSpec(
        f"{number + 1:02d}",
        ("left", "right")[number % 2],
        voxel_mm=voxel_mm,
        ablative_rate=RATES[number % len(RATES)],
        head=SHIPPED[number % len(SHIPPED)],
    )


def _row(bids: Path, out: Path, spec: PatientSpec) -> dict[str, float]:
    truth_folder = bids / "derivatives" / "truth" / f"sub-{spec.label}"
    own = out / f"sub-{spec.label}"
    truth = json.loads((truth_folder / f"sub-{spec.label}_truth.json").read_text("utf-8"))
    numbers = json.loads(next(own.rglob("*desc-numbers_metrics.json")).read_text("utf-8"))
    sign = -1.0 if spec.side == "right" else 1.0
    return {
        "subject": int(spec.label),
        "side right": float(numbers["side"] == truth["side"]),
        "asymmetry": truth["asymmetry"],
        "found": numbers["mesial_temporal_ai_pet_regional"],
        "se": numbers["mesial_temporal_ai_pet_regional_se"],
        "without noise": sign * _without_noise(truth_folder, own),
        "rate": truth["ablative_rate"],
        "rate found": numbers["rate_mesial_temporal"],
        "hippocampus ratio": numbers[f"hippocampus_{spec.side}_mm3"]
        / truth["volumes_mm3"][f"{spec.side} hippocampus"],
    }


def _without_noise(truth_folder: Path, own: Path) -> float:
    """Asymmetry of the left side, from a noise-free PET on the anatomy that was found."""
    exact = load(next(truth_folder.rglob("*desc-exact_pet.nii.gz")))
    pet = observe_pet(exact.data, exact.grid, np.random.default_rng(0), PetQuality(noise=0.0))
    to_pet = load_matrix(next(own.rglob("*_to-FDG_mode-image_xfm.json")))
    truth = json.loads(next(truth_folder.glob("*_truth.json")).read_text("utf-8"))
    # The noise-free PET lies in T1w space; the error of the coregistration is kept.
    matrix = np.linalg.inv(np.linalg.inv(np.array(truth["t1w_to_pet"])) @ to_pet)
    tissues = [
        load(next(own.rglob(f"*_label-{name}_probseg.nii.gz"))) for name in ("GM", "WM", "CSF")
    ]
    labels = load_labels(next(own.rglob("*_seg-falx_dseg.nii.gz")))
    spread = spread_fractions(
        *tissues,
        grey_regions(labels.data, labels.grid.voxel_sizes_mm),
        pet.grid,
        matrix,
        fwhm_mm=6.0,
        threads=2,
    )
    found = regional_asymmetry(correct(pet.data, spread).activities, spread)
    return found["mesial_temporal"]["left"]


def _print(rows: list[dict[str, float]]) -> None:
    names = list(rows[0])
    print("\t".join(names))
    for row in rows:
        print("\t".join(f"{row[name]:.3f}" for name in names))
    for name in ("found", "without noise"):
        errors = np.array([row[name] - row["asymmetry"] for row in rows])
        print(f"asymmetry, {name}: mean error {errors.mean():+.4f}, SD {errors.std(ddof=1):.4f}, "
              f"worst {np.abs(errors).max():.4f}")  # fmt: skip
    errors = np.array([row["rate found"] - row["rate"] for row in rows])
    print(f"ablative rate: mean error {errors.mean():+.3f}, worst {np.abs(errors).max():.3f}")
    print(f"side right in {sum(row['side right'] for row in rows):.0f} of {len(rows)}")


if __name__ == "__main__":
    sys.exit(main())
