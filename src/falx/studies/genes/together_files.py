"""Files of the stage that joins the contrasts of one kind of map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from falx.atlas.files import load_group_atlas
from falx.core.errors import InputError
from falx.core.files import write_bytes, write_text
from falx.core.possible import check_possible
from falx.genes.association_study import Settings
from falx.genes.files import (
    Knowledge,
    Surface,
    read_known,
    source_text,
)
from falx.genes.tables import (
    placed,
    read_expression,
    read_region_table,
    with_symbols,
)
from falx.report.figures import png, svg
from falx.studies.genes.profile_files import inside_map, on_surface, read_blood
from falx.studies.genes.together import relate_together
from falx.studies.genes.together_figures import blood_figure, joint_figure, score_figure
from falx.studies.genes.together_page import joint_tsv, together_page

__all__ = [
    "TogetherFiles",
    "together_stage",
]

PAPER_DPI = 300


@dataclass(frozen=True, eq=False)
class TogetherFiles:
    """Files of the stage that joins the contrasts of one kind of map.

    Parameters
    ----------
    profile
        Inputs: regional profiles by contrast, as of :class:`GenesFiles`.
    atlas, atlas_labels, ready_expression, made_expression
        Inputs: as of :class:`GenesFiles`.
    degs, made_degs
        Inputs, optional: genes changed in blood, the user's table or the study's own.
    page, terms
        Outputs: the page, and the terms over contrasts (TSV).
    scores_svg, scores_png, terms_svg, terms_png, blood_svg, blood_png
        Outputs: pictures for a paper.
    """

    profile: Mapping[str, Path]
    atlas: Path | None
    atlas_labels: Path | None
    ready_expression: Path | None
    made_expression: Path | None
    degs: Path | None
    made_degs: Path | None
    page: Path
    terms: Path
    scores_svg: Path
    scores_png: Path
    terms_svg: Path
    terms_png: Path
    blood_svg: Path
    blood_png: Path


def together_stage(
    files: TogetherFiles,
    knowledge: Knowledge,
    surface: Surface,
    settings: Settings,
    *,
    titles: Mapping[str, str],
    joined: Sequence[str],
    name: str,
) -> None:
    """Relate the contrasts of one kind of map to genes together.

    Parameters
    ----------
    titles
        Contrast to its title.
    joined
        Contrasts whose terms are tested together.
    name
        Of the maps.
    """
    expression = files.ready_expression or files.made_expression
    if expression is None:
        raise InputError("gene expression is missing", do="give a region × gene table")
    atlas = load_group_atlas(files.atlas, files.atlas_labels)
    tables = {}
    for contrast, path in files.profile.items():
        profile = read_region_table(source_text(path), column="mean_t")
        inside = inside_map(placed(profile, atlas), np.isfinite(profile.values))
        tables[titles[contrast]] = on_surface(inside, surface)
    known = read_known(knowledge)
    found = relate_together(
        tables,
        with_symbols(read_expression(source_text(expression)), known.aliases)[0],
        settings,
        known,
        read_blood(files.degs or files.made_degs),
        joined=[titles[contrast] for contrast in joined if contrast in files.profile],
    )
    check_possible(found)
    numbers = {region.name: region.label for region in atlas.regions}
    drawn = {
        "scores": score_figure(found, atlas.image, numbers),
        "terms": joint_figure(found.joint, found.joined),
        "blood": blood_figure(found),
    }
    for what, figure in drawn.items():
        write_text(getattr(files, f"{what}_svg"), svg(figure).decode())
        write_bytes(getattr(files, f"{what}_png"), png(figure, dpi=PAPER_DPI))
    shown = {what: png(figure) for what, figure in drawn.items()}
    write_text(files.page, together_page(found, name, shown))
    write_text(files.terms, joint_tsv(found.joint, found.joined))
