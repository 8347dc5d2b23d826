"""What a grant says, and the request that is held against it."""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Literal, get_args

import msgspec

from tongzhou.errors import DataError
from tongzhou.parties.names import check_party_id, near_name
from tongzhou.parties.times import parse_utc, utc_text

__all__ = [
    "CONSENT_KEEPERS",
    "MODES",
    "PROTOCOLS",
    "ConsentKeeper",
    "Grant",
    "GrantRequest",
    "GrantTerms",
    "Mode",
    "Openings",
    "Price",
    "Protocol",
    "check_terms",
    "read_terms",
]

Mode = Literal["aided", "pair", "local"]
Protocol = Literal["match", "bin", "train", "score", "boost", "size", "join"]
BinCounts = Literal["provider", "both"]
CardOpening = Literal["shared", "own", "both"]
ConsentKeeper = Literal["none", "asker", "provider"]

MODES: tuple[str, ...] = get_args(Mode)
PROTOCOLS: tuple[str, ...] = get_args(Protocol)
BIN_COUNTS: tuple[str, ...] = get_args(BinCounts)
COLUMNLESS = frozenset({"match", "size"})
"""Computations that read no column but the identifier."""
CARD_OPENINGS: tuple[str, ...] = get_args(CardOpening)
CONSENT_KEEPERS: tuple[str, ...] = get_args(ConsentKeeper)

MOST_REASONS = 8
# Bounds that no honest grant meets; they keep a signed document and a sentence short.
_MOST_ENTRIES = 1000
_MOST_CHARACTERS = 200
_MOST_RUNS = 1_000_000
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
_AMOUNT = re.compile(r"(?:0|[1-9][0-9]{0,11})(?:\.[0-9]{1,6})?", re.ASCII)


class Openings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a computation may open, and to whom. Each value allows itself and every smaller one.

    Attributes:
        bin_counts: rows and events of each bin: to the ``provider`` of the variable only, or to ``both``.
        card: the finished card: stays ``shared`` (nobody learns a weight), each owner learns its ``own``
            weights, or ``both`` learn all of it.
        reasons: how many of the provider's variables may be named as reasons of one decision, 0 to 8.
        training_summary: whether standard errors, p-values and the course of training are opened.
    """

    bin_counts: BinCounts = "provider"
    card: CardOpening = "own"
    reasons: int = 0
    training_summary: bool = False


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the use of a grant costs.

    Attributes:
        currency: ISO 4217 code, three capital letters.
        run: for each run that matched rows, a decimal number such as ``100.00``.
        row: for each matched row of a run, a decimal number such as ``0.0500``.
    """

    currency: str
    run: str = "0"
    row: str = "0"

    def of(self, rows: int) -> Decimal:
        """The price of one run over `rows` matched rows, exactly."""
        return Decimal(self.run) + Decimal(self.row) * rows


class GrantTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a provider allows, before it is numbered and signed.

    Attributes:
        askers: party ids that may use the data.
        helpers: party ids that may help; none may, if empty.
        purpose: the one purpose, as plans name it.
        legal_basis: consent, contract or law that the grant rests on, in words.
        table: the provider's table.
        columns: columns of it that may enter a computation, without the identifier; may be empty where only
            identifiers are matched.
        modes: trust modes that may be used.
        protocols: joint computations that may be run.
        openings: what may be opened.
        minimum_rows: fewest matched rows to go on with.
        minimum_bin_rows: fewest rows a bin may have when its counts are opened.
        valid_from: first moment, ISO 8601 UTC.
        valid_until: first moment at which the grant no longer holds, ISO 8601 UTC.
        runs: how many runs may use it.
        consents: who keeps the clients' consents that must cover each row used: the ``asker``, the
            ``provider``, or nobody (``none``: the legal basis is another).
        price: what a use costs; nothing, if left out.
    """

    askers: list[str]
    helpers: list[str] = []
    purpose: str
    legal_basis: str
    table: str
    columns: list[str]
    modes: list[Mode]
    protocols: list[Protocol]
    openings: Openings = Openings()
    minimum_rows: int = 1000
    minimum_bin_rows: int = 50
    valid_from: str
    valid_until: str
    runs: int
    consents: ConsentKeeper = "none"
    price: Price | None = None


class Grant(GrantTerms, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A numbered grant of one provider; signed by it as a document of kind ``grant``.

    Attributes:
        grant_id: unique for this provider.
        provider: party id of the provider.
        approvals: signed approvals of the people who stand behind it, in the order of their names; empty
            where the provider has no approvers.
        approvers: public keys of those people, base64url, by name.
    """

    grant_id: str
    provider: str
    approvals: list[str] = []
    approvers: dict[str, str] = {}


class GrantRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one run wants to do with a provider's data.

    Attributes:
        asker: party id of the user of the result.
        helper: party id of the helper; none except in mode ``aided``.
        purpose: what for.
        table: the provider's table.
        columns: columns of it that enter the computation, without the identifier.
        mode: trust mode.
        protocols: joint computations to be run.
        openings: what will be opened.
    """

    asker: str
    helper: str | None
    purpose: str
    table: str
    columns: list[str]
    mode: Mode
    protocols: list[Protocol]
    openings: Openings


def check_terms(terms: GrantTerms, provider: str) -> GrantTerms:
    """Refuse terms that contradict themselves; return them with times in full.

    Raises:
        DataError: the sentence names the field.
    """
    _check_choices("modes", terms.modes, MODES)
    _check_parties(terms, provider)
    for field in ("purpose", "legal_basis", "table"):
        _check_text(field, getattr(terms, field))
    _check_choices("protocols", terms.protocols, PROTOCOLS)
    _check_entries("columns", terms.columns, least=0 if set(terms.protocols) <= COLUMNLESS else 1)
    _check_openings(terms.openings)
    _check_whole("minimum_rows", terms.minimum_rows, 1)
    _check_whole("minimum_bin_rows", terms.minimum_bin_rows, 1)
    _check_whole("runs", terms.runs, 1, _MOST_RUNS)
    _check_choices("consents", [terms.consents], CONSENT_KEEPERS)
    if terms.price is not None:
        _check_price(terms.price)
    start = parse_utc(terms.valid_from, "valid_from")
    end = parse_utc(terms.valid_until, "valid_until")
    if not start < end:
        raise DataError(
            "valid_until must be later than valid_from, got {until} and {start}",
            until=terms.valid_until,
            start=terms.valid_from,
        )
    return msgspec.structs.replace(terms, valid_from=utc_text(start), valid_until=utc_text(end))


def _check_parties(terms: GrantTerms, provider: str) -> None:
    _check_entries("askers", terms.askers)
    _check_entries("helpers", terms.helpers, least=0)
    for field in ("askers", "helpers"):
        for party in getattr(terms, field):
            check_party_id(party, field)
            if party == provider:
                raise DataError(
                    "{field} of a grant must not name its provider {party}", field=field, party=party
                )
    both = set(terms.askers) & set(terms.helpers)
    if both:
        raise DataError(
            "a helper must be neutral: {party} stands in askers and in helpers of the grant", party=min(both)
        )
    if "aided" in terms.modes and not terms.helpers:
        raise DataError("a grant of mode aided must name at least one helper, got none")
    if terms.helpers and "aided" not in terms.modes:
        raise DataError(
            "a grant that names helpers must allow mode aided, got {got}", got=", ".join(terms.modes)
        )


def _check_text(field: str, text: object) -> None:
    if not isinstance(text, str) or not 1 <= len(text.strip()) <= _MOST_CHARACTERS:
        raise DataError(
            "{field} of a grant must be 1 to {most} printable characters, got {got}",
            field=field,
            most=_MOST_CHARACTERS,
            got=len(text.strip()) if isinstance(text, str) else type(text).__name__,
        )
    if not text.isprintable():
        raise DataError(
            "{field} of a grant must be 1 to {most} printable characters, got {count} that cannot be printed",
            field=field,
            most=_MOST_CHARACTERS,
            count=sum(not character.isprintable() for character in text),
        )


def _check_entries(field: str, entries: Iterable[str], *, least: int = 1) -> None:
    listed = list(entries)
    if not least <= len(listed) <= _MOST_ENTRIES:
        raise DataError(
            "{field} of a grant must have {least} to {most} entries, got {got}",
            field=field,
            least=least,
            most=_MOST_ENTRIES,
            got=len(listed),
        )
    for entry in listed:
        _check_text(field, entry)
    repeated = sorted({entry for entry in listed if listed.count(entry) > 1})
    if repeated:
        raise DataError("{field} of a grant names {entry} twice", field=field, entry=repeated[0])


def _check_choices(field: str, entries: Iterable[str], choices: tuple[str, ...]) -> None:
    _check_entries(field, entries)
    for entry in entries:
        if entry not in choices:
            raise DataError(
                "{field} of a grant must be among {choices}, got {got}",
                field=field,
                choices=", ".join(choices),
                got=ascii(entry),
            )


def _check_openings(openings: Openings) -> None:
    _check_choices("bin_counts", [openings.bin_counts], BIN_COUNTS)
    _check_choices("card", [openings.card], CARD_OPENINGS)
    _check_whole("reasons", openings.reasons, 0, MOST_REASONS)
    if not isinstance(openings.training_summary, bool):
        raise DataError("training_summary of a grant must be true or false")


def _check_price(price: Price) -> None:
    if not _CURRENCY.fullmatch(price.currency):
        raise DataError(
            "price.currency of a grant must be three capital letters such as CNY, got {got}",
            got=ascii(price.currency[:20]),
        )
    for field in ("run", "row"):
        amount = getattr(price, field)
        if not _AMOUNT.fullmatch(amount):
            raise DataError(
                "price.{field} of a grant must be a number such as 100.00, at most 12 digits before and 6 "
                "after the point, got {got}",
                field=field,
                got=ascii(amount[:30]),
            )


def _check_whole(field: str, number: object, low: int, high: int = 2**53) -> None:
    whole = isinstance(number, int) and not isinstance(number, bool)
    if not whole or not low <= number <= high:  # type: ignore[operator]
        raise DataError(
            "{field} of a grant must be a whole number from {low} to {high}, got {got}",
            field=field,
            low=low,
            high=high,
            got=number,
        )


def read_terms(fields: Mapping[str, object], provider: str) -> GrantTerms:
    """Terms from plain values, as a TOML file or a command line gives them.

    Args:
        fields: by the names of `GrantTerms`; ``openings`` is a mapping of its own.
        provider: party id of who will grant.

    Raises:
        DataError: an unknown or missing field, a wrong type, or terms that contradict themselves.
    """
    _check_names(fields, GrantTerms, "grant")
    for name, kind in (("openings", Openings), ("price", Price)):
        inner = fields.get(name)
        if isinstance(inner, Mapping):
            _check_names(inner, kind, name)
    try:
        terms = msgspec.convert(fields, GrantTerms)
    except msgspec.ValidationError as error:
        raise DataError("not the terms of a grant: {reason}", reason=error) from error
    return check_terms(terms, provider)


def _check_names(fields: Mapping[str, object], kind: type[msgspec.Struct], place: str) -> None:
    known = kind.__struct_fields__
    for name in fields:
        if name in known:
            continue
        near = near_name(name, known)
        if near is not None:
            raise DataError(
                "{place}: unknown key {key}; did you mean {near}?", place=place, key=name, near=near
            )
        raise DataError(
            "{place}: unknown key {key}; allowed here: {allowed}",
            place=place,
            key=name,
            allowed=", ".join(known),
        )
