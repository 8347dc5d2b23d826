"""One party of SPU's logistic regression: ``python spu_logistic.py FOLDER RANK PORT,PORT PROTOCOL EPOCHS``.

Runs in the peers' environment and imports nothing of ours. The 64-bit ring, two processes over brpc on
loopback, inputs secret-shared, the library's own logistic function; mini-batches of 1024 rows, learning rate
0.3, weights from zero. Protocol SEMI2K has SPU's default dealer (the first party is trusted), CHEETAH none.
The function of an epoch is compiled once; sharing of inputs and compilation are not counted as training.
"""

import json
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import spu
from spu.utils import frontend

BATCH = 1024
RATE = 0.3
COLUMNS = 24
FRACTION_BITS = 18
INPUTS = ["x_asker", "x_provider", "y", "w"]
_RECV_TIMEOUT_MS = 120_000


def epoch(x_asker, x_provider, y, w):  # noqa: ANN001, ANN201
    """One pass over the rows; the last, smaller batch is left out."""
    ones = jnp.ones((x_asker.shape[0], 1))
    x = jnp.concatenate([ones, x_asker, x_provider], axis=1)
    for start in range(0, x.shape[0] - BATCH + 1, BATCH):
        rows = x[start : start + BATCH]
        residuals = jax.nn.sigmoid(rows @ w) - y[start : start + BATCH]
        w = w - RATE / BATCH * (rows.T @ residuals)
    return w


def usage() -> dict[str, float]:
    """CPU seconds, wall clock, and bytes written by this process so far."""
    counters = dict(
        line.split(": ") for line in Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    )
    return {"cpu_s": time.process_time(), "wall_s": time.perf_counter(), "bytes": int(counters["wchar"])}


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


def share(link: spu.link.Context, io: spu.Io, rank: int, folder: Path) -> dict[str, spu.libspu.Share]:
    """This party's secret shares of all inputs; the owner of each makes them and sends the other its part."""
    arrays = {
        "x_asker": (0, lambda: np.load(folder / "asker.npy")),
        "x_provider": (1, lambda: np.load(folder / "provider.npy")),
        "y": (0, lambda: np.load(folder / "label.npy").reshape(-1, 1)),
        "w": (0, lambda: np.zeros((COLUMNS, 1))),
    }
    own = {}
    for name, (owner, load) in arrays.items():
        if rank == owner:
            shares = io.make_shares(load().astype(np.float32), spu.Visibility.VIS_SECRET)
            own[name] = shares[rank]
            send(link, shares[1 - rank])
        else:
            own[name] = receive(link, owner)
    return own


def send(link: spu.link.Context, value: spu.libspu.Share) -> None:
    """Send a share: its description, how many chunks, the chunks."""
    other = 1 - link.rank
    link.send(other, value.meta)
    link.send(other, str(len(value.share_chunks)))
    for chunk in value.share_chunks:
        link.send(other, chunk)


def receive(link: spu.link.Context, owner: int) -> spu.libspu.Share:
    """Take a share that the other party sent."""
    value = spu.libspu.Share()
    value.meta = link.recv(owner)
    value.share_chunks = [link.recv(owner) for _ in range(int(link.recv(owner)))]
    return value


def compiled(folder: Path) -> spu.Executable:
    """The function of an epoch for the shapes of these arrays."""
    rows = np.load(folder / "label.npy", mmap_mode="r").shape[0]
    shapes = [
        np.load(folder / "asker.npy", mmap_mode="r").shape,
        np.load(folder / "provider.npy", mmap_mode="r").shape,
        (rows, 1),
        (COLUMNS, 1),
    ]
    executable, _ = frontend.compile(
        frontend.Kind.JAX,
        epoch,
        [np.zeros(shape, dtype=np.float32) for shape in shapes],
        {},
        INPUTS,
        [spu.Visibility.VIS_SECRET] * len(INPUTS),
        lambda outputs: [f"out_{place}" for place in range(len(outputs))],
    )
    return executable


def reveal(link: spu.link.Context, io: spu.Io, value: spu.libspu.Share) -> np.ndarray:
    """Open a shared value to the first party."""
    if link.rank:
        send(link, value)
        return np.zeros((COLUMNS, 1))
    return io.reconstruct([value, receive(link, 1)])


def main() -> None:
    """Share, train, open the weights to the first party, print the measures."""
    folder, rank, ports = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3].split(",")
    protocol, epochs = getattr(spu.ProtocolKind, sys.argv[4]), int(sys.argv[5])
    config = spu.RuntimeConfig(protocol, spu.FieldType.FM64, FRACTION_BITS)
    link, io = connect(rank, ports), spu.Io(len(ports), config)
    before = time.process_time()
    executable = compiled(folder)
    compile_cpu_s = time.process_time() - before
    runtime = spu.Runtime(link, config)
    for name, value in share(link, io, rank, folder).items():
        runtime.set_var(name, value)
    link.barrier()
    start = usage()
    for _ in range(epochs):
        runtime.run(executable)
        runtime.set_var("w", runtime.get_var(executable.output_names[0]))
    end = usage()
    weights = reveal(link, io, runtime.get_var("w"))
    link.stop_link()
    result = {name: end[name] - start[name] for name in start} | {
        "epochs": epochs,
        "compile_cpu_s": compile_cpu_s,
        "rss_mb": peak_rss_mb(),
        "intercept": float(weights[0, 0]),
        "coefficients": weights[1:, 0].tolist(),
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
