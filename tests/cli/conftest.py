"""Institutions that commands act for."""

import cli_run
import pytest


@pytest.fixture(autouse=True)
def english(monkeypatch):
    """Sentences in English unless a test asks otherwise, whatever the machine's locale."""
    for variable in ("TONGZHOU_HOME", "TONGZHOU_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def nobody(tmp_path, capsys) -> cli_run.Cli:
    """A command line whose folder holds no institution."""
    return cli_run.Cli(tmp_path / "nowhere", capsys)


@pytest.fixture
def bank(tmp_path, capsys) -> cli_run.Cli:
    """A command line for a fresh bank."""
    cli = cli_run.Cli(tmp_path / "bank", capsys)
    cli.ok("party", "new", "bank", "--name", "Example Bank", "--endpoint", "127.0.0.1:7001")
    return cli


@pytest.fixture
def cardnet(tmp_path, capsys) -> cli_run.Cli:
    """A command line for a fresh card network."""
    cli = cli_run.Cli(tmp_path / "cardnet", capsys)
    cli.ok("party", "new", "cardnet", "--endpoint", "127.0.0.1:7002")
    return cli


@pytest.fixture
def clients(tmp_path):
    """A clean CSV file of 40 clients."""
    return cli_run.clients(tmp_path / "clients.csv")
