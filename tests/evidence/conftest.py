"""Signers, clocks and small logs for the tests of the evidence room."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tongzhou.evidence import Log, Witness, make_vkey, witness_vkey

START = 1_700_000_000


class KeySigner:
    """A signer over a key made from a number, so that logs come out the same in each run."""

    def __init__(self, name: str, number: int = 1) -> None:
        self.name = name
        self._key = Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)

    @property
    def public_key_bytes(self) -> bytes:
        return self._key.public_key().public_bytes_raw()

    def sign(self, data: bytes) -> bytes:
        return self._key.sign(data)

    @property
    def vkey(self) -> str:
        return make_vkey(self.name, self.public_key_bytes)

    @property
    def witness_vkey(self) -> str:
        return witness_vkey(self.name, self.public_key_bytes)


@dataclass
class Clock:
    """A clock that tests set."""

    now: float = START

    def __call__(self) -> float:
        return self.now


@dataclass
class World:
    """A folder with a bank's log and what its partner uses to witness it."""

    folder: Path
    clock: Clock = field(default_factory=Clock)
    bank: KeySigner = field(default_factory=lambda: KeySigner("bank.example/log", 1))
    partner: KeySigner = field(default_factory=lambda: KeySigner("cardnet.example/witness", 2))
    opened: list[Log | Witness] = field(default_factory=list)

    @property
    def path(self) -> Path:
        return self.folder / "log.db"

    def new_log(self) -> Log:
        log = Log.create(self.path, self.bank.name, self.bank, clock=self.clock)
        self.opened.append(log)
        return log

    def open_log(self, *, signer: KeySigner | None = None) -> Log:
        log = Log.open(self.path, signer or self.bank, clock=self.clock)
        self.opened.append(log)
        return log

    def witness(self, name: str = "witness.db") -> Witness:
        witness = Witness(
            self.folder / name, self.partner, {self.bank.name: self.bank.vkey}, clock=self.clock
        )
        self.opened.append(witness)
        return witness

    @property
    def witness_keys(self) -> dict[str, str]:
        return {"cardnet": self.partner.witness_vkey}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    for one in made.opened:
        one.close()


@pytest.fixture(scope="session")
def signer() -> Callable[[str, int], KeySigner]:
    return KeySigner
