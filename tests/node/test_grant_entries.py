"""Entries about grants follow from the book of grants, whatever happened between the two."""

import pytest

from tongzhou.node.grant_entries import enter_grants
from tongzhou.node.home import Home
from tongzhou.parties.approvals import ApproverKey
from tongzhou.parties.grants import GrantTerms
from tongzhou.parties.times import utc_now

WORDS = "correct horse battery"
TERMS = GrantTerms(
    askers=["bank"],
    purpose="credit",
    legal_basis="contract",
    table="behaviour",
    columns=["a"],
    modes=["pair"],
    protocols=["match"],
    valid_from="2026-01-01",
    valid_until="2030-01-01",
    runs=2,
)


@pytest.fixture
def home(tmp_path):
    with Home.create(tmp_path / "cardnet", "cardnet", "Card network", "127.0.0.1:9") as made:
        yield made


def entries(home: Home) -> list[tuple[str, dict]]:
    return [(one.kind, home.log.payload(one.index)) for one in home.log.entries(0, home.log.size)]


def test_what_a_killed_command_left_is_entered_by_the_next(home, tmp_path) -> None:
    """The book was written, the log was not: as after a kill between the two."""
    people = [ApproverKey.create(tmp_path / f"{name}.key", name, WORDS) for name in ("alice", "bob", "carol")]
    home.grants.new(TERMS)
    home.drafts.add_approver(people[0].approver, utc_now())
    home.drafts.add_approver(people[1].approver, utc_now())
    home.drafts.add_approver(people[2].approver, utc_now(), by=people[0])
    draft = home.drafts.propose(TERMS).grant.grant_id
    home.drafts.approve(draft, people[1], utc_now())
    home.drafts.remove_approver("carol", utc_now(), by=people[1])
    first = home.grants.list()[0].grant_id
    home.grants.revoke(first, utc_now())
    assert entries(home) == []
    enter_grants(home)
    kinds = [kind for kind, _ in entries(home)]
    assert kinds == [
        *["approver-added"] * 3,
        "approver-removed",
        "grant-approved",
        "grant-made",
        "grant-revoked",
    ]
    told = dict(entries(home))
    assert told["approver-removed"] == {"approver": "carol", "by": "bob"}
    assert told["approver-added"]["by"] == "alice"
    assert told["grant-approved"] == {"approver": "bob", "grant": draft}


def test_entering_again_changes_nothing(home) -> None:
    home.grants.new(TERMS)
    enter_grants(home)
    before = entries(home)
    enter_grants(home)
    assert entries(home) == before
    assert len(before) == 1


def test_a_key_that_was_taken_out_does_not_come_back(home, tmp_path) -> None:
    from tongzhou.errors import ConflictError

    key = ApproverKey.create(tmp_path / "alice.key", "alice", WORDS)
    home.drafts.add_approver(key.approver, utc_now())
    home.drafts.remove_approver("alice", utc_now())
    with pytest.raises(ConflictError, match="approver alice is known already"):
        home.drafts.add_approver(key.approver, utc_now())
