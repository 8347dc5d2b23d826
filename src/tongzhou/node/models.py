"""The scorecards an institution holds: one checked JSON file for each name and version, never rewritten."""

import re
from pathlib import Path

from tongzhou.errors import ConflictError, DataError, NotFoundError, StorageError
from tongzhou.node.files import read_file, write_file
from tongzhou.node.home import Home
from tongzhou.parties.names import near_name
from tongzhou.risk.scorecard import Scorecard, from_json, to_json

__all__ = ["find_model", "list_models", "save_model"]

# A card of 50 variables takes some 100 kB.
_CARD_BYTES_MAX = 16 << 20
_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_SUFFIX = ".card.json"


def save_model(home: Home, card: Scorecard) -> Path:
    """Keep a card; keeping the same card again changes nothing.

    Returns:
        Its file.

    Raises:
        ConflictError: another card has this name and version.
        DataError: the name or version cannot be part of a file's name.
        StorageError: the disk does not take it.
    """
    for part in (card.name, card.version):
        if not _PART.fullmatch(part):
            raise DataError(
                "a card's name and version have letters, digits, '.', '_' and '-', got {got}",
                got=ascii(part[:70]),
            )
    path = home.models / f"{card.name}@{card.version}{_SUFFIX}"
    content = to_json(card).encode()
    if path.exists():
        if read_file(path, _CARD_BYTES_MAX) != content:
            raise ConflictError(
                "there is another card {card} of version {version}; give the new one another version",
                card=card.name,
                version=card.version,
            )
        return path
    write_file(path, content)
    return path


def list_models(home: Home) -> list[Scorecard]:
    """All cards by name, the oldest version of each first.

    Raises:
        StorageError: a file is damaged.
    """
    cards = [_load(path) for path in sorted(home.models.glob(f"*{_SUFFIX}")) if not path.name.startswith(".")]
    return sorted(cards, key=lambda card: (card.name, card.created, card.version))


def find_model(home: Home, name: str, version: str | None = None) -> Scorecard:
    """One card.

    Args:
        home: the institution.
        name: name of the card.
        version: its version; the newest when not given.

    Raises:
        NotFoundError: there is none; a near name is suggested.
        StorageError: its file is damaged.
    """
    cards = list_models(home)
    found = [card for card in cards if card.name == name and version in (None, card.version)]
    if found:
        return found[-1]
    versions = [card.version for card in cards if card.name == name]
    if versions:
        raise NotFoundError(
            "card {card} has no version {version}; there are {versions}",
            card=name,
            version=version,
            versions=", ".join(versions),
        )
    near = near_name(name, {card.name for card in cards})
    if near is not None:
        raise NotFoundError("there is no card {card}; did you mean {near}?", card=name, near=near)
    raise NotFoundError("there is no card {card}", card=name)


def _load(path: Path) -> Scorecard:
    try:
        return from_json(read_file(path, _CARD_BYTES_MAX))
    except DataError as error:
        raise StorageError(
            "{file} is damaged: {cause}; restore it from a backup", file=path, cause=error
        ) from error
