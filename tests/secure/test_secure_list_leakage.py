"""What each party of a list receives, message by message; and an asker who deviates gets nothing more."""

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
from list_worlds import DAY, EXPOSURE, LISTED, ListWorld, entries_of, terms_for, world
from secure_worlds import Watch, chi_square

from tongzhou.errors import ConflictError, ProtocolError
from tongzhou.secure import field
from tongzhou.secure.list_books import AskerBook
from tongzhou.secure.list_entries import ListEntries, pseudonyms
from tongzhou.secure.list_masks import TableMask
from tongzhou.secure.list_query import ListAsker
from tongzhou.secure.list_terms import Column, Measure
from tongzhou.secure.party import provider_roles
from tongzhou.secure.prg import Stream
from tongzhou.secure.retrieval import cells_for, places
from tongzhou.wire.messages import Session

ABOVE = Measure("large", "above", ("exposure",), bound=10)
SETUP_TAGS = {
    "asker": {"list.table", "list.rows", "list.keys", "list.gates"},
    "helper": {"list.secret", "list.keys", "list.gates"},
}


def uniform(words: np.ndarray) -> bool:
    """Whether elements of the field look uniform: their low seven bytes, the eighth has five bits."""
    data = np.ascontiguousarray(words).reshape(-1, 1).view(np.uint8)[:, :7]
    assert len(data) > 300
    return abs(chi_square(data.reshape(-1))) < 6


def arrays(watch: Watch, role: str, tag: str, place: int) -> np.ndarray:
    """One array of all messages with a tag that a role received, flat."""
    found = [message.arrays[place].reshape(-1) for message in watch.views[role] if message.tag == tag]
    return np.concatenate(found)


def same_everywhere(providers: int, people: int, value: int, **changes: Any) -> ListWorld:
    """Every provider has the same persons with the same number: the least uniform lists there are."""
    terms = terms_for(providers, columns=(Column("exposure", 10**9),), capacity=people, **changes)
    entries = ListEntries([f"p{n}" for n in range(people)], {"exposure": np.full(people, value)})
    return ListWorld(terms, dict.fromkeys(provider_roles(providers), entries))


def watched(built: ListWorld) -> tuple[ListWorld, Watch]:
    built.watch = Watch()
    return built, built.watch


def test_set_up_sends_what_it_says_to_whom_it_says() -> None:
    built, watch = watched(world(3, measures=(LISTED, EXPOSURE, ABOVE)))
    built.set_up()
    for role in provider_roles(3):
        assert watch.tags(role) == {("asker", "list.salt")}
        for receiver, tags in SETUP_TAGS.items():
            assert {tag for sender, tag in watch.tags(receiver) if sender == role} == tags
    assert {sender for sender, _ in watch.tags("helper")} == set(provider_roles(3))
    assert {sender for sender, _ in watch.tags("asker")} == set(provider_roles(3))


def test_the_helper_never_gets_salt_or_rows() -> None:
    built, watch = watched(world(2))
    built.set_up()
    salts = {message.value.salt for message in watch.views["provider"]}
    assert len(salts) == 1
    (salt,) = salts
    for record in built.stores["helper"].records.values():
        assert salt not in record.head
    for message in watch.views["helper"]:
        assert salt not in repr(message.value).encode()
        if message.tag == "list.secret":
            assert message.arrays == []


@pytest.mark.parametrize("people", [0, 400])
def test_masked_rows_are_uniform_and_of_one_size(people: int) -> None:
    built = same_everywhere(1, 400, 7)
    built.lists["provider"] = ListEntries([f"p{n}" for n in range(people)], {"exposure": np.full(people, 7)})
    built, watch = watched(built)
    built.set_up()
    rows = arrays(watch, "asker", "list.rows", 0).reshape(-1, built.terms.width + 1)
    assert rows.shape == (3 * (-(-5 * 400 // 12) + 16), 4)
    for column in rows.T:
        assert uniform(column)


def test_dealt_keys_are_uniform_whatever_the_lists() -> None:
    built, watch = watched(same_everywhere(1, 5, 7, per_day=2000, measures=(EXPOSURE, ABOVE)))
    built.set_up()
    for role in ("asker", "helper"):
        for tag in ("list.keys", "list.gates"):
            assert abs(chi_square(arrays(watch, role, tag, 0).view(np.uint8))) < 6
            assert abs(arrays(watch, role, tag, 1).mean() - 0.5) < 0.01
            assert uniform(arrays(watch, role, tag, 2))
        assert uniform(arrays(watch, role, "list.gates", 3))
    assert uniform(arrays(watch, "helper", "list.keys", 3))
    assert uniform(arrays(watch, "helper", "list.gates", 4))


def asked_all(built: ListWorld, people: list[str]) -> Watch:
    built.set_up()
    built.watch = Watch()
    built.ask(*people)
    return built.watch


@pytest.mark.parametrize("who", ["p", "nobody"])
def test_a_query_sends_masked_words_only(who: str) -> None:
    """Whether everybody lists the persons, with the same number, or nobody does."""
    built = same_everywhere(2, 400, 7, per_day=400, burst=400, measures=(LISTED, EXPOSURE, ABOVE))
    watch = asked_all(built, [f"{who}{n}" for n in range(400)])
    assert watch.tags("helper") == {("asker", tag) for tag in ("list.turn", "list.ask", "list.sums")}
    assert watch.tags("asker") == {("helper", "list.answer"), ("helper", "list.over")}
    assert abs(chi_square(arrays(watch, "helper", "list.ask", 0).view(np.uint8))) < 6, "pseudonyms"
    assert uniform(arrays(watch, "helper", "list.ask", 1))
    assert uniform(arrays(watch, "helper", "list.sums", 0))
    for place in range(3):
        assert uniform(arrays(watch, "asker", "list.answer", place))
    for place in range(2):
        assert uniform(arrays(watch, "asker", "list.over", place))


def test_providers_receive_nothing_of_a_query() -> None:
    built = world(3)
    watch = asked_all(built, ["p1", "p2"])
    assert {role for role in watch.views if watch.views[role]} == {"asker", "helper"}


def test_messages_have_one_shape_whether_listed_or_not() -> None:
    shapes = []
    for who in ("p", "nobody"):
        watch = asked_all(same_everywhere(2, 10, 7), [f"{who}{n}" for n in range(10)])
        shapes.append(
            {role: [message.shape for message in watch.views[role]] for role in ("asker", "helper")}
        )
    assert shapes[0] == shapes[1]


def test_pseudonyms_of_two_epochs_cannot_be_linked() -> None:
    seen = []
    for _ in range(2):
        watch = asked_all(world(2), ["p1", "p2"])
        seen.append(arrays(watch, "helper", "list.ask", 0))
    assert not set(seen[0].tolist()) & set(seen[1].tolist())


def test_any_says_that_and_not_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the asker opens is uniform, whether one list names the person or all three do."""
    opened: list[np.ndarray] = []
    inner = ListAsker._values
    monkeypatch.setattr(
        ListAsker, "_values", lambda self, totals: (opened.append(totals), inner(self, totals))[1]
    )
    for holders in (1, 3):
        built = same_everywhere(3, 400, 7, per_day=400, burst=400, measures=(LISTED,))
        nobody = entries_of(built.terms, [], 1)
        built.lists |= dict.fromkeys(provider_roles(3)[holders:], nobody)
        opened.clear()
        built.set_up()
        assert {values["listed"] for values in built.ask(*(f"p{n}" for n in range(400)))} == {1}
        assert uniform(np.concatenate(opened))


def test_random_gains_differ_by_slot_and_provider() -> None:
    """Else two answers could be compared with each other."""
    built = same_everywhere(2, 2, 7, measures=(LISTED,)).set_up()
    secrets = {built.stores[role].get("e1").head for role in provider_roles(2)}
    assert len(secrets) == 2


# --- parties that deviate -----------------------------------------------------------------------------------


class _Bent:
    """A link whose outgoing messages of one tag are changed."""

    def __init__(self, link: Any, tag: str, change: Callable[[Any, list[np.ndarray]], Any]) -> None:
        self._link, self._tag, self._change = link, tag, change

    def __getattr__(self, name: str) -> Any:
        return getattr(self._link, name)

    def send(self, tag: str, value: Any = None, arrays: Any = ()) -> None:
        if tag == self._tag:
            copies = [array.copy() for array in arrays]
            value, arrays = self._change(value, copies) or (value, copies)
        self._link.send(tag, value, arrays)


def bend(role: str, tag: str, change: Callable[[Any, list[np.ndarray]], Any]) -> Callable[[Session], Session]:
    """Pass it as `watch`: one role's messages of a tag are changed on their way out."""

    def wrap(session: Session) -> Session:
        if session.me != role:
            return session
        return Session(session.me, {peer: _Bent(link, tag, change) for peer, link in session.links.items()})

    return wrap


def replace_struct(value: Any, **changes: Any) -> Any:
    """The same message with other fields, unchecked."""
    return msgspec.structs.replace(value, **changes)


def _shift(place: int, *where: int, by: int = 1) -> Callable[[Any, list[np.ndarray]], None]:
    def change(_value: Any, arrays: list[np.ndarray]) -> None:
        words = arrays[place][where]
        arrays[place][where] = field.add(words[None], np.array([by], np.uint64))[0]

    return change


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(_shift(1, 1, 0, 2, by=1 << 40), id="marks one provider's number"),
        pytest.param(_shift(1, 0, 0, 0), id="leaves one provider out"),
        pytest.param(_shift(1, 0, 0, 3), id="changes a column that is not opened"),
        pytest.param(_shift(2, 1, 0), id="changes an authenticator"),
        pytest.param(lambda _v, a: a[1].__setitem__((0,), a[1][1]), id="shows another provider's row"),
        pytest.param(
            lambda _v, a: a[0].__setitem__((0, 0), a[0][0, 0] + np.uint64(1)), id="asks for another row"
        ),
    ],
)
def test_an_asker_that_deviates_is_refused_and_learns_nothing(change: Any) -> None:
    """An asker could else mark each provider's number with a power of its own, and see who answered."""
    built = same_everywhere(2, 5, 7, measures=(EXPOSURE,))
    built.terms = replace_struct(built.terms, columns=(Column("exposure", 10**9), Column("other", 5)))
    built.lists = {
        role: ListEntries(e.identifiers, {**e.columns, "other": np.zeros(5, int)})
        for role, e in built.lists.items()
    }
    built.set_up()
    built.watch = bend("asker", "list.ask", change)
    with pytest.raises(ProtocolError, match="helper refuses: asker does not show what its tables hold"):
        built.ask("p1")
    built.watch = Watch()
    assert built.ask("p2") == [{"exposure": 14}], "the slot is used up, and the next one answers"
    assert built.ledgers["helper"].accounts[f"asker.e1.{DAY}"].next_slot == 2


def test_the_same_question_in_other_words_finds_nothing() -> None:
    """In a small table other pseudonyms with the same places are easy to find; their tags differ.

    Else an asker could ask the same again, for another draw of noise.
    """
    built = same_everywhere(1, 1, 7, changes=1)
    built.set_up()
    cells = cells_for(1)
    store = built.stores["asker"]
    attempt = AskerBook.open(store, "e1").heads("provider")[0].attempt
    name = pseudonyms(AskerBook.open(store, "e1").salt, ["p0"])
    others = Stream(bytes(32)).words(60_000, 2)
    same = others[(places(others, attempt, cells) == places(name, attempt, cells)).all(axis=1)]
    assert len(same) > 3
    queue = [*same[:3], name[0]]
    built.watch = bend("asker", "list.ask", lambda _v, a: a[0].__setitem__(0, queue.pop(0)))
    assert built.ask("p0")[0] == {"listed": 0, "exposure": 0}
    for turn, values in enumerate(({"listed": 0, "exposure": 0},) * 2 + ({"listed": 1, "exposure": 7},)):
        built.ledgers["asker"].notes.clear()
        assert built.ask("p0")[0] == values, turn


def test_one_message_does_not_ask_the_same_twice() -> None:
    built = world(2).set_up()
    built.watch = bend("asker", "list.ask", lambda _v, a: a[0].__setitem__(1, a[0][0]))
    with pytest.raises(ConflictError, match="helper refuses: this was asked before"):
        built.ask("p1", "p2")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda v, a: (v, [a[0][:1], *a[1:]]), "asks 2 queries and names 1"),
        (lambda v, a: (v, [a[0], a[1][:1], a[2]]), "sent list.ask with arrays of other shapes than are due"),
        (lambda v, a: (v, [*a[:2], a[2][:, :1]]), "sent list.ask with arrays of other shapes than are due"),
        (lambda v, a: (v, [a[0], a[1][:, :, 1:], a[2]]), "sent list.ask with array 1 of"),
        (
            lambda v, a: (v, [a[0], a[1] + np.uint64(1 << 62), a[2]]),
            "list.ask with a number outside the field",
        ),
        (lambda v, a: (replace_struct(v, count=0), a), "sent list.ask with a value of another type"),
        (lambda v, a: (replace_struct(v, count=257), a), "sent list.ask with a value of another type"),
        (lambda v, a: (replace_struct(v, first=-1), a), "sent list.ask with a value of another type"),
        (lambda v, a: (replace_struct(v, epoch="e2"), a), "epoch e2 of the lists is not known here"),
        (lambda v, a: (replace_struct(v, state=bytes(16)), a), "the asker's tables are not those"),
        (lambda v, a: (replace_struct(v, first=10**6), a), "the quota of 200 queries a day is used up"),
    ],
)
def test_malformed_questions(change: Any, sentence: str) -> None:
    built = world(2).set_up()
    built.watch = bend("asker", "list.ask", change)
    with pytest.raises(Exception, match=sentence) as caught:
        built.ask("p1", "p2")
    assert type(caught.value).__module__ == "tongzhou.errors"


@pytest.mark.parametrize(
    ("tag", "change", "sentence"),
    [
        ("list.answer", lambda v, a: (v, [a[0][:, :1], *a[1:]]), "list.answer with arrays of other shapes"),
        ("list.answer", lambda v, a: (v, [*a[:2], a[2] + np.uint64(1 << 62)]), "a number outside the field"),
        (
            "list.answer",
            _shift(2, 1, 0, by=1 << 50),
            "measure exposure gives a number that no lists can give",
        ),
        ("list.over", _shift(1, 0, 0, by=5), "measure large gives a number that no lists can give"),
        ("list.over", lambda v, a: (v, [a[0][:, :1], a[1]]), "list.over with array 0"),
        (
            "list.answer",
            lambda v, a: (replace_struct(v, kind="Boom", reason="x\x07y" * 900), a),
            "refuses: x y",
        ),
    ],
)
def test_a_helper_that_answers_wrongly(tag: str, change: Any, sentence: str) -> None:
    built = same_everywhere(2, 5, 7, measures=(LISTED, EXPOSURE, ABOVE)).set_up()
    built.watch = bend("helper", tag, change)
    with pytest.raises(ProtocolError, match=sentence) as caught:
        built.ask("p1", "p2")
    assert len(str(caught.value)) < 1200


def _head(**changes: Any) -> Callable[[Any, list[np.ndarray]], Any]:
    return lambda v, a: (replace_struct(v, head=replace_struct(v.head, **changes)), a)


@pytest.mark.parametrize(
    ("tag", "change", "sentence"),
    [
        ("list.table", _head(cells=96), "provider sent a table of another kind or size than agreed"),
        ("list.table", _head(attempt=64), "provider sent a table of another kind or size than agreed"),
        ("list.table", _head(attempt=-1), "provider sent a table of another kind or size than agreed"),
        ("list.table", _head(kind="changes"), "provider sent a table of another kind or size than agreed"),
        ("list.table", _head(version=1), "provider sent a table with a version out of order"),
        ("list.secret", _head(cells=96), "provider sent a table of another kind or size than agreed"),
        (
            "list.secret",
            lambda v, a: (replace_struct(v, secret=None), a),
            "without the secret behind its masks",
        ),
        ("list.secret", lambda v, a: (replace_struct(v, secret=b"short"), a), "with a value of another type"),
        ("list.rows", lambda v, a: (v, [a[0][1:]]), "provider sent list.rows with array 0"),
        (
            "list.rows",
            lambda v, a: (v, [a[0] | np.uint64(1 << 63)]),
            "list.rows with a number outside the field",
        ),
        ("list.keys", _head(day=DAY + 1), "provider dealt keys for another table or day than is due"),
        ("list.keys", _head(version=3), "provider dealt keys for another table or day than is due"),
        ("list.keys", lambda v, a: (v, [a[0][1:], *a[1:]]), "provider sent list.keys with array 0"),
        ("list.keys", lambda v, a: (v, [a[0], a[1] + np.uint8(2), *a[2:]]), "a bit that is neither 0 nor 1"),
        ("list.keys", lambda v, a: (v, [*a[:2], a[2] | np.uint64(1 << 63), *a[3:]]), "outside the field"),
        ("list.gates", lambda v, a: (replace_struct(v, day=1), a), "dealt keys for another table or day"),
        ("list.gates", lambda v, a: (v, [*a[:3], a[3] | np.uint64(1 << 63), *a[4:]]), "outside the field"),
        (
            "list.table",
            lambda v, a: (replace_struct(v, terms=bytes(16)), a),
            "provider holds other terms of the",
        ),
    ],
)
def test_a_provider_that_sends_something_else(tag: str, change: Any, sentence: str) -> None:
    built = world(1, measures=(LISTED, EXPOSURE, ABOVE))
    built.watch = bend("provider", tag, change)
    with pytest.raises(ProtocolError, match=sentence):
        built.set_up()


def test_an_asker_with_other_terms() -> None:
    built = world(1)
    built.watch = bend("asker", "list.salt", lambda v, a: (replace_struct(v, terms=bytes(16)), a))
    with pytest.raises(ProtocolError, match="asker holds other terms of the lists than this party"):
        built.set_up()


def test_a_provider_that_deals_nonsense_spoils_answers_and_is_noticed() -> None:
    """Its keys do not fit each other: the sum is noise, which no lists can give."""
    built = same_everywhere(2, 5, 7, measures=(EXPOSURE,))
    built.watch = bend("provider2", "list.keys", lambda v, a: a[2].__setitem__(0, a[2][1]))
    built.set_up()
    built.watch = None
    with pytest.raises(ProtocolError, match="exposure gives a number that no lists can give: a table"):
        built.ask("p1")


# --- masks and their authenticators -------------------------------------------------------------------


def test_pads_of_single_cells_are_those_of_the_table() -> None:
    for width in (1, 2, 3, 4):
        mask = TableMask(bytes(range(32)), width)
        hidden = mask.hide(np.zeros((70_000, width), np.uint64))
        at = np.array([[0, 1], [65_535, 65_536], [69_999, 5]])
        pads = mask.at(at)
        assert pads.shape == (3, 2, width + 1)
        assert np.array_equal(field.negate(pads[..., :-1]), hidden[at][..., :-1])


def test_secrets_are_not_shown() -> None:
    mask = TableMask(bytes(range(32)), 2)
    assert repr(mask) == "TableMask(secret=********)"
    built = world(1).set_up()
    shown = repr(built.stores["helper"].get("e1.provider.base"))
    assert shown.startswith("Record(") and "secret" not in shown
