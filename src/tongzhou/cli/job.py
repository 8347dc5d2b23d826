"""``tongzhou job``: plans held against the institution, and the runs it took part in."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from tongzhou.cli.command import command, noun
from tongzhou.cli.terminal import Terminal
from tongzhou.node.check import check_job
from tongzhou.node.plan import load_plan, plan_digest
from tongzhou.node.store import RunRecord, StepRecord
from tongzhou.parties.grants import GrantRequest

__all__ = ["app", "check", "show"]

app = noun("job", "Joint computations: check a plan, run it, look at runs.")


@command(app, "check")
def check(
    terminal: Terminal, plan_file: Annotated[Path, typer.Argument(metavar="PLAN.toml", help="The plan.")]
) -> None:
    """Hold a plan against the own tables, label, grants and partners, and say what it asks. Nothing is sent.

    Example: tongzhou job check plan.toml
    """
    plan = load_plan(plan_file)
    found = check_job(terminal.home, plan)
    terminal.say(
        "plan {plan}, mode {mode}: {party} is the {role}",
        plan=plan.name,
        mode=plan.mode,
        party=found.party,
        role=terminal.word(found.role),
    )
    terminal.say("digest {digest}: the other parties must see the same", digest=found.digest)
    for provider, request in found.requests.items():
        _show_request(terminal, provider, request)
    if found.grant is not None:
        terminal.say("grant {grant} allows it", grant=found.grant.grant_id)
    terminal.show_findings(found.findings)
    if (error := found.refusal()) is not None:
        terminal.refuse(error, found.findings)
    terminal.result(found)
    terminal.say("{party} is ready", party=found.party)


def _show_request(terminal: Terminal, provider: str, request: GrantRequest) -> None:
    terminal.table(
        ["asked of the provider", "value"],
        [
            ["provider", provider],
            ["asker", request.asker],
            ["helper", request.helper],
            ["purpose", request.purpose],
            ["table", request.table],
            ["columns", ", ".join(request.columns)],
            ["computations", ", ".join(request.protocols)],
            ["bin_counts", request.openings.bin_counts],
            ["card", request.openings.card],
            ["reasons", str(request.openings.reasons)],
            ["training_summary", terminal.flag(request.openings.training_summary)],
        ],
    )


@command(app, "show")
def show(
    terminal: Terminal,
    run_id: Annotated[str | None, typer.Argument(metavar="[RUN]", help="Show this run.")] = None,
) -> None:
    """List the runs, or show one with its steps.

    Example: tongzhou job show
    """
    store = terminal.home.store
    if run_id is None:
        runs = store.runs()
        terminal.result({"runs": [_plain(run) for run in runs]})
        terminal.table(
            ["run", "plan", "role", "state", "began", "ended"],
            [
                [
                    run.run_id,
                    run.plan.name,
                    terminal.word(run.role),
                    terminal.word(run.state),
                    run.created,
                    run.finished,
                ]
                for run in runs
            ],
        )
        return
    run, steps = store.run(run_id), store.steps(run_id)
    terminal.result({**_plain(run), "plan": run.plan, "steps": steps})
    terminal.say(
        "run {run} of plan {plan} is {state}", run=run_id, plan=run.plan.name, state=terminal.word(run.state)
    )
    if run.reason is not None:
        terminal.say("reason: {reason}", reason=terminal.resay(run.reason))
    terminal.table(
        ["step", "seconds", "CPU seconds", "bytes", "rounds", "ended"],
        [_step_row(terminal, step) for step in steps],
    )


def _plain(run: RunRecord) -> dict[str, object]:
    values = {key: getattr(run, key) for key in run.__struct_fields__}
    return {**msgspec.to_builtins({**values, "plan": run.plan.name}), "plan_digest": plan_digest(run.plan)}


def _step_row(terminal: Terminal, step: StepRecord) -> list[object]:
    """A party's own cost of a step."""
    cost = step.summary.get("cost", {})
    seconds = [cost[key] / 1e6 if key in cost else None for key in ("wall_us", "cpu_us")]
    return [terminal.step(step.step), *seconds, cost.get("bytes_sent"), cost.get("rounds"), step.finished]
