"""The parties that this institution trusts: one verified card each, as files in a folder."""

import re
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from tongzhou.errors import (
    ConflictError,
    DataError,
    NotFoundError,
    PeerError,
    StorageError,
    VerificationError,
)
from tongzhou.parties import _files as files
from tongzhou.parties.card import MAX_CARD_BYTES, PartyCard, fingerprint, read_card
from tongzhou.parties.names import check_party_id, is_party_id, near_name, shown

__all__ = ["TrustStore"]

_SUFFIX = ".card.json"


class TrustStore:
    """Cards of trusted parties, ``<party id>.card.json`` each, verified anew whenever one is read.

    The folder need not exist before the first card. Another process may add and remove cards meanwhile.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    def add(
        self, card_bytes: bytes, expected_fingerprint: str | None = None, *, replace: bool = False
    ) -> PartyCard:
        """Trust the party of a card from now on.

        A newer card of a known party (a new address, say) takes the place of the old one. A card with
        another key does so only when `replace` is given, since that is what an impostor would send.

        Args:
            card_bytes: content of the card file.
            expected_fingerprint: what the party read over the telephone; case and spaces do not matter.
            replace: accept another key, or an older card, for a party already known.

        Raises:
            DataError: not a card.
            VerificationError: the card does not verify, or has another fingerprint.
            ConflictError: the party is known with another key or a newer card, and `replace` is not given.
            StorageError: the folder cannot be written.
        """
        card = read_card(card_bytes)
        if expected_fingerprint is not None:
            _compare(card, expected_fingerprint)
        if not replace:
            known = self._find(card.party_id)
            if known is not None:
                _check_successor(known, card)
        files.make_folder(self.folder)
        files.replace_file(self._path(card.party_id), card_bytes, files.PUBLIC)
        return card

    def get(self, party_id: str) -> PartyCard:
        """The card of a trusted party.

        Raises:
            NotFoundError: no such party is trusted; a near name is suggested.
            StorageError: its file is damaged.
        """
        card = self._find(party_id)
        if card is None:
            raise self._missing(party_id)
        return card

    def all(self) -> list[PartyCard]:
        """All trusted cards, by party id.

        Raises:
            StorageError: a file in the folder is damaged.
        """
        found = [self._find(party_id) for party_id in self._ids()]
        return [card for card in found if card is not None]

    def remove(self, party_id: str) -> None:
        """Stop trusting a party.

        Raises:
            NotFoundError: it was not trusted.
        """
        try:
            self._path(party_id).unlink()
        except FileNotFoundError as error:
            raise self._missing(party_id) from error

    def identify(self, certificate_der: bytes) -> PartyCard:
        """The trusted party that a TLS certificate belongs to.

        Checks that the certificate names one trusted party and that this party's key signed it. TLS has
        checked its dates, its use, and that the peer holds its key.

        Args:
            certificate_der: the peer's certificate, as TLS hands it over.

        Raises:
            PeerError: it belongs to no trusted party.
        """
        try:
            leaf = x509.load_der_x509_certificate(certificate_der)
            alternative = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
            names = alternative.value.get_values_for_type(x509.DNSName)
        except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension) as error:
            raise PeerError("the peer's certificate names no party") from error
        card = self._find(names[0]) if len(names) == 1 and names[0] in self._ids() else None
        if card is None:
            raise PeerError(
                "the peer calls itself {party}, which is not trusted here: compare and add its card first",
                party=shown(", ".join(names)),
            )
        try:
            leaf.verify_directly_issued_by(
                x509.load_pem_x509_certificate(card.ca_certificate.encode("ascii"))
            )
        except (InvalidSignature, ValueError, TypeError) as error:
            raise PeerError(
                "the peer calls itself {party}, but its certificate is not signed by the key on that "
                "party's card",
                party=card.party_id,
            ) from error
        return card

    def _path(self, party_id: str) -> Path:
        # The id becomes part of a file name, so its form is checked before anything else.
        return self.folder / f"{check_party_id(party_id)}{_SUFFIX}"

    def _ids(self) -> list[str]:
        if not self.folder.is_dir():
            return []
        found = (path.name for path in self.folder.iterdir() if path.name.endswith(_SUFFIX))
        # Temporary files and what people copied here by hand name no party.
        return sorted(filter(is_party_id, (name.removesuffix(_SUFFIX) for name in found)))

    def _find(self, party_id: str) -> PartyCard | None:
        path = self._path(party_id)
        try:
            return _read(path)
        except StorageError:
            # Another process may have removed it a moment ago: that is no damage.
            if path.exists():
                raise
            return None

    def _missing(self, party_id: str) -> NotFoundError:
        near = near_name(party_id, self._ids())
        if near is not None:
            return NotFoundError(
                "no party {party} is trusted here; did you mean {near}?", party=party_id, near=near
            )
        return NotFoundError("no party {party} is trusted here; add its card first", party=party_id)


def _read(path: Path) -> PartyCard:
    content = files.read_bounded(path, MAX_CARD_BYTES)
    try:
        card = read_card(content)
    except (DataError, VerificationError) as error:
        raise StorageError("{file} is damaged: {cause}", file=path, cause=error) from error
    if card.party_id != path.name.removesuffix(_SUFFIX):
        raise StorageError("{file} holds the card of another party, {party}", file=path, party=card.party_id)
    return card


def _compare(card: PartyCard, expected: str) -> None:
    got = fingerprint(card)
    if re.sub(r"[\s:-]", "", expected).lower() != got.replace(" ", ""):
        raise VerificationError(
            "the card of {party} has the fingerprint {got}, not the one expected: it is another key, "
            "or a digit was misread",
            party=card.party_id,
            got=got,
        )


def _check_successor(known: PartyCard, card: PartyCard) -> None:
    if card.public_key != known.public_key:
        raise ConflictError(
            "{party} is trusted with another key (fingerprint {known}); the new card's is {got}. Compare it "
            "with the party, then add the card again with replace",
            party=card.party_id,
            known=fingerprint(known),
            got=fingerprint(card),
        )
    # Times are texts of one form in UTC, so they sort as they passed.
    if card.issued_at < known.issued_at:
        raise ConflictError(
            "the card of {party} is of {got}, older than the trusted one of {known}; "
            "add it again with replace if it is meant",
            party=card.party_id,
            got=card.issued_at,
            known=known.issued_at,
        )
