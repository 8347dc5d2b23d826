"""``tongzhou decide``: new applicants scored jointly with a partner, and decided under a strategy."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from tongzhou.cli.command import command
from tongzhou.cli.job_run import Bars
from tongzhou.cli.terminal import Terminal
from tongzhou.decide.engine import DecisionEngine, compile_strategy
from tongzhou.decide.strategy import OUTCOMES, Strategy
from tongzhou.errors import StorageError
from tongzhou.node.applicants import ApplicantFile, read_applicants
from tongzhou.node.decisions import (
    DecidedApplicant,
    Made,
    decide_applicants,
    forget_decisions,
    json_lines,
    keep_decisions,
    owed_decisions,
)
from tongzhou.node.files import check_writable, write_file
from tongzhou.node.job_score import base_plan, card_columns, score_applicants

__all__ = ["add_decide", "decide"]

_RUN = typer.Argument(metavar="RUN", help="The finished run that made the card, as `job show` lists it.")
_FILE = typer.Argument(metavar="APPLICANTS", help="CSV or Parquet file, a row for each applicant.")
_STRATEGY = typer.Option("--strategy", metavar="DIR", help="Folder of the strategy.")
_OUT = typer.Option("--out", metavar="FILE", help="Where to write a JSON line for each applicant.")


def add_decide(app: typer.Typer) -> None:
    """Add the command to the root."""
    command(app, "decide")(decide)


def decide(
    terminal: Terminal,
    run_id: Annotated[str, _RUN],
    file: Annotated[Path, _FILE],
    *,
    strategy: Annotated[Path, _STRATEGY],
    out: Annotated[Path | None, _OUT] = None,
) -> None:
    """Score new applicants with the partner of a finished run, and decide each under a strategy.

    It counts as a run under the partner's grant. Applicants that the partner does not know get no score and
    go where the strategy sends them. Stopped on the way, the same command goes on.

    Example: tongzhou decide 20260401-0123456789ab new.csv --strategy strategies/cards --out decided.jsonl
    """
    home = terminal.home
    if out is not None:
        # Before anything is asked of the partner: it would cost a run of the grant.
        check_writable(out)
    plan = base_plan(home, run_id)
    engine = compile_strategy(Strategy.load(strategy))
    applicants = read_applicants(
        file,
        engine,
        identifier=plan.match.identifier[home.party_id],
        kind=plan.match.kind,
        columns=card_columns(home, run_id),
    )
    made = owed_decisions(home, engine, run_id, applicants.applicants.content_hash)
    if made is None:
        made = _make(terminal, engine, applicants, run_id)
    decided = made.decided
    if out is not None:
        _hand_over(made, out)
    _show(terminal, decided, out)
    terminal.result(
        {
            "run": made.run_id,
            "base_run": run_id,
            "strategy": {"name": engine.strategy.name, "digest": engine.strategy.digest},
            "entry": made.entry,
            "file": out,
            "outcomes": Counter(one.outcome for one in decided),
            "decisions": decided if out is None else None,
        }
    )
    terminal.say(
        "{count} applicants decided in run {run}; entry {entry} of the log holds the digests",
        count=len(decided),
        run=made.run_id,
        entry=made.entry,
    )
    terminal.flush()
    forget_decisions(made)


def _make(terminal: Terminal, engine: DecisionEngine, applicants: ApplicantFile, run_id: str) -> Made:
    """Score with the partner, decide, and make sure that nothing can lose the decisions any more."""
    with Bars(terminal) as bars:
        scored = score_applicants(terminal.home, run_id, applicants.applicants, watcher=bars)
    decided = decide_applicants(engine, applicants, scored)
    return keep_decisions(terminal.home, engine, decided, run_id=scored.run_id, base_run=run_id)


def _hand_over(made: Made, out: Path) -> None:
    try:
        write_file(out, json_lines(made.decided))
    except StorageError as error:
        raise StorageError(
            "{cause}; the decisions are kept in {kept}, and the same command goes on without another run",
            cause=error,
            kept=made.kept,
        ) from error


def _show(terminal: Terminal, decided: list[DecidedApplicant], out: Path | None) -> None:
    """The lines themselves, if no file takes them, and a summary."""
    if out is None:
        terminal.text(json_lines(decided).decode().rstrip("\n"))
    else:
        terminal.say("the decisions are in {file}", file=out)
    rows = []
    for outcome in OUTCOMES:
        those = [one for one in decided if one.outcome == outcome]
        scores = [one.score for one in those if one.score is not None]
        rows.append(
            [
                terminal.word(outcome),
                len(those),
                len(those) - len(scores),
                min(scores, default=None),
                max(scores, default=None),
            ]
        )
    terminal.table(["outcome", "applicants", "without a score", "lowest score", "highest score"], rows)
