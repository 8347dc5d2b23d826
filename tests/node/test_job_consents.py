"""Consents in a job: who is matched, what the provider checks, what the receipt says, and withdrawal."""

import hashlib
from datetime import timedelta

import job_town
import pytest
from job_town import utc_now, utc_text
from test_job_match import granted, plan_of

from tongzhou.errors import TongzhouError
from tongzhou.evidence.merkle import leaf_hash, tree_root
from tongzhou.node.job_results import result_table
from tongzhou.node.job_run import run_job
from tongzhou.parties.consents import Consent, ConsentUse


def consents(wanted: str, clients: list[str], **changes) -> list[Consent]:
    now = utc_now()
    terms = {
        "purpose": wanted,
        "user": "bank",
        "source": "cardnet",
        "valid_from": utc_text(now - timedelta(days=2)),
        "valid_until": utc_text(now + timedelta(days=2)),
    }
    return [
        Consent(identifier=one, document=hashlib.sha256(one.encode()).hexdigest(), **(terms | changes))
        for one in clients
    ]


def common() -> list[str]:
    theirs = set(job_town.cardnet_clients()["client_id"].to_pylist())
    return [one for one in job_town.bank_clients()["client_id"].to_pylist() if one in theirs]


def match_receipt(home, run_id: str) -> dict:
    return home.store.steps(run_id)[0].summary["receipt"]["receipt"]


@pytest.mark.parametrize("keeper", ["asker", "provider"])
def test_only_clients_who_consented_are_matched(town, keeper: str) -> None:
    plan = granted(town, "pair", "dh", consents=keeper)
    covered = common()[:800]
    home = town.bank if keeper == "asker" else town.cardnet
    home.consents.add(consents(plan.purpose, [*covered, "nobody-1"]))
    run_id = run_job(town.bank, plan)
    town.ends("cardnet", run_id)
    clients = result_table(town.bank, run_id)["client_id"].to_pylist()
    assert sorted(clients) == sorted(covered)
    kept = home.consents.covering(
        clients, ConsentUse(purpose=plan.purpose, user="bank", source="cardnet"), utc_now()
    )
    root = tree_root([leaf_hash(kept[one].commitment) for one in clients]).hex()
    for party in (town.bank, town.cardnet):
        facts = match_receipt(party, run_id)["facts"]
        assert facts == {"matched_rows": "800", "consent_root.cardnet": root}


def test_the_helper_signs_the_same_root(town) -> None:
    plan = granted(town, "aided", "aided", consents="asker")
    town.bank.consents.add(consents(plan.purpose, common()[:700]))
    run_id = run_job(town.bank, plan)
    town.ends("helper", run_id)
    facts = [match_receipt(home, run_id)["facts"] for home in town.homes.values()]
    assert facts[0] == facts[1] == facts[2]
    assert len(facts[0]["consent_root.cardnet"]) == 64
    learned = match_receipt(town.cardnet, run_id)["learned"]
    assert "consent" in learned["provider"]
    assert "consent" not in learned["asker"] + learned["helper"]


def test_without_a_consent_nothing_is_matched(town) -> None:
    plan = granted(town, "pair", "dh", consents="asker")
    words = town.fails(plan)
    assert "a grant demands consents kept by bank, and it keeps none that holds now" in words


@pytest.mark.parametrize(
    "changes",
    [
        {"source": "telecom"},
        {"user": "lender"},
        {"purpose": "marketing"},
        {"valid_until": "2020-01-01T00:00:00Z", "valid_from": "2019-01-01T00:00:00Z"},
    ],
)
def test_a_consent_to_something_else_covers_nobody(town, changes) -> None:
    plan = granted(town, "pair", "dh", consents="asker")
    town.bank.consents.add(consents(plan.purpose, common(), **changes))
    assert "keeps none that holds now" in town.fails(plan)


def test_a_withdrawn_consent_stops_the_run_at_its_next_step(town) -> None:
    plan, _ = town.granted(consents="asker", minimum_bin_rows=1)
    clients = common()
    town.bank.consents.add(consents(plan.purpose, clients))
    steps = job_town.Steps("train", lambda: town.bank.consents.withdraw(clients[0], utc_now()))
    words = town.fails(plan, watcher=steps)
    assert "the consents of 1 of the" in words
    assert "matched clients do not hold; start a new run" in words
    assert steps.begun[-1] == "train"


class Liar:
    """A consent book whose keeper claims more than it has."""

    def __init__(self, book, change) -> None:
        self.book, self.change = book, change

    def covering(self, identifiers, use, now):
        return {one: self.change(kept) for one, kept in self.book.covering(identifiers, use, now).items()}


def test_the_provider_finds_consents_that_are_over(town, monkeypatch) -> None:
    import msgspec

    plan = granted(town, "pair", "dh", consents="asker")
    town.bank.consents.add(consents(plan.purpose, common()))
    over = {"valid_from": "2019-01-01T00:00:00Z", "valid_until": "2020-01-01T00:00:00Z"}

    def change(kept):
        return msgspec.structs.replace(kept, consent=msgspec.structs.replace(kept.consent, **over))

    monkeypatch.setitem(town.bank.__dict__, "consents", Liar(town.bank.consents, change))
    words = town.fails(plan)
    assert "cardnet stopped: the consents of" in words


def test_the_provider_finds_consents_of_other_people(town, monkeypatch) -> None:
    """Whoever shows other terms than it committed to arrives at another root, and the receipts differ."""
    import msgspec

    plan = granted(town, "pair", "dh", consents="asker")
    town.bank.consents.add(consents(plan.purpose, common()))

    def change(kept):
        return msgspec.structs.replace(
            kept, consent=msgspec.structs.replace(kept.consent, identifier="somebody")
        )

    monkeypatch.setitem(town.bank.__dict__, "consents", Liar(town.bank.consents, change))
    words = town.fails(plan)
    assert "tells other facts of the match than were found here" in words


def test_clocks_that_lie_apart_are_a_sentence(town) -> None:
    plan = granted(town, "pair", "dh")
    early = utc_now() - timedelta(hours=1)
    with pytest.raises(TongzhouError, match=r"orders a step at .*, and it is .* here: set the clocks"):
        run_job(town.bank, plan, clock=lambda: early)


def test_a_plan_without_consents_shows_none(town) -> None:
    run_id = run_job(town.bank, granted(town, "pair", "dh"))
    assert list(match_receipt(town.bank, run_id)["facts"]) == ["matched_rows"]
    assert plan_of("p", "pair", "dh").purpose == "p"
