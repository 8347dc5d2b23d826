"""The record of answered statistics on the disk: what was acknowledged is there after a restart or a kill."""

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from statistics_worlds import count, flagged, town

from tongzhou.errors import StorageError
from tongzhou.node.answers import AnswerBook
from tongzhou.parties.disclosure import DisclosurePolicy
from tongzhou.secure.answered import Entry
from tongzhou.secure.row_audit import RowSet
from tongzhou.secure.statistic_answers import Refusal

KEYS = np.array([1, 5, 2**64 - 1], dtype=np.uint64)
ENTRY = Entry(
    b"1" * 16,
    {0: RowSet(KEYS), 7: RowSet(KEYS[:2], np.array([0.1, -3.0]))},
    ((0, 0), (0, 4)),
    np.arange(8, dtype=np.uint64).reshape(2, 4) + np.uint64(2**63),
)
REFUSED = Entry(b"2" * 16, refused=True)


def plain(entry: Entry) -> tuple:
    sets = {
        number: (rows.keys.tolist(), None if rows.weights is None else rows.weights.tolist())
        for number, rows in entry.sets.items()
    }
    return (
        entry.entry_id,
        sets,
        entry.cells,
        entry.sketches.tolist(),
        entry.refused,
        entry.confirmed,
    )


def test_entries_come_back_as_they_were(tmp_path: Path) -> None:
    book = AnswerBook(tmp_path / "answers.db")
    history = book.of("g-1")
    assert (history.key(), history.entries()) == (None, [])
    history.keep_key(b"k" * 32)
    history.add(ENTRY)
    history.add(REFUSED)
    history.confirm(REFUSED.entry_id)
    book.close()
    again = AnswerBook(tmp_path / "answers.db").of("g-1")
    assert again.key() == b"k" * 32
    first, second = again.entries()
    assert plain(first) == plain(ENTRY)
    assert (second.refused, second.confirmed, second.cells) == (True, True, ())


def test_grants_have_records_of_their_own(tmp_path: Path) -> None:
    book = AnswerBook(tmp_path / "answers.db")
    book.of("g-1").add(ENTRY)
    book.of("g-1").keep_key(b"a" * 32)
    book.of("g-2").add(ENTRY)
    assert len(book.of("g-1").entries()) == len(book.of("g-2").entries()) == 1
    assert book.of("g-2").key() is None


def test_a_key_is_kept_once(tmp_path: Path) -> None:
    history = AnswerBook(tmp_path / "answers.db").of("g-1")
    history.keep_key(b"a" * 32)
    history.keep_key(b"a" * 32)
    with pytest.raises(StorageError, match=r"answers\.db: grant g-1 has another key already"):
        history.keep_key(b"b" * 32)
    assert history.key() == b"a" * 32


def test_an_entry_is_written_once(tmp_path: Path) -> None:
    history = AnswerBook(tmp_path / "answers.db").of("g-1")
    history.add(ENTRY)
    with pytest.raises(StorageError, match=r"answers\.db"):
        history.add(ENTRY)
    assert len(history.entries()) == 1


def test_a_damaged_entry_is_found(tmp_path: Path) -> None:
    book = AnswerBook(tmp_path / "answers.db")
    book.of("g-1").add(ENTRY)
    connection = sqlite3.connect(tmp_path / "answers.db")
    body = bytearray(connection.execute("SELECT body FROM entries").fetchone()[0])
    body[len(body) // 2] ^= 1
    with connection:
        connection.execute("UPDATE entries SET body = ?", (bytes(body),))
    connection.close()
    with pytest.raises(StorageError, match="an answered statistic is damaged"):
        book.of("g-1").entries()


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    AnswerBook(tmp_path / "answers.db").of("g-1").add(ENTRY)
    assert (tmp_path / "answers.db").stat().st_mode & 0o077 == 0


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    code = """
        import os, signal, sys
        from pathlib import Path
        from tongzhou.node.answers import AnswerBook
        from tongzhou.secure.answered import Entry
        history = AnswerBook(Path(sys.argv[1])).of("g-1")
        for number in range(5):
            history.add(Entry(bytes([number]) * 16, refused=True))
        history.confirm(bytes([4]) * 16)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "answers.db")],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "src")},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    entries = AnswerBook(tmp_path / "answers.db").of("g-1").entries()
    assert [entry.confirmed for entry in entries] == [False] * 4 + [True]


def test_differences_are_refused_after_a_restart(tmp_path: Path) -> None:
    """Half the clients today, and three more tomorrow, by new processes with the files of yesterday."""
    one = town(400)
    one.asker |= {"some": (np.arange(400) < 200).astype(float), "more": (np.arange(400) < 203).astype(float)}
    policy = DisclosurePolicy(minimum_rows=10)
    answers = []
    for name in ("some", "more", "some"):
        books = [AnswerBook(tmp_path / f"{owner}.db") for owner in ("asker", "provider")]
        histories = tuple(book.of("g-1") for book in books)
        answers += one.ask(count("c", flagged(f"asker.{name}")), policy=policy, histories=histories).asker
        for book in books:
            book.close()
    assert [isinstance(answer, Refusal) for answer in answers] == [False, True, False]
    assert answers[2].counts.tolist() == [[200]]
    # Under another grant the same is asked afresh: whoever issues two grants adds them up.
    books = [AnswerBook(tmp_path / f"{owner}.db") for owner in ("asker", "provider")]
    other = tuple(book.of("g-2") for book in books)
    (answer,) = one.ask(count("c", flagged("asker.more")), policy=policy, histories=other).asker
    assert answer.counts.tolist() == [[203]]
