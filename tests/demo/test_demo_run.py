"""What a newcomer sees: the demonstration keeps each promise of its report and of its figures."""

import json
import re
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest
from demo_shown import Shown, free_port, tongzhou

from tongzhou.data.example import bank_table, card_network_table
from tongzhou.demo import institution
from tongzhou.demo.institutions import Institutions
from tongzhou.demo.scenario import PLAN_FILE, PROVIDER_COLUMNS, write_plan
from tongzhou.errors import ConflictError
from tongzhou.evidence.checker import verify_log
from tongzhou.evidence.errors import EvidenceError
from tongzhou.node.home import Home
from tongzhou.node.job_messages import STEPS
from tongzhou.node.job_witness import log_vkey, witness_vkey
from tongzhou.node.plan import load_plan, plan_digest
from tongzhou.parties.documents import verify_document
from tongzhou.report.figures import from_json

pytestmark = pytest.mark.slow


def open_home(shown: Shown, party: str) -> Home:
    return Home.open(shown.folder / party)


def test_joint_card_is_as_good_as_in_the_clear(shown: Shown) -> None:
    auc = shown.figures["auc"]
    assert abs(auc["joint"] - auc["clear"]) <= 0.001
    assert auc["joint"] > auc["bank"] + 0.1
    assert shown.figures["score_max_abs_diff"] <= 1
    assert shown.figures["woe_max_abs_diff"] <= 1e-6
    assert shown.figures["iv_max_abs_diff"] <= 1e-6


def test_matching_finds_exactly_the_common_clients(shown: Shown) -> None:
    bank = set(bank_table()["client_id"].to_pylist())
    partner = set(card_network_table()["client_id"].to_pylist())
    assert shown.figures["matched_rows"] == len(bank & partner)
    assert bank - partner
    assert partner - bank


def test_figures_for_machines_are_complete(shown: Shown) -> None:
    figures = shown.figures
    assert [step["name"] for step in figures["steps"]] == list(STEPS)
    for step in figures["steps"]:
        assert {"name", "wall_s", "cpu_s", "bytes", "rounds"} == set(step)
        assert step["bytes"] > 0
    assert figures["cpu_s"]["train_protected"] > 0
    assert figures["cpu_s"]["train_clear"] > 0
    assert 0 < figures["decisions"]["p50_us"] <= figures["decisions"]["p99_us"]
    assert figures["verify"] == {"ok": True, "tamper_found": True}


def test_refusal_without_a_grant_is_shown_and_in_the_log(shown: Shown) -> None:
    assert "cardnet has no grant for bank" in shown.printed
    with open_home(shown, "cardnet") as home:
        kinds = [entry.kind for entry in home.log.entries()]
    assert kinds.index("job-refused") < kinds.index("job-started")


def test_institutions_were_processes_of_their_own(shown: Shown) -> None:
    rows = re.findall(r"^(bank|cardnet|helper)\s.*?\s(\d+)\s+127\.0\.0\.1:(\d+)", shown.printed, re.M)
    assert [row[0] for row in rows] == ["bank", "cardnet", "helper"]
    assert len({row[1] for row in rows}) == 3
    assert len({row[2] for row in rows}) == 3
    keys = set()
    for party, _, _ in rows:
        with open_home(shown, party) as home:
            keys.add(home.identity.public_key_bytes)
            assert home.log_path.exists()
    assert len(keys) == 3


def test_every_step_is_a_receipt_that_all_signed_in_all_logs(shown: Shown) -> None:
    from tongzhou.node.job_messages import Receipt

    homes = {party: open_home(shown, party) for party in ("bank", "cardnet", "helper")}
    digest = plan_digest(load_plan(shown.folder / PLAN_FILE))
    bodies = {}
    for party, home in homes.items():
        entries = [entry for entry in home.log.entries() if entry.kind == "job-step"]
        assert [entry.record["receipt"]["step"] for entry in entries] == list(STEPS)
        bodies[party] = [entry.record["receipt"] for entry in entries]
        for entry in entries:
            receipt = msgspec.convert(entry.record["receipt"], Receipt)
            assert receipt.plan_digest == digest
            assert set(entry.record["signatures"]) == set(homes)
            for signer, token in entry.record["signatures"].items():
                key = homes[signer].identity.public_key_bytes
                assert verify_document(token, "receipt", Receipt, key, signer=signer) == receipt
    assert bodies["bank"] == bodies["cardnet"] == bodies["helper"]
    for home in homes.values():
        home.close()


def test_each_log_is_cosigned_by_the_other_and_verifies(shown: Shown) -> None:
    for party, other in (("bank", "cardnet"), ("cardnet", "bank")):
        with open_home(shown, party) as home, open_home(shown, other) as witness:
            report = verify_log(
                home.log_path,
                log_key=log_vkey(party, home.identity.public_key_bytes),
                witness_keys={other: witness_vkey(other, witness.identity.public_key_bytes)},
                quorum=1,
            )
        assert report.cosignatures[other] >= 1
        assert report.witnessed_size > len(STEPS)


def test_tampered_copy_names_the_entry_and_the_original_is_untouched(shown: Shown) -> None:
    page = from_json((shown.folder / "figures.json").read_bytes())
    assert page.verification.tamper is not None
    assert page.verification.tamper.found
    assert f"entry {page.verification.tamper.entry} " in shown.printed
    assert page.verification.tamper.sentence.zh.startswith(f"第 {page.verification.tamper.entry} 条记录")
    assert page.grant.refusal is not None
    assert page.grant.refusal.zh.endswith("cardnet 没有给 bank 的授权；请其签发")
    with open_home(shown, "bank") as home:
        key = log_vkey("bank", home.identity.public_key_bytes)
    with pytest.raises(EvidenceError, match=f"entry {page.verification.tamper.entry} "):
        verify_log(shown.folder / page.verification.tamper.file, log_key=key)
    verify_log(shown.folder / "bank" / "log.db", log_key=key)


def test_a_thousand_applicants_are_decided_with_reasons(shown: Shown) -> None:
    lines = (shown.folder / "decisions.jsonl").read_text().splitlines()
    decisions = [json.loads(line) for line in lines]
    assert len(decisions) == 1000
    outcomes = {decision["outcome"] for decision in decisions}
    assert outcomes == {"approve", "review", "decline"}
    for decision in decisions:
        if decision["outcome"] != "approve":
            assert decision["reasons"], "who is not simply approved is told why"


def test_reasons_of_the_score_say_what_they_cost_whoever_holds_the_variable(shown: Shown) -> None:
    page = from_json((shown.folder / "figures.json").read_bytes())
    owners = set()
    for example in page.decisions.examples:
        for reason in example.reasons:
            assert (reason.points_lost is not None) == bool(reason.owner)
            owners.add(reason.owner)
    assert {"bank", "cardnet"} <= owners


def test_report_is_one_file_in_two_languages(shown: Shown) -> None:
    page = (shown.folder / "report.html").read_text()
    assert not re.search(r'(?:src|href)="(?:https?:)?//', page)
    assert "A joint scorecard for card clients" in page
    assert "信用卡客户联合评分卡" in page
    assert page.count("<svg") >= 8
    assert str(shown.folder / "report.html") in shown.printed


def test_both_owners_hold_the_same_card(shown: Shown) -> None:
    texts = []
    for party in ("bank", "cardnet"):
        (file,) = (shown.folder / party / "models").glob("*.json")
        texts.append(file.read_bytes())
    assert texts[0] == texts[1]


def test_no_institution_keeps_what_the_other_owns(shown: Shown) -> None:
    """The bank keeps no table of the partner's, and no log holds an identifier."""
    identifiers = bank_table()["client_id"].to_pylist()[:2000]
    for party in ("bank", "cardnet", "helper"):
        log = (shown.folder / party / "log.db").read_bytes()
        assert not any(one.encode() in log for one in identifiers)
    helper = sqlite3.connect(shown.folder / "helper" / "state.db")
    states = [len(row[0]) for row in helper.execute("SELECT state FROM steps")]
    helper.close()
    assert len(states) == len(STEPS)
    assert max(states) < 500, "the helper keeps numbers of rows and columns only"
    tables = {path.name for path in (shown.folder / "bank" / "tables").iterdir()}
    assert tables == {"clients.parquet"}


def test_nothing_runs_on_after_the_demonstration(shown: Shown) -> None:
    for party in ("bank", "cardnet", "helper"):
        with open_home(shown, party) as home:
            port = int(home.settings.endpoint.rpartition(":")[2])
        listening = f"0100007F:{port:04X}"
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        assert not any(row[1] == listening and row[3] == "0A" for row in rows)


def test_second_demonstration_replaces_the_first(shown: Shown, tmp_path: Path) -> None:
    copy = tmp_path / "demo"
    shutil.copytree(shown.folder, copy)
    with Institutions(copy):
        assert [path.name for path in copy.iterdir()] == [".tongzhou-demo"]


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    done = tongzhou("demo", "--folder", str(tmp_path))
    assert done.returncode == ConflictError.exit_code
    assert "exists already and is not a demonstration's; name another with --folder" in done.stderr
    assert (tmp_path / "thesis.txt").read_text() == "precious"


def test_two_demonstrations_in_one_folder_at_once_are_refused(tmp_path: Path) -> None:
    with Institutions(tmp_path / "demo"):
        done = tongzhou("demo", "--folder", str(tmp_path / "demo"), lang="zh")
    assert done.returncode == ConflictError.exit_code
    assert "正在运行演示" in done.stderr


def test_killed_demonstration_takes_its_processes_with_it(tmp_path: Path) -> None:
    Home.create(tmp_path / "bank", "bank", "Bank", f"127.0.0.1:{free_port()}").close()
    script = (
        "import subprocess, sys, time\n"
        f"command = [sys.executable, '-m', {institution.__name__!r}, {str(tmp_path / 'bank')!r}]\n"
        "child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        "print(child.stdout.readline().decode().strip(), child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    _, process_id = parent.stdout.readline().split()
    assert Path(f"/proc/{process_id}").exists()
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 10
    while _alive(process_id) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _alive(process_id)


def _alive(process_id: str) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{process_id}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_plan_of_the_demonstration_is_checked_like_any_other(tmp_path: Path) -> None:
    plan = load_plan(write_plan(tmp_path))
    assert plan.tables["cardnet"].columns == tuple(PROVIDER_COLUMNS)
    assert len(PROVIDER_COLUMNS) == 18


def test_reference_fits_what_it_is_given(tmp_path: Path) -> None:
    from tongzhou.demo import reference

    generator = np.random.default_rng(5)
    values = generator.normal(size=(4000, 3))
    label = (generator.random(4000) < 1 / (1 + np.exp(-(values @ [1.0, -0.5, 0.0] - 1)))).astype(float)
    source, target = tmp_path / "in.npz", tmp_path / "out.json"
    np.savez(source, values=values, label=label, passes=np.ones((1, 3), dtype=bool), tolerance=1e-6)
    done = subprocess.run(
        [sys.executable, "-m", reference.__name__, str(source), str(target)], check=False, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    fitted = json.loads(target.read_text())
    assert np.allclose(fitted["coefficients"], [1.0, -0.5, 0.0], atol=0.12)
    assert 0 < fitted["cpu_s_one_thread"] < 5


def test_table_shows_three_models_with_intervals(shown: Shown) -> None:
    figure = r"(0\.\d{4}) \((0\.\d{4})–(0\.\d{4})\)"
    for model in ("bank alone", "joint, protected", "joint, in the clear"):
        for clients in ("training", "held out"):
            row = re.search(rf"^{model}\s+{clients}\s+{figure}\s+{figure}\s+{figure}", shown.printed, re.M)
            assert row is not None, (model, clients)
            numbers = [float(number) for number in row.groups()]
            for value, low, high in zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True):
                assert low < value < high
            assert abs(numbers[6] - (2 * numbers[0] - 1)) < 2e-4, "Gini is 2 AUC - 1"


def test_what_the_partner_is_worth_is_told_in_money(shown: Shown) -> None:
    page = from_json((shown.folder / "figures.json").read_bytes())
    assert page.gain.auc.low > 0.1
    swap = page.swap
    assert swap.swapped_in.clients == swap.swapped_out.clients > 0
    assert swap.swapped_in.bad_rate < swap.swapped_out.bad_rate
    assert swap.bad_exposure_avoided == swap.swapped_out.bad_exposure - swap.swapped_in.bad_exposure > 0
    assert f"{swap.bad_exposure_avoided:,.0f} NT$" in shown.printed
    for level in page.approvals:
        assert level.bad_rate_joint <= level.bad_rate_bank


def test_report_shows_every_variable_every_step_and_every_statement(shown: Shown) -> None:
    page = from_json((shown.folder / "figures.json").read_bytes())
    assert {variable.name for variable in page.variables} == {
        *PROVIDER_COLUMNS,
        "limit",
        "sex",
        "education",
        "marriage",
        "age",
    }
    assert [cost.name for cost in page.steps] == list(STEPS)
    assert {leak.step for leak in page.leakage} == {*STEPS, "witness"}
    assert all(line.standard_error and line.p_value is not None for line in page.card.lines)
    assert {signature.party for signature in page.receipt.signatures} == {"bank", "cardnet", "helper"}


def test_commands_to_try_next_work_as_printed(shown: Shown) -> None:
    page = from_json((shown.folder / "figures.json").read_bytes())
    assert len(page.verification.commands) == 3
    for step in page.verification.commands[:2]:
        assert f"  {step.command}\n" in shown.printed
        done = subprocess.run(shlex.split(step.command), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout
