"""Items 1 to 8: Table 1 of the paper."""

from __future__ import annotations

import scipy

from falx.clinical.contingency import fisher_exact
from falx.clinical.group_tests import mann_whitney, student_t, summarise, welch_t
from falx.core.checks import Bools
from falx.data.mo2025 import CountRow, Patients, load_table1
from falx.studies.reproduce.comparison import Item, Value, compare

__all__ = ["demography_items"]

SECTION = "Table 1"
INTEGER_AGES = "the source data hold whole years; the paper used exact ages"


def demography_items(patients: Patients) -> list[Item]:
    """Return ages, durations and the categorical rows."""
    free = patients.seizure_free == 1
    return [*_onset(patients, free), *_duration(patients, free), _age(), *_counts(load_table1())]


def _onset(patients: Patients, free: Bools) -> list[Item]:
    x = patients.onset_years
    whole, nsf, sf = summarise(x), summarise(x[~free]), summarise(x[free])
    t, welch = student_t(x[~free], x[free]), welch_t(x[~free], x[free])
    rank = mann_whitney(x[~free], x[free])
    return [
        Item(
            1, SECTION, "Age at onset, all patients (years)", "21.84 ± 8.63",
            f"{whole.mean:.2f} ± {whole.sd:.2f}", "same",
            compare([Value(21.84, whole.mean, allowance=0.5), Value(8.63, whole.sd)]),
            INTEGER_AGES,
        ),
        Item(
            2, SECTION, "Age at onset, not seizure free / seizure free (years)",
            "23.76 ± 11.80 / 21.01 ± 7.07",
            f"{nsf.mean:.2f} ± {nsf.sd:.2f} / {sf.mean:.2f} ± {sf.sd:.2f}", "same",
            compare([
                Value(23.76, nsf.mean, allowance=0.5), Value(11.80, nsf.sd, allowance=0.5),
                Value(21.01, sf.mean, allowance=0.5), Value(7.07, sf.sd, allowance=0.5),
            ]),
            INTEGER_AGES,
        ),
        Item(
            3, SECTION, "Age at onset, test", "t = 0.79, P = .43",
            f"t = {t.t:.3f}, P = {t.p:.3f}",
            f"Welch t = {welch.t:.3f}, P = {welch.p:.3f}; Mann–Whitney P = {rank.p:.3f}",
            compare([Value(0.79, t.t), Value(0.43, t.p, allowance=0.02)]),
            INTEGER_AGES,
        ),
    ]  # fmt: skip


def _duration(patients: Patients, free: Bools) -> list[Item]:
    x = patients.duration_years
    groups = [summarise(part) for part in (x, x[~free], x[free])]
    text = "; ".join(f"{s.median:g} ({s.q1:g}–{s.q3:g})" for s in groups)
    printed = ((10, 5, 18), (11, 7, 20), (7, 5, 18))
    values = [
        Value(p, q)
        for row, s in zip(printed, groups, strict=True)
        for p, q in zip(row, (s.median, s.q1, s.q3), strict=True)
    ]
    rank = mann_whitney(x[~free], x[free])
    return [
        Item(
            4, SECTION, "Duration, median (quartiles): all; not free; free (years)",
            "10 (5–18); 11 (7–20); 7 (5–18)", text, "same", compare(values),
            "quantiles of type 7",
        ),
        Item(
            5, SECTION, "Duration, “U”", "-0.59, P = .56",
            f"{rank.z_from_p:.3f}, P = {rank.p:.3f} (W = {rank.u:g})",
            f"U = {rank.u:g}, P = {rank.p:.3f}, probability that a patient who was not free had "
            f"the longer epilepsy {rank.effect:.2f}",
            compare([Value(-0.59, rank.z_from_p, allowance=0.03),
                     Value(0.56, rank.p, allowance=0.03)]),
            "the printed “U” is the normal quantile of P / 2; " + INTEGER_AGES,
        ),
    ]  # fmt: skip


def _age() -> Item:
    test = scipy.stats.ttest_ind_from_stats(37.67, 12.67, 9, 32.24, 10.41, 21)
    t, p = float(test.statistic), float(test.pvalue)
    return Item(
        6, SECTION, "Age at surgery, test", "t = 1.23, P = .23", f"t = {t:.4f}, P = {p:.4f}",
        "not possible without the ages", compare([Value(1.23, t), Value(0.23, p)]),
        "from the printed means, SDs and group sizes; the ages are not in the source data",
    )  # fmt: skip


def _counts(rows: tuple[CountRow, ...]) -> list[Item]:
    p = [fisher_exact(row.counts).p for row in rows]
    values = [Value(row.published_p, q) for row, q in zip(rows, p, strict=True)]
    equal = sum(v.equal_in_print for v in values)
    listed = ", ".join(f"{row.variable} {q:.2f}" for row, q in zip(rows, p, strict=True))
    discharges = next(row for row in rows if row.variable == "interictal discharges")
    focal = sum(discharges.counts[1])
    return [
        Item(
            7, SECTION, "Fisher's exact test of 15 rows", "15 P values",
            f"{equal} of {len(rows)} equal: {listed}", "same", compare(values),
            "exact enumeration",
        ),
        Item(
            8, SECTION, "Focal interictal discharges in the text", "15 (46.7 %)",
            f"{focal} ({focal / 30:.2%})", f"{focal}", compare([Value(15, focal, 0)]),
            "Table 1 counts 14, and 46.7 % is 14 of 30",
        ),
    ]  # fmt: skip
