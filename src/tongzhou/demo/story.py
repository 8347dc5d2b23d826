"""The demonstration from beginning to end, without a word printed: the terminal tells it."""

import time
from dataclasses import dataclass

from tongzhou.demo.decisions import Decided, decide_applicants
from tongzhou.demo.institutions import Institutions
from tongzhou.demo.quality import Quality
from tongzhou.demo.results import Results, gather
from tongzhou.demo.scenario import PROVIDER_COLUMNS, PURPOSE, write_plan
from tongzhou.demo.verification import Verified, cosign_both, verify_logs
from tongzhou.errors import GrantError, PeerError
from tongzhou.node.job_journal import StepSummary
from tongzhou.node.job_run import Watcher, run_job
from tongzhou.node.plan import Plan, load_plan
from tongzhou.parties.grants import Grant
from tongzhou.parties.times import utc_now

__all__ = ["Story", "protected_cpu_s"]


class _Recorder:
    """Keeps every step's summary and passes the news on."""

    def __init__(self, watcher: Watcher) -> None:
        self.summaries: dict[str, StepSummary] = {}
        self._watcher = watcher

    def step_begins(self, step: str, position: int, of: int) -> None:
        self._watcher.step_begins(step, position, of)

    def progress(self, step: str, done: int, total: int) -> None:
        self._watcher.progress(step, done, total)

    def step_ends(self, step: str, summary: StepSummary) -> None:
        self.summaries[step] = summary
        self._watcher.step_ends(step, summary)


@dataclass
class Story:
    """What happens, in order. Each part needs the parts before it.

    Attributes:
        cast: the institutions, founded and started.
        plan: the plan.
    """

    cast: Institutions
    plan: Plan

    @classmethod
    def begin(cls, cast: Institutions) -> "Story":
        """Found and start the institutions, and write the plan."""
        cast.found(utc_now())
        cast.start()
        return cls(cast, load_plan(write_plan(cast.folder)))

    def try_without_grant(self) -> str:
        """Run without a grant; returns the sentence of the refusal.

        Raises:
            PeerError: the card network let it through, which it must not.
        """
        try:
            run_job(self.cast.home("bank"), self.plan)
        except GrantError as refusal:
            return str(refusal)
        raise PeerError("the card network worked without a grant")

    def grant(self) -> Grant:
        """The card network grants."""
        return self.cast.grant(PROVIDER_COLUMNS, PURPOSE, utc_now())

    def run(self, watcher: Watcher) -> tuple[str, dict[str, StepSummary], float]:
        """Run the job; returns the run, its step summaries, and the seconds it took."""
        start, recorder = time.perf_counter(), _Recorder(watcher)
        run_id = run_job(self.cast.home("bank"), self.plan, watcher=recorder)
        return run_id, recorder.summaries, time.perf_counter() - start

    def compare(self, run_id: str) -> Quality:
        """The bank's own card, and the joint card in the clear."""
        return Quality(gather(self.cast, self.plan, run_id))

    def decide(self, results: Results) -> Decided:
        """Publish the strategy and decide the applicants."""
        return decide_applicants(self.cast, results)

    def verify(self) -> Verified:
        """Have the logs cosigned, verify them, and tamper with a copy."""
        cosign_both(self.cast)
        return verify_logs(self.cast)


def protected_cpu_s(summaries: dict[str, StepSummary]) -> float:
    """CPU seconds of the joint training, all parties together."""
    train = summaries["train"]
    parts = [train.measures, *train.peer_measures.values()]
    return sum(part.get("train_cpu_us", 0) for part in parts) / 1e6
