"""Small datasets of empty files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def make_dataset(tmp_path: Path) -> Callable[..., Path]:
    """Write files, given as path to content, below a dataset."""

    def make(*names: str, folder: str = "bids", **contents: str) -> Path:
        root = tmp_path / folder
        root.mkdir(exist_ok=True)
        for name in names:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(contents.get(name, "{}" if name.endswith(".json") else ""))
        return root

    return make
