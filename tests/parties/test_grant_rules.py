"""The rules of grants: any single thing that is missing is refused and named."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tongzhou.errors import DataError, GrantError
from tongzhou.parties.grants import (
    MODES,
    PROTOCOLS,
    Grant,
    GrantRequest,
    GrantTerms,
    Openings,
    check_bin_rows,
    check_grant,
    check_rows,
    check_terms,
    read_terms,
    violations,
)

NOON = datetime(2026, 11, 5, 12, tzinfo=UTC)
NAMES = ["bank", "lender", "guarantor", "helper", "notary"]
COLUMNS = ["repay_1", "repay_2", "bill_1", "paid_1", "age"]
BIN_COUNTS = ["provider", "both"]
CARDS = ["shared", "own", "both"]


NEAR = "grant g-1 does not cover column repay_9 of behaviour; did you mean repay_1?"
CARD = "grant g-1 allows opening card up to own, not both"


def as_grant(terms: GrantTerms) -> Grant:
    fields = {name: getattr(terms, name) for name in GrantTerms.__struct_fields__}
    return Grant(grant_id="g-1", provider="cardnet", **fields)


@pytest.fixture
def grant(terms) -> Grant:
    return as_grant(terms)


def refusal(grant, request, now=NOON, runs_used=0, revoked_at=None) -> GrantError:
    with pytest.raises(GrantError) as caught:
        check_grant(grant, request, now, runs_used, revoked_at=revoked_at)
    return caught.value


def test_a_request_within_the_grant_is_allowed(grant, request_):
    check_grant(grant, request_, NOON, 2)
    assert list(violations(grant, request_, NOON, 2)) == []


@pytest.mark.parametrize(
    ("changes", "missing", "sentence"),
    [
        ({"asker": "lender"}, "asker", "cardnet has no grant for lender; ask it to issue one"),
        ({"purpose": "marketing"}, "purpose", "grant g-1 is for purpose credit-scorecard, not for marketing"),
        ({"table": "salaries"}, "table", "grant g-1 is for table behaviour, not for salaries"),
        ({"columns": ["repay_9"]}, "columns", NEAR),
        ({"columns": ["bill_1", "x", "y"]}, "columns", "grant g-1 does not cover these columns of behaviour: x, y"),  # noqa: E501
        ({"columns": []}, "columns", "a request under grant g-1 must name at least one column"),
        ({"protocols": []}, "protocols", "a request under grant g-1 must name at least one protocol"),
        ({"mode": "pair", "helper": None}, "mode", "grant g-1 allows trust mode aided, not pair"),
        ({"mode": "local", "helper": None}, "mode", "grant g-1 allows trust mode aided, not local"),
        ({"helper": None}, "helper", "trust mode aided needs a helper; the request names none"),
        ({"helper": "notary"}, "helper", "grant g-1 does not accept notary as helper; it accepts helper"),
        ({"openings": Openings(card="both")}, "openings", CARD),
        ({"openings": Openings(reasons=5)}, "openings", "grant g-1 allows opening reasons up to 4, not 5"),
        ({"openings": Openings(reasons=-1)}, "openings", "grant g-1 allows opening reasons up to 4, not -1"),
    ],
)  # fmt: skip
def test_one_thing_missing_is_one_sentence(grant, request_, changes, missing, sentence):
    error = refusal(grant, replace(request_, **changes))
    assert str(error) == sentence
    assert error.values["missing"] == missing
    assert error.values["grant"] == "g-1"


def test_protocols_not_granted_are_listed(grant, request_):
    error = refusal(
        replace(grant, protocols=["match", "bin"]), replace(request_, protocols=["match", "train", "score"])
    )
    assert str(error) == "grant g-1 allows the protocols match, bin, not train, score"


def test_a_summary_is_opened_only_where_granted(grant, request_):
    closed = replace(grant, openings=Openings(bin_counts="both", card="own", reasons=4))
    error = refusal(closed, replace(request_, openings=Openings(training_summary=True)))
    assert str(error) == "grant g-1 allows opening training_summary up to no, not yes"


def test_an_opening_that_nobody_knows_is_refused(grant, request_):
    error = refusal(grant, replace(request_, openings=Openings(card="everyone")))
    assert str(error) == "grant g-1 allows opening card up to own, not everyone"


def test_a_helper_where_none_belongs_is_refused(grant, request_):
    open_grant = replace(grant, modes=["aided", "pair"])
    error = refusal(open_grant, replace(request_, mode="pair"))
    assert str(error) == "trust mode pair has no helper; the request names helper"


def test_the_days_of_a_grant_are_half_open(grant, request_):
    start, end = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
    check_grant(grant, request_, start, 0)
    check_grant(grant, request_, end - timedelta(microseconds=1), 0)
    early = refusal(grant, request_, now=start - timedelta(seconds=1))
    assert str(early) == "grant g-1 holds from 2026-11-01T00:00:00Z only; now it is 2026-10-31T23:59:59Z"
    late = refusal(grant, request_, now=end)
    assert str(late) == "grant g-1 expired at 2026-12-01T00:00:00Z; now it is 2026-12-01T00:00:00Z"


def test_the_time_zone_of_the_reader_does_not_matter(grant, request_):
    from zoneinfo import ZoneInfo

    shanghai = datetime(2026, 12, 1, 7, 59, 59, tzinfo=ZoneInfo("Asia/Shanghai"))
    check_grant(grant, request_, shanghai, 0)
    assert refusal(grant, request_, now=shanghai + timedelta(seconds=1)).values["missing"] == "expired"


def test_the_last_run_is_allowed_and_the_next_is_not(grant, request_):
    check_grant(grant, request_, NOON, 2)
    assert str(refusal(grant, request_, runs_used=3)) == "grant g-1 allows 3 runs and all of them are used"


def test_a_revoked_grant_allows_nothing_even_with_the_clock_set_back(grant, request_):
    error = refusal(grant, request_, revoked_at=NOON + timedelta(hours=1))
    assert str(error) == "grant g-1 was revoked at 2026-11-05T13:00:00Z"


def test_a_stranger_learns_nothing_of_what_is_granted_to_others(grant, request_):
    error = refusal(grant, replace(request_, asker="lender", columns=["x"]), runs_used=9, revoked_at=NOON)
    assert str(error) == "cardnet has no grant for lender; ask it to issue one"


def test_too_few_matched_rows_stop_a_run(grant):
    check_rows(grant, 1000)
    with pytest.raises(GrantError, match="grant g-1 demands at least 1000 matched rows, got 999"):
        check_rows(grant, 999)


def test_a_small_bin_is_not_opened(grant):
    check_bin_rows(grant, 100, "repay_1")
    check_bin_rows(grant, 0, "repay_1")
    with pytest.raises(GrantError, match=r"at least 100 rows in each bin .*; a bin of repay_1 has 99"):
        check_bin_rows(grant, 99, "repay_1")


# Property tests: a grant and a request drawn at random, judged by a second, plain reading of the rules.

subsets = lambda entries: st.lists(st.sampled_from(entries), min_size=1, unique=True)  # noqa: E731
openings = st.builds(
    Openings,
    bin_counts=st.sampled_from(BIN_COUNTS),
    card=st.sampled_from(CARDS),
    reasons=st.integers(0, 8),
    training_summary=st.booleans(),
)


@st.composite
def grants(draw) -> Grant:
    modes = draw(subsets(list(MODES)))
    named = draw(subsets(NAMES))
    askers = named[: max(1, len(named) - 1)]
    start = draw(st.integers(-40, 40))
    return Grant(
        grant_id="g-1",
        provider="cardnet",
        askers=askers,
        helpers=named[len(askers) :],
        purpose=draw(st.sampled_from(["credit-scorecard", "collection"])),
        legal_basis="contract",
        table=draw(st.sampled_from(["behaviour", "salaries"])),
        columns=draw(subsets(COLUMNS)),
        modes=modes,
        protocols=draw(subsets(list(PROTOCOLS))),
        openings=draw(openings),
        valid_from=(NOON + timedelta(days=start)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        valid_until=(NOON + timedelta(days=start + draw(st.integers(1, 60)))).strftime("%Y-%m-%dT%H:%M:%SZ"),
        runs=draw(st.integers(1, 3)),
    )


requests = st.builds(
    GrantRequest,
    asker=st.sampled_from(NAMES),
    helper=st.none() | st.sampled_from(NAMES),
    purpose=st.sampled_from(["credit-scorecard", "collection"]),
    table=st.sampled_from(["behaviour", "salaries"]),
    columns=st.lists(st.sampled_from(COLUMNS), unique=True),
    mode=st.sampled_from(MODES),
    protocols=subsets(list(PROTOCOLS)),
    openings=openings,
)


def expected_violations(grant: Grant, request: GrantRequest, used: int, revoked: bool) -> set[str]:
    helper_fits = (request.helper in grant.helpers) if request.mode == "aided" else request.helper is None
    wanted, allowed = request.openings, grant.openings
    rules = {
        "asker": request.asker in grant.askers,
        "revoked": not revoked,
        "begun": datetime.fromisoformat(grant.valid_from) <= NOON,
        "expired": datetime.fromisoformat(grant.valid_until) > NOON,
        "runs": used < grant.runs,
        "purpose": request.purpose == grant.purpose,
        "table": request.table == grant.table,
        "columns": set(request.columns) <= set(grant.columns)
        and (bool(request.columns) or set(request.protocols) <= {"match", "size"}),
        "mode": request.mode in grant.modes,
        "helper": helper_fits,
        "protocols": set(request.protocols) <= set(grant.protocols),
        "openings": BIN_COUNTS.index(wanted.bin_counts) <= BIN_COUNTS.index(allowed.bin_counts)
        and CARDS.index(wanted.card) <= CARDS.index(allowed.card)
        and wanted.reasons <= allowed.reasons
        and wanted.training_summary <= allowed.training_summary,
    }
    return {name for name, holds in rules.items() if not holds}


@given(grants(), requests, st.integers(0, 3), st.booleans())
def test_every_violation_is_found_and_no_other(grant, request, used, revoked):
    revoked_at = NOON - timedelta(days=1) if revoked else None
    found = list(violations(grant, request, NOON, used, revoked_at=revoked_at))
    assert {error.values["missing"] for error in found} == expected_violations(grant, request, used, revoked)
    for error in found:
        assert error.template.format(**error.values) == str(error)


def within(draw, grant: Grant) -> GrantRequest:
    """A request that the grant allows."""
    allowed = grant.openings
    mode = draw(
        st.sampled_from([each for each in grant.modes if each != "aided" or grant.helpers] or ["aided"])
    )
    return GrantRequest(
        asker=draw(st.sampled_from(grant.askers)),
        helper=draw(st.sampled_from(grant.helpers)) if mode == "aided" and grant.helpers else None,
        purpose=grant.purpose,
        table=grant.table,
        columns=draw(subsets(grant.columns)),
        mode=mode,
        protocols=draw(subsets(grant.protocols)),
        openings=Openings(
            bin_counts=draw(st.sampled_from(BIN_COUNTS[: BIN_COUNTS.index(allowed.bin_counts) + 1])),
            card=draw(st.sampled_from(CARDS[: CARDS.index(allowed.card) + 1])),
            reasons=draw(st.integers(0, allowed.reasons)),
            training_summary=draw(st.booleans()) and allowed.training_summary,
        ),
    )


@st.composite
def matched(draw) -> tuple[Grant, GrantRequest]:
    grant = replace(
        draw(grants()),
        askers=["bank", "lender"],
        helpers=["helper"],
        modes=draw(st.sampled_from([["aided"], ["aided", "pair"]])),
        protocols=draw(subsets(["match", "bin", "train"])),
        valid_from="2026-11-01T00:00:00Z",
        valid_until="2026-12-01T00:00:00Z",
    )
    return grant, within(draw, grant)


SPOILERS = {
    "asker": lambda grant, request: {"asker": "guarantor"},
    "purpose": lambda grant, request: {"purpose": "marketing"},
    "table": lambda grant, request: {"table": "other"},
    "columns": lambda grant, request: {"columns": [*request.columns, "wealth"]},
    "mode": lambda grant, request: {"mode": "local", "helper": None},
    "helper": lambda grant, request: {"helper": "notary" if request.mode == "aided" else "helper"},
    "protocols": lambda grant, request: {"protocols": [*request.protocols, "score"]},
    "openings": lambda grant, request: {"openings": Openings(reasons=grant.openings.reasons + 1)},
}  # fmt: skip


@given(matched(), st.sampled_from(sorted(SPOILERS)))
def test_any_single_violation_is_refused_and_named(pair, spoiled):
    grant, request = pair
    check_grant(grant, request, NOON, grant.runs - 1)
    error = refusal(grant, replace(request, **SPOILERS[spoiled](grant, request)))
    assert error.values["missing"] == spoiled


@given(matched(), st.sampled_from(["begun", "expired", "runs", "revoked"]))
def test_any_single_circumstance_is_refused_and_named(pair, spoiled):
    grant, request = pair
    moment = {"begun": NOON - timedelta(days=10), "expired": NOON + timedelta(days=30)}.get(spoiled, NOON)
    used = grant.runs if spoiled == "runs" else 0
    error = refusal(grant, request, moment, used, NOON if spoiled == "revoked" else None)
    assert error.values["missing"] == spoiled


@given(matched(), st.data())
def test_less_than_what_is_allowed_is_allowed(pair, data):
    grant, request = pair
    smaller = replace(
        request,
        columns=data.draw(subsets(request.columns)),
        protocols=data.draw(subsets(request.protocols)),
        openings=Openings(bin_counts="provider", card="shared"),
    )
    check_grant(grant, smaller, NOON, 0)


# The terms themselves.


def test_good_terms_pass_and_days_become_moments(terms):
    checked = check_terms(replace(terms, valid_from="2026-11-01", valid_until="2026-12-01"), "cardnet")
    assert checked == terms


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"askers": []}, "askers of a grant must have 1 to 1000 entries, got 0"),
        ({"askers": ["Bank"]}, "askers must be 1 to 63 small letters"),
        ({"askers": ["bank", "bank"]}, "askers of a grant names bank twice"),
        ({"askers": ["cardnet"]}, "askers of a grant must not name its provider cardnet"),
        ({"helpers": ["cardnet"]}, "helpers of a grant must not name its provider cardnet"),
        ({"helpers": ["bank"]}, "a helper must be neutral: bank stands in askers and in helpers"),
        ({"helpers": []}, "a grant of mode aided must name at least one helper, got none"),
        ({"modes": ["pair"]}, "a grant that names helpers must allow mode aided, got pair"),
        ({"modes": []}, "modes of a grant must have 1 to 1000 entries, got 0"),
        ({"modes": ["aided", "open"]}, "modes of a grant must be among aided, pair, local, got 'open'"),
        ({"protocols": ["steal"]}, "protocols of a grant must be among match, bin, train, .*, got .steal."),
        ({"columns": []}, "columns of a grant must have 1 to 1000 entries, got 0"),
        ({"columns": ["a", "b", "a"]}, "columns of a grant names a twice"),
        ({"columns": ["a\n"]}, "columns of a grant must be 1 to 200 printable characters, got 1 that cannot"),
        ({"purpose": " "}, "purpose of a grant must be 1 to 200 printable characters, got 0$"),
        ({"legal_basis": ""}, "legal_basis of a grant must be 1 to 200 printable characters, got 0$"),
        ({"table": "x" * 201}, "table of a grant must be 1 to 200 printable characters, got 201$"),
        ({"runs": 0}, "runs of a grant must be a whole number from 1 to 1000000, got 0"),
        ({"runs": True}, "runs of a grant must be a whole number from 1 to 1000000, got True"),
        ({"runs": 1.5}, r"runs of a grant must be a whole number from 1 to 1000000, got 1\.5"),
        ({"minimum_rows": 0}, "minimum_rows of a grant must be a whole number from 1 to"),
        ({"minimum_bin_rows": -1}, "minimum_bin_rows of a grant must be a whole number from 1 to"),
        ({"openings": Openings(reasons=9)}, "reasons of a grant must be a whole number from 0 to 8, got 9"),
        ({"openings": Openings(card="all")}, "card of a grant must be among shared, own, both, got"),
        ({"openings": Openings(bin_counts="asker")}, "bin_counts of a grant must be among provider, both"),
        ({"openings": Openings(training_summary=1)}, "training_summary of a grant must be true or false"),
        ({"valid_from": "soon"}, "valid_from must be a time in UTC like 2026-11-05T12:00:00Z .* got soon"),
        ({"valid_until": "2026-02-30"}, "valid_until must be a time in UTC .* got 2026-02-30"),
        ({"valid_until": "2026-11-01"}, "valid_until must be later than valid_from"),
        ({"valid_until": "2026-12-01T00:00:00+08:00"}, "valid_until must be a time in UTC"),
    ],
)  # fmt: skip
def test_terms_that_contradict_themselves_are_refused(terms, changes, sentence):
    with pytest.raises(DataError, match=sentence):
        check_terms(replace(terms, **changes), "cardnet")


def plain(terms: GrantTerms) -> dict:
    import msgspec

    return msgspec.to_builtins(terms)


def test_terms_are_read_from_plain_values(terms):
    assert read_terms(plain(terms), "cardnet") == terms


def test_what_is_left_out_has_the_careful_value(terms):
    fields = plain(terms)
    for name in ("openings", "minimum_rows", "minimum_bin_rows"):
        del fields[name]
    read = read_terms(fields, "cardnet")
    assert read.openings == Openings(bin_counts="provider", card="own", reasons=0, training_summary=False)
    assert (read.minimum_rows, read.minimum_bin_rows) == (1000, 50)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"colums": []}, r"grant: unknown key colums; did you mean columns\?"),
        ({"zzz": 1}, "grant: unknown key zzz; allowed here: askers, .*, runs"),
        ({"openings": {"cards": "own"}}, r"openings: unknown key cards; did you mean card\?"),
        ({"openings": 7}, "not the terms of a grant: Expected `object`, got `int`"),
        ({"askers": "bank"}, "not the terms of a grant: Expected `array`, got `str`"),
        ({"modes": ["open"]}, "not the terms of a grant: Invalid enum value 'open'"),
        ({"runs": "3"}, "not the terms of a grant: Expected `int`, got `str`"),
    ],
)
def test_wrong_plain_values_are_a_sentence(terms, changes, sentence):
    with pytest.raises(DataError, match=sentence):
        read_terms(plain(terms) | changes, "cardnet")


def test_a_missing_field_is_named(terms):
    fields = plain(terms)
    del fields["legal_basis"]
    with pytest.raises(DataError, match="missing required field `legal_basis`"):
        read_terms(fields, "cardnet")
