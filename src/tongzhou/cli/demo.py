"""``tongzhou demo``: the whole of it on one machine, from two tables to a joint card, decisions and proof."""

import time
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from tongzhou.cli.command import LangOption
from tongzhou.cli.job_run import Bars
from tongzhou.cli.language import SpokenCommand
from tongzhou.cli.terminal import Manner, Terminal
from tongzhou.errors import NotFoundError, StorageError
from tongzhou.node.files import check_writable

__all__ = ["add_demo", "demo"]

_FOLDER = typer.Option("--folder", metavar="DIR", help="Where the three institutions live.")
_JSON = typer.Option("--json", metavar="FILE", help="Also write the figures for machines to this file.")
_EXTRAS = ("altair", "vl_convert", "sklearn")


def add_demo(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command("demo", cls=SpokenCommand)(demo)


def demo(
    folder: Annotated[Path, _FOLDER] = Path("demo"),
    figures_file: Annotated[Path | None, _JSON] = None,
    lang: LangOption = None,
) -> None:
    """Three institutions on this machine compute a joint scorecard on real data, decide, and prove it.

    Example: tongzhou demo --json figures.json
    """
    _check_extras()
    if figures_file is not None and figures_file.absolute().parent != folder.absolute():
        # The demonstration makes its own folder; any other must be there before minutes are spent.
        check_writable(figures_file)
    with Terminal(Manner.choose(folder, lang, json=False)) as terminal:
        figures = _tell(terminal, folder)
    if figures_file is not None:
        _write(figures_file, msgspec.json.format(msgspec.json.encode(figures), indent=2))


def _check_extras() -> None:
    missing = [name for name in _EXTRAS if find_spec(name) is None]
    if missing:
        raise NotFoundError(
            "the demonstration needs {missing}; install it with: pip install 'tongzhou[demo]'",
            missing=", ".join(missing),
        )


def _tell(terminal: Terminal, folder: Path) -> dict[str, Any]:
    """Play the demonstration and tell it as it happens."""
    # Loaded here: every other command must start without the drawing and comparison libraries.
    from tongzhou.demo.figures import machine_figures, report_figures  # noqa: PLC0415
    from tongzhou.demo.institutions import Institutions  # noqa: PLC0415
    from tongzhou.demo.story import Story  # noqa: PLC0415

    start = time.perf_counter()
    with Institutions(folder) as cast:
        terminal.heading("Three institutions, each a process with its own folder, keys, database and log")
        story = Story.begin(cast)
        _show_cast(terminal, cast)
        terminal.heading("Without a grant the card network refuses")
        refusal = story.try_without_grant()
        terminal.text(f"  {terminal.resay(refusal)}")
        grant = story.grant()
        terminal.heading("The card network grants: purpose, columns, receiver, until when, how often")
        _show_grant(terminal, grant)
        terminal.heading("The joint job: only masked numbers cross between the institutions")
        with Bars(terminal) as bars:
            run_id, summaries, _ = story.run(bars)
        terminal.table(
            ["step", "seconds", "CPU seconds", "bytes", "rounds"],
            [
                [terminal.step(str(s["name"])), s["wall_s"], s["cpu_s"], s["bytes"], s["rounds"]]
                for s in bars.figures
            ],
        )
        terminal.heading("What the partner adds: bank alone, joint under protection, joint in the clear")
        with terminal.waiting("comparing"):
            quality = story.compare(run_id)
            models = quality.models()
        _show_models(terminal, models, quality)
        terminal.heading("Applicants decided under the published strategy, each with reasons in words")
        decided = story.decide(quality.results)
        _show_decisions(terminal, decided)
        terminal.heading("Proof: each log cosigned by the other, verified entry by entry, then tampered with")
        verified = story.verify()
        _show_proof(terminal, verified)
        with terminal.waiting("drawing the report"):
            page = report_figures(
                cast,
                quality,
                decided,
                verified,
                grant=grant,
                refusal=refusal,
                steps=bars.figures,
                summaries=summaries,
            )
            report = _draw(cast.folder, page, terminal.manner.lang)
        wall_s = time.perf_counter() - start
        figures = machine_figures(
            quality, decided, verified, steps=bars.figures, summaries=summaries, wall_s=wall_s
        )
    terminal.heading("Done")
    terminal.say("the report is {file}; open it in any browser, it needs no network", file=report)
    terminal.say("three things to try next:")
    for command in page.verification.commands:
        terminal.text(f"  {command.command}")
        terminal.text(f"    {getattr(command.words, terminal.manner.lang)}")
    return figures


def _draw(folder: Path, page: Any, lang: str) -> Path:
    from tongzhou.report.figures import to_json  # noqa: PLC0415 - as above
    from tongzhou.report.page import render  # noqa: PLC0415

    _write(folder / "figures.json", to_json(page))
    report = folder / "report.html"
    _write(report, render(page, lang=lang).encode())
    return report


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise StorageError("{file} cannot be written: {cause}", file=path, cause=error.strerror) from error


def _show_cast(terminal: Terminal, cast: Any) -> None:
    from tongzhou.demo.institutions import CAST  # noqa: PLC0415 - as above

    terminal.table(
        ["party", "name", "role", "process", "address", "rows"],
        [
            [
                member.party_id,
                getattr(member, terminal.manner.lang),
                terminal.word(member.role),
                str(cast.process_id(member.party_id)),
                cast.home(member.party_id).settings.endpoint,
                sum(table.rows for table in cast.home(member.party_id).store.tables()) or None,
            ]
            for member in CAST
        ],
    )


def _show_grant(terminal: Terminal, grant: Any) -> None:
    terminal.say(
        "grant {grant}: for {purpose}, to {askers}, until {until}; columns: {columns}, runs: {runs}",
        grant=grant.grant_id,
        columns=len(grant.columns),
        purpose=grant.purpose,
        askers=", ".join(grant.askers),
        until=grant.valid_until,
        runs=grant.runs,
    )


def _show_models(terminal: Terminal, models: list[Any], quality: Any) -> None:
    names = {"bank": "bank alone", "joint": "joint, protected", "clear": "joint, in the clear"}
    rows = []
    for model in models:
        for clients, metrics in (("training", model.training), ("held out", model.held_out)):
            cells = [_interval(getattr(metrics, name)) for name in ("auc", "ks", "gini")]
            rows.append([terminal.word(names[model.key]), terminal.word(clients), *cells])
    terminal.table(["model", "clients", "AUC", "KS", "Gini"], rows)
    terminal.say(
        "largest difference of any score between protected and clear: {points} (in points)",
        points=quality.score_difference,
    )
    swap = quality.swap()
    terminal.say(
        "at {approval:.0%} approval: bad rate {bank:.1%} alone, {joint:.1%} with the partner; "
        "bad credit limits avoided: {money:,.0f} {currency}",
        approval=swap.approval,
        bank=_bad_rate(swap.both_approved, swap.swapped_out),
        joint=_bad_rate(swap.both_approved, swap.swapped_in),
        money=swap.bad_exposure_avoided,
        currency=swap.currency,
    )


def _bad_rate(*groups: Any) -> float:
    clients = sum(group.clients for group in groups)
    return float(sum(group.clients * group.bad_rate for group in groups) / max(clients, 1))


def _interval(value: Any) -> str:
    return f"{value.value:.4f} ({value.low:.4f}–{value.high:.4f})"


def _show_decisions(terminal: Terminal, decided: Any) -> None:
    outcomes = decided.outcomes()
    terminal.say(
        "applicants: {applicants}; {approved} approved, {reviewed} to review, {declined} declined; "
        "{p50:.0f} µs a decision (99 %: {p99:.0f} µs)",
        applicants=len(decided.decisions),
        approved=outcomes["approve"],
        reviewed=outcomes["review"],
        declined=outcomes["decline"],
        p50=decided.p50_us,
        p99=decided.p99_us,
    )
    example = next((d for d in decided.decisions if d.outcome == "decline"), decided.decisions[0])
    terminal.say(
        "for example: {outcome} at {score:.0f} points",
        outcome=terminal.word(example.outcome),
        score=example.score,
    )
    for reason in example.reasons:
        terminal.text(f"  · {getattr(reason, terminal.manner.lang)}")


def _show_proof(terminal: Terminal, verified: Any) -> None:
    for party, report in verified.reports.items():
        terminal.say(
            "{party} verifies; entries: {entries}, checkpoints: {checkpoints}, cosignatures: {cosignatures}",
            party=party,
            entries=report.entries,
            checkpoints=report.checkpoints,
            cosignatures=sum(report.cosignatures.values()),
        )
    terminal.say("one byte flipped in a copy; the checker says:")
    terminal.text(f"  {terminal.resay(verified.sentence)}")
