"""What each owner receives in mode pair: keys, ciphertexts, uniform words and bits, and what is opened.

A ciphertext hides its message by assumption; what can be tested is that the messages which its holder
decrypts are uniform, that nothing else arrives, and that shapes do not depend on the numbers.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from secure_worlds import OWNERS, PAIR, Received, Watch, chi_square, clients, play_pair

from tongzhou.secure.engine import SPARE_BITS, Engine
from tongzhou.secure.lattice import DEGREE, SLOTS, KeyHolder, Kind
from tongzhou.secure.logistic import LogisticSettings, OwnerBlock
from tongzhou.secure.series import Series
from tongzhou.secure.shared import Shared
from tongzhou.secure.simulate import simulate
from tongzhou.secure.tasks import CountInput, CountTask, ScoreInput, ScoreTask, TrainTask

pytestmark = PAIR
ROWS, ASKER, PROVIDER = 1000, 2, 3
BLIND = {f"blind.{kind}" for kind in ("rows", "slots", "small")}
KEYS = {f"{name}.key" for name in BLIND}


@pytest.fixture
def decrypted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[Kind, np.ndarray]]]:
    """Every message that the holder of the keys sees, whole."""
    seen: list[tuple[Kind, np.ndarray]] = []
    truly = KeyHolder.decrypt

    def watched(self: KeyHolder, blob: Any, places: Any, peer: str) -> np.ndarray:
        message = truly(self, blob, None, peer)
        seen.append((self.kind, message))
        return message if places is None else message[places]

    monkeypatch.setattr(KeyHolder, "decrypt", watched)
    return seen


def uniform(seen: list[tuple[Kind, np.ndarray]]) -> None:
    """Highest and lowest byte of every message, by kind."""
    for kind in {kind for kind, _ in seen}:
        words = np.concatenate([message for one, message in seen if one is kind])
        assert abs(chi_square((words >> np.uint64(kind.bits - 8)).astype(np.uint8))) < 6, kind
        assert abs(chi_square((words & np.uint64(255)).astype(np.uint8))) < 6, kind


def trained(**options: Any) -> tuple[Watch, Any]:
    asker, provider = clients(ROWS, ASKER, PROVIDER)
    if "label" in options:
        asker = OwnerBlock(asker.values, asker.names, options.pop("label"))
    watch = Watch()
    task = TrainTask(LogisticSettings(ROWS, ASKER, PROVIDER), **options)
    return watch, simulate("pair", task, asker, provider, watch=watch)


def expected(role: str, card: str, errors: bool) -> set[str]:
    """Tags of everything that an owner may receive in a training."""
    found = {"bits.masked", "open.squared length of the gradient"}
    found |= BLIND | KEYS | {"train.rate"} if role == "provider" else {f"{name}.back" for name in BLIND}
    if card == "own":
        found |= {f"open.weights of the {role}'s variables", "train.reach"}
    if errors:
        found.add(f"open.covariance of the {role}'s weights")
    return found


@pytest.mark.parametrize(("card", "errors"), [("own", True), ("shared", False)])
def test_nothing_arrives_in_training_but_what_the_statement_says(
    card: Any, errors: bool, decrypted: list[tuple[Kind, np.ndarray]]
) -> None:
    watch, outcome = trained(card=card, errors=errors)
    for role in OWNERS:
        other = "provider" if role == "asker" else "asker"
        assert watch.tags(role) == {(other, tag) for tag in expected(role, card, errors)}
        for message in watch.views[role]:
            if message.arrays:
                assert message.value is None
            else:
                assert message.tag in {"train.rate", "train.reach"}
                assert message.value == float(f"{message.value:.2g}")
        assert {receiver for o in outcome.openings[role] for receiver in o.receivers} <= set(OWNERS)
    uniform(decrypted)


def test_words_and_bits_between_the_owners_are_uniform() -> None:
    """Also where the label is nearly constant."""
    label = np.zeros(ROWS)
    label[:: ROWS // 30] = 1
    watch, _ = trained(label=label)
    for role in OWNERS:
        for tag in sorted(watch.tags(role)):
            words = watch.words(role, tag[1]) if not tag[1].startswith(("blind.", "train.")) else np.zeros(0)
            if len(words) >= 1280:
                assert abs(chi_square(words)) < 6, tag


def test_constant_values_leave_no_trace(decrypted: list[tuple[Kind, np.ndarray]]) -> None:
    """All zeros, through every primitive: what is decrypted is uniform all the same."""
    rows = 3000

    def program(engine: Engine) -> None:
        zeros = np.zeros((3, rows), dtype=np.uint64)

        def shared(*shape: int) -> Shared:
            return Shared(shape, np.zeros(shape, dtype=np.uint64))

        asker, provider = (
            engine.hide(role, (3, rows), zeros if engine.party.role == role else None) for role in OWNERS
        )
        engine.times_both(asker, provider, shared(6))
        engine.transposes_times(asker, provider, shared(rows))
        engine.weighted_gram(asker, provider, shared(rows))
        engine.matmul(shared(20, 20), shared(20, 20), drop=20)
        engine.sum_series(engine.angles(shared(rows)), Series((0.0,), sine=True), dealt_bits=14, bits=30)

    play_pair(program)
    assert {kind.name for kind, _ in decrypted} == {"rows", "slots", "small"}
    uniform(decrypted)


def shapes(messages: list[Received]) -> list[tuple[str, list[int]]]:
    """Tag and number of ciphertexts or words; a ciphertext's size varies by some bytes with its noise."""
    return [
        (m.tag, [len(m.arrays[0])] if m.tag.startswith("blind.") else [a.size for a in m.arrays])
        for m in messages
    ]


def test_other_numbers_give_the_same_messages() -> None:
    """Other coordinates of the same geometry, so that the training makes the same moves."""
    asker, provider = clients(ROWS, ASKER, PROVIDER)
    task = TrainTask(LogisticSettings(ROWS, ASKER, PROVIDER), errors=False)
    views = []
    for turn in (lambda x: x, lambda x: 7 - 3 * x):
        watch = Watch()
        simulate(
            "pair",
            task,
            OwnerBlock(turn(asker.values), asker.names, asker.label),
            OwnerBlock(turn(provider.values), provider.names),
            watch=watch,
        )
        views.append({role: shapes([m for m in watch.views[role] if "key" not in m.tag]) for role in OWNERS})
    assert views[0] == views[1]


def test_ciphertexts_of_two_runs_have_nothing_in_common() -> None:
    """Fresh keys and fresh noise in every run, with the same numbers."""
    pieces = []
    for _ in range(2):
        watch, _ = trained(errors=False)
        blobs = [
            bytes(blob[start : start + 64])
            for m in watch.views["provider"]
            if m.tag in BLIND
            for blob in np.split(m.arrays[1], np.cumsum(m.arrays[0])[:-1])
            for start in range(1000, len(blob) - 64, 5000)
        ]
        pieces.append(set(blobs))
        assert len(pieces[-1]) == len(blobs) > 500
    assert not pieces[0] & pieces[1]


@pytest.mark.parametrize("receivers", ["provider", "both"])
def test_counting_tells_what_it_says(receivers: Any, decrypted: list[tuple[Kind, np.ndarray]]) -> None:
    rows = 500
    codes = [np.arange(rows, dtype=np.int16) % 4, np.arange(rows, dtype=np.int16) % 3]
    watch = Watch()
    task = CountTask(rows, (4, 3), receivers=receivers)
    label = np.ones(rows, dtype=np.int8)
    simulate("pair", task, CountInput(label=label), CountInput(codes=codes), watch=watch)
    # Seven bins of nine bits, five in a number.
    events = [("bin.events", [2])]
    assert watch.views["provider"][0].tag == "blind.rows.key"
    assert shapes(watch.views["provider"][1:]) == [("blind.rows", [1]), *events]
    assert shapes(watch.views["asker"]) == [
        ("bin.totals", [4, 3]),
        ("blind.rows.back", [1]),
        *(events if receivers == "both" else []),
    ]
    uniform(decrypted)


def test_scoring_tells_what_it_says(decrypted: list[tuple[Kind, np.ndarray]]) -> None:
    asker, provider = clients(ROWS, ASKER, PROVIDER)
    model = simulate("local", TrainTask(LogisticSettings(ROWS, ASKER, PROVIDER)), asker, provider)
    # The same client 700 times: every row equal, and still nothing to see.
    first, second = (np.repeat(block.values[:1], 700, axis=0) for block in (asker, provider))
    watch = Watch()
    simulate(
        "pair",
        ScoreTask(700, ASKER, PROVIDER, ROWS),
        ScoreInput(first, model.asker.key),
        ScoreInput(second, model.provider.key),
        watch=watch,
    )
    assert [m.tag for m in watch.views["asker"]] == ["blind.rows.back", "open.total logit of each row"]
    assert [m.tag for m in watch.views["provider"]] == ["blind.rows.key", "blind.rows", "blind.rows"]
    # The asker's columns, the intercept included; then its share of the provider's weights.
    assert [len(m.arrays[0]) for m in watch.views["provider"][1:]] == [ASKER + 1, PROVIDER]
    uniform(decrypted)
    # Shares of a product are multiples of 2^14; above that they are uniform.
    (total,) = [m.arrays[0] for m in watch.views["asker"] if m.tag.startswith("open.")]
    assert not (total & np.uint64((1 << SPARE_BITS) - 1)).any()
    for shift in (SPARE_BITS, 56):
        assert abs(chi_square((total >> np.uint64(shift)).astype(np.uint8))) < 6


def test_the_uniformity_test_notices_an_unmasked_message() -> None:
    with pytest.raises(AssertionError):
        uniform([(SLOTS, np.arange(DEGREE, dtype=np.uint64))])
