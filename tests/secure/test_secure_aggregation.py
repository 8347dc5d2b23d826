"""Sums of many: exact, also when some leave at any phase; nothing else arrives; broken peers are refused."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from federated_worlds import Fate, Gone, Played, agreed, play_group, roles_of
from hypothesis import given, settings
from hypothesis import strategies as st
from secure_worlds import Received, Watch, chi_square

from tongzhou.errors import DataError, NotFoundError, PeerError, PlanError, ProtocolError, VerificationError
from tongzhou.parties.card import issue_card
from tongzhou.parties.identity import Identity
from tongzhou.parties.times import utc_now
from tongzhou.parties.trust import TrustStore
from tongzhou.secure.aggregation import Aggregation
from tongzhou.secure.aggregation_settings import AggregationSettings, for_sum, members_of
from tongzhou.secure.party import Party
from tongzhou.secure.ring import decode
from tongzhou.secure.vouching import IdentityVoucher
from tongzhou.wire.messages import Session

LENGTH = 7
PHASES = ["aggregate.keys", "aggregate.boxes", "aggregate.masked", "aggregate.answer"]


def vector(role: str, turn: int = 0, length: int = LENGTH) -> np.ndarray:
    place = 1 if role == "asker" else int(role.removeprefix("provider") or 1) + 1
    return (np.arange(length, dtype=np.uint64) + np.uint64(1 + 100 * turn)) * np.uint64(place * (2**55 + 7))


def total(roles: Any, turn: int = 0) -> list[int]:
    return np.add.reduce([vector(role, turn) for role in roles]).tolist()


def play(
    agreement: AggregationSettings,
    *,
    sums: int = 1,
    to_all: bool = False,
    slots: int = 2,
    fates: Any = None,
    watch: Any = None,
    values: Callable[[str, int], np.ndarray] = vector,
) -> Played:
    """Add up vectors so many times; each party returns its sums and who stayed each time."""
    roles = roles_of(agreement.institutions, asker_contributes=agreement.asker_contributes)

    def program(party: Party) -> Any:
        aggregation = Aggregation(party, agreement, slots=slots)
        found = []
        for turn in range(sums):
            words = values(party.role, turn) if aggregation.is_member else None
            got = aggregation.sum(words, length=LENGTH, what="total", reason="test", to_all=to_all)
            found.append((None if got is None else got.tolist(), aggregation.stayed))
        return found

    return play_group(dict.fromkeys(roles, program), fates=fates, watch=watch)


@pytest.mark.parametrize("institutions", [3, 4, 10])
@pytest.mark.parametrize("asker_contributes", [True, False])
def test_the_coordinator_gets_the_sum_and_the_others_who_stayed(
    institutions: int, asker_contributes: bool
) -> None:
    played = play(agreed(institutions, asker_contributes=asker_contributes), sums=3)
    roles = roles_of(institutions, asker_contributes=asker_contributes)
    members = roles if asker_contributes else roles[1:]
    assert not played.errors
    for turn in range(3):
        for role in roles:
            wanted = total(members, turn) if role == "asker" else None
            assert played.results[role][turn] == (wanted, members), role


def test_a_sum_may_be_told_to_all() -> None:
    played = play(agreed(4), to_all=True)
    assert {str(played.results[role][0][0]) for role in roles_of(4)} == {str(total(roles_of(4)))}
    for party in played.parties.values():
        (opened,) = party.openings
        assert (opened.what, opened.count, opened.reason) == ("total", LENGTH, "test")
        assert opened.receivers == ("asker", "provider", "provider2", "provider3")


def test_what_is_opened_to_whom_is_recorded_alike() -> None:
    played = play(agreed(3), sums=2)
    records = {tuple(party.openings) for party in played.parties.values()}
    assert len(records) == 1
    assert [opening.receivers for opening in records.pop()] == [("asker",)] * 2


# --- drop-outs ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("silent", [False, True], ids=["leaves", "silent"])
@pytest.mark.parametrize("phase", PHASES)
def test_one_that_drops_out_at_any_phase(phase: str, silent: bool) -> None:
    """Whoever sent its vector is in that sum; nobody is missed in the sums of the others."""
    patience = 0.4 if silent else 5.0
    played = play(agreed(5, patience_s=patience), sums=3, fates={"provider2": Fate(phase, silent=silent)})
    roles = roles_of(5)
    others = tuple(role for role in roles if role != "provider2")
    first = roles if phase == "aggregate.answer" else others
    assert [sums for sums, _ in played.results["asker"]] == [total(first), total(others, 1), total(others, 2)]
    for role in others:
        assert [stayed for _, stayed in played.results[role]] == [first, others, others]
    assert isinstance(played.errors.pop("provider2"), Gone)
    assert not played.errors


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("turn", [1, 2])
def test_dropping_out_later_takes_nothing_from_earlier_sums(phase: str, turn: int) -> None:
    """Batches of two sums: keys and boxes are sent once for two."""
    played = play(agreed(4), sums=5, fates={"provider": Fate(phase, turn)})
    at = 2 * turn if phase in PHASES[:2] else turn
    sums = [numbers for numbers, _ in played.results["asker"]]
    for done, numbers in enumerate(sums):
        there = done < at or (done == at and phase == "aggregate.answer")
        roles = [role for role in roles_of(4) if there or role != "provider"]
        assert numbers == total(roles, done), done


def test_several_drop_out_at_different_phases() -> None:
    fates = {f"provider{n}": Fate(phase) for n, phase in zip((2, 3, 4, 5), PHASES, strict=True)}
    played = play(agreed(9), sums=2, fates=fates)
    sums = played.results["asker"]
    assert sums[0] == (
        total(sums[0][1]),
        ("asker", "provider", "provider5", "provider6", "provider7", "provider8"),
    )
    assert sums[1] == (total(sums[1][1], 1), ("asker", "provider", "provider6", "provider7", "provider8"))


@pytest.mark.parametrize(("phase", "needed"), list(zip(PHASES, [4, 4, 4, 3], strict=True)))
def test_too_few_end_the_run_and_open_nothing(phase: str, needed: int) -> None:
    """Five, of which four must be in a sum and three must answer for the shares."""
    lost = ["provider", "provider2"] if needed == 4 else ["provider", "provider2", "provider3"]
    played = play(agreed(5, least=4), fates={role: Fate(phase) for role in lost})
    sentence = f"only {5 - len(lost)} of 5 institutions are still there; a sum needs {needed}"
    assert str(played.errors["asker"]) == sentence
    assert isinstance(played.errors["asker"], PeerError)
    assert "asker" not in played.results
    if phase != "aggregate.answer":
        assert str(played.errors["provider4"]) == f"asker stopped: {sentence}"


def test_one_that_comes_back_late_learns_why_nobody_listens() -> None:
    """Silent for longer than the patience, then it goes on: the coordinator has told it by then."""
    late = threading.Event()
    roles = roles_of(4)

    def program(party: Party) -> Any:
        aggregation = Aggregation(party, agreed(4, patience_s=0.3))
        if party.role == "provider":
            late.wait(20)
        try:
            return aggregation.sum(vector(party.role), length=LENGTH, what="t", reason="r")
        finally:
            if party.role == "asker":
                late.set()

    played = play_group(dict.fromkeys(roles, program))
    assert played.results["asker"].tolist() == total(["asker", "provider2", "provider3"])
    sentence = r"asker stopped: this institution was left out: it did not answer within 0\.3 s where "
    with pytest.raises(PeerError, match=sentence + r"aggregate\.keys was due"):
        raise played.errors["provider"]


def test_the_others_learn_that_the_coordinator_left() -> None:
    played = play(agreed(3), fates={"asker": Fate("aggregate.question")})
    for role in ("provider", "provider2"):
        assert isinstance(played.errors[role], PeerError)


# --- what arrives ------------------------------------------------------------------------------------------

TO_COORDINATOR = {"aggregate.keys", "aggregate.boxes", "aggregate.masked", "aggregate.answer"}
TO_MEMBER = {"aggregate.roster", "aggregate.mail", "aggregate.call", "aggregate.question"}


def watched(values: Any = vector, **options: Any) -> Watch:
    watch = Watch()
    played = play(agreed(5), sums=2, watch=watch, values=values, **options)
    assert not {role for role in played.errors if role != "provider2"}
    return watch


def test_nothing_arrives_but_what_the_statement_says() -> None:
    watch = watched()
    others = [role for role in roles_of(5) if role != "asker"]
    assert watch.tags("asker") == {(role, tag) for role in others for tag in TO_COORDINATOR}
    for role in others:
        assert watch.tags(role) == {("asker", tag) for tag in TO_MEMBER}
    told = watched(to_all=True)
    assert told.tags("provider") == {("asker", tag) for tag in TO_MEMBER | {"aggregate.total"}}


def test_values_in_the_clear_are_places_only() -> None:
    watch = watched(fates={"provider2": Fate("aggregate.masked")})
    assert all(message.value is None for message in watch.views["asker"])
    values = [m.value for m in watch.views["provider"] if m.value is not None]
    assert values[0] == values[1] == (1, 2, 3, 4, 5) or values[1] == (1, 3, 4, 5)
    calls = [m.value for m in watch.views["provider"] if m.tag == "aggregate.call"]
    assert [(c.batch, c.slot, c.circle) for c in calls] == [(1, 0, (1, 2, 3, 4, 5)), (1, 1, (1, 2, 4, 5))]
    questions = [m.value for m in watch.views["provider"] if m.tag == "aggregate.question"]
    assert [(q.stayed, q.left) for q in questions] == [((1, 2, 4, 5), (3,)), ((1, 2, 4, 5), ())]


def arrays_of(view: list[Received], tag: str) -> np.ndarray:
    found = [array.reshape(-1).view(np.uint8) for m in view if m.tag == tag for array in m.arrays]
    return np.concatenate(found)


@pytest.mark.parametrize(
    "fates", [None, {"provider2": Fate("aggregate.masked", 1)}], ids=["all", "one-leaves"]
)
def test_all_that_the_coordinator_receives_of_equal_vectors_is_uniform(fates: Any) -> None:
    """Everybody brings zeros, many times: masked vectors, boxes and shares show nothing of it."""
    watch = Watch()
    length = 4000

    def program(party: Party) -> None:
        aggregation = Aggregation(party, agreed(5), slots=6)
        for _ in range(6):
            words = np.zeros(length, dtype=np.uint64)
            aggregation.sum(words, length=length, what="t", reason="r")

    play_group(dict.fromkeys(roles_of(5), program), watch=watch, fates=fates)
    masked = [m for m in watch.views["asker"] if m.tag == "aggregate.masked"]
    for message in masked:
        assert abs(chi_square(message.arrays[0].view(np.uint8))) < 6
    assert abs(chi_square(arrays_of(watch.views["asker"], "aggregate.boxes"))) < 6
    # Of a share's 33 bytes the first is zero but once in 2^248, and the rest uniform.
    shares = [a[:, 1:] for m in watch.views["asker"] if m.tag == "aggregate.answer" for a in m.arrays]
    assert abs(chi_square(np.concatenate(shares).reshape(-1))) < 6


def test_the_sum_of_some_is_not_to_be_had_from_what_arrived() -> None:
    """Without the shares, the masked vectors of all but the coordinator do not add up to their sum."""
    watch = watched()
    masked = [m.arrays[0] for m in watch.views["asker"] if m.tag == "aggregate.masked"][:4]
    clear = total([role for role in roles_of(5) if role != "asker"])
    assert not set(np.add.reduce(masked).tolist()) & set(clear)
    assert len({tuple(words.tolist()) for words in masked}) == 4


def test_runs_cannot_be_compared() -> None:
    one, other = watched(), watched()
    for tag in TO_COORDINATOR:
        seen = [
            {a.tobytes() for m in w.views["asker"] if m.tag == tag for a in m.arrays if a.any()}
            for w in (one, other)
        ]
        assert seen[0] and not seen[0] & seen[1]


# --- broken peers ------------------------------------------------------------------------------------------


class _Bent:
    """A link whose messages of one tag are changed on the way out."""

    def __init__(
        self, link: Any, tag: str, bend: Callable[[Any, list[Any]], tuple[str, Any, list[Any]]]
    ) -> None:
        self._link, self._tag, self._bend = link, tag, bend

    def __getattr__(self, name: str) -> Any:
        return getattr(self._link, name)

    def send(self, tag: str, value: Any = None, arrays: Any = ()) -> None:
        if tag == self._tag:
            tag, value, arrays = self._bend(value, [np.array(array) for array in arrays])
        self._link.send(tag, value, arrays)


def bent(role: str, tag: str, bend: Any, **options: Any) -> Played:
    def watch(session: Session) -> Session:
        if session.me != role:
            return session
        return Session(role, {peer: _Bent(link, tag, bend) for peer, link in session.links.items()})

    return play(agreed(5, **options), watch=watch)


def last_byte(arrays: list[Any]) -> list[Any]:
    arrays[0][0, -1] ^= 1
    return arrays


def first_byte(arrays: list[Any]) -> list[Any]:
    arrays[0][0, 0] = 255
    return arrays


@pytest.mark.parametrize(
    ("tag", "bend", "sentence"),
    [
        (
            "aggregate.masked",
            lambda v, a: ("aggregate.masked", v, [a[0][:3]]),
            "array 0 of <u8.3. where <u8.7.",
        ),
        (
            "aggregate.masked",
            lambda v, a: ("aggregate.hello", v, a),
            "sent aggregate.hello where aggregate.masked",
        ),
        ("aggregate.masked", lambda v, a: ("aggregate.masked", 5, a), "value of another type"),
        ("aggregate.keys", lambda v, a: ("aggregate.keys", v, [a[0][:2], a[1]]), "array 0 of u1.2,32. where"),
        ("aggregate.boxes", lambda v, a: ("aggregate.boxes", v, [a[0][:1]]), "array 0 of u1.1,"),
        ("aggregate.answer", lambda v, a: ("aggregate.answer", v, [a[0][:1], a[1]]), "array 0 of u1.1,33."),
        (
            "aggregate.answer",
            lambda v, a: ("aggregate.answer", v, last_byte(a)),
            "shares of institution 1 do not give|belong",
        ),
        (
            "aggregate.answer",
            lambda v, a: ("aggregate.answer", v, first_byte(a)),
            "not a number of the field",
        ),
    ],
)
def test_an_institution_that_breaks_the_protocol_ends_it(tag: str, bend: Any, sentence: str) -> None:
    played = bent("provider", tag, bend)
    with pytest.raises(ProtocolError, match=sentence):
        raise played.errors["asker"]


def test_a_box_that_was_changed_on_the_way_is_not_opened() -> None:
    def bend(value: Any, arrays: list[Any]) -> Any:
        arrays[0][0, 5] ^= 1
        return "aggregate.mail", value, arrays

    played = bent("asker", "aggregate.mail", bend)
    with pytest.raises(ProtocolError, match="a sealed box of another institution does not open"):
        raise played.errors["provider"]


def renamed(value: Any, **changes: Any) -> Any:
    return type(value)(**{name: changes.get(name, getattr(value, name)) for name in value.__struct_fields__})


@pytest.mark.parametrize(
    ("tag", "change", "sentence"),
    [
        ("aggregate.question", lambda v: renamed(v, left=(2,)), "both kinds of shares of institution 2"),
        ("aggregate.question", lambda v: renamed(v, stayed=(1, 2, 3), left=()), "others than took part"),
        (
            "aggregate.question",
            lambda v: renamed(v, stayed=(1, 2), left=(3, 4, 5)),
            "2 institutions are too few",
        ),
        ("aggregate.call", lambda v: renamed(v, circle=(1, 2)), "2 institutions are too few"),
        (
            "aggregate.call",
            lambda v: renamed(v, circle=(1, 2, 9)),
            "institutions that do not exist, or one twice",
        ),
        ("aggregate.call", lambda v: renamed(v, circle=(1, 2, 2, 3)), "do not exist, or one twice"),
        ("aggregate.call", lambda v: renamed(v, slot=1), "calls slot 1 of batch 1, where slot 0 was due"),
        ("aggregate.roster", lambda v: (1, 2, 3, 4, 6), "do not exist, or one twice"),
        ("aggregate.roster", lambda v: (1, 2, 3, 4), "do not exist, or one twice"),
    ],
)
def test_a_coordinator_that_asks_for_more_is_refused(tag: str, change: Any, sentence: str) -> None:
    """The known attack among them: both kinds of shares of one institution."""
    played = bent("asker", tag, lambda value, arrays: (tag, change(value), arrays))
    with pytest.raises(ProtocolError, match=sentence):
        raise played.errors["provider"]


def test_a_coordinator_that_asks_twice_is_refused() -> None:
    """After its answer an institution waits for the next call, and takes no second question."""
    roles = roles_of(5)

    def program(party: Party) -> Any:
        aggregation = Aggregation(party, agreed(5))
        if party.role == "asker":
            link, real = party.link("provider"), party.link("provider").send

            def twice(tag: str, value: Any = None, arrays: Any = ()) -> None:
                real(tag, value, arrays)
                if tag == "aggregate.question":
                    real(tag, renamed(value, stayed=(1, 2, 4, 5), left=(3,)), arrays)

            link.send = twice
        return [aggregation.sum(vector(party.role), length=LENGTH, what="t", reason="r") for _ in range(2)]

    played = play_group(dict.fromkeys(roles, program))
    with pytest.raises(ProtocolError, match=r"sent aggregate\.question where aggregate\.call was due"):
        raise played.errors["provider"]


# --- signed keys -------------------------------------------------------------------------------------------


@pytest.fixture
def vouchers(tmp_path: Path) -> dict[str, IdentityVoucher]:
    """Institutions that have compared cards."""
    roles = roles_of(4)
    identities = {role: Identity.create(tmp_path / role, role, role) for role in roles}
    cards = {role: issue_card(identities[role], "localhost:1", utc_now()) for role in roles}
    found = {}
    for role in roles:
        trust = TrustStore(tmp_path / role / "trust")
        for card in cards.values():
            trust.add(card)
        found[role] = IdentityVoucher(identities[role], trust)
    return found


def play_signed(vouchers: dict[str, Any], watch: Any = None) -> Played:
    def program(party: Party) -> Any:
        party.voucher = vouchers.get(party.role)
        aggregation = Aggregation(party, agreed(4, signed=True), slots=1)
        return aggregation.sum(vector(party.role), length=LENGTH, what="t", reason="r")

    return play_group(dict.fromkeys(roles_of(4), program), watch=watch)


def test_signed_keys_are_verified_by_all(vouchers: dict[str, Any]) -> None:
    played = play_signed(vouchers)
    assert not played.errors
    assert played.results["asker"].tolist() == total(roles_of(4))


def test_keys_that_the_coordinator_exchanged_are_found(vouchers: dict[str, Any]) -> None:
    """It puts keys of its own in the place of another's: without signatures it could read the boxes."""

    def bend(value: Any, arrays: list[Any]) -> Any:
        for row in (0, 1):
            mine = X25519PrivateKey.generate().public_key().public_bytes_raw()
            arrays[0][2, row] = np.frombuffer(mine, dtype=np.uint8)
        return "aggregate.roster", value, arrays

    def watch(session: Session) -> Session:
        if session.me != "asker":
            return session
        # Only the provider is lied to: whoever sees its own keys exchanged would notice.
        bent = _Bent(session.links["provider"], "aggregate.roster", bend)
        return Session("asker", {**session.links, "provider": bent})

    played = play_signed(vouchers, watch)
    with pytest.raises(
        VerificationError, match="came for provider2 are not signed by it: they may have been"
    ):
        raise played.errors["provider"]
    unsigned = play(agreed(4), watch=watch)
    with pytest.raises(ProtocolError, match="does not open"):
        raise unsigned.errors["provider2"]


def test_signing_needs_a_key_and_cards(vouchers: dict[str, Any], tmp_path: Path) -> None:
    played = play_signed({role: voucher for role, voucher in vouchers.items() if role != "provider"})
    with pytest.raises(PlanError, match="keys of this run are to be signed, and the provider has no key"):
        raise played.errors["provider"]
    lonely = Identity.create(tmp_path / "lonely", "lonely", "lonely")
    played = play_signed({**vouchers, "provider": IdentityVoucher(lonely, TrustStore(tmp_path / "none"))})
    with pytest.raises(VerificationError, match="came for provider are not signed by it"):
        raise played.errors["asker"]
    with pytest.raises(NotFoundError, match="nobody"):
        vouchers["asker"].verify("nobody", b"", bytes(64))


# --- settings and numbers ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"institutions": 2}, "institutions must be from 3 to 200, got 2"),
        ({"institutions": 201}, "institutions must be from 3 to 200, got 201"),
        (
            {"institutions": 5, "least": 2},
            "least must be from 3 to the 5 institutions, got 2: from a sum of two",
        ),
        ({"institutions": 5, "least": 6}, "least must be from 3 to the 5"),
        (
            {"institutions": 6, "threshold": 3},
            "threshold must be more than half of the 6 institutions, .* got 3",
        ),
        ({"institutions": 6, "threshold": 7}, "got 7"),
        ({"institutions": 6, "threshold": -1}, "got -1"),
        ({"institutions": 3, "patience_s": 0.0}, "patience_s must be above zero"),
        ({"institutions": 3, "patience_s": float("nan")}, "patience_s must be above zero"),
    ],
)
def test_settings_that_protect_nobody_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PlanError, match=sentence):
        AggregationSettings("run", **options).circle(4)


@pytest.mark.parametrize(("members", "threshold"), [(3, 2), (4, 3), (5, 3), (10, 6), (50, 26)])
def test_the_threshold_is_a_majority_unless_set(members: int, threshold: int) -> None:
    assert AggregationSettings("run", members).circle(1).threshold == threshold
    assert AggregationSettings("run", members, threshold=members).circle(1).threshold == members
    assert AggregationSettings("run", members, least=members).circle(1).quorum == members


def test_those_who_come_must_be_those_agreed() -> None:
    party = Party("asker", Session("asker", {}), {role: role for role in roles_of(4)})
    assert members_of(party, agreed(4)) == roles_of(4)
    assert members_of(party, agreed(3, asker_contributes=False)) == roles_of(4)[1:]
    with pytest.raises(PlanError, match="4 institutions with data take part, 5 were agreed"):
        members_of(party, agreed(5))


def test_a_vector_of_another_length_is_refused_at_home() -> None:
    played = play(
        agreed(3), values=lambda role, turn: np.zeros(3 if role == "provider" else LENGTH, np.uint64)
    )
    with pytest.raises(DataError, match="the vector has 3 numbers, 7 were agreed"):
        raise played.errors["provider"]


@settings(deadline=None)
@given(st.lists(st.floats(-(2.0**20), 2.0**20), min_size=1, max_size=5), st.integers(3, 200))
def test_fixed_point_sums_do_not_wrap(numbers: list[float], institutions: int) -> None:
    words = for_sum(np.array(numbers), 30, institutions)
    added = decode(words * np.uint64(institutions), 30)
    assert added == pytest.approx(np.array(numbers) * institutions, abs=institutions * 2.0**-31, rel=1e-14)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -(2.0**31), 2.0**32 / 3])
def test_numbers_whose_sum_could_wrap_are_refused(value: float) -> None:
    with pytest.raises(
        DataError, match=r"sum of 3 such numbers with 30 fractional bits could wrap"
    ) as caught:
        for_sum(np.array([0.0, value]), 30, 3)
    assert str(value) not in str(caught.value)


# --- costs -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("institutions", "slots"), [(3, 1), (5, 4), (12, 2)])
def test_what_travels_is_what_the_statement_says(institutions: int, slots: int) -> None:
    watch = Watch()
    played = play(agreed(institutions), sums=slots, slots=slots, watch=watch)
    n, s = institutions, slots
    sent = sum(a.nbytes for m in watch.views["asker"] if m.sender == "provider" for a in m.arrays)
    assert sent == s * (8 * LENGTH + 33 * n) + 96 + 64 * s + (n - 1) * (66 * s + 16)
    received = sum(a.nbytes for m in watch.views["provider"] for a in m.arrays)
    assert received == n * (96 + 64 * s) + (n - 1) * (66 * s + 16)
    link = played.parties["provider"].link("asker")
    # Two a sum and two a batch; nobody is waited for before the first message.
    assert link.traffic.rounds == 2 * s + 2 - 1
    assert link.traffic.bytes_sent < sent + 100 * link.traffic.messages_sent
