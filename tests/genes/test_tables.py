"""Regional tables and ready matrices: what is read, joined, left out and refused."""

from __future__ import annotations

import numpy as np
import pytest

from falx.atlas.atlas import make_atlas
from falx.atlas.label_table import LabelRow
from falx.core.errors import FalxNotice, InputError
from falx.genes.files import source_text
from falx.genes.tables import Expression, join, read_expression, read_region_table, table_of_map
from falx.images.nifti import Image


def write(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    return path


TABLE = """region,t,x_mm,y_mm,z_mm,block,side
A_L,1.5,-30,0,0,cortex,L
A_R,2.5,30,0,0,cortex,R
B_L,,-20,0,0,cortex,left
C_L,0.5,-10,0,0,subcortex/brainstem,left
D_L,0.1,-12,5,0,cortex,left
"""
MATRIX = "label,G1,G2,G3,FLAT\nA_L,1,2,3,5\nA_R,4,5,6,5\nB_L,1,1,1,5\nC_L,,,,\nD_L,3,,2,5\n"


def test_join_accounts_for_every_region(tmp_path):
    table = read_region_table(source_text(write(tmp_path, "map.csv", TABLE)))
    expression = read_expression(source_text(write(tmp_path, "matrix.csv", MATRIX)))
    assert table.blocks == ("cortex", "cortex", "cortex", "subcortex", "cortex")
    with pytest.warns(FalxNotice, match="without a value in every region"):
        data = join(table, expression)
    assert data.regions == ("A_L", "A_R", "D_L")
    assert data.genes == ("G1", "G3")
    assert data.left_out == {
        "B_L": "the map has no value there",
        "C_L": "no tissue sample lies in it",
    }
    assert data.expression.tolist() == [[1, 3], [4, 6], [3, 2]]


def test_sides_and_blocks_can_be_chosen(tmp_path):
    table = read_region_table(source_text(write(tmp_path, "map.csv", TABLE)))
    expression = read_expression(source_text(write(tmp_path, "matrix.csv", MATRIX)))
    with pytest.warns(FalxNotice):
        data = join(table, expression, side="left", blocks=("cortex",))
    assert data.regions == ("A_L", "D_L")
    assert data.left_out["A_R"] == "only the left side is analysed"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "needs a column of regions"),
        ("region,value\nA,1\nA,2\n", "a region occurs twice"),
        ("region,value\nA,much\n", "not a number"),
        ("", "is empty"),
    ],
)
def test_bad_tables(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_region_table(source_text(write(tmp_path, "bad.csv", text)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("r,G1,G1\nA,1,2\n", "a gene occurs twice.*G1"),
        ("r,G1\nA,1\nA,2\n", "a region occurs twice"),
        ("r,G1,name\nA,1,frontal\n", "must be numbers"),
    ],
)
def test_bad_matrices(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_expression(source_text(write(tmp_path, "bad.csv", text)))


def test_nothing_in_common_and_no_positions(tmp_path):
    expression = read_expression(source_text(write(tmp_path, "matrix.csv", MATRIX)))
    other = read_region_table(source_text(write(tmp_path, "m.tsv", "region\tvalue\nZ\t1\n")))
    with pytest.raises(InputError, match="share no region"):
        join(other, expression)
    bare = read_region_table(
        source_text(write(tmp_path, "m.tsv", "region\tvalue\nA_L\t1\nA_R\t2\n"))
    )
    whole = Expression("x", ("A_L", "A_R"), ("G",), np.array([[1.0], [2.0]]))
    with pytest.raises(InputError, match="positions of the regions are not known"):
        join(bare, whole)


def test_a_map_becomes_a_table():
    labels = np.zeros((10, 4, 4), dtype=np.int32)
    labels[1:3], labels[7:9] = 1, 2
    affine = np.diag([2.0, 2, 2, 1])
    affine[:3, 3] = -9
    rows = (LabelRow(1, "a_L", "left", "cortex"), LabelRow(2, "a_R", "right", "cerebellum"))
    atlas = make_atlas(Image(labels, affine), rows)
    data = np.where(labels == 1, -1.5, 2.0).astype(np.float32)
    data[8] = np.nan
    data[7, :2] = np.nan
    table = table_of_map(Image(data, affine), atlas)
    assert table.values == pytest.approx([-1.5, 2.0])
    assert table.blocks == ("cortex", "cerebellum")
    assert "less than half of 1 regions" in table.notes[0]
