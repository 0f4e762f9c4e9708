"""The page Genes: what a run can be given, the command that follows, and the run itself."""

from __future__ import annotations

import sys
from typing import ClassVar

import numpy as np
import pytest

from desk.desk_browser import let_in, needed, open_page
from desk_server import serving
from falx.core.errors import InputError
from falx.data.enigma import enigma_regions
from falx.desk.gene_runs import Question, keep, materials, order_of
from falx.desk.studies import GENES, out_of
from falx.desk.transfers import Transfer
from falx.desk.workspace import Workspace

WISH = Question("all", "enigma:allepi", "expression.csv")


def write_expression(path, rng):
    """A table of random expression of the regions of ENIGMA."""
    genes = [f"GENE{k}" for k in range(40)]
    regions = [region.name for region in enigma_regions()]
    values = rng.normal(size=(len(regions), len(genes)))
    rows = [",".join(["region", *genes])]
    for name, row in zip(regions, values, strict=True):
        rows.append(",".join([name, *map("{:.4f}".format, row)]))
    path.write_text("\n".join(rows) + "\n")


@pytest.fixture
def workspace(tmp_path):
    """A desk with a file of its user's and a map of each study."""
    made = Workspace.open(tmp_path / "desk")
    own = out_of(made, GENES) / "files"
    own.mkdir(parents=True)
    (own / "expression.csv").write_text("region,A\nx,1\n")
    for study, name in (("resistance", "desc-dreHc_tmap.nii.gz"), ("signature", "x_zmap.nii.gz"),
                        ("resistance", "desc-dreHc_profile.tsv")):  # fmt: skip
        path = out_of(made, study) / "group" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    return made


def test_maps_of_the_studies_examples_and_own_files_are_offered(workspace):
    found = materials(workspace)
    assert found.maps["enigma:gge"] == "genetic generalised epilepsy (ENIGMA-Epilepsy)"
    assert found.maps["resistance/group/desc-dreHc_tmap.nii.gz"].endswith("(resistance)")
    assert found.maps["signature/group/x_zmap.nii.gz"].endswith("(signature)")
    assert found.maps["files/expression.csv"] == "expression.csv (my file)"
    assert (found.files, found.done) == (("expression.csv",), ())


def test_the_command_names_each_file_in_one_word(workspace):
    own, out = out_of(workspace, GENES) / "files", out_of(workspace, GENES)
    words = order_of(workspace, WISH).words
    assert words[-4:] == (
        "enigma:allepi", "--out", str(out / "all"), f"--expression={own / 'expression.csv'}",
    )  # fmt: skip
    (own / "sets.gmt").write_text("")
    table = Question(
        "t-2", "resistance/group/desc-dreHc_profile.tsv", "expression.csv", atlas="expression.csv",
        labels="expression.csv", gene_sets=("sets.gmt",), blocks="cortex",
    )  # fmt: skip
    order = order_of(workspace, table)
    assert f"--atlas={own / 'expression.csv'}" in order.words
    assert "--column=mean_t" in order.words
    assert order.words[-4:] == ("--gene-sets", str(own / "sets.gmt"), "--blocks", "cortex")
    assert (order.page, order.study) == ("t-2/report.html", "genes")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "../x"}, "letters, digits"),
        ({"name": "--out"}, "letters, digits"),
        ({"name": "files"}, "letters, digits"),
        ({"map": "enigma:moon"}, "unknown value for the map .*enigma:allepi"),
        ({"map": "allepi"}, "map's folder"),
        ({"map": "signature/group/../../bids/participants.tsv"}, "no such map"),
        ({"map": "signature/group/none_tmap.nii.gz"}, "no such map"),
        ({"map": "files/absent.nii.gz"}, "no such file"),
        ({"expression": "../participants.tsv"}, "leads out"),
        ({"expression": "/etc/passwd"}, "leads out"),
        ({"atlas": "a/b.nii.gz"}, "no such file"),
        ({"gene_sets": ("..",)}, "leads out"),
        ({"blocks": "--seed"}, "the regions"),
        ({"map": "files/expression.csv", "column": "a\nb"}, "one short line"),
    ],
)
def test_what_is_not_listed_is_refused(workspace, change, said):
    with pytest.raises(InputError, match=said):
        order_of(workspace, Question(**{**vars(WISH), **change}))


def test_an_earlier_run_is_never_written_over(workspace):
    done = out_of(workspace, GENES) / "all"
    done.mkdir()
    (done / "report.html").write_text("")
    assert materials(workspace).done == ("all",)
    with pytest.raises(InputError, match="a run of this name already"):
        order_of(workspace, WISH)


def test_files_that_were_sent_are_kept_and_never_replace_another(workspace):
    own = out_of(workspace, GENES) / "files"

    def send(*files):
        transfer = Transfer.new(workspace.private)
        for name, text in files:
            path = transfer.place(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        keep(workspace, transfer.id)

    send(("my map (2).nii.gz", "a"))
    send(("my map (2).nii.gz", "a"))
    assert (own / "my_map__2_.nii.gz").read_text() == "a"
    with pytest.raises(InputError, match="another file of this name"):
        send(("my map (2).nii.gz", "b"), ("sets.gmt", "c"))
    assert (own / "my_map__2_.nii.gz").read_text() == "a"
    with pytest.raises(InputError, match="another file of this name"):
        send(("table 1.csv", "a"), ("table_1.csv", "b"))  # both are table_1.csv there
    with pytest.raises(InputError, match="another file of this name"):
        send(("...", "a"))
    assert {path.name for path in own.iterdir()} == {"my_map__2_.nii.gz", "expression.csv"}
    assert list((workspace.private / "uploads").iterdir()) == []


class TestInTheBrowser:
    pytestmark: ClassVar = [*needed("genes"), pytest.mark.slow]  # runs falx genes itself

    def test_a_map_is_related_to_genes_and_its_page_is_shown(self, tmp_path, started, monkeypatch):
        from falx.desk import running

        monkeypatch.setattr(running, "PROGRAM", [sys.executable, "-m", "falx", "signature"])
        write_expression(tmp_path / "expression.csv", np.random.default_rng(3))
        with serving(tmp_path / "desk") as desk:
            page = open_page(let_in(started, desk), f"{desk.origin}/genes")
            page.wait_for_selector("body[data-ready='genes']")
            page.set_input_files("#pick", [tmp_path / "expression.csv"])
            page.locator("#own li").filter(has_text="expression.csv").wait_for()
            page.select_option("#map", "enigma:tlemtsl")
            page.select_option("#expression", "expression.csv")
            page.select_option("#blocks", "cortex")
            assert page.input_value("#name") == "tlemtsl"
            page.click("#go")
            page.wait_for_selector("[data-state]:not([data-state='running'])", timeout=180_000)
            assert page.locator("[data-state='finished']").count() == 1, page.inner_text("#live")
            assert page.inner_text("#live-title").startswith("genes behind tlemtsl")
            page.click("text=Open its page")
            frame = page.frame_locator("#page")
            frame.locator("h1").first.wait_for()
            assert "68 regions" in frame.locator("body").inner_text()
            page.goto(f"{desk.origin}/genes")
            page.locator("#runs a").filter(has_text="tlemtsl").wait_for()
            assert page.input_value("#name") == "allepi"
            assert {url.split("/")[2] for url in page.asked if "blob" not in url} == {desk.host}
