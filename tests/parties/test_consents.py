"""Consents: what is kept, what holds when, and commitments that tell nothing without their salt."""

import hashlib
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongzhou.errors import DataError, NotFoundError
from tongzhou.parties.canonical import canonical_json
from tongzhou.parties.consents import Consent, ConsentBook, ConsentUse, check_consent, commitment_of

NOW = datetime(2026, 11, 5, 12, tzinfo=UTC)
USE = ConsentUse(purpose="credit", user="bank", source="cardnet")


def consent(identifier: str = "C-1", **changes) -> Consent:
    given = {
        "identifier": identifier,
        "purpose": "credit",
        "user": "bank",
        "source": "cardnet",
        "document": "ab" * 32,
        "valid_from": "2026-11-01T00:00:00Z",
        "valid_until": "2026-12-01T00:00:00Z",
    }
    return Consent(**(given | changes))


@pytest.fixture
def book(tmp_path):
    return ConsentBook(tmp_path)


def covered(book, *identifiers: str, use: ConsentUse = USE, now: datetime = NOW) -> list[str]:
    return sorted(book.covering(identifiers, use, now))


def test_what_holds_covers(book) -> None:
    assert book.add([consent("C-1"), consent("C-2", purpose="marketing"), consent("C-3", user="lender")]) == 3
    assert covered(book, "C-1", "C-2", "C-3", "C-4") == ["C-1"]
    assert covered(book, "C-2", use=msgspec.structs.replace(USE, purpose="marketing")) == ["C-2"]
    assert covered(book, "C-1", use=msgspec.structs.replace(USE, source="telecom")) == []


@pytest.mark.parametrize(
    ("now", "holds"),
    [
        (datetime(2026, 10, 31, 23, 59, 59, tzinfo=UTC), False),
        (datetime(2026, 11, 1, tzinfo=UTC), True),
        (datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC), True),
        (datetime(2026, 12, 1, tzinfo=UTC), False),
    ],
)
def test_a_consent_holds_from_its_first_moment_and_not_at_its_end(book, now, holds) -> None:
    book.add([consent()])
    assert covered(book, "C-1", now=now) == (["C-1"] if holds else [])
    assert consent().holds(now) is holds


def test_of_several_the_one_that_holds_longest_counts(book) -> None:
    longer = consent(document="cd" * 32, valid_until="2027-01-01T00:00:00Z")
    later = consent(document="ef" * 32, valid_from="2026-12-01T00:00:00Z", valid_until="2028-01-01T00:00:00Z")
    book.add([consent(), longer, later])
    assert book.covering(["C-1"], USE, NOW)["C-1"].consent == longer


def test_adding_again_changes_nothing(book) -> None:
    book.add([consent()])
    first = book.covering(["C-1"], USE, NOW)["C-1"].commitment
    assert book.add([consent(), consent("C-2")]) == 1
    assert book.covering(["C-1"], USE, NOW)["C-1"].commitment == first


def test_a_consent_taken_back_does_not_cover(book) -> None:
    book.add([consent(), consent(purpose="marketing"), consent("C-2")])
    assert book.withdraw("C-1", NOW, purpose="credit") == 1
    assert covered(book, "C-1", "C-2") == ["C-2"]
    assert book.count() == {("credit", "bank", "cardnet"): 1, ("marketing", "bank", "cardnet"): 1}
    assert book.withdraw("C-1", NOW) == 1
    with pytest.raises(NotFoundError, match="no consent of that identifier stands"):
        book.withdraw("C-1", NOW)
    book.add([consent()])
    assert covered(book, "C-1") == [], "the same form does not come back by being added again"


def test_many_are_found_whatever_their_number(book) -> None:
    book.add(consent(f"C-{number}") for number in range(1200))
    wanted = [f"C-{number}" for number in range(0, 2400, 2)]
    assert len(book.covering(wanted, USE, NOW)) == 600


def test_a_commitment_is_a_salted_hash_of_the_canonical_text() -> None:
    salt = bytes(range(16))
    wanted = hashlib.sha256(b"tongzhou/consent/v1" + salt + canonical_json(consent())).digest()
    assert commitment_of(consent(), salt) == wanted


@given(st.sampled_from(Consent.__struct_fields__), st.binary(min_size=16, max_size=16))
def test_every_field_and_the_salt_are_committed_to(field, salt) -> None:
    other = msgspec.structs.replace(consent(), **{field: "x" + getattr(consent(), field)})
    assert commitment_of(other, salt) != commitment_of(consent(), salt)
    assert commitment_of(consent(), salt) != commitment_of(consent(), bytes(16)) or salt == bytes(16)


def test_equal_consents_have_unequal_commitments(tmp_path) -> None:
    books = [ConsentBook(tmp_path / name) for name in ("a", "b")]
    for book in books:
        book.add([consent()])
    first, second = (book.covering(["C-1"], USE, NOW)["C-1"] for book in books)
    assert first.consent == second.consent
    assert first.commitment != second.commitment


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"document": "ab"},
            "c.csv, row 7: document must be the SHA-256 of the signed form, .* got 2 characters",
        ),
        ({"document": "xy" * 32}, "64 hexadecimal digits"),
        ({"valid_until": "2026-11-01"}, "c.csv, row 7: valid_until must be later than valid_from"),
        ({"valid_from": "soon"}, "c.csv, row 7: valid_from must be a time in UTC"),
        ({"identifier": ""}, "c.csv, row 7: identifier is empty or longer than 200 characters; it has 0"),
        ({"purpose": "p" * 201}, "purpose is empty or longer than 200 characters; it has 201"),
        ({"user": "Bank"}, "user must be 1 to 63 small letters"),
        ({"source": ""}, "source must be 1 to 63 small letters"),
    ],
)
def test_terms_that_cannot_be_are_a_sentence_with_their_place(changes, words) -> None:
    with pytest.raises(DataError, match=words):
        check_consent(consent(**changes), "c.csv, row 7")


def test_days_become_times_and_digests_small_letters() -> None:
    checked = check_consent(
        consent(document="AB" * 32, valid_from="2026-11-01", valid_until="2026-12-01"), "c.csv, row 1"
    )
    assert checked == consent()


def test_the_sentence_never_names_the_person() -> None:
    with pytest.raises(DataError) as caught:
        check_consent(consent("secret-person", document=""), "c.csv, row 1")
    assert "secret-person" not in str(caught.value)


def test_nothing_is_kept_if_the_file_is_killed_in_the_middle(book) -> None:
    def broken():
        yield consent("C-1")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        book.add(broken())
    assert book.count() == {}
