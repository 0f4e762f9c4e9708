"""Parts of the expression pipelines: readers, matching, normalisation, probe choice."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pandas as pd
import pytest

from falx.atlas.atlas import make_atlas
from falx.atlas.label_table import LabelRow
from falx.core.errors import InputError, OptionError
from falx.genes.ahba.abagen import AbagenOptions
from falx.genes.ahba.bmhlab import BmhlabOptions, bmhlab_expression
from falx.genes.ahba.files import RnaSeq, find_ahba, read_reannotation
from falx.genes.ahba.matching import labelled_voxels, match_by_class, match_nearest
from falx.genes.ahba.matrix import read_matrix
from falx.genes.ahba.normalise import NORMALISATIONS, normalise, scaled_robust_sigmoid
from falx.genes.ahba.samples import Samples
from falx.genes.ahba.selection import Microarray, choose_probes, rnaseq_by_well
from falx.images.nifti import Image


def test_mirrored_samples_get_mirrored_regions():
    labels = np.zeros((9, 5, 5), dtype=np.int32)
    labels[0:3, 1:4, 1:4], labels[6:9, 1:4, 1:4] = 1, 2
    affine = np.diag([2.0, 2, 2, 1])
    affine[:3, 3] = [-8, -4, -4]
    atlas = make_atlas(
        Image(labels, affine), (LabelRow(1, "a_L", "left"), LabelRow(2, "a_R", "right"))
    )
    mm = np.array([[-6.0, 0, 0], [-1.5, 0, 0], [-3.1, 1, 1]])
    voxels = labelled_voxels(atlas)
    here, there = match_nearest(mm, voxels), match_nearest(mm * [-1, 1, 1], voxels)
    assert here.tolist() == [1, 0, 1]
    assert there.tolist() == [2, 0, 2]
    names = ["precentral gyrus, left", "precentral gyrus, left", "precentral gyrus, right"]
    assert match_by_class(mm, names, atlas).tolist() == [1, 0, 0]


def test_scaled_robust_sigmoid_fixture():
    x = [1, 2, 4, 7, 11, 16]
    hazen = [0, 0.069852, 0.217072, 0.445180, 0.728785, 1]
    linear = [0, 0.070638, 0.222873, 0.462067, 0.750875, 1]
    assert scaled_robust_sigmoid(x, quartiles="hazen") == pytest.approx(hazen, abs=1e-6)
    assert scaled_robust_sigmoid(x) == pytest.approx(linear, abs=1e-6)
    assert np.isnan(scaled_robust_sigmoid([1, 1, 1, 1, 1, 9])).all()


@pytest.mark.parametrize("method", sorted(NORMALISATIONS))
def test_normalisations_ignore_units(rng, method):
    x = rng.random((30, 8))
    first = normalise(x, across="samples", method=method)
    assert first.shape == x.shape
    if method not in {"none", "center"}:
        again = normalise(1000 * x + 5, across="samples", method=method)
        assert again == pytest.approx(first, abs=1e-9)


def test_unknown_normalisation():
    with pytest.raises(OptionError, match="did you mean 'zscore'"):
        normalise(np.ones((2, 2)), across="genes", method="zscor")


def test_matrix_reader(rng, monkeypatch):
    monkeypatch.setattr("falx.genes.ahba.matrix.PIECE_BYTES", 100)
    table = rng.standard_normal((40, 7)) * 10.0 ** rng.integers(-8, 8, (40, 7))
    ids = rng.permutation(100)[:40] + 1000
    text = "".join(
        f"{i}," + ",".join(map(repr, map(float, row))) + "\n"
        for i, row in zip(ids, table, strict=True)
    )
    chosen = ids[[5, 2, 30]]
    read = read_matrix(io.BytesIO(text.encode()), chosen, 7, where="x")
    np.testing.assert_allclose(read, table[[5, 2, 30]], rtol=4e-16)
    unfinished = text[: text.rindex(",")]
    with pytest.raises(InputError, match=r"line 40: a row has fewer columns than samples"):
        read_matrix(io.BytesIO(unfinished.encode()), ids, 7, where="x")
    with pytest.raises(InputError, match="missing from the matrix"):
        read_matrix(io.BytesIO(text[:900].rsplit("\n", 1)[0].encode()), ids, 7, where="x")
    with pytest.raises(InputError, match="more columns"):
        read_matrix(io.BytesIO(text.encode()), ids, 6, where="x")
    with pytest.raises(InputError, match="not a number"):
        read_matrix(io.BytesIO(b"1001,1.5,abc\n"), np.array([1001]), 2, where="x")


def by_hand():
    """Six wells, two donors; probe 0 and 1 of gene 10, probe 2 of gene 20, probe 3 of 30."""
    wells = np.arange(6)

    def donor(name, rows):
        zeros = np.zeros(6, dtype=np.int64)
        text = ("CX",) * 6
        return Microarray(
            np.array(rows, dtype=float),
            Samples(name, wells, wells, zeros, text, text, np.zeros((6, 3))),
        )

    def rna(rows, symbols, entrez, repeated=False):
        table = np.array(rows, dtype=float)
        well = wells
        if repeated:  # well 0 was sequenced twice; its mean counts
            table = np.column_stack([table[:, 0] - 1, table[:, 1:], table[:, 0] + 1])
            well = np.append(wells, 0)
        return RnaSeq(table, symbols, entrez, well, np.zeros(len(well), dtype=np.int64))

    up, down = [1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1]
    swapped = [2, 1, 3, 4, 6, 5]
    donors = [donor("9861", [down, up, swapped, up]), donor("10021", [down, up, up, up])]
    entrez = {"A": 10, "B": 20, "C": 30}
    rnas = [
        rna([up, up, up], ("A", "B", "C"), entrez, repeated=True),
        rna([up, down], ("A", "B"), entrez),
    ]
    return donors, rnas, np.array([10, 10, 20, 30])


def test_rnaseq_rule_by_hand():
    donors, rnas, entrez = by_hand()
    score = rnaseq_by_well(donors, rnas, entrez)
    # Spearman of 2,1,3,4,6,5 with 1..6 is 1 - 6·4/210.
    assert score[:3] == pytest.approx([-1.0, 1.0, (1 - 24 / 210 - 1) / 2])
    assert np.isnan(score[3])  # gene C has no RNA-seq in the second donor
    genes = np.array([0, 0, 1, 2])
    assert choose_probes("rnaseq", donors, genes, score).tolist() == [1, 2]


def test_ties_go_to_the_first_probe():
    donors, _, _ = by_hand()
    score = np.array([0.5, 0.5, 0.1, np.nan])
    assert choose_probes("rnaseq", donors, np.array([0, 0, 1, 2]), score).tolist() == [0, 2]


@pytest.fixture
def small_download(tmp_path, rng):
    """Two donors in Allen's own layout, one of them still packed."""
    n, probes = 12, 30
    names = ["precentral gyrus, left"] * 6 + ["putamen, left"] * 4 + ["pons, left"] * 2
    slab = ["CX"] * 10 + ["BS"] * 2
    base = rng.standard_normal((probes, n))
    for donor in ("9861", "10021"):
        expression = base + 0.1 * rng.standard_normal((probes, n))
        x = np.where(np.arange(n) < 6, -7.0, -3.0)
        annot = pd.DataFrame(
            {
                "structure_id": 1,
                "slab_type": slab,
                "well_id": np.arange(n) + int(donor) * 100,
                "structure_name": names,
                "mni_x": x,
                "mni_y": 0.0,
                "mni_z": 0.0,
            }
        )
        info = pd.DataFrame(
            {
                "probe_id": np.arange(probes) + 1,
                "probe_name": [f"P{i}" for i in range(probes)],
                "gene_symbol": "old",
                "entrez_id": "",
            }
        )
        ontology = pd.DataFrame(
            {
                "id": [1],
                "acronym": ["x"],
                "name": ["x"],
                "hemisphere": ["L"],
                "structure_id_path": ["/4005/1/"],
            }
        )
        tpm = pd.DataFrame(np.exp(expression[::2]), index=[f"G{i}" for i in range(15)])
        weak = tpm.index == "G14"
        tpm.loc[weak] = rng.random((1, n))
        rna_annot = pd.DataFrame({"well_id": annot["well_id"], "ontology_structure_id": 1})
        genes = pd.DataFrame({"gene_symbol": tpm.index, "entrez_id": np.arange(15)})
        present = np.ones((probes, n), dtype=int)
        present[:2, :5] = 0  # half of the ten samples that remain
        files = {
            "MicroarrayExpression": pd.DataFrame(expression, index=info["probe_id"]).to_csv(
                header=False
            ),
            "PACall": pd.DataFrame(present, index=info["probe_id"]).to_csv(header=False),
            "SampleAnnot": annot.to_csv(index=False),
            "Probes": info.to_csv(index=False),
            "Ontology": ontology.to_csv(index=False),
        }
        rnaseq = {
            "RNAseqTPM": tpm.to_csv(header=False),
            "SampleAnnot": rna_annot.to_csv(index=False),
            "Genes": genes.to_csv(index=False),
        }
        write(tmp_path, f"normalized_microarray_donor{donor}", files, packed=donor == "10021")
        write(tmp_path, f"rnaseq_donor{donor}", rnaseq, packed=False)
    reannotation = tmp_path / "reannotated.csv"
    pd.DataFrame(
        {
            "probe_name": [f"P{i}" for i in range(probes)],
            "gene_symbol": [f"G{i // 2}" for i in range(probes)],
            "entrez_id": [i // 2 for i in range(probes)],
        }
    ).to_csv(reannotation, index=False)
    return find_ahba(tmp_path), read_reannotation(reannotation)


def write(root, name, files, *, packed):
    if packed:
        with zipfile.ZipFile(root / f"{name}.zip", "w") as archive:
            for stem, text in files.items():
                archive.writestr(f"{stem}.csv", text)
    else:
        (root / name).mkdir()
        for stem, text in files.items():
            (root / name / f"{stem}.csv").write_text(text)


def two_regions():
    labels = np.zeros((11, 3, 3), dtype=np.int32)
    labels[1:3], labels[4:5] = 1, 2
    affine = np.diag([2.0, 2, 2, 1])
    affine[:3, 3] = [-10, -2, -2]
    rows = (LabelRow(1, "cortex_L", "left", "cortex"), LabelRow(2, "put_L", "left", "subcortex"))
    return make_atlas(Image(labels, affine), rows)


def test_published_pipeline_end_to_end(small_download):
    folder, reannotation = small_download
    result = bmhlab_expression(
        folder, two_regions(), reannotation=reannotation, options=BmhlabOptions(rnaseq_above=0.6)
    )
    assert result.counts.tolist() == [[6, 6], [4, 4]]
    assert result.values.shape == (2, len(result.genes))
    assert "G0" in result.genes  # present in exactly half of the samples: kept
    assert "G14" not in result.genes
    assert "correlate no better than 0.6" in result.ledger.why("G14")[0].reason
    # Even probes follow RNA-seq by construction.
    chosen = result.probes["9861", "10021"]
    assert all((probe - 1) % 2 == 0 for probe in chosen.values())
    lost = [loss for loss in result.ledger.losses if loss.kind == "sample" and loss.step == "slab"]
    assert len(lost) == 4
    assert result.values.min() >= 0
    assert result.values.max() <= 1


def test_average_over_subjects_differs_from_samples_only_in_weight(small_download):
    folder, reannotation = small_download
    samples, subjects = (
        bmhlab_expression(
            folder,
            two_regions(),
            reannotation=reannotation,
            options=BmhlabOptions(average=average),
        )
        for average in ("samples", "subjects")
    )
    # Both donors have the same number of samples, so both averages agree.
    assert subjects.values == pytest.approx(samples.values)


@pytest.mark.usefixtures("small_download")
def test_damaged_downloads_are_named(tmp_path):
    archive = tmp_path / "normalized_microarray_donor10021.zip"
    archive.write_bytes(archive.read_bytes()[:-50])
    with pytest.raises(InputError, match="an archive is incomplete"):
        find_ahba(tmp_path)
    (tmp_path / "normalized_microarray_donor9861" / "PACall.csv").unlink()
    archive.unlink()
    with pytest.raises(InputError, match="a file of the download is missing"):
        find_ahba(tmp_path).table("9861", "PACall")
    with pytest.raises(InputError, match="no donor of the Allen Human Brain Atlas"):
        find_ahba(tmp_path / "rnaseq_donor9861")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"sample_norm": "rs", "gene_norm": "scaled_robust_sigmoid"}, ("robust_sigmoid", "srs")),
        ({"sample_norm": None, "gene_norm": "demean"}, ("none", "center")),
        ({"gene_norm": "mixed_sig"}, ("srs", "mixed_sigmoid")),
    ],
)
def test_other_words_of_abagen(given, kept):
    options = AbagenOptions(**given)
    assert (options.sample_norm, options.gene_norm) == kept


@pytest.mark.parametrize(
    "given",
    [{"missing": "nearest"}, {"lr_mirror": "left"}, {"gene_norm": "srss"}, {"region_agg": "mean"},
     {"agg_metric": "mode"}, {"donor_probes": "all"}, {"probe_selection": "best"}],
)  # fmt: skip
def test_options_that_abagen_does_not_have(given):
    with pytest.raises(OptionError, match=f"unknown value for {next(iter(given))}"):
        AbagenOptions(**given)
