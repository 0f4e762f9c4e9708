"""What a series seems to be, by descriptions as hospitals write them."""

from __future__ import annotations

import pytest

from falx.surgery.dicom.appearance import appearance

HEAD, FINE = (176, 256, 256), (1.0, 1.0, 1.0)
MR, PT = {"Modality": "MR"}, {"Modality": "PT"}


@pytest.mark.parametrize(
    ("description", "sidecar", "role", "contrast", "after"),
    [
        ("T1 MPRAGE sag", MR, "t1w", False, False),
        ("t1_mprage_sag_p2_iso", MR, "t1w", False, False),
        ("Ax 3D BRAVO +C", MR, "t1w", True, False),
        ("T1 TFE KM", MR, "t1w", True, False),
        ("3D T1 post Gd", MR, "t1w", True, False),
        ("t1_mprage_post-op", MR, "t1w", False, True),
        ("MPRAGE nach OP mit KM", MR, "t1w", True, True),
        ("FSPGR postop gad", MR, "t1w", True, True),
        ("T2 FLAIR dark-fluid", MR, "flair", False, False),
        ("t2_space_darkfluid_sag", MR, "flair", False, False),
        ("3D FLAIR T1 corr", MR, "flair", False, False),
        ("FDG brain", PT, "pet", False, False),
        ("Hirn stat.", PT, "pet", False, False),
        ("sub-A_T1w.nii.gz", {}, "t1w", False, False),
        ("brain_FDG-PET_final", {}, "pet", False, False),
        ("localizer", MR, "", False, False),
        ("T1 scout", MR, "", False, False),
        ("AC CT head", {"Modality": "CT"}, "", False, False),
        ("FDG MIP", PT, "", False, False),
        ("ep2d_diff ADC", MR, "", False, False),
        ("t2_tse_tra", MR, "", False, False),
        ("", MR, "", False, False),
    ],
)
def test_a_series_is_known_by_its_words(description, sidecar, role, contrast, after) -> None:
    found = appearance(description, sidecar, HEAD, FINE)
    assert (found.role, found.contrast, found.after) == (role, contrast, after)


@pytest.mark.parametrize(
    ("times", "role"),
    [
        ((0.003, 2.3, 0.9), "t1w"),
        ((0.39, 5.0, 1.8), "flair"),
        ((0.09, 9.0, 2.5), "flair"),
        ((0.1, 5.0, 0.0), ""),
        ((0.003, 2.3, 1.8), ""),
        ((0.05, 2.0, 0.9), ""),
    ],
)
def test_a_series_without_words_is_known_by_its_times(times, role) -> None:
    names = ("EchoTime", "RepetitionTime", "InversionTime")
    sidecar = {**MR, **dict(zip(names, times, strict=True))}
    assert appearance("seq 7", sidecar, HEAD, FINE).role == role
    assert appearance("seq 7", {**sidecar, "EchoTime": "short"}, HEAD, FINE).role == ""


def test_of_several_pet_series_the_static_corrected_one_is_the_better() -> None:
    def told(text, shape=(*HEAD,), **more):
        return appearance(text, {**PT, **more}, shape, FINE)

    corrected, dynamic = told("FDG AC"), told("FDG AC", (*HEAD, 20))
    naked, silent = told("FDG NAC"), told("FDG")
    assert corrected.score > dynamic.score > silent.score > naked.score
    assert corrected.words == "FDG-PET, static, attenuation-corrected"
    assert dynamic.words == "FDG-PET, dynamic (20 frames), attenuation-corrected"
    assert naked.words == "FDG-PET, static, not attenuation-corrected"
    assert silent.words == "FDG-PET, static"
    assert "is not said" in silent.doubts[0]
    assert told("FDG", AttenuationCorrection="NONE").words == naked.words
    assert told("FDG", AttenuationCorrection="measured").words == corrected.words


def test_doubts_are_told_and_a_stack_of_few_slices_is_no_head() -> None:
    assert appearance("T1 tse", MR, (256, 256, 12), FINE).role == ""
    assert "12" in appearance("T1 tse", MR, (256, 256, 12), FINE).words
    thick = appearance("T1 tse", {**MR, "MRAcquisitionType": "2D"}, (256, 256, 24), (1, 1, 5.5))
    assert thick.role == "t1w"
    assert [doubt.split(" (")[0] for doubt in thick.doubts] == [
        "thick slices", "acquired slice by slice"]  # fmt: skip
    plain = appearance("T1 MPRAGE", MR, HEAD, FINE)
    assert plain.doubts == () and plain.score > thick.score
    assert appearance("T1 MPRAGE post", MR, HEAD, FINE).doubts[0].startswith("“post” may mean")
    assert appearance("T1 MPRAGE", MR, (*HEAD, 3), FINE).words == "a series of 3 volumes"
