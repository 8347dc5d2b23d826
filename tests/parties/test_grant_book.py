"""The book of grants: kept through crashes, used by several processes, counting every run once."""

import sqlite3
import stat
import subprocess
import sys
import textwrap
import threading
from datetime import timedelta

import pytest
from msgspec.structs import replace

from tongzhou.errors import DataError, GrantError, NotFoundError, StorageError, VerificationError
from tongzhou.parties.card import issue_card
from tongzhou.parties.documents import sign_document, verify_document
from tongzhou.parties.grants import (
    Grant,
    GrantBook,
    GrantUse,
    Openings,
    Revocation,
    verify_grant,
    verify_revocation,
)
from tongzhou.parties.trust import TrustStore


@pytest.fixture
def cardnet(party):
    return party("cardnet")


@pytest.fixture
def book(home, cardnet, now) -> GrantBook:
    return GrantBook(home, cardnet, clock=lambda: now)


@pytest.fixture
def trust(tmp_path, cardnet, now) -> TrustStore:
    store = TrustStore(tmp_path / "trust")
    store.add(issue_card(cardnet, "cardnet:7443", now))
    return store


def sql(book: GrantBook, statement: str, *values: str) -> None:
    with sqlite3.connect(book._store.path) as connection:
        connection.execute(statement, values)
    connection.close()


def test_an_empty_book(book, request_, now):
    assert book.list() == []
    with pytest.raises(GrantError, match="cardnet has no grant for bank; ask it to issue one") as caught:
        book.find(request_, now)
    assert caught.value.values["missing"] == "asker"
    with pytest.raises(NotFoundError, match="there is no grant g-1"):
        book.get("g-1")


def test_a_new_grant_is_kept_and_found(book, terms, request_, now):
    grant = book.new(terms)
    assert grant.provider == "cardnet"
    assert book.list() == [grant] == [book.get(grant.grant_id)]
    assert book.find(request_, now) == grant


def test_another_opening_of_the_book_finds_it(book, home, cardnet, terms):
    grant = book.new(terms)
    assert GrantBook(home, cardnet).get(grant.grant_id) == grant


def test_the_file_is_for_its_owner_only(book, terms, home):
    book.new(terms)
    assert stat.S_IMODE((home / "grants.db").stat().st_mode) == 0o600
    assert [path.name for path in home.iterdir()] == ["grants.db"]


def test_terms_that_contradict_themselves_are_not_kept(book, terms):
    with pytest.raises(DataError, match="must not name its provider"):
        book.new(replace(terms, askers=["cardnet"]))
    assert book.list() == []


def test_grants_stand_in_the_order_of_issue_with_ids_of_their_own(book, terms):
    made = [book.new(replace(terms, runs=runs)) for runs in range(1, 6)]
    assert book.list() == made
    assert len({grant.grant_id for grant in made}) == 5


def test_a_misread_id_is_suggested(book, terms):
    grant = book.new(terms)
    wrong = grant.grant_id[:-1] + ("0" if grant.grant_id[-1] != "0" else "1")
    with pytest.raises(NotFoundError, match=rf"there is no grant {wrong}; did you mean {grant.grant_id}\?"):
        book.get(wrong)


def test_the_asker_can_verify_the_grant_it_is_handed(book, terms, trust):
    grant = book.new(terms)
    assert verify_grant(book.document(grant.grant_id), trust) == grant


def test_a_grant_of_an_untrusted_provider_is_refused(book, terms, tmp_path):
    document = book.document(book.new(terms).grant_id)
    with pytest.raises(NotFoundError, match="no party cardnet is trusted here"):
        verify_grant(document, TrustStore(tmp_path / "nobody"))


def test_a_party_cannot_grant_what_is_anothers(party, book, terms, trust, now):
    trust.add(issue_card(party("bank"), "bank:1", now))
    stolen = sign_document(party("bank"), "grant", book.new(terms))
    with pytest.raises(VerificationError, match="a document of bank speaks for cardnet: only a provider may"):
        verify_grant(stolen, trust)


def test_a_widened_grant_is_refused(book, terms, trust, party):
    """An asker that adds a column and signs with its own key, under the provider's name."""
    wider = replace(book.new(terms), columns=["repay_1", "wealth"])
    header_of_cardnet, payload, _ = book.document(wider.grant_id).split(".")
    own = sign_document(party("bank"), "grant", wider).split(".")
    with pytest.raises(VerificationError, match="the grant was altered, or is not signed by cardnet"):
        verify_grant(".".join([header_of_cardnet, own[1], own[2]]), trust)
    assert payload != own[1]


def test_a_revocation_is_no_grant(book, terms, trust, now):
    grant = book.new(terms)
    document = book.revoke(grant.grant_id, now)
    assert verify_revocation(document, trust).grant_id == grant.grant_id
    with pytest.raises(VerificationError, match="must be of kind grant"):
        verify_grant(document, trust)


def test_a_revoked_grant_allows_nothing(book, terms, request_, now, cardnet):
    grant = book.new(terms)
    document = book.revoke(grant.grant_id, now)
    body = verify_document(document, "revocation", Revocation, cardnet.public_key_bytes)
    assert body.revoked_at == "2026-11-05T12:00:00Z"
    sentence = f"grant {grant.grant_id} was revoked at 2026-11-05T12:00:00Z"
    with pytest.raises(GrantError, match=sentence):
        book.find(request_, now)
    with pytest.raises(GrantError, match=sentence):
        book.use(grant.grant_id, "run-1")
    assert book.status(grant.grant_id).state(now) == "revoked"
    assert book.get(grant.grant_id) == grant


def test_revoking_again_keeps_the_first_moment(book, terms, now):
    grant = book.new(terms)
    first = book.revoke(grant.grant_id, now)
    assert book.revoke(grant.grant_id, now + timedelta(days=3)) == first
    with pytest.raises(NotFoundError, match="there is no grant"):
        book.revoke("g-none", now)


def test_a_grant_revoked_while_a_run_goes_on_stops_it(book, terms, request_, now):
    grant = book.new(terms)
    book.use(grant.grant_id, "run-1")
    book.check(grant.grant_id, request_, now, run_id="run-1")
    book.revoke(grant.grant_id, now + timedelta(minutes=1))
    with pytest.raises(GrantError, match="was revoked at 2026-11-05T12:01:00Z"):
        book.check(grant.grant_id, request_, now + timedelta(minutes=2), run_id="run-1")


def test_a_run_counts_once_however_often_it_is_counted(book, terms):
    grant = book.new(terms)
    for _ in range(5):
        book.use(grant.grant_id, "run-1")
    assert book.runs_used(grant.grant_id) == 1
    assert book.uses(grant.grant_id) == [GrantUse(run_id="run-1", used_at="2026-11-05T12:00:00Z")]


def test_the_quota_holds_and_a_counted_run_may_go_on(book, terms, request_, now):
    grant = book.new(replace(terms, runs=2))
    book.use(grant.grant_id, "run-1")
    book.use(grant.grant_id, "run-2")
    sentence = f"grant {grant.grant_id} allows 2 runs and all of them are used"
    with pytest.raises(GrantError, match=sentence):
        book.use(grant.grant_id, "run-3")
    with pytest.raises(GrantError, match=sentence):
        book.find(request_, now)
    with pytest.raises(GrantError, match=sentence):
        book.find(request_, now, run_id="run-3")
    assert book.find(request_, now, run_id="run-2") == grant
    book.check(grant.grant_id, request_, now, run_id="run-1")
    assert book.status(grant.grant_id).state(now) == "used up"


def test_uses_of_one_grant_do_not_count_for_another(book, terms):
    one, other = book.new(replace(terms, runs=1)), book.new(replace(terms, runs=1))
    book.use(one.grant_id, "run-1")
    book.use(other.grant_id, "run-1")
    assert (book.runs_used(one.grant_id), book.runs_used(other.grant_id)) == (1, 1)


def test_an_unknown_grant_cannot_be_used(book):
    with pytest.raises(NotFoundError, match="there is no grant g-none"):
        book.use("g-none", "run-1")


def test_of_several_fitting_grants_the_one_that_ends_first_is_taken(book, terms, request_, now):
    book.new(replace(terms, valid_until="2027-06-01"))
    sooner = book.new(replace(terms, valid_until="2026-11-20"))
    book.new(replace(terms, valid_until="2027-01-01"))
    assert book.find(request_, now) == sooner


def test_of_several_refusals_the_closest_is_told(book, terms, request_, now):
    book.new(replace(terms, purpose="collection", table="salaries", columns=["x"]))
    close = book.new(replace(terms, openings=Openings(card="shared")))
    book.new(replace(terms, purpose="collection", protocols=["score"]))
    with pytest.raises(GrantError, match=f"grant {close.grant_id} allows opening card up to shared, not own"):
        book.find(request_, now)


def test_a_grant_for_something_else_is_not_the_closest(book, terms, request_, now):
    book.new(replace(terms, purpose="collection"))
    own = book.new(replace(terms, protocols=["score"], openings=Openings(card="shared")))
    with pytest.raises(GrantError, match=f"grant {own.grant_id} allows the protocols score"):
        book.find(request_, now)


def test_grants_of_others_are_not_told(book, terms, request_, now):
    book.new(replace(terms, askers=["lender"]))
    with pytest.raises(GrantError, match=r"^cardnet has no grant for bank; ask it to issue one$"):
        book.find(request_, now)


@pytest.mark.parametrize(
    ("shift", "state"), [(-10, "pending"), (0, "valid"), (25, "valid"), (26, "expired")]
)  # fmt: skip
def test_the_state_of_a_grant_follows_the_day(book, terms, now, shift, state):
    grant = book.new(terms)
    assert book.status(grant.grant_id).state(now + timedelta(days=shift)) == state


# Damage, crashes and company.


def test_an_altered_document_is_named(book, terms, party, request_, now):
    grant = book.new(terms)
    wider = sign_document(party("bank"), "grant", replace(grant, runs=999))
    sql(book, "UPDATE grants SET document = ?", wider)
    sentence = (
        rf"grants\.db is damaged at grant {grant.grant_id}: the grant must be signed by cardnet, got bank"
    )
    with pytest.raises(StorageError, match=sentence):
        book.find(request_, now)


def test_a_document_under_anothers_number_is_named(book, terms):
    one, other = book.new(terms), book.new(replace(terms, runs=1))
    sql(book, "UPDATE grants SET document = (SELECT document FROM grants LIMIT 1)")
    with pytest.raises(
        StorageError, match=f"at grant {other.grant_id}: it holds another grant, {one.grant_id}"
    ):
        book.list()


def test_an_altered_revocation_is_named(book, terms, now):
    grant = book.new(terms)
    book.revoke(grant.grant_id, now)
    sql(book, "UPDATE revocations SET document = replace(document, '.', '..')")
    with pytest.raises(StorageError, match=f"is damaged at grant {grant.grant_id}: not a signed document"):
        book.get(grant.grant_id)


@pytest.mark.parametrize("seed", range(6))
def test_a_flipped_byte_never_widens_a_grant(book, terms, now, seed):
    """Damage is a sentence, or shows nothing that was not signed."""
    import random

    made = {grant.grant_id: grant for grant in (book.new(terms), book.new(replace(terms, runs=1)))}
    book.revoke(min(made), now)
    path = book._store.path
    whole = path.read_bytes()
    for place in random.Random(seed).sample(range(len(whole)), 40):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << random.Random(place).randrange(8)
        path.write_bytes(damaged)
        try:
            shown = book.list()
        except StorageError as error:
            assert "grants.db" in str(error), (seed, place)
        else:
            assert all(made[grant.grant_id] == grant for grant in shown), (seed, place)


def test_a_file_that_is_no_database_is_a_sentence(book, home):
    home.mkdir()
    (home / "grants.db").write_bytes(b"rubbish" * 1000)
    with pytest.raises(StorageError, match=r"grants\.db cannot be used: file is not a database"):
        book.list()


def test_a_book_of_another_version_is_a_sentence(book, terms):
    book.new(terms)
    sql(book, "PRAGMA user_version = 9")
    with pytest.raises(StorageError, match="was written in store version 9; this software reads version 2"):
        book.list()


def test_an_empty_file_left_by_a_killed_creation_is_completed(book, home, terms):
    home.mkdir()
    (home / "grants.db").touch(0o600)
    assert book.list() == []
    book.new(terms)
    assert len(book.list()) == 1


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path, cardnet, terms):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be read or written: "):
        GrantBook(tmp_path / "file" / "home", cardnet).new(terms)


def test_a_full_disk_is_a_sentence_and_changes_nothing(book, terms, monkeypatch):
    grant = book.new(terms)
    opened = book._store._open

    def small() -> sqlite3.Connection:
        connection = opened()
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
        return connection

    with monkeypatch.context() as patch:
        patch.setattr(book._store, "_open", small)
        with pytest.raises(StorageError, match="cannot be used: database or disk is full"):
            for _ in range(50):
                book.new(terms)
    assert book.list()[0] == grant
    book.new(terms)


def test_an_error_in_the_middle_leaves_nothing_behind(book, terms):
    grant = book.new(terms)
    with pytest.raises(RuntimeError, match="stop"), book._store.write() as connection:
        connection.execute("INSERT INTO uses VALUES (?, 'run-1', 'now')", (grant.grant_id,))
        raise RuntimeError("stop")
    assert book.runs_used(grant.grant_id) == 0


def test_many_threads_that_want_the_last_run_get_one_winner(book, home, cardnet, terms):
    grant = book.new(replace(terms, runs=3))
    outcomes: list[str] = []

    def take(number: int) -> None:
        try:
            GrantBook(home, cardnet).use(grant.grant_id, f"run-{number}")
            outcomes.append("used")
        except GrantError as error:
            outcomes.append(str(error.values["missing"]))

    threads = [threading.Thread(target=take, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["runs"] * 5 + ["used"] * 3
    assert book.runs_used(grant.grant_id) == 3


def test_a_process_killed_between_uses_loses_none_that_was_acknowledged(tmp_path, now, terms):
    """The child prints each run that `use` acknowledged, then is killed without warning."""
    from tongzhou.parties.identity import Identity

    identity = Identity.create(tmp_path / "keys", "cardnet", "Card network")
    book = GrantBook(tmp_path, identity)
    grant = book.new(replace(terms, runs=100_000))
    script = textwrap.dedent(
        """
        import sys
        from tongzhou.parties.grants import GrantBook
        from tongzhou.parties.identity import Identity
        book = GrantBook(sys.argv[1], Identity.load(sys.argv[1] + "/keys"))
        for number in range(100_000):
            book.use(sys.argv[2], f"run-{number}")
            print(f"run-{number}", flush=True)
        """
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path), grant.grant_id], stdout=subprocess.PIPE, text=True
    )
    with child:
        told = [child.stdout.readline().strip() for _ in range(20)]
        child.kill()
        told += child.stdout.read().split("\n")[:-1]
    kept = [use.run_id for use in book.uses(grant.grant_id)]
    assert kept[: len(told)] == told
    assert len(kept) <= len(told) + 1


def test_a_revocation_by_another_process_is_seen_by_the_next_check(book, home, cardnet, terms, request_, now):
    grant = book.new(terms)
    assert book.find(request_, now) == grant
    GrantBook(home, cardnet).revoke(grant.grant_id, now)
    with pytest.raises(GrantError, match="was revoked"):
        book.find(request_, now)


def test_a_grant_is_a_plain_value(book, terms):
    grant = book.new(terms)
    assert isinstance(grant, Grant)
    with pytest.raises(AttributeError, match="immutable"):
        grant.runs = 99
