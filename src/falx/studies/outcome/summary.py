"""The group page in ten lines: the figures that matter, each with its unit and interval."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from falx.studies.outcome.labels import label, p_text
from falx.studies.outcome.model_fields import chance_range
from falx.studies.outcome.outcome import OutcomeStudy
from falx.studies.outcome.parts import CutPart, GroupComparison, IncrementPart, SplinePart
from falx.studies.outcome.score_model import Prognoses, Validated

__all__ = ["summary_lines"]


def summary_lines(study: OutcomeStudy) -> list[str]:
    """At most ten sentences; what was not computed has none."""
    free, n = int(study.cohort.seizure_free.sum()), len(study.cohort.subjects)
    lines = [f"{n} patients, {free} seizure free ({free / n:.0%})."]
    groups = {c.name: c for c in (*study.modalities, *study.rates)}
    lines += [
        _difference(groups[name], n) for name in ("ai_pet", "rate_hippocampus") if name in groups
    ]
    parts = [part for part in study.increments if part.name in ("rate_hippocampus", "ai_pet")]
    holm = {m.name: m.holm for m in study.family if m.kind == "increment"}
    lines += [_beyond(part, holm) for part in parts[:3]]
    lines += [_cut(part, study) for part in study.cuts if part.name == "rate_hippocampus"]
    lines += list(_family(study))
    lines += [_prognosis(found) for found in study.prognoses[:1]]
    lines += [_elsewhere(found) for found in study.validated[:1]]
    lines += [_curve(part) for part in study.splines if part.name == "rate_hippocampus"]
    if study.additive is not None and study.additive.study.r2 < study.additive.baseline_r2:
        lines.append("Volumes predict the asymmetry of PET no better than one straight line does.")
    return lines[:10]


def _difference(c: GroupComparison, n: int) -> str:
    w, known = c.welch, c.free.n + c.not_free.n
    of = f" (known for {known} of {n})" if known < n else ""
    return (
        f"The {label(c.name)}{of}: {100 * c.free.mean:.1f} % in seizure-free patients and "
        f"{100 * c.not_free.mean:.1f} % in the others; others minus "
        f"seizure-free {100 * w.difference:.1f} "
        f"percentage points ({100 * w.ci_low:.1f} to {100 * w.ci_high:.1f}), {p_text(w.p)}."
    )


def _beyond(part: IncrementPart, holm: Mapping[str, float | None]) -> str:
    found = part.found
    alone, adjusted = found.alone.p_penalised, found.adjusted.p_penalised
    said = "adds to" if adjusted < 0.05 else "adds nothing demonstrable to"
    corrected = holm.get(part.name)
    only = adjusted < 0.05 and corrected is not None and corrected >= 0.05
    return (
        f"The {label(part.name)} {said} the {label(part.measure)}: {p_text(alone)} alone, "
        f"{p_text(adjusted)} beside it (penalised"
        + (f"; not so after Holm's correction, {p_text(corrected)}" if only and corrected else "")
        + f"); area under the curve {found.area.score:.2f} against {found.area.measure:.2f}, "
        f"DeLong {p_text(found.area.delong.p)}."
    )


def _cut(part: CutPart, study: OutcomeStudy) -> str:
    held = study.held_out(part)
    low, high = part.gap
    return (
        f"Best cut of the {label(part.name)}: {100 * part.best.threshold:.1f} % (nobody lies "
        f"between {100 * low:.1f} and {100 * high:.1f} %; resampled "
        f"{100 * part.stability.ci_low:.1f} to {100 * part.stability.ci_high:.1f} %); balanced "
        f"accuracy {part.at_best.balanced_accuracy:.0%} in these patients, "
        f"{held.balanced_accuracy:.0%} in patients not used for the cut."
    )


def _prognosis(found: Prognoses) -> str:
    model, low, high = found.model, found.literature[0], found.literature[-1]
    way = "rises" if low.mean < high.mean else "falls"
    return (
        f"Expected seizure freedom {way} from {chance_range(low)} where the {label(model.score)} "
        f"is {model.low:.0%}, to {chance_range(high)} where it is {model.high:.0%}."
    )


def _elsewhere(found: Validated) -> str:
    slope = found.found.slope
    return (
        f"The model of elsewhere has an area of {found.found.area.auc:.2f} and a calibration "
        f"slope of {slope.value:.2f} ({slope.low:.2f} to {slope.high:.2f}) in {found.found.n} of "
        "these patients."
    )


def _family(study: OutcomeStudy) -> Iterator[str]:
    done = [m for m in study.family if m.holm is not None]
    if done:
        kept = [f"{m.test} of the {label(m.name)}" for m in done if m.holm and m.holm < 0.05]
        yield (
            f"Of the {len(done)} tests of the declared family, "
            f"{len(kept) or 'none'} {'stands' if len(kept) == 1 else 'stand'} after Holm's "
            f"correction{': ' + '; '.join(kept) if kept else ''}."
        )


def _curve(part: SplinePart) -> str:
    if part.plain is None:
        return f"No curve of the {label(part.name)} can be given."
    bent = part.plain.nonlinear_ratio.p
    return (
        f"The curve of the {label(part.name)} "
        + ("bends" if bent < 0.05 else "does not demonstrably bend")
        + f" (likelihood ratio {p_text(bent)})."
    )
