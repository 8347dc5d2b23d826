"""Features over two graphs: the same in every mode, equal to dense matrices, refused where wrong."""

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from graph_worlds import GraphWorld, adjacency, dense_risk, graph_world
from hypothesis import given, settings
from hypothesis import strategies as st
from secure_worlds import Watch, play

from tongzhou.errors import DataError, PlanError, ProtocolError
from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.graph_maps import hide_edges, neighbour_sums, orders_of, sums_by_orders
from tongzhou.secure.graph_settings import (
    GraphInput,
    GraphResult,
    GraphSettings,
    check_graph,
    check_input,
    sharing,
    undirected,
)
from tongzhou.secure.graph_tasks import GraphTask
from tongzhou.secure.simulate import simulate
from tongzhou.secure.tasks import SUPPORT, Mode
from tongzhou.wire.messages import Session

MODES = pytest.mark.parametrize("mode", SUPPORT["graph"])
WORLD = graph_world()


def within(world: GraphWorld, rounds: int) -> list[int]:
    reached = world.asker.flagged.astype(float)
    union = adjacency(world.asker.edges, world.nodes) + adjacency(world.provider.edges, world.nodes)
    for _ in range(rounds):
        reached = np.minimum(reached + union @ reached, 1)
    return reached.astype(int).tolist()


# --- behaviour over modes ----------------------------------------------------------------------------------


@MODES
@pytest.mark.parametrize("bits", [24, 10, 4])
def test_risk_is_what_the_formula_says(mode: Mode, bits: int) -> None:
    options = {"opened_bits": bits, "rounds": 4, "damping": 0.7, "provider_weight": 0.3}
    outcome = WORLD.play(mode, "risk", **options)
    wanted = dense_risk(WORLD, WORLD.settings("risk", **options))
    got = np.array(outcome.asker.risk)
    # A unit of the last rounding, and less than a unit of 2^-24 for each round before.
    assert np.abs(got - wanted).max() <= 2.0**-bits + 4 * 2.0**-24
    assert wanted.max() > 0.25
    assert (got >= 0).all() and (got <= 1).all()
    assert (got * 2**bits == np.rint(got * 2**bits)).all()


@MODES
def test_one_step_of_risk_by_hand(mode: Mode) -> None:
    """0 is flagged; the bank joins 0-1 and 1-2, the telecom 0-2: half of each mean, half of that."""
    edges = [undirected(np.array(pairs)) for pairs in ([[0, 1], [1, 2]], [[0, 2]])]
    world = GraphWorld(3, GraphInput(edges[0], np.array([1, 0, 0], dtype=np.int8)), GraphInput(edges[1]))
    risk = world.play(mode, "risk", rounds=1, opened_bits=20).asker.risk
    # Node 1: half of the bank's mean (1 + 0) / 2; node 2: the bank's mean 0, the telecom's mean 1.
    assert risk == pytest.approx([0.5, 0.125, 0.25], abs=2e-6)


@MODES
@pytest.mark.parametrize("rounds", [1, 2, 5])
def test_reach_is_what_walking_finds(mode: Mode, rounds: int) -> None:
    world = graph_world(60, (25, 20), flagged=3)
    found = world.play(mode, "reach", rounds=rounds).asker.counts
    assert found == within(world, rounds)
    assert 3 < sum(found) < 60


@MODES
def test_reach_survives_counts_that_would_overflow(mode: Mode) -> None:
    """A complete graph: without bits between the rounds, walks would be as many as 2^60."""
    everybody = undirected(np.argwhere(np.ones((16, 16))))
    flags = np.ones(16, dtype=np.int8)
    world = GraphWorld(16, GraphInput(everybody, flags), GraphInput(everybody))
    assert world.play(mode, "reach", rounds=16).asker.counts == [1] * 16


@MODES
def test_flagged_counts_people_on_one_device(mode: Mode) -> None:
    """Nodes 0 to 3 use device 7, 3 and 4 device 8 and also address 9 together; 0 and 4 are flagged."""
    holdings = np.array([[0, 7], [1, 7], [2, 7], [3, 7], [3, 8], [4, 8], [3, 9], [4, 9], [5, 10]])
    flags = np.array([1, 0, 0, 0, 1, 0], dtype=np.int8)
    world = GraphWorld(6, GraphInput(np.zeros((0, 2), dtype=np.int64), flags), GraphInput(sharing(holdings)))
    assert world.play(mode, "flagged").asker.counts == [0, 1, 1, 2, 0, 0]


@MODES
def test_pairs_count_an_edge_of_both_owners_once(mode: Mode) -> None:
    bank = undirected(np.array([[0, 2], [0, 3], [1, 3], [4, 5]]))
    telecom = undirected(np.array([[0, 2], [1, 2], [1, 5]]))
    asked = np.array([[0, 1], [1, 0], [4, 4], [2, 4], [0, 1]])
    world = GraphWorld(6, GraphInput(bank, pairs=asked), GraphInput(telecom))
    found = world.play(mode, "pairs").asker.pairs
    assert [(one.common, one.first, one.second) for one in found] == [
        (2, 2, 3),
        (2, 3, 2),
        (1, 1, 1),
        (0, 2, 1),
        (2, 2, 3),
    ]


@MODES
def test_pairs_in_several_blocks(mode: Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    world = graph_world(pairs=5)
    whole = world.play(mode, "pairs").asker.pairs
    monkeypatch.setattr("tongzhou.secure.graph_pairs._BLOCK_WORDS", 400)
    assert world.play(mode, "pairs").asker.pairs == whole
    union = np.maximum(adjacency(world.asker.edges, 40), adjacency(world.provider.edges, 40))
    common = union @ union
    assert [one.common for one in whole] == [int(common[tuple(pair)]) for pair in world.asker.pairs]
    assert sum(one.common for one in whole) > 0


@MODES
@pytest.mark.parametrize("feature", ["risk", "reach", "flagged"])
def test_receivers_and_nobody_else_get_the_result(mode: Mode, feature: str) -> None:
    alone = WORLD.play(mode, feature)
    both = WORLD.play(mode, feature, receivers="both")
    assert alone.provider is None
    assert both.provider == both.asker
    if mode == "aided":
        for outcome, roles in ((alone, ("asker",)), (both, ("asker", "provider"))):
            for opened in outcome.openings.values():
                assert [(one.count, one.receivers, one.reason) for one in opened] == [
                    (WORLD.nodes, roles, "grant: graph")
                ]


@MODES
@pytest.mark.parametrize("bounds", [(0, 0), (0, 90), (120, 0)])
def test_an_owner_without_edges(mode: Mode, bounds: tuple[int, int]) -> None:
    none = np.zeros((0, 2), dtype=np.int64)
    asker = replace(WORLD.asker, edges=WORLD.asker.edges if bounds[0] else none)
    provider = GraphInput(WORLD.provider.edges if bounds[1] else none)
    world = GraphWorld(WORLD.nodes, asker, provider)
    options = GraphSettings(WORLD.nodes, *bounds, minimum_flagged=1, rounds=2)
    risk = simulate(mode, GraphTask(options), asker, provider).asker.risk
    assert np.abs(np.array(risk) - dense_risk(world, options)).max() < 2.0**-9
    reach = simulate(mode, GraphTask(msgspec.structs.replace(options, feature="reach")), asker, provider)
    assert reach.asker.counts == within(world, 2)


@pytest.mark.parametrize("feature", ["risk", "reach", "flagged", "pairs"])
def test_modes_agree(feature: str) -> None:
    world = graph_world(90, (200, 150), seed=5)
    clear, aided = (world.play(mode, feature).asker for mode in ("local", "aided"))
    assert clear.counts == aided.counts
    assert clear.pairs == aided.pairs
    assert np.abs(np.array(clear.risk) - np.array(aided.risk)).max(initial=0) <= 1.5 * 2.0**-10
    assert clear.risk or clear.counts or clear.pairs


def test_pair_mode_is_refused() -> None:
    with pytest.raises(PlanError, match="graph does not run in mode pair; it runs in local, aided"):
        WORLD.play("pair", "risk")


# --- arithmetic --------------------------------------------------------------------------------------------


@st.composite
def graphs(draw: Any) -> tuple[int, np.ndarray, int]:
    nodes = draw(st.integers(1, 12))
    places = st.integers(0, nodes - 1)
    edges = draw(st.sets(st.tuples(places, places), max_size=30))
    array = np.array(sorted(edges), dtype=np.int64).reshape(-1, 2)
    return nodes, array, len(array) + draw(st.integers(0, 9))


@settings(max_examples=150, deadline=None)
@given(graphs(), st.integers(0, 2**32), st.sampled_from(["<u8", "<u4"]))
def test_running_sums_over_three_orders_are_the_matrix(graph: Any, seed: int, kind: str) -> None:
    """Any directed graph, loops too, any padding, modulo the size of the word."""
    nodes, edges, bound = graph
    values = np.random.default_rng(seed).integers(0, np.iinfo(kind).max, (2, nodes), dtype=kind)
    orders = orders_of(edges, nodes, bound)
    for order in orders:
        assert sorted(order.tolist()) == list(range(nodes + bound))
    wanted = np.zeros_like(values)
    np.add.at(wanted, (slice(None), edges[:, 1]), values[:, edges[:, 0]])
    found = sums_by_orders(orders, values)
    assert found.dtype == values.dtype
    assert (found == wanted).all()


@settings(max_examples=15, deadline=None)
@given(graphs(), st.sampled_from(["asker", "provider"]), st.sampled_from(["<u8", "<u4"]))
def test_shared_sums_are_the_matrix(graph: Any, owner: str, kind: str) -> None:
    nodes, edges, bound = graph
    source = np.random.default_rng(nodes + bound)
    shares = {
        role: source.integers(0, np.iinfo(kind).max, (3, nodes), dtype=kind) for role in ("asker", "provider")
    }

    def program(engine: AidedEngine) -> Any:
        role = engine.party.role
        edge_map = hide_edges(engine, owner, (nodes, bound), edges if role == owner else None)
        # Twice: orders are told once, masks are fresh.
        uses = [neighbour_sums(engine, edge_map, shares.get(role), lanes=3, kind=kind) for _ in range(2)]
        assert uses[0] is None or (uses[0] != uses[1]).all()
        return uses

    found = play(program)
    values = shares["asker"] + shares["provider"]
    wanted = np.zeros_like(values)
    np.add.at(wanted, (slice(None), edges[:, 1]), values[:, edges[:, 0]])
    assert found["helper"] == [None, None]
    for first, second in zip(found["asker"], found["provider"], strict=True):
        assert (first + second == wanted).all()


@settings(max_examples=20, deadline=None)
@given(graphs(), st.data(), st.sampled_from(["risk", "reach", "flagged", "pairs"]))
def test_features_of_any_two_graphs_agree_with_the_clear(graph: Any, data: Any, feature: str) -> None:
    """The second graph is drawn over the same nodes; flags and pairs are any."""
    nodes, first, _ = graph
    places = st.integers(0, nodes - 1)
    second = data.draw(st.sets(st.tuples(places, places), max_size=30))
    flags = np.array(data.draw(st.lists(st.integers(0, 1), min_size=nodes, max_size=nodes)), dtype=np.int8)
    pairs = np.array(data.draw(st.lists(st.tuples(places, places), min_size=1, max_size=3)), dtype=np.int64)
    edges = [
        one[one[:, 0] != one[:, 1]] for one in (first, np.array(sorted(second)).reshape(-1, 2).astype(int))
    ]
    world = GraphWorld(nodes, GraphInput(edges[0], flags, pairs), GraphInput(edges[1]))
    clear, aided = (
        world.play(mode, feature, rounds=2, minimum_flagged=0).asker for mode in ("local", "aided")
    )
    assert clear.counts == aided.counts
    assert clear.pairs == aided.pairs
    assert np.abs(np.array(clear.risk) - np.array(aided.risk)).max(initial=0) <= 1.5 * 2.0**-10


def test_a_hub_with_all_nodes_keeps_its_precision() -> None:
    """A thousand neighbours, a third of them flagged: the mean is exact to the opened bits."""
    hub = undirected(np.stack([np.zeros(999, dtype=np.int64), np.arange(1, 1000)], axis=1))
    flags = (np.arange(1000) % 3 == 1).astype(np.int8)
    world = GraphWorld(1000, GraphInput(hub, flags), GraphInput(hub[:0]))
    options = {"rounds": 1, "damping": 1.0, "provider_weight": 0.0, "opened_bits": 24}
    risk = world.play("aided", "risk", **options).asker.risk
    assert risk[0] == pytest.approx(333 / 999, abs=2.0**-23)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 5)), max_size=30),
    st.integers(1, 6),
)
def test_sharing_joins_who_holds_the_same(holdings: list[tuple[int, int]], largest: int) -> None:
    held = set(holdings)
    wanted = set()
    for thing in {one[1] for one in held}:
        group = sorted(node for node, what in held if what == thing)
        if len(group) <= largest:
            wanted |= {(a, b) for a in group for b in group if a != b}
    found = sharing(np.array(holdings, dtype=np.int64).reshape(-1, 2), largest)
    assert sorted(wanted) == [tuple(row) for row in found.tolist()]


def test_undirected_merges_and_drops_loops() -> None:
    found = undirected(np.array([[3, 1], [1, 3], [2, 2], [3, 1], [0, 3]]))
    assert found.tolist() == [[0, 3], [1, 3], [3, 0], [3, 1]]


def test_settings_and_results_travel_as_json() -> None:
    given = WORLD.settings("reach", rounds=2, receivers="both")
    assert msgspec.json.decode(msgspec.json.encode(given), type=GraphSettings) == given
    result = WORLD.play("local", "pairs").asker
    assert msgspec.json.decode(msgspec.json.encode(result), type=GraphResult) == result
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(
            b'{"nodes":3,"asker_edges":1,"provider_edges":1,"feature":"all"}', type=GraphSettings
        )
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"nodes":3,"asker_edges":1,"provider_edges":1,"steps":1}', type=GraphSettings)


# --- what is refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"nodes": 0}, "graph.nodes is 0; from 1 to"),
        ({"nodes": (1 << 20) + 1}, "graph.nodes"),
        ({"asker_edges": -1}, "graph.asker_edges"),
        ({"provider_edges": 1 << 23}, "graph.provider_edges"),
        ({"rounds": 0}, "graph.rounds is 0; from 1 to 32"),
        ({"damping": 0.0}, "graph.damping"),
        ({"damping": float("nan")}, "graph.damping"),
        ({"provider_weight": 1.5}, "graph.provider_weight is 1.5; from 0 to 1"),
        ({"opened_bits": 3}, "graph.opened_bits is 3; from 4 to 24"),
        ({"minimum_flagged": 41}, "graph.minimum_flagged is 41; from 0 to 40"),
        ({"pairs": 1}, "graph.pairs is 1; from 0 to 0"),
        ({"feature": "pairs"}, "graph.pairs is 0; from 1 to 4096"),
        ({"feature": "pairs", "pairs": 1, "receivers": "both"}, "receivers must be asker"),
        ({"feature": "flagged", "asker_edges": 3}, "asker_edges must be 0"),
        ({"feature": "flagged", "asker_edges": 0, "provider_edges": 0}, "graph.provider_edges is 0"),
    ],
)
def test_settings_that_do_not_fit_are_refused(change: dict, sentence: str) -> None:
    given = msgspec.structs.replace(WORLD.settings("risk"), **change)
    with pytest.raises(PlanError, match=sentence):
        check_graph(given)
    for mode in SUPPORT["graph"]:
        with pytest.raises(PlanError, match=sentence):
            simulate(mode, GraphTask(given), WORLD.asker, WORLD.provider)


def test_settings_at_the_limits_are_accepted() -> None:
    check_graph(GraphSettings(1 << 20, 1 << 22, 1 << 22, rounds=32, damping=1.0, opened_bits=24))


EDGES = WORLD.asker.edges
FLAGS = WORLD.asker.flagged


@pytest.mark.parametrize(
    ("own", "sentence"),
    [
        (GraphInput(EDGES.astype(float), FLAGS), "edges must be signed whole numbers in two columns"),
        (GraphInput(EDGES.astype(np.uint64), FLAGS), "edges must be signed whole numbers in two columns"),
        (GraphInput(EDGES.reshape(-1), FLAGS), "edges must be signed whole numbers in two columns"),
        (GraphInput(np.zeros((900, 2), dtype=np.int64), FLAGS), "there are 900 edges; at most"),
        (GraphInput(np.array([[0, 40]]), FLAGS), "not among the 40 matched"),
        (GraphInput(np.array([[-1, 4]]), FLAGS), "not among the 40 matched"),
        (GraphInput(np.array([[1, 4], [1, 4]]), FLAGS), "a repeat or a loop"),
        (GraphInput(np.array([[4, 4]]), FLAGS), "a repeat or a loop"),
        (GraphInput(EDGES), "a flag of 0 or 1 for each of the 40 nodes"),
        (GraphInput(EDGES, FLAGS[1:]), "a flag of 0 or 1"),
        (GraphInput(EDGES, FLAGS * np.int8(2)), "a flag of 0 or 1"),
        (GraphInput(EDGES, FLAGS * np.int8(0)), "fewer than 1 nodes are flagged"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(own: GraphInput, sentence: str) -> None:
    given = WORLD.settings("risk")
    with pytest.raises(DataError, match=sentence):
        check_input(given, "asker", own)
    with pytest.raises(DataError, match=sentence):
        simulate("local", GraphTask(given), own, WORLD.provider)


@pytest.mark.parametrize("pairs", [None, np.zeros((2, 2), dtype=np.int64), np.array([[0, 40]] * 3)])
def test_pairs_that_do_not_fit_are_refused(pairs: Any) -> None:
    with pytest.raises(DataError, match="must bring 3 pairs of nodes below 40"):
        check_input(WORLD.settings("pairs", pairs=3), "asker", GraphInput(EDGES, pairs=pairs))


def test_the_default_refuses_a_single_flagged_node() -> None:
    """The number of flags is not in the sentence."""
    one = np.zeros(40, dtype=np.int8)
    one[3] = 1
    with pytest.raises(DataError) as refused:
        check_input(GraphSettings(40, 200, 100), "asker", GraphInput(EDGES, one))
    assert refused.value.values == {"minimum": 5}


@pytest.mark.parametrize("role", ["asker", "provider"])
def test_a_refused_input_has_sent_nothing(role: str) -> None:
    watch = Watch()
    wrong = np.array([[4, 4]])
    asker = GraphInput(wrong, FLAGS) if role == "asker" else WORLD.asker
    provider = GraphInput(wrong) if role == "provider" else WORLD.provider
    with pytest.raises(DataError, match="a repeat or a loop"):
        simulate("aided", GraphTask(WORLD.settings("risk")), asker, provider, watch=watch)
    assert all(message.sender != role for view in watch.views.values() for message in view)


@pytest.mark.parametrize("tag", ["graph.orders", "graph.values"])
def test_words_of_another_length_are_refused(tag: str) -> None:
    """The provider is one place short in one of three arrays."""

    def bent(session: Session) -> Session:
        if session.me == "provider":
            link = session.links["asker"]
            send = link.send

            def shorter(name: str, value: Any, arrays: Any = ()) -> None:
                send(name, value, [*arrays[:-1], arrays[-1][..., 1:]] if name == tag else arrays)

            link.send = shorter
        return session

    with pytest.raises(ProtocolError, match=tag):
        WORLD.play("aided", "risk", watch=bent)


@pytest.mark.parametrize("spoil", ["repeat", "beyond"])
@pytest.mark.parametrize("owner", ["asker", "provider"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_order_that_is_no_permutation_is_refused(spoil: str, owner: str, place: int) -> None:
    """The other owner says so; the graph's owner has only sent by then."""
    edges = np.array([[0, 1], [1, 2]])

    def program(engine: AidedEngine) -> Any:
        if engine.party.role == owner:
            send = engine.party.peer.send

            def bent(tag: str, value: Any, arrays: Any = ()) -> None:
                arrays = [array.copy() for array in arrays]
                arrays[place][0] = arrays[place][1] if spoil == "repeat" else 9
                send(tag, value, arrays)

            engine.party.peer.send = bent
        mine = edges if engine.party.role == owner else None
        return hide_edges(engine, owner, (4, 5), mine)

    with pytest.raises(ProtocolError, match="order of nodes and edges that is not a permutation"):
        play(program)
