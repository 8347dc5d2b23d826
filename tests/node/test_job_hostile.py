"""Peers that lie, skip, repeat or send rubbish: refused where it arrives, in a sentence, nothing lost."""

import threading

import job_town
import msgspec
import numpy as np
import pytest

from tongzhou.errors import PeerError
from tongzhou.node.home import Home
from tongzhou.node.job_messages import JOB_PURPOSE, MAX_ATTEMPTS, Acceptance, Offer, StepOrder
from tongzhou.node.job_run import run_job
from tongzhou.node.plan import encode_plan, plan_digest
from tongzhou.parties.times import utc_now, utc_text
from tongzhou.wire.memory import memory_sessions
from tongzhou.wire.session import closing, join_links
from tongzhou.wire.tls import connect


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    """Institutions without daemons: the tests join them in memory."""
    town = job_town.Town(tmp_path_factory.mktemp("quiet")).found()
    yield town
    town.stop()


replace = msgspec.structs.replace


class Puppet:
    """The asker's and the helper's side of a session with the real provider, spoken by the test."""

    def __init__(self, town, plan) -> None:
        self.town, self.plan = town, plan
        sessions = memory_sessions(list(job_town.PARTIES), 10.0)
        self.errors: dict[str, BaseException] = {}
        self.bank, self.helper = sessions["bank"].links["cardnet"], sessions["helper"].links["cardnet"]
        self.thread = job_town.follow_in_thread(town.cardnet, sessions["cardnet"], self.errors)

    def offer(self, **changes) -> Offer:
        text = encode_plan(self.plan).decode()
        offer = Offer(f"run-{self.town.purposes:08}", text, plan_digest(self.plan), "1", "ab" * 32, "0" * 32)
        return replace(offer, **changes)

    def accepted(self, **changes) -> tuple[Offer, Acceptance]:
        offer = self.offer(**changes)
        self.bank.send("job.offer", offer)
        told, _ = self.helper.recv("job.digest", list[str])
        self.helper.send("job.digest", told)
        acceptance, _ = self.bank.recv("job.accept", Acceptance)
        return offer, acceptance

    def order(self, offer: Offer, accepted: Acceptance, **changes) -> None:
        order = StepOrder(
            step="match",
            attempt=1,
            after="",
            grants={"cardnet": accepted.grant_id},
            consents={"cardnet": "none"},
            commitments={"bank": offer.commitment, "cardnet": accepted.commitment},
            minimum_rows=accepted.minimum_rows,
            minimum_bin_rows=accepted.minimum_bin_rows,
            at=utc_text(utc_now()),
        )
        self.bank.send("step.order", replace(order, **changes))

    def refusal(self) -> str:
        with pytest.raises(PeerError) as caught:
            self.bank.recv("nothing")
        self.thread.join(10)
        return str(caught.value)


@pytest.fixture
def puppet(quiet):
    plan, _ = quiet.granted()
    puppet = Puppet(quiet, plan)
    yield puppet
    for link in (puppet.bank, puppet.helper):
        link.close()
    puppet.thread.join(10)


# --- an asker that offers something else


OFFERS = {
    "digest": ({"plan_digest": "0" * 64}, "bank sent a plan that does not fit its digest"),
    "no plan": ({"plan": "{}"}, "the plan of bank"),
    "not JSON": ({"plan": "["}, "not valid JSON"),
    "base of a scorecard": ({"base_run": "run-other-1"}, "only scores rest on another run"),
    "scores without a base": ({"kind": "score", "base_run": "run-nowhere"}, "there is no run run-nowhere"),
}


@pytest.mark.parametrize(("changes", "words"), OFFERS.values(), ids=OFFERS)
def test_offers_that_are_not_taken_up(puppet, changes, words) -> None:
    puppet.bank.send("job.offer", puppet.offer(**changes))
    assert words in puppet.refusal()


BAD_FIELDS = {
    "run id": {"run_id": "../../../etc/passwd"},
    "kind": {"kind": "everything"},
    "call": {"call": "short"},
    "commitment": {"commitment": "zz"},
    "software": {"software": "x" * 1000},
    "unknown": {"more": 1},
}


@pytest.mark.parametrize("changes", BAD_FIELDS.values(), ids=BAD_FIELDS)
def test_offers_with_fields_out_of_bounds(puppet, changes) -> None:
    puppet.bank.send("job.offer", msgspec.to_builtins(puppet.offer()) | changes)
    assert "bank sent job.offer with a value of another type" in puppet.refusal()
    assert puppet.town.cardnet.store.runs() == [] or all(
        run.run_id != changes.get("run_id") for run in puppet.town.cardnet.store.runs()
    )


def test_a_plan_that_names_another_asker(puppet) -> None:
    text = job_town.plan_text(puppet.plan.purpose).replace('asker = "bank"', 'asker = "rival"')
    other = job_town.parse_plan(text.replace("[tables.bank]", "[tables.rival]"), "plan.toml")
    puppet.bank.send(
        "job.offer", puppet.offer(plan=encode_plan(other).decode(), plan_digest=plan_digest(other))
    )
    assert puppet.refusal() == "cardnet stopped: the plan names rival as asker, but bank sent it"


def test_something_else_than_an_offer(puppet) -> None:
    puppet.bank.send("hello again")
    assert "sent hello again where job.offer was due" in puppet.refusal()


# --- an asker that orders what it may not


ORDERS = {
    "fewer rows": (lambda a: {"minimum_rows": 10}, "ordered matches of 10 rows; plan and grant demand 500"),
    "smaller bins": (lambda a: {"minimum_bin_rows": 1}, "ordered bins of 1 rows; grant"),
    "another grant": (
        lambda a: {"grants": {"cardnet": "g-other"}},
        "ordered a step under other terms than grant",
    ),
    "a later step": (lambda a: {"step": "bin", "after": "match"}, "ordered steps out of order"),
    "out of order": (lambda a: {"step": "bin", "after": ""}, "ordered steps out of order"),
    "no step": (lambda a: {"step": "sell"}, "ordered a step that does not exist"),
    "after nothing": (lambda a: {"after": "sell"}, "ordered a step that does not exist"),
    "other inputs": (
        lambda a: {"commitments": {"bank": "ab" * 32, "cardnet": "cd" * 32}},
        "with other commitments",
    ),
    "own inputs": (
        lambda a: {"commitments": {"bank": "cd" * 32, "cardnet": a.commitment}},
        "with other commitments",
    ),
    "more inputs": (
        lambda a: {"commitments": {"bank": "ab" * 32, "cardnet": a.commitment, "x": "y"}},
        "with other commitments",
    ),
    "attempt 0": (lambda a: {"attempt": 0}, "ordered attempt 0 at step match; 0 are entered"),
    "the end at once": (lambda a: {"step": ""}, "ended run"),
}


@pytest.mark.parametrize(("changes", "words"), ORDERS.values(), ids=ORDERS)
def test_orders_that_are_refused(puppet, changes, words) -> None:
    offer, accepted = puppet.accepted()
    puppet.order(offer, accepted, **changes(accepted))
    refusal = puppet.refusal()
    assert refusal.startswith("cardnet stopped: bank ")
    assert words in refusal
    record = puppet.town.cardnet.store.run(offer.run_id)
    assert (record.state, f"cardnet stopped: {record.reason}") == ("failed", refusal)
    assert puppet.town.cardnet.store.steps(offer.run_id) == []


def test_a_step_cannot_be_ordered_without_end(puppet) -> None:
    offer, accepted = puppet.accepted()
    order = {
        "step": "match",
        "attempt": MAX_ATTEMPTS + 1,
        "after": "",
        "grants": {"cardnet": accepted.grant_id},
    }
    order |= {"commitments": {}, "minimum_rows": 500, "minimum_bin_rows": 20}
    puppet.bank.send("step.order", order)
    assert "sent step.order with a value of another type" in puppet.refusal()
    assert puppet.town.cardnet.store.run(offer.run_id).state == "failed"


def test_a_run_of_this_identifier_by_somebody_else_is_refused(quiet, puppet) -> None:
    offer, _ = puppet.accepted()
    other = Puppet(quiet, quiet.plan(quiet.purpose()))
    other.bank.send("job.offer", other.offer(run_id=offer.run_id))
    assert "exists already with another plan, role or grant" in other.refusal()


def test_a_helper_that_was_told_another_plan(puppet) -> None:
    puppet.bank.send("job.offer", puppet.offer())
    told, _ = puppet.helper.recv("job.digest", list[str])
    puppet.helper.send("job.digest", ["0" * 64, *told[1:]])
    refusal = puppet.refusal()
    assert "helper was told another plan of run" in refusal
    assert "the parties disagree on the plan" in refusal


# --- an asker in the middle, over real TLS: provider and helper get different plans


def test_an_asker_that_tells_provider_and_helper_different_plans(town) -> None:
    purpose = town.purpose()
    plan = town.plan(purpose)
    town.grant(purpose)
    other = town.plan(purpose, {"max_bins = 4": "max_bins = 3"})
    run_id = "20260101-differing"
    with Home.open(town.bank.folder) as home:
        links = {
            party: connect(
                home.identity, home.trust.get(party), home.trust, purpose=JOB_PURPOSE, run_id=run_id
            )
            for party in ("cardnet", "helper")
        }
        session = join_links("bank", links.values())
        for party, told in (("cardnet", plan), ("helper", other)):
            offer = Offer(run_id, encode_plan(told).decode(), plan_digest(told), "1", "ab" * 32, "1" * 32)
            links[party].send("job.offer", offer)
        with (
            closing(session),
            pytest.raises(PeerError, match="was told another plan of run 20260101-differing"),
        ):
            links["cardnet"].recv("job.accept", Acceptance)
    for party in ("cardnet", "helper"):
        assert "the parties disagree on the plan" in town.ends(party, run_id).reason


# --- peers that lie in the middle of a step, joined in memory


def _iv(value):
    def lie(offers):
        return [offer | {"iv": value} for offer in offers]

    return lie


def _first(changes):
    def lie(offers):
        return [offers[0] | changes(offers[0]), *offers[1:]]

    return lie


def _woe(offer):
    table = offer["variable"]["table"]
    return {"variable": offer["variable"] | {"table": table | {"woe": [*table["woe"][:-1], float("nan")]}}}


def _edges(offer):
    table = offer["variable"]["table"]
    bins = table["bins"] | {"edges": [2.0, 1.0]}
    return {"variable": offer["variable"] | {"table": table | {"bins": bins}}}


def _reason(which=None, bins=None, points=None):
    def lie(told):
        value, (old_which, old_bins, old_points) = told
        new = [
            old if change is None else np.full_like(old, change)
            for old, change in ((old_which, which), (old_bins, bins), (old_points, points))
        ]
        return value, new

    return lie


LIES = {
    "another plan accepted": (
        "cardnet",
        "job.accept",
        lambda a: replace(a, plan_digest="0" * 64),
        "bank",
        "accepted another plan",
    ),
    "another party": (
        "cardnet",
        "job.accept",
        lambda a: replace(a, party="helper"),
        "bank",
        "accepted another plan",
    ),
    "no grant shown": (
        "cardnet",
        "job.accept",
        lambda a: replace(a, grant=""),
        "bank",
        "cardnet: not a signed document",
    ),
    "another grant": (
        "cardnet",
        "job.accept",
        lambda a: replace(a, grant_id="g-1"),
        "bank",
        "showed a grant that is not for this run",
    ),
    "bins of other rows": (
        "cardnet",
        "bin.shape",
        lambda s: replace(s, rows=s.rows + 1),
        "bank",
        "binned other columns or rows",
    ),
    "no bins": (
        "cardnet",
        "bin.shape",
        lambda s: {"bins": [], "rows": 5},
        "bank",
        "with a value of another type",
    ),
    "huge bins": (
        "cardnet",
        "bin.shape",
        lambda s: replace(s, bins=(10**9,)),
        "bank",
        "with a value of another type",
    ),
    "information that is no number": (
        "cardnet",
        "bin.offers",
        _iv(float("nan")),
        "bank",
        "otherwise than the plan opens it",
    ),
    "information that does not fit": (
        "cardnet",
        "bin.offers",
        _iv(9.0),
        "bank",
        "bins that contradict themselves",
    ),
    "weights that are no numbers": (
        "cardnet",
        "bin.offers",
        _first(_woe),
        "bank",
        "bins that contradict themselves",
    ),
    "edges that descend": (
        "cardnet",
        "bin.offers",
        _first(_edges),
        "bank",
        "values that contradict themselves",
    ),
    "a card that is closed": (
        "cardnet",
        "bin.offers",
        _first(lambda o: {"variable": None}),
        "bank",
        "otherwise than the plan opens it",
    ),
    "other columns": (
        "cardnet",
        "bin.offers",
        lambda o: o[1:],
        "bank",
        "offered other columns than the plan names",
    ),
    "columns of nobody": (
        "bank",
        "select.kept",
        lambda k: replace(k, provider=("secret",)),
        "cardnet",
        "which the plan does not give to cardnet",
    ),
    "a column twice": (
        "bank",
        "select.kept",
        lambda k: replace(k, provider=k.provider * 2),
        "cardnet",
        "names a column of cardnet twice",
    ),
    "nothing kept": (
        "bank",
        "select.kept",
        lambda k: {"asker": ["age"], "provider": []},
        "cardnet",
        "with a value of another type",
    ),
    "bins of others": (
        "bank",
        "select.offers",
        lambda o: o[:0],
        "cardnet",
        "sent bins of other variables than it kept",
    ),
    "training of other rows": (
        "bank",
        "train.shape",
        lambda s: replace(s, rows=s.rows - 1),
        "helper",
        "trains on other variables or rows",
    ),
    "a drop of nothing": (
        "bank",
        "train.drop",
        lambda _: "nobody",
        "cardnet",
        "drops a variable that is not in the training",
    ),
    "weights of the other": (
        "cardnet",
        "train.card",
        lambda s: replace(s, coefficients=s.coefficients | {"age": 9.0}),
        "bank",
        "weights that are not those of its variables",
    ),
    "weights that are infinite": (
        "cardnet",
        "train.card",
        lambda s: replace(s, intercept={"provider": float("inf")}),
        "bank",
        "weights that are not those of its variables",
    ),
    "scores of other rows": (
        "bank",
        "score.shape",
        lambda s: replace(s, rows=s.rows + 1),
        "helper",
        "scores other rows than were matched",
    ),
    "reasons of nobody": (
        "cardnet",
        "score.reasons",
        _reason(which=99),
        "bank",
        "a reason that is not one of its variables",
    ),
    "reasons beyond the bins": (
        "cardnet",
        "score.reasons",
        _reason(bins=99),
        "bank",
        "a reason that is not one of its variables",
    ),
    "reasons that give points": (
        "cardnet",
        "score.reasons",
        _reason(points=-5),
        "bank",
        "a reason that is not one of its variables",
    ),
    "a time that is none": (
        "bank",
        "publish.created",
        lambda _: "yesterday",
        "cardnet",
        "values that contradict themselves",
    ),
    "a digest that is none": (
        "bank",
        "publish.digest",
        lambda _: {"digest": "x"},
        "helper",
        "with a value of another type",
    ),
    "another digest": (
        "bank",
        "publish.digest",
        lambda d: replace(d, digest="0" * 64),
        "helper",
        "its receipt differs in facts",
    ),
    "other facts": (
        "bank",
        "match.facts",
        lambda f: replace(f, matched_rows=9),
        "cardnet",
        "tells other facts of the match than were found here",
    ),
    "another's signature": (
        "cardnet",
        "step.report",
        lambda r: replace(r, signature="x.y.z"),
        "bank",
        "cardnet: not a signed document",
    ),
    "a signature less": (
        "bank",
        "step.signatures",
        lambda s: dict(list(s.items())[:2]),
        "cardnet",
        "is not signed by all parties",
    ),
    "another step saved": (
        "helper",
        "step.saved",
        lambda _: "sell",
        "bank",
        "saved another step than was played",
    ),
    "a negative cost": (
        "helper",
        "step.report",
        lambda r: (
            msgspec.to_builtins(r) | {"cost": {"wall_us": -1, "cpu_us": 0, "bytes_sent": 0, "rounds": 0}}
        ),
        "bank",
        "with a value of another type",
    ),
}


@pytest.mark.parametrize(("liar", "tag", "lie", "finder", "words"), LIES.values(), ids=LIES)
def test_a_lie_is_found(quiet, liar, tag, lie, finder, words) -> None:
    plan, _ = quiet.granted()
    errors = job_town.play_in_memory(quiet, plan, lies={(liar, tag): lie})
    assert words in str(errors[finder])
    assert set(errors) == set(job_town.PARTIES), "everybody learns that it is over"
    record = quiet.homes[finder].store.run(quiet.last_run())
    assert record.state == "failed" and words in record.reason


def test_without_a_lie_it_goes_through_and_a_failed_run_can_be_resumed(quiet) -> None:
    plan, _ = quiet.granted()
    assert job_town.play_in_memory(quiet, plan) == {}
    errors = job_town.play_in_memory(
        quiet, plan, lies={("cardnet", "train.card"): lambda s: replace(s, errors={"x": 1.0})}
    )
    assert "weights that are not those" in str(errors["bank"])
    run_id = quiet.last_run()
    sessions = memory_sessions(list(job_town.PARTIES), 10.0)
    followers: dict[str, BaseException] = {}
    threads = [
        job_town.follow_in_thread(quiet.homes[party], sessions[party], followers)
        for party in ("cardnet", "helper")
    ]
    steps = job_town.Steps()
    quiet.resume(run_id, watcher=steps, connect_parties=lambda *_: closing(sessions["bank"]))
    for thread in threads:
        thread.join(10)
    assert followers == {}
    assert steps.begun == ["train", "score", "publish"]


def test_a_silent_peer_is_not_waited_for_without_end(quiet) -> None:
    plan, _ = quiet.granted()
    sessions = memory_sessions(list(job_town.PARTIES), 0.3)
    with pytest.raises(
        PeerError, match=r"(cardnet|helper) was silent for 0\.3 seconds where job\.accept was due"
    ):
        run_job(quiet.bank, plan, connect_parties=lambda *_: closing(sessions["bank"]))
    assert threading.active_count() < 50
