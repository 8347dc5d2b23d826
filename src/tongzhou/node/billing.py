"""Use counts and bills: what the runs of a period cost, computed alike on both sides.

A bill is about one provider and one asker. Each run that matched rows under a grant is a line: its receipt
names the grant, the rows and the time, and both parties have signed it, so both arrive at the same bill. A
run that stopped before it matched costs nothing.
"""

import hashlib
from datetime import datetime
from decimal import Decimal

import msgspec

from tongzhou.errors import NotFoundError, VerificationError
from tongzhou.node.home import Home
from tongzhou.node.job_messages import Receipt
from tongzhou.parties.canonical import canonical_json
from tongzhou.parties.documents import read_header, sign_document, verify_document
from tongzhou.parties.grants import Grant
from tongzhou.parties.times import parse_utc, utc_text

__all__ = ["BILL_KIND", "Bill", "BillLine", "bill_digest", "check_bill", "make_bill", "sign_bill"]

BILL_KIND = "bill"
_PLACES = Decimal("0.01")


class BillLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One run.

    Attributes:
        at: when its rows were matched, ISO 8601 UTC.
        run_id: the run.
        kind: what it made.
        grant_id: the grant that it used.
        rows: matched rows.
        currency: of the amount; empty where the grant has no price.
        amount: price of the run, exact decimal.
    """

    at: str
    run_id: str
    kind: str
    grant_id: str
    rows: int
    currency: str
    amount: str


class Bill(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an asker's uses of a provider's data cost in a period.

    Attributes:
        provider: whose data.
        asker: who used it.
        start: first moment of the period, ISO 8601 UTC.
        end: first moment after it.
        lines: one for each run, in order of time.
        totals: sum by currency, exact decimals.
    """

    provider: str
    asker: str
    start: str
    end: str
    lines: tuple[BillLine, ...]
    totals: dict[str, str]


def make_bill(home: Home, partner: str, start: datetime, end: datetime) -> list[Bill]:
    """The bills between this institution and a partner: for its own data, and for the partner's, if any.

    Args:
        home: the institution.
        partner: the other party.
        start: first moment of the period.
        end: first moment after it.

    Raises:
        NotFoundError: the partner is not trusted here, or a grant that was used is not kept here.
    """
    home.trust.get(partner)
    bills = []
    for provider, asker in ((home.party_id, partner), (partner, home.party_id)):
        lines = _lines(home, provider, asker, start=start, end=end)
        if lines:
            bills.append(
                Bill(
                    provider=provider,
                    asker=asker,
                    start=utc_text(start),
                    end=utc_text(end),
                    lines=tuple(lines),
                    totals=_totals(lines),
                )
            )
    return bills


def bill_digest(bill: Bill) -> str:
    """SHA-256 (hex) of the canonical text: equal on both sides, or the sides disagree."""
    return hashlib.sha256(canonical_json(bill)).hexdigest()


def sign_bill(home: Home, bill: Bill) -> str:
    """The bill as a signed document (compact JWS), for the partner."""
    return sign_document(home.identity, BILL_KIND, bill)


def check_bill(home: Home, document: str) -> Bill:
    """Verify a partner's bill and hold it against the own receipts.

    Raises:
        VerificationError: it is forged, or differs from the own receipts; the sentence names the run.
        NotFoundError: its signer is not trusted here.
    """
    card = home.trust.get(read_header(document).kid)
    bill = verify_document(document, BILL_KIND, Bill, card.public_key_bytes, signer=card.party_id)
    if {bill.provider, bill.asker} != {card.party_id, home.party_id}:
        raise VerificationError(
            "the bill is between {provider} and {asker}; this is {me}",
            provider=bill.provider,
            asker=bill.asker,
            me=home.party_id,
        )
    start, end = parse_utc(bill.start, "start"), parse_utc(bill.end, "end")
    own = {line.run_id: line for line in _lines(home, bill.provider, bill.asker, start=start, end=end)}
    theirs = {line.run_id: line for line in bill.lines}
    for run_id in (*theirs, *own):
        if run_id not in own:
            raise VerificationError("the bill has run {run}, which is unknown here", run=run_id)
        if run_id not in theirs:
            raise VerificationError("the bill lacks run {run}", run=run_id)
        if own[run_id] != theirs[run_id]:
            raise VerificationError(
                "the bill says {theirs} for run {run}, the own receipts say {own}",
                theirs=_shown(theirs[run_id]),
                own=_shown(own[run_id]),
                run=run_id,
            )
    if list(theirs.values()) != list(bill.lines) or bill.totals != _totals(list(own.values())):
        raise VerificationError("the totals of the bill are not the sums of its lines")
    return bill


def _lines(home: Home, provider: str, asker: str, *, start: datetime, end: datetime) -> list[BillLine]:
    lines = []
    for run in home.store.runs():
        parties = run.plan.parties
        if provider not in parties.providers or parties.asker != asker or run.plan.mode == "local":
            continue
        receipt = _match_receipt(home, run.run_id)
        if receipt is None or not start <= parse_utc(receipt.at, "at") < end:
            continue
        lines.append(_line(receipt, _grant(home, provider, receipt.grants[provider])))
    return sorted(lines, key=lambda line: (line.at, line.run_id))


def _match_receipt(home: Home, run_id: str) -> Receipt | None:
    for step in home.store.steps(run_id):
        if step.step == "match":
            return msgspec.convert(step.summary["receipt"]["receipt"], Receipt)
    return None


def _grant(home: Home, provider: str, grant_id: str) -> Grant:
    try:
        if provider == home.party_id:
            return home.grants.get(grant_id)
        return home.held_grants.get(provider, grant_id)
    except NotFoundError as error:
        raise NotFoundError("a bill needs grant {grant}: {reason}", grant=grant_id, reason=error) from error


def _line(receipt: Receipt, grant: Grant) -> BillLine:
    rows = int(receipt.facts["matched_rows"])
    price = grant.price
    return BillLine(
        at=receipt.at,
        run_id=receipt.run_id,
        kind=receipt.kind,
        grant_id=grant.grant_id,
        rows=rows,
        currency="" if price is None else price.currency,
        amount="0.00" if price is None else _money(price.of(rows)),
    )


def _totals(lines: list[BillLine]) -> dict[str, str]:
    sums: dict[str, Decimal] = {}
    for line in lines:
        if line.currency:
            sums[line.currency] = sums.get(line.currency, Decimal(0)) + Decimal(line.amount)
    return {currency: _money(total) for currency, total in sorted(sums.items())}


def _money(amount: Decimal) -> str:
    """At least two decimals, never an exponent, nothing rounded."""
    exact = amount.quantize(_PLACES) if amount == amount.quantize(_PLACES) else amount.normalize()
    return f"{exact:f}"


def _shown(line: BillLine) -> str:
    return f"{line.rows} / {line.amount} {line.currency}".strip()
