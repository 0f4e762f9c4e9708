"""Names to entities and back."""

from __future__ import annotations

import pytest
from bidsschematools.schema import load_schema
from hypothesis import given
from hypothesis import strategies as st

from falx.bids.derivative import output_path
from falx.bids.entities import ENTITY_ORDER, format_name, parse_name, same_value
from falx.core.errors import InputError

LABELS = st.text("abcXYZ019", min_size=1, max_size=6)
NAMES = st.fixed_dictionaries(
    {"sub": LABELS}, optional={key: LABELS for key in ENTITY_ORDER if key != "sub"}
)


@given(NAMES, st.sampled_from(["T1w", "pet", "mask"]), st.sampled_from([".nii.gz", ".json"]))
def test_entities_to_name_to_entities_is_the_identity(
    entities: dict[str, str], suffix: str, extension: str
) -> None:
    text = format_name(entities, suffix, extension)
    name = parse_name(f"sub-x/anat/{text}")
    assert name is not None
    assert (dict(name.entities), name.suffix, name.extension) == (entities, suffix, extension)
    assert str(name) == text


def test_order_is_that_of_the_schema() -> None:
    schema = load_schema()
    names = [schema.objects.entities[key]["name"] for key in schema.rules.entities]
    assert [key for key in ENTITY_ORDER if key in names] == names


@pytest.mark.parametrize("text", ["README", "sub-01_.nii", "sub-01_sub-02_T1w.nii", "T1w.nii"])
def test_names_outside_bids_have_no_entities(text: str) -> None:
    assert parse_name(text) is None


def test_an_index_is_a_number_and_a_label_is_a_text() -> None:
    assert same_value("run", "1", "01")
    assert not same_value("acq", "1", "01")


@pytest.mark.parametrize(
    ("entities", "match"),
    [({"pvc": "MG"}, "'pvc' is not an entity of BIDS"), ({"desc": "a_b"}, "letters and digits")],
)
def test_impossible_names_are_refused(entities: dict[str, str], match: str) -> None:
    with pytest.raises(InputError, match=match):
        format_name({"sub": "01", **entities}, "pet", ".nii.gz")


def test_output_paths_leave_the_subject_open() -> None:
    path = output_path("pet", "pet", trc="FDG", space="T1w", desc="AI")
    assert path.format(subject="07") == "sub-07/pet/sub-07_trc-FDG_space-T1w_desc-AI_pet.nii.gz"
    assert output_path("group", "means", extension=".tsv", group=True) == "group/means.tsv"
