"""``tongzhou decide``: applicants in, decisions out, and an entry that holds the digests."""

import errno
import hashlib
import json
from pathlib import Path

import cli_run
import job_town
import pyarrow.csv
import pytest

from tongzhou.data.example import bank_table
from tongzhou.decide.strategy import Strategy, example_strategy
from tongzhou.node.job_run import run_job
from tongzhou.node.models import find_model


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """A town with a finished run and grants left: the town and the run."""
    town = job_town.Town(tmp_path_factory.mktemp("town")).found().start()
    plan, _ = town.granted(runs=100)
    yield town, run_job(town.bank, plan)
    town.stop()


@pytest.fixture(scope="module")
def strategy(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("strategy")
    for name, content in example_strategy().files.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def bank(played, capsys):
    return cli_run.Cli(played[0].bank.folder, capsys)


def applicants(path: Path, low: int = 280, high: int = 320, **changes) -> Path:
    """Clients as applicants; the card network knows those from 300 on."""
    table = job_town.cut(bank_table(), low, high, job_town.OWN)
    columns = {name: table[name].to_pylist() for name in table.column_names} | changes
    return cli_run.write_csv(path, **{name: values for name, values in columns.items() if values is not None})


def test_every_applicant_is_decided_with_reasons_in_both_languages(bank, played, strategy, tmp_path) -> None:
    _, run_id = played
    out = tmp_path / "decided.jsonl"
    file = applicants(tmp_path / "new.csv")
    result = bank.ok("decide", run_id, file, "--strategy", strategy, "--out", out)
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["applicant"] for line in lines] == pyarrow.csv.read_csv(file)["client_id"].to_pylist()
    assert sum(result["outcomes"].values()) == len(lines)
    assert result["decisions"] is None
    for line in lines:
        assert set(line) == {"applicant", "outcome", "grade", "score", "known_to_partner", "reasons"}
        assert line["outcome"] in {"approve", "review", "decline"}
        assert all(set(reason) == {"code", "en", "zh"} for reason in line["reasons"])
    assert {line["known_to_partner"] for line in lines} == {True, False}


def test_who_is_unknown_to_the_partner_goes_where_the_strategy_says(bank, played, strategy, tmp_path) -> None:
    result = bank.ok("decide", played[1], applicants(tmp_path / "a.csv", 0, 40), "--strategy", strategy)
    for one in result["decisions"]:
        assert one["score"] is None
        assert one["outcome"] in {"review", "decline"}
        assert "score.missing" in [reason["code"] for reason in one["reasons"]] or one["outcome"] == "decline"


def test_scores_decide_as_the_strategy_says(bank, played, strategy, tmp_path) -> None:
    cutoff = Strategy.load(strategy).cutoff
    result = bank.ok("decide", played[1], applicants(tmp_path / "b.csv", 900, 960), "--strategy", strategy)
    scored = [one for one in result["decisions"] if one["score"] is not None]
    assert len(scored) > 30
    for one in scored:
        if one["score"] < cutoff.review_from:
            assert one["outcome"] == "decline"
        if one["outcome"] == "approve":
            assert one["score"] >= cutoff.approve_from


def test_reasons_of_the_score_are_columns_of_both_owners_in_words(bank, played, strategy, tmp_path) -> None:
    town, run_id = played
    result = bank.ok("decide", run_id, applicants(tmp_path / "c.csv", 1000, 1060), "--strategy", strategy)
    codes = {reason["code"]: reason for one in result["decisions"] for reason in one["reasons"]}
    card = find_model(town.bank, "small", run_id)
    named = set(codes) & set(card.inputs)
    assert named & set(job_town.THEIRS)
    assert codes[min(named & set(job_town.THEIRS))]["zh"].startswith("2005 年")


def test_the_log_holds_digests_of_strategy_model_and_results(bank, played, strategy, tmp_path) -> None:
    town, run_id = played
    out = tmp_path / "d.jsonl"
    file = applicants(tmp_path / "d.csv", 1100, 1120)
    result = bank.ok("decide", run_id, file, "--strategy", strategy, "--out", out)
    entry = town.bank.log.entry(result["entry"])
    assert (entry.kind, entry.key) == ("decisions-made", result["run"])
    assert entry.record["decisions_digest"] == hashlib.sha256(out.read_bytes()).hexdigest()
    assert entry.record["strategy_digest"] == Strategy.load(strategy).digest
    model = town.bank.models / f"small@{run_id}.card.json"
    assert entry.record["model_digest"] == hashlib.sha256(model.read_bytes()).hexdigest()
    assert entry.record["applicants"] == len(out.read_text().splitlines())
    begun = town.bank.log.payload(town.bank.log.find("job-started", result["run"]))
    assert begun["content_hash"] == hashlib.sha256(file.read_bytes()).hexdigest()


def test_for_people_a_line_each_and_a_summary(bank, played, strategy, tmp_path) -> None:
    result = bank("decide", played[1], applicants(tmp_path / "e.csv", 1200, 1210), "--strategy", strategy)
    assert result.code == 0, result.err
    lines = [line for line in result.out.splitlines() if line.startswith("{")]
    assert json.loads(lines[0])["applicant"].startswith("TW-")
    assert "without a score" in result.out
    assert "entry" in result.out.splitlines()[-1]


# --- decisions cost a run of the grant: none is lost with the file they are meant for


def started(town) -> int:
    return len(town.bank.store.runs())


def full_disk_for(monkeypatch, target: Path) -> None:
    """Let every write beside `target` fail as on a full disk; what is created there stays empty."""
    real = Path.open

    def open_(self, mode="r", *args, **kwargs):
        if self.parent == target.parent and "x" in mode:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(self, mode, *args, **kwargs)

    monkeypatch.setattr(Path, "open", open_)


@pytest.mark.parametrize("place", ["no/such/folder.jsonl", "here"])
def test_a_file_that_cannot_be_written_is_found_before_the_partner_is_asked(
    bank, played, strategy, tmp_path, place
) -> None:
    runs, out = started(played[0]), tmp_path / place
    (tmp_path / "here").mkdir()
    file = applicants(tmp_path / "u.csv", 1400, 1410)
    sentence = bank.fails(8, "decide", played[1], file, "--strategy", strategy, "--out", out)
    assert sentence.startswith(f"{out} cannot be written: ")
    assert sentence.endswith(("No such file or directory", "it is not a regular file"))
    assert started(played[0]) == runs
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here", "u.csv"]


def test_a_full_disk_at_the_end_loses_nothing(bank, played, strategy, tmp_path, monkeypatch) -> None:
    town, run_id = played
    (tmp_path / "out").mkdir()
    out = tmp_path / "out" / "v.jsonl"
    words = (
        "decide", run_id, applicants(tmp_path / "v.csv", 1410, 1430), "--strategy", strategy, "--out", out
    )  # fmt: skip
    with monkeypatch.context() as full:
        full_disk_for(full, out)
        sentence = bank.fails(8, *words)
    kept = next(town.bank.decisions.iterdir())
    assert sentence == (
        f"{out} was not written: the disk is full; the decisions are kept in {kept}, "
        "and the same command goes on without another run"
    )
    content, runs = kept.read_bytes(), started(town)
    entry = town.bank.log.find("decisions-made", kept.stem)
    assert town.bank.log.payload(entry)["decisions_digest"] == hashlib.sha256(content).hexdigest()
    result = bank.ok(*words)
    assert (result["run"], result["entry"]) == (kept.stem, entry)
    assert out.read_bytes() == content
    assert started(town) == runs
    assert list(town.bank.decisions.iterdir()) == []


def test_a_full_disk_at_home_loses_no_run(bank, played, strategy, tmp_path, monkeypatch) -> None:
    town, run_id = played
    town.bank.decisions.mkdir(exist_ok=True)
    words = ("decide", run_id, applicants(tmp_path / "w.csv", 1430, 1440), "--strategy", strategy)
    with monkeypatch.context() as full:
        full_disk_for(full, town.bank.decisions / "any")
        assert bank.fails(8, *words).endswith("was not written: the disk is full")
    runs = started(town)
    assert bank.ok(*words)["entry"]
    assert started(town) == runs


def test_kept_decisions_that_were_changed_are_not_handed_over(
    bank, played, strategy, tmp_path, monkeypatch
) -> None:
    town, run_id = played
    (tmp_path / "out").mkdir()
    out = tmp_path / "out" / "x.jsonl"
    file = applicants(tmp_path / "x.csv", 1440, 1450)
    with monkeypatch.context() as full:
        full_disk_for(full, out)
        bank.fails(8, "decide", run_id, file, "--strategy", strategy, "--out", out)
    kept = next(town.bank.decisions.iterdir())
    kept.write_bytes(kept.read_bytes().replace(b'"decline"', b'"approve"'))
    sentence = bank.fails(8, "decide", run_id, file, "--strategy", strategy, "--out", out)
    assert sentence.startswith(f"{kept} has changed since its decisions were entered in the log")
    assert not out.exists()
    kept.unlink()


# --- files that will not do; each is found before the partner is called


# What is changed in which column: rows by number from 1, or the whole column (gone, or under another name).
BAD = {
    "no column of the card": ("age", None, "has no column age"),
    "near name": ("education", "educaton", "has no column education; did you mean educaton?"),
    "no identifiers": ("client_id", None, "has no column client_id"),
    "missing identifier": ("client_id", {1: ""}, "every row must have one"),
    "twice": ("client_id", {1: "x-1", 2: "X-1"}, "each must occur once"),
    "not a number": ("age", {1: "young"}, "column age, row 1: must be a number, got text of length 5"),
    "out of range": ("age", {30: "200"}, "row 30: the input age must be from 0 to 150"),
    "several": ("age", {1: "200", 2: "200", 9: "-1"}, "outside; further rows are wrong too, 3 in all"),
    "required and missing": ("age", {1: ""}, "row 1: the input age is required and missing"),
}


@pytest.mark.parametrize(("column", "change", "words"), BAD.values(), ids=BAD)
def test_bad_files(bank, played, strategy, tmp_path, column, change, words) -> None:
    town, run_id = played
    runs = len(town.bank.store.runs())
    table = job_town.cut(bank_table(), 280, 320, job_town.OWN)
    columns = {name: list(map(str, table[name].to_pylist())) for name in table.column_names}
    values = columns.pop(column)
    if isinstance(change, dict):
        columns[column] = [change.get(row, value) for row, value in enumerate(values, start=1)]
    elif change:
        columns[change] = values
    file = cli_run.write_csv(tmp_path / "bad.csv", **columns)
    assert words in bank.fails(3, "decide", run_id, file, "--strategy", strategy)
    assert len(town.bank.store.runs()) == runs


def test_an_empty_file(bank, played, strategy, tmp_path) -> None:
    file = tmp_path / "empty.csv"
    file.write_text("client_id,limit,education,age\n")
    assert "holds no applicants" in bank.fails(3, "decide", played[1], file, "--strategy", strategy)


def test_no_such_file_or_strategy_or_run(bank, played, strategy, tmp_path) -> None:
    assert "nowhere.csv" in bank.fails(
        10, "decide", played[1], tmp_path / "nowhere.csv", "--strategy", strategy
    )
    file = applicants(tmp_path / "f.csv")
    assert "there is no strategy folder" in bank.fails(
        10, "decide", played[1], file, "--strategy", tmp_path / "no"
    )
    assert "there is no run" in bank.fails(10, "decide", "20200101-nobody", file, "--strategy", strategy)


def test_a_strategy_without_a_score_from_outside(bank, played, strategy, tmp_path) -> None:
    folder = tmp_path / "none"
    folder.mkdir()
    for name, content in example_strategy().files.items():
        text = content.decode()
        if name == "strategy.toml":
            head, _, rest = text.partition("[score]")
            text = head + rest[rest.index("[inputs.age]") :]
        if name == "rules.toml":
            text = "[[rules]]\n".join(part for part in text.split("[[rules]]\n") if "score" not in part)
        if name != "words.toml":
            (folder / name).write_text(text)
    sentence = bank.fails(4, "decide", played[1], applicants(tmp_path / "g.csv"), "--strategy", folder)
    assert 'has [score] source = "none"; a joint score needs source = "input"' in sentence


def test_texts_in_a_cell(bank, played, strategy, tmp_path) -> None:
    """A list in a CSV cell stands with semicolons between."""
    file = applicants(tmp_path / "h.csv", 1300, 1303)
    rows = pyarrow.csv.read_csv(file).num_rows
    flags = ["disputed; written-off", "", "other"][:rows]
    file = applicants(tmp_path / "h.csv", 1300, 1303, partner_flags=flags)
    first = bank.ok("decide", played[1], file, "--strategy", strategy)["decisions"][0]
    assert {"P03-partner-write-off", "P04-partner-dispute"} <= {reason["code"] for reason in first["reasons"]}
    assert first["outcome"] == "decline"
