"""The trust store: whom we trust, and what an impostor would try."""

import json
import ssl
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tongzhou.errors import (
    ConflictError,
    DataError,
    NotFoundError,
    PeerError,
    StorageError,
    VerificationError,
)
from tongzhou.parties import _certificates as certificates
from tongzhou.parties.card import fingerprint, issue_card, read_card
from tongzhou.parties.identity import Identity
from tongzhou.parties.trust import TrustStore


@pytest.fixture
def trust(home) -> TrustStore:
    return TrustStore(home / "trust")


@pytest.fixture
def card_of(party, now):
    return lambda party_id, **shift: issue_card(party(party_id), f"{party_id}:7443", now + timedelta(**shift))


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def leaf_der(identity: Identity) -> bytes:
    return der(x509.load_pem_x509_certificates(identity.tls_certificate_path.read_bytes())[0])


def test_a_new_store_is_empty_and_makes_no_folder(trust):
    assert trust.all() == []
    assert not trust.folder.exists()


def test_added_cards_are_found_in_order(trust, card_of):
    for name in ("cardnet", "bank", "helper"):
        trust.add(card_of(name))
    assert [card.party_id for card in trust.all()] == ["bank", "cardnet", "helper"]
    assert trust.get("helper") == read_card(card_of("helper"))


def test_the_fingerprint_from_the_telephone_is_compared(trust, card_of):
    spoken = fingerprint(read_card(card_of("bank")))
    assert trust.add(card_of("bank"), f" {spoken.upper().replace(' ', '-')} ").party_id == "bank"


@pytest.mark.parametrize("said", ["", "0000 " * 10, "all"])
def test_another_fingerprint_is_refused_and_nothing_is_kept(trust, card_of, said):
    with pytest.raises(
        VerificationError, match=r"the card of bank has the fingerprint .* not the one expected"
    ):
        trust.add(card_of("bank"), said)
    assert trust.all() == []


def test_part_of_the_fingerprint_is_not_enough(trust, card_of):
    spoken = fingerprint(read_card(card_of("bank")))
    with pytest.raises(VerificationError, match="not the one expected"):
        trust.add(card_of("bank"), spoken[:-5])


def test_an_unknown_party_is_a_sentence_with_a_near_name(trust, card_of):
    trust.add(card_of("cardnet"))
    with pytest.raises(NotFoundError, match=r"no party cardnat is trusted here; did you mean cardnet\?"):
        trust.get("cardnat")
    with pytest.raises(NotFoundError, match="no party zzz is trusted here; add its card first"):
        trust.get("zzz")


@pytest.mark.parametrize("name", ["../bank", "bank/../../x", "", "BANK"])
def test_an_id_is_never_a_path(trust, name):
    with pytest.raises(DataError, match="party id must be"):
        trust.get(name)


def test_a_removed_party_is_unknown(trust, card_of):
    trust.add(card_of("bank"))
    trust.remove("bank")
    with pytest.raises(NotFoundError, match="no party bank is trusted"):
        trust.get("bank")
    with pytest.raises(NotFoundError, match="no party bank is trusted"):
        trust.remove("bank")


def test_a_newer_card_with_the_same_key_replaces(trust, party, card_of, now):
    trust.add(card_of("bank"))
    trust.add(issue_card(party("bank"), "moved:1", now + timedelta(days=1)))
    assert trust.get("bank").endpoint == "moved:1"


def test_the_same_card_again_changes_nothing(trust, card_of):
    trust.add(card_of("bank"))
    trust.add(card_of("bank"))
    assert len(trust.all()) == 1


def test_an_older_card_needs_replace(trust, card_of):
    trust.add(card_of("bank"))
    older = card_of("bank", days=-1)
    with pytest.raises(
        ConflictError, match=r"is of 2026-11-04T.*, older than the trusted one of 2026-11-05T"
    ):
        trust.add(older)
    assert trust.add(older, replace=True) == trust.get("bank")


def test_another_key_needs_replace(trust, card_of, tmp_path, now):
    trust.add(card_of("bank"))
    impostor = Identity.create(tmp_path / "x", "bank", "Bank", clock=lambda: now)
    card = issue_card(impostor, "evil:1", now + timedelta(days=1))
    with pytest.raises(
        ConflictError, match=r"bank is trusted with another key .*add the card again with replace"
    ):
        trust.add(card)
    assert trust.get("bank").endpoint == "bank:7443"
    trust.add(card, replace=True)
    assert trust.get("bank").public_key_bytes == impostor.public_key_bytes


def test_a_damaged_file_is_named(trust, card_of):
    trust.add(card_of("bank"))
    path = trust.folder / "bank.card.json"
    content = json.loads(path.read_text("utf-8"))
    content["card"]["endpoint"] = "evil:1"
    path.write_text(json.dumps(content))
    with pytest.raises(StorageError, match=r"bank\.card\.json is damaged: the card of bank was changed"):
        trust.get("bank")
    with pytest.raises(StorageError, match="is damaged"):
        trust.all()


def test_a_card_under_anothers_name_is_noticed(trust, card_of):
    trust.add(card_of("bank"))
    (trust.folder / "bank.card.json").rename(trust.folder / "helper.card.json")
    with pytest.raises(StorageError, match=r"helper\.card\.json holds the card of another party, bank"):
        trust.get("helper")


def test_leftovers_and_strangers_in_the_folder_are_passed_over(trust, card_of):
    trust.add(card_of("bank"))
    (trust.folder / ".bank.card.json.0011").write_text("half")
    (trust.folder / "README").write_text("notes")
    (trust.folder / "Bank Copy.card.json").write_bytes(card_of("bank"))
    assert [card.party_id for card in trust.all()] == ["bank"]


def test_another_process_sees_a_new_card_at_once(trust, card_of):
    other = TrustStore(trust.folder)
    trust.add(card_of("bank"))
    assert other.get("bank").party_id == "bank"


def test_a_card_removed_while_all_are_read_is_no_damage(trust, card_of, monkeypatch):
    for name in ("bank", "cardnet"):
        trust.add(card_of(name))
    listed = trust._ids()
    trust.remove("cardnet")
    monkeypatch.setattr(trust, "_ids", lambda: listed)
    assert [card.party_id for card in trust.all()] == ["bank"]


def test_a_card_that_cannot_be_written_leaves_the_old_one(trust, party, card_of, now, monkeypatch):
    from tongzhou.parties import _files as files

    def full(_):
        raise OSError(28, "No space left on device")

    trust.add(card_of("bank"))
    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", full)
        with pytest.raises(StorageError, match=r"bank\.card\.json cannot be read or written: No space left"):
            trust.add(issue_card(party("bank"), "moved:1", now + timedelta(days=1)))
    assert trust.get("bank").endpoint == "bank:7443"
    assert [path.name for path in trust.folder.iterdir()] == ["bank.card.json"]


def test_a_tls_certificate_identifies_its_party(trust, party, card_of):
    trust.add(card_of("bank"))
    assert trust.identify(leaf_der(party("bank"))).party_id == "bank"


def test_an_untrusted_certificate_is_a_sentence(trust, party, card_of):
    trust.add(card_of("bank"))
    with pytest.raises(PeerError, match="the peer calls itself helper, which is not trusted here"):
        trust.identify(leaf_der(party("helper")))


def test_a_certificate_of_anothers_making_is_refused(trust, card_of, tmp_path, now):
    trust.add(card_of("bank"))
    impostor = Identity.create(tmp_path / "x", "bank", "Bank", clock=lambda: now)
    with pytest.raises(PeerError, match="calls itself bank, but its certificate is not signed by the key on"):
        trust.identify(leaf_der(impostor))


def test_bytes_that_are_no_certificate_are_a_sentence(trust):
    with pytest.raises(PeerError, match="the peer's certificate names no party"):
        trust.identify(b"rubbish")


def test_an_authority_itself_names_no_party(trust, party, card_of):
    trust.add(card_of("bank"))
    authority = x509.load_pem_x509_certificate(party("bank").ca_certificate.encode())
    with pytest.raises(PeerError, match="names no party"):
        trust.identify(der(authority))


# TLS itself must hold the confinement: these tests run the handshake as the wire room does.


def context(side: int, folder_file, authorities: str) -> ssl.SSLContext:
    made = ssl.SSLContext(side)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.verify_mode = ssl.CERT_REQUIRED
    made.verify_flags |= ssl.VERIFY_X509_STRICT
    made.load_cert_chain(folder_file)
    made.load_verify_locations(cadata=authorities)
    return made


def handshake(client_file, server_file, authorities: str, server_name: str) -> tuple[bytes, bytes]:
    """Certificates that each side saw, after a handshake in memory."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context(ssl.PROTOCOL_TLS_CLIENT, client_file, authorities).wrap_bio(
        to_client, to_server, server_hostname=server_name
    )
    server = context(ssl.PROTOCOL_TLS_SERVER, server_file, authorities).wrap_bio(
        to_server, to_client, server_side=True
    )
    waiting = [client, server]
    for _ in range(10):
        for side in list(waiting):
            try:
                side.do_handshake()
                waiting.remove(side)
            except ssl.SSLWantReadError:
                continue
    assert not waiting
    return server.getpeercert(binary_form=True), client.getpeercert(binary_form=True)


@pytest.fixture
def today(tmp_path):
    """Identities valid now: OpenSSL reads the machine's clock."""
    return lambda party_id: Identity.create(tmp_path / party_id, party_id, "Name")


def test_two_trusted_parties_shake_hands(today, trust, now):
    bank, cardnet = today("bank"), today("cardnet")
    for each in (bank, cardnet):
        trust.add(issue_card(each, "x:1", now))
    authorities = "".join(card.ca_certificate for card in trust.all())
    seen = handshake(bank.tls_certificate_path, cardnet.tls_certificate_path, authorities, "cardnet")
    assert [trust.identify(each).party_id for each in seen] == ["bank", "cardnet"]


def test_a_trusted_party_cannot_speak_for_another(today, tmp_path):
    """A certificate for cardnet, signed by the helper's trusted authority, fails in TLS and in the store."""
    bank, helper = today("bank"), today("helper")
    authority = x509.load_pem_x509_certificate(helper.ca_certificate.encode())
    named = certificates._name("cardnet", "Card network")
    key = Ed25519PrivateKey.generate()
    builder = certificates._builder(
        named,
        authority.subject,
        key.public_key(),
        authority.not_valid_before_utc + timedelta(days=2),
        timedelta(days=9),
    )
    alternative = x509.SubjectAlternativeName([x509.DNSName("cardnet")])
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key())
    forged = (
        builder.add_extension(alternative, critical=False)
        .add_extension(issuer, critical=False)
        .sign(helper._key, None)
    )
    file = tmp_path / "forged.pem"
    file.write_bytes(certificates.private_pem(key) + certificates.pem(forged) + certificates.pem(authority))
    authorities = bank.ca_certificate + helper.ca_certificate
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree violation"):
        handshake(bank.tls_certificate_path, file, authorities, "cardnet")


def test_the_store_also_refuses_a_certificate_signed_by_another_trusted_party(trust, party, card_of, now):
    trust.add(card_of("cardnet"))
    trust.add(card_of("helper"))
    helper = party("helper")
    authority = certificates.make_authority(helper._key, "cardnet", "Card network", now)
    _, forged = certificates.make_leaf(helper._key, authority, now)
    with pytest.raises(PeerError, match="calls itself cardnet, but its certificate is not signed by the key"):
        trust.identify(der(forged))
