"""How a session ends, and what its peers are told."""

import threading

import pytest

from tongzhou.errors import DataError, GrantError, PeerError, StorageError
from tongzhou.wire.memory import memory_sessions
from tongzhou.wire.session import closing, interrupt, sentence_for_peers, total_traffic


def end_of(error):
    """What a peer hears when a session ends with `error`."""
    sessions = memory_sessions(["bank", "cardnet"], timeout_s=5)

    def run():
        with closing(sessions["bank"]):
            if error is not None:
                raise error

    if error is None:
        run()
    else:
        with pytest.raises(type(error)):
            run()
    with pytest.raises(PeerError) as heard:
        sessions["cardnet"].links["bank"].recv("step")
    return str(heard.value)


def test_a_block_that_ends_well_says_goodbye():
    assert end_of(None) == "bank ended the session where step was due"


def test_peers_hear_the_sentence_of_a_shared_concern():
    assert (
        end_of(GrantError("the grant {grant} expired", grant="g-1")) == "bank stopped: the grant g-1 expired"
    )


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            DataError("{file}, row 17: income must be a number", file="/srv/clients.csv"),
            "a problem in its own data",
        ),
        (StorageError("cannot write {file}", file="/srv/state.db"), "a problem with its own storage"),
        (KeyError("/srv/secret"), "an internal fault"),
        (KeyboardInterrupt(), "an internal fault"),
    ],
)
def test_what_is_this_partys_own_stays_its_own(error, told):
    heard = end_of(error)
    assert heard.endswith(told)
    assert "srv" not in heard


def test_a_long_reason_is_cut():
    long = GrantError("{text}", text="x" * 5_000)
    assert len(sentence_for_peers(long)) == 5_000
    assert len(end_of(long)) == len("bank stopped: ") + 1_000


@pytest.mark.parametrize("action", ["send", "recv"])
def test_an_interruption_is_raised_at_the_next_use(action):
    session = memory_sessions(["bank", "cardnet"])["bank"]
    interrupt(session, GrantError("revoked"))
    with pytest.raises(GrantError, match="revoked"):
        getattr(session.links["cardnet"], action)("step")


def test_an_interruption_wakes_a_wait():
    sessions = memory_sessions(["bank", "cardnet"], timeout_s=30)
    threading.Timer(0.05, interrupt, [sessions["bank"], GrantError("revoked")]).start()
    with pytest.raises(GrantError, match="revoked"):
        sessions["bank"].links["cardnet"].recv("step")


def test_traffic_of_all_links_is_added_up():
    sessions = memory_sessions(["bank", "cardnet", "helper"])
    bank = sessions["bank"]
    for peer in ("cardnet", "helper"):
        sessions[peer].links["bank"].send("step", "x" * 100)
        bank.links[peer].send("step", "y" * 50)
        bank.links[peer].recv("step", str)
    total = total_traffic(bank)
    assert (total.messages_sent, total.messages_received, total.rounds) == (2, 2, 1)
    assert total.bytes_received - total.bytes_sent == 2 * 50
