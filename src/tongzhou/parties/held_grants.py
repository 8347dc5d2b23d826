"""The signed grants that others gave to this institution: what its runs rest on, and what it is billed by."""

from pathlib import Path

from tongzhou.errors import NotFoundError
from tongzhou.parties import _files as files
from tongzhou.parties._grant_terms import Grant
from tongzhou.parties.documents import MAX_DOCUMENT_BYTES
from tongzhou.parties.grants import verify_grant
from tongzhou.parties.trust import TrustStore

__all__ = ["HeldGrants"]


class HeldGrants:
    """Grants of partners, one file each, verified whenever they are read.

    Args:
        folder: where they lie; made with the first.
        trust: the cards that this party trusts.
    """

    def __init__(self, folder: Path, trust: TrustStore) -> None:
        self._folder = Path(folder)
        self._trust = trust

    def keep(self, document: str) -> Grant:
        """Verify a grant and keep it; one that is kept already is written anew.

        Raises:
            VerificationError: it is not a good grant.
            NotFoundError: its provider is not trusted here.
            StorageError: the disk does not take it.
        """
        grant = verify_grant(document, self._trust)
        files.make_folder(self._folder)
        files.replace_file(
            self._path(grant.provider, grant.grant_id), document.encode() + b"\n", files.PRIVATE
        )
        return grant

    def get(self, provider: str, grant_id: str) -> Grant:
        """A grant of a partner.

        Raises:
            NotFoundError: it is not kept here.
            VerificationError: the file was altered.
        """
        path = self._path(provider, grant_id)
        if not path.exists():
            raise NotFoundError(
                "grant {grant} of {provider} is not kept here", grant=grant_id, provider=provider
            )
        document = files.read_bounded(path, MAX_DOCUMENT_BYTES + 1).decode("ascii", "replace").strip()
        return verify_grant(document, self._trust)

    def _path(self, provider: str, grant_id: str) -> Path:
        return self._folder / f"{provider}.{grant_id}.jws"
