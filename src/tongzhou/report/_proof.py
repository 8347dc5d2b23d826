"""Sections on cost, leakage, the receipt, verification and limits."""

from tongzhou.report._format import bytes_text, count, instant, seconds
from tongzhou.report._markup import Child, Markup, both, code, join, strong, table, tag
from tongzhou.report._parts import Cast, note, pairs, section, side_by_side
from tongzhou.report.figures import Figures, LogFigure, ReceiptFigure, StepCost, Tamper

__all__ = ["check_section", "cost_section", "leakage_section", "limits_section", "receipt_section"]


def cost_section(figures: Figures) -> Markup:
    """Show what each step cost, all parties together."""
    steps = figures.steps
    longest = max((step.wall_s for step in steps), default=0.0) or 1.0
    rows = [_step(step, longest) for step in steps]
    foot: list[Child] = [
        both("all steps"),
        seconds(sum(s.wall_s for s in steps)),
        seconds(sum(s.cpu_s for s in steps)),
        bytes_text(sum(s.bytes for s in steps)),
        count(sum(s.rounds for s in steps)),
    ]
    head: list[Child] = [
        both("step"),
        both("wall time"),
        both("processor time"),
        both("sent"),
        both("rounds"),
    ]
    run = figures.run
    return section(
        "cost",
        both("What each step cost"),
        both(
            "All parties together. The whole run took {wall} and {cpu} of processor time, start-up included.",
            wall=seconds(run.wall_s),
            cpu=seconds(run.cpu_s),
        ),
        table(head, rows, cls="cost", foot=foot),
        tag("p", run.machine, cls="small") if run.machine else None,
    )


def _step(step: StepCost, longest: float) -> list[Child]:
    width = max(1, round(100 * step.wall_s / longest))
    bar = tag("span", cls="bar", style=f"width:{width}%")
    name = join(tag("span", step.words), tag("small", code(step.name)))
    wall = join(seconds(step.wall_s), tag("span", bar, cls="track"))
    return [name, wall, seconds(step.cpu_s), bytes_text(step.bytes), count(step.rounds)]


def leakage_section(figures: Figures, cast: Cast) -> Markup:
    """Show who learned what in each step: one row a step, one column a party."""
    parties = [party.party_id for party in figures.parties]
    words_of = {step.name: step.words for step in figures.steps}
    head: list[Child] = [both("step"), *(cast.chip(p) for p in parties), both("assumption and source")]
    rows: list[list[Child]] = []
    for leakage in figures.leakage:
        learned = dict(leakage.learned)
        cells: list[Child] = [learned.get(p, "–") for p in parties]
        source = join(leakage.assumption, tag("small", leakage.paper), _cost(leakage.cost))
        rows.append([join(words_of.get(leakage.step, leakage.step)), *cells, source])
    return section(
        "leakage",
        both("Who learned what"),
        both(
            "Beyond its own data and the sizes that all must know. What is not in this table stayed closed."
        ),
        table(head, rows, cls="leakage", text_columns=len(head)),
    )


def _cost(cost: Child) -> Markup | None:
    return None if cost is None else tag("small", cost)


def receipt_section(figures: Figures, cast: Cast) -> Markup:
    """Show the receipt of the run, as it stands in every participant's log."""
    receipt = figures.receipt
    return section(
        "receipt",
        both("The receipt"),
        both(
            "Every participant holds this record in its own log. Commitments are salted: they bind the data "
            "without showing it."
        ),
        side_by_side(_receipt_facts(receipt, figures), _receipt_bonds(receipt, cast)),
    )


def _receipt_facts(receipt: ReceiptFigure, figures: Figures) -> Markup:
    when = f"{instant(figures.run.started)}, {seconds(figures.run.wall_s)}"
    return pairs(
        (both("run"), code(receipt.run_id, cls="wide")),
        (both("time"), when),
        (both("mode"), code(figures.run.mode)),
        (both("plan digest"), code(receipt.plan_digest, cls="wide")),
        (both("grant"), code(receipt.grant_id, cls="wide")),
        (both("program"), receipt.code_version),
    )


def _receipt_bonds(receipt: ReceiptFigure, cast: Cast) -> Markup:
    commitments = [tag("li", what, " ", code(digest, cls="wide")) for what, digest in receipt.commitments]
    outputs = [tag("li", cast.chip(party), " ", what) for party, what in receipt.outputs]
    signatures = [
        tag("li", cast.chip(s.party), " ", s.algorithm, " ", code(s.value, cls="wide"))
        for s in receipt.signatures
    ]
    return pairs(
        (both("commitments"), tag("ul", *commitments)),
        (both("who got what"), tag("ul", *outputs)),
        (both("signatures"), tag("ul", *signatures)),
    )


def check_section(figures: Figures, cast: Cast) -> Markup:
    """Show the independent verification, the tampered copy and how to repeat both."""
    proof = figures.verification
    commands = [
        tag("li", tag("p", step.words), tag("pre", tag("code", step.command))) for step in proof.commands
    ]
    return section(
        "check",
        both("Verified, and tampering found"),
        both(
            "A checker that knows nothing of the rest derived every leaf, tree, checkpoint and signature "
            "again from the raw entries. A cosignature says that the witness saw this log grow and never "
            "change."
        ),
        side_by_side(*(_log(log, cast) for log in proof.logs)),
        _tamper(proof.tamper, cast),
        tag("h3", both("Check it yourself")),
        tag("ol", *commands, cls="commands"),
    )


def _log(log: LogFigure, cast: Cast) -> Markup:
    cosigners = [
        tag("li", cast.chip(c.witness), " ", tag("span", instant(c.time), cls="soft"))
        for c in log.checkpoint.cosignatures
    ]
    state = both("verified") if log.verified else both("not verified")
    return tag(
        "article",
        tag(
            "header",
            cast.chip(log.party),
            tag("span", state, cls="grade " + ("approve" if log.verified else "decline")),
        ),
        tag("p", log.sentence),
        pairs(
            (both("entries verified"), count(log.entries_verified)),
            (both("checkpoints verified"), count(log.checkpoints_verified)),
            (both("root"), code(log.checkpoint.root, cls="wide")),
            (both("cosigned by"), tag("ul", *cosigners) if cosigners else both("nobody")),
        ),
        tag("pre", log.checkpoint.text.strip(), cls="note-text") if log.checkpoint.text else None,
        cls=f"log {cast.role_class(log.party)}",
    )


def _tamper(tamper: Tamper | None, cast: Cast) -> Markup | None:
    if tamper is None:
        return None
    done = both(
        "In a copy of the log of {party} one byte was flipped (byte {offset} of {file}). The checker "
        "answered:",
        party=cast.name(tamper.party),
        offset=count(tamper.offset),
        file=code(tamper.file),
    )
    if tamper.found:
        verdict = both("Found, and entry {entry} named.", entry=tamper.entry)
    else:
        verdict = both("Not found: do not rely on this version.")
    return note(
        tag("p", done),
        tag("blockquote", tag("code", tamper.sentence)),
        tag("p", strong(verdict)),
        cls="good" if tamper.found else "bad",
    )


def limits_section(figures: Figures) -> Markup:
    """Say what is not promised."""
    return section(
        "limits",
        both("Honest limits"),
        both("What this run does not show and this program does not promise."),
        tag("ul", *(tag("li", limit) for limit in figures.limits), cls="limits"),
    )
