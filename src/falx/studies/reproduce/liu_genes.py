"""Genes of Liu et al. 2024: filters, lists, overlaps with blood, modules."""

from __future__ import annotations

from falx.data.liu2024 import OVERLAPS, PEAKS, ListOverlap
from falx.genes.sets.ora import hypergeometric_tail
from falx.studies.reproduce.comparison import (
    CONTRADICTED,
    CONVENTION,
    REPRODUCED,
    UNAVAILABLE,
    Item,
    Value,
    compare,
)

__all__ = ["gene_items", "overlap_p"]

EXPRESSION, OVERLAP, NETWORK = "Expression and lists", "Overlap with blood", "Modules"
GENES, LIST, ROTATIONS = 10_027, 1_500, 5_000
PROBES_LEFT, GENES_LEFT = 31_977, 15_746
MEASURED_BEFORE = "measured before, with a network (iRefIndex 9) that does not ship"


def gene_items() -> list[Item]:
    """Items 31 to 43."""
    return [*_expression(), *_overlaps(), *_rest()]


def overlap_p(first: int, second: int, shared: int, universe: int = GENES) -> float:
    """Hypergeometric P of at least so many shared genes."""
    return float(hypergeometric_tail([shared], [first], second, universe)[0])


def _expression() -> list[Item]:
    cerebellar = [p.region.startswith("Cerebellum") for p in PEAKS if "DSE" in p.contrast
                  and "DRE" in p.contrast]  # fmt: skip
    floor = 1 / (1 + ROTATIONS)
    needed = next(k for k in range(1, GENES) if floor * GENES / k <= 0.05)
    return [
        Item(
            31, EXPRESSION, "One probe for each gene", "31,977 probes and 15,746 genes",
            f"{PROBES_LEFT / GENES_LEFT:.2f} probes for each gene", "10,027 genes, 10,027 probes",
            compare([Value(1.0, PROBES_LEFT / GENES_LEFT)]),
            "these are the counts after the filter of intensity (step ii); one probe for each "
            "gene, chosen by agreement with sequencing, leaves the 10,027 of step vi",
        ),
        Item(
            32, EXPRESSION, "Genes behind the difference of resistant and sensitive patients",
            f"{len(cerebellar)} peaks", f"{sum(cerebellar)} of {len(cerebellar)} in the "
            "cerebellum", "none of the regions that differ takes part",
            CONTRADICTED if all(cerebellar) else REPRODUCED,
            "the expression leaves the cerebellum out (section 2.6), so the genes belong to the "
            "rest of the map, where nothing was found",
        ),
        Item(
            33, EXPRESSION, "Spin test of 5,000 rotations, rate over 10,027 genes", "P < .05",
            f"smallest P {floor:.2g}; at least {needed} genes must reach it", "same", CONVENTION,
            "possible, if that many genes pass together; how many did is not printed",
        ),
        Item(
            34, EXPRESSION, "Genes in the lists", "the top 1,500 of each sign",
            f"{2 * LIST / GENES:.1%} of the genes", "a list cut by a rate has the length that "
            "the data give", CONVENTION,
            "a fixed length agrees with the rate of section 2.7 only if 1,500 genes of each sign "
            "pass it",
        ),
        Item(
            35, EXPRESSION, "Fold change of 2", "|log2 FC| ≥ 1", f"{2**1:g}", "same",
            compare([Value(2, 2**1, 0)]), "P < .05 is not corrected over genes",
        ),
    ]  # fmt: skip


def _overlap_item(number: int, found: ListOverlap, terms: tuple[int, ...], name: str) -> Item:
    size, shared = sum(terms), len(found.shared)
    p = overlap_p(size, found.blood_term, shared)
    wide = overlap_p(size, found.blood_term, shared, GENES_LEFT)
    return Item(
        number, OVERLAP, f"{name} against {found.blood_term} genes of the blood",
        f"{shared} shared ({', '.join(found.shared)}), read as a confirmation",
        f"{size * found.blood_term / GENES:.3f} expected, P = {p:.4f}",
        f"among {GENES_LEFT:,} genes P = {wide:.4f}; the choice of the terms is not corrected",
        CONTRADICTED if p >= 0.05 else CONVENTION,
        "no more than chance gives at P < .05" if p >= 0.05 else
        "if the term was chosen before the blood was seen, and genes are independent",
    )  # fmt: skip


def _overlaps() -> list[Item]:
    volume, activity, immune = OVERLAPS
    return [
        _overlap_item(36, volume, volume.map_terms[:1], f"{volume.what} (136 genes)"),
        _overlap_item(37, volume, volume.map_terms, "Both terms of GMV (at most 237 genes)"),
        _overlap_item(38, activity, activity.map_terms[:1], f"{activity.what} (183 genes)"),
        _overlap_item(39, activity, activity.map_terms, "Three terms of ReHo (at most 416 genes)"),
        _overlap_item(40, immune, immune.map_terms, f"{immune.what} (171 genes)"),
    ]


def _rest() -> list[Item]:
    return [
        Item(
            41, NETWORK, "MCODE networks of the map's genes", "11",
            "random lists of 1,500 genes give 8 to 16 (median of 12 lists: 12)",
            "–", UNAVAILABLE,
            f"{MEASURED_BEFORE}, so not recomputed here: 11 is what chance gives, and the "
            "paper's list is not printed",
        ),
        Item(
            42, NETWORK, "MCODE networks of the blood's genes", "4", "–", "–", UNAVAILABLE,
            "the list is not printed",
        ),
        Item(
            43, NETWORK, "Terms, regulators, tissues, variance of the components, figures",
            "figures", "–", "–", UNAVAILABLE, "maps, counts and lists are not public",
        ),
    ]  # fmt: skip
