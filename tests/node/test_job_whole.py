"""A whole job between processes: what it leaves at each party, and who signed it."""

import job_town
import numpy as np
import pytest

from tongzhou.evidence.checker import verify_log
from tongzhou.node.job_journal import StepSummary, verify_receipt
from tongzhou.node.job_messages import STEPS
from tongzhou.node.job_run import run_job
from tongzhou.node.job_states import BinState, MatchState, ScoreState, TrainState
from tongzhou.node.job_witness import log_vkey, witness_vkey
from tongzhou.node.models import find_model
from tongzhou.node.states import decode_state


@pytest.fixture(scope="module")
def done(town):
    """A finished run: its identifier, its plan, its grant and what the watcher saw."""
    plan, grant = town.granted()
    steps = job_town.Steps()
    return run_job(town.bank, plan, watcher=steps), plan, grant, steps


def test_every_party_finishes_every_step(town, done) -> None:
    run_id, _, grant, steps = done
    assert steps.begun == list(STEPS)
    for party, role in job_town.PARTIES.items():
        record = town.ends(party, run_id)
        assert (record.state, record.role, record.reason) == ("done", role, None)
        assert [step.step for step in town.homes[party].store.steps(run_id)] == list(STEPS)
    assert town.cardnet.store.run(run_id).grant_id == grant.grant_id
    assert town.cardnet.grants.runs_used(grant.grant_id) == 1


def test_all_three_sign_the_same_receipt_of_each_step(town, done) -> None:
    run_id, _, grant, steps = done
    for step in STEPS:
        signed = steps.ended[step].receipt
        assert set(signed.signatures) == set(job_town.PARTIES)
        assert (signed.receipt.mode, signed.receipt.grants) == ("aided", {"cardnet": grant.grant_id})
        for home in town.homes.values():
            for party, token in signed.signatures.items():
                verify_receipt(home, party, token, signed.receipt)
            index = home.log.find("job-step", f"{run_id}/{step}/1")
            assert home.log.payload(index)["receipt"]["facts"] == signed.receipt.facts
            assert home.log.payload(index)["signatures"] == signed.signatures


def test_facts_tell_numbers_and_no_rows(done) -> None:
    facts = {step: summary.receipt.receipt.facts for step, summary in done[3].ended.items()}
    matched = int(facts["match"]["matched_rows"])
    assert 1500 < matched < job_town.CLIENTS
    assert int(facts["match"]["training_rows"]) + int(facts["match"]["held_out_rows"]) == matched
    assert facts["score"] == {"scored_rows": str(matched)}
    assert set(facts["publish"]) == {"card", "model_digest"}


def test_receipts_say_who_learns_what(done) -> None:
    learned = done[3].ended["bin"].receipt.receipt.learned
    assert "how many of them defaulted" in learned["asker"]
    assert "no single label" in learned["provider"]


@pytest.mark.parametrize(("party", "other"), [("bank", "cardnet"), ("cardnet", "bank")])
def test_logs_verify_and_the_other_owner_cosigned(town, done, party, other) -> None:
    town.ends("cardnet", done[0])
    home, witness = town.homes[party], town.homes[other]
    report = verify_log(
        home.log_path,
        log_key=log_vkey(party, home.identity.public_key_bytes),
        witness_keys={other: witness_vkey(other, witness.identity.public_key_bytes)},
        quorum=1,
    )
    assert report.cosignatures[other] >= 1
    ended = home.log.find("job-ended", f"{done[0]}/1")
    assert report.witnessed_size > ended
    assert home.log.payload(ended) == {"state": "done", "reason": ""}


def test_the_beginning_is_committed_to_and_can_be_opened(town, done) -> None:
    run_id, plan, _, steps = done
    receipt = steps.ended["match"].receipt.receipt
    for party in plan.owners:
        begun = town.homes[party].log.payload(town.homes[party].log.find("job-started", run_id))
        assert begun["commitment"] == receipt.commitments[party]
        assert begun["content_hash"] == town.homes[party].store.table(plan.tables[party].table).content_hash
        assert begun["content_hash"] not in str(receipt)


def test_both_owners_hold_the_same_card(town, done) -> None:
    run_id = done[0]
    cards = [find_model(home, "small", run_id) for home in (town.bank, town.cardnet)]
    assert cards[0] == cards[1]
    assert cards[0].provenance["run"] == run_id
    assert {variable.owner for variable in cards[0].variables} == {"bank", "cardnet"}
    assert not list(town.helper.models.iterdir())


def test_scores_are_those_of_the_card(town, done) -> None:
    run_id, _, _, _ = done
    matched = _state(town.bank, run_id, "match", MatchState)
    theirs = _state(town.cardnet, run_id, "match", MatchState)
    scores = _state(town.bank, run_id, "score", ScoreState)
    columns = _columns(town.bank, "clients", matched.places) | _columns(
        town.cardnet, "behaviour", theirs.places
    )
    card = find_model(town.bank, "small", run_id)
    assert np.abs(card.logit_table(columns) - scores.logits).max() < 1e-3
    assert (matched.held_out == theirs.held_out).all()


def test_only_the_asker_learns_scores_and_the_helper_learns_numbers(town, done) -> None:
    run_id, _, _, _ = done
    assert _state(town.cardnet, run_id, "score", ScoreState).logits.size == 0
    for step in STEPS:
        assert len(town.helper.store.step_state(run_id, step)) < 500


def test_weights_come_with_errors(town, done) -> None:
    trained = _state(town.bank, done[0], "train", TrainState)
    assert set(trained.errors) == set(trained.coefficients) == {*trained.asker, *trained.provider}
    assert all(weight > 0 for weight in trained.coefficients.values())


def test_costs_of_all_parties_reach_the_asker(done) -> None:
    summary: StepSummary = done[3].ended["train"]
    assert set(summary.peers) == {"cardnet", "helper"}
    assert min(cost.bytes_sent for cost in (summary.cost, *summary.peers.values())) > 0
    assert summary.measures["train_cpu_us"] > 0


@pytest.mark.parametrize("protocol", ["dh", "vole"])
def test_without_a_helpers_eye_on_the_identifiers_the_result_is_the_same(town, done, protocol) -> None:
    """Matching by the owners alone finds the same clients, so everything after it is the same too."""
    plan, _ = town.granted({'protocol = "aided"': f'protocol = "{protocol}"'})
    run_id = run_job(town.bank, plan)
    places = [set(_state(town.bank, one, "match", MatchState).places.tolist()) for one in (run_id, done[0])]
    assert places[0] == places[1]
    cards = [find_model(town.bank, "small", one) for one in (run_id, done[0])]
    assert [(v.name, v.bins, v.woe) for v in cards[0].variables] == [
        (v.name, v.bins, v.woe) for v in cards[1].variables
    ]


def test_where_each_learns_its_own_part_the_parts_add_up(town) -> None:
    plan, _ = town.granted({"[binning]": '[openings]\ncard = "own"\n[binning]'})
    run_id = run_job(town.bank, plan)
    parts = [find_model(home, "small", run_id) for home in (town.bank, town.cardnet)]
    assert [{v.owner for v in part.variables} for part in parts] == [{"bank"}, {"cardnet"}]
    assert [part.provenance["part"] for part in parts] == ["bank", "cardnet"]
    columns, logits = [], _state(town.bank, run_id, "score", ScoreState).logits
    for home, table in ((town.bank, "clients"), (town.cardnet, "behaviour")):
        columns.append(_columns(home, table, _state(home, run_id, "match", MatchState).places))
    total = sum(part.logit_table(values) for part, values in zip(parts, columns, strict=True))
    assert np.abs(total - logits).max() < 1e-3
    offers = _state(town.bank, run_id, "bin", BinState).offers
    assert all(offer.variable is None for offer in offers)
    reasons = _state(town.bank, run_id, "score", ScoreState)
    assert (reasons.reason_bins == -1).all() and (reasons.reason_points >= 0).all()


def _state(home, run_id, step, kind):
    return decode_state(home.store.step_state(run_id, step), kind)


def _columns(home, table, places):
    from tongzhou.data.columns import numeric_column
    from tongzhou.node.tables import load_table

    record, rows = load_table(home, table)
    names = [name for name in record.columns if name not in (record.identifier, record.label)]
    return {name: numeric_column(rows, name)[places] for name in names}
