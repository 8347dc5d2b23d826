"""Play one step of a job at one party: run it, agree on the receipt, save it, enter it in the log."""

import time
from dataclasses import dataclass

import msgspec

from tongzhou import __version__
from tongzhou.errors import ProtocolError
from tongzhou.node.job_context import JobContext
from tongzhou.node.job_journal import StepSummary, enter_step, sign_receipt, verify_receipt
from tongzhou.node.job_messages import Receipt, SignedReceipt, StepCost, StepOrder, StepReport
from tongzhou.node.job_states import HelperState
from tongzhou.node.job_steps import PLAYERS, recheck_matched
from tongzhou.node.statements import statement_of
from tongzhou.node.states import encode_state
from tongzhou.wire.messages import Traffic
from tongzhou.wire.session import total_traffic

__all__ = ["play_step"]


def play_step(context: JobContext, order: StepOrder) -> StepSummary:
    """Play a step to its end; when this returns, the step is saved and entered.

    Raises:
        ProtocolError: the parties do not agree on what the step gave.
        TongzhouError: what the step itself raises.
    """
    if order.step not in PLAYERS:
        raise ProtocolError("there is no step {step}", step=order.step)
    meter = _Meter(context)
    context.begin_step(order.step)
    if order.step != "match" and context.is_owner:
        recheck_matched(context)
    state, facts = PLAYERS[order.step](context)
    receipt = _receipt(context, order, facts)
    own = StepReport(
        sign_receipt(context.home, receipt) if context.home.party_id in context.signers else "",
        meter.read(),
        tuple(context.party.openings),
        dict(context.measures),
    )
    reports, signatures = _agree(context, receipt, own)
    summary = StepSummary(
        SignedReceipt(receipt, signatures),
        own.cost,
        own.openings,
        own.measures,
        {party: report.cost for party, report in reports.items()},
        {party: report.measures for party, report in reports.items()},
    )
    kept = HelperState(receipt.facts) if state is None else state
    context.home.store.save_step(
        context.run_id,
        order.step,
        state=encode_state(kept),
        summary=msgspec.to_builtins(summary),
        now=context.clock(),
    )
    enter_step(context.home.log, summary)
    _confirm(context, order.step)
    return summary


def _receipt(context: JobContext, order: StepOrder, facts: dict[str, object]) -> Receipt:
    plan = context.plan
    statement = statement_of(
        order.step,
        match=plan.match.protocol,
        bin_counts=plan.openings.bin_counts,
        card=plan.openings.card,
        leaves=plan.boosting.leaves,
        mode=plan.mode,
        consents="asker" if "asker" in context.consents.values() else "none",
    )
    return Receipt(
        run_id=context.run_id,
        step=order.step,
        attempt=order.attempt,
        plan_digest=context.digest,
        grants=dict(sorted(order.grants.items())),
        software=__version__,
        roles={str(role): name for role, name in sorted(context.party.names.items())},
        commitments=dict(sorted(order.commitments.items())),
        facts={name: str(facts[name]) for name in sorted(facts)},
        learned={
            role: words[0] for role, words in sorted(statement.learned.items()) if role in context.party.names
        },
        mode=plan.mode,
        kind=context.job.kind,
        base_run=context.job.base_run,
        at=order.at,
    )


def _agree(
    context: JobContext, receipt: Receipt, own: StepReport
) -> tuple[dict[str, StepReport], dict[str, str]]:
    """The asker gathers every party's signature over the same receipt and hands them round."""
    party = context.party
    if context.role == "asker":
        reports = {}
        for link in context.session.links.values():
            reports[link.peer], _ = link.recv("step.report", StepReport)
        signatures = {context.home.party_id: own.signature}
        signatures |= {name: report.signature for name, report in reports.items()}
        signatures = {name: signatures[name] for name in context.signers}
        context.tell("step.signatures", signatures)
    else:
        reports = {}
        party.link("asker").send("step.report", own)
        signatures, _ = party.link("asker").recv("step.signatures", dict[str, str])
    if set(signatures) != set(context.signers):
        raise ProtocolError("a receipt of step {step} is not signed by all parties", step=receipt.step)
    for name, token in signatures.items():
        verify_receipt(context.home, name, token, receipt)
    return reports, dict(sorted(signatures.items()))


def _confirm(context: JobContext, step: str) -> None:
    """The asker goes on only when every party has saved the step."""
    if context.role != "asker":
        context.party.link("asker").send("step.saved", step)
        return
    for link in context.session.links.values():
        saved, _ = link.recv("step.saved", str)
        if saved != step:
            raise ProtocolError("{peer} saved another step than was played", peer=link.peer)


@dataclass
class _Meter:
    """Time, bytes and rounds since it was made. The time is the calling thread's."""

    context: JobContext

    def __post_init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.thread_time()
        self._before: Traffic = total_traffic(self.context.session)

    def read(self) -> StepCost:
        """The cost so far."""
        now = total_traffic(self.context.session)
        return StepCost(
            wall_us=round(1e6 * (time.perf_counter() - self._wall)),
            cpu_us=round(1e6 * (time.thread_time() - self._cpu)),
            bytes_sent=now.bytes_sent - self._before.bytes_sent,
            rounds=now.rounds - self._before.rounds,
        )
