"""The bench `online` runs in small with real processes; the relay that delays passes on every byte, late."""

import socket
import threading
import time
from pathlib import Path

import pytest
from bench.delay import delayed
from bench.measures import BenchError
from test_bench_run import check_record

from bench import __main__ as command
from bench import online, trio


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def echo(server: socket.socket) -> None:
    """Send back what one caller sends, until it says that it is done."""
    connection, _ = server.accept()
    with connection:
        while piece := connection.recv(1 << 16):
            connection.sendall(piece)


def test_online_in_small(tmp_path: Path) -> None:
    target = tmp_path / "found.json"
    assert command.main(["online", "--quick", "--json", str(target)]) == 0
    record = command.json.loads(target.read_text(encoding="utf-8"))
    check_record(record, "online")
    assert not any("skipped" in one for one in record["subjects"].values())
    assert None not in record["figures"].values()
    assert record["figures"]["list_query_rounds"] == 1
    assert record["figures"]["list_query_p50_ms_50ms_away"] >= 100, "a round trip, each way held back"
    assert record["figures"]["list_table_bytes_a_provider"] == pytest.approx(8 * 5 * 1.25 * 2000, rel=0.05)
    near = record["subjects"]["list query 0 ms"]
    assert 0 < near["listed"] <= 1
    assert set(near["cpu_s_by_role"]) == {"asker", "provider", "provider2", "helper"}
    assert set(record["subjects"]["list query 5 ms"]["cpu_s_by_role"]) == {"asker", "helper"}


def test_figures_follow_from_the_subjects() -> None:
    found = online.figures(
        {
            "list set-up": {
                "cpu_s_a_provider": 2.0, "table_bytes_a_provider": 5e7, "key_bytes_a_query": 8640.0,
            },
            "list query 0 ms": {
                "p50_ms": 7.0, "p99_ms": 9.0, "cpu_s": 1.5, "queries": 500, "bytes_a_query": 960.0,
                "rounds_a_query": 1.0,
            },
            "list query 5 ms": {"p50_ms": 17.0},
            "list query 50 ms": {"skipped": "too slow"},
        }
    )  # fmt: skip
    assert found == {
        "list_query_p50_ms": 7.0,
        "list_query_p99_ms": 9.0,
        "list_query_p50_ms_5ms_away": 17.0,
        "list_query_p50_ms_50ms_away": None,
        "list_query_cpu_ms": 3.0,
        "list_query_bytes": 960.0,
        "list_query_rounds": 1.0,
        "list_setup_cpu_s_a_provider": 2.0,
        "list_table_bytes_a_provider": 5e7,
        "list_key_bytes_a_query": 8640.0,
    }


def test_a_relay_passes_on_every_byte_and_the_end() -> None:
    door, content = free_port(), bytes(range(256)) * 20_000
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=echo, args=(server,), daemon=True).start()
        with (
            delayed(2.0, {door: server.getsockname()[1]}),
            socket.create_connection(("127.0.0.1", door), 20) as connection,
        ):
            threading.Thread(
                target=lambda: (connection.sendall(content), connection.shutdown(socket.SHUT_WR))
            ).start()
            back = b""
            while piece := connection.recv(1 << 16):
                back += piece
    assert back == content


def test_a_relay_holds_back_both_ways() -> None:
    door = free_port()
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=echo, args=(server,), daemon=True).start()
        with (
            delayed(30.0, {door: server.getsockname()[1]}),
            socket.create_connection(("127.0.0.1", door), 20) as connection,
        ):
            for _ in range(3):
                start = time.monotonic()
                connection.sendall(b"x")
                assert connection.recv(1) == b"x"
                assert time.monotonic() - start >= 0.06


def test_a_relay_to_nobody_hangs_up() -> None:
    door = free_port()
    with delayed(1.0, {door: free_port()}), socket.create_connection(("127.0.0.1", door), 20) as connection:
        assert connection.recv(1) == b""


def test_a_door_that_is_taken_is_a_sentence() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        pytest.raises(BenchError, match="the relay that delays did not start"),
        delayed(1.0, {server.getsockname()[1]: 1}),
    ):
        pytest.fail("it started")


def test_a_delayed_role_listens_behind_its_door(tmp_path: Path) -> None:
    trio.found_trio(tmp_path, ("helper", "asker"), {"helper": 4321})
    assert trio.TrustStore(tmp_path / "asker" / "trust").get("helper").endpoint == "127.0.0.1:4321"
    assert (tmp_path / "helper" / trio.BEHIND).read_text(encoding="ascii") != "127.0.0.1:4321"
    assert not (tmp_path / "asker" / trio.BEHIND).exists()
