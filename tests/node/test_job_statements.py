"""What is said of each step: for every opening, each role, in both languages, and never too little."""

import itertools

import job_town
import pytest

from tongzhou.node.job_journal import StepSummary
from tongzhou.node.job_messages import ALL_STEPS as STEPS
from tongzhou.node.job_run import run_job
from tongzhou.node.statements import STATEMENTS, statement_of

OPENINGS = list(itertools.product(("dh", "vole", "aided"), ("provider", "both"), ("shared", "own", "both")))


@pytest.mark.parametrize(("match", "bin_counts", "card"), OPENINGS)
@pytest.mark.parametrize("step", [*STEPS, "witness"])
def test_every_step_speaks_of_every_role_in_both_languages(step, match, bin_counts, card) -> None:
    statement = statement_of(step, match=match, bin_counts=bin_counts, card=card)
    assert set(statement.learned) == {"asker", "provider", "helper"}
    for english, chinese in (*statement.learned.values(), statement.assumption):
        assert english.isascii() or "\u2013" in english
        assert any("\u4e00" <= character <= "\u9fff" for character in chinese)
    assert statement.paper


def test_no_statement_is_unused() -> None:
    used = {
        id(STATEMENTS[name])
        for step in [*STEPS, "witness"]
        for match, bin_counts, card in OPENINGS
        for name in [
            {"match": f"match.{match}", "bin": f"bin.{bin_counts}", "train": f"train.{card}"}.get(step, step)
        ]
        if name in STATEMENTS
    } | {
        id(STATEMENTS[name])
        for name in (
            "boost.shared",
            "boost.asker",
            *(f"{job}.{mode}" for job in ("size", "join") for mode in ("pair", "aided")),
        )
    }
    assert {name for name, one in STATEMENTS.items() if id(one) not in used} == {"local"}


def test_a_wider_opening_says_more() -> None:
    def said(step, card):
        return statement_of(step, match="dh", bin_counts="provider", card=card).learned

    assert "bins and weights" in said("bin", "both")["asker"][0]
    assert "bins and weights" not in said("bin", "own")["asker"][0]
    assert "bins and weights" in said("select", "both")["provider"][0]
    assert "the whole card" in said("train", "both")["provider"][0]
    assert "weights" not in said("train", "shared")["asker"][0]


def test_mode_local_says_that_nothing_is_protected() -> None:
    for step in STEPS:
        statement = statement_of(step, match="dh", bin_counts="both", card="both", mode="local")
        assert "nothing is protected" in statement.learned["asker"][0]
        assert set(statement.learned) == {"asker", "provider"}


@pytest.mark.parametrize("step", sorted({*STEPS, "witness"} - {"size", "join"}))  # those differ by mode
def test_mode_pair_speaks_of_the_owners_alone(step) -> None:
    """Who learns what is as with a helper; what protects it is not."""
    options = {"match": "dh", "bin_counts": "both", "card": "both"}
    pair, aided = (statement_of(step, **options, mode=mode) for mode in ("pair", "aided"))
    assert pair.learned == {role: words for role, words in aided.learned.items() if role != "helper"}
    if step in ("bin", "train", "score"):
        assert "ring learning with errors" in pair.assumption[0]
        assert "RLWE" in pair.assumption[1]
        assert "Brakerski" in pair.paper
        assert "helper" not in pair.assumption[0]
    else:
        assert (pair.assumption, pair.paper) == (aided.assumption, aided.paper)


def test_what_was_opened_to_a_role_is_said_of_it(town) -> None:
    """A role that the ledger names as receiver learnt something by the statement too."""
    plan, _ = town.granted()
    steps = job_town.Steps()
    run_job(town.bank, plan, watcher=steps)
    for step, summary in steps.ended.items():
        assert isinstance(summary, StepSummary)
        learned = summary.receipt.receipt.learned
        for opening in summary.openings:
            for role in opening.receivers:
                assert learned[role] != "nothing", (step, opening)
