"""The nouns and verbs an institution uses on its own, from making the folder to proving an entry."""

import shutil

import cli_run
import pytest

from tongzhou.node.home import Home
from tongzhou.node.models import save_model
from tongzhou.node.plan import parse_plan
from tongzhou.parties.times import utc_now
from tongzhou.risk.binning import Bins
from tongzhou.risk.scorecard import CardInput, build_scorecard, from_json

PLAN = """
[plan]
name = "p"
purpose = "credit-scorecard"
mode = "aided"
[parties]
asker = "bank"
provider = "cardnet"
helper = "helper"
[match]
identifier = "id"
minimum_rows = 10
[tables.bank]
table = "clients"
label = "bad"
columns = ["age", "limit"]
[tables.cardnet]
table = "behaviour"
columns = ["late"]
"""


@pytest.fixture
def plan_file(tmp_path):
    path = tmp_path / "plan.toml"
    path.write_text(PLAN, encoding="utf-8")
    return path


@pytest.fixture
def partners(bank, cardnet, tmp_path, capsys):
    """Bank, card network and helper that trust each other."""
    helper = cli_run.Cli(tmp_path / "helper", capsys)
    helper.ok("party", "new", "helper")
    everyone = {"bank": bank, "cardnet": cardnet, "helper": helper}
    for name, cli in everyone.items():
        cli.ok("party", "card", "--out", tmp_path / f"{name}.card.json")
    for cli in everyone.values():
        for name, other in everyone.items():
            if other is not cli:
                cli.ok("party", "trust", tmp_path / f"{name}.card.json", "--yes")
    return everyone


def behaviour(path, rows: int = 40):
    return cli_run.write_csv(
        path, id=[f"c{row:03}" for row in range(rows)], late=[row % 4 for row in range(rows)]
    )


# party


def test_a_new_party_has_a_folder_keys_and_a_log(bank) -> None:
    shown = bank.ok("party", "show")
    assert (shown["party_id"], shown["name"], shown["endpoint"]) == ("bank", "Example Bank", "127.0.0.1:7001")
    assert shown["trusted"] == []
    assert bank.ok("log", "show")["size"] == 0


def test_a_second_party_in_the_same_folder_is_refused(bank) -> None:
    assert "exists already and is not empty" in bank.fails(11, "party", "new", "bank")


@pytest.mark.parametrize("party_id", ["Bank", "a b", "a--b", "", "银行"])
def test_a_party_needs_a_plain_identifier(nobody, party_id) -> None:
    assert "small letters, digits and single hyphens" in nobody.fails(3, "party", "new", party_id)
    assert not nobody.home.exists()


def test_trust_needs_the_fingerprint(bank, cardnet, tmp_path) -> None:
    card = tmp_path / "cardnet.card.json"
    issued = cardnet.ok("party", "card", "--out", card)
    assert issued["fingerprint"] in bank.fails(3, "party", "trust", card)
    assert "has the fingerprint" in bank.fails(9, "party", "trust", card, "--fingerprint", "0000 0000")
    assert bank.ok("party", "show")["trusted"] == []
    bank.ok("party", "trust", card, "--fingerprint", issued["fingerprint"].upper())
    assert [one["party_id"] for one in bank.ok("party", "show")["trusted"]] == ["cardnet"]
    assert [entry["kind"] for entry in bank.ok("log", "show")["entries"]] == ["party-trusted"]
    assert "no party cardnett is trusted here; did you mean cardnet?" in bank.fails(
        10, "party", "trust", "--remove", "cardnett"
    )
    bank.ok("party", "trust", "--remove", "cardnet")
    assert bank.ok("party", "show")["trusted"] == []


def test_trust_of_nothing_of_rubbish_and_of_no_file(bank, tmp_path) -> None:
    assert bank.fails(3, "party", "trust") == "name the card file to trust, or --remove ID"
    assert "there is no file" in bank.fails(10, "party", "trust", tmp_path / "none.json")
    (tmp_path / "x.json").write_text("hello", encoding="utf-8")
    assert "not a party card" in bank.fails(3, "party", "trust", tmp_path / "x.json")


def test_a_printed_card_is_a_card(bank, cardnet, tmp_path) -> None:
    path = tmp_path / "bank.card.json"
    path.write_text(bank("party", "card").out, encoding="utf-8")
    assert cardnet.ok("party", "trust", path, "--yes")["trusted"] == "bank"


# data


def test_a_table_is_added_shown_and_checked(bank, clients) -> None:
    added = bank.ok("data", "add", clients, "--name", "clients", "--identifier", "id", "--label", "bad")[
        "table"
    ]
    assert (added["rows"], added["columns"]) == (40, ["id", "age", "limit", "bad"])
    assert [table["name"] for table in bank.ok("data", "show")["tables"]] == ["clients"]
    profile = bank.ok("data", "show", "clients")["profile"]
    assert [column["name"] for column in profile["columns"]] == ["id", "age", "limit", "bad"]
    assert bank.ok("data", "check", "clients") == {"findings": []}
    (entry,) = bank.ok("log", "show")["entries"]
    assert entry["kind"] == "table-added"
    assert bank.ok("log", "show", 0)["record"]["content_hash"] == added["content_hash"]


def test_a_table_is_shown_to_people(bank, clients) -> None:
    bank("data", "add", clients, "--name", "clients", "--identifier", "id")
    listed = bank("data", "show").out
    assert "clients" in listed
    assert "40" in listed
    described = bank("data", "show", "clients", "--lang", "zh").out
    assert "最常见" in described
    assert "limit" in described


def test_only_the_columns_asked_for_are_kept(bank, clients) -> None:
    table = bank.ok("data", "add", clients, "--name", "c", "--identifier", "id", "--columns", "age")["table"]
    assert table["columns"] == ["id", "age"]


def test_a_taken_name_needs_replace(bank, clients) -> None:
    words = ("data", "add", clients, "--name", "c", "--identifier", "id")
    bank.ok(*words)
    assert bank.fails(11, *words) == "there is already a table c; replace it with --replace"
    bank.ok(*words, "--replace")


def test_every_finding_is_a_row_and_nothing_is_kept(bank, tmp_path) -> None:
    path = cli_run.write_csv(
        tmp_path / "bad.csv", id=["a", "A", "b"], x=[1, 1, 1], y=["1", "2", "many"], bad=[0, 0, 0]
    )
    words = ("data", "add", path, "--name", "t", "--identifier", "id", "--label", "bad")
    result = bank(*words, "--json")
    assert result.code == 3
    assert {finding["rule"] for finding in result.json["findings"]} == {
        "identifier-duplicated",
        "column-mixed",
        "column-constant",
        "label-one-class",
    }
    assert result.json["error"]["kind"] == "data"
    shown = bank(*words)
    assert shown.code == 3
    for rule in ("identifier-duplicated", "column-mixed", "column-constant", "label-one-class"):
        assert rule in shown.out
    assert bank.ok("data", "show")["tables"] == []


def test_checking_a_file_keeps_nothing(bank, clients) -> None:
    assert bank.ok("data", "check", clients, "--identifier", "id", "--label", "bad") == {"findings": []}
    assert "name its column of identifiers with --identifier" in bank.fails(3, "data", "check", clients)
    assert "there is no table client" in bank.fails(10, "data", "check", "client")
    assert bank.ok("data", "show")["tables"] == []


def test_a_table_changed_on_the_disk_is_named(bank, clients) -> None:
    bank.ok("data", "add", clients, "--name", "c", "--identifier", "id")
    path = bank.home / "tables" / "c.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    assert "has changed since it was added; add it again" in bank.fails(8, "data", "show", "c")
    path.unlink()
    assert "is missing; add it again" in bank.fails(8, "data", "show", "c")


def test_a_name_that_leaves_the_folder_is_refused(bank, clients) -> None:
    sentence = bank.fails(4, "data", "add", clients, "--name", "../c", "--identifier", "id")
    assert "a table's name has small letters" in sentence


# grant


def grant_words(*more) -> list:
    return [
        "grant",
        "new",
        "--asker",
        "bank",
        "--helper",
        "helper",
        "--purpose",
        "credit-scorecard",
        "--legal-basis",
        "consent",
        "--table",
        "behaviour",
        "--columns",
        "late",
        *more,
    ]


def test_a_grant_lives_and_is_revoked(partners, tmp_path) -> None:
    cardnet = partners["cardnet"]
    cardnet.ok("data", "add", behaviour(tmp_path / "b.csv"), "--name", "behaviour", "--identifier", "id")
    made = cardnet.ok(*grant_words("--runs", "3", "--out", tmp_path / "grant.jws"))["grant"]
    assert (made["provider"], made["askers"], made["columns"], made["runs"]) == (
        "cardnet",
        ["bank"],
        ["late"],
        3,
    )
    assert (tmp_path / "grant.jws").read_text(encoding="utf-8").count(".") == 2
    (listed,) = cardnet.ok("grant", "list")["grants"]
    assert (listed["state"], listed["runs_used"]) == ("valid", 0)
    shown = cardnet("grant", "show", made["grant_id"]).out
    assert "openings.bin_counts" in shown
    cardnet.ok("grant", "revoke", made["grant_id"], "--out", tmp_path / "revocation.jws")
    assert cardnet.ok("grant", "show", made["grant_id"])["state"] == "revoked"
    assert [entry["kind"] for entry in cardnet.ok("log", "show")["entries"]] == [
        "party-trusted",
        "party-trusted",
        "table-added",
        "grant-made",
        "grant-revoked",
    ]
    assert "已撤销" in cardnet("grant", "list", "--lang", "zh").out


def test_a_grant_of_what_is_not_there_is_refused(partners, tmp_path) -> None:
    cardnet = partners["cardnet"]
    assert "there is no table behaviour" in cardnet.fails(10, *grant_words())
    cardnet.ok("data", "add", behaviour(tmp_path / "b.csv"), "--name", "behaviour", "--identifier", "id")
    assert "table behaviour has no column lat; did you mean late?" in cardnet.fails(
        10, *grant_words("--columns", "lat")
    )
    assert "table behaviour has no column zzz" in cardnet.fails(10, *grant_words("--columns", "zzz"))
    assert "column id identifies the clients of table behaviour" in cardnet.fails(
        3, *grant_words("--columns", "id")
    )
    assert "no party bnak is trusted here; did you mean bank?" in cardnet.fails(
        10, *grant_words("--asker", "bnak")
    )
    assert "valid_until must be later" in cardnet.fails(3, *grant_words("--until", "2001-01-01"))
    assert "provider" in cardnet.fails(2, *grant_words("--bin-counts", "all"))
    assert cardnet.ok("grant", "list")["grants"] == []
    assert "there is no grant g-1" in cardnet.fails(10, "grant", "show", "g-1")
    assert "there is no grant g-1" in cardnet.fails(10, "grant", "revoke", "g-1")


# job


def test_a_plan_that_fits_is_ready_on_every_side(partners, clients, plan_file, tmp_path) -> None:
    partners["bank"].ok("data", "add", clients, "--name", "clients", "--identifier", "id", "--label", "bad")
    partners["cardnet"].ok(
        "data", "add", behaviour(tmp_path / "b.csv"), "--name", "behaviour", "--identifier", "id"
    )
    partners["cardnet"].ok(
        *grant_words("--bin-counts", "both", "--card", "both", "--reasons", "4", "--training-summary")
    )
    found = {name: cli.ok("job", "check", plan_file) for name, cli in partners.items()}
    assert {name: one["role"] for name, one in found.items()} == {
        "bank": "asker",
        "cardnet": "provider",
        "helper": "helper",
    }
    assert len({one["digest"] for one in found.values()}) == 1
    assert found["cardnet"]["grant"]["askers"] == ["bank"]
    assert found["bank"]["requests"]["cardnet"]["columns"] == ["late"]
    text = partners["cardnet"]("job", "check", plan_file).out
    assert "allows it" in text
    assert "cardnet is ready" in text


def test_what_stands_in_the_way_is_listed(bank, cardnet, clients, plan_file, tmp_path) -> None:
    assert "there is no table clients" in bank.fails(10, "job", "check", plan_file)
    bank.ok(
        "data",
        "add",
        clients,
        "--name",
        "clients",
        "--identifier",
        "id",
        "--columns",
        "age",
        "--label",
        "bad",
    )
    result = bank("job", "check", plan_file, "--json")
    assert result.code == 4
    assert result.json["error"] == {"kind": "plan", "sentence": "table clients has no column limit"}
    assert {finding["rule"] for finding in result.json["findings"]} == {"column", "trust"}
    bank.ok("data", "add", clients, "--name", "clients", "--identifier", "id", "--label", "bad", "--replace")
    assert "no party cardnet is trusted here" in bank.fails(6, "job", "check", plan_file)
    cardnet.ok("data", "add", behaviour(tmp_path / "b.csv"), "--name", "behaviour", "--identifier", "id")
    rules = [finding["rule"] for finding in cardnet("job", "check", plan_file, "--json").json["findings"]]
    assert "grant" in rules


def test_a_plan_for_others_is_refused(nobody, plan_file) -> None:
    nobody.ok("party", "new", "stranger")
    assert nobody.fails(4, "job", "check", plan_file) == (
        "plan p: stranger has no role in it; it names bank, cardnet, helper"
    )


def test_a_plan_with_a_fault_names_the_line(bank, plan_file) -> None:
    plan_file.write_text(PLAN.replace("minimum_rows", "minimum_row"), encoding="utf-8")
    assert "plan.toml:12: unknown key match.minimum_row; did you mean match.minimum_rows?" in bank.fails(
        4, "job", "check", plan_file
    )
    assert "there is no such plan file" in bank.fails(10, "job", "check", plan_file.with_name("none.toml"))


def test_runs_are_shown(bank) -> None:
    assert bank("job", "show").out == "none yet\n"
    with Home.open(bank.home) as home:
        plan = parse_plan(PLAN, "plan.toml")
        home.store.start_run("run-1", plan, role="asker", now=utc_now())
        home.store.save_step(
            "run-1",
            "match",
            state=b"secret",
            summary={"cost": {"wall_us": 1_500_000, "bytes_sent": 2000}},
            now=utc_now(),
        )
        home.store.finish_run("run-1", "failed", reason="cardnet left during match", now=utc_now())
    shown = bank.ok("job", "show", "run-1")
    assert (shown["state"], shown["reason"]) == ("failed", "cardnet left during match")
    assert shown["plan"]["name"] == "p"
    assert [step["step"] for step in shown["steps"]] == ["match"]
    assert "secret" not in bank("job", "show", "run-1").out
    assert "2,000" in bank("job", "show", "run-1").out
    assert "cardnet 在 match 期间断开" in bank("job", "show", "run-1", "--lang", "zh").out
    machines = bank("job", "show", "run-1", "--lang", "zh", "--json").json
    assert machines["reason"] == "cardnet left during match"
    assert [run["run_id"] for run in bank.ok("job", "show")["runs"]] == ["run-1"]
    assert "there is no run run-2; did you mean run-1?" in bank.fails(10, "job", "show", "run-2")


# model


@pytest.fixture
def card():
    bins = Bins(variable="age", edges=(30.0,))
    return build_scorecard(
        "p", [CardInput(bins, [0.5, -0.5, 0.0], 1.0, "bank", {"en": "age in years", "zh": "年龄"})], -1.0
    )


def test_models_are_shown_and_exported(bank, card, tmp_path) -> None:
    with Home.open(bank.home) as home:
        save_model(home, card)
    assert [one["name"] for one in bank.ok("model", "show")["models"]] == ["p"]
    assert bank.ok("model", "show", "p")["model"]["intercept"] == -1.0
    assert "年龄" in bank("model", "show", "p", "--lang", "zh").out
    bank.ok("model", "export", "p", "--out", tmp_path / "p.json")
    assert from_json((tmp_path / "p.json").read_bytes()) == card
    bank.ok("model", "export", "p", "--out", tmp_path / "p.csv", "--format", "csv")
    lines = (tmp_path / "p.csv").read_text(encoding="utf-8-sig").splitlines()
    assert lines[0] == "variable,owner,bin,woe,coefficient,points"
    assert len(lines) == 4
    assert "there is no card q" in bank.fails(10, "model", "show", "q")
    assert "was not written" in bank.fails(8, "model", "export", "p", "--out", tmp_path / "no" / "p.json")


# log


def test_an_entry_is_proved_to_an_outsider(bank, nobody, clients, tmp_path) -> None:
    bank.ok("data", "add", clients, "--name", "c", "--identifier", "id")
    bank.ok("party", "card", "--out", tmp_path / "bank.card.json")
    proof = tmp_path / "entry.tlog-proof"
    bank.ok("log", "prove", 0, "--out", proof)
    shown = nobody.ok("log", "verify", proof, "--card", tmp_path / "bank.card.json")
    assert (shown["ok"], shown["index"], shown["kind"], shown["record"]["name"]) == (
        True,
        0,
        "table-added",
        "c",
    )
    bank.ok("log", "prove", 0, "--hide", "--out", proof)
    assert nobody.ok("log", "verify", proof, "--card", tmp_path / "bank.card.json")["record"] is None
    proof.write_text(proof.read_text(encoding="utf-8").replace("index 0", "index 1"), encoding="utf-8")
    nobody.fails(9, "log", "verify", proof, "--card", tmp_path / "bank.card.json")
    assert "has no entry 7" in bank.fails(10, "log", "prove", 7)


def test_a_whole_log_is_verified_and_tampering_is_named(bank, cardnet, clients, tmp_path) -> None:
    bank.ok("data", "add", clients, "--name", "c", "--identifier", "id")
    bank.ok("log", "prove", 0)
    report = bank.ok("log", "verify")["report"]
    assert (report["entries"], report["signed_size"]) == (1, 1)
    cardnet.ok("party", "card", "--out", tmp_path / "cardnet.card.json")
    bank.fails(9, "log", "verify", "--card", tmp_path / "cardnet.card.json")
    copy = tmp_path / "copy.db"
    shutil.copy(bank.home / "log.db", copy)
    data = bytearray(copy.read_bytes())
    data[data.index(b"content_hash") + 20] ^= 1
    copy.write_bytes(data)
    assert "entry 0" in bank.fails(9, "log", "verify", "--file", copy)
    bank.ok("log", "verify")
    bank.fails(9, "log", "verify", "--quorum", "1")


def test_a_log_that_is_not_there(bank, tmp_path) -> None:
    bank.fails(10, "log", "verify", "--file", tmp_path / "none.db")
    (tmp_path / "x.tlog-proof").write_bytes(b"\xff\xfe")
    assert "it is not UTF-8 text" in bank.fails(3, "log", "verify", tmp_path / "x.tlog-proof")
