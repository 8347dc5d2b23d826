"""Files in and out: encodings, separators, types of columns, and every bad file as one sentence."""

import datetime as dt
import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongzhou.data import tables
from tongzhou.data.tables import read_table, write_parquet
from tongzhou.errors import DataError, NotFoundError, StorageError


@pytest.fixture
def csv_file(tmp_path):
    def write(content: str | bytes, name: str = "clients.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


# --- good files ------------------------------------------------------------------------------------------


def test_a_plain_csv_gets_the_narrowest_types(csv_file):
    path = csv_file("id,amount,rate,day,good\nA1,1,0.5,2024-01-31,true\nA2,,1,2024-02-01,FALSE\n")
    table = read_table(path)
    assert [str(kind) for kind in table.schema.types] == ["string", "int64", "double", "date32[day]", "bool"]
    assert table.to_pylist() == [
        {"id": "A1", "amount": 1, "rate": 0.5, "day": dt.date(2024, 1, 31), "good": True},
        {"id": "A2", "amount": None, "rate": 1.0, "day": dt.date(2024, 2, 1), "good": False},
    ]


CHINESE = "客户,城市\n甲,上海\n乙,北京\n"


@pytest.mark.parametrize(
    "content",
    [CHINESE.encode(), b"\xef\xbb\xbf" + CHINESE.encode(), CHINESE.encode("gb18030"), CHINESE.encode("gbk")],
    ids=["utf-8", "utf-8 with mark", "gb18030", "gbk"],
)
def test_every_usual_chinese_encoding_reads_the_same(csv_file, content):
    assert read_table(csv_file(content)).to_pydict() == {"客户": ["甲", "乙"], "城市": ["上海", "北京"]}


def test_gb18030_reads_characters_that_gbk_lacks(csv_file):
    assert read_table(csv_file("姓名\n㐂𠀀\n".encode("gb18030")))["姓名"].to_pylist() == ["㐂𠀀"]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_separators_and_line_ends_are_found(csv_file, separator, line_end):
    content = line_end.join(
        separator.join(row) for row in (["a", "b"], ["1", "x,y;z" if separator == "\t" else "x"])
    )
    assert read_table(csv_file(content))["a"].to_pylist() == [1]


def test_a_separator_inside_quotes_of_the_header_does_not_count(csv_file):
    assert read_table(csv_file('"a;b;c;d",e\n1,2\n')).column_names == ["a;b;c;d", "e"]


def test_quoted_fields_keep_separators_quotes_and_line_breaks(csv_file):
    assert read_table(csv_file('a,b\n"x, ""y""\nz",1\n')).to_pydict() == {"a": ['x, "y"\nz'], "b": [1]}


def test_line_breaks_inside_quotes_survive_a_file_of_many_blocks(csv_file):
    rows = 60_000
    content = "a,b\n" + '"first\nsecond line of a note",7\n' * rows
    table = read_table(csv_file(content))
    assert table.num_rows == rows
    assert table["a"].unique().to_pylist() == ["first\nsecond line of a note"]
    assert table["b"].unique().to_pylist() == [7]


def test_blank_lines_before_the_header_hide_no_separator(csv_file):
    assert read_table(csv_file("\n\na;b\n1;2\n")).to_pydict() == {"a": [1], "b": [2]}


def test_header_names_lose_the_blanks_around_them(csv_file):
    assert read_table(csv_file(" a , b\n1,2\n")).column_names == ["a", "b"]


def test_only_a_header_is_a_table_without_rows(csv_file):
    table = read_table(csv_file("a,b\n"))
    assert (table.num_rows, table.column_names) == (0, ["a", "b"])


@pytest.mark.parametrize(
    "word", ["", "NA", "N/A", "#N/A", "NaN", "nan", "NULL", "null", "None", "\\N", "  ", '""', '"NA"']
)
def test_words_for_missing_are_missing(csv_file, word):
    assert read_table(csv_file(f"a,b\n1,x\n{word},x\n3,x\n"))["a"].to_pylist() == [1, None, 3]


def test_a_column_without_any_value_is_of_numbers(csv_file):
    table = read_table(csv_file("a,b\n,1\n,2\n"))
    assert table["a"].type == pa.float64()
    assert table["a"].null_count == 2


def test_identifiers_keep_leading_zeros(csv_file):
    assert read_table(csv_file("id\n0012\n7\n"))["id"].to_pylist() == ["0012", "7"]


@pytest.mark.parametrize("number", ["110105194912310021", "1234567890123456"])
def test_long_whole_numbers_stay_text_because_floats_would_blur_them(csv_file, number):
    assert read_table(csv_file(f"id\n{number}\n1\n"))["id"].to_pylist() == [number, "1"]


@pytest.mark.parametrize("number", ["0", "0.5", "-0.25", "-3", "999999999999999"])
def test_zero_and_fractions_are_numbers_not_identifiers(csv_file, number):
    assert read_table(csv_file(f"x\n{number}\n"))["x"].to_pylist() == [float(number)]


def test_blanks_around_numbers_do_no_harm(csv_file):
    assert read_table(csv_file("a\n 1 \n2\n"))["a"].to_pylist() == [1, 2]


def test_a_stray_word_far_down_makes_the_column_text_and_loses_nothing(csv_file):
    rows = ["1.5"] * 200_000
    rows[-1] = "unknown"
    column = read_table(csv_file("a\n" + "\n".join(rows)))["a"]
    assert column.type == pa.string()
    assert column[-1].as_py() == "unknown"
    assert len(column) == 200_000


@pytest.mark.parametrize("line_end", ["\r", "\r\n"])
def test_old_line_ends_and_blank_lines_do_no_harm(csv_file, line_end):
    assert read_table(csv_file(line_end.join(["a,b", "1,2", "", "3,4", ""]))).to_pydict() == {
        "a": [1, 3],
        "b": [2, 4],
    }


def test_blank_lines_do_not_count_as_rows(csv_file):
    with pytest.raises(DataError, match="row 2: must have 2 fields"):
        read_table(csv_file("a,b\n1,2\n\n\n3\n"))


@pytest.mark.parametrize("word", ["inf", "-inf", "1e400"])
def test_infinite_numbers_arrive_for_the_check_to_find(csv_file, word):
    assert np.isinf(read_table(csv_file(f"x\n{word}\n1.5\n"))["x"][0].as_py())


def test_times_are_read_as_times(csv_file):
    assert read_table(csv_file("t\n2024-01-31 12:30:00\n"))["t"].to_pylist() == [
        dt.datetime(2024, 1, 31, 12, 30)
    ]


cells = st.lists(
    st.tuples(
        st.integers(-(10**14), 10**14),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=8),
    ),
    min_size=1,
    max_size=8,
)


@given(rows=cells)
def test_what_a_spreadsheet_would_write_comes_back(tmp_path_factory, rows):
    """Numbers come back exactly; text comes back but for blanks around it and the words for missing."""
    quoted = ['"' + text.replace('"', '""') + 'ß"' for _, _, text in rows]
    lines = [f"{whole},{number!r},{text}" for (whole, number, _), text in zip(rows, quoted, strict=True)]
    path = tmp_path_factory.mktemp("cells") / "t.csv"
    path.write_text("whole,number,text\n" + "\n".join(lines) + "\n", encoding="utf-8", newline="")
    table = read_table(path)
    assert table["whole"].to_pylist() == [whole for whole, _, _ in rows]
    assert np.array_equal(
        np.asarray(table["number"].to_pylist(), dtype=float), [number for _, number, _ in rows]
    )
    assert [text.strip() for text in table["text"].to_pylist()] == [
        (text + "ß").strip() for _, _, text in rows
    ]


# --- bad files -------------------------------------------------------------------------------------------

BAD_FILES = {
    "empty": (b"", "must be a table with a header line, got an empty file"),
    "blank": (b" \r\n\n", "must be a table with a header line, got an empty file"),
    "only a byte-order mark": (b"\xef\xbb\xbf", "must be a table with a header line, got an empty file"),
    "short row": (b"a,b\n1,2\n3\n", "row 2: must have 2 fields like the header, got 1"),
    "long row": (b"a,b\n1,2\n3,4,5\n", "row 2: must have 2 fields like the header, got 3"),
    "long first row": (b"a,b\n1,2,3\n", "row 1: must have 2 fields like the header, got 3"),
    "open quote": (b'a,b\n1,"2\n3,4\n', "line 2: a quotation mark is opened and never closed"),
    "open quote after a good one": (b'a,b\n"x\ny",1\n2,"z\n', "line 4: a quotation mark is opened and never"),
    "utf-16": ("a,b\n1,2\n".encode("utf-16"), "must be UTF-8 or GB18030, got UTF-16; save it as CSV UTF-8"),
    "neither encoding": (
        b"a\nok\n\xff\xff\n",
        "line 3: text must be UTF-8 or GB18030, got bytes that are neither",
    ),
    "damaged utf-8": ("名称\n上海\n".encode() + b"\xc4\xe3\n", "line 3: text must be UTF-8 or GB18030"),
    "damaged utf-8 with mark": (b"\xef\xbb\xbfa\n\xc4\xe3\n", "line 2: text must be UTF-8 or GB18030"),
    "binary": (b"\x7fELF\0\0\0\1", "must be CSV or Parquet, got a binary file"),
    "new excel": (b"PK\x03\x04rest", "got an Excel workbook or a zip archive; save the sheet as CSV UTF-8"),
    "old excel": (b"\xd0\xcf\x11\xe0rest", "got an Excel workbook"),
    "same name twice": (b"a,b,a\n1,2,3\n", "column names must differ, got a twice"),
    "same name but for blanks": (b"a, a\n1,2\n", "column names must differ, got a twice"),
    "nameless column": (b"a,,c\n1,2,3\n", "column 2 must have a name, got none"),
    "cut parquet": (b"PAR1abcdefghPAR1", "is not a whole Parquet file: its content cannot be read"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_one_sentence_that_names_it(csv_file, case):
    content, sentence = BAD_FILES[case]
    path = csv_file(content, "bad.csv")
    with pytest.raises(DataError) as caught:
        read_table(path)
    assert sentence in str(caught.value)
    assert str(caught.value).startswith(str(path))


def test_sentences_about_a_file_quote_none_of_its_values(csv_file):
    path = csv_file("name,amount\nWang,5\nsecret-person\n")
    with pytest.raises(DataError, match="row 2") as caught:
        read_table(path)
    assert "secret-person" not in str(caught.value)


RAGGED = "every row must have 2 fields like the header; rows with another number:"


def test_all_ragged_rows_are_named_at_once(csv_file):
    path = csv_file("a,b\n1,2\n3\n\n4,5,6\n7,8\n9\n")
    with pytest.raises(DataError) as caught:
        read_table(path)
    assert str(caught.value) == f"{path}: {RAGGED} 3, namely (fields in brackets) 2 (1), 3 (3), 5 (1)"


def test_of_many_ragged_rows_ten_are_named_and_all_counted(csv_file):
    with pytest.raises(DataError, match=RAGGED) as caught:
        read_table(csv_file("a,b\n" + "1\n2,3\n" * 12))
    named = ", ".join(f"{row} (1)" for row in range(1, 20, 2))
    assert str(caught.value).endswith(f" 12, namely (fields in brackets) {named}, …")


def test_ragged_rows_far_apart_keep_their_numbers(csv_file):
    rows = ["12345678,12345678"] * 200_000  # several of Arrow's blocks
    rows[4] = rows[149_999] = rows[-1] = "1,2,3"
    with pytest.raises(DataError, match=r" 3, namely .* 5 \(3\), 150000 \(3\), 200000 \(3\)$"):
        read_table(csv_file("a,b\n" + "\n".join(rows)))


def test_what_is_not_a_regular_file_is_refused_before_it_is_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in ("/dev/zero", tmp_path / "pipe"):
        with pytest.raises(DataError, match=f"^{path} must be a regular file, got a device, a pipe or a"):
            read_table(path)


def test_a_missing_file_points_at_its_neighbour(csv_file):
    path = csv_file("a\n1\n", "clients.csv")
    with pytest.raises(NotFoundError, match=r"there is no file .*client\.csv; did you mean .*clients\.csv\?"):
        read_table(path.with_name("client.csv"))


def test_a_missing_file_without_neighbours(tmp_path):
    with pytest.raises(NotFoundError, match=r"there is no file .*clients\.csv$"):
        read_table(tmp_path / "no-folder" / "clients.csv")


def test_a_folder_is_not_a_table(tmp_path):
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        read_table(tmp_path)


def test_a_csv_beyond_the_bound_is_refused_before_it_is_read(csv_file, monkeypatch):
    monkeypatch.setattr(tables, "FILE_BYTES_MAX", 12)
    assert read_table(csv_file("a,b\n1,2\n3,4\n")).num_rows == 2
    monkeypatch.setattr(tables, "FILE_BYTES_MAX", 10)
    with pytest.raises(DataError, match="must have at most 10 bytes as CSV, got 12; convert it to Parquet"):
        read_table(csv_file("a,b\n1,2\n3,4\n"))


def test_too_many_columns_are_refused(csv_file, monkeypatch):
    monkeypatch.setattr(tables, "COLUMNS_MAX", 2)
    with pytest.raises(DataError, match="must have at most 2 columns, got 3"):
        read_table(csv_file("a,b,c\n1,2,3\n"))


@given(content=st.binary(max_size=60))
def test_rubbish_gives_a_table_or_a_sentence(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("rubbish") / "t.csv"
    path.write_bytes(content)
    try:
        table = read_table(path)
    except DataError as error:
        assert str(path) in str(error)
    else:
        assert table.num_columns >= 1


# --- Parquet ---------------------------------------------------------------------------------------------


def test_parquet_round_trip(tmp_path):
    table = pa.table(
        {"id": ["a", None], "n": pa.array([1, 2], pa.int8()), "x": [0.5, None], "d": [None, True]}
    )
    write_parquet(table, tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet").equals(table)


def test_parquet_is_known_by_its_content_not_its_name(tmp_path):
    write_parquet(pa.table({"a": [1]}), tmp_path / "t.csv")
    assert read_table(tmp_path / "t.csv").to_pydict() == {"a": [1]}


def test_dictionaries_views_and_foreign_metadata_become_plain(tmp_path):
    table = pa.table(
        {
            "d": pa.array(["x", "y", "x"]).dictionary_encode(),
            "v": pa.array(["p", "q", None], pa.string_view()),
        }
    ).replace_schema_metadata({"pandas": "{}"})
    pq.write_table(table, tmp_path / "t.parquet")
    read = read_table(tmp_path / "t.parquet")
    assert read.to_pydict() == {"d": ["x", "y", "x"], "v": ["p", "q", None]}
    assert read.schema.types == [pa.string(), pa.string()]
    assert read.schema.metadata is None


@pytest.mark.parametrize(
    "values", [[[1], [2]], [{"a": 1}, {"a": 2}], [b"x", b"y"]], ids=["list", "struct", "binary"]
)
def test_columns_no_step_can_use_are_refused(tmp_path, values):
    write_parquet(pa.table({"ok": [1, 2], "odd": values}), tmp_path / "t.parquet")
    with pytest.raises(DataError, match="column odd must hold numbers, text, dates or yes/no values, got"):
        read_table(tmp_path / "t.parquet")


def test_a_parquet_file_cut_anywhere_is_a_sentence(tmp_path):
    path = tmp_path / "t.parquet"
    write_parquet(pa.table({"a": list(range(50)), "b": ["x"] * 50}), path)
    content = path.read_bytes()
    for length in range(4, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(DataError, match="is not a whole Parquet file"):
            read_table(path)


# --- writing ---------------------------------------------------------------------------------------------


def _fails_with(number):
    def fail(*_args, **_kwargs):
        raise OSError(number, os.strerror(number))

    return fail


STEPS = {
    "making the file": (tables.tempfile, "mkstemp"),
    "writing": (tables.pq, "write_table"),
    "flushing to disk": (tables.os, "fsync"),
    "renaming": (tables.Path, "replace"),
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.ENOSPC, "was not written: the disk is full; nothing was changed"),
        (errno.EACCES, "was not written: Permission denied; nothing was changed"),
    ],
)
def test_a_write_that_fails_at_any_step_leaves_the_old_table(tmp_path, monkeypatch, step, number, sentence):
    path = tmp_path / "t.parquet"
    write_parquet(pa.table({"a": [1]}), path)
    with monkeypatch.context() as patch:
        patch.setattr(*STEPS[step], _fails_with(number))
        with pytest.raises(StorageError, match=sentence):
            write_parquet(pa.table({"a": [2]}), path)
    assert read_table(path).to_pydict() == {"a": [1]}
    assert os.listdir(tmp_path) == ["t.parquet"]  # noqa: PTH208 - hidden leftovers count


def test_a_rename_the_disk_does_not_confirm_is_said_as_such(tmp_path, monkeypatch):
    path = tmp_path / "t.parquet"
    write_parquet(pa.table({"a": [1]}), path)
    real, calls = os.fsync, []

    def second_fails(handle):
        calls.append(handle)
        if len(calls) == 2:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(handle)

    monkeypatch.setattr(tables.os, "fsync", second_fails)
    with pytest.raises(
        StorageError, match="was written, but the disk did not confirm it: Input/output error"
    ):
        write_parquet(pa.table({"a": [2]}), path)
    assert read_table(path).to_pydict() == {"a": [2]}


KILLED = """
import os, sys
from pathlib import Path
import pyarrow as pa
from tongzhou.data import tables
setattr(os, sys.argv[2], lambda *args: os.kill(os.getpid(), 9))
tables.write_parquet(pa.table({"a": [2]}), Path(sys.argv[1]))
"""


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_process_killed_while_writing_leaves_the_old_table(tmp_path, step):
    path = tmp_path / "t.parquet"
    write_parquet(pa.table({"a": [1]}), path)
    ended = subprocess.run([sys.executable, "-c", KILLED, str(path), step], check=False)
    assert ended.returncode == -9
    assert read_table(path).to_pydict() == {"a": [1]}
    write_parquet(pa.table({"a": [3]}), path)
    assert read_table(path).to_pydict() == {"a": [3]}


def test_writing_into_no_folder_is_a_sentence(tmp_path):
    with pytest.raises(StorageError, match="was not written: No such file or directory"):
        write_parquet(pa.table({"a": [1]}), tmp_path / "none" / "t.parquet")


def test_a_really_full_disk_is_a_sentence():
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with pytest.raises(OSError, match="No space left"), full.open("wb") as file:
        pq.write_table(pa.table({"a": [1]}), file)
        file.flush()
    error = tables._not_written(Path("t.parquet"), OSError(errno.ENOSPC, "No space left on device"))
    assert str(error) == "t.parquet was not written: the disk is full; nothing was changed"


def test_a_written_table_is_for_its_owner_only(tmp_path):
    write_parquet(pa.table({"a": [1]}), tmp_path / "t.parquet")
    assert (tmp_path / "t.parquet").stat().st_mode & 0o077 == 0
