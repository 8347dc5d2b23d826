"""One party of SPU's matching: ``python spu_match.py FOLDER RANK PORT,PORT``.

Runs in the peers' environment and imports nothing of ours. Protocol RR22 with the library's own settings
(its fast mode), two processes over brpc on loopback, the first party compares and both learn the result.
The library reads ``ROLE.csv`` and writes the common identifiers to ``ROLE.spu.csv`` inside the measured
call. A match of ten identifiers goes first, unmeasured.
"""

import json
import os
import socket
import struct
import sys
import tempfile
import time
from pathlib import Path

import spu
from spu import psi

ROLES = ("asker", "provider")
_RECV_TIMEOUT_MS = 120_000
_TCP_INFO = 11
# struct tcp_info of Linux: bytes that the other end has acknowledged.
_BYTES_ACKED = 120


def usage() -> dict[str, float]:
    """CPU seconds and wall clock of this process so far."""
    return {"cpu_s": time.process_time(), "wall_s": time.perf_counter()}


def bytes_sent() -> int:
    """Bytes that this process's open TCP connections have sent; what it writes includes its spill files."""
    total = 0
    for path in Path("/proc/self/fd").iterdir():
        try:
            if not str(path.readlink()).startswith("socket:"):
                continue
            with socket.socket(fileno=os.dup(int(path.name))) as connection:
                info = connection.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, 256)
                total += struct.unpack_from("<Q", info, _BYTES_ACKED)[0]
        except OSError:
            continue  # closed meanwhile, or no TCP
    return total


def peak_rss_mb() -> float:
    """Most memory that this process held, in MB."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6


def connect(rank: int, ports: list[str]) -> spu.link.Context:
    """Link the two parties."""
    desc = spu.link.Desc()
    desc.recv_timeout_ms = _RECV_TIMEOUT_MS
    for number, port in enumerate(ports):
        desc.add_party(f"party_{number}", f"127.0.0.1:{port}")
    return spu.link.create_brpc(desc, rank)


def match(link: spu.link.Context, source: Path, target: Path) -> int:
    """One match; returns the number of common identifiers."""
    csv = psi.SourceType.SOURCE_TYPE_FILE_CSV
    config = psi.PsiExecuteConfig(
        protocol_conf=psi.PsiProtocolConfig(
            protocol=psi.PsiProtocol.PROTOCOL_RR22, receiver_rank=0, broadcast_result=True
        ),
        input_params=psi.InputParams(type=csv, path=str(source), selected_keys=["id"], keys_unique=True),
        output_params=psi.OutputParams(type=csv, path=str(target), disable_alignment=False),
    )
    return psi.psi_execute(config, link).intersection_count


def main() -> None:
    """Warm up, match, print the measures."""
    folder, rank, ports = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3].split(",")
    link = connect(rank, ports)
    with tempfile.TemporaryDirectory() as warm:
        few = Path(warm) / "few.csv"
        few.write_text("id\n" + "\n".join(map(str, range(10))) + "\n", encoding="utf-8")
        match(link, few, Path(warm) / "out.csv")
    sent, start = bytes_sent(), usage()
    matched = match(link, folder / f"{ROLES[rank]}.csv", folder / f"{ROLES[rank]}.spu.csv")
    end = usage()
    result = {name: end[name] - start[name] for name in start} | {
        "bytes": bytes_sent() - sent,
        "rss_mb": peak_rss_mb(),
        "matched": matched,
    }
    link.stop_link()
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
