"""Cards: what a party says about itself, and every way in which one can be wrong."""

import base64
import json
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from tongzhou.errors import DataError, TongzhouError, VerificationError
from tongzhou.parties import _certificates as certificates
from tongzhou.parties.card import fingerprint, issue_card, read_card
from tongzhou.parties.identity import Identity


@pytest.fixture
def bank(party) -> Identity:
    return party("bank")


@pytest.fixture
def card_bytes(bank, now) -> bytes:
    return issue_card(bank, "bank.example:7443", now)


def signed_by(identity: Identity, **changes: object) -> bytes:
    """A card with `changes`, signed properly: what a hostile party could write."""
    from tongzhou.parties.canonical import canonical_json

    content = json.loads(issue_card(identity, "bank.example:7443", identity._clock()))
    content["card"].update(changes)
    signature = identity.sign(b"tongzhou card v1\n" + canonical_json(content["card"]))
    content["signature"] = base64.b64encode(signature).decode()
    return json.dumps(content).encode()


def test_a_card_says_who_and_where(bank, card_bytes):
    card = read_card(card_bytes)
    assert (card.party_id, card.name, card.endpoint) == ("bank", "机构 bank", "bank.example:7443")
    assert card.public_key_bytes == bank.public_key_bytes
    assert card.ca_certificate == bank.ca_certificate
    assert (card.issued_at, card.version) == ("2026-11-05T12:00:00Z", 1)


def test_a_card_is_readable_text_that_survives_the_mail(card_bytes):
    assert "机构 bank" in card_bytes.decode("utf-8")
    reformatted = json.dumps(json.loads(card_bytes), indent=8, sort_keys=True).replace("\n", "\r\n")
    assert read_card(b"\xef\xbb\xbf" + reformatted.encode()) == read_card(card_bytes)


def test_the_fingerprint_is_ten_groups_and_belongs_to_the_key(bank, party, card_bytes, now):
    text = fingerprint(read_card(card_bytes))
    assert [len(group) for group in text.split(" ")] == [4] * 10
    assert set(text) <= set("0123456789abcdef ")
    moved = read_card(issue_card(bank, "elsewhere.example:1", now + timedelta(days=1)))
    assert fingerprint(moved) == text
    assert fingerprint(read_card(issue_card(party("cardnet"), "x:1", now))) != text


@pytest.mark.parametrize(
    "field", ["party_id", "name", "public_key", "ca_certificate", "endpoint", "issued_at"]
)
def test_a_changed_field_is_noticed(bank, party, now, card_bytes, field):
    content = json.loads(card_bytes)
    other = json.loads(issue_card(party("cardnet"), "cardnet.example:7444", now + timedelta(days=1)))
    content["card"][field] = other["card"][field]
    with pytest.raises(VerificationError, match="was changed after it was signed, or signed by another key"):
        read_card(json.dumps(content).encode())


def test_every_flipped_byte_is_noticed_or_means_the_same(card_bytes):
    truth = read_card(card_bytes)
    for place in range(len(card_bytes)):
        changed = bytearray(card_bytes)
        changed[place] ^= 0x01
        try:
            assert read_card(bytes(changed)) == truth
        except TongzhouError as error:
            assert str(error)


@given(st.binary(max_size=300))
def test_rubbish_is_a_sentence(content):
    with pytest.raises(DataError, match="not a party card"):
        read_card(content)


def test_an_overlong_card_is_not_parsed():
    with pytest.raises(DataError, match="a party card has at most 16384 bytes, got 20000"):
        read_card(b" " * 20_000)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"party_id": "../keys"}, r"party id must be 1 to 63 .* got '../keys'"),
        ({"name": ""}, "the name of an institution must have 1 to 64"),
        ({"endpoint": "nowhere"}, "an endpoint must be host:port"),
        ({"issued_at": "yesterday"}, "issued_at must be a time in UTC"),
        ({"public_key": "AAAA"}, "must hold a public key of 32 bytes in base64"),
        ({"public_key": "*"}, "must hold a public key of 32 bytes in base64"),
        ({"version": 2}, "a party card of version 2; this software reads version 1"),
        ({"version": 2, "more": "fields"}, "a party card of version 2; this software reads version 1"),
        ({"more": "fields"}, "not a party card: .*unknown field `more`"),
        ({"name": 7}, "not a party card: Expected `str`, got `int`"),
    ],
)
def test_a_signed_card_with_impossible_fields_is_refused(bank, changes, sentence):
    with pytest.raises(DataError, match=sentence):
        read_card(signed_by(bank, **changes))


def test_a_missing_field_is_named(card_bytes):
    content = json.loads(card_bytes)
    del content["card"]["endpoint"]
    with pytest.raises(DataError, match="missing required field `endpoint`"):
        read_card(json.dumps(content).encode())


def authority_pem(certificate: x509.Certificate) -> str:
    return certificates.pem(certificate).decode()


def test_an_authority_that_is_no_certificate_is_refused(bank):
    with pytest.raises(VerificationError, match="the certificate authority of bank is not a certificate"):
        read_card(signed_by(bank, ca_certificate="-----BEGIN NOTHING-----"))


def test_an_authority_of_another_key_is_refused(bank, party):
    with pytest.raises(VerificationError, match="belongs to another key than its card"):
        read_card(signed_by(bank, ca_certificate=party("cardnet").ca_certificate))


def test_an_authority_that_names_another_party_is_refused(bank, now):
    certificate = certificates.make_authority(bank._key, "helper", "Helper", now)
    with pytest.raises(VerificationError, match="the certificate authority of bank names another party"):
        read_card(signed_by(bank, ca_certificate=authority_pem(certificate)))


def test_an_authority_signed_by_a_stranger_is_refused(bank, now):
    stranger = Ed25519PrivateKey.generate()
    name = certificates._name("bank", "Bank")
    builder = certificates._builder(name, name, bank._key.public_key(), now, timedelta(days=9))
    certificate = builder.sign(stranger, None)
    with pytest.raises(
        VerificationError, match="the certificate authority of bank is not signed by its own key"
    ):
        read_card(signed_by(bank, ca_certificate=authority_pem(certificate)))


def unconfined(
    bank: Identity,
    now,
    names: list[str] | None,
    *,
    critical: bool = True,
    ca: bool = True,
    length: int | None = 0,
) -> str:
    name = certificates._name("bank", "Bank")
    builder = certificates._builder(name, name, bank._key.public_key(), now, timedelta(days=9))
    builder = builder.add_extension(
        x509.BasicConstraints(ca=ca, path_length=length if ca else None), critical=True
    )
    if names is not None:
        constraints = x509.NameConstraints([x509.DNSName(each) for each in names], None)
        builder = builder.add_extension(constraints, critical=critical)
    return authority_pem(builder.sign(bank._key, None))


@pytest.mark.parametrize(
    "options",
    [
        {"names": None},
        {"names": ["helper"]},
        {"names": ["bank", "helper"]},
        {"names": ["bank"], "critical": False},
        {"names": ["bank"], "ca": False},
        {"names": ["bank"], "length": None},
        {"names": ["bank"], "length": 1},
    ],
)
def test_an_authority_that_could_speak_for_others_is_refused(bank, now, options):
    certificate = unconfined(bank, now, **options)
    with pytest.raises(VerificationError, match="the certificate authority of bank could speak for other"):
        read_card(signed_by(bank, ca_certificate=certificate))


def test_the_same_authority_confined_is_accepted(bank, now):
    certificate = unconfined(bank, now, ["bank"])
    assert read_card(signed_by(bank, ca_certificate=certificate)).party_id == "bank"


@pytest.mark.parametrize("endpoint", ["127.0.0.1:1", "[::1]:7443", "bank.example.cn:65535", "localhost:7443"])
def test_endpoints_that_can_be_dialled(bank, now, endpoint):
    assert read_card(issue_card(bank, endpoint, now)).endpoint == endpoint


@pytest.mark.parametrize(
    "endpoint", ["", "bank", "bank:", "bank:0", "bank:65536", ":7443", "a b:1", "::1:7443", "x:１"]
)
def test_endpoints_that_cannot_be_dialled(bank, now, endpoint):
    with pytest.raises(DataError, match="an endpoint must be host:port with a port from 1 to 65535, got"):
        issue_card(bank, endpoint, now)
