"""Signed documents: what is accepted is exactly what was signed, as what it was signed."""

import base64
import json

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tongzhou.errors import VerificationError
from tongzhou.parties.canonical import base64url, canonical_json, from_base64url
from tongzhou.parties.documents import read_header, sign_document, verify_document


class Inner(msgspec.Struct):
    step: str
    size: int = 0


class Note(msgspec.Struct):
    text: str
    number: float = 0.0
    parts: list[Inner] = []


class NewerInner(Inner):
    more: str = "yes"


class NewerNote(Note):
    condition: str = "only on Sundays"


@pytest.fixture
def bank(party):
    return party("bank")


@pytest.fixture
def token(bank):
    return sign_document(bank, "note", Note("贷款", 0.5, [Inner("match", 3)]))


def forge(bank, header: object, payload: bytes) -> str:
    """A token that is properly signed whatever it says."""
    head = header if isinstance(header, bytes) else canonical_json(header)
    signed = f"{base64url(head)}.{base64url(payload)}"
    return f"{signed}.{base64url(bank.sign(signed.encode()))}"


GOOD = {"alg": "Ed25519", "kid": "bank", "typ": "tongzhou+note"}
BODY = canonical_json(Note("x"))


def test_a_document_returns_its_body(bank, token):
    body = verify_document(token, "note", Note, bank.public_key_bytes, signer="bank")
    assert body == Note("贷款", 0.5, [Inner("match", 3)])


def test_a_document_is_a_compact_jws_that_anyone_can_take_apart(bank, token):
    header, payload, signature = token.split(".")
    pad = "=="
    assert json.loads(base64.urlsafe_b64decode(header + pad)) == GOOD
    assert json.loads(base64.urlsafe_b64decode(payload + pad))["text"] == "贷款"
    assert len(base64.urlsafe_b64decode(signature + pad)) == 64
    assert read_header(token).kind == "note"


def test_signing_twice_gives_the_same_document(bank, token):
    assert sign_document(bank, "note", Note("贷款", 0.5, [Inner("match", 3)])) == token


def test_the_rfc_8037_key_signs_as_the_rfc_says():
    """RFC 8037, appendix A.4: Ed25519 over the signing input of a compact JWS."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.from_private_bytes(from_base64url("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"))
    signed = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
    expected = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    assert base64url(key.sign(signed.encode())) == expected


def test_a_document_of_another_kind_is_refused(bank, token):
    with pytest.raises(VerificationError, match=r"must be of kind grant, got tongzhou\+note"):
        verify_document(token, "grant", Note, bank.public_key_bytes)


def test_another_signer_is_refused(bank, token):
    with pytest.raises(VerificationError, match="the note must be signed by cardnet, got bank"):
        verify_document(token, "note", Note, bank.public_key_bytes, signer="cardnet")


def test_another_key_is_refused(party, token):
    with pytest.raises(VerificationError, match="the note was altered, or is not signed by bank"):
        verify_document(token, "note", Note, party("cardnet").public_key_bytes)


def test_every_changed_character_is_noticed(bank, token):
    for place, character in enumerate(token):
        for other in ("A", "B", ".", "=", "+"):
            if other == character:
                continue
            changed = token[:place] + other + token[place + 1 :]
            with pytest.raises(VerificationError):
                verify_document(changed, "note", Note, bank.public_key_bytes)


def test_every_cut_is_noticed(bank, token):
    for end in range(len(token)):
        with pytest.raises(VerificationError):
            verify_document(token[:end], "note", Note, bank.public_key_bytes)


def test_an_altered_payload_is_refused(bank, token):
    header, _, signature = token.split(".")
    changed = f"{header}.{base64url(canonical_json(Note('other')))}.{signature}"
    with pytest.raises(VerificationError, match="the note was altered"):
        verify_document(changed, "note", Note, bank.public_key_bytes)


@pytest.mark.parametrize("algorithm", ["none", "None", "HS256", "EdDSA", "ES256", ""])
def test_another_algorithm_is_refused(bank, algorithm):
    with pytest.raises(VerificationError, match=f"must be signed with Ed25519, got {algorithm}"):
        verify_document(forge(bank, GOOD | {"alg": algorithm}, BODY), "note", Note, bank.public_key_bytes)


def test_a_public_key_used_as_a_shared_secret_is_refused(bank):
    """The old confusion attack: HS256 keyed with the public key."""
    import hashlib
    import hmac

    signed = f"{base64url(canonical_json(GOOD | {'alg': 'HS256'}))}.{base64url(BODY)}"
    mac = hmac.new(bank.public_key_bytes, signed.encode(), hashlib.sha256).digest()
    with pytest.raises(VerificationError, match="got HS256"):
        verify_document(f"{signed}.{base64url(mac)}", "note", Note, bank.public_key_bytes)


def test_no_signature_is_refused(bank, token):
    with pytest.raises(VerificationError, match="the note was altered"):
        verify_document(token.rpartition(".")[0] + ".", "note", Note, bank.public_key_bytes)


@pytest.mark.parametrize(
    "header",
    [
        GOOD | {"jwk": {}},
        GOOD | {"crit": ["b64"], "b64": False},
        {"alg": "Ed25519", "kid": "bank"},
        GOOD | {"kid": 7},
        [],
        b"rubbish",
        b"\xff\xfe",
    ],
)
def test_a_header_holds_exactly_three_fields(bank, header):
    with pytest.raises(VerificationError, match="its header must hold exactly alg, kid and typ"):
        verify_document(forge(bank, header, BODY), "note", Note, bank.public_key_bytes)


@pytest.mark.parametrize(
    "header",
    [
        b'{"typ":"tongzhou+note","kid":"bank","alg":"Ed25519"}',
        b'{"alg":"Ed25519", "kid":"bank","typ":"tongzhou+note"}',
        b'{"alg":"none","alg":"Ed25519","kid":"bank","typ":"tongzhou+note"}',
    ],
)
def test_a_header_has_one_spelling(bank, header):
    with pytest.raises(VerificationError, match="the header of the document is not written in its canonical"):
        verify_document(forge(bank, header, BODY), "note", Note, bank.public_key_bytes)


@pytest.mark.parametrize(
    "payload",
    [
        b'{"text":"x","number":0.0,"parts":[]}',
        b'{"number":0.0,"parts":[],"text":"x" }',
        b'{"number":0.0,"parts":[],"text":"y","text":"x"}',
        b'{"number":0.0,"parts":[],"text":"\\u0078"}',
        b'{"number":0.00,"parts":[],"text":"x"}',
    ],
)
def test_a_body_has_one_spelling(bank, payload):
    with pytest.raises(VerificationError, match="the body of the note is not written in its canonical form"):
        verify_document(forge(bank, GOOD, payload), "note", Note, bank.public_key_bytes)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (NewerNote("x"), "condition"),
        (Note("x", parts=[Inner("a"), NewerInner("b")]), "parts.1.more"),
    ],
)
def test_a_field_that_the_body_does_not_know_is_refused(bank, body, field):
    with pytest.raises(VerificationError, match=f"has a field that this software does not know: {field}"):
        verify_document(sign_document(bank, "note", body), "note", Note, bank.public_key_bytes)


def test_a_body_of_an_older_version_is_read_with_defaults(bank):
    old = sign_document(bank, "note", Note("x"))
    newer = verify_document(old, "note", NewerNote, bank.public_key_bytes)
    assert newer.condition == "only on Sundays"


@pytest.mark.parametrize(
    "payload", [b"", b"[]", b"{}", b'{"text":7}', b"\xff", b"[" * 5000, b'{"text":"x","number":"1"}']
)
def test_a_malformed_body_is_a_sentence(bank, payload):
    with pytest.raises(VerificationError, match="the body of the note is malformed"):
        verify_document(forge(bank, GOOD, payload), "note", Note, bank.public_key_bytes)


@pytest.mark.parametrize("token", ["", "a", "a.b", "a.b.c.d", "é.b.c", "貸.b.c"])
def test_what_is_no_document_is_a_sentence(bank, token):
    with pytest.raises(VerificationError, match="not a signed document: it must be three base64url texts"):
        verify_document(token, "note", Note, bank.public_key_bytes)


def test_an_overlong_document_is_not_parsed(bank):
    with pytest.raises(VerificationError, match="a document has at most 1048576 characters, got 1048577"):
        verify_document("a" * 1_048_577, "note", Note, bank.public_key_bytes)


def test_a_key_of_the_wrong_length_verifies_nothing(token):
    with pytest.raises(VerificationError, match="the note was altered, or is not signed by bank"):
        verify_document(token, "note", Note, b"short")


def test_what_a_stranger_wrote_is_shown_without_control_characters(bank):
    token = forge(bank, GOOD | {"typ": "\x1b[31m" + "x" * 500}, BODY)
    with pytest.raises(VerificationError) as caught:
        verify_document(token, "note", Note, bank.public_key_bytes)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 160


@pytest.mark.parametrize("kind", ["", "Grant", "a+b", "a.b", "x" * 33])
def test_a_kind_that_no_header_can_hold_is_the_callers_mistake(bank, kind):
    with pytest.raises(ValueError, match="a kind of document must be small letters"):
        sign_document(bank, kind, Note("x"))


bodies = st.builds(
    Note,
    text=st.text(max_size=30),
    number=st.floats(allow_nan=False, allow_infinity=False),
    parts=st.lists(
        st.builds(Inner, step=st.text(max_size=5), size=st.integers(-(2**63), 2**63 - 1)), max_size=3
    ),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(bodies)
def test_any_body_comes_back_unchanged(bank, body):
    assert verify_document(sign_document(bank, "note", body), "note", Note, bank.public_key_bytes) == body


@given(st.text(max_size=60))
def test_any_text_is_refused_with_a_sentence(text):
    with pytest.raises(VerificationError):
        read_header(text)


@given(st.binary(max_size=40))
def test_base64url_comes_back_unchanged(data):
    assert from_base64url(base64url(data)) == data


@pytest.mark.parametrize("text", ["A", "AA==", "AB", "A+", "A/", "AA\n", "A A", "====", "AAB"])
def test_a_second_spelling_of_base64url_is_refused(text):
    with pytest.raises(ValueError, match=r"base64url|canonical"):
        from_base64url(text)
