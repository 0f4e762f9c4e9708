"""The page of norms: who they are, what they are good for, and who is far from the others."""

from __future__ import annotations

from collections.abc import Sequence

from falx.pet.norms import SiteNorms
from falx.report.page import Block, Notice, Section, Table, Text, render
from falx.studies.methods.study_text import link_section
from falx.studies.norms.join import Outlier

__all__ = ["HEADER", "norms_page", "norms_rows"]

HEADER = (
    "structure", "index_of", "people", "mean_left", "sd", "age_slope_per_year", "sex_difference",
)  # fmt: skip


def norms_rows(norms: SiteNorms) -> list[list[object]]:
    """Rows of the table of structures, asymmetry of the left side."""
    names = norms.covariates.names
    rows: list[list[object]] = []
    for norm in norms.regions:
        slopes = dict(zip(names, norm.coefficients[1:], strict=True))
        rows.append(
            [norm.structure, norm.kind, norm.people, norm.coefficients[0], norm.sd,
             slopes.get("age"), slopes.get("sex")]
        )  # fmt: skip
    return rows


def norms_page(norms: SiteNorms, outliers: Sequence[Outlier], people: Section) -> str:
    """Return the page as HTML."""
    made = norms.conditions
    smoothness = (
        "could not be measured (20 mm are assumed)"
        if norms.fwhm_mm is None
        else f"is that of a filter of {norms.fwhm_mm:.0f} mm"
    )
    use = (
        "falx signature --norms takes structures and voxels from them."
        if norms.maps
        else "The maps were normalised elsewhere, so that falx signature --norms takes only the "
        "structures of the PET as measured from them."
    )
    result: list[Block] = [
        Text(
            f"Norms of {norms.source}. {use} They hold for {made.tracer} on this scanner, studied "
            f"as these were: correction {made.correction}, {made.scale} scale, smoothed by "
            f"{made.smoothing_fwhm_mm:g} mm, {made.space} at {made.voxel_mm:g} mm."
        ),
        Text(f"The smoothness of the healthy asymmetry {smoothness}."),
        Notice(norms.notices),
        Table(
            ("structure", "index of", "people", "mean, left side", "SD", "slope by a year",
             "men minus women"),
            norms_rows(norms),
            caption="Healthy asymmetry 2 (L - R)/(L + R), about the mean age and sex of the "
            "controls where these were regressed.",
        ),
    ]  # fmt: skip
    far = Table(
        ("control", "what", "value", "modified z"),
        [[f"sub-{o.label}", o.what, o.value, o.modified_z] for o in outliers],
        caption="Controls far from the others (modified z beyond 3.5). They are in the norms.",
    )
    blocks: list[Block] = [far] if outliers else [Text("No control is far from the others.")]
    return render(
        f"Norms of {norms.people} controls",
        [people, Section("Norms", result), Section("Outliers", blocks), link_section()],
        subtitle="Healthy asymmetry of the PET",
    )
