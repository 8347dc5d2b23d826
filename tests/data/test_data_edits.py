"""Decisions about names: written into a table by people, read back, kept free of contradictions, applied."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongzhou.data.companies import company_form
from tongzhou.data.edits import Decision, EditList, apply_edits, candidates_csv, read_decisions
from tongzhou.data.similar import Candidate
from tongzhou.errors import ConflictError, DataError, NotFoundError

A, B, C = "甲有限公司", "乙有限公司", "丙有限公司"


def same(name, other):
    return Decision("same", name, other)


def different(name, other):
    return Decision("different", name, other)


def listed(*decisions):
    return EditList().with_decisions(enumerate(decisions, start=1))


NAMES = [("甲 有限责任公司", 1), ("=HYPERLINK(乙)", 4), ("丙，有限公司", 7)]


def table(*words):
    """The table of two candidates with the words of a person in the first column."""
    candidates = [Candidate(0, 1, 0.91, "spelling"), Candidate(2, 1, 0.8, "short")]
    rows = list(csv.reader(io.StringIO(candidates_csv(candidates, NAMES, NAMES))))
    for row, word in zip(rows[1:], words, strict=False):
        row[0] = word
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def test_a_table_of_candidates_reads_well_and_holds_no_formula():
    lines = table().splitlines()
    assert lines[0] == "decision,score,reason,name,other,row,other_row"
    assert lines[1] == ",0.910,spelling,甲 有限责任公司,'=HYPERLINK(乙),1,4"
    assert lines[2].startswith(",0.800,short,")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_decisions_are_read_in_normal_form_with_their_rows(encoding):
    decided, left = read_decisions(table("same", "").encode(encoding), "t.csv")
    assert decided == [(1, same("甲有限公司", company_form("=HYPERLINK(乙)")))]
    assert [(one.row, one.name) for one in left] == [(2, "丙，有限公司")]
    decided, left = read_decisions(table("不同", "SAME").encode(encoding), "t.csv")
    assert [one.verdict for _, one in decided] == ["different", "same"]
    assert left == []


def test_columns_may_move_and_lines_may_be_empty():
    decided, _ = read_decisions("other,name,Decision\n乙有限公司,甲有限公司,same\n\n,,\n".encode(), "t.csv")
    assert decided == [(1, same(A, B))]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "t.csv: a table of candidates needs the column decision"),
        (b"decision,name\nsame,a\n", "t.csv: a table of candidates needs the column other"),
        (
            "decision,name,other\nmaybe,甲,乙\n".encode(),
            r"t.csv, row 1: a decision is same, different or empty, got 'm",
        ),
        (
            "decision,name,other\n,甲,乙\nsame,甲,--\n".encode(),
            "t.csv, row 2: a decision needs two different names",
        ),
        (
            "decision,name,other\nsame,甲有限公司,甲有限责任公司\n".encode(),
            "row 1: a decision needs two different names",
        ),
        ("decision,name,other\nsame,甲\n".encode(), "row 1: a decision needs two different names"),
        (b"\xff\xff\xff", "t.csv: text must be UTF-8 or GB18030"),
    ],
)
def test_what_is_no_table_of_decisions_is_a_sentence(content, sentence):
    with pytest.raises(DataError, match=sentence):
        read_decisions(content, "t.csv")


def test_chains_end_at_the_last_name():
    assert listed(same(A, B), same(B, C)).written_as() == {A: C, B: C}
    assert listed(same(B, C), same(A, B)).written_as() == {A: C, B: C}
    assert listed(different(A, B)).written_as() == {}


def test_saying_the_same_again_changes_nothing():
    edits = listed(same(A, B), different(B, C))
    assert edits.with_decisions([(1, same(A, B)), (2, different(C, B))]) == edits


@pytest.mark.parametrize(
    ("decisions", "sentence"),
    [
        ((same(A, B), different(A, B)), "row 2: this pair is decided otherwise already"),
        ((different(A, B), same(B, A)), "row 2: this pair is decided otherwise already"),
        ((same(A, B), same(B, A)), "row 2: this pair is decided otherwise already"),
        ((same(A, B), same(A, C)), "row 2: this name is written as another one already"),
        ((same(A, B), same(B, C), same(C, A)), "row 3: the two names would be written as each other"),
    ],
)
def test_contradictions_are_refused_by_row(decisions, sentence):
    with pytest.raises(ConflictError, match=sentence):
        listed(*decisions)


def test_a_decision_is_taken_back_by_any_spelling():
    edits = listed(same(A, B), different(B, C))
    assert edits.without("甲 有限责任公司").decisions == (different(B, C),)
    assert edits.without(B).decisions == ()
    with pytest.raises(NotFoundError, match="nothing was decided about the name 丁"):
        edits.without("丁")


def test_edits_are_applied_to_every_spelling_and_counted():
    values, findings = apply_edits(
        ["甲有限责任公司", None, "乙", 7, "甲 有限公司"], listed(same(A, B)), "firm"
    )
    assert values == [B, None, "乙", 7, B]
    (finding,) = findings
    assert finding.sentence == "identifier firm: names written as the owner decided: 2, first row 1"
    assert (finding.severity, finding.row, finding.rows) == ("warning", 1, 2)


def test_without_decisions_nothing_is_touched():
    assert apply_edits(["甲", 1, None], listed(different(A, B)), "firm") == (["甲", 1, None], [])


@given(pairs=st.lists(st.tuples(st.sampled_from("甲乙丙丁戊"), st.sampled_from("甲乙丙丁戊")), max_size=8))
def test_whatever_is_accepted_ends(pairs):
    """No list that was let in leads in a circle, and what is written is never written otherwise."""
    edits = EditList()
    for one, other in pairs:
        try:
            edits = edits.with_decisions([(1, same(one, other))])
        except ConflictError:
            continue
    written = edits.written_as()
    assert not set(written) & set(written.values())
