"""``tongzhou log``: the institution's evidence, shown, proved and verified."""

import dataclasses
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from tongzhou.cli.command import command, noun
from tongzhou.cli.terminal import Terminal
from tongzhou.errors import DataError
from tongzhou.evidence.checker import LogReport, verify_log
from tongzhou.evidence.cosignature import witness_vkey
from tongzhou.evidence.note import make_vkey
from tongzhou.evidence.proof import verify_proof
from tongzhou.node.files import read_file, write_file
from tongzhou.node.journal import log_origin
from tongzhou.parties.card import MAX_CARD_BYTES, read_card

__all__ = ["app", "prove", "show", "verify"]

app = noun("log", "The evidence log: every step leaves an entry that can be proved.")

# A proof is a few kilobytes; one that discloses a large record stays below this.
_PROOF_BYTES_MAX = 8 << 20
_Card = Annotated[
    Path | None,
    typer.Option("--card", metavar="FILE", help="Card of the log's owner (default: this institution)."),
]


@command(app, "show")
def show(
    terminal: Terminal,
    index: Annotated[
        int | None, typer.Argument(metavar="[INDEX]", min=0, help="Show this entry whole.")
    ] = None,
    *,
    last: Annotated[int, typer.Option("--last", min=1, help="How many entries to list.")] = 20,
) -> None:
    """List the last entries, or show one with its content.

    Example: tongzhou log show --last 5
    """
    log = terminal.home.log
    if index is not None:
        entry = log.entry(index)
        plain = {"index": entry.index, "time": _time(entry.time), "kind": entry.kind, "key": entry.key}
        terminal.result({**plain, "record": entry.record})
        rows = [*plain.items(), *((f"record.{key}", value) for key, value in entry.record.items())]
        terminal.table(["field", "value"], [[key, str(value)] for key, value in rows])
        return
    entries = list(log.entries(max(0, log.size - last)))
    terminal.result(
        {
            "origin": log.origin,
            "size": log.size,
            "entries": [
                {"index": one.index, "time": _time(one.time), "kind": one.kind, "key": one.key}
                for one in entries
            ],
        }
    )
    terminal.say("log {origin}; entries: {size}", origin=log.origin, size=log.size)
    terminal.table(
        ["entry", "time", "kind", "key"], [[one.index, _time(one.time), one.kind, one.key] for one in entries]
    )


@command(app, "prove")
def prove(
    terminal: Terminal,
    index: Annotated[int, typer.Argument(metavar="INDEX", min=0, help="The entry.")],
    *,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Where to write the proof (default: print it)."),
    ] = None,
    hide: Annotated[
        bool, typer.Option("--hide", help="Prove that the entry is there, without its content.")
    ] = False,
    quorum: Annotated[int, typer.Option("--quorum", min=0, help="How many cosignatures it must carry.")] = 0,
) -> None:
    """Write a proof file that an entry is in the log; it can be verified without us.

    Example: tongzhou log prove 12 --out entry-12.tlog-proof
    """
    log = terminal.home.log
    log.entry(index)
    if quorum == 0:
        # A checkpoint of the tree as it is covers every entry; with a quorum only a cosigned one will do.
        log.checkpoint()
    text = log.prove(index, disclose=not hide, quorum=quorum)
    if out is not None:
        write_file(out, text.encode())
    terminal.result({"index": index, "file": out, "log_key": log.vkey, "proof": text})
    if out is None:
        terminal.text(text.rstrip("\n"))
    else:
        terminal.say("the proof of entry {index} is in {file}", index=index, file=out)


@command(app, "verify")
def verify(
    terminal: Terminal,
    proof: Annotated[
        Path | None, typer.Argument(metavar="[PROOF]", help="A proof file (default: a whole log).")
    ] = None,
    *,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="LOG.db", help="A copy of a log (default: the own one).")
    ] = None,
    card: _Card = None,
    witness: Annotated[
        list[Path] | None,
        typer.Option("--witness", metavar="CARD", help="Card of a witness (default: the trusted partners)."),
    ] = None,
    quorum: Annotated[
        int, typer.Option("--quorum", min=0, help="How many witnesses must have cosigned.")
    ] = 0,
) -> None:
    """Verify a whole log, or a proof file, from nothing but the owner's key; the first fault is named.

    Example: tongzhou log verify --file copy-of-log.db --card bank.card.json
    """
    key, witnesses = _log_key(terminal, card), _witness_keys(terminal, witness)
    if proof is not None:
        text = read_file(proof, _PROOF_BYTES_MAX)
        try:
            shown = verify_proof(text.decode("utf-8"), log_key=key, witness_keys=witnesses, quorum=quorum)
        except UnicodeDecodeError as error:
            raise DataError("{file} is not a proof file: it is not UTF-8 text", file=proof) from error
        terminal.result(
            {
                "ok": True,
                "origin": shown.origin,
                "index": shown.index,
                "size": shown.size,
                "kind": shown.kind,
                "time": _time(shown.time),
                "key": shown.key,
                "record": shown.record,
                "cosigned": dict(shown.cosigned),
            }
        )
        terminal.say(
            "proved: entry {index} of {origin}, kind {kind}, of {time}",
            index=shown.index,
            origin=shown.origin,
            kind=shown.kind,
            time=_time(shown.time),
        )
        return
    path = file or terminal.home.log_path
    report = verify_log(path, log_key=key, witness_keys=witnesses, quorum=quorum)
    terminal.result(
        {"ok": True, "report": {**dataclasses.asdict(report), "cosignatures": dict(report.cosignatures)}}
    )
    terminal.say(
        "{file} verifies; entries: {entries}, of them signed: {signed}, checkpoints: {checkpoints}, "
        "cosignatures: {cosignatures}",
        file=path,
        entries=report.entries,
        signed=report.signed_size,
        checkpoints=report.checkpoints,
        cosignatures=sum(report.cosignatures.values()),
    )


def _report(report: LogReport) -> dict[str, object]:
    plain = {item.name: getattr(report, item.name) for item in dataclasses.fields(report)}
    return {**plain, "cosignatures": dict(report.cosignatures)}


def _log_key(terminal: Terminal, card: Path | None) -> str:
    if card is None:
        identity = terminal.home.identity
        return make_vkey(log_origin(identity.party_id), identity.public_key_bytes)
    owner = read_card(read_file(card, MAX_CARD_BYTES))
    return make_vkey(log_origin(owner.party_id), owner.public_key_bytes)


def _witness_keys(terminal: Terminal, cards: list[Path] | None) -> dict[str, str]:
    """Keys of the witnesses by party: those named, else the partners, else (for an outsider) none."""
    if cards:
        known = [read_card(read_file(path, MAX_CARD_BYTES)) for path in cards]
    elif (terminal.folder / "party.toml").is_file():
        known = terminal.home.trust.all()
    else:
        known = []
    return {one.party_id: witness_vkey(log_origin(one.party_id), one.public_key_bytes) for one in known}


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
