"""The library's ciphertexts: exact products, results that say nothing of the factors, and hostile bytes."""

import importlib
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from secure_worlds import PAIR

from tongzhou.errors import PlanError, ProtocolError
from tongzhou.secure import lattice
from tongzhou.secure.lattice import DEGREE, ROWS, SLOTS, SMALL, Evaluator, KeyHolder, Kind, require_library
from tongzhou.secure.prg import Stream

pytestmark = PAIR
KINDS = pytest.mark.parametrize("kind", [ROWS, SLOTS, SMALL], ids=lambda kind: kind.name)


@pytest.fixture(scope="module")
def sides() -> Any:
    """Both sides of each kind, made once."""
    made: dict[Kind, tuple[KeyHolder, Evaluator]] = {}

    def pair(kind: Kind) -> tuple[KeyHolder, Evaluator]:
        if kind not in made:
            holder = KeyHolder(kind)
            made[kind] = holder, Evaluator(kind, holder.public_key(), "asker")
        return made[kind]

    return pair


def numbers(seed: int, below: int, count: int = DEGREE) -> np.ndarray:
    return Stream(seed.to_bytes(32, "big")).words(count) % np.uint64(below)


def product(left: np.ndarray, right: dict[int, int], modulus: int) -> list[int]:
    """Of a polynomial and a sparse one, modulo x^8192 + 1."""
    out = [0] * DEGREE
    for place, factor in right.items():
        for k, value in enumerate(left.tolist()):
            turns, at = divmod(k + place, DEGREE)
            out[at] += (-1) ** turns * value * factor
    return [value % modulus for value in out]


def sparse(polynomial: dict[int, int]) -> np.ndarray:
    out = np.zeros(DEGREE, dtype=np.uint64)
    for place, value in polynomial.items():
        out[place] = value
    return out


@pytest.mark.parametrize("kind", [ROWS, SMALL], ids=lambda kind: kind.name)
def test_products_of_polynomials_are_exact(sides: Any, kind: Kind) -> None:
    holder, evaluator = sides(kind)
    modulus = 1 << kind.bits
    assert holder.modulus == evaluator.modulus == modulus
    first, mask = numbers(1, modulus), numbers(2, modulus)
    factor = {0: 3, 17: modulus - 1, DEGREE - 1: modulus // 2 + 12345}
    sealed = evaluator.ciphertext(holder.encrypt(first), "asker")
    result = evaluator.combine([(sealed, evaluator.factor(sparse(factor)))] * 2, mask)
    wanted = [
        (2 * value + added) % modulus
        for value, added in zip(product(first, factor, modulus), mask.tolist(), strict=True)
    ]
    assert holder.decrypt(result, None, "provider").tolist() == wanted
    places = np.array([DEGREE - 1, 0, 5000])
    assert holder.decrypt(result, places, "provider").tolist() == [wanted[place] for place in places]


def test_slots_are_multiplied_each_by_itself(sides: Any) -> None:
    holder, evaluator = sides(SLOTS)
    prime = holder.modulus
    assert prime < 1 << SLOTS.bits
    left, right, mask = (numbers(seed, prime) for seed in (3, 4, 5))
    result = evaluator.combine(
        [(evaluator.ciphertext(holder.encrypt(left), "asker"), evaluator.factor(right))], mask
    )
    wanted = [
        (a * b + c) % prime for a, b, c in zip(*map(np.ndarray.tolist, (left, right, mask)), strict=True)
    ]
    assert holder.decrypt(result, None, "provider").tolist() == wanted


def test_next_to_every_word_of_that_many_bits_is_below_the_prime(sides: Any) -> None:
    """So that the evaluator's masks are hardly ever drawn again."""
    assert 0 < (1 << SLOTS.bits) - sides(SLOTS)[0].modulus < 1 << 20


@KINDS
def test_a_sum_of_nothing_is_the_mask(sides: Any, kind: Kind) -> None:
    """Zero factors are left out: the library refuses ciphertexts without a second half."""
    holder, evaluator = sides(kind)
    mask = numbers(6, holder.modulus)
    zero = evaluator.factor(np.zeros(DEGREE, dtype=np.uint64))
    assert zero is None
    sealed = evaluator.ciphertext(holder.encrypt(numbers(7, holder.modulus)), "asker")
    for products in ([], [(sealed, zero)]):
        assert holder.decrypt(evaluator.combine(products, mask), None, "provider").tolist() == mask.tolist()


@KINDS
def test_a_result_is_fresh_each_time(sides: Any, kind: Kind) -> None:
    """The same ciphertext, factor and mask: nothing of the result recurs."""
    holder, evaluator = sides(kind)
    sealed = evaluator.ciphertext(holder.encrypt(numbers(8, holder.modulus)), "asker")
    factor, mask = evaluator.factor(numbers(9, holder.modulus)), numbers(10, holder.modulus)
    first, second = (_coefficients(holder, evaluator.combine([(sealed, factor)], mask)) for _ in range(2))
    assert not set(first) & set(second)


def _coefficients(holder: KeyHolder, blob: np.ndarray) -> list[int]:
    """A few of both halves of a result."""
    sealed = holder.loaded(holder.api.Ciphertext(), blob, "provider")
    assert sealed.coeff_modulus_size() == holder.kind.kept
    half = DEGREE * holder.kind.kept
    return [sealed[half * part + place] for part in (0, 1) for place in range(0, DEGREE, 97)]


@KINDS
def test_the_noise_of_a_result_does_not_tell_the_size_of_the_factors(sides: Any, kind: Kind) -> None:
    """Before the modulus is switched down it does: fifty bits of budget lie between 1 and a large factor."""
    holder, evaluator = sides(kind)
    mask = numbers(11, holder.modulus)
    sealed = evaluator.ciphertext(holder.encrypt(numbers(12, holder.modulus)), "asker")
    budgets = []
    for factor in (sparse({0: 1}), numbers(13, holder.modulus)):
        result = evaluator.combine([(sealed, evaluator.factor(factor))] * 4, mask)
        opened = holder.loaded(holder.api.Ciphertext(), result, "provider")
        budgets.append(holder._decryptor.invariant_noise_budget(opened))
    assert abs(budgets[0] - budgets[1]) <= 1
    assert min(budgets) >= 1


@pytest.mark.parametrize(("kind", "most"), [(ROWS, 2**25), (SLOTS, 2**25), (SMALL, 2**13)])
def test_the_bound_that_the_module_states(kind: Kind, most: int) -> None:
    """With the parameters as they are: a boundary is crossed with a chance below 2^-40."""
    noise = 9 * 3.2 * 2**kind.bits / math.sqrt(12) * math.sqrt(most)
    dropped = sum(kind.primes[kind.kept : -1])
    assert dropped == 120
    assert math.log2(2 * DEGREE * noise) - dropped < -40
    assert sum(kind.primes) <= 218
    # What is kept must hold the message and the noise of rounding, at most half the length of a ternary key.
    assert sum(kind.primes[: kind.kept]) - kind.bits >= 10


@KINDS
@pytest.mark.parametrize("blob", [b"", b"\0" * 200, bytes(range(256)) * 8], ids=["empty", "zeros", "count"])
def test_bytes_that_are_no_ciphertext_are_refused(sides: Any, kind: Kind, blob: bytes) -> None:
    holder, evaluator = sides(kind)
    words = np.frombuffer(blob, dtype=np.uint8)
    with pytest.raises(ProtocolError, match="asker sent a ciphertext that is none"):
        evaluator.ciphertext(words, "asker")
    with pytest.raises(ProtocolError, match="provider sent a ciphertext that is none"):
        holder.decrypt(words, None, "provider")
    with pytest.raises(ProtocolError, match="asker sent a ciphertext that is none"):
        Evaluator(kind, words, "asker")


def test_a_ciphertext_at_another_place_is_refused(sides: Any) -> None:
    """A fresh one for a result, a result for a fresh one, one of another kind, a damaged one."""
    holder, evaluator = sides(ROWS)
    fresh = holder.encrypt(numbers(14, holder.modulus))
    result = evaluator.combine([], numbers(15, holder.modulus))
    other = sides(SMALL)[0].encrypt(numbers(16, 1 << SMALL.bits))
    for blob in (result, other, fresh[:-40]):
        with pytest.raises(ProtocolError, match="is none"):
            evaluator.ciphertext(blob, "asker")
    for blob in (fresh, other, result[:-40]):
        with pytest.raises(ProtocolError, match="is none"):
            holder.decrypt(blob, None, "provider")


def test_without_the_library_the_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    require_library.cache_clear()
    monkeypatch.setattr(lattice, "import_module", missing)
    try:
        with pytest.raises(PlanError, match=r"mode pair needs the library TenSEAL; .*tongzhou\[pair\]"):
            require_library()
    finally:
        monkeypatch.undo()
        require_library.cache_clear()
    assert require_library() is importlib.import_module("tenseal.sealapi")


def test_plain_numbers_never_go_through_a_disk(monkeypatch: pytest.MonkeyPatch, sides: Any) -> None:
    """The library takes files only; ours lie in memory, and where there are none the mode is refused."""
    holder, _ = sides(ROWS)
    assert str(Path(holder.memory.path).readlink()).startswith("/memfd:")
    require_library.cache_clear()
    monkeypatch.delattr(os, "memfd_create")
    try:
        with pytest.raises(PlanError, match="mode pair needs Linux"):
            require_library()
    finally:
        require_library.cache_clear()
