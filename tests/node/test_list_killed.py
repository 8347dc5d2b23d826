"""Asker or helper killed in the middle of a question: both come back, and no slot is used twice."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from list_worlds import DAY, ListWorld, world

from tongzhou.errors import ConflictError
from tongzhou.node.list_ledger import SqliteLedger
from tongzhou.node.list_store import FolderListStore

# Plays a whole question in one process, and kills the process when one role sends or receives a tag.
PLAY = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = sys.argv[3].split(os.pathsep)
from list_worlds import DAY
from test_list_killed import kept
from tongzhou.wire.messages import Session

class Fatal:
    def __init__(self, link):
        self.link = link
    def __getattr__(self, name):
        return getattr(self.link, name)
    def send(self, tag, *rest):
        if tag == sys.argv[2]:
            os.kill(os.getpid(), signal.SIGKILL)
        self.link.send(tag, *rest)

def watch(session):
    return Session(session.me, {peer: Fatal(link) for peer, link in session.links.items()})

built = kept(Path(sys.argv[1]))
built.watch = watch
built.ask("p1")
"""


def kept(folder: Path) -> ListWorld:
    """A world whose stores and ledgers are files."""
    built = world(2, per_day=9)
    for role in built.roles:
        built.stores[role] = FolderListStore(folder / role)  # type: ignore[assignment]
        built.ledgers[role] = SqliteLedger(folder / role / "ledger.db")  # type: ignore[assignment]
    return built


def close(built: ListWorld) -> None:
    for ledger in built.ledgers.values():
        ledger.close()


@pytest.mark.parametrize(("tag", "answered"), [("list.ask", False), ("list.answer", True)])
def test_killed_before_the_question_or_before_the_answer(tmp_path: Path, tag: str, *, answered: bool) -> None:
    close(kept(tmp_path).set_up())
    done = subprocess.run(
        [sys.executable, "-c", PLAY, str(tmp_path), tag, os.pathsep.join(sys.path)], check=False, timeout=60
    )
    assert done.returncode == -signal.SIGKILL
    built = kept(tmp_path)
    if answered:
        with pytest.raises(ConflictError, match="helper refuses: this was asked before"):
            built.ask("p1")
    else:
        built.ask("p1")
    built.ask("p2", "p3")
    slots = {role: built.ledgers[role].apply(account, lambda usage: usage).next_slot
             for role, account in (("asker", f"asked.e1.{DAY}"), ("helper", f"asker.e1.{DAY}"))}  # fmt: skip
    assert slots == {"asker": 4, "helper": 4}, "the killed question, the repeated one, and two more"
    close(built)


def test_everything_comes_back_from_the_disk(tmp_path: Path) -> None:
    built = kept(tmp_path).set_up()
    first = built.ask("p1", "p2")
    close(built)
    again = kept(tmp_path)
    assert again.ask("p1", "p2") == first
    close(again)
