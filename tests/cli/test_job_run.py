"""``tongzhou job run``, ``resume``, ``cancel`` at the asker's terminal, with partners in other processes."""

import json

import cli_run
import job_town
import pytest

from tongzhou.errors import ConflictError
from tongzhou.node.job_messages import STEPS
from tongzhou.node.job_run import run_job


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    town = job_town.Town(tmp_path_factory.mktemp("town")).found().start()
    yield town
    town.stop()


@pytest.fixture
def bank(played, capsys):
    return cli_run.Cli(played.bank.folder, capsys)


@pytest.fixture
def plan_file(played, tmp_path):
    """Writes a plan, with a grant for it or without."""

    def write(changes=None, *, granted: bool = True):
        purpose = played.purpose()
        if granted:
            played.grant(purpose)
        file = tmp_path / f"{purpose}.toml"
        file.write_text(job_town.plan_text(purpose, changes), encoding="utf-8")
        return file

    return write


def test_machines_get_the_run_and_its_steps(bank, plan_file) -> None:
    result = bank.ok("job", "run", plan_file())
    assert (result["state"], result["mode"]) == ("done", "aided")
    assert [step["name"] for step in result["steps"]] == list(STEPS)
    for step in result["steps"]:
        assert set(step) == {"name", "wall_s", "cpu_s", "bytes", "rounds"}
        assert step["bytes"] > 0
    shown = bank.ok("job", "show", result["run"])
    assert (shown["state"], [step["step"] for step in shown["steps"]]) == ("done", list(STEPS))


def test_people_get_a_table_and_what_to_do_next(bank, plan_file) -> None:
    result = bank("job", "run", plan_file())
    assert result.code == 0, result.err
    assert "is done; look at it with: tongzhou job show" in result.out
    assert all(step in result.out for step in STEPS)


def test_the_same_in_chinese(bank, plan_file) -> None:
    result = bank("job", "run", plan_file(), "--lang", "zh")
    assert result.code == 0, result.err
    rows = [line.split()[0] for line in result.out.splitlines() if line.strip()]
    assert rows.count("样本对齐") == rows.count("联合训练") == 1
    assert not set(rows) & set(STEPS)
    run_id = bank.ok("job", "show")["runs"][-1]["run_id"]
    assert "联合训练" in bank("job", "show", run_id, "--lang", "zh").out


def test_a_refusal_names_the_partner_and_its_reason(bank, plan_file) -> None:
    sentence = bank.fails(5, "job", "run", plan_file(granted=False))
    assert sentence.startswith("cardnet refuses: ")
    assert "grant" in sentence
    chinese = bank("job", "run", plan_file(granted=False), "--lang", "zh").err
    assert chinese.startswith("cardnet 拒绝：授权 ")
    assert "的用途是" in chinese
    document = bank("job", "run", plan_file(granted=False), "--json")
    assert document.code == 5
    assert json.loads(document.out)["error"]["kind"] == "grant"


def test_nothing_stands_above_a_refusal(bank, plan_file) -> None:
    result = bank("job", "run", plan_file(granted=False))
    assert result.code == 5
    assert result.out == ""


def test_what_is_wrong_here_is_found_before_a_partner_is_called(bank, played, plan_file) -> None:
    runs = len(played.bank.store.runs())
    assert "has no column agee; did you mean age?" in bank.fails(
        4, "job", "run", plan_file({'"age"]': '"agee"]'})
    )
    wrong = plan_file({'table = "clients"': 'table = "client"'})
    assert "there is no table client; did you mean clients?" in bank.fails(10, "job", "run", wrong)
    unknown = plan_file({"max_bins": "maxbins"})
    assert "did you mean binning.max_bins?" in bank.fails(4, "job", "run", unknown)
    assert len(played.bank.store.runs()) == runs


def test_a_run_that_stopped_is_resumed_by_its_name(bank, played, plan_file) -> None:
    file = plan_file()
    plan = job_town.parse_plan(file.read_text(), "plan.toml")

    def stop() -> None:
        raise ConflictError("stopped by a test")

    played.fails(plan, watcher=job_town.Steps("train", stop))
    run_id = played.last_run()
    result = bank.ok("job", "resume", run_id)
    assert (result["run"], [step["name"] for step in result["steps"]]) == (
        run_id,
        ["train", "score", "publish"],
    )
    assert f"run {run_id} is done and cannot go on" in bank.fails(11, "job", "resume", run_id)
    assert f"run {run_id} is done and cannot become cancelled" in bank.fails(11, "job", "cancel", run_id)


def test_a_cancelled_run_is_over(bank, played, plan_file) -> None:
    plan = job_town.parse_plan(plan_file().read_text(), "plan.toml")

    def stop() -> None:
        raise ConflictError("stopped by a test")

    played.fails(plan, watcher=job_town.Steps("bin", stop))
    run_id = played.last_run()
    assert bank.ok("job", "cancel", run_id) == {"run": run_id, "state": "cancelled"}
    assert f"run {run_id} is cancelled and cannot go on" in bank.fails(11, "job", "resume", run_id)
    assert bank("job", "cancel", run_id).code == 0, "saying it again changes nothing"


def test_runs_that_do_not_exist(bank) -> None:
    for verb in ("resume", "cancel"):
        assert "there is no run 20200101-nobody" in bank.fails(10, "job", verb, "20200101-nobody")


def test_a_partner_resumes_nothing(played, plan_file, capsys) -> None:
    plan = job_town.parse_plan(plan_file().read_text(), "plan.toml")
    run_id = run_job(played.bank, plan)
    cardnet = cli_run.Cli(played.cardnet.folder, capsys)
    assert f"run {run_id} is led by bank; resume it there" in cardnet.fails(11, "job", "resume", run_id)


def test_mode_local_says_what_it_is(bank, played, plan_file) -> None:
    job_town.add_table(played.bank, job_town.cardnet_clients(), "behaviour", replace=True)
    changes = {'mode = "aided"': 'mode = "local"', 'helper = "helper"': "", 'protocol = "aided"': ""}
    file = plan_file(changes, granted=False)
    assert bank.ok("job", "run", file)["mode"] == "local"
    result = bank("job", "run", file)
    assert "mode local: one process held both tables, nothing was protected, no grant was asked" in result.out
