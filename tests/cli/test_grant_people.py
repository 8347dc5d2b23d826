"""On the terminal: two people for a grant, consents, and bills."""

import hashlib
import json
from pathlib import Path

import pytest
from cli_run import Cli, Result

WORDS = "correct horse battery"


@pytest.fixture
def call(tmp_path, capsys):
    """Run a command at one of two institutions, and expect an exit code."""

    def run(*words: str, at: str = "cardnet", code: int = 0) -> Result:
        found = Cli(tmp_path / at, capsys)(*words)
        assert found.code == code, found.out + found.err
        return found

    return run


@pytest.fixture
def provider(call, tmp_path, monkeypatch):
    """A card network with a table and a partner."""
    monkeypatch.setenv("TONGZHOU_PASSPHRASE", WORDS)
    monkeypatch.chdir(tmp_path)
    for name in ("bank", "cardnet"):
        call("party", "new", name, at=name)
        call("party", "card", "--out", f"{name}.json", at=name)
    for one, other in (("bank", "cardnet"), ("cardnet", "bank")):
        call("party", "trust", f"{other}.json", "--yes", at=one)
    Path("b.csv").write_text("client_id,a\n" + "\n".join(f"C-{n},{n}" for n in range(30)), encoding="utf-8")
    call("data", "add", "b.csv", "--name", "behaviour", "--identifier", "client_id")
    return tmp_path


def grant_words(*more: str) -> list[str]:
    return [
        "grant", "new", "--asker", "bank", "--purpose", "credit", "--legal-basis", "contract", "--table",
        "behaviour", "--columns", "a", "--mode", "pair", "--protocol", "match", *more,
    ]  # fmt: skip


def test_the_second_person_issues_the_grant(call, provider) -> None:
    first = call("approver", "new", "alice", "--key", "alice.key")
    assert "from now on each grant needs two approvers" in first.out
    call("approver", "new", "bob", "--key", "bob.key")
    draft = json.loads(call(*grant_words("--json")).out)
    name = draft["draft"]["grant"]["grant_id"]
    assert draft["issued"] is False
    assert name in call("grant", "drafts").out
    waiting = call("grant", "approve", name, "--key", "alice.key")
    assert f"alice approved grant {name}; another person must" in waiting.out
    again = call("grant", "approve", name, "--key", "alice.key", code=5)
    assert "another person must" in again.err
    call("grant", "approve", name, "--key", "bob.key", "--out", "grant.jws")
    shown = json.loads(call("grant", "show", name, "--json").out)
    assert sorted(shown["grant"]["approvers"]) == ["alice", "bob"]
    assert "alice, bob" in call("grant", "show", name).out
    kinds = [one["kind"] for one in json.loads(call("log", "show", "--json").out)["entries"]]
    assert [kinds.count(kind) for kind in ("approver-added", "grant-approved", "grant-made")] == [2, 1, 1]


def test_a_draft_has_no_document_and_can_be_dropped(call, provider) -> None:
    for name in ("alice", "bob"):
        call("approver", "new", name, "--key", f"{name}.key")
    refused = call(*grant_words("--out", "g.jws"), code=3)
    assert "two people must approve the grant first" in refused.err
    draft = json.loads(call(*grant_words("--json")).out)["draft"]["grant"]["grant_id"]
    call("grant", "drop", draft)
    assert "none yet" in call("grant", "drafts").out
    assert "no draft of grant" in call("grant", "drop", draft, code=10).err


def test_changes_among_two_approvers_need_one_of_them(call, provider) -> None:
    for name in ("alice", "bob"):
        call("approver", "new", name, "--key", f"{name}.key")
    refused = call("approver", "new", "carol", "--key", "carol.key", code=5)
    assert "needs the key of one of them" in refused.err
    assert not Path("carol.key").exists()
    call("approver", "remove", "alice", "--by", "bob.key")
    assert "alice" not in call("approver", "list").out


def test_a_passphrase_is_needed_and_must_be_right(call, provider, monkeypatch) -> None:
    call("approver", "new", "alice", "--key", "alice.key")
    call("approver", "new", "bob", "--key", "bob.key")
    monkeypatch.setenv("TONGZHOU_PASSPHRASE", "something else entirely")
    wrong = call("approver", "remove", "alice", "--by", "bob.key", code=9)
    assert "the passphrase is wrong" in wrong.err
    monkeypatch.delenv("TONGZHOU_PASSPHRASE")
    asked = call("approver", "remove", "alice", "--by", "bob.key", code=3)
    assert "give it in the variable TONGZHOU_PASSPHRASE" in asked.err


def consents_file(rows: list[str]) -> None:
    Path("c.csv").write_text(
        "client_id,document,valid_from,valid_until\n" + "\n".join(rows), encoding="utf-8"
    )


def add_consents(call, code: int = 0):
    return call(
        "consent", "add", "c.csv", "--purpose", "credit", "--user", "bank", "--source", "cardnet",
        "--identifier", "client_id", at="bank", code=code,
    )  # fmt: skip


def test_consents_are_kept_counted_and_taken_back(call, provider) -> None:
    digest = hashlib.sha256(b"form").hexdigest()
    consents_file([f"c-{n},{digest},2026-01-01,2030-01-01" for n in range(3)])
    assert "consents in the file: 3, new: 3" in add_consents(call).out
    assert "consents in the file: 3, new: 0" in add_consents(call).out
    assert "consents taken back: 1" in call("consent", "withdraw", "C-1", at="bank").out
    shown = json.loads(call("consent", "show", "--json", at="bank").out)
    assert shown == {"consents": [{"purpose": "credit", "user": "bank", "source": "cardnet", "count": 2}]}
    assert (
        "no consent of that identifier stands" in call("consent", "withdraw", "C-1", at="bank", code=10).err
    )


def test_a_bad_consent_is_named_by_row_and_none_is_kept(call, provider) -> None:
    digest = hashlib.sha256(b"form").hexdigest()
    consents_file([f"c-1,{digest},2026-01-01,2030-01-01", "c-2,123,2026-01-01,2030-01-01"])
    refused = add_consents(call, code=3)
    assert "c.csv, row 2: document must be the SHA-256 of the signed form" in refused.err
    assert json.loads(call("consent", "show", "--json", at="bank").out) == {"consents": []}
    Path("c.csv").write_text("client,document,valid_from,valid_until\nc-1,a,b,c", encoding="utf-8")
    assert "c.csv has no column client_id; did you mean client?" in add_consents(call, code=3).err
    consents_file([])
    assert "c.csv must have a row for each signed form, got none" in add_consents(call, code=3).err


def test_a_grant_with_a_price_shows_it(call, provider) -> None:
    made = call(*grant_words("--price-run", "100", "--price-row", "0.05", "--consents", "asker", "--json"))
    grant = json.loads(made.out)["grant"]
    assert grant["price"] == {"currency": "CNY", "run": "100", "row": "0.05"}
    assert grant["consents"] == "asker"
    shown = call("grant", "show", grant["grant_id"]).out
    assert "100 + 0.05 × rows CNY" in shown
    bad = call(*grant_words("--price-run", "a lot"), code=3)
    assert "price.run of a grant must be a number such as 100.00" in bad.err
    bad = call(*grant_words("--price-run", "1", "--currency", "yuan"), code=3)
    assert "price.currency of a grant must be three capital letters" in bad.err


def test_a_period_without_runs_has_nothing_to_bill(call, provider) -> None:
    period = ("--from", "2026-11-01", "--until", "2026-12-01")
    assert "none yet" in call("bill", "show", "bank", *period).out
    refused = call("bill", "show", "bank", *period, "--out", "b.jws", code=10)
    assert "bank used no data of cardnet in that period" in refused.err
    turned = call("bill", "show", "bank", "--from", "2026-12-01", "--until", "2026-11-01", code=3)
    assert "--until must be later than --from, got 2026-11-01 and 2026-12-01" in turned.err
    Path("forged.jws").write_text("a.b.c", encoding="utf-8")
    assert "not a signed document" in call("bill", "check", "forged.jws", at="bank", code=9).err
