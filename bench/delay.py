"""A network that is further away: relays of TCP connections that hold every byte back for a fixed time.

As a program: ``python -m bench.delay MILLISECONDS DOOR:PORT...`` listens at each DOOR of this machine and
hands on to PORT of it; it prints one line once it listens. As a context, for any bench: ``with delayed(5.0,
{door: port}):``.

Each direction is held back by the same time, so a round trip takes twice as long. Bandwidth is not limited:
what is read together arrives together.
"""

import asyncio
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from bench.measures import ROOT, BenchError, end

__all__ = ["delayed", "main"]

_HOST = "127.0.0.1"
_PIECE = 1 << 18
_WAITING_PIECES = 4096  # a relay that reads ahead without end would hide that a receiver is slow


async def _serve(delay_s: float, doors: Mapping[int, int]) -> None:
    servers = [
        await asyncio.start_server(_relay_to(port, delay_s), _HOST, door) for door, port in doors.items()
    ]
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.gather(*(server.serve_forever() for server in servers))


def _relay_to(port: int, delay_s: float):  # noqa: ANN202 what asyncio wants
    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(_HOST, port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_hold(reader, far_writer, delay_s), _hold(far_reader, writer, delay_s))
        for one in (writer, far_writer):
            one.close()

    return relay


async def _hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_s: float) -> None:
    """Pass on one direction, each piece as late as the delay says; the end of it too."""
    pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_WAITING_PIECES)
    await asyncio.gather(_take(reader, pieces, delay_s), _give(pieces, writer))


async def _take(
    reader: asyncio.StreamReader, pieces: "asyncio.Queue[tuple[float, bytes]]", delay_s: float
) -> None:
    clock = asyncio.get_running_loop().time
    piece = b"any"
    while piece:
        try:
            piece = await reader.read(_PIECE)
        except OSError:
            piece = b""
        await pieces.put((clock() + delay_s, piece))


async def _give(pieces: "asyncio.Queue[tuple[float, bytes]]", writer: asyncio.StreamWriter) -> None:
    clock = asyncio.get_running_loop().time
    with suppress(OSError):
        while True:
            due, piece = await pieces.get()
            await asyncio.sleep(max(0.0, due - clock()))
            if not piece:
                writer.write_eof()  # the other direction may go on
                return
            writer.write(piece)
            await writer.drain()


@contextmanager
def delayed(milliseconds: float, doors: Mapping[int, int]) -> Iterator[None]:
    """Relays in a process of their own, for as long as the block lasts.

    Args:
        milliseconds: how long each byte is held back, in each direction.
        doors: port to listen at, and port to hand on to, both on this machine.

    Raises:
        BenchError: a door is taken.
    """
    pairs = [f"{door}:{port}" for door, port in doors.items()]
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.delay", str(milliseconds), *pairs], cwd=ROOT, stdout=subprocess.PIPE
    )
    try:
        if process.stdout is None or not process.stdout.readline():
            raise BenchError("the relay that delays did not start")
        yield
    finally:
        end(process)


def main() -> None:
    """Relay until killed."""
    delay_s = float(sys.argv[1]) / 1000
    doors = {int(door): int(port) for door, _, port in (pair.partition(":") for pair in sys.argv[2:])}
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(delay_s, doors))


if __name__ == "__main__":
    main()
