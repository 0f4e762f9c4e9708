"""One declaration of the gene options: every command and study has them, under one name."""

from __future__ import annotations

import argparse
from dataclasses import fields

import nibabel
import numpy as np
import pytest

from falx.cli import degs, enrich, genes
from falx.cli.main import main
from falx.cli.options import options_from
from falx.core.errors import FalxNotice, InputError, OptionError
from falx.core.settings import options_of, resolve
from falx.core.stage import Source, Stage
from falx.engine.plan import config_file
from falx.genes.association_study import Settings
from falx.genes.blood.differential import Comparison
from falx.genes.files import Knowledge, Surface, read_hemispheres, read_known
from falx.genes.nulls.surface import sphere_points
from falx.studies.genes.configuration import BloodCounts, GenesConfiguration, ListsConfiguration
from falx.studies.resistance.configuration import ResistanceConfiguration
from falx.studies.resistance.study import STUDY
from gene_inputs import GENES, N, write_expression, write_inputs, write_map


def parser_of(command):
    parser = argparse.ArgumentParser(allow_abbrev=False)
    command.add_arguments(parser)
    return parser


def flags_of(command):
    return set(parser_of(command)._option_string_actions)


@pytest.mark.parametrize(
    ("command", "settings"),
    [(genes, GenesConfiguration), (enrich, ListsConfiguration), (degs, Comparison)],
)
def test_every_option_has_a_flag(command, settings):
    assert {declared.flag for declared in options_of(settings).values()} <= flags_of(command)


def test_the_study_of_resistance_has_the_options_of_the_command():
    own = {key for key in options_of(ResistanceConfiguration) if key.startswith("genes.")}
    named = {*options_of(GenesConfiguration), *options_of(BloodCounts)}
    assert own == {f"genes.{name}" for name in named}
    for name, declared in options_of(GenesConfiguration).items():
        there = options_of(ResistanceConfiguration)[f"genes.{name}"]
        assert (there.help, there.low, there.high, there.choices, there.kind) == (
            declared.help, declared.low, declared.high, declared.choices, declared.kind,
        )  # fmt: skip
        if name != "side":
            assert there.default == declared.default
    assert resolve(ResistanceConfiguration).genes.side == "left"
    assert GenesConfiguration().side == "both"


def test_gene_stages_take_every_option():
    stage = STUDY.stage("genes_grey_resistant_controls")
    for settings in (Knowledge, Surface, Settings):
        for name, declared in options_of(settings).items():
            where = stage.inputs if declared.kind.__name__ == "Path" else stage.params
            assert f"genes.{name}" in where[name]


def test_flags_of_earlier_versions_mean_the_same(tmp_path):
    for name in ("t.tsv", "o.obo", "a.gaf"):
        (tmp_path / name).touch()
    t, o, a = (str(tmp_path / name) for name in ("t.tsv", "o.obo", "a.gaf"))
    parser = parser_of(genes)
    early = ["m.tsv", "--out", "o", "--trrust", t, "--go", o, a, "--nulls", "spin",
             "--as-published"]  # fmt: skip
    late = ["m.tsv", "--out", "o", "--regulators", t, "--ontology", o, "--annotations", a,
            "--null", "spin", "--no-restore"]  # fmt: skip
    first, second = (options_from(parser.parse_args(w), GenesConfiguration) for w in (early, late))
    assert first == second
    assert (first.restore, first.null) == (False, "spin")
    assert first.regulators == tmp_path / "t.tsv"


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"null": "cortex=spinn"}, "did you mean 'spin'"),
        ({"beside": ("moram",)}, "did you mean 'moran'"),
        ({"n_maps": 0}, "n_maps is out of range"),
        ({"seed": 1.5}, "seed must be a whole number"),
        ({"side": "up"}, "unknown value for side"),
        ({"aspect": "XX"}, "choose one of 'BP', 'MF', 'CC'"),
    ],
)
def test_what_no_study_accepts(values, told):
    with pytest.raises(OptionError, match=told):
        GenesConfiguration(**values)
    with pytest.raises(OptionError):
        resolve(ResistanceConfiguration, {f"genes.{key}": value for key, value in values.items()})


def test_an_ontology_needs_its_annotations(tmp_path):
    (tmp_path / "go.obo").touch()
    for kind in (Knowledge, ListsConfiguration, GenesConfiguration):
        with pytest.raises(OptionError, match="needs its terms and its annotations"):
            kind(ontology=tmp_path / "go.obo")


def test_several_files_of_the_configuration_reach_a_stage(tmp_path):
    paths = (tmp_path / "a.gmt", tmp_path / "b.gmt")
    source = Source.parse("config.genes.gene_sets?")
    found = config_file({"genes.gene_sets": paths}, source)
    assert [file.path for file in found.values()] == [str(path) for path in paths]
    assert [file.uri for file in found.values()][1] == "config:genes.gene_sets:b.gmt"
    assert config_file({"genes.gene_sets": ()}, source) is None
    taken = []
    for path in paths:
        path.touch()

    def run(knowledge: Knowledge) -> None:
        taken.append(knowledge)

    names = [item.name for item in fields(Knowledge)]
    stage = Stage("s", run, dict.fromkeys(names, "config.x?"), {})
    stage.call({**dict.fromkeys(names), "aspect": "MF", "network_score": 200, "gwas": False,
                "regulator_signs": False, "gene_sets": dict(enumerate(paths))})  # fmt: skip
    assert taken[0].gene_sets == paths
    assert taken[0].network == ()
    assert taken[0].aspect == "MF"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = write_inputs(tmp_path_factory.mktemp("inputs"))
    for name, start in (("a", 0), ("b", 10)):
        lines = [f"{name}{k}\t\t" + "\t".join(GENES[start + k : start + k + 8]) for k in range(3)]
        (folder / f"{name}.gmt").write_text("\n".join(lines) + "\n")
    rows = ["TF\tTarget\tRegulation\tReference"]
    rows += [f"TF1\t{g}\t{'Activation' if i % 2 else 'Repression'}\t1" for i, g in
             enumerate(GENES[:12])]  # fmt: skip
    (folder / "trrust.tsv").write_text("\n".join(rows) + "\n")
    tissues = ["gene,brain,liver"]
    tissues += [f"{g},{10 if i < 9 else 1},{1 if i < 9 else 10}" for i, g in enumerate(GENES)]
    (folder / "tissues.csv").write_text("\n".join([*tissues, "SILENT,0,0"]) + "\n")
    return folder


def test_every_source_of_sets_is_read(made):
    known = read_known(
        Knowledge(
            gene_sets=(made / "a.gmt", made / "b.gmt"),
            regulators=made / "trrust.tsv",
            regulator_signs=True,
            tissues=made / "tissues.csv",
            gwas=True,
        )
    )
    assert [one.name for one in known.libraries] == [
        "a", "b", "TRRUST", "tissue specificity", "epilepsy GWAS",
    ]  # fmt: skip
    assert known.libraries[3].sets == {"brain": tuple(GENES[:9]), "liver": tuple(GENES[9:])}
    assert len(known.libraries[4].sets["epilepsy, any phenotype"]) == 21
    assert len(known.signed) == 12
    assert read_known(Knowledge(regulators=made / "trrust.tsv")).signed == ()


def command(made, out, *more, source="map.tsv"):
    return main(
        ["genes", str(made / source), "--expression", str(made / "expression.csv"), "--out",
         str(out), "--n-maps", "29", "--n-draws", "20", "--n-list", "10", "--beside", "random",
         "--list-rule", "length",
         *map(str, more)]
    )  # fmt: skip


def test_regulators_are_tested_by_direction(made, tmp_path, capsys):
    code = command(made, tmp_path, "--regulators", made / "trrust.tsv", "--regulator-signs",
                   "--gene-sets", made / "a.gmt", made / "b.gmt")  # fmt: skip
    assert code == 0, capsys.readouterr().err
    rows = (tmp_path / "regulators.tsv").read_text().splitlines()
    assert rows[0] == "regulator\tconsistent\topposed\tp\tq"
    assert rows[1].startswith("TF1\t")
    page = (tmp_path / "report.html").read_text()
    assert "Regulators by direction" in page
    assert {"terms_a.tsv", "terms_b.tsv", "terms_TRRUST.tsv"} <= {
        path.name for path in tmp_path.iterdir()
    }


def test_an_atlas_places_the_regions_of_a_table(made, tmp_path, capsys):
    bare = ["region\tvalue", *(f"r{i}\t{np.sin(i):.4f}" for i in range(N))]
    (made / "bare.tsv").write_text("\n".join(bare) + "\n")
    assert command(made, tmp_path, source="bare.tsv") == 2
    assert "positions of the regions are not known" in capsys.readouterr().err
    atlas = ("--atlas", made / "atlas.nii.gz", "--labels", made / "labels.csv")
    assert command(made, tmp_path, *atlas, "--side", "left", source="bare.tsv") == 0
    assert command(made, tmp_path, *atlas, "--side", "right", source="bare.tsv") == 2
    assert "40 regions of which: only the right side is analysed" in capsys.readouterr().err
    (made / "bare.tsv").write_text("\n".join([*bare[:-1], "elsewhere\t1"]) + "\n")
    assert command(made, tmp_path, *atlas, source="bare.tsv") == 2
    assert "the atlas does not know (found: elsewhere)" in capsys.readouterr().err


def test_a_folder_of_expression_is_an_allen_download(made, tmp_path, capsys):
    code = main(["genes", str(made / "map.tsv"), "--expression", str(made), "--out",
                 str(tmp_path)])  # fmt: skip
    assert code == 2
    assert "an Allen download needs an atlas" in capsys.readouterr().err
    assert main(["genes", str(made / "map.tsv"), "--out", str(tmp_path)]) == 2
    assert "gene expression is missing; give --expression FILE" in capsys.readouterr().err


def surfaces(folder, names=("r0", "r1", "r2")):
    """Write an annotation of three regions of four vertices, and its sphere."""
    rng = np.random.default_rng(0)
    vertices = rng.standard_normal((12, 3))
    vertices *= 100 / np.linalg.norm(vertices, axis=1, keepdims=True)
    colours = np.array([[i + 1, 2 * i, 3 * i, 0, 0] for i in range(3)])
    nibabel.freesurfer.write_annot(
        folder / "lh.annot", np.repeat(np.arange(3), 4), colours, list(names), fill_ctab=True
    )
    nibabel.freesurfer.write_geometry(folder / "lh.sphere", vertices, np.array([[0, 1, 2]]))
    return vertices


def test_surfaces_place_regions_for_spins(tmp_path):
    vertices = surfaces(tmp_path)
    given = Surface((tmp_path / "lh.annot",), (tmp_path / "lh.sphere",))
    with pytest.warns(FalxNotice, match="2 of 3 regions have a place on the surface"):
        points = sphere_points(("R1", "r2", "r9"), ("left",) * 3, read_hemispheres(given))
    mean = vertices[4:8].mean(axis=0)
    assert points[0] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-5)
    assert np.isnan(points[2]).all()
    with pytest.raises(InputError, match="no region is on the surface"):
        sphere_points(("a",), ("left",), read_hemispheres(given))
    with pytest.raises(InputError, match="an annotation and a sphere for each side"):
        read_hemispheres(Surface((tmp_path / "lh.annot",)))


def test_spins_on_a_surface_do_not_speak_of_centroids(made, tmp_path, capsys):
    rng = np.random.default_rng(3)
    vertices = rng.standard_normal((N, 3))
    names = [f"r{i}" for i in range(N)]
    colours = np.array([[i + 1, 0, 0, 0, 0] for i in range(N)])
    nibabel.freesurfer.write_annot(tmp_path / "l.annot", np.arange(N), colours, names,
                                   fill_ctab=True)  # fmt: skip
    nibabel.freesurfer.write_geometry(tmp_path / "l.sphere", vertices, np.array([[0, 1, 2]]))
    spin = ("--null", "spin", "--surface-labels", tmp_path / "l.annot", "--spheres",
            tmp_path / "l.sphere")  # fmt: skip
    assert command(made, tmp_path / "out", *spin) == 0
    said = capsys.readouterr().out
    assert "40 of 40 regions have a place on the surface" in said
    assert "direction of their centroids" not in said


def test_a_matrix_without_a_column_is_refused(made, tmp_path, capsys):
    write_expression(made / "few.csv", GENES[:2], np.ones((3, 2)))
    write_map(made / "again.tsv")
    code = main(["genes", str(made / "again.tsv"), "--column", "nothing", "--out", str(tmp_path),
                 "--expression", str(made / "few.csv")])  # fmt: skip
    assert code == 2
    assert "needs a column of regions and one of values" in capsys.readouterr().err


def test_formula_of_the_command(tmp_path, capsys):
    names = [f"s{i}" for i in range(4)]
    (tmp_path / "c.csv").write_text(",".join(["gene", *names]) + "\nG1,5,6,7,8\nG2,9,8,7,6\n")
    rows = [f"{n},{'AB'[i % 2]}" for i, n in enumerate(names)]
    (tmp_path / "d.csv").write_text("\n".join(["sample,group", *rows]) + "\n")
    words = ["degs", tmp_path / "c.csv", tmp_path / "d.csv", "--out", tmp_path / "out",
             "--factor", "group", "--contrast", "A", "B",
             "--formula", "~group + centre"]  # fmt: skip
    assert main([str(w) for w in words]) == 2
    said = capsys.readouterr().err
    assert "the formula names what is no column of the design (found: centre)" in said
    assert main([str(w) for w in words[:5]]) == 2
    assert "give --factor COLUMN and --contrast GROUP REFERENCE" in capsys.readouterr().err
