"""The index of a study: everybody with a link to every page, and who has none and why."""

from __future__ import annotations

from falx.report.index_page import index_page

PEOPLE = [
    {"participant_id": "sub-01", "status": "finished", "reason": "n/a"},
    {"participant_id": "sub-02", "status": "failed", "reason": "the PET is <empty>"},
]
PAGES = ("group.html", "sub-01.html", "sub-01/anat/sub-01_desc-planned_plan.html")


def test_every_page_is_linked_and_who_has_none_is_named():
    page = index_page(PEOPLE, PAGES)
    assert "computed" not in page  # every run writes it anew, with the same bytes
    for path, title in zip(PAGES, ("group", "results", "laser plan"), strict=True):
        assert f'<a href="{path}">{title}</a>' in page
    assert "<td>sub-02</td><td>none</td><td>failed</td><td>the PET is &lt;empty&gt;</td>" in page


def test_a_reason_keeps_its_words():
    reason = 'the column side holds "n/a"; write left or right'
    people = [{"participant_id": "sub-03", "status": "excluded", "reason": reason}]
    assert "the column side holds &quot;n/a&quot;; write" in index_page(people, ())


def test_one_label_is_not_taken_for_the_beginning_of_another():
    people = [{"participant_id": "sub-0", "status": "finished", "reason": "n/a"}]
    assert "<td>sub-0</td><td>none</td>" in index_page(people, PAGES)
