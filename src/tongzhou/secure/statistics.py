"""Statistics over two owners' matched rows, under the provider's disclosure policy: the task.

Statement
    Parties: asker and provider (owners), helper (`aided`); in mode `local` one process.
    Who learns what: the receivers of a request learn its answer; both owners learn which groups are large
    enough, and which requests are refused. What each kind of request tells stands in
    `tongzhou.secure.totals`, `tongzhou.secure.quantiles` and `tongzhou.secure.correlation`, what the policy's
    rules tell in `tongzhou.secure.guard` and `tongzhou.secure.differencing`. The helper learns the shapes and
    the course.
    Assumption: as `tongzhou.secure.aided`; the owners' programs are honest, their users need not be.
    Cost: as those modules say.

One task takes a list of requests, because the policy looks at all of them together: a request is held against
those before it, and against what earlier runs under the same grant answered. They are answered in order; one
that is refused does not stop the others.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from tongzhou.errors import DataError, GrantError, ProtocolError
from tongzhou.parties.disclosure import DisclosurePolicy, check_policy
from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.answered import Answered, History, MemoryHistory, name_rows
from tongzhou.secure.clear import ClearEngine, tell
from tongzhou.secure.correlation import answer_correlation
from tongzhou.secure.guard import Guard, Holder
from tongzhou.secure.owner_side import OwnerSide, StatisticsInput
from tongzhou.secure.party import OWNERS, Role
from tongzhou.secure.prg import new_seed
from tongzhou.secure.quantiles import answer_quantiles
from tongzhou.secure.statistic_answers import Answer, Refusal
from tongzhou.secure.statistic_requests import (
    Evidence,
    Quantiles,
    Request,
    Totals,
    check_requests,
)
from tongzhou.secure.tasks import Seat
from tongzhou.secure.totals import answer_evidence, answer_totals

__all__ = ["StatisticsTask"]

_KEY_BYTES = 32


class _Hello(msgspec.Struct, frozen=True):
    """How an owner begins.

    Attributes:
        kept: whether it brings a history.
        key: its history's key; empty if it has none.
        draft: of the asker, a key to use where neither has one.
        entries: identifiers of its entries, oldest first.
        confirmed: whether each of them is confirmed.
        rows: digest of the matched rows' identifiers.
    """

    kept: bool
    key: bytes
    draft: bytes
    entries: tuple[bytes, ...]
    confirmed: tuple[bool, ...]
    rows: bytes


@dataclass(frozen=True)
class StatisticsTask:
    """Answer requests about both owners' tables.

    Attributes:
        rows: number of matched rows.
        requests: what is asked, in order.
        categories: number of groups of each category, by ``owner.name``.
        policy: what may be told.
    """

    rows: int
    requests: tuple[Request, ...]
    categories: Mapping[str, int] = field(default_factory=dict)
    policy: DisclosurePolicy = field(default_factory=DisclosurePolicy)

    def run(self, seat: Seat, own: StatisticsInput | None) -> tuple[Answer, ...] | None:
        """Answers, one for each request, as this owner may see them; ``None`` at the helper.

        Raises:
            PlanError: requests that contradict themselves.
            DataError: data that do not fit the requests.
            ProtocolError: the owners' records or rows do not fit together.
        """
        if seat.mode == "local":
            return seat.meet(own, self.clear)
        engine = seat.helped_engine("statistics")
        sides = {} if own is None else {seat.party.role: own}
        answers = self._answer(engine, sides)
        return None if own is None else tuple(answer.seen_by(seat.party.role) for answer in answers)

    def clear(
        self, asker: StatisticsInput, provider: StatisticsInput
    ) -> tuple[tuple[Answer, ...], tuple[Answer, ...]]:
        """The same answers in one process, by the same lines."""
        answers = self._answer(ClearEngine(), {"asker": asker, "provider": provider})
        first, second = (tuple(answer.seen_by(role) for answer in answers) for role in OWNERS)
        return first, second

    def _answer(self, engine: AidedEngine, inputs: Mapping[Role, StatisticsInput]) -> list[Answer]:
        check_requests(self.requests, self.categories)
        check_policy(self.policy)
        guard = self._guard(engine, inputs)
        return [self._one(guard, request) for request in self.requests]

    def _one(self, guard: Guard, request: Request) -> Answer:
        try:
            guard.check_refusals(request.name)
            if isinstance(request, Totals):
                return answer_totals(guard, request, self.categories)
            if isinstance(request, Evidence):
                return answer_evidence(guard, request, self.categories)
            if isinstance(request, Quantiles):
                return answer_quantiles(guard, request, self.categories)
            return answer_correlation(guard, request)
        except GrantError as error:
            return Refusal(request.name, error)

    def _guard(self, engine: AidedEngine, inputs: Mapping[Role, StatisticsInput]) -> Guard:
        """Meet: agree on the key, the rows and the entries that count."""
        hellos: dict[Role, _Hello] = {}
        for owner in OWNERS:
            own = self._hello(owner, inputs[owner]) if owner in inputs else None
            told = tell(engine, owner, "statistics.hello", own, _Hello, helper=False)
            if told is not None:
                hellos[owner] = told
        several = len(self.requests) > 1
        watched = several or hellos["asker"].kept if "asker" in inputs else None
        agreed = tell(engine, "asker", "statistics.watched", watched, bool, helper=True)
        key, common = _agreed(hellos["asker"], hellos["provider"]) if hellos else (b"", [])
        holders = {owner: self._holder(owner, data, key, common) for owner, data in inputs.items()}
        return Guard(engine, self.policy, self.rows, holders, bool(agreed))

    def _hello(self, owner: Role, data: StatisticsInput) -> _Hello:
        names = self._names(data)
        digest = hashlib.sha256("\n".join(names).encode()).digest()
        draft = new_seed() if owner == "asker" else b""
        if data.history is None:
            return _Hello(False, b"", draft, (), (), digest)
        if data.rows is None:
            raise DataError("a record of earlier answers needs the identifiers of the matched rows")
        entries = data.history.entries()
        return _Hello(
            True,
            data.history.key() or b"",
            draft,
            tuple(one.entry_id for one in entries),
            tuple(one.confirmed for one in entries),
            digest,
        )

    def _names(self, data: StatisticsInput) -> Sequence[str]:
        names = [str(place) for place in range(self.rows)] if data.rows is None else data.rows
        if len(names) != self.rows or len(set(names)) != self.rows:
            raise DataError(
                "{got} different identifiers came for {rows} matched rows",
                got=len(set(names)),
                rows=self.rows,
            )
        return names

    def _holder(self, owner: Role, data: StatisticsInput, key: bytes, common: Sequence[bytes]) -> Holder:
        history: History = MemoryHistory() if data.history is None else data.history
        if history.key() is None:
            history.keep_key(key)
        found = {one.entry_id: one for one in history.entries()}
        for entry_id in common:
            if not found[entry_id].confirmed:
                history.confirm(entry_id)
        side = OwnerSide(owner, data, self.rows, self.categories)
        answered = Answered([found[entry_id] for entry_id in common])
        return Holder(side, name_rows(key, self._names(data)), answered, history)


def _agreed(asker: _Hello, provider: _Hello) -> tuple[bytes, list[bytes]]:
    """The key, and the entries that both owners have, in the asker's order.

    Raises:
        ProtocolError: the owners' rows differ, or one lacks what the other has confirmed.
    """
    if asker.rows != provider.rows:
        raise ProtocolError("the owners' lists of matched rows differ; match anew")
    if asker.kept != provider.kept:
        raise ProtocolError("only one owner brings its record of earlier answers; both must, or neither")
    for owner, own, other in (("asker", asker, provider), ("provider", provider, asker)):
        known = set(other.entries)
        lost = [
            one for one, sure in zip(own.entries, own.confirmed, strict=True) if sure and one not in known
        ]
        if lost or (own.key and other.key and own.key != other.key):
            raise ProtocolError(
                "the record of earlier answers that the {owner} keeps does not fit the other owner's: "
                "{count} answers are missing there; restore it from a backup, or issue a new grant",
                owner=owner,
                count=len(lost),
            )
    key = asker.key or provider.key or asker.draft
    if len(key) != _KEY_BYTES:
        raise ProtocolError(
            "the key of the record of earlier answers has {got} bytes; {size} are due",
            got=len(key),
            size=_KEY_BYTES,
        )
    theirs = set(provider.entries)
    return key, [one for one in asker.entries if one in theirs]
