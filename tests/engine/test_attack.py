"""A standing attack: seeded damage to everything that is read from outside or from the folder.

Every case is refused in a sentence, goes on with a notice, or gives what an independent reading
gives: silent 0, errors of libraries 0, hangs 0. A fault is repeated by its kind and number.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("pydicom", reason="the extra dicom is not installed")
pytest.importorskip("dcm2niix", reason="the extra dicom is not installed")

import fuzz_datasets
import fuzz_genes
import fuzz_images
import fuzz_tables
from fuzzing import Kind, attack

KINDS: dict[Kind, int] = {
    fuzz_images.packed_image: 12,
    fuzz_images.image_header: 12,
    fuzz_images.wrong_content: 12,
    fuzz_images.odd_content: 12,
    fuzz_tables.participants: 12,
    fuzz_tables.side_words: 8,
    fuzz_tables.json_text: 10,
    fuzz_tables.configuration: 10,
    fuzz_tables.toml_bytes: 8,
    fuzz_tables.settings_by_hand: 8,
    fuzz_tables.plan: 12,
    fuzz_genes.expression: 10,
    fuzz_genes.region_table: 10,
    fuzz_genes.gene_sets: 8,
    fuzz_genes.gene_list: 8,
    fuzz_genes.network: 10,
    fuzz_genes.blood_counts: 8,
    fuzz_genes.knowledge: 10,
    fuzz_genes.packed_text: 6,
    fuzz_datasets.dicom_files: 8,
    fuzz_datasets.dataset: 10,
    fuzz_datasets.rotten_folder: 10,
    fuzz_datasets.foreign_folder: 10,
    fuzz_datasets.command_line: 10,
}
"""Cases of each kind that every run of the tests has."""

MORE = 12
"""Times as many in the slow tests, of other seeds; those on DICOM are half."""


def run(kind: Kind, seeds: range, folder: Path) -> Counter[str]:
    counts, faults = attack(kind, seeds, folder)
    print(f"{kind.__name__}: {dict(sorted(counts.items()))}")
    assert not faults, "\n\n".join(faults)
    assert sum(counts.values()) == len(seeds)
    return counts


def test_there_are_two_hundred_cases() -> None:
    assert sum(KINDS.values()) >= 200
    assert MORE * sum(KINDS.values()) >= 2000


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_nothing_is_read_as_what_it_is_not(kind: Kind, tmp_path: Path) -> None:
    run(kind, range(KINDS[kind]), tmp_path)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_nor_in_ten_times_as_many(kind: Kind, tmp_path: Path) -> None:
    cases = MORE * KINDS[kind] // (2 if kind is fuzz_datasets.dicom_files else 1)
    run(kind, range(1000, 1000 + cases), tmp_path)
