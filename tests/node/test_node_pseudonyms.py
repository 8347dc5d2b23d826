"""Keyed pseudonyms: one name for a person in a scope, none that can be guessed without the key."""

import hashlib
import hmac
import os
import stat

import pytest

from tongzhou.errors import StorageError
from tongzhou.node.home import Home
from tongzhou.node.pseudonyms import pseudonym_key, pseudonyms

KEY = bytes(range(32))


@pytest.fixture
def home(tmp_path):
    with Home.create(tmp_path / "bank", "bank", "Bank", "h:1") as opened:
        yield opened


def test_a_person_has_one_name_in_a_scope_and_column():
    first, again, other, missing = pseudonyms(KEY, "s", "id", ["a", "a", "b", None])
    assert first == again != other
    assert missing is None
    assert len(first) == 32
    assert int(first, 16) >= 0


def test_scopes_columns_and_keys_do_not_meet():
    names = {
        pseudonyms(key, scope, column, ["a"])[0]
        for key in (KEY, bytes(32))
        for scope, column in (("s", "id"), ("t", "id"), ("s", "ie"), ("si", "d"), ("", "sid"))
    }
    assert len(names) == 10


def test_a_name_is_an_hmac_of_the_key_alone():
    """By RFC 2104 from the definition: nobody without the key can make it by hashing what may be known."""
    context = b"\0\0\0\x01s\0\0\0\x02id"
    own = hmac.new(KEY, b"tongzhou pseudonym" + context, hashlib.sha256).digest()
    assert pseudonyms(KEY, "s", "id", ["a"]) == [hmac.new(own, b"a", hashlib.sha256).hexdigest()[:32]]
    assert pseudonyms(KEY, "s", "id", ["a"])[0] not in hashlib.sha256(b"a").hexdigest()


def test_the_key_is_made_once_and_stays_in_the_folder(home):
    key = pseudonym_key(home)
    assert len(key) == 32
    assert pseudonym_key(home) == key
    path = home.keys / "pseudonyms.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in home.keys.iterdir() if one.name.startswith(".")] == []


def test_two_institutions_have_two_keys(home, tmp_path):
    with Home.create(tmp_path / "other", "other", "Other", "h:1") as other:
        assert pseudonym_key(home) != pseudonym_key(other)


def test_a_key_made_by_another_process_at_the_same_time_wins(home, monkeypatch):
    """Between the look and the link another one stands there: it is taken, and never replaced."""
    path = home.keys / "pseudonyms.key"
    real = os.link

    def link(source, target):
        path.write_bytes(KEY)
        real(source, target)

    monkeypatch.setattr(os, "link", link)
    assert pseudonym_key(home) == KEY


def test_a_damaged_or_unreadable_key_is_named(home, monkeypatch):
    path = home.keys / "pseudonyms.key"
    path.write_bytes(b"short")
    with pytest.raises(StorageError, match=r"pseudonyms.key is damaged: length; restore it from a backup"):
        pseudonym_key(home)
    path.unlink()
    path.mkdir()
    with pytest.raises(StorageError, match=r"pseudonyms.key cannot be read"):
        pseudonym_key(home)
