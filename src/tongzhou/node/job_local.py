"""Mode local: both owners in one process, no network, no protection, no grant.

The asker's folder holds both tables. The provider is a second thread with a folder of its own that vanishes
with the run; so the steps, their states and their receipts are the same as in a protected mode. Only the
asker signs, since there is nobody else. A run that stopped begins anew when it is resumed.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from threading import Thread

from tongzhou.errors import NotFoundError, StorageError, TongzhouError
from tongzhou.node.home import Home
from tongzhou.node.job_follow import OfferedJob, follow_job
from tongzhou.node.job_messages import SILENCE_S, Offer
from tongzhou.node.plan import Plan
from tongzhou.parties.card import issue_card
from tongzhou.secure.exchange import Exchange
from tongzhou.wire.memory import memory_sessions
from tongzhou.wire.messages import Session
from tongzhou.wire.session import closing

__all__ = ["local_parties"]

Clock = Callable[[], datetime]


@contextmanager
def local_parties(home: Home, plan: Plan, exchange: Exchange, *, clock: Clock) -> Iterator[Session]:
    """The asker's session with a provider in a second thread of this process.

    Args:
        home: the asker's institution; it holds both tables under the names in the plan.
        plan: a plan of mode local.
        exchange: where both compute.
        clock: gives the time.

    Raises:
        NotFoundError: a table is not here.
    """
    asker, provider = plan.owners
    _both_tables_here(home, plan)
    with tempfile.TemporaryDirectory(prefix="tongzhou-local-") as folder:
        scratch = Path(folder) / provider
        _make_scratch(home, plan, scratch, clock())
        sessions = memory_sessions([asker, provider], SILENCE_S)

        def play() -> None:
            # Why it stops reaches the asker over the link; there it is told, not here.
            try:
                with (
                    suppress(TongzhouError),
                    Home.open(scratch) as own,
                    closing(sessions[provider]) as session,
                ):
                    _play_provider(own, plan, session, exchange, clock=clock)
            finally:
                exchange.leave("provider")

        thread = Thread(target=play, name="local-provider", daemon=True)
        thread.start()
        try:
            with closing(sessions[asker]) as session:
                yield session
        finally:
            exchange.leave("asker")
            thread.join()


def _play_provider(home: Home, plan: Plan, session: Session, exchange: Exchange, *, clock: Clock) -> None:
    offer, _ = session.links[plan.parties.asker].recv("job.offer", Offer)
    follow_job(home, OfferedJob(offer, plan, "provider", None), session, exchange=exchange, clock=clock)


def _both_tables_here(home: Home, plan: Plan) -> None:
    for party in plan.owners:
        name = plan.tables[party].table
        try:
            home.store.table(name)
        except NotFoundError as error:
            raise NotFoundError("mode local needs both tables here: {cause}", cause=error) from error


def _make_scratch(home: Home, plan: Plan, folder: Path, now: datetime) -> None:
    """A folder for the provider's thread: the same table, and states and a log that vanish."""
    record = home.store.table(plan.tables[plan.parties.provider].table)
    file = f"{record.name}.parquet"
    with Home.create(folder, plan.parties.provider, "mode local", "localhost:1", now=now) as scratch:
        scratch.trust.add(issue_card(home.identity, home.settings.endpoint, now))
        try:
            shutil.copyfile(home.tables / file, scratch.tables / file)
        except OSError as error:
            raise StorageError(
                "{file} cannot be read: {cause}", file=home.tables / file, cause=error.strerror
            ) from error
        scratch.store.add_table(record)
