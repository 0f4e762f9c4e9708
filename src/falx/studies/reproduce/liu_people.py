"""The people of Liu et al. 2024: Table 1, the subgroups of section 3.6 and the methods' sums.

Analysis of variance from means and SDs: Fisher 1925. Quartiles bound a rank sum because they
bound every value between them; the bounds are loose, but a P outside them would be wrong.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy

from falx.clinical.contingency import chi_square, fisher_exact
from falx.clinical.group_tests import mann_whitney
from falx.core.checks import Floats
from falx.data.liu2024 import (
    AGE,
    AGE_P,
    DONOR_AGES,
    DURATION,
    GROUP_SIZES,
    MEN,
    ONSET,
    SEX_P,
    SYNDROMES,
    Quartiles,
)
from falx.studies.reproduce.comparison import (
    CONTRADICTED,
    REPRODUCED,
    UNAVAILABLE,
    Item,
    Value,
    compare,
)

__all__ = ["anova_p", "people_items", "rank_p_bounds"]

TABLE, SUBGROUPS, METHODS = "Table 1", "Subgroups", "Sums of the methods"
OLDEST = 99.0


def people_items() -> list[Item]:
    """Items 1 to 14: counts, ages, sexes, syndromes."""
    return [_sizes(), _age(), _sexes(), _sex_test(), *_ranks(), *_syndromes(), *_sums()]


def anova_p(n: Sequence[int], mean: Sequence[float], sd: Sequence[float]) -> tuple[float, float]:
    """F and P of a one-way analysis of variance from sizes, means and SDs of k groups.

    F = [Σ n (m - M)² / (k - 1)] / [Σ (n - 1) s² / (N - k)].
    """
    sizes, m, s = (np.asarray(v, dtype=np.float64) for v in (n, mean, sd))
    total, k = float(sizes.sum()), len(sizes)
    between = float(sizes @ (m - sizes @ m / total) ** 2) / (k - 1)
    f = between / (float((sizes - 1) @ s**2) / (total - k))
    return f, float(scipy.stats.f.sf(f, k - 1, total - k))


def rank_p_bounds(quartiles: Quartiles, n: tuple[int, int]) -> tuple[float, float]:
    """Smallest and largest two-sided rank P that two groups of these quartiles can have."""
    first, second = quartiles.resistant, quartiles.sensitive
    most = mann_whitney(_extreme(n[0], first, up=True), _extreme(n[1], second, up=False))
    least = mann_whitney(_extreme(n[0], first, up=False), _extreme(n[1], second, up=True))
    crossing = least.effect < 0.5 < most.effect
    return min(most.p, least.p), 1.0 if crossing else max(most.p, least.p)


def _extreme(n: int, quartiles: tuple[float, float, float], *, up: bool) -> Floats:
    """Values (n,) as high or as low as their quartiles allow, quantiles of type 6."""
    cuts = [int((n + 1) * part) for part in (0.25, 0.5, 0.75)]
    edges = [*quartiles, OLDEST] if up else [0.0, *quartiles]
    return np.repeat(edges, np.diff([0, *cuts, n]))


def _sizes() -> Item:
    resistant, sensitive, controls = GROUP_SIZES.values()
    patients = resistant + sensitive
    return Item(
        1, TABLE, "Patients and controls", "47 and 27",
        f"{patients} and {controls}", "same",
        compare([Value(47, patients, 0), Value(27, controls, 0)]),
        "22 resistant and 25 sensitive patients",
    )  # fmt: skip


def _age() -> Item:
    n = list(GROUP_SIZES.values())
    mean, sd = ([AGE[g][i] for g in GROUP_SIZES] for i in (0, 1))
    f, p = anova_p(n, mean, sd)
    return Item(
        2, TABLE, "Age of three groups, analysis of variance", f"P = {AGE_P}",
        f"F(2, 71) = {f:.4f}, P = {p:.4f}", "not possible without the ages",
        compare([Value(AGE_P, p, 3)]), "from the printed means, SDs and group sizes",
    )  # fmt: skip


def _sexes() -> Item:
    sums = [sum(MEN[g]) for g in GROUP_SIZES]
    return Item(
        3, TABLE, "Men and women add up to the groups", "22, 25, 27",
        ", ".join(map(str, sums)), "same",
        compare([Value(n, s, 0) for n, s in zip(GROUP_SIZES.values(), sums, strict=True)]),
        "10 / 12, 8 / 17 and 15 / 12",
    )  # fmt: skip


def _sex_test() -> Item:
    table = np.array([MEN[g] for g in GROUP_SIZES])
    test, exact = chi_square(table), fisher_exact(table)
    plain = compare([Value(SEX_P, test.p, 3)])
    ratio = scipy.stats.chi2_contingency(table, correction=False, lambda_="log-likelihood")
    return Item(
        4, TABLE, "Sex of three groups, Pearson's chi-square", f"P = {SEX_P}",
        f"Fisher's exact P = {exact.p:.4f}; Pearson's χ² = {test.statistic:.4f}, "
        f"P = {test.p:.4f}",
        f"likelihood-ratio P = {float(ratio.pvalue):.4f}",
        REPRODUCED if plain == REPRODUCED else compare([Value(SEX_P, exact.p, 3)],
                                                       convention=True),
        "the printed counts give .232 by the test that is named; .217 is Fisher's exact test, "
        "named Pearson's",
    )  # fmt: skip


def _ranks() -> list[Item]:
    resistant, sensitive, _ = GROUP_SIZES.values()
    items = []
    for number, name, quartiles in ((5, "Duration", DURATION), (6, "Age at onset", ONSET)):
        low, high = rank_p_bounds(quartiles, (resistant, sensitive))
        within = low <= quartiles.p <= high
        items.append(Item(
            number, TABLE, f"{name}, Mann–Whitney test", f"P = {quartiles.p:.3f}",
            f"the quartiles allow any P from {low:.2g} to {high:.2g}", "not possible",
            UNAVAILABLE if within else CONTRADICTED,
            "only medians and quartiles are printed; the printed P is "
            + ("possible" if within else "not possible"),
        ))  # fmt: skip
    return items


def _syndromes() -> list[Item]:
    temporal, generalised = (sum(counts) for counts in SYNDROMES.values())
    resistant, sensitive = (sum(c[i] for c in SYNDROMES.values()) for i in (0, 1))
    table = np.array(list(SYNDROMES.values()))
    exact, plain = fisher_exact(table), chi_square(table)
    share = [counts[0] / sum(counts) for counts in SYNDROMES.values()]
    return [
        Item(
            7, SUBGROUPS, "Patients with temporal lobe epilepsy", "27 (16 and 9)",
            f"{temporal}", "same", compare([Value(27, temporal, 0)]),
            "16 and 9 are 25; with 27 and 22 there would be 49 patients, not 47",
        ),
        Item(
            8, SUBGROUPS, "Patients with generalised epilepsy", "22 (6 and 16)",
            f"{generalised}", "same", compare([Value(22, generalised, 0)]), "6 and 16",
        ),
        Item(
            9, SUBGROUPS, "Syndromes add up to the groups", "22 and 25",
            f"{resistant} and {sensitive}", "same",
            compare([Value(22, resistant, 0), Value(25, sensitive, 0)]),
            "16 + 6 resistant, 9 + 16 sensitive",
        ),
        Item(
            10, SUBGROUPS, "Resistant against sensitive as an effect of resistance",
            "syndrome not tested against group",
            f"temporal {share[0]:.0%} resistant, generalised {share[1]:.0%}: Fisher's exact "
            f"P = {exact.p:.3f}",
            f"χ² = {plain.statistic:.3f}, P = {plain.p:.3f}; no model with syndrome as a "
            "covariate is printed",
            CONTRADICTED if exact.p < 0.05 else UNAVAILABLE,
            "the contrast is confounded with the syndrome: what it finds may belong to either",
        ),
    ]  # fmt: skip


def _sums() -> list[Item]:
    age = float(np.mean(DONOR_AGES))
    return [
        Item(
            11, METHODS, "People of the blood samples", "21", f"{3 * 7}", "same",
            compare([Value(21, 3 * 7, 0)]), "three groups of 7",
        ),
        Item(
            12, METHODS, "Mean age of the six donors (range)", "42.5 years (24–57)",
            f"{age:.1f} ({min(DONOR_AGES)}–{max(DONOR_AGES)})", "same",
            compare([Value(42.5, age, 1), Value(24, min(DONOR_AGES), 0),
                     Value(57, max(DONOR_AGES), 0)]),
            "from the Allen Institute's ages",
        ),
        Item(
            13, METHODS, "Donors by sex and by origin", "5 + 1 and 3 + 2 + 1 of 6",
            f"{5 + 1} and {3 + 2 + 1}", "same",
            compare([Value(6, 5 + 1, 0), Value(6, 3 + 2 + 1, 0)]), "both add up to six",
        ),
        Item(
            14, METHODS, "Regions of the left hemisphere", "123 of 246", f"{246 // 2}", "same",
            compare([Value(123, 246 / 2, 0)]), "the atlas has as many regions on either side",
        ),
    ]  # fmt: skip
