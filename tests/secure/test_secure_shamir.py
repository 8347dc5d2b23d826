"""Shares give the secret back from any threshold of them; fewer fit every secret alike."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from secure_worlds import chi_square

from tongzhou.errors import ProtocolError
from tongzhou.secure import shamir
from tongzhou.secure.shamir import PRIME, SHARE_BYTES, at_zero, combine, split

SECRETS = st.binary(min_size=32, max_size=32)


def is_prime(number: int, witnesses: int = 40) -> bool:
    """Miller and Rabin, with the first primes as witnesses."""
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for witness in [n for n in range(2, 180) if all(n % d for d in range(2, n))][:witnesses]:
        power = pow(witness, odd, number)
        if power not in (1, number - 1):
            for _ in range(twos - 1):
                power = power * power % number
                if power == number - 1:
                    break
            else:
                return False
    return True


def test_the_field_is_prime_and_the_first_above_all_secrets() -> None:
    assert PRIME == 2**256 + 297
    assert is_prime(PRIME)
    assert not any(is_prime(2**256 + offset, 4) for offset in range(1, 297, 2))


@given(SECRETS, st.integers(1, 7), st.data())
def test_any_threshold_of_shares_gives_the_secret(secret: bytes, threshold: int, data: st.DataObject) -> None:
    places = data.draw(st.lists(st.integers(1, 500), min_size=threshold, max_size=9, unique=True))
    shares = dict(zip(places, split(secret, threshold, places), strict=True))
    assert {len(share) for share in shares.values()} == {SHARE_BYTES}
    chosen = data.draw(st.permutations(places))[:threshold]
    assert combine(at_zero(chosen), [shares[place] for place in chosen]) == secret


def test_every_subset_of_five() -> None:
    secret = bytes(range(32))
    shares = split(secret, 3, [1, 2, 3, 4, 5])
    for chosen in combinations(range(5), 3):
        places = [place + 1 for place in chosen]
        assert combine(at_zero(places), [shares[place] for place in chosen]) == secret


@pytest.mark.parametrize("secret", [bytes(32), b"\xff" * 32])
def test_the_edges_of_the_range(secret: bytes) -> None:
    shares = split(secret, 2, [7, 200])
    assert combine(at_zero([7, 200]), shares) == secret


def test_shares_below_the_threshold_fit_every_secret() -> None:
    """For each other secret there is a polynomial through the same shares: a third one makes up the rest."""
    shares = split(b"a" * 32, 3, [1, 2, 3])
    for wanted in (b"b" * 32, bytes(32)):
        weights = at_zero([1, 2, 9])
        known = sum(w * int.from_bytes(s, "big") for w, s in zip(weights, shares[:2], strict=False))
        missing = (int.from_bytes(wanted, "big") - known) * pow(weights[2], -1, PRIME) % PRIME
        assert combine(weights, [*shares[:2], missing.to_bytes(33, "big")]) == wanted


def test_shares_of_a_constant_secret_are_uniform() -> None:
    shares = [split(bytes(32), 2, [1, 2])[0][1:] for _ in range(2000)]
    assert abs(chi_square(np.frombuffer(b"".join(shares), dtype=np.uint8))) < 6


def test_a_known_polynomial(monkeypatch: pytest.MonkeyPatch) -> None:
    """1234 + 166 x + 94 x², the textbook's example of Shamir's scheme, at 1 to 6."""
    coefficients = iter([94, 166])
    monkeypatch.setattr(shamir.secrets, "randbelow", lambda _: next(coefficients))
    shares = split((1234).to_bytes(32, "big"), 3, [1, 2, 3, 4, 5, 6])
    assert [int.from_bytes(share, "big") for share in shares] == [1494, 1942, 2578, 3402, 4414, 5614]


@pytest.mark.parametrize(
    ("share", "sentence"),
    [
        ((PRIME).to_bytes(33, "big"), "not a number of the field"),
        (b"\xff" * 33, "not a number of the field"),
        (b"\x01" * 32, "not a number of the field"),
    ],
)
def test_what_is_no_share_is_refused(share: bytes, sentence: str) -> None:
    with pytest.raises(ProtocolError, match=sentence):
        combine([1], [share])


def test_shares_that_do_not_belong_together_are_noticed_where_they_can_be() -> None:
    with pytest.raises(ProtocolError, match="do not belong together"):
        combine([1], [(2**256).to_bytes(33, "big")])


@pytest.mark.parametrize(
    ("secret", "threshold", "places"),
    [
        (b"short", 1, [1]),
        (bytes(32), 0, [1]),
        (bytes(32), 3, [1, 2]),
        (bytes(32), 1, [0, 1]),
        (bytes(32), 1, [2, 2]),
    ],
)
def test_our_own_mistakes_are_refused(secret: bytes, threshold: int, places: list[int]) -> None:
    with pytest.raises(ValueError, match=r"32 bytes|distinct"):
        split(secret, threshold, places)


@pytest.mark.parametrize("places", [[0], [1, 1], []])
def test_weights_need_distinct_places(places: list[int]) -> None:
    with pytest.raises(ValueError, match="distinct"):
        at_zero(places)
