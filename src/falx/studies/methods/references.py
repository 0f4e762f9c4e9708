"""The literature that methods texts name, and its BibTeX."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from falx import __version__

__all__ = ["CITED", "REFERENCES", "Reference", "bibtex", "in_words"]

CITED = re.compile(r"\[((?:@[a-z0-9]+(?:; )?)+)\]")
"""A citation in a text, as pandoc reads it: ``[@welch1947; @holm1979]``."""


@dataclass(frozen=True)
class Reference:
    """An article, or software.

    Parameters
    ----------
    authors
        Family name and initials, parted by ``" and "``; ``others`` for those not named.
    where
        ``"Journal | volume:pages"``, or a publisher.
    """

    authors: str
    year: int
    title: str
    where: str = ""
    doi: str = ""

    @property
    def short(self) -> str:
        """How a sentence names it.

        Examples
        --------
        >>> REFERENCES["benjamini1995"].short, REFERENCES["liu2024"].short
        ('Benjamini and Hochberg 1995', 'Liu et al. 2024')
        """
        names = [name.partition(",")[0].strip("{}") for name in self.authors.split(" and ")]
        if len(names) > 2 or names[-1] == "others":
            return f"{names[0]} et al. {self.year}"
        return f"{' and '.join(names)} {self.year}"

    @property
    def line(self) -> str:
        """The whole reference on one line."""
        doi = f" doi:{self.doi}" if self.doi else ""
        names = self.authors.strip("{}").replace(" and others", " et al.").replace(" and ", "; ")
        where = f" {self.where}." if self.where else ""
        where = where.replace(" | ", " ").replace("--", "–")
        return f"{names} ({self.year}). {self.title}.{where}{doi}"


def _entry(key: str, reference: Reference) -> str:
    fields = {"author": reference.authors, "title": f"{{{reference.title}}}"}
    fields["year"] = str(reference.year)
    journal, _, rest = reference.where.partition(" | ")
    volume, _, pages = rest.partition(":")
    kind = "article" if rest else "misc"
    fields |= {"journal" if rest else "note": journal, "volume": volume, "pages": pages}
    fields["doi"] = reference.doi
    lines = [f"  {name} = {{{text}}}" for name, text in fields.items() if text]
    return f"@{kind}{{{key},\n" + ",\n".join(lines) + "\n}\n"


def bibtex(keys: Iterable[str]) -> str:
    """Return the entries of references, by key, each once.

    Examples
    --------
    >>> print(bibtex(["holm1979"]))
    @article{holm1979,
      author = {Holm, S},
      title = {{A simple sequentially rejective multiple test procedure}},
      year = {1979},
      journal = {Scandinavian Journal of Statistics},
      volume = {6},
      pages = {65--70}
    }
    <BLANKLINE>
    """
    return "\n".join(_entry(key, REFERENCES[key]) for key in sorted(set(keys)))


def in_words(text: str) -> str:
    """Turn the citations of a text into names and years.

    Examples
    --------
    >>> in_words("corrected [@holm1979; @benjamini1995].")
    'corrected (Holm 1979; Benjamini and Hochberg 1995).'
    """

    def named(found: re.Match[str]) -> str:
        keys = [key.strip().removeprefix("@") for key in found[1].split(";")]
        return f"({'; '.join(REFERENCES[key].short for key in keys)})"

    return CITED.sub(named, text)


REFERENCES = {
    "falx": Reference(
        "{The Falx developers}", 2026,
        "Falx: what differs across the midline of the brain in epilepsy", f"Version {__version__}",
    ),
    "mo2025": Reference(
        "Mo, J and Zhao, B and Wang, X and Zhang, C and Sang, L and Hu, W and Shao, X and Zhang, "
        "J "
        "and Li, R and Zhang, K", 2025,
        "Personalized neurometabolic signature predicts seizure outcomes of laser ablation in "
        "mesial temporal lobe epilepsy",
    ),
    "liu2024": Reference(
        "Liu, T and Wang, S and Tang, Y and Jiang, S and Lin, H and Li, F and Yao, D and Zhu, X "
        "and Luo, C and Li, Q", 2024,
        "Structural and functional alterations in MRI-negative drug-resistant epilepsy and "
        "associated gene expression features", "NeuroImage | 303:120908",
        "10.1016/j.neuroimage.2024.120908",
    ),
    "ashburner2005": Reference(
        "Ashburner, J and Friston, K J", 2005, "Unified segmentation", "NeuroImage | 26:839--851",
        "10.1016/j.neuroimage.2005.02.018",
    ),
    "studholme1999": Reference(
        "Studholme, C and Hill, D L G and Hawkes, D J", 1999,
        "An overlap invariant entropy measure of 3D medical image alignment",
        "Pattern Recognition | 32:71--86",
    ),
    "mullergartner1992": Reference(
        "Müller-Gärtner, H W and Links, J M and Prince, J L and others", 1992,
        "Measurement of radiotracer concentration in brain gray matter using positron emission "
        "tomography: MRI-based correction for partial volume effects",
        "Journal of Cerebral Blood Flow and Metabolism | 12:571--583",
    ),
    "meltzer1990": Reference(
        "Meltzer, C C and Leal, J P and Mayberg, H S and others", 1990,
        "Correction of PET data for partial volume effects in human cerebral cortex by MR imaging",
        "Journal of Computer Assisted Tomography | 14:561--570",
    ),
    "rousset1998": Reference(
        "Rousset, O G and Ma, Y and Evans, A C", 1998,
        "Correction for partial volume effects in PET: principle and validation",
        "Journal of Nuclear Medicine | 39:904--911",
    ),
    "thomas2011": Reference(
        "Thomas, B A and Erlandsson, K and Modat, M and others", 2011,
        "The importance of appropriate partial volume correction for PET quantification in "
        "Alzheimer's disease",
        "European Journal of Nuclear Medicine and Molecular Imaging | 38:1104--1119",
    ),
    "zang2004": Reference(
        "Zang, Y and Jiang, T and Lu, Y and He, Y and Tian, L", 2004,
        "Regional homogeneity approach to fMRI data analysis", "NeuroImage | 22:394--400",
    ),
    "gaser2024": Reference(
        "Gaser, C and Dahnke, R and Thompson, P M and Kurth, F and Luders, E and others", 2024,
        "CAT: a computational anatomy toolbox for the analysis of structural MRI data",
        "GigaScience | 13:giae049",
    ),
    "esteban2019": Reference(
        "Esteban, O and Markiewicz, C J and Blair, R W and others", 2019,
        "fMRIPrep: a robust preprocessing pipeline for functional MRI",
        "Nature Methods | 16:111--116",
    ),
    "zou2008": Reference(
        "Zou, Q H and Zhu, C Z and Yang, Y and others", 2008,
        "An improved approach to detection of amplitude of low-frequency fluctuation (ALFF) for "
        "resting-state fMRI: fractional ALFF", "Journal of Neuroscience Methods | 172:137--141",
    ),
    "nichols2005": Reference(
        "Nichols, T and Brett, M and Andersson, J and Wager, T and Poline, J B", 2005,
        "Valid conjunction inference with the minimum statistic", "NeuroImage | 25:653--660",
    ),
    "zang2007": Reference(
        "Zang, Y F and He, Y and Zhu, C Z and others", 2007,
        "Altered baseline brain activity in children with ADHD revealed by resting-state "
        "functional MRI", "Brain and Development | 29:83--91",
    ),
    "zuo2012": Reference(
        "Zuo, X N and Ehmke, R and Mennes, M and others", 2012,
        "Network centrality in the human functional connectome", "Cerebral Cortex | 22:1862--1875",
    ),
    "zuo2010": Reference(
        "Zuo, X N and Kelly, C and Di Martino, A and others", 2010,
        "Growing together and growing apart: regional and sex differences in the lifespan "
        "developmental trajectories of functional homotopy", "Journal of Neuroscience | "
        "30:15034--15043",
    ),
    "power2012": Reference(
        "Power, J D and Barnes, K A and Snyder, A Z and Schlaggar, B L and Petersen, S E", 2012,
        "Spurious but systematic correlations in functional connectivity MRI networks arise from "
        "subject motion", "NeuroImage | 59:2142--2154",
    ),
    "friston1996": Reference(
        "Friston, K J and Williams, S and Howard, R and Frackowiak, R S J and Turner, R", 1996,
        "Movement-related effects in fMRI time-series", "Magnetic Resonance in Medicine | "
        "35:346--355",
    ),
    "winkler2014": Reference(
        "Winkler, A M and Ridgway, G R and Webster, M A and Smith, S M and Nichols, T E", 2014,
        "Permutation inference for the general linear model", "NeuroImage | 92:381--397",
        "10.1016/j.neuroimage.2014.01.060",
    ),
    "smith2009": Reference(
        "Smith, S M and Nichols, T E", 2009,
        "Threshold-free cluster enhancement: addressing problems of smoothing, threshold "
        "dependence and localisation in cluster inference", "NeuroImage | 44:83--98",
    ),
    "worsley1996": Reference(
        "Worsley, K J and Marrett, S and Neelin, P and Vandal, A C and Friston, K J and Evans, A "
        "C",
        1996, "A unified statistical approach for determining significant signals in images of "
        "cerebral activation", "Human Brain Mapping | 4:58--73",
    ),
    "eklund2016": Reference(
        "Eklund, A and Nichols, T E and Knutsson, H", 2016,
        "Cluster failure: why fMRI inferences for spatial extent have inflated false-positive "
        "rates", "Proceedings of the National Academy of Sciences | 113:7900--7905",
        "10.1073/pnas.1602413113",
    ),
    "welch1951": Reference(
        "Welch, B L", 1951, "On the comparison of several mean values: an alternative approach",
        "Biometrika | 38:330--336",
    ),
    "johnson2007": Reference(
        "Johnson, W E and Li, C and Rabinovic, A", 2007,
        "Adjusting batch effects in microarray expression data using empirical Bayes methods",
        "Biostatistics | 8:118--127",
    ),
    "chen2022": Reference(
        "Chen, A A and Beer, J C and Tustison, N J and others", 2022,
        "Mitigating site effects in covariance for machine learning in neuroimaging data",
        "Human Brain Mapping | 43:1179--1195",
    ),
    "crawford1998": Reference(
        "Crawford, J R and Howell, D C", 1998,
        "Comparing an individual's test score against norms derived from small samples",
        "The Clinical Neuropsychologist | 12:482--486",
    ),
    "delong1988": Reference(
        "DeLong, E R and DeLong, D M and Clarke-Pearson, D L", 1988,
        "Comparing the areas under two or more correlated receiver operating characteristic "
        "curves: a nonparametric approach", "Biometrics | 44:837--845",
    ),
    "heinze2002": Reference(
        "Heinze, G and Schemper, M", 2002,
        "A solution to the problem of separation in logistic regression",
        "Statistics in Medicine | 21:2409--2419",
    ),
    "holm1979": Reference(
        "Holm, S", 1979, "A simple sequentially rejective multiple test procedure",
        "Scandinavian Journal of Statistics | 6:65--70",
    ),
    "arnatkeviciute2019": Reference(
        "Arnatkevičiūtė, A and Fulcher, B D and Fornito, A", 2019,
        "A practical guide to linking brain-wide gene expression and neuroimaging data",
        "NeuroImage | 189:353--367",
    ),
    "markello2021": Reference(
        "Markello, R D and Arnatkevičiūtė, A and Poline, J B and Fulcher, B D and Fornito, A and "
        "Misic, B", 2021,
        "Standardizing workflows in imaging transcriptomics with the abagen toolbox",
        "eLife | 10:e72129", "10.7554/eLife.72129",
    ),
    "hawrylycz2012": Reference(
        "Hawrylycz, M J and Lein, E S and Guillozet-Bongaarts, A L and others", 2012,
        "An anatomically comprehensive atlas of the adult human brain transcriptome",
        "Nature | 489:391--399", "10.1038/nature11405",
    ),
    "dejong1993": Reference(
        "de Jong, S", 1993, "SIMPLS: an alternative approach to partial least squares regression",
        "Chemometrics and Intelligent Laboratory Systems | 18:251--263",
    ),
    "wagner2015": Reference(
        "Wagner, H H and Dray, S", 2015,
        "Generating spatially constrained null models for irregularly spaced data using Moran "
        "spectral randomization methods", "Methods in Ecology and Evolution | 6:1169--1178",
    ),
    "burt2020": Reference(
        "Burt, J B and Helmer, M and Shinn, M and Anticevic, A and Murray, J D", 2020,
        "Generative modeling of brain maps with spatial autocorrelation",
        "NeuroImage | 220:117038",
    ),
    "fulcher2021": Reference(
        "Fulcher, B D and Arnatkevičiūtė, A and Fornito, A", 2021,
        "Overcoming false-positive gene-category enrichment in the analysis of spatially resolved "
        "transcriptomic brain atlas data", "Nature Communications | 12:2669",
    ),
    "benjamini1995": Reference(
        "Benjamini, Y and Hochberg, Y", 1995,
        "Controlling the false discovery rate: a practical and powerful approach to multiple "
        "testing", "Journal of the Royal Statistical Society B | 57:289--300",
    ),
    "liuxie2020": Reference(
        "Liu, Y and Xie, J", 2020,
        "Cauchy combination test: a powerful test with analytic p-value calculation under "
        "arbitrary dependency structures",
        "Journal of the American Statistical Association | 115:393--402",
    ),
    "bader2003": Reference(
        "Bader, G D and Hogue, C W V", 2003,
        "An automated method for finding molecular complexes in large protein interaction "
        "networks", "BMC Bioinformatics | 4:2",
    ),
    "love2014": Reference(
        "Love, M I and Huber, W and Anders, S", 2014,
        "Moderated estimation of fold change and dispersion for RNA-seq data with DESeq2",
        "Genome Biology | 15:550", "10.1186/s13059-014-0550-8",
    ),
    "muzellec2023": Reference(
        "Muzellec, B and Teleńczuk, M and Cabeli, V and Andreux, M", 2023,
        "PyDESeq2: a python package for bulk RNA-seq differential expression analysis",
        "Bioinformatics | 39:btad547",
    ),
    "whelan2018": Reference(
        "Whelan, C D and Altmann, A and Botía, J A and others", 2018,
        "Structural brain abnormalities in the common epilepsies assessed in a worldwide ENIGMA "
        "study", "Brain | 141:391--408",
    ),
}  # fmt: skip
"""Key to reference."""
