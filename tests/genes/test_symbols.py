"""Gene symbols: spreadsheet dates, aliases, case, repetition."""

from __future__ import annotations

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from falx.core.errors import FalxNotice, InputError
from falx.genes.symbols import check_gene_list, match_symbols, repair_symbol

UNIVERSE = ("SEPT7", "MARCHF3", "C3orf33", "DEC1", "SP1", "abc", "ABC", "HLA-DRB5")


@pytest.mark.parametrize("date", ["7-Sep", "07-Sep", "Sep-07", "Sep-7", "07-SEP", "7-Sep-24"])
def test_dates_of_the_septin_family_are_repaired(date):
    assert match_symbols([date], UNIVERSE).found == ("SEPT7",)


def test_renamed_families_meet():
    assert match_symbols(["SEPTIN7", "03-Mar"], UNIVERSE).found == ("SEPT7", "MARCHF3")


def test_dates_that_could_be_two_genes_are_reported():
    match = match_symbols(["Dec-01", "1-Mar", "2-Mar"], UNIVERSE)
    assert match.found == ()
    assert match.ambiguous == ("Dec-01", "1-Mar", "2-Mar")


def test_case_only_where_it_is_unique():
    match = match_symbols(["C3ORF33", "Abc", "ABC"], UNIVERSE)
    assert match.mapping == {"C3ORF33": "C3orf33", "ABC": "ABC"}
    assert match.ambiguous == ("Abc",)
    assert match_symbols(["C3ORF33"], UNIVERSE, any_case=False).lost == ("C3ORF33",)


def test_aliases_and_repetition():
    match = match_symbols(
        ["TSFP1", "SP1", "SP1", "", " HLA-DRB5 "], UNIVERSE, aliases={"TSFP1": "SP1"}
    )
    assert match.found == ("SP1", "HLA-DRB5")
    assert match.repaired == {"TSFP1": "SP1"}
    assert match.repeated == ("SP1",)


def test_everything_lost_is_an_error_and_the_rest_a_notice():
    with pytest.raises(InputError, match="no gene of the list is among the tested genes"):
        check_gene_list(match_symbols(["ENSG0001"], UNIVERSE))
    with pytest.warns(FalxNotice) as told:
        check_gene_list(match_symbols(["Sep-07", "1-Dec", "GONE", "SP1", "SP1"], UNIVERSE))
    assert len(told) == 4


@given(st.sampled_from(UNIVERSE))
def test_known_symbols_are_never_changed(symbol):
    assert match_symbols([symbol], UNIVERSE).found == (symbol,)


@given(st.text("ABCDEFGHIJ0123456789", min_size=1))
def test_what_is_no_date_is_left_alone(symbol):
    assert repair_symbol(symbol) == symbol


@pytest.mark.parametrize(
    ("genes", "advice"),
    [
        (["ENSG00000139618.15", "672"], "Ensembl or Entrez: give --aliases"),
        (["Trp53", "Snap25"], "give their human orthologues"),
        (["ENSMUSG00000059552"], "give their human orthologues"),
        (["C1orf112", "foo"], "same kind of identifier"),
    ],
)
def test_names_of_which_none_is_known_are_told_by_their_kind(genes, advice):
    with pytest.raises(InputError, match=advice):
        check_gene_list(match_symbols(genes, UNIVERSE))


def test_genes_of_a_mouse_are_noticed_where_names_agree():
    universe = ("TP53", "BRCA1", "ACTB", "C1orf112")
    with pytest.warns(FalxNotice, match="those of mouse or rat .*Brca1.*orthologues"):
        check_gene_list(match_symbols(["Brca1", "Actb", "TP53"], universe))
    with warnings.catch_warnings():
        warnings.simplefilter("error", FalxNotice)
        check_gene_list(match_symbols(["C1orf112", "brca1", "ACTB"], universe))
