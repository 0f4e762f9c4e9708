"""The page of one patient of the signature study."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from falx.anatomy.metrics import CoregistrationMetrics
from falx.anatomy.quality import STOPPING
from falx.atlas.freesurfer_numbers import AMYGDALA, HIPPOCAMPUS, MESIAL
from falx.core.grid import Side
from falx.images.nifti import Image
from falx.images.warp import CoordinateMap
from falx.pet.carried import carried_rate_words
from falx.report.live_page import LiveImages, live_page, middle_mm
from falx.report.page import Block, Figure, Notice, Section, Table, Text, render
from falx.report.provenance import StageRecord, provenance_blocks
from falx.report.slices import Layer, slices, window_in
from falx.report.template_space import in_template
from falx.studies.methods.study_text import person_section
from falx.studies.signature.belief import (
    certain,
    doubts,
    foci_table,
    limits_of,
    other_definitions,
    outlines,
    reach,
    side_of_itself,
    taken_of_foci,
)
from falx.studies.signature.healthy import among_healthy, healthy_table
from falx.studies.signature.live import live_images
from falx.studies.signature.modalities import MODALITIES
from falx.studies.signature.numbers import (
    STRUCTURES,
    PatientMetrics,
    StructureNumbers,
    structure_numbers,
)
from falx.studies.signature.registration import Laid, registration_blocks
from falx.surgery.frames import acpc_by_template
from falx.surgery.metrics import AblationMetrics, RatesMetrics

__all__ = ["SignaturePictures", "SignatureResults", "signature_page"]

THRESHOLD_NOTICE = (
    "The published cut of 39.79 % ablated comes from 30 patients treated at one centre, 21 of "
    "them seizure-free, and has not been confirmed elsewhere."
)


NO_ABLATION = (
    "There is no ablation mask, so no ablative rate. (It is looked for in the derivatives of the "
    "dataset, as sub-{subject}/ses-postop/anat/"
    "sub-{subject}_ses-postop_label-ablation_mask.nii.gz, or of ses-preop if it is drawn on the "
    "T1w before the operation.)"
)

LINKS = (("index.html", "all patients, and their other pages"),)


@dataclass(frozen=True)
class SignatureResults:
    """What the stages found.

    Parameters
    ----------
    subject
        Pseudonym.
    coregistrations
        Image to its coregistration.
    records
        Provenance by stage name.
    """

    subject: str
    metrics: PatientMetrics
    coregistrations: Mapping[str, CoregistrationMetrics]
    records: Mapping[str, StageRecord]

    @property
    def side(self) -> Side:
        """Side of the focus."""
        return self.metrics.side

    @property
    def notices(self) -> list[str]:
        """Notices of every stage, without repetition."""
        m = self.metrics
        found: dict[str, None] = {}
        for source in (
            m.anatomy,
            m.pet,
            *m.asymmetry.values(),
            m.signature,
            m.healthy,
            m.ablation,
            *self.coregistrations.values(),
            *self.records.values(),
        ):
            found |= dict.fromkeys(() if source is None else source.notices)
        return list(found)


@dataclass(frozen=True, eq=False)
class SignaturePictures:
    """Images in native T1w space, the map to the template, and the template itself."""

    t1w: Image
    brain: Image
    gm: Image
    wm: Image
    to_native: CoordinateMap
    structures: Image
    pet: Image
    asymmetry: Image
    signature: Image
    ablation: Image | None
    template: Image


def signature_page(
    results: SignatureResults, pictures: SignaturePictures, laid: Mapping[str, Laid]
) -> str:
    """Return the page as HTML; a failed gate leaves the quality checks and withholds results."""
    tissues = (pictures.brain, pictures.wm)
    centre_mm = _centre_mm(pictures.structures, results.side)
    sections = [
        Section("Registration", list(registration_blocks(laid, tissues, centre_mm))),
        Section("Quality", list(_quality(results, pictures)), appendix=True),
    ]
    if results.metrics.failed:
        names = "; ".join(check.name for check in results.metrics.failed)
        stop = Notice([f"No result is shown, because a quality check failed: {names}."], "fail")
        sections.insert(0, Section("Result", [stop]))
    else:
        sections = [
            Section("Result", list(_result(results, acpc_by_template(pictures.to_native.at)))),
            Section("Pictures", list(_pictures(results, pictures))),
            *sections,
            Section("Numbers", list(_numbers(results))),
        ]
    sections.append(Section("How it was made", provenance_blocks(results.records)))
    study = "falx.studies.signature.study:STUDY"
    sections.append(person_section(study, results.subject, results.records))
    title = f"sub-{results.subject} · metabolic signature"
    subtitle = f"Focus on the {results.side}, from {results.metrics.signature.side_from}"
    if results.metrics.failed:
        return render(title, sections, subtitle=subtitle, links=LINKS)
    return live_page(
        title,
        sections,
        _live_images(results, pictures),
        label=f"sub-{results.subject}",
        side=results.side,
        centre_mm=centre_mm,
        subtitle=subtitle,
        links=LINKS,
    )


def _live_images(results: SignatureResults, pictures: SignaturePictures) -> LiveImages:
    return live_images(
        pictures.t1w,
        pictures.brain,
        pictures.signature,
        hippocampus=_structure(pictures.structures, HIPPOCAMPUS[results.side]),
        amygdala=_structure(pictures.structures, AMYGDALA[results.side]),
        pet=pictures.pet,
        asymmetry=pictures.asymmetry,
        ablation=pictures.ablation,
    )


def _structure(labels: Image, number: int) -> Image:
    return Image(labels.data == number, labels.affine)


def _result(results: SignatureResults, acpc: npt.NDArray[np.float64]) -> Iterator[Block]:
    metrics, side = results.metrics, results.side
    hippocampus, amygdala = (structure_numbers(metrics, name) for name in STRUCTURES)
    yield Text(certain(metrics.signature, metrics.pet))
    placed = [among_healthy(metrics.healthy, name, side) for name in STRUCTURES]
    yield Text(
        f"PET asymmetry of the {side} hippocampus: {_regional(hippocampus)}{placed[0]}; amygdala: "
        f"{_regional(amygdala)}{placed[1]} (regional activities, negative: lower than the other "
        "side; the error is that of the noise). Means of the smoothed map, which blur makes "
        f"smaller: {_index(hippocampus.index['pet'])}, {_index(amygdala.index['pet'])}."
    )
    suggested, contradicts = side_of_itself(metrics.signature)
    yield Notice([suggested], "warn") if contradicts else Text(suggested)
    yield Text(other_definitions(metrics.signature))
    reached = reach(metrics.signature)
    if reached:
        yield Text(reached)
    if metrics.ablation is not None:
        yield from _taken(metrics.ablation, metrics.rates)
    else:
        yield Text(NO_ABLATION.format(subject=results.subject))
    yield Notice(doubts(metrics.signature, metrics.healthy), "note")
    yield Notice(results.notices)
    yield healthy_table(metrics.healthy, side)
    table = foci_table(metrics.signature, acpc)
    if table is not None:
        yield table


def _taken(ablation: AblationMetrics, rates: RatesMetrics | None) -> Iterator[Block]:
    hippocampus, amygdala = (_rate(ablation, rates, name) for name in STRUCTURES)
    shares = " and ".join(
        f"{share:.1%} of the {name}" for name in STRUCTURES
        if (share := ablation.shares.get(name)) is not None
    )  # fmt: skip
    yield Text(
        f"The ablation of {ablation.volume_mm3:.0f} mm³ took {hippocampus} and {amygdala}; of the "
        f"structures themselves, signature or not, {shares or 'nothing that is known'}."
    )
    if rates is not None and rates.foci:
        yield taken_of_foci(rates.foci)
    said = THRESHOLD_NOTICE
    if not ablation.definition.published:
        rate = ablation.rates["default"]["hippocampus"].rate
        said += f" This run has another definition of it, {ablation.definition}."
        said += f" {carried_rate_words(ablation.definition, rate)}"
    yield Notice([said], "note")


def _regional(found: StructureNumbers) -> str:
    """Return a regional asymmetry with its standard error."""
    if found.regional is None:
        return "not defined"
    error = "" if found.regional_se is None else f" ± {found.regional_se:.3f}"
    return f"{found.regional:+.3f}{error}"


def _index(value: float | None) -> str:
    return "not defined" if value is None else f"{value:+.3f}"


def _rate(ablation: AblationMetrics, rates: RatesMetrics | None, structure: str) -> str:
    found = ablation.rates["default"][structure]
    rate, whole = found.rate, found.denominator_mm3
    if rate is None:
        return f"no share of the {structure}, which holds no signature"
    interval = None if rates is None else rates.intervals.get(structure)
    spread = ""
    if interval is not None:
        spread = f", {limits_of(interval)}"
    return (
        f"{rate:.1%} of the signature in the {structure} ({rate * whole:.0f} of {whole:.0f} mm³"
        f"{spread})"
    )


def _pictures(results: SignatureResults, pictures: SignaturePictures) -> Iterator[Block]:
    centre = _centre_mm(pictures.structures, results.side)
    shown = partial(
        slices,
        pictures.t1w,
        centre_mm=centre,
        offsets_mm=(-8.0, 0.0, 8.0),
        window=_window(pictures),
    )
    signature = Layer(pictures.signature, "contour", "cyan", label="signature")
    layers = [
        Layer(pictures.asymmetry, "map", "RdBu_r", -0.3, 0.3, 0.03, "asymmetry index"),
        signature,
    ]
    yield Figure(
        shown(layers),
        "Asymmetry of the PET over the T1w, through the hippocampus of the focus. Blue: lower "
        "than the mirror image; red: higher. The signature is outlined.",
    )
    if pictures.ablation is not None:
        taken = [
            Layer(pictures.signature, "mask", "cyan", label="signature"),
            Layer(pictures.ablation, "contour", "orange", label="ablation"),
        ]
        yield Figure(
            shown(taken),
            "What the ablation (outlined) took of the signature (filled).",
        )
    yield Figure(
        slices(pictures.pet, [signature], centre_mm=centre),
        "The corrected PET with the signature outlined; black where no grey matter was measured.",
    )


def _quality(results: SignatureResults, pictures: SignaturePictures) -> Iterator[Block]:
    checks = results.metrics.anatomy.quality
    yield Table(
        ("check", "value", "from", "to", "passed", "why it matters"),
        [[c.name, c.value, c.low, c.high, c.passed, c.why] for c in checks],
        flags=["ok" if c.passed else "fail" if c.name in STOPPING else "warn" for c in checks],
        caption="Each figure beside the range in which the result can be trusted.",
    )
    yield Figure(
        slices(
            pictures.template,
            [Layer(in_template(pictures.gm, pictures.to_native), "contour", "orange",
                   label="grey matter of the patient")],
        ),
        "The patient's grey matter, brought to the template: it should follow the cortex.",
    )  # fmt: skip
    yield Figure(
        slices(
            pictures.t1w,
            [
                Layer(pictures.gm, "contour", "orange", label="grey matter"),
                Layer(pictures.wm, "contour", "cyan", label="white matter"),
            ],
            window=_window(pictures),
        ),
        "Tissues over the T1w.",
    )
    yield Figure(
        slices(pictures.t1w, _side_layers(pictures.structures), planes=("coronal", "axial"),
               centre_mm=_centre_mm(pictures.structures, results.side), window=_window(pictures)),
        "Left and right: hippocampus and amygdala of the left side are orange and must lie on "
        "the side marked L, those of the right side are cyan.",
    )  # fmt: skip


def _window(pictures: SignaturePictures) -> tuple[float, float]:
    """Black and white of the T1w, by the brain alone."""
    return window_in(pictures.t1w.data, np.asarray(pictures.brain.data, dtype=bool))


def _side_layers(structures: Image) -> list[Layer]:
    sides: dict[Side, str] = {"left": "orange", "right": "cyan"}
    return [
        Layer(
            Image(np.isin(structures.data, MESIAL[side]), structures.affine),
            "mask",
            colour,
            label=side,
        )
        for side, colour in sides.items()
    ]


def _centre_mm(structures: Image, side: Side) -> list[float]:
    return middle_mm(_structure(structures, HIPPOCAMPUS[side]))


def _numbers(results: SignatureResults) -> Iterator[Block]:
    metrics = results.metrics
    if metrics.ablation is not None:
        yield from _ablation(metrics.ablation)
    rows = [(name, structure_numbers(metrics, name)) for name in STRUCTURES]
    yield Table(
        ("structure", "left, mm³", "right, mm³", "ipsi - contra, mm³", "asymmetry",
         "PET asymmetry", "regional PET asymmetry", "standard error"),
        [
            [name, n.left_mm3, n.right_mm3, n.difference_mm3, n.asymmetry, n.index["pet"],
             n.regional, n.regional_se]
            for name, n in rows
        ],
        caption="Volumes and their asymmetry 2 (ipsi - contra) / (ipsi + contra); PET asymmetry "
        "as mean over voxels and from regional activities (geometric transfer matrix), with the "
        f"standard error that the noise of the PET explains. {outlines(metrics.anatomy)}",
    )  # fmt: skip
    volumes = metrics.anatomy.volumes_mm3
    yield Table(
        ("grey matter, mm³", "white matter, mm³", "CSF, mm³", "total intracranial, mm³"),
        [[volumes.gm, volumes.wm, volumes.csf, volumes.tiv]],
    )


def _ablation(ablation: AblationMetrics) -> Iterator[Block]:
    rules = (("this run", "default"), ("published chain", "published"))
    yield Table(
        ("structure", "signature by", "ablated share", "signature, mm³"),
        [
            [structure.replace("_", " "), name, found.rate, found.denominator_mm3]
            for structure in ("hippocampus", "amygdala", "mesial_temporal")
            for name, rule in rules
            for found in (ablation.rates[rule][structure],)
        ],
        caption="Ablative rate: signature in the structure that the ablation covers, over all "
        f"signature in the structure. This run: {ablation.definition}.",
    )
    inside = {m.key: ablation.asymmetry.get(m.key) for m in MODALITIES}
    yield Table(
        ("modality", "asymmetry in the ablation", "the same, z + 5 scale"),
        [
            [name, found and found.ipsilateral, found and found.ipsilateral_z5]
            for name, found in inside.items()
        ],
        caption="Mean asymmetry index in the ablation, ipsilateral; negative: lower than the "
        "other side.",
    )
