"""Parties for tests: keys are made once, clocks stand still."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tongzhou.parties.grants import GrantRequest, GrantTerms, Openings
from tongzhou.parties.identity import Identity

NOON = datetime(2026, 11, 5, 12, tzinfo=UTC)


@pytest.fixture(scope="session")
def now() -> datetime:
    return NOON


@pytest.fixture(scope="session")
def party(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Identity]:
    """An identity by id, the same one each time."""
    made: dict[str, Identity] = {}

    def make(party_id: str) -> Identity:
        if party_id not in made:
            folder = tmp_path_factory.mktemp(party_id)
            made[party_id] = Identity.create(folder, party_id, f"机构 {party_id}", clock=lambda: NOON)
        return made[party_id]

    return make


@pytest.fixture
def terms() -> GrantTerms:
    return GrantTerms(
        askers=["bank"],
        helpers=["helper"],
        purpose="credit-scorecard",
        legal_basis="consent of the clients, contract 2026-17",
        table="behaviour",
        columns=["repay_1", "bill_1", "paid_1"],
        modes=["aided"],
        protocols=["match", "bin", "train", "score"],
        openings=Openings(bin_counts="both", card="own", reasons=4, training_summary=True),
        minimum_rows=1000,
        minimum_bin_rows=100,
        valid_from="2026-11-01T00:00:00Z",
        valid_until="2026-12-01T00:00:00Z",
        runs=3,
    )


@pytest.fixture
def request_() -> GrantRequest:
    return GrantRequest(
        asker="bank",
        helper="helper",
        purpose="credit-scorecard",
        table="behaviour",
        columns=["repay_1", "paid_1"],
        mode="aided",
        protocols=["match", "bin", "train"],
        openings=Openings(bin_counts="provider", card="own", reasons=2),
    )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"
