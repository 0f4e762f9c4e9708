"""ENIGMA-Epilepsy: effect sizes of five syndromes against controls, by region.

Cohen's d of cortical thickness (68 Desikan–Killiany regions) and subcortical volume, adjusted
for age, sex and intracranial volume, from Whelan et al. 2018 (Brain 141:391) as the ENIGMA
Toolbox distributes them (BSD-3-Clause). Negative is thinner or smaller in patients.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources

import numpy as np
import numpy.typing as npt

from falx.core.errors import check_option
from falx.core.grid import Side
from falx.core.tables import Table, decode, parse_table

__all__ = [
    "SYNDROMES",
    "EnigmaMap",
    "EnigmaRegion",
    "enigma_regions",
    "gwas_genes",
    "gwas_phenotypes",
    "load_enigma",
]

SYNDROMES = {
    "allepi": "all epilepsies",
    "tlemtsl": "left temporal lobe epilepsy with mesial temporal sclerosis",
    "tlemtsr": "right temporal lobe epilepsy with mesial temporal sclerosis",
    "gge": "genetic generalised epilepsy",
    "allotherepi": "all other epilepsies",
}
_FOLDER = resources.files("falx.data") / "enigma_epilepsy"


@dataclass(frozen=True)
class EnigmaRegion:
    """A Desikan–Killiany or subcortical region; centroid in MNI RAS+ mm."""

    name: str
    side: Side
    block: str
    centroid_mm: tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class EnigmaMap:
    """One syndrome's effect sizes, in the order of :func:`enigma_regions`.

    Ventricles are left out: they hold no tissue. P values are those published; corrected ones
    are recomputed by whoever needs them, because some published ones are below their own raw P.
    """

    syndrome: str
    regions: tuple[EnigmaRegion, ...]
    cohens_d: npt.NDArray[np.float64]
    p: npt.NDArray[np.float64]
    n_controls: npt.NDArray[np.int64]
    n_patients: npt.NDArray[np.int64]

    @property
    def names(self) -> tuple[str, ...]:
        """Region names."""
        return tuple(region.name for region in self.regions)


def enigma_regions() -> tuple[EnigmaRegion, ...]:
    """Return the 68 cortical and 14 subcortical regions with their centroids.

    Examples
    --------
    >>> regions = enigma_regions()
    >>> len(regions), regions[0].name, regions[0].side
    (82, 'L_bankssts', 'left')
    """
    rows = _table("regions.tsv").records()
    return tuple(
        EnigmaRegion(
            row["region"],
            "left" if row["side"] == "left" else "right",
            row["block"],
            (float(row["x_mm"]), float(row["y_mm"]), float(row["z_mm"])),
        )
        for row in rows
    )


def load_enigma(syndrome: str) -> EnigmaMap:
    """Load one syndrome's map of Cohen's d.

    Parameters
    ----------
    syndrome
        A key of :data:`SYNDROMES`.
    """
    check_option("syndrome", syndrome, SYNDROMES)
    found: dict[str, dict[str, str]] = {}
    for kind in ("CortThick", "SubVol"):
        # Two of the files end in columns without a name.
        table = _table(f"{syndrome}_case-controls_{kind}.csv")
        found |= {row["Structure"]: row for row in table.records()}
    regions = enigma_regions()
    rows = [found[region.name] for region in regions]
    return EnigmaMap(
        syndrome,
        regions,
        np.array([float(row["d_icv"]) for row in rows]),
        np.array([float(row["pobs"]) for row in rows]),
        np.array([int(float(row["n_controls"])) for row in rows]),
        np.array([int(float(row["n_patients"])) for row in rows]),
    )


def gwas_genes(phenotype: str | None = None) -> tuple[str, ...]:
    """Genes of the epilepsy genome-wide association study (ILAE 2018), sorted.

    Parameters
    ----------
    phenotype
        One of the study's phenotypes, or None for all of them together.
    """
    rows = _table("ilae_gwas_genes.tsv").records()
    if phenotype is not None:
        check_option("phenotype", phenotype, gwas_phenotypes())
        rows = [row for row in rows if row["phenotype"] == phenotype]
    return tuple(sorted({row["gene"] for row in rows}))


def gwas_phenotypes() -> tuple[str, ...]:
    """Return the phenotypes of the genome-wide association study, sorted."""
    return tuple(sorted({row["phenotype"] for row in _table("ilae_gwas_genes.tsv").records()}))


def _table(name: str) -> Table:
    text = (_FOLDER / name).read_bytes()
    return parse_table(decode(text, where=name), where=name, unique=False, pad=True)
