"""What each party receives while statistics are answered: told bits, answers, and uniform words."""

from typing import Any

import numpy as np
import pytest
from secure_worlds import NAMES, ROLES, Watch, chi_square, play
from statistics_worlds import Town, at_least, count, flagged, histories, town

from tongzhou.errors import ProtocolError
from tongzhou.parties.disclosure import DisclosurePolicy
from tongzhou.secure.answered import name_rows
from tongzhou.secure.cells import Part, joint_cells
from tongzhou.secure.guard import Course
from tongzhou.secure.owner_side import StatisticsInput
from tongzhou.secure.party import OWNERS, Party
from tongzhou.secure.sketches import BUCKETS, Sketcher
from tongzhou.secure.statistic_requests import Correlation, Evidence, Quantiles, Totals
from tongzhou.secure.statistics import StatisticsTask
from tongzhou.secure.tasks import Seat
from tongzhou.wire.memory import run_parties
from tongzhou.wire.messages import Session

ROWS = 1200
RULES = DisclosurePolicy(minimum_rows=10, count_base=5, largest_share=90)
PLAIN = DisclosurePolicy(minimum_rows=10)
COLUMNS = ("asker.age", "provider.balance", "provider.visits")
REQUESTS: dict[str, tuple[Any, DisclosurePolicy]] = {
    "count": (count("r", at_least("asker.age", 30), at_least("provider.income", 2000)), PLAIN),
    "totals": (Totals(name="r", by=("asker.region",), columns=("provider.balance", "asker.age")), RULES),
    "variance": (Totals(name="r", by=("provider.sector",), columns=("asker.age",), variance=True), PLAIN),
    "evidence": (Evidence(name="r", bins="provider.sector", label="asker.default"), PLAIN),
    "quantiles": (Quantiles(name="r", column="provider.income", by="asker.region"), PLAIN),
    "matrix": (Correlation(name="r", columns=COLUMNS), PLAIN),
    "inflation": (Correlation(name="r", columns=COLUMNS, shows="inflation"), PLAIN),
}
ANSWERS = {
    "count": {"counts"},
    "totals": {"counts", "sums"},
    "variance": {"counts", "sums", "variances"},
    "evidence": {"rows", "events"},
    "quantiles": {"quantiles"},
    "matrix": {"correlations"},
    "inflation": {"variance inflation factors"},
}
COVERS = {"totals": "asker", "variance": "provider", "evidence": "provider"}
"""Who tells whether its category covers all rows."""
SEEDS = {("asker", "aided.seed"), ("provider", "aided.seed")}
TOLD = {"statistics.hello", "statistics.sets", "statistics.audit", "statistics.noted"}
LARGE = "open.which groups of r are large enough"
EARLIER = "open.whether r may be answered after earlier answers"
MASKED = {
    "hide",
    "masked.compare",
    "masked.index",
    "masked.matmul",
    "masked.truncate",
    "product.scale",
    "product.transpose",
}


def watched(kind: str, *, first: bool = True, receivers: Any = ("asker",), one: Town | None = None) -> Watch:
    """One request, with a record; alone, or after another."""
    request, policy = REQUESTS[kind]
    asked = type(request)(
        **{f: getattr(request, f) for f in request.__struct_fields__} | {"receivers": receivers}
    )
    before = [] if first else [count("before", at_least("asker.age", 45))]
    watch = Watch()
    world = town(ROWS) if one is None else one
    outcome = world.ask(*before, asked, policy=policy, watch=watch, histories=histories())
    assert type(outcome.asker[-1]).__name__ != "Refusal", outcome.asker[-1]
    return watch


def expected(kind: str, role: str, *, receivers: tuple[str, ...]) -> set[tuple[str, str]]:
    """All that a role may receive in the clear."""
    covers = {(COVERS[kind], "statistics.covers")} if COVERS.get(kind, role) != role else set()
    if role == "helper":
        return SEEDS | {("asker", "statistics.course"), ("asker", "statistics.watched")} | covers
    other = "provider" if role == "asker" else "asker"
    found = {(other, tag) for tag in TOLD} | {(other, LARGE)} | covers
    if role == "provider":
        found |= {("asker", "statistics.watched"), ("asker", "statistics.entry")}
    if kind == "variance":
        found.add((other, "statistics.scale"))
    if role in receivers:
        found |= {(other, f"open.{what} of r") for what in ANSWERS[kind]}
    return found


def is_masked(sender: str, tag: str) -> bool:
    return tag in MASKED or (sender == "helper" and tag.split(".", maxsplit=1)[0] in ("deal", "product"))


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("receivers", [("asker",), ("provider",)])
@pytest.mark.parametrize("kind", REQUESTS)
def test_nothing_arrives_but_what_the_statements_say(kind: str, role: str, receivers: Any) -> None:
    watch = watched(kind, receivers=receivers)
    told = {kind_ for kind_ in watch.tags(role) if not is_masked(*kind_)}
    assert told == expected(kind, role, receivers=receivers)
    for message in watch.views[role]:
        if is_masked(message.sender, message.tag) or message.tag.startswith("open."):
            assert message.value is None
        else:
            assert not message.arrays


@pytest.mark.parametrize("role", OWNERS)
def test_a_later_request_tells_one_bit_more(role: str) -> None:
    watch = watched("count", first=False)
    other = "provider" if role == "asker" else "asker"
    messages = [m for m in watch.views[role] if m.tag == EARLIER]
    assert [(m.sender, m.arrays[0].shape) for m in messages] == [(other, (1,))]


@pytest.mark.parametrize("role", OWNERS)
@pytest.mark.parametrize("kind", REQUESTS)
def test_every_kind_of_masked_word_is_uniform(kind: str, role: str) -> None:
    """Also of a town where all clients are alike, so that masked values are the same again and again."""
    alike = town(ROWS)
    if kind not in ("count", "matrix", "inflation"):
        for columns in (alike.asker, alike.provider):
            columns |= {name: np.full(ROWS, values.max()) for name, values in columns.items()}
        alike.asker["default"] = np.ones(ROWS)
    watch = watched(kind, one=alike)
    kinds = {(m.sender, m.tag) for m in watch.views[role] if is_masked(m.sender, m.tag)}
    assert len(kinds) >= 3
    for sender, tag in kinds:
        data = np.concatenate(
            [
                array.reshape(-1).view(np.uint8)
                for m in watch.views[role]
                if (m.sender, m.tag) == (sender, tag)
                for array in m.arrays
            ]
        )
        # The last byte of a message of indices may be half full.
        if len(data) >= 256 * 10:
            assert abs(chi_square(data)) < 6, (sender, tag)


def test_closed_cells_are_not_opened() -> None:
    """Of a table with small cells, only the open ones' counts and sums arrive."""
    one = town(ROWS)
    codes = np.arange(ROWS) % 3
    codes[:4] = 3
    one.groups["asker.region"] = (codes, 5)
    watch = Watch()
    request = Totals(name="r", by=("asker.region",), columns=("provider.income",))
    (answer,) = one.ask(request, policy=PLAIN, watch=watch).asker
    assert answer.open[:, 0].tolist() == [True, True, False, False, False]
    shapes = {m.tag: m.arrays[0].shape for m in watch.views["asker"] if m.tag.startswith("open.")}
    assert shapes == {LARGE: (5, 1), "open.counts of r": (2,), "open.sums of r": (2,)}


@pytest.mark.parametrize("small", ["suppress", "refuse"])
def test_a_refused_request_opens_nothing_further(small: Any) -> None:
    watch = Watch()
    policy = DisclosurePolicy(minimum_rows=10, small=small)
    town(ROWS).ask(count("r", at_least("asker.age", 500)), policy=policy, watch=watch)
    for role in OWNERS:
        opened = [m.tag for m in watch.views[role] if m.tag.startswith("open.")]
        assert opened == [LARGE if small == "suppress" else "open.whether all groups of r are large enough"]


def test_numbers_of_sets_say_only_which_occurred_before() -> None:
    one = town(ROWS)
    one.asker["again"] = one.asker["age"]
    watch = Watch()
    one.ask(
        count("a", at_least("asker.age", 40)),
        count("b", at_least("asker.age", 60)),
        count("c", at_least("asker.again", 40)),
        policy=PLAIN,
        watch=watch,
    )
    sets = [m.value for m in watch.views["provider"] if m.tag == "statistics.sets"]
    # Each group and what is left beside it.
    assert sets == [[0, 1], [2, 3], [0, 1]]


def test_equal_groups_of_one_request_look_like_any() -> None:
    """Two empty groups get two numbers, so that nobody learns that they are equal."""
    one = town(ROWS)
    one.groups["asker.region"] = (np.arange(ROWS) % 3, 5)
    watch = Watch()
    one.ask(Totals(name="r", by=("asker.region",)), policy=PLAIN, watch=watch)
    assert [m.value for m in watch.views["provider"] if m.tag == "statistics.sets"] == [[0, 1, 2, 3, 4]]


def test_the_helper_cannot_tell_two_towns_apart() -> None:
    """Other clients, other groups: the same messages, the same course, as long as as much is open."""
    courses, shapes = [], []
    for seed in (1, 2):
        one = town(ROWS, seed=seed)
        watch = Watch()
        one.ask(
            *(REQUESTS[kind][0] for kind in ("count",)),
            Totals(name="t", by=("asker.region",)),
            count("again", at_least("asker.age", 50)),
            policy=PLAIN,
            watch=watch,
        )
        view = watch.views["helper"]
        shapes.append([message.shape for message in view])
        courses.append([m.value for m in view if m.tag == "statistics.course"])
    assert shapes[0] == shapes[1]
    assert courses[0] == courses[1]
    assert all(isinstance(course, Course) for course in courses[0])


def test_an_owners_record_does_not_say_which_rows_a_cell_had() -> None:
    """Its shares of sketches are uniform, whatever the cell; its own sets are its own."""
    one = town(ROWS)
    kept = histories()
    for place in range(1, 9):
        one.asker["some"] = (np.arange(ROWS) % 9 >= place).astype(float)
        one.ask(count("r", flagged("asker.some")), policy=PLAIN, histories=kept)
    for history in kept:
        shares = np.concatenate([entry.sketches.reshape(-1) for entry in history.entries()])
        assert len(shares) == 2 * 8 * (BUCKETS + 1)
        # A bucket that no row falls into is 0 in every sketch.
        filled = shares[shares != 0]
        assert len(filled) > 4 * BUCKETS // 2
        assert abs(chi_square(filled.view(np.uint8))) < 6


# --- costs -------------------------------------------------------------------------------------------------


def travelled(watch: Watch) -> int:
    """Bytes of arrays as long as the table."""
    return sum(
        array.nbytes
        for view in watch.views.values()
        for message in view
        for array in message.arrays
        if max(array.shape, default=0) >= ROWS
    )


@pytest.mark.parametrize("sketch", [False, True])
@pytest.mark.parametrize(("groups", "columns"), [((4, 1), (0, 2)), ((1, 3), (1, 0)), ((4, 3), (2, 1))])
def test_cells_cost_what_they_say(sketch: bool, groups: tuple[int, int], columns: tuple[int, int]) -> None:
    watch = Watch()

    def program(engine: Any) -> None:
        engine.party.session = watch(engine.party.session)
        parts = []
        for owner, k, v in zip(OWNERS, groups, columns, strict=True):
            here = engine.party.role == owner
            sets = np.arange(ROWS) % k == np.arange(k)[:, None] if here else None
            parts.append(Part(owner, k, v, sets, [np.ones(ROWS, dtype=np.uint64)] * v if here else None))
        sketcher = Sketcher(name_rows(b"k", [str(row) for row in range(ROWS)])) if engine.is_owner else None
        joint_cells(engine, ROWS, *parts, sketch=sketch, sketcher=sketcher)

    play(program)
    (asker, provider), (own, other) = groups, columns
    plain = 8 * ROWS * (asker + provider * (1 + other) + own * (asker + provider))
    assert travelled(watch) == plain + sketch * 8 * ROWS * provider * (asker + 1)


def test_rounds_do_not_grow_with_rows_or_groups() -> None:
    counts = []
    for rows, regions in ((300, 2), (3000, 20)):
        outcome = town(rows, regions=regions).ask(Totals(name="t", by=("asker.region",)), policy=PLAIN)
        counts.append(max(traffic.rounds for traffic in outcome.traffic["asker"].values()))
    assert counts[0] == counts[1] <= 20


# --- peers that send something else ----------------------------------------------------------------------


class Changed:
    """A link that changes one kind of message."""

    def __init__(self, link: Any, tag: str, change: Any) -> None:
        self._link, self._tag, self._change = link, tag, change

    def __getattr__(self, name: str) -> Any:
        return getattr(self._link, name)

    def send(self, tag: str, value: Any = None, arrays: Any = ()) -> None:
        self._link.send(tag, self._change(value) if tag == self._tag else value, arrays)


def cheated(cheater: str, other: str, tag: str, change: Any) -> None:
    """A count where one owner changes what it sends to the other."""
    task = StatisticsTask(60, (count("c"),), {}, PLAIN)
    inputs: dict[str, StatisticsInput | None] = {"helper": None}
    inputs |= dict(zip(OWNERS, town(60).inputs(), strict=True))

    def part(role: str) -> Any:
        def run(session: Session) -> Any:
            if role == cheater:
                session.links[other] = Changed(session.links[other], tag, change)
            return task.run(Seat(Party(role, session, NAMES), "aided"), inputs[role])

        return run

    run_parties({role: part(role) for role in ROLES}, timeout_s=5)


@pytest.mark.parametrize(
    ("tag", "change", "sentence"),
    [
        ("statistics.sets", lambda numbers: [*numbers, 7], "the provider numbered its row sets wrongly"),
        (
            "statistics.sets",
            lambda numbers: [-1 for _ in numbers],
            "the provider numbered its row sets wrongly",
        ),
        ("statistics.hello", lambda hello: b"something", "statistics.hello"),
        ("statistics.audit", lambda verdict: "no", "statistics.audit"),
    ],
)
def test_a_provider_that_sends_something_else_is_stopped(tag: str, change: Any, sentence: str) -> None:
    with pytest.raises(ProtocolError, match=sentence):
        cheated("provider", "asker", tag, change)


def test_an_asker_that_names_an_answer_wrongly_is_stopped() -> None:
    with pytest.raises(ProtocolError, match="asker named an answer with 1 bytes; 16 are due"):
        cheated("asker", "provider", "statistics.entry", lambda _: b"x")
