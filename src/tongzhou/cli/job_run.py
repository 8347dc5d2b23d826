"""``tongzhou job run``, ``resume`` and ``cancel``: the asker's side of a joint computation."""

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from tongzhou.cli.command import command
from tongzhou.cli.job import app
from tongzhou.cli.terminal import Terminal
from tongzhou.node.check import check_job
from tongzhou.node.job_journal import StepSummary
from tongzhou.node.job_messages import StepCost
from tongzhou.node.job_run import cancel_run, resume_plan, run_job
from tongzhou.node.plan import Plan, load_plan
from tongzhou.parties.times import utc_now

__all__ = ["Bars", "app", "cancel", "resume", "run", "step_figures"]

_RUN = typer.Argument(metavar="RUN", help="The run, as `job show` lists it.")


@command(app, "run")
def run(
    terminal: Terminal, plan_file: Annotated[Path, typer.Argument(metavar="PLAN.toml", help="The plan.")]
) -> None:
    """Run a plan with the partners it names; each finished step is saved and signed by all of them.

    Example: tongzhou job run plan.toml
    """
    plan = load_plan(plan_file)
    found = check_job(terminal.home, plan)
    terminal.show_findings(found.findings)
    if (error := found.refusal()) is not None:
        terminal.refuse(error, found.findings)
    _play(terminal, plan, None)


@command(app, "resume")
def resume(terminal: Terminal, run_id: Annotated[str, _RUN]) -> None:
    """Go on with a run that stopped, from the last step that every party has finished.

    Example: tongzhou job resume 20260401-0123456789ab
    """
    _play(terminal, resume_plan(terminal.home, run_id), run_id)


@command(app, "cancel")
def cancel(terminal: Terminal, run_id: Annotated[str, _RUN]) -> None:
    """Stop a run for good; a run in progress ends within a second.

    Example: tongzhou job cancel 20260401-0123456789ab
    """
    record = cancel_run(terminal.home, run_id, now=utc_now())
    terminal.result({"run": run_id, "state": record.state})
    terminal.say("run {run} is cancelled", run=run_id)


def _play(terminal: Terminal, plan: Plan, run_id: str | None) -> None:
    with Bars(terminal) as bars:
        run_id = run_job(terminal.home, plan, run_id=run_id, watcher=bars)
    terminal.result({"run": run_id, "state": "done", "mode": plan.mode, "steps": bars.figures})
    terminal.table(
        ["step", "seconds", "CPU seconds", "bytes", "rounds"],
        [
            [terminal.step(str(s["name"])), s["wall_s"], s["cpu_s"], s["bytes"], s["rounds"]]
            for s in bars.figures
        ],
    )
    if plan.mode == "local":
        terminal.say("mode local: one process held both tables, nothing was protected, no grant was asked")
    terminal.say("run {run} is done; look at it with: tongzhou job show {run}", run=run_id)


class Bars:
    """Progress bars of a job, and its figures step by step.

    Attributes:
        figures: a row for each finished step: name, wall and CPU seconds of all parties, bytes, rounds.
        summaries: what each step left, by name.
    """

    def __init__(self, terminal: Terminal) -> None:
        self.figures: list[dict[str, str | float | int]] = []
        self.summaries: dict[str, StepSummary] = {}
        self._terminal = terminal
        self._task: TaskID | None = None
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            console=terminal.console,
            disable=terminal.manner.json,
        )

    def __enter__(self) -> "Bars":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars.live.is_started:
            self._bars.stop()

    def step_begins(self, step: str, position: int, of: int) -> None:
        """A bar for the step."""
        # Not before: bars without a step would leave an empty line above a refusal.
        self._bars.start()
        self._task = self._bars.add_task(f"{position + 1}/{of} {self._terminal.step(step)}", total=None)

    def progress(self, step: str, done: int, total: int) -> None:
        """Move the bar."""
        if self._task is not None:
            self._bars.update(self._task, completed=done, total=total)

    def step_ends(self, step: str, summary: StepSummary) -> None:
        """Fill the bar and note the figures."""
        if self._task is not None:
            self._bars.update(self._task, completed=1, total=1)
        self.summaries[step] = summary
        self.figures.append(step_figures(step, [summary.cost, *summary.peers.values()]))


def step_figures(step: str, costs: list[StepCost]) -> dict[str, str | float | int]:
    """Cost of a step: the slowest party's time, everybody's CPU and bytes, the busiest party's rounds."""
    return {
        "name": step,
        "wall_s": max(cost.wall_us for cost in costs) / 1e6,
        "cpu_s": sum(cost.cpu_us for cost in costs) / 1e6,
        "bytes": sum(cost.bytes_sent for cost in costs),
        "rounds": max(cost.rounds for cost in costs),
    }
