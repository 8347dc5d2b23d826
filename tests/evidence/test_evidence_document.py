"""What `docs/protocols/evidence-log.md` and the stored golden log say is what the code does."""

import re
from pathlib import Path

from tongzhou.evidence import Log, verify_log, verify_proof
from tongzhou.evidence.leaf import Leaf, build_body, commit
from tongzhou.evidence.merkle import leaf_hash

DOCUMENT = Path(__file__).parents[2] / "docs" / "protocols" / "evidence-log.md"

# A log with a fixed key (32 bytes of 1), clock and salts. If one of these texts changes, logs that were
# written before can no longer be checked: make a new leaf version instead. The root was recomputed with
# `hashlib` alone, from the text of the document.
VKEY = "bank.example/log+ce151909+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c"
CHECKPOINT = """bank.example/log
2
ce8fFOinSvymXBekmTSzKieET0clCwMp6LlRRX1IgPE=

— bank.example/log \
zhUZCU5gor8/OphIUrPwb1hwMFkgXrfJL87adIkYc/EWEl04qsddYhY3xD7JAxPyDJG6otrogJC4LDZWC+b3RYR7dwU=
"""
EXTRA = (
    "extra eyJrZXkiOiJydW4tMiIsImxlYWYiOiJ0b25nemhvdS5sZWFmL3YxXG5qb2IvcmVjZWlwdFxuMjAyMy0xMS0x"
    "NFQyMjoxMzoyMFpcbmc1bDRmTFhiSkJBUzNWMHQyYjZkV3ZPRk1BRkw1YjdlZjZIczZXcnFsMWM9XG4iLCJyZWNvcm"
    "QiOnsicm93cyI6MjcwMDB9LCJzYWx0IjoiQUFFQ0F3UUZCZ2NJQ1FvTERBME9EeEFSRWhNVUZSWVhHQmthR3h3ZEho"
    "OD0ifQ=="
)
PROOF = f"""c2sp.org/tlog-proof@v1
{EXTRA}
index 1
Fe9aCcG8XOHGPwhA0vkRU1ho6O61OhkizxTm6c23ltU=

{CHECKPOINT}"""


def test_the_vector_in_the_document() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    block = text[text.index("\nbody        {") :].partition("```")[0]
    commitment = re.search(r"commitment  (\w{64})", block)[1]
    leaf_lines = re.search(r"leaf        (.*?)leaf hash", block, re.DOTALL)[1]
    leaf = "".join(f"{line.strip()}\n" for line in leaf_lines.strip().splitlines())
    body = re.search(r"body        (.*)", block)[1]
    assert body == build_body("run-1", {"rows": 27000})
    assert commitment == commit(bytes(32), body).hex()
    assert leaf == Leaf("job/receipt", 1_700_000_000, bytes.fromhex(commitment)).text
    assert re.search(r"leaf hash   (\w{64})", block)[1] == leaf_hash(leaf.encode()).hex()


def test_every_status_of_the_witness_is_in_the_document() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for status in (200, 400, 403, 404, 409, 422):
        assert f"| {status} |" in text


def test_the_golden_log(world) -> None:
    log = world.new_log()
    log.append({"rows": 27000}, kind="job/receipt", key="run-1", salt=bytes(32))
    log.append({"rows": 27000}, kind="job/receipt", key="run-2", salt=bytes(range(32)))
    assert log.checkpoint() == CHECKPOINT
    proof = log.prove(1)
    assert proof == PROOF
    log.close()
    verify_log(world.path, log_key=VKEY, held=[CHECKPOINT])
    assert verify_proof(PROOF, log_key=VKEY).record == {"rows": 27000}
    assert isinstance(log, Log)
