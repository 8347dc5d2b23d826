"""What each party receives while trees are boosted: the tags of the statement, all of them uniform.

A deviation of six standard deviations comes by chance once in a billion tests.
"""

from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from boost_worlds import settings, table
from secure_worlds import ROLES, Watch, chi_square

from tongzhou.secure.boost_settings import BoostSettings
from tongzhou.secure.boost_tasks import BoostTask
from tongzhou.secure.logistic import OwnerBlock
from tongzhou.secure.lookups import PLACES
from tongzhou.secure.simulate import simulate

SEEDS = {("asker", "aided.seed"), ("provider", "aided.seed")}
BETWEEN_OWNERS = {
    "column.order",
    "column.rows",
    "masked.angle",
    "masked.bits",
    "masked.choice",
    "masked.chosen",
    "masked.operand",
    "masked.shuffle",
    "masked.sign",
    "open.order",
    "open.owner",
    "open.split",
}
DEALT = {"angle", "choice", "chosen", "column", "digit", "operand", "product", "shuffle", "table"}
NOT_WHOLE_BYTES = {"masked.bits", "open.order", "shuffle.order", "open.held-out loss"}
"""Six bits a byte; bits of comparisons with a padded end; places: each looked at in a test of its own."""


def watched(given: BoostSettings | None = None, blocks: Any = None, **options: Any) -> tuple[Watch, Any]:
    watch = Watch()
    given = settings(2000, trees=3, depth=3) if given is None else given
    blocks = table(2000) if blocks is None else blocks
    return watch, simulate("aided", BoostTask(given, **options), *blocks, watch=watch)


def expected(role: str, *, gains: bool = False, leaves: bool = False, patience: bool = False) -> set[Any]:
    """Sender and tag of everything that a role may receive."""
    if role == "helper":
        return SEEDS | {("asker", "boost.next")}
    other = "provider" if role == "asker" else "asker"
    found = {(other, tag) for tag in BETWEEN_OWNERS} | {("helper", "deal.column")}
    if role == "provider":
        found |= {("helper", f"deal.{name}") for name in DEALT} | {("helper", "shuffle.order")}
    if gains:
        found |= {(other, "hide"), (other, "product.transpose"), ("helper", "product.transpose")}
        found.add((other, f"open.gain of each of the {role}'s columns"))
    if leaves and role == "asker":
        found.add((other, "open.leaves"))
    if patience:
        found.add((other, "open.held-out loss"))
    return found


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("extra", ["", "gains", "leaves", "patience", "monotone"])
def test_nothing_arrives_but_what_the_statement_says(role: str, extra: str) -> None:
    options: dict[str, Any] = {"gains": {"gains": True}, "leaves": {"leaves": "asker"}}.get(extra, {})
    more = {
        "patience": {"held_out": 400, "patience": 2},
        "monotone": {"asker_monotone": (1, 0), "provider_monotone": (0, 0, -1)},
    }.get(extra, {})
    watch, _ = watched(settings(2000, trees=3, depth=3, **more), **options)
    named = {extra: True} if extra in ("gains", "leaves", "patience") else {}
    assert watch.tags(role) == expected(role, **named)
    for message in watch.views[role]:
        if message.tag not in ("aided.seed", "boost.next"):
            assert message.value is None
            assert message.arrays


def test_the_helper_learns_whether_there_is_another_tree_and_nothing_else() -> None:
    watch, outcome = watched()
    told = [m.value for m in watch.views["helper"] if m.tag == "boost.next"]
    assert [(one.more, one.kept) for one in told] == [(True, 0), (True, 1), (True, 2), (False, 3)]
    assert len(outcome.asker.model.trees) == 3
    assert sum(len(m.arrays) for m in watch.views["helper"]) == 0


@pytest.mark.parametrize("role", ["asker", "provider"])
@pytest.mark.parametrize("world", ["ordinary", "rare", "constant"])
def test_every_masked_word_is_uniform(role: str, world: str) -> None:
    """Each kind of message on its own; also where events are rare, and where no column says anything."""
    blocks = table(2000)
    if world == "rare":
        label = np.zeros(2000)
        label[::90] = 1
        blocks = (OwnerBlock(blocks[0].values, blocks[0].names, label), blocks[1])
    if world == "constant":
        blocks = tuple(OwnerBlock(b.values * 0, b.names, b.label) for b in blocks)
    watch, _ = watched(blocks=blocks, gains=True)
    by_kind: dict[tuple[str, str, int], list[np.ndarray]] = defaultdict(list)
    for message in watch.views[role]:
        for place, array in enumerate(message.arrays):
            # The masked order of a column is a permutation; its matrix is uniform.
            if message.tag not in NOT_WHOLE_BYTES and (message.tag, place) != ("column.order", 0):
                kind = (message.sender, message.tag, place)
                by_kind[kind].append(array.reshape(-1).view(np.uint8))
    assert len(by_kind) > 10
    looked_at = 0
    for kind, pieces in by_kind.items():
        data = np.concatenate(pieces)
        if len(data) >= 256 * 5:
            looked_at += 1
            assert abs(chi_square(data)) < 6, kind
    assert looked_at >= 9


@pytest.mark.parametrize("role", ["asker", "provider"])
def test_messages_of_bits_and_places_are_uniform_too(role: str) -> None:
    watch, _ = watched()
    bits = watch.words(role, "masked.bits")
    counts = np.bincount(bits, minlength=256)
    assert counts[PLACES:].sum() == 0
    expected_count = len(bits) / PLACES
    assert (((counts[:PLACES] - expected_count) ** 2 / expected_count).sum() - 63) / np.sqrt(126) < 6
    for tag in ("column.order", "shuffle.order") if role == "provider" else ("column.order",):
        for message in [m for m in watch.views[role] if m.tag == tag]:
            rows = np.atleast_2d(message.arrays[0])
            assert (np.sort(rows, axis=1) == np.arange(rows.shape[1])).all()
    orders = [m.arrays[0] for m in watch.views[role] if m.tag == "column.order"]
    # No order is nearly sorted: neighbours differ as strangers do, by a third of the whole on average.
    for order in orders:
        steps = np.abs(np.diff(order.astype(np.int64))).mean() / len(order)
        assert steps == pytest.approx(1 / 3, abs=0.03)


def test_shapes_do_not_depend_on_the_data() -> None:
    """Other labels, other numbers, crowded bins, missing values: the same messages at every role."""
    plain = table(800)
    source = np.random.default_rng(8)
    others = [
        (OwnerBlock(plain[0].values, plain[0].names, source.integers(0, 2, 800).astype(float)), plain[1]),
        tuple(OwnerBlock(source.normal(size=b.values.shape) ** 3, b.names, b.label) for b in plain),
        tuple(OwnerBlock(np.sign(b.values), b.names, b.label) for b in plain),
        table(800, missing=0.3),
    ]
    wanted = None
    for blocks in [plain, *others]:
        watch, outcome = watched(settings(800), blocks)
        # What is opened to an owner is as long as it has splits; the rest is of one shape for all data.
        shapes = {role: [m.shape for m in watch.views[role] if m.tag != "open.split"] for role in ROLES}
        for role, other in (("asker", outcome.provider), ("provider", outcome.asker)):
            lengths = sum(m.arrays[0].size for m in watch.views[role] if m.tag == "open.split")
            own = {"asker": outcome.asker, "provider": outcome.provider}[role]
            assert lengths == own.model.split_counts().sum()
            assert other.model.role != role
        wanted = shapes if wanted is None else wanted
        assert shapes == wanted


def test_shares_that_stay_are_uniform() -> None:
    """Leaf weights are near zero; the shares that an owner keeps of them are not."""
    watch = Watch()
    given = settings(500, trees=12, depth=6, bins=4)
    outcome = simulate("aided", BoostTask(given), *table(500), watch=watch)
    for part in (outcome.asker, outcome.provider):
        assert abs(chi_square(part.model.leaf_shares.reshape(-1).view(np.uint8))) < 6
    total = outcome.asker.model.leaf_shares + outcome.provider.model.leaf_shares
    assert chi_square(total.reshape(-1).view(np.uint8)) > 100
