import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongzhou.evidence import EvidenceFormatError
from tongzhou.evidence.leaf import (
    Leaf,
    build_body,
    check_key,
    check_kind,
    commit,
    new_salt,
    parse_leaf,
    read_body,
)
from tongzhou.evidence.merkle import leaf_hash

# The leaf rule's own vector, made in a shell, not with this code. The 33 zero bytes are the 0x00 of the rule
# and a salt of 32 zero bytes; the single one is the 0x00 before a leaf in RFC 6962.
#   (head -c 33 /dev/zero; printf '{"key":"run-1","record":{"rows":27000}}') | sha256sum
#   (head -c 1 /dev/zero; printf 'tongzhou.leaf/v1\njob/receipt\n2023-11-14T22:13:20Z\n%s\n' "$B64") |
#     sha256sum
BODY = '{"key":"run-1","record":{"rows":27000}}'
COMMITMENT = bytes.fromhex("b203cf9d11e99b40eafbdd797885fbb31c4bd4b90081cee8990d73557534a6b1")
LEAF = "tongzhou.leaf/v1\njob/receipt\n2023-11-14T22:13:20Z\nsgPPnRHpm0Dq+915eIX7sxxL1LkAgc7omQ1zVXU0prE=\n"
LEAF_HASH = "15ef5a09c1bc5ce1c63f0840d2f911535868e8eeb53a1922cf14e6e9cdb796d5"


def test_the_rule_is_what_the_document_says() -> None:
    body = build_body("run-1", {"rows": 27000})
    assert body == BODY
    assert commit(bytes(32), body) == COMMITMENT
    leaf = Leaf("job/receipt", 1_700_000_000, COMMITMENT)
    assert leaf.text == LEAF
    assert leaf_hash(leaf.text.encode()).hex() == LEAF_HASH


def test_a_leaf_is_read_back() -> None:
    leaf = Leaf("grant", 1_700_000_000, bytes(range(32)))
    assert parse_leaf(leaf.text) == leaf


@given(st.integers(0, 250_000_000_000), st.binary(min_size=32, max_size=32))
def test_every_time_is_read_back(time: int, commitment: bytes) -> None:
    leaf = Leaf("grant", time, commitment)
    assert parse_leaf(leaf.text) == leaf


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("tongzhou.leaf/v1", "tongzhou.leaf/v2"), "the first being tongzhou.leaf/v1"),
        (("job/receipt", "Job"), "the kind of an entry is"),
        (("2023-11-14T22:13:20Z", "2023-11-14 22:13:20"), "the time of a leaf has the form"),
        (("2023-11-14T22:13:20Z", "2023-11-31T22:13:20Z"), "the time of a leaf has the form"),
        (("2023-11-14T22:13:20Z", "2023-11-14T22:13:2Z"), "a leaf has four lines"),
        (("\nAAEC", "\nAAE"), "the field commitment is not Base 64"),
        (("job/receipt\n", "job/receipt\n\n"), "a leaf has four lines"),
        (("=\n", "="), "a leaf has four lines"),
    ],
)
def test_malformed_leaves(change: tuple[str, str], sentence: str) -> None:
    text = Leaf("job/receipt", 1_700_000_000, bytes(range(32))).text
    assert change[0] in text
    with pytest.raises(EvidenceFormatError, match=sentence):
        parse_leaf(text.replace(*change))


def test_a_short_commitment_is_refused() -> None:
    with pytest.raises(EvidenceFormatError, match="a leaf has four lines"):
        parse_leaf(Leaf("grant", 0, bytes(31)).text)


def test_salts_differ_and_hide() -> None:
    one, other = new_salt(), new_salt()
    assert one != other
    assert commit(one, BODY) != commit(other, BODY)
    with pytest.raises(EvidenceFormatError, match="a salt has 31 bytes; it must have 32"):
        commit(bytes(31), BODY)


@pytest.mark.parametrize("kind", ["", "A", "-a", "a b", "a" * 65, "é", "a\n", "../x"])
def test_kinds_are_short_and_plain(kind: str) -> None:
    with pytest.raises(EvidenceFormatError, match=r"the kind of an entry is 1 to 64 of a-z 0-9 \. _ / -"):
        check_kind(kind)


@pytest.mark.parametrize("key", ["", "a\n", "\x00", "k" * 257, "\u200b"])
def test_keys_are_printable(key: str) -> None:
    with pytest.raises(EvidenceFormatError, match=f"1 to 256 printable characters, got {len(key)}"):
        check_key(key)


def test_keys_may_be_chinese() -> None:
    assert check_key("借款 客户-7") == "借款 客户-7"


def test_a_body_holds_key_and_record_only() -> None:
    assert read_body(BODY) == ("run-1", {"rows": 27000})
    for text in (
        "[]",
        '{"key":"a"}',
        '{"key":"a","record":[]}',
        '{"key":1,"record":{}}',
        '{"extra":1,"key":"a","record":{}}',
    ):
        with pytest.raises(EvidenceFormatError, match="holds a key and a record, and nothing else"):
            read_body(text)


def test_a_large_record_is_refused() -> None:
    with pytest.raises(EvidenceFormatError, match=r"the record has \d+ bytes; at most 1048576 are taken"):
        build_body("k", {"text": "é" * 600_000})
