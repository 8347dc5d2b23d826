"""Compare our TLS link with a gRPC stream over loopback: round trips of 64 bytes, and pieces of 8 MiB.

    .venv/bin/python scripts/measure_wire.py
    pip install --target build/grpc grpcio && PYTHONPATH=build/grpc .venv/bin/python scripts/measure_wire.py

Both speak TLS 1.3 to a second process; gRPC uses a stream in both directions with raw bytes, no protobuf.
Printed are medians. Without grpcio only ours is measured.
"""

import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from tongzhou.parties.card import issue_card, read_card
from tongzhou.parties.identity import Identity
from tongzhou.parties.trust import TrustStore
from tongzhou.wire.messages import ArraySpec
from tongzhou.wire.tls import Listener, connect

SMALL, LARGE = 8, 1 << 20
"""Words of a message."""
SMALL_TURNS, LARGE_TURNS = 3000, 30
WARM = 100


def institutions(folder: Path) -> tuple[tuple[Identity, TrustStore], tuple[Identity, TrustStore]]:
    """Two institutions that trust each other."""
    made = []
    for name in ("alpha", "beta"):
        home = folder / name
        fresh = not home.exists()
        identity = Identity.create(home, name, name) if fresh else Identity.load(home)
        made.append((identity, TrustStore(folder / f"{name}-trust")))
    for (_, trust), (other, _) in zip(made, reversed(made), strict=True):
        trust.add(issue_card(other, "127.0.0.1:1", datetime.now(UTC)))
    return made[0], made[1]


def echo_ours(folder: Path, ready: Connection) -> None:
    """Send every array back."""
    _, (identity, trust) = institutions(folder)
    listener = Listener(identity, trust, "127.0.0.1", 0)
    ready.send(listener.endpoint)
    caller = listener.wait(30)
    assert caller is not None  # noqa: S101 - a script
    link = caller.greet()
    for words, turns in ((SMALL, WARM + SMALL_TURNS), (LARGE, LARGE_TURNS)):
        for _ in range(turns):
            _, (array,) = link.recv("ping", None, [ArraySpec("<u8", (words,))])
            link.send("ping", None, [array])
    link.close()


def ask_ours(folder: Path, endpoint: str) -> Callable[[np.ndarray[Any, Any]], None]:
    """A function that sends an array and waits for it."""
    (identity, trust), (other, _) = institutions(folder)
    link = connect(identity, read_card(issue_card(other, endpoint, datetime.now(UTC))), trust)

    def ask(array: np.ndarray[Any, Any]) -> None:
        link.send("ping", None, [array])
        link.recv("ping", None, [ArraySpec("<u8", array.shape)])

    return ask


def echo_grpc(folder: Path, ready: Connection) -> None:
    """Send every message back."""
    import grpc  # noqa: PLC0415 - only where it is installed

    _, (identity, _) = institutions(folder)
    pair = (identity.tls_key_path.read_bytes(), identity.tls_certificate_path.read_bytes())
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    limits = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    server = grpc.server(ThreadPoolExecutor(2), options=limits)
    method = grpc.stream_stream_rpc_method_handler(lambda messages, _: messages)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("echo", {"turn": method})])
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    server.start()
    ready.send(f"127.0.0.1:{port}")
    ready.recv()
    server.stop(None)


def ask_grpc(folder: Path, endpoint: str) -> Callable[[np.ndarray[Any, Any]], None]:
    """The same over a gRPC stream."""
    import queue  # noqa: PLC0415

    import grpc  # noqa: PLC0415

    _, (identity, _) = institutions(folder)
    chain = identity.tls_certificate_path.read_bytes()
    authority = chain[chain.index(b"-----BEGIN", 10) :]
    options = [
        ("grpc.ssl_target_name_override", identity.party_id),
        ("grpc.max_receive_message_length", -1),
        ("grpc.max_send_message_length", -1),
    ]
    channel = grpc.secure_channel(endpoint, grpc.ssl_channel_credentials(authority), options)
    waiting: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def messages() -> Iterator[bytes]:
        while True:
            yield waiting.get()

    answers = channel.stream_stream("/echo/turn")(messages())

    def ask(array: np.ndarray[Any, Any]) -> None:
        waiting.put(array.tobytes())
        np.frombuffer(next(answers), dtype=np.uint64)

    return ask


def measure(ask: Callable[[np.ndarray[Any, Any]], None]) -> tuple[float, float]:
    """Median round trip of a small message in microseconds, and MiB a second of large ones, one way."""
    small, large = np.zeros(SMALL, dtype=np.uint64), np.zeros(LARGE, dtype=np.uint64)
    for _ in range(WARM):
        ask(small)
    return 1e6 * median(ask, small, SMALL_TURNS), 2 * large.nbytes / 2**20 / median(ask, large, LARGE_TURNS)


def median(ask: Callable[[np.ndarray[Any, Any]], None], array: np.ndarray[Any, Any], turns: int) -> float:
    """Median seconds of a turn."""
    spent = []
    for _ in range(turns):
        start = time.perf_counter()
        ask(array)
        spent.append(time.perf_counter() - start)
    return statistics.median(spent)


def main() -> None:
    """Measure both and print a line for each."""
    pairs: dict[str, tuple[Any, Any]] = {"ours": (echo_ours, ask_ours)}
    if find_spec("grpc") is not None:
        pairs["grpc"] = (echo_grpc, ask_grpc)
    start = multiprocessing.get_context("spawn")
    for name, (echo, asker) in pairs.items():
        with tempfile.TemporaryDirectory() as folder:
            institutions(Path(folder))
            here, there = start.Pipe()
            process = start.Process(target=echo, args=(Path(folder), there), daemon=True)
            process.start()
            trip, rate = measure(asker(Path(folder), here.recv()))
            here.send("done")
            process.join(5)
        sys.stdout.write(f"{name:6} round trip {trip:6.0f} µs, large pieces {rate:6.0f} MiB/s each way\n")


if __name__ == "__main__":
    main()
