"""How the gallery of the site takes the pictures that the scripts of ``examples/`` save."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from sphinx_gallery.scrapers import figure_rst

ORDER = (
    "asymmetry_from_arrays", "signature", "norms", "plan", "reho", "group_map",
    "genes_behind_a_map", "outcome", "validation_elsewhere", "reproduce",
)  # fmt: skip
"""Scripts as a reader meets them; one that is missing here comes last."""


class SavedPictures:
    """Take every PNG that a block of a script has saved since the last block."""

    def __init__(self) -> None:
        self.seen: dict[Path, int] = {}

    def __repr__(self) -> str:
        """Return the same text in every build, for Sphinx compares configurations."""
        return "SavedPictures()"

    def __call__(self, _block: Any, variables: dict[str, Any], gallery: dict[str, Any]) -> str:
        """Copy new pictures to where the gallery wants them, and return their reST."""
        folder = Path(variables["src_file"]).parent
        names = []
        for path in sorted(folder.glob("*.png"), key=lambda path: path.stat().st_mtime_ns):
            stamp = path.stat().st_mtime_ns
            if self.seen.get(path) == stamp:
                continue
            self.seen[path] = stamp
            names.append(next(variables["image_path_iterator"]))
            shutil.copy(path, names[-1])
        return figure_rst(names, gallery["src_dir"])


class InOrder:
    """Sort scripts as :data:`ORDER` says."""

    def __init__(self, _folder: str) -> None:
        pass

    def __repr__(self) -> str:
        """Return the same text in every build."""
        return "InOrder"

    def __call__(self, name: str) -> tuple[int, str]:
        """Return the key of one script."""
        stem = Path(name).stem
        return (ORDER.index(stem) if stem in ORDER else len(ORDER), stem)
