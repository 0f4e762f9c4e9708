"""The standard-error map of the asymmetry beside the scatter over redraws of the same PET.

    python -m benchmarks.standard_error [--seed 1100] [--redraws 50]

A phantom head without a focus; only the noise is drawn anew. Ratios are of root mean squares.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from calibration_phantom import GM_FLOOR, Phantom
from falx.atlas.freesurfer_numbers import AMYGDALA, HIPPOCAMPUS, PAIRS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seed", type=int, default=1100)
    parser.add_argument("--redraws", type=int, default=50)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    head = Phantom(options.seed, depth=0.0)
    indices, defined = [], True
    for _ in range(options.redraws):
        asymmetry = head.asymmetry(head.observed(rng, people=False))[2]
        indices.append(asymmetry.index.astype(np.float32))
        defined = defined & asymmetry.valid
    scatter = np.std(indices, axis=0, ddof=1)
    observed = head.observed(rng, people=False)
    result, scaled, _ = head.asymmetry(observed)
    stated = head.null_maps(observed, result, scaled, rng).noise.standard_error()
    labels = head.place.to_template(head.place.labels, how="nearest")
    # At a rim where one redraw has no index there is no scatter.
    grey = (head.place.to_template(head.gm) > GM_FLOOR) & defined & (stated > 0)
    places = {"grey matter": grey}
    places |= {name: grey & np.isin(labels, pair) for name, pair in PAIRS.items()}
    places["hippocampus"] = grey & np.isin(labels, tuple(HIPPOCAMPUS.values()))
    places["amygdala"] = grey & np.isin(labels, tuple(AMYGDALA.values()))
    for name, where in places.items():
        if np.count_nonzero(where) >= 50:
            ratio = np.sqrt(np.mean(stated[where] ** 2) / np.mean(scatter[where] ** 2))
            quartiles = np.quantile(stated[where] / scatter[where], [0.25, 0.5, 0.75]).round(3)
            print(f"{name}: {ratio:.3f}; voxels {quartiles.tolist()}, n {np.count_nonzero(where)}")


if __name__ == "__main__":
    main()
