"""What each party receives, message by message: nothing beyond the statements, and masked words are uniform.

Every run here is watched: `Watch` keeps all that a role receives. Uniformity is a chi-square test over bytes;
a deviation of six standard deviations comes by chance once in a billion tests.
"""

from collections import Counter
from threading import current_thread
from typing import Any

import numpy as np
import pytest
from secure_worlds import ROLES, Watch, chi_square, clients, play
from test_secure_matching import on_curve

from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.logistic import LogisticSettings, OwnerBlock
from tongzhou.secure.match_rules import MatchSettings
from tongzhou.secure.shared import Shared
from tongzhou.secure.simulate import simulate
from tongzhou.secure.staircase import NARROW, mask_angles
from tongzhou.secure.stepwise import Drop
from tongzhou.secure.tasks import CountInput, CountTask, MatchTask, ScoreInput, ScoreTask, TrainTask

ROWS, ASKER, PROVIDER = 3000, 2, 3


def trained(seed: int = 1, **options: Any) -> tuple[Watch, Any]:
    asker, provider = clients(ROWS, ASKER, PROVIDER, seed=seed)
    if "label" in options:
        asker = OwnerBlock(asker.values, asker.names, options.pop("label"))
    watch = Watch()
    task = TrainTask(LogisticSettings(ROWS, ASKER, PROVIDER), **options)
    return watch, simulate("aided", task, asker, provider, watch=watch)


# What may arrive in the clear, by role; everything else must be uniform.
OPENED = {
    "asker": {("provider", "train.reach")},
    "provider": {("asker", "train.rate"), ("asker", "train.reach")},
    "helper": {("asker", "train.rare"), ("asker", "train.move"), ("asker", "train.wide")},
}
MASKED_BETWEEN_OWNERS = {
    "hide",
    "masked.angle",
    "masked.matmul",
    "masked.truncate",
    "open.squared length of the gradient",
    "product.scale",
    "product.times",
    "product.transpose",
}
SEEDS = {("asker", "aided.seed"), ("provider", "aided.seed")}


def expected(role: str, *, card: str = "own", errors: bool = True) -> set[tuple[str, str]]:
    """Sender and tag of everything that a role may receive in a training."""
    if role == "helper":
        told = OPENED["helper"] if card == "own" else OPENED["helper"] - {("asker", "train.wide")}
        return SEEDS | told
    other = "provider" if role == "asker" else "asker"
    found = {(other, tag) for tag in MASKED_BETWEEN_OWNERS}
    found |= {("helper", f"product.{name}") for name in ("times", "transpose", "scale")}
    if role == "provider":
        found |= {("helper", f"deal.{name}") for name in ("matmul", "truncate", "angle")}
        found.add(("asker", "train.rate"))
    if card == "own":
        found |= {(other, f"open.weights of the {role}'s variables"), (other, "train.reach")}
    if errors:
        found.add((other, f"open.covariance of the {role}'s weights"))
    return found


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("card", "errors"), [("own", True), ("own", False), ("shared", False)])
def test_nothing_arrives_in_training_but_what_the_statement_says(role: str, card: Any, errors: bool) -> None:
    watch, _ = trained(card=card, errors=errors)
    assert watch.tags(role) == expected(role, card=card, errors=errors)
    for message in watch.views[role]:
        if message.arrays:
            # A message with words carries no value, and every word is a ring element.
            assert message.value is None
            assert {array.dtype.str for array in message.arrays} == {"<u8"}
        else:
            assert (message.sender, message.tag) in OPENED[role] | SEEDS


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("owner", ["asker", "provider"])
def test_a_dropped_variable_tells_its_owner_alone(role: str, owner: Any) -> None:
    """Beyond a training: lengths to both owners, weights and covariance to the variable's owner."""
    answers = {name: iter([Drop(owner, 0), None]) for name in ROLES}
    names: dict[int, str] = {}
    watch = Watch()

    def review(fit: Any) -> Drop | None:
        # Each party asks in a thread of its own, named after it.
        name = current_thread().name.removeprefix("party-")
        names[len(names)] = name
        return next(answers[name])

    asker, provider = clients(ROWS, ASKER, PROVIDER)
    task = TrainTask(LogisticSettings(ROWS, ASKER, PROVIDER), errors=False, review=review)
    simulate("aided", task, asker, provider, watch=watch)
    assert sorted(names.values()) == sorted([*ROLES, *ROLES])
    further = set()
    if role != "helper":
        other = "provider" if role == "asker" else "asker"
        further.add((other, "open.squares of the Newton decrement and of the step"))
        if role == owner:
            further.add((other, f"open.covariance of the {owner}'s weights"))
    assert watch.tags(role) == expected(role, errors=False) | further


@pytest.mark.parametrize("role", ROLES)
def test_what_is_told_in_the_clear_is_as_coarse_as_stated(role: str) -> None:
    watch, outcome = trained()
    told = {m.tag: m.value for m in watch.views[role] if not m.arrays and m.tag != "aided.seed"}
    if role == "helper":
        assert told.pop("train.rare") is told.pop("train.wide") is False
        assert set(told) == {"train.move"}
        moves = [m.value for m in watch.views["helper"] if m.tag == "train.move"]
        assert len(moves) == len(outcome.asker.gradient_norms)
        for move in moves:
            assert move.harmonics in {NARROW.harmonics, *(count for _, count in NARROW.lengths)}
            flags = set(move.__struct_fields__) - {"harmonics"}
            assert all(isinstance(getattr(move, name), bool) for name in flags)
    else:
        for value in told.values():
            assert value == float(f"{value:.2g}")


@pytest.mark.parametrize("role", ["asker", "provider"])
@pytest.mark.parametrize("rare", [False, True])
def test_every_masked_word_in_training_is_uniform(role: str, rare: bool) -> None:
    """Each kind of message on its own; also where the label is nearly constant."""
    options = {}
    if rare:
        label = np.zeros(ROWS)
        label[:: ROWS // 60] = 1
        options["label"] = label
    watch, _ = trained(**options)
    by_kind: dict[tuple[str, str], list[np.ndarray]] = {}
    for message in watch.views[role]:
        if message.arrays:
            words = np.concatenate([array.reshape(-1).view(np.uint8) for array in message.arrays])
            by_kind.setdefault((message.sender, message.tag), []).append(words)
    assert len(by_kind) > 10
    for kind, pieces in by_kind.items():
        data = np.concatenate(pieces)
        if len(data) >= 256 * 5:
            assert abs(chi_square(data)) < 6, kind


def test_the_chi_square_notices_unmasked_words() -> None:
    plain = np.arange(3000, dtype=np.uint64) * np.uint64(12345)
    assert chi_square(plain.view(np.uint8)) > 100


def test_constant_values_leave_no_trace() -> None:
    """All zeros, through every primitive: what arrives is uniform all the same."""
    watch, rows = Watch(), 4096

    def program(engine: AidedEngine) -> None:
        engine.party.session = watch(engine.party.session)
        owner = engine.is_owner
        zeros = np.zeros((3, rows), dtype=np.uint64)

        def shared(*shape: int) -> Shared:
            return Shared(shape, np.zeros(shape, dtype=np.uint64) if owner else None)

        for role in ("asker", "provider"):
            hidden = engine.hide(role, (3, rows), zeros if engine.party.role == role else None)
            engine.times(hidden, shared(3))
            engine.transpose_times(hidden, shared(rows))
            engine.scale_rows(hidden, shared(rows))
        engine.matmul(shared(50, 60), shared(60, 50), drop=20)
        engine.truncate(shared(rows), 20)
        mask_angles(engine, shared(rows)).sum(NARROW.sigmoid, dealt_bits=16, bits=36)

    play(program)
    for role in ("asker", "provider"):
        kinds = Counter((m.sender, m.tag) for m in watch.views[role])
        assert len(kinds) >= 10
        for sender, tag in kinds:
            data = np.concatenate(
                [
                    array.reshape(-1).view(np.uint8)
                    for m in watch.views[role]
                    if (m.sender, m.tag) == (sender, tag)
                    for array in m.arrays
                ]
            )
            if len(data) > 1280:
                assert abs(chi_square(data)) < 6, (role, sender, tag)
    assert not watch.views["helper"]


def turned(block: OwnerBlock) -> OwnerBlock:
    """Other numbers with the same geometry, so that the training makes the same moves."""
    return OwnerBlock(7 - 3 * block.values, block.names, block.label)


def test_the_helper_cannot_tell_two_trainings_apart() -> None:
    """Other numbers at both owners: the same messages in the same order, and uniform seeds."""
    views = []
    blocks = clients(ROWS, ASKER, PROVIDER)
    for asker, provider in (blocks, (turned(blocks[0]), turned(blocks[1]))):
        watch = Watch()
        task = TrainTask(LogisticSettings(ROWS, ASKER, PROVIDER))
        simulate("aided", task, asker, provider, watch=watch)
        views.append(watch.views["helper"])
    assert [message.shape for message in views[0]] == [message.shape for message in views[1]]
    told = [[m.value for m in view if m.tag != "aided.seed"] for view in views]
    assert told[0] == told[1]
    seeds = [m.value for view in views for m in view if m.tag == "aided.seed"]
    assert len(set(seeds)) == 4
    assert {len(seed) for seed in seeds} == {32}


def counted(codes: list[np.ndarray], label: np.ndarray, receivers: Any = "provider") -> Watch:
    watch = Watch()
    task = CountTask(len(label), tuple(int(c.max()) + 1 for c in codes), receivers=receivers)
    simulate("aided", task, CountInput(label=label), CountInput(codes=codes), watch=watch)
    return watch


@pytest.mark.parametrize("receivers", ["provider", "both"])
def test_counting_tells_what_it_says(receivers: Any) -> None:
    rows = 500
    codes = [np.arange(rows, dtype=np.int16) % 4, np.arange(rows, dtype=np.int16) % 3]
    watch = counted(codes, (np.arange(rows) % 5 == 0).astype(np.int8), receivers)
    order = ("provider", "bin.order", [("<u4", (rows,))])
    totals = ("provider", "bin.totals", [("<i8", (4,)), ("<i8", (3,))])
    events = [("<u4", (4,)), ("<u4", (3,))]
    asker = [totals, order, order] + ([("provider", "bin.events", events)] if receivers == "both" else [])
    shuffle = ("helper", "bin.shuffle", [("<u4", (rows,))])
    label = ("asker", "bin.label", [("<u4", (rows,))])
    assert [m.shape for m in watch.views["asker"]] == asker
    assert [m.shape for m in watch.views["provider"]] == [
        *[shuffle, label] * 2,
        ("asker", "bin.events", events),
    ]
    assert watch.tags("helper") == SEEDS


@pytest.mark.parametrize("constant", [0, 1])
def test_the_label_is_hidden_in_counting(constant: int) -> None:
    rows = 20_000
    watch = counted([np.arange(rows, dtype=np.int16) % 7], np.full(rows, constant, dtype=np.int8))
    assert abs(chi_square(watch.words("provider", "bin.label"))) < 6
    assert abs(chi_square(watch.words("provider", "bin.shuffle"))) < 6
    # The provider learns the sums: its two shares and the asker's add up to them, so the last is uniform too.


def test_the_order_that_the_asker_sees_says_nothing_of_the_bins() -> None:
    """Rows sorted by bin: the first place of the order must be any row alike."""
    rows, runs = 8, 600
    codes = [np.repeat([0, 1], 4).astype(np.int16)]
    label = np.zeros(rows, dtype=np.int8)
    firsts: Counter[int] = Counter()
    for _ in range(runs):
        (order,) = [m.arrays[0] for m in counted(codes, label).views["asker"] if m.tag == "bin.order"]
        assert sorted(order.tolist()) == list(range(rows))
        firsts[int(order[0])] += 1
    statistic = sum((firsts[row] - runs / rows) ** 2 / (runs / rows) for row in range(rows))
    assert statistic < 40  # seven degrees of freedom: by chance once in a million


def test_scoring_tells_what_it_says() -> None:
    _, model = trained(errors=False)
    asker, provider = clients(700, ASKER, PROVIDER, seed=4)
    # The same client 700 times: every row equal, and still nothing to see.
    asker.values[:], provider.values[:] = asker.values[0], provider.values[0]
    watch = Watch()
    task = ScoreTask(700, ASKER, PROVIDER, ROWS)
    simulate(
        "aided",
        task,
        ScoreInput(asker.values, model.asker.key),
        ScoreInput(provider.values, model.provider.key),
        watch=watch,
    )
    word = [("<u8", (700,))]
    assert [m.shape for m in watch.views["asker"]] == [
        ("provider", "hide", [("<u8", (PROVIDER, 700))]),
        ("provider", "product.times", [("<u8", (ASKER + 1,))]),
        ("helper", "product.times", word),
        ("provider", "open.total logit of each row", word),
    ]
    assert [m.shape for m in watch.views["provider"]] == [
        ("asker", "hide", [("<u8", (ASKER + 1, 700))]),
        ("asker", "product.times", [("<u8", (PROVIDER,))]),
        ("helper", "product.times", word),
    ]
    assert watch.tags("helper") == SEEDS
    for role in ("asker", "provider"):
        assert abs(chi_square(watch.words(role))) < 6


def matched(protocol: Any, asker: list[str], provider: list[str]) -> Watch:
    watch = Watch()
    task = MatchTask(MatchSettings(1, "run"), protocol)
    simulate("aided", task, asker, provider, watch=watch)
    return watch


LEFT, RIGHT = [f"c{n}" for n in range(60)], [f"c{n}" for n in range(40, 90)]


def test_diffie_hellman_tells_what_it_says() -> None:
    watch = matched("dh", LEFT, RIGHT)
    assert [m.shape for m in watch.views["asker"]] == [
        ("provider", "match.size", []),
        ("provider", "match.once", [("|u1", (50, 32))]),
        ("provider", "match.twice", [("|u1", (60, 32))]),
    ]
    assert [m.shape for m in watch.views["provider"]] == [
        ("asker", "match.size", []),
        ("asker", "match.once", [("|u1", (60, 32))]),
        ("asker", "match.places", [("<i8", (20,))]),
    ]
    assert not watch.views["helper"]


def test_no_point_on_the_wire_is_on_the_twist() -> None:
    watch = matched("dh", LEFT, RIGHT)
    seen = 0
    for role in ("asker", "provider"):
        for message in watch.views[role]:
            if message.tag in ("match.once", "match.twice"):
                assert all(on_curve(point.tobytes()) for point in message.arrays[0])
                seen += len(message.arrays[0])
    assert seen == 60 + 50 + 60


def test_points_of_two_runs_cannot_be_linked() -> None:
    """The same lists and the same context twice: no point recurs, and no bit of them leans."""
    points = []
    for _ in range(2):
        watch = matched("dh", LEFT, LEFT)
        points.append(
            {p.tobytes() for m in watch.views["provider"] for a in m.arrays if a.ndim == 2 for p in a}
        )
    assert len(points[0]) == len(points[1]) == 60
    assert not points[0] & points[1]
    # Coordinates are below 2^255 - 19, so the last byte is below 128; the others are uniform.
    data = np.frombuffer(b"".join(point[:31] for run in points for point in run), dtype=np.uint8)
    assert abs(chi_square(data)) < 6


def test_blind_matching_tells_what_it_says() -> None:
    watch = matched("aided", LEFT, RIGHT)
    assert [m.shape for m in watch.views["helper"]] == [
        ("asker", "match.tags", [("<u8", (60,)), ("<u4", (60,))]),
        ("provider", "match.tags", [("<u8", (50,)), ("<u4", (50,))]),
    ]
    places = ("helper", "match.places", [("<i8", (20,))])
    assert [m.shape for m in watch.views["asker"]] == [places]
    assert [m.shape for m in watch.views["provider"]] == [("asker", "match.key", []), places]


def seen_tags(watch: Watch) -> set[bytes]:
    return {
        head.tobytes() + tail.tobytes()
        for message in watch.views["helper"]
        for head, tail in zip(*message.arrays, strict=True)
    }


def test_tags_reach_the_helper_in_an_order_of_their_own() -> None:
    """Rising tags; and in the order of either list they are as random as can be."""
    watch = matched("aided", LEFT, LEFT)
    for message in watch.views["helper"]:
        assert (np.diff(message.arrays[0].astype(object)) > 0).all()


def test_the_helper_cannot_link_or_read_tags() -> None:
    first, second = (matched("aided", LEFT, RIGHT) for _ in range(2))
    tags = [seen_tags(watch) for watch in (first, second)]
    assert len(tags[0]) == len(tags[1]) == 90
    assert not tags[0] & tags[1]
    # Other people altogether: the helper sees the same shapes and as uniform bytes.
    other = matched("aided", [f"x{n}" for n in range(60)], [f"x{n}" for n in range(40, 90)])
    assert [m.shape for m in other.views["helper"]] == [m.shape for m in first.views["helper"]]
    # Each tag once: those of common identifiers come from both owners.
    seen = seen_tags(first) | seen_tags(second) | seen_tags(other)
    assert len(seen) == 3 * 90
    assert abs(chi_square(np.frombuffer(b"".join(seen), dtype=np.uint8))) < 6


def test_below_the_minimum_the_provider_learns_no_number() -> None:
    watch = Watch()
    task = MatchTask(MatchSettings(30, "run"), "dh")
    with pytest.raises(Exception, match="fewer than 30 identifiers"):
        simulate("pair", task, LEFT, RIGHT, watch=watch)
    (last,) = [m for m in watch.views["provider"] if m.tag == "match.places"]
    assert (last.value, last.arrays[0].shape) == (False, (0,))


def test_a_watched_session_is_the_one_that_is_used() -> None:
    """The tap sees all: bytes it saw are the bytes that the links counted, but for frames' heads."""
    watch, outcome = trained(errors=False)
    for role in ROLES:
        seen = sum(a.nbytes for m in watch.views[role] for a in m.arrays)
        counted_bytes = sum(t.bytes_received for t in outcome.traffic[role].values())
        messages = sum(t.messages_received for t in outcome.traffic[role].values())
        assert messages == len(watch.views[role])
        assert seen <= counted_bytes < seen + 150 * messages
