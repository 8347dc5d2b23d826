"""Two people for a grant: keys, approvals, drafts that become grants, and what cannot pass for one."""

import sqlite3
import stat
from datetime import UTC, datetime

import msgspec
import pytest

from tongzhou.errors import (
    ConflictError,
    DataError,
    GrantError,
    NotFoundError,
    StorageError,
    VerificationError,
)
from tongzhou.parties.approvals import ApproverKey, check_approvals, draft_digest, sign_approval
from tongzhou.parties.documents import sign_document
from tongzhou.parties.grants import DraftBook, GrantBook, GrantTerms, verify_grant
from tongzhou.parties.identity import Identity

NOW = datetime(2026, 11, 5, 12, tzinfo=UTC)
WORDS = "correct horse battery"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cardnet"


@pytest.fixture
def identity(folder):
    return Identity.create(folder / "keys", "cardnet", "Card network", clock=lambda: NOW)


@pytest.fixture
def people(tmp_path):
    return {
        name: ApproverKey.create(tmp_path / f"{name}.key", name, WORDS) for name in ("alice", "bob", "carol")
    }


@pytest.fixture
def drafts(folder, identity, people):
    book = DraftBook(folder, identity)
    for name in ("alice", "bob"):
        book.add_approver(people[name].approver, NOW)
    return book


def terms(**changes) -> GrantTerms:
    given = {
        "askers": ["bank"],
        "helpers": ["helper"],
        "purpose": "credit",
        "legal_basis": "contract",
        "table": "behaviour",
        "columns": ["a"],
        "modes": ["aided"],
        "protocols": ["match"],
        "valid_from": "2026-11-01",
        "valid_until": "2026-12-01",
        "runs": 3,
    }
    return GrantTerms(**(given | changes))


def approved(drafts, people, *names: str):
    draft = drafts.propose(terms())
    return [drafts.approve(draft.grant.grant_id, people[name], NOW) for name in names][-1]


def test_a_draft_becomes_a_grant_with_the_second_person(drafts, people, folder, identity) -> None:
    draft = drafts.propose(terms())
    grants = GrantBook(folder, identity)
    assert (draft.approved_by, grants.list()) == ([], [])
    assert drafts.approve(draft.grant.grant_id, people["bob"], NOW) is None
    assert drafts.draft(draft.grant.grant_id).approved_by == ["bob"]
    assert grants.list() == []
    grant = drafts.approve(draft.grant.grant_id, people["alice"], NOW)
    assert grants.list() == [grant]
    assert drafts.drafts() == []
    assert [one.approver for one in check_approvals(grant)] == ["alice", "bob"]
    assert msgspec.structs.replace(grant, approvals=[], approvers={}) == draft.grant


def test_one_person_cannot_approve_twice(drafts, people) -> None:
    draft = drafts.propose(terms())
    drafts.approve(draft.grant.grant_id, people["alice"], NOW)
    with pytest.raises(GrantError, match=r"alice has approved grant g-\w+ already; another person must"):
        drafts.approve(draft.grant.grant_id, people["alice"], NOW)


def test_a_stranger_cannot_approve(drafts, people, tmp_path) -> None:
    draft = drafts.propose(terms())
    with pytest.raises(GrantError, match="carol is no approver here; known: alice, bob"):
        drafts.approve(draft.grant.grant_id, people["carol"], NOW)
    forger = ApproverKey.create(tmp_path / "forger.key", "alice", WORDS)
    with pytest.raises(GrantError, match="alice is no approver here"):
        drafts.approve(draft.grant.grant_id, forger, NOW)


def test_where_there_are_approvers_no_grant_comes_from_one_hand(drafts, folder, identity) -> None:
    with pytest.raises(GrantError, match="a grant of cardnet needs the approval of two people"):
        GrantBook(folder, identity).new(terms())


def test_one_approver_is_too_few_to_draft(folder, identity, people) -> None:
    book = DraftBook(folder, identity)
    book.add_approver(people["alice"].approver, NOW)
    with pytest.raises(GrantError, match="needs 2 approvers, got 1; add one"):
        book.propose(terms())


def test_two_approvers_guard_the_list_of_approvers(drafts, people) -> None:
    with pytest.raises(GrantError, match="has 2 approvers: a change among them needs the key of one of them"):
        drafts.add_approver(people["carol"].approver, NOW)
    with pytest.raises(GrantError, match="carol is no approver here"):
        drafts.remove_approver("alice", NOW, by=people["carol"])
    drafts.add_approver(people["carol"].approver, NOW, by=people["bob"])
    drafts.remove_approver("alice", NOW, by=people["carol"])
    assert [one.name for one in drafts.approvers()] == ["bob", "carol"]
    with pytest.raises(ConflictError, match="approver bob is known already"):
        drafts.add_approver(people["bob"].approver, NOW, by=people["carol"])
    with pytest.raises(NotFoundError, match="there is no approver alice"):
        drafts.remove_approver("alice", NOW, by=people["carol"])


def test_the_approval_of_a_person_who_left_does_not_count(drafts, people) -> None:
    drafts.add_approver(people["carol"].approver, NOW, by=people["alice"])
    draft = drafts.propose(terms())
    drafts.approve(draft.grant.grant_id, people["alice"], NOW)
    drafts.remove_approver("alice", NOW, by=people["bob"])
    assert drafts.approve(draft.grant.grant_id, people["bob"], NOW) is None
    assert drafts.approve(draft.grant.grant_id, people["carol"], NOW) is not None


def test_a_dropped_draft_is_gone(drafts, people) -> None:
    draft = drafts.propose(terms())
    drafts.approve(draft.grant.grant_id, people["alice"], NOW)
    drafts.withdraw(draft.grant.grant_id)
    with pytest.raises(NotFoundError, match="no draft of grant"):
        drafts.approve(draft.grant.grant_id, people["bob"], NOW)


def test_a_changed_draft_is_noticed(drafts, people, folder) -> None:
    """Somebody changes the text between the first approval and the second."""
    draft = drafts.propose(terms())
    drafts.approve(draft.grant.grant_id, people["alice"], NOW)
    with sqlite3.connect(folder / "grants.db") as book:
        book.execute("UPDATE drafts SET body = replace(body, '\"runs\":3', '\"runs\":999')")
    with pytest.raises(StorageError, match=r"is damaged at grant .*alice approved another text"):
        drafts.approve(draft.grant.grant_id, people["bob"], NOW)


def test_the_asker_verifies_the_approvals_too(drafts, people, folder, identity) -> None:
    grant = approved(drafts, people, "alice", "bob")
    document = GrantBook(folder, identity).document(grant.grant_id)

    class Trust:
        def get(self, party: str):
            return type("Card", (), {"party_id": party, "public_key_bytes": identity.public_key_bytes})

    assert verify_grant(document, Trust()) == grant
    for changes, words in (
        ({"approvals": grant.approvals[:1]}, "needs the approvals of 2 people, got 1"),
        ({"approvers": dict(list(grant.approvers.items())[:1])}, "needs the approvals of 2 people, got 1"),
        ({"approvals": []}, "needs the approvals of 2 people, got 0"),
        ({"runs": 4}, "alice approved another text of grant"),
        ({"approvals": grant.approvals[::-1]}, "must be signed by alice, got bob"),
        ({"grant_id": "g-other"}, "an approval of grant g-other is about another grant"),
    ):
        forged = sign_document(identity, "grant", msgspec.structs.replace(grant, **changes))
        with pytest.raises(VerificationError, match=words):
            verify_grant(forged, Trust())


def test_one_key_under_two_names_is_one_person(identity, people) -> None:
    key = people["alice"]
    twin = ApproverKey("bob", key._key)
    bare = drafted(identity)
    grant = msgspec.structs.replace(
        bare,
        approvals=[sign_approval(key, bare, NOW), sign_approval(twin, bare, NOW)],
        approvers={"alice": key.approver.public_key, "bob": twin.approver.public_key},
    )
    with pytest.raises(VerificationError, match="needs the approvals of 2 people, got 1"):
        check_approvals(grant)


def drafted(identity):
    from tongzhou.parties.grants import Grant

    return Grant(grant_id="g-1", provider="cardnet", **msgspec.structs.asdict(terms()))


def test_the_digest_is_about_the_terms_alone(drafts, people) -> None:
    draft = drafts.propose(terms())
    drafts.approve(draft.grant.grant_id, people["alice"], NOW)
    grant = drafts.approve(draft.grant.grant_id, people["bob"], NOW)
    assert draft_digest(grant) == draft_digest(draft.grant)


def test_a_key_opens_with_its_passphrase_only(tmp_path) -> None:
    path = tmp_path / "alice.key"
    made = ApproverKey.create(path, "alice", WORDS)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert ApproverKey.load(path, WORDS).approver == made.approver
    assert "key=****" in repr(made)
    with pytest.raises(VerificationError, match="the passphrase is wrong, or the file is damaged"):
        ApproverKey.load(path, WORDS + "!")
    with pytest.raises(ConflictError, match="exists already and is not replaced"):
        ApproverKey.create(path, "alice", WORDS)
    with pytest.raises(DataError, match="must have at least 12 characters, got 5"):
        ApproverKey.create(tmp_path / "b.key", "bob", "short")
    with pytest.raises(DataError, match="name of an approver must be"):
        ApproverKey.create(tmp_path / "b.key", "Bob!", WORDS)
    path.write_bytes(b"alice\nnothing")
    with pytest.raises(StorageError, match="holds no key of an approver"):
        ApproverKey.load(path, WORDS)
    path.chmod(0o644)
    with pytest.raises(StorageError, match="others may open it"):
        ApproverKey.load(path, WORDS)


def test_a_book_of_the_first_version_is_brought_up_to_date(folder, identity) -> None:
    book = GrantBook(folder, identity)
    grant = book.new(terms())
    with sqlite3.connect(folder / "grants.db") as file:
        for table in ("approvals", "drafts", "approvers"):
            file.execute(f"DROP TABLE {table}")
        file.execute("PRAGMA user_version = 1")
    assert book.list() == [grant]
    assert DraftBook(folder, identity).approvers() == []
