"""Digests of many texts are AES-CMAC, text by text."""

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC
from hypothesis import given, settings
from hypothesis import strategies as st
from secure_worlds import chi_square

from tongzhou.secure import text_digests
from tongzhou.secure.text_digests import digest_texts

# RFC 4493, section 4: key and message; the texts here are its prefixes that are valid UTF-8.
KEY = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
EMPTY = "bb1d6929e95937287fa37d129b756746"


def one(text: str, key: bytes) -> bytes:
    mac = CMAC(AES(key))
    mac.update(text.encode())
    return mac.finalize()


def test_the_published_digest_of_the_empty_text() -> None:
    assert digest_texts([""], KEY).tobytes().hex() == EMPTY


@settings(deadline=None)
@given(st.lists(st.text(max_size=40), max_size=30), st.sampled_from([16, 24, 32]))
def test_each_text_has_its_cmac(texts: list[str], size: int) -> None:
    key = bytes(range(size))
    found = digest_texts(texts, key)
    assert found.shape == (len(texts), 2)
    assert [row.tobytes() for row in found] == [one(text, key) for text in texts]


@pytest.mark.parametrize("length", [0, 1, 15, 16, 17, 31, 32, 33, 48, 1000])
def test_every_number_of_blocks(length: int) -> None:
    texts = ["x" * length, "y" * length]
    assert digest_texts(texts, KEY).tobytes() == one(texts[0], KEY) + one(texts[1], KEY)


def test_equal_lengths_in_any_order_and_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_digests, "_PIECE", 7)
    texts = [f"{'a' * (place % 3)}{place:04}" for place in range(100)] + [
        f"{place:05}" for place in range(40)
    ]
    assert digest_texts(texts, KEY).tobytes() == b"".join(one(text, KEY) for text in texts)


def test_chinese_names_and_what_looks_alike_differ() -> None:
    texts = ["同舟", "同舟 ", "舟同", "a\x00", "a", "a\x80"]
    assert len({row.tobytes() for row in digest_texts(texts, KEY)}) == 6


def test_digests_look_uniform() -> None:
    found = digest_texts([f"TW-{place:07}" for place in range(20_000)], KEY)
    assert abs(chi_square(found.view(np.uint8).reshape(-1))) < 6
