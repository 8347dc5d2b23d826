"""Keys of an institution: made once, whole or not at all, seen by their owner only."""

import stat
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from tongzhou.errors import ConflictError, DataError, NotFoundError, StorageError
from tongzhou.parties import _certificates as certificates
from tongzhou.parties import _files as files
from tongzhou.parties.identity import Identity
from tongzhou.parties.names import check_party_id


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def create(folder: Path, now) -> Identity:
    return Identity.create(folder, "bank", "示例银行 Example Bank", clock=lambda: now)


def leaf_of(identity: Identity) -> x509.Certificate:
    return x509.load_pem_x509_certificates(identity.tls_certificate_path.read_bytes())[0]


def test_an_identity_is_the_same_after_loading(home, now):
    made = create(home, now)
    loaded = Identity.load(home, clock=lambda: now)
    assert (loaded.party_id, loaded.name) == ("bank", "示例银行 Example Bank")
    assert loaded.public_key_bytes == made.public_key_bytes
    assert len(loaded.public_key_bytes) == 32
    Ed25519PublicKey.from_public_bytes(made.public_key_bytes).verify(loaded.sign(b"text"), b"text")


def test_key_files_are_for_their_owner_only(home, now):
    identity = create(home, now)
    assert mode_of(home) == 0o700
    assert sorted(path.name for path in home.iterdir()) == ["identity.pem", "tls.pem"]
    assert {mode_of(path) for path in home.iterdir()} == {0o600}
    assert identity.tls_key_path == home / "tls.pem"


def test_key_files_are_private_whatever_the_umask_says(home, now):
    import os

    before = os.umask(0)
    try:
        create(home, now)
    finally:
        os.umask(before)
    assert {mode_of(path) for path in home.iterdir()} == {0o600}


@pytest.mark.parametrize("name", ["identity.pem", "tls.pem"])
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666, 0o700 | 0o001])
def test_a_key_file_open_to_others_is_refused(home, now, name, mode):
    create(home, now)
    (home / name).chmod(mode)
    with pytest.raises(StorageError, match=rf"{name} holds a key and others may open it \(mode 0{mode:o}\)"):
        Identity.load(home, clock=lambda: now)


def test_a_second_creation_is_refused_and_changes_nothing(home, now):
    create(home, now)
    before = {path.name: path.read_bytes() for path in home.iterdir()}
    with pytest.raises(ConflictError, match="holds an identity already; a key is never overwritten"):
        Identity.create(home, "other", "Other", clock=lambda: now)
    assert {path.name: path.read_bytes() for path in home.iterdir()} == before


def test_loading_where_nothing_is_says_so(home, now):
    with pytest.raises(NotFoundError, match=r"home holds no identity \(there is no identity.pem\)"):
        Identity.load(home, clock=lambda: now)


def test_printing_shows_no_key(home, now):
    identity = create(home, now)
    assert repr(identity) == "Identity(party_id='bank', name='示例银行 Example Bank', key=****)"
    assert "PRIVATE" not in str(vars(identity)["tls_key_path"])


@pytest.mark.parametrize(
    "party_id",
    ["", "Bank", "1bank", "-bank", "bank-", "a--b", "a.b", "a_b", "a/b", "../x", "银行", "a" * 64, "a\n"],
)
def test_a_party_id_that_cannot_name_a_party_is_refused(home, now, party_id):
    with pytest.raises(DataError, match="party id must be 1 to 63 small letters, digits and single hyphens"):
        Identity.create(home, party_id, "Bank", clock=lambda: now)
    assert not home.exists()


@given(st.from_regex(r"[a-z][a-z0-9]{0,9}(-[a-z0-9]{1,9}){0,4}", fullmatch=True))
def test_every_allowed_party_id_is_one_dns_label(party_id):
    assert check_party_id(party_id) == party_id
    assert x509.DNSName(party_id).value == party_id


@pytest.mark.parametrize("name", ["", " ", "a\tb", "a\n", " Bank", "x" * 65])
def test_a_name_that_no_certificate_can_hold_is_refused(home, now, name):
    with pytest.raises(DataError, match="must have 1 to 64 printable characters and no outer spaces"):
        Identity.create(home, "bank", name, clock=lambda: now)


def test_the_longest_name_fits_a_certificate(home, now):
    assert Identity.create(home, "bank", "行" * 64, clock=lambda: now).name == "行" * 64


class Crash(BaseException):
    """A process that stops here."""


@pytest.mark.parametrize("stop", ["link", "fsync", "write"])
def test_an_interrupted_creation_leaves_no_identity_and_can_be_repeated(home, now, monkeypatch, stop):
    def crash(*_):
        raise Crash

    with monkeypatch.context() as patch:
        if stop == "write":
            patch.setattr(files.os, "fdopen", crash)
        else:
            patch.setattr(files.os, stop, crash)
        with pytest.raises(Crash):
            create(home, now)
    assert not (home / "identity.pem").exists()
    assert create(home, now).party_id == "bank"


def test_a_creation_interrupted_after_the_key_is_completed_by_loading(home, now, monkeypatch):
    def crash(*_):
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(certificates, "make_leaf", crash)
        with pytest.raises(Crash):
            create(home, now)
    assert [path.name for path in home.iterdir()] == ["identity.pem"]
    identity = Identity.load(home, clock=lambda: now)
    assert leaf_of(identity).public_key() is not None


def test_of_many_creations_at_once_one_wins_and_keeps_its_key(home, now):
    outcomes: list[object] = []

    def make(number: int) -> None:
        try:
            identity = Identity.create(home, f"bank-{number}", "Bank", clock=lambda: now)
            outcomes.append((identity.party_id, identity.public_key_bytes))
        except ConflictError:
            outcomes.append("refused")

    threads = [threading.Thread(target=make, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = Identity.load(home, clock=lambda: now)
    assert outcomes.count("refused") == 5
    assert (kept.party_id, kept.public_key_bytes) in outcomes


def test_a_process_killed_while_creating_leaves_nothing_or_an_identity(tmp_path):
    """The child makes identities one after another until it is killed without warning."""
    script = (
        "import sys; from pathlib import Path; from tongzhou.parties.identity import Identity\n"
        "for number in range(100_000):\n"
        "    Identity.create(Path(sys.argv[1]) / str(number), 'bank', 'Bank')\n"
        "    print(number, flush=True)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    with child:
        for _ in range(5):
            child.stdout.readline()
        child.kill()
        child.stdout.read()
    for folder in tmp_path.iterdir():
        try:
            assert Identity.load(folder).party_id == "bank"
        except NotFoundError:
            assert Identity.create(folder, "bank", "Bank").party_id == "bank"


def test_a_leftover_of_a_killed_creation_does_not_disturb(home, now):
    home.mkdir()
    (home / ".identity.pem.0123456789ab").write_bytes(b"half a key")
    assert create(home, now).party_id == "bank"


def test_a_full_disk_is_a_sentence_and_leaves_no_identity(home, now, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", full)
        with pytest.raises(StorageError, match=r"identity\.pem cannot be read or written: No space left"):
            create(home, now)
    assert list(home.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path, now):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be read or written: Not a directory"):
        create(tmp_path / "file" / "home", now)


@pytest.mark.parametrize("cut", [0, 10, 100, 200, 400])
def test_a_shortened_identity_is_a_sentence_without_its_content(home, now, cut):
    create(home, now)
    path = home / "identity.pem"
    content = path.read_bytes()
    path.write_bytes(content[:cut])
    with pytest.raises(StorageError, match="is damaged: it must hold an Ed25519 key") as caught:
        Identity.load(home, clock=lambda: now)
    assert "PRIVATE" not in str(caught.value)


def test_a_key_with_the_authority_of_another_is_damage(tmp_path, now):
    create(tmp_path / "a", now)
    create(tmp_path / "b", now)
    path = tmp_path / "a" / "identity.pem"
    marker = b"-----BEGIN CERTIFICATE-----"
    key = path.read_bytes().partition(marker)[0]
    other = (tmp_path / "b" / "identity.pem").read_bytes().partition(marker)
    path.write_bytes(key + other[1] + other[2])
    with pytest.raises(StorageError, match="is damaged"):
        Identity.load(tmp_path / "a", clock=lambda: now)


def test_a_key_of_another_kind_is_damage(home, now):
    create(home, now)
    path = home / "identity.pem"
    certificate = path.read_bytes().partition(b"-----BEGIN CERTIFICATE-----")
    foreign = (home / "tls.pem").read_bytes().partition(b"-----BEGIN CERTIFICATE-----")[0]
    path.write_bytes(foreign + certificate[1] + certificate[2])
    with pytest.raises(StorageError, match="is damaged"):
        Identity.load(home, clock=lambda: now)


def test_an_overlong_file_is_not_read(home, now):
    create(home, now)
    with (home / "identity.pem").open("ab") as file:
        file.write(b"\n" * 70_000)
    with pytest.raises(StorageError, match="has more than the 65536 bytes allowed here"):
        Identity.load(home, clock=lambda: now)


def test_the_tls_certificate_is_kept_while_it_is_good(home, now):
    identity = create(home, now)
    before = identity.tls_certificate_path.read_bytes()
    assert identity.ensure_tls(now + timedelta(days=334)) is False
    Identity.load(home, clock=lambda: now + timedelta(days=300))
    assert identity.tls_certificate_path.read_bytes() == before


def test_the_tls_certificate_is_renewed_a_month_before_its_end(home, now):
    identity = create(home, now)
    old = leaf_of(identity)
    later = now + timedelta(days=336)
    assert identity.ensure_tls(later) is True
    new = leaf_of(identity)
    assert new.public_key() != old.public_key()
    assert new.not_valid_after_utc == later + timedelta(days=365)
    assert mode_of(identity.tls_key_path) == 0o600


def test_loading_renews_what_is_due(home, now):
    create(home, now)
    identity = Identity.load(home, clock=lambda: now + timedelta(days=400))
    assert leaf_of(identity).not_valid_before_utc > now


def test_a_clock_set_back_before_the_certificate_makes_a_new_one(home, now):
    identity = create(home, now)
    assert identity.ensure_tls(now - timedelta(days=2)) is True


@pytest.mark.parametrize("content", [b"", b"rubbish", b"-----BEGIN PRIVATE KEY-----\nAAAA\n"])
def test_a_damaged_tls_file_is_made_again(home, now, content):
    identity = create(home, now)
    identity.tls_key_path.write_bytes(content)
    assert Identity.load(home, clock=lambda: now).ensure_tls(now) is False
    assert leaf_of(identity).not_valid_after_utc > now


def test_a_tls_file_of_another_identity_is_made_again(tmp_path, now):
    one = create(tmp_path / "a", now)
    other = Identity.create(tmp_path / "b", "cardnet", "Card network", clock=lambda: now)
    one.tls_key_path.write_bytes(other.tls_key_path.read_bytes())
    assert one.ensure_tls(now) is True
    assert certificates.subject_id(leaf_of(one)) == "bank"


def test_the_leaf_never_outlives_its_authority(now):
    key = Ed25519PrivateKey.generate()
    authority = certificates.make_authority(key, "bank", "Bank", now)
    late = authority.not_valid_after_utc - timedelta(days=5)
    _, leaf = certificates.make_leaf(key, authority, late)
    assert leaf.not_valid_after_utc == authority.not_valid_after_utc


def test_the_files_are_readable_by_any_pem_tool(home, now):
    identity = create(home, now)
    key = serialization.load_pem_private_key((home / "identity.pem").read_bytes(), password=None)
    assert isinstance(key, Ed25519PrivateKey)
    chain = x509.load_pem_x509_certificates(identity.tls_certificate_path.read_bytes())
    assert len(chain) == 2
    chain[0].verify_directly_issued_by(chain[1])
    names = chain[0].extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.value.get_values_for_type(x509.DNSName) == ["bank"]
