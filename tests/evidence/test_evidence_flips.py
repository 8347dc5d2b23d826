"""Every byte of a small log is flipped in turn: each flip is found, and named when it is in an entry."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tongzhou.evidence import Draft, EvidenceCheckError, Log, Witness, gather_cosignature, sqlite_store
from tongzhou.evidence._pages import Image
from tongzhou.evidence._records import ROOTS
from tongzhou.evidence.checker import verify_image


class Sample:
    """A small log: five entries, one of them long, and two cosigned checkpoints."""

    def __init__(self, folder: Path, signer) -> None:
        self.bank, self.partner = signer("bank", 1), signer("w", 2)
        self.witness_keys = {"w": self.partner.witness_vkey}
        path = folder / "log.db"
        log = Log.create(path, "bank", self.bank, clock=lambda: 1_700_000_000)
        witness = Witness(
            folder / "w.db", self.partner, {"bank": self.bank.vkey}, clock=lambda: 1_700_000_000
        )
        log.append_many([Draft({"n": i}, "grant", f"g-{i}", bytes([i]) * 32) for i in range(2)])
        self._sign(log, witness)
        log.append({"text": "授权" * 500}, kind="job/receipt", key="run-1", salt=bytes(range(32)))
        log.append_many([Draft({"n": i}, "decision", f"d-{i}", bytes([i]) * 32) for i in range(2)])
        self._sign(log, witness)
        log.close()
        witness.close()
        self.raw = path.read_bytes()
        self.entry_of = self._map()

    def _sign(self, log: Log, witness: Witness) -> None:
        log.checkpoint()
        gather_cosignature(log, witness.add_checkpoint, witness_key=self.partner.witness_vkey)

    def _map(self) -> dict[int, int]:
        """From each byte of a stored entry to the entry's index."""
        image = Image(self.raw)
        image.check_header()
        found = {}
        for table in ("entries", "bodies"):
            for cell in image.rows(ROOTS[table]):
                first, length = cell.pieces[0]
                # Before the record stand its length (one byte, or two above 127) and the row id (one byte).
                head = 3 if len(cell.payload) > 127 else 2
                for start, size in ((first - head, length + head), *cell.pieces[1:]):
                    found |= dict.fromkeys(range(start, start + size), cell.rowid)
        return found

    def verify(self, raw: bytes) -> None:
        verify_image(raw, log_key=self.bank.vkey, witness_keys=self.witness_keys, quorum=1)

    def flip(self, offset: int, mask: int) -> str:
        """Return what is said of a flipped byte; fail if nothing is."""
        raw = bytearray(self.raw)
        raw[offset] ^= mask
        with pytest.raises(EvidenceCheckError) as caught:
            self.verify(bytes(raw))
        if offset in self.entry_of:
            assert caught.value.index == self.entry_of[offset], (offset, mask, str(caught.value))
        return str(caught.value)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory, signer) -> Sample:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite_store, "PAGE_BYTES", 2048)  # half the usual size: fewer empty bytes to flip
        return Sample(tmp_path_factory.mktemp("flips"), signer)


def test_the_sample_is_good_and_covers_what_matters(sample: Sample) -> None:
    sample.verify(sample.raw)
    assert set(sample.entry_of.values()) == {0, 1, 2, 3, 4}
    assert len(sample.entry_of) > 3900  # the long record reaches into overflow pages


def test_every_flipped_byte_that_holds_something_is_found(sample: Sample) -> None:
    """One bit per byte, another one from byte to byte; and samples of the bytes that hold nothing."""
    for offset, byte in enumerate(sample.raw):
        if byte or offset % 16 == 0:
            assert sample.flip(offset, 1 << (offset % 8))


@pytest.mark.slow
def test_every_flipped_byte_of_the_whole_file_is_found(sample: Sample) -> None:
    for offset in range(len(sample.raw)):
        assert sample.flip(offset, 1 << ((offset + 3) % 8))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_change_of_a_byte_that_holds_something_is_found(sample: Sample, draw: st.DataObject) -> None:
    busy = [offset for offset, byte in enumerate(sample.raw) if byte]
    assert sample.flip(draw.draw(st.sampled_from(busy)), draw.draw(st.integers(1, 255)))


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_overwritten_stretch_is_found(sample: Sample, draw: st.DataObject) -> None:
    start = draw.draw(st.integers(0, len(sample.raw) - 1))
    patch = draw.draw(st.binary(min_size=1, max_size=200))
    raw = sample.raw[:start] + patch + sample.raw[start + len(patch) :]
    if raw[: len(sample.raw)] != sample.raw:
        with pytest.raises(EvidenceCheckError):
            sample.verify(raw)


def test_a_page_from_an_older_state_is_found(tmp_path_factory: pytest.TempPathFactory, signer) -> None:
    """A torn write: some pages are of the state before the last step, others of the state after it."""
    folder = tmp_path_factory.mktemp("torn")
    bank = signer("bank", 1)
    log = Log.create(folder / "log.db", "bank", bank)
    log.append_many([Draft({"n": i}, "a", str(i)) for i in range(10)])
    log.checkpoint()
    log.close()
    old = (folder / "log.db").read_bytes()
    log = Log.open(folder / "log.db", bank)
    log.append_many([Draft({"n": i}, "a", str(i)) for i in range(10, 20)])
    log.checkpoint()
    log.close()
    new = (folder / "log.db").read_bytes()
    verify_image(new, log_key=bank.vkey)
    pages = range(4096, min(len(old), len(new)), 4096)
    changed = [page for page in pages if old[page : page + 4096] != new[page : page + 4096]]
    assert len(changed) == 4  # entries, their index, bodies, checkpoints
    for page in changed[:3]:
        with pytest.raises(EvidenceCheckError):
            verify_image(new[:page] + old[page : page + 4096] + new[page + 4096 :], log_key=bank.vkey)
    # The last page lacks a checkpoint only. A log that lost one looks like a log that never made it; whoever
    # holds the checkpoint proves otherwise.
    lost = new[: changed[3]] + old[changed[3] : changed[3] + 4096] + new[changed[3] + 4096 :]
    assert verify_image(lost, log_key=bank.vkey).signed_size == 10
