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
from falx.core.tables import Table, decode, parse_table, rows_as

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
    x_mm: float
    y_mm: float
    z_mm: float

    @property
    def centroid_mm(self) -> tuple[float, float, float]:
        """RAS+ millimetres."""
        return self.x_mm, self.y_mm, self.z_mm


@dataclass(frozen=True)
class _Effect:
    """What the toolbox's tables say of one region."""

    region: str
    cohens_d: float
    p: float
    n_controls: int
    n_patients: int


@dataclass(frozen=True)
class _Associated:
    phenotype: str
    gene: str


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
    return tuple(rows_as(EnigmaRegion, _table("regions.tsv"), name="region"))


def load_enigma(syndrome: str) -> EnigmaMap:
    """Load one syndrome's map of Cohen's d.

    Parameters
    ----------
    syndrome
        A key of :data:`SYNDROMES`.
    """
    check_option("syndrome", syndrome, SYNDROMES)
    found: dict[str, _Effect] = {}
    for kind in ("CortThick", "SubVol"):
        # Two of the files end in columns without a name.
        table = _table(f"{syndrome}_case-controls_{kind}.csv")
        effects = rows_as(_Effect, table, region="Structure", cohens_d="d_icv", p="pobs")
        found |= {effect.region: effect for effect in effects}
    regions = enigma_regions()
    rows = [found[region.name] for region in regions]
    return EnigmaMap(
        syndrome,
        regions,
        np.array([row.cohens_d for row in rows]),
        np.array([row.p for row in rows]),
        np.array([row.n_controls for row in rows]),
        np.array([row.n_patients for row in rows]),
    )


def gwas_genes(phenotype: str | None = None) -> tuple[str, ...]:
    """Genes of the epilepsy genome-wide association study (ILAE 2018), sorted.

    Parameters
    ----------
    phenotype
        One of the study's phenotypes, or None for all of them together.
    """
    if phenotype is not None:
        check_option("phenotype", phenotype, gwas_phenotypes())
    rows = _associated()
    return tuple(sorted({row.gene for row in rows if phenotype in (None, row.phenotype)}))


def gwas_phenotypes() -> tuple[str, ...]:
    """Return the phenotypes of the genome-wide association study, sorted."""
    return tuple(sorted({row.phenotype for row in _associated()}))


def _associated() -> list[_Associated]:
    return rows_as(_Associated, _table("ilae_gwas_genes.tsv"))


def _table(name: str) -> Table:
    text = (_FOLDER / name).read_bytes()
    return parse_table(decode(text, where=name), where=name, unique=False, pad=True)
