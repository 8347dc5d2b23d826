"""Bills: one line a run, exact sums, equal on both sides, and every difference named."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from job_town import Town, utc_now
from test_job_match import granted

from tongzhou.errors import NotFoundError, VerificationError
from tongzhou.node.billing import Bill, _money, bill_digest, check_bill, make_bill, sign_bill
from tongzhou.node.job_run import run_job
from tongzhou.parties.documents import sign_document
from tongzhou.parties.grants import Price


@pytest.fixture(scope="module")
def billed(tmp_path_factory):
    """A town where two runs were made under a price, and one for free."""
    town = Town(tmp_path_factory.mktemp("billing")).found().start()
    price = Price(currency="CNY", run="100", row="0.125")
    town.runs = []
    for terms in ({"price": price}, {"price": price}, {}):
        run_id = run_job(town.bank, granted(town, "pair", "dh", **terms))
        town.ends("cardnet", run_id)
        town.runs.append(run_id)
    yield town
    town.stop()


PERIOD = (utc_now() - timedelta(days=1), utc_now() + timedelta(days=1))


def bill_of(home, partner: str) -> Bill:
    (bill,) = make_bill(home, partner, *PERIOD)
    return bill


def test_both_sides_make_the_same_bill(billed) -> None:
    theirs, own = bill_of(billed.cardnet, "bank"), bill_of(billed.bank, "cardnet")
    assert own == theirs
    assert bill_digest(own) == bill_digest(theirs)
    assert [line.run_id for line in own.lines] == billed.runs
    rows = own.lines[0].rows
    assert [Decimal(line.amount) for line in own.lines] == [100 + Decimal("0.125") * rows] * 2 + [Decimal(0)]
    assert Decimal(own.totals["CNY"]) == 2 * (100 + Decimal("0.125") * rows)
    assert (own.provider, own.asker) == ("cardnet", "bank")


def test_a_signed_bill_agrees_with_the_own_receipts(billed) -> None:
    document = sign_bill(billed.cardnet, bill_of(billed.cardnet, "bank"))
    assert check_bill(billed.bank, document) == bill_of(billed.bank, "cardnet")


def test_every_difference_is_named(billed) -> None:
    bill = bill_of(billed.cardnet, "bank")
    first = bill.lines[0]
    dearer = msgspec.structs.replace(first, amount="999.00")
    stranger = msgspec.structs.replace(first, run_id="20260101-abcdefabcdef")
    for changes, words in (
        (
            {"lines": (dearer, *bill.lines[1:])},
            f"says .* 999.00 CNY for run {first.run_id}, the own receipts say",
        ),
        ({"lines": bill.lines[1:]}, f"the bill lacks run {first.run_id}"),
        ({"lines": (*bill.lines, stranger)}, "has run 20260101-abcdefabcdef, which is unknown here"),
        ({"totals": {"CNY": "1.00"}}, "the totals of the bill are not the sums of its lines"),
        ({"lines": (*bill.lines, first)}, "the totals of the bill are not the sums of its lines"),
        ({"asker": "lender"}, "the bill is between cardnet and lender; this is bank"),
    ):
        document = sign_document(billed.cardnet.identity, "bill", msgspec.structs.replace(bill, **changes))
        with pytest.raises(VerificationError, match=words):
            check_bill(billed.bank, document)


def test_a_bill_that_was_changed_on_the_way_is_forged(billed) -> None:
    document = sign_bill(billed.cardnet, bill_of(billed.cardnet, "bank"))
    with pytest.raises(VerificationError, match="altered"):
        check_bill(billed.bank, document[:-8] + "AAAAAAAA")


def test_a_period_without_runs_has_no_bill(billed) -> None:
    old = datetime(2020, 1, 1, tzinfo=UTC)
    assert make_bill(billed.bank, "cardnet", old, old + timedelta(days=30)) == []
    with pytest.raises(NotFoundError, match="stranger"):
        make_bill(billed.bank, "stranger", *PERIOD)


def test_a_lost_grant_is_a_sentence(billed, tmp_path) -> None:
    held = billed.bank.folder / "held-grants"
    held.rename(tmp_path / "away")
    try:
        with pytest.raises(
            NotFoundError, match=r"a bill needs grant g-\w+: grant g-\w+ of cardnet is not kept here"
        ):
            make_bill(billed.bank, "cardnet", *PERIOD)
    finally:
        (tmp_path / "away").rename(held)


def test_an_altered_held_grant_is_noticed(billed) -> None:
    path = next((billed.bank.folder / "held-grants").iterdir())
    good = path.read_bytes()
    path.write_bytes(good[:-20] + b"A" * 19 + b"\n")
    try:
        with pytest.raises(VerificationError, match="the grant was altered"):
            make_bill(billed.bank, "cardnet", *PERIOD)
    finally:
        path.write_bytes(good)


@given(st.decimals(min_value=0, max_value=10**12, places=6))
def test_money_is_exact_and_has_two_decimals_at_least(amount) -> None:
    text = _money(amount)
    assert Decimal(text) == amount
    assert "E" not in text
    assert len(text.partition(".")[2]) >= 2
