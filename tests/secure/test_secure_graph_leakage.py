"""What each party receives while features of two graphs are computed: masked words, which are uniform."""

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from graph_worlds import GraphWorld, graph_world
from secure_worlds import ROLES, Watch, chi_square, play

from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.graph_maps import hide_edges, neighbour_sums
from tongzhou.secure.graph_settings import GraphInput, undirected
from tongzhou.secure.graph_tasks import GraphTask
from tongzhou.secure.prg import Stream
from tongzhou.secure.simulate import simulate

FEATURES = ("risk", "reach", "flagged", "pairs")
SEEDS = {("asker", "aided.seed"), ("provider", "aided.seed")}
OPENED = {
    "risk": "open.risk of each node",
    "reach": "open.whether a flagged node is within reach of each node",
    "flagged": "open.flagged neighbours of each node",
    "pairs": "open.common neighbours and degrees of each pair",
}


def expected(role: str, feature: str) -> set[tuple[str, str]]:
    """Sender and tag of everything that a role may receive, with the asker as the only receiver."""
    if role == "helper":
        return SEEDS
    asker = role == "asker"
    other = "provider" if asker else "asker"
    tags = {
        "risk": {
            (other, t) for t in ("graph.orders", "graph.values", "hide", "product.scale", "masked.truncate")
        }
        | {("helper", t) for t in ("deal.graph", "product.scale")},
        "reach": {
            (other, t)
            for t in ("graph.orders", "graph.values", "masked.sign", "masked.bits", "masked.choice")
        }
        | {("helper", "deal.graph")},
        "flagged": {(other, "graph.orders")}
        if asker
        else {("asker", "graph.values"), ("helper", "deal.graph")},
        "pairs": {(other, "masked.pairs")}
        | (
            {(other, "graph.orders"), (other, "product.scale"), ("helper", "product.scale")}
            if asker
            else {
                ("asker", "graph.values"),
                ("asker", "hide"),
                ("helper", "deal.graph"),
                ("helper", "deal.pairs"),
            }
        ),
    }[feature]
    if asker:
        return tags | {(other, OPENED[feature])}
    dealt = {"risk": {"truncate"}, "reach": {"digit", "table", "choice"}}.get(feature, set())
    return tags | {("helper", f"deal.{name}") for name in dealt}


def watched(world: GraphWorld, feature: str, **options: Any) -> Watch:
    watch = Watch()
    world.play("aided", feature, watch=watch, **options)
    return watch


@pytest.mark.parametrize("feature", FEATURES)
@pytest.mark.parametrize("role", ROLES)
def test_nothing_arrives_but_what_the_statement_says(role: str, feature: str) -> None:
    watch = watched(graph_world(), feature)
    assert watch.tags(role) == expected(role, feature)
    for message in watch.views[role]:
        # Words come without a value; the only value is the helper's seed.
        assert (message.value is None) == bool(message.arrays)


@pytest.mark.parametrize("feature", ["risk", "reach", "flagged"])
def test_a_second_receiver_gets_the_result_and_no_more(feature: str) -> None:
    watch = watched(graph_world(), feature, receivers="both")
    assert watch.tags("provider") == expected("provider", feature) | {("asker", OPENED[feature])}
    assert watch.tags("asker") == expected("asker", feature)


@pytest.mark.parametrize("feature", FEATURES)
@pytest.mark.parametrize("role", ["asker", "provider"])
def test_every_masked_word_is_uniform(role: str, feature: str) -> None:
    """Each kind of message on its own; nothing is flagged, and the graphs are stars."""
    nodes = 700
    star = undirected(np.stack([np.zeros(nodes - 1, dtype=np.int64), np.arange(1, nodes)], axis=1))
    pairs = np.array([[5, 6], [0, 1]])
    world = GraphWorld(nodes, GraphInput(star, np.zeros(nodes, dtype=np.int8), pairs), GraphInput(star))
    watch = watched(world, feature, minimum_flagged=0)
    kinds = watch.tags(role) - {(other, OPENED[feature]) for other in ROLES}
    tested = 0
    for sender, tag in kinds:
        if tag in {"graph.orders", "masked.bits"}:
            continue  # Permutations and six-bit words: tests of their own below.
        data = np.concatenate(
            [
                array.reshape(-1).view(np.uint8)
                for message in watch.views[role]
                if (message.sender, message.tag) == (sender, tag)
                for array in message.arrays
            ]
        )
        if len(data) >= 1280:
            assert abs(chi_square(data)) < 6, (sender, tag)
            tested += 1
    assert tested >= {"risk": 6, "reach": 3, "flagged": 0 if role == "asker" else 2, "pairs": 3}[feature]


@pytest.mark.parametrize("role", ["asker", "provider"])
def test_masked_bits_are_uniform(role: str) -> None:
    watch = watched(graph_world(2000, (10, 10)), "reach")
    assert watch.views["helper"]
    counts = np.bincount(watch.words(role, "masked.bits"), minlength=64)
    assert len(counts) == 64
    wanted = counts.sum() / 64
    assert abs(((counts - wanted) ** 2 / wanted).sum() - 63) / np.sqrt(2 * 63) < 6


@pytest.mark.parametrize("edges", ["none", "star"])
def test_orders_are_uniform_whatever_the_graph_is(edges: str) -> None:
    """Where the first place lands, and what stands there, over many runs: equal chances for all."""
    nodes, bound, runs = 4, 6, 400
    star = undirected(np.array([[0, 1], [0, 2], [0, 3]]))
    given = star if edges == "star" else star[:0]
    landed = np.zeros((3, nodes + bound), dtype=np.int64)
    first = np.zeros_like(landed)

    def program(engine: AidedEngine) -> Any:
        mine = given if engine.party.role == "asker" else None
        return [hide_edges(engine, "asker", (nodes, bound), mine).orders for _ in range(runs)]

    for orders in play(program)["provider"]:
        for place, order in enumerate(orders):
            landed[place, int(np.argmin(order))] += 1
            first[place, order[0]] += 1
    wanted = runs / (nodes + bound)
    for counts in (*landed, *first):
        statistic = ((counts - wanted) ** 2 / wanted).sum()
        assert (statistic - 9) / np.sqrt(2 * 9) < 6


def test_orders_of_two_runs_differ() -> None:
    world = graph_world()
    orders = [
        message.arrays
        for _ in range(2)
        for message in watched(world, "risk").views["provider"]
        if message.tag == "graph.orders"
    ]
    assert len(orders) == 2
    assert all((one != other).any() for one, other in zip(*orders, strict=True))


def play_with(world: GraphWorld, feature: str, watch: Watch, bounds: dict) -> None:
    pairs = len(world.asker.pairs) if feature == "pairs" else 0
    settings = msgspec.structs.replace(world.settings(feature, pairs=pairs), **bounds)
    simulate("aided", GraphTask(settings), world.asker, world.provider, watch=watch)


@pytest.mark.parametrize("feature", FEATURES)
@pytest.mark.parametrize("role", ROLES)
def test_lengths_depend_on_the_agreed_bounds_alone(role: str, feature: str) -> None:
    """Other edges, fewer edges, other flags and pairs under the same settings: the same messages."""
    views = []
    for seed, contacts, flagged in ((1, (50, 30), 4), (2, (3, 1), 9)):
        world = graph_world(40, contacts, flagged=flagged, seed=seed)
        # The first world's graphs are the larger: its bounds hold for both.
        bounds = graph_world(40, (50, 30), seed=1).settings(feature)
        options = {"asker_edges": bounds.asker_edges, "provider_edges": bounds.provider_edges}
        watch = Watch()
        asker = replace(world.asker, edges=world.asker.edges[:0]) if feature == "flagged" else world.asker
        play_with(replace(world, asker=asker), feature, watch, options)
        views.append([message.shape for message in watch.views[role]])
    assert views[0] == views[1]
    assert views[0]


def test_masks_are_fresh_in_every_use_of_one_graph() -> None:
    """The same shared vector twice over the same orders: no word is sent or dealt twice."""
    watch, nodes = Watch(), 300
    edges = undirected(np.stack([np.arange(299), np.arange(1, 300)], axis=1))

    def program(engine: AidedEngine) -> None:
        engine.party.session = watch(engine.party.session)
        mine = edges if engine.party.role == "provider" else None
        edge_map = hide_edges(engine, "provider", (nodes, 700), mine)
        share = np.zeros((1, nodes), dtype=np.uint64) if engine.is_owner else None
        for _ in range(3):
            neighbour_sums(engine, edge_map, share, lanes=1, kind="<u8")

    play(program)
    for tag, length in (("graph.values", 3 * 1000), ("deal.graph", 2 * 1000 + 300)):
        words = watch.words("provider", tag).view(np.uint64)
        assert len(words) == 3 * length
        assert len(np.unique(words)) == len(words)


@pytest.mark.parametrize("owner", ["asker", "provider"])
@pytest.mark.parametrize("kind", ["<u8", "<u4"])
def test_what_is_received_and_what_is_dealt_put_together_stay_uniform(owner: str, kind: str) -> None:
    """The graph's owner takes one mask off with what the helper deals: another is below, fresh each time.

    All that the other owner holds is zero, so that without that mask zeros would be left.
    """
    watch, nodes, bound = Watch(), 600, 900
    edges = undirected(np.stack([np.arange(400), np.arange(1, 401)], axis=1))

    def program(engine: AidedEngine) -> Any:
        engine.party.session = watch(engine.party.session)
        edge_map = hide_edges(engine, owner, (nodes, bound), edges if engine.party.role == owner else None)
        share = np.zeros((1, nodes), dtype=kind) if engine.is_owner else None
        for _ in range(2):
            neighbour_sums(engine, edge_map, share, lanes=1, kind=kind)
        return edge_map

    inner = play(program)[owner].inner
    arrays = {
        tag: [m.arrays for m in watch.views[owner] if m.tag == tag] for tag in ("graph.values", "deal.graph")
    }
    together: list[list[np.ndarray]] = [[], [], []]
    for received, dealt in zip(arrays["graph.values"], arrays["deal.graph"], strict=True):
        for step, own in enumerate(inner):
            kept = dealt[step].shape[1]
            together[step].append(received[step][0, own[:kept]] + dealt[step][0])
    for first, second in together:
        assert abs(chi_square(np.concatenate([first, second]).view(np.uint8))) < 6
        # Another mask in the second use: the difference is uniform too.
        assert abs(chi_square((first - second).view(np.uint8))) < 6


def test_one_use_costs_what_the_statement_says() -> None:
    """12 (n + m) bytes once; 3 (n + m) words from the other owner and 3 n + 2 m from the helper a use."""
    watch, nodes, bound = Watch(), 50, 120

    def program(engine: AidedEngine) -> None:
        engine.party.session = watch(engine.party.session)
        mine = np.zeros((0, 2), dtype=np.int64) if engine.party.role == "asker" else None
        edge_map = hide_edges(engine, "asker", (nodes, bound), mine)
        share = np.zeros((1, nodes), dtype=np.uint64) if engine.is_owner else None
        neighbour_sums(engine, edge_map, share, lanes=1, kind="<u8")

    play(program)
    assert watch.words("provider").nbytes == 12 * (nodes + bound)
    assert watch.words("asker", "graph.values").nbytes == 8 * 3 * (nodes + bound)
    assert watch.words("asker", "deal.graph").nbytes == 8 * (3 * nodes + 2 * bound)


@pytest.mark.parametrize(
    ("feature", "once", "step", "opened"),
    [("risk", (40, 12), (160, 40), 8), ("reach", (24, 12), (155, 20), 4)],
)
def test_a_step_costs_what_the_statement_says(
    feature: str, once: tuple[int, int], step: tuple[int, int], opened: int
) -> None:
    world = graph_world(400, (300, 200))
    given = world.settings(feature)
    edges = given.asker_edges + given.provider_edges

    def sent(rounds: int) -> int:
        watch = watched(world, feature, rounds=rounds)
        return sum(array.nbytes for view in watch.views.values() for m in view for array in m.arrays)

    first, second = sent(1), sent(2)
    assert second - first == pytest.approx(step[0] * 400 + step[1] * edges, rel=0.01)
    assert 2 * first - second == pytest.approx((once[0] + opened) * 400 + once[1] * edges, rel=0.01)


def test_rounds_are_those_of_the_statement() -> None:
    world = graph_world()

    def rounds(feature: str, steps: int) -> int:
        outcome = world.play("aided", feature, rounds=steps)
        return max(traffic.rounds for traffic in outcome.traffic["asker"].values())

    assert rounds("risk", 4) - rounds("risk", 1) == 3 * 2
    assert rounds("reach", 4) - rounds("reach", 1) == 3 * 5


def test_the_stream_of_a_seed_is_not_used_twice() -> None:
    """Two graphs in one run draw other permutations."""
    edges = np.array([[0, 1]])

    def program(engine: AidedEngine) -> Any:
        mine = edges if engine.party.role == "asker" else None
        return [hide_edges(engine, "asker", (30, 30), mine) for _ in range(2)]

    first, second = play(program)["asker"]
    for one, other in zip(first.inner, second.inner, strict=True):
        assert (one != other).any()
        assert sorted(one.tolist()) == list(range(60))
    assert repr(Stream(bytes(32))) == "Stream(seed=********)"
