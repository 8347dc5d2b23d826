import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongzhou.evidence import EvidenceFormatError
from tongzhou.evidence.canonical import MAX_INTEGER, canonical_json, parse_canonical_json

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def test_keys_sort_by_utf16_code_units_as_in_rfc_8785_section_3_2_3() -> None:
    """The example of RFC 8785 section 3.2.3: the emoji (a surrogate pair) stands before U+FB33."""
    keys = ["€", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "ö"]
    text = canonical_json(dict.fromkeys(keys, 0))
    assert list(json.loads(text)) == ["\r", "1", "\u0080", "ö", "€", "\U0001f600", "\ufb33"]


def test_text_is_escaped_as_in_rfc_8785_section_3_2_2() -> None:
    """The string of RFC 8785 section 3.2.2.2: short escapes, lower-case hex, nothing else escaped."""
    assert canonical_json('€$\u000f\nA\'B"\\\\"/') == '"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'


def test_spelling_has_no_spaces() -> None:
    assert canonical_json({"b": [1, True, None], "a": {}}) == '{"a":{},"b":[1,true,null]}'


def test_tuples_are_lists() -> None:
    assert canonical_json({"a": (1, 2)}) == '{"a":[1,2]}'


@given(VALUES)
def test_what_is_written_is_read_back(value: object) -> None:
    text = canonical_json(value)
    assert parse_canonical_json(text) == value
    assert json.loads(text) == value


@given(VALUES, VALUES)
def test_one_text_means_one_value(one: object, other: object) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (canonical_json(one) == canonical_json(other)) == same


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({"rate": 0.1}, r"record\.rate is a fraction; a record may hold whole numbers and text"),
        ({"a": [1, 2.5]}, r"record\.a\[1\] is a fraction"),
        ({"a": {"b": 2**53}}, r"record\.a\.b is a number beyond 9007199254740991; write it as text"),
        ({"a": -(2**53)}, r"record\.a is a number beyond"),
        ({"a": b"bytes"}, r"record\.a has type bytes; a record may hold text, whole numbers"),
        ({"a": {1}}, r"record\.a has type set"),
        ({1: "a"}, r"a field name of record has type int; names are text"),
        ({"a": "\ud800"}, r"record\.a holds half of a UTF-16 pair"),
        ({"\udfff": 1}, r"record holds half of a UTF-16 pair"),
    ],
)
def test_values_without_canonical_form_are_refused_by_name(value: object, sentence: str) -> None:
    with pytest.raises(EvidenceFormatError, match=sentence):
        canonical_json(value)


def test_deep_nesting_is_refused() -> None:
    value: object = 1
    for _ in range(40):
        value = [value]
    with pytest.raises(EvidenceFormatError, match="nested deeper than 32 levels"):
        canonical_json(value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "the record is not JSON"),
        ("[1.0]", "only whole numbers are allowed"),
        ("[1e3]", "only whole numbers are allowed"),
        ("[NaN]", "only whole numbers are allowed"),
        ('{"a":1,"a":1}', "not in its canonical form"),
        ('{"b":1,"a":2}', "not in its canonical form"),
        ('{"a": 1}', "not in its canonical form"),
        ('"\\u0041"', "not in its canonical form"),
        ("[" * 50 + "]" * 50, "nested deeper than 32 levels"),
        ("[" * 100_000, "the record is not JSON"),
        ("-0", "not in its canonical form"),
    ],
)
def test_other_spellings_are_refused(text: str, sentence: str) -> None:
    with pytest.raises(EvidenceFormatError, match=sentence):
        parse_canonical_json(text)
