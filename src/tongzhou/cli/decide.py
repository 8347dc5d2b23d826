"""``tongzhou decide``: new applicants scored jointly with a partner, and decided under a strategy."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from tongzhou.cli.command import command
from tongzhou.cli.job_run import Bars
from tongzhou.cli.terminal import Terminal
from tongzhou.decide.engine import compile_strategy
from tongzhou.decide.strategy import OUTCOMES, Strategy
from tongzhou.node.applicants import read_applicants
from tongzhou.node.decisions import DecidedApplicant, decide_applicants, enter_decisions, json_lines
from tongzhou.node.files import write_file
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
    plan = base_plan(home, run_id)
    engine = compile_strategy(Strategy.load(strategy))
    applicants = read_applicants(
        file,
        engine,
        identifier=plan.match.identifier[home.party_id],
        kind=plan.match.kind,
        columns=card_columns(home, run_id),
    )
    with Bars(terminal) as bars:
        scored = score_applicants(home, run_id, applicants.applicants, watcher=bars)
    decided = decide_applicants(engine, applicants, scored)
    if out is not None:
        write_file(out, json_lines(decided))
    entry = enter_decisions(home, engine, decided, run_id=scored.run_id, base_run=run_id)
    _show(terminal, decided, out)
    terminal.result(
        {
            "run": scored.run_id,
            "base_run": run_id,
            "strategy": {"name": engine.strategy.name, "digest": engine.strategy.digest},
            "entry": entry,
            "file": out,
            "outcomes": Counter(one.outcome for one in decided),
            "decisions": decided if out is None else None,
        }
    )
    terminal.say(
        "{count} applicants decided in run {run}; entry {entry} of the log holds the digests",
        count=len(decided),
        run=scored.run_id,
        entry=entry,
    )


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
