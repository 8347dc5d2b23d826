"""Grants: what a provider allows, to whom, for what, until when, and how a request is held against it.

A grant is a signed document; `docs/grants.md` explains each field with examples. `GrantBook` is the
provider's own book; an asker verifies the grant it was handed with `verify_grant`.
"""

from tongzhou.errors import VerificationError
from tongzhou.parties._grant_book import (
    GRANT_KIND,
    REVOCATION_KIND,
    GrantBook,
    GrantStatus,
    GrantUse,
    Revocation,
)
from tongzhou.parties._grant_drafts import DraftBook, GrantDraft
from tongzhou.parties._grant_rules import check_bin_rows, check_grant, check_rows, violations
from tongzhou.parties._grant_terms import (
    MODES,
    PROTOCOLS,
    ConsentKeeper,
    Grant,
    GrantRequest,
    GrantTerms,
    Mode,
    Openings,
    Price,
    Protocol,
    check_terms,
    read_terms,
)
from tongzhou.parties.approvals import check_approvals
from tongzhou.parties.documents import read_header, verify_document
from tongzhou.parties.trust import TrustStore

__all__ = [
    "MODES",
    "PROTOCOLS",
    "ConsentKeeper",
    "DraftBook",
    "Grant",
    "GrantBook",
    "GrantDraft",
    "GrantRequest",
    "GrantStatus",
    "GrantTerms",
    "GrantUse",
    "Mode",
    "Openings",
    "Price",
    "Protocol",
    "Revocation",
    "check_bin_rows",
    "check_grant",
    "check_rows",
    "check_terms",
    "read_terms",
    "verify_grant",
    "verify_revocation",
    "violations",
]


def verify_grant(document: str, trust: TrustStore) -> Grant:
    """The grant in a signed document, verified with the provider's trusted card.

    Args:
        document: what the provider handed over (compact JWS).
        trust: the cards that this party trusts.

    Raises:
        VerificationError: altered, of another kind, or not signed by the provider that it names.
        NotFoundError: the provider is not trusted here.
    """
    card = trust.get(read_header(document).kid)
    grant = verify_document(document, GRANT_KIND, Grant, card.public_key_bytes)
    _check_provider(grant.provider, card.party_id)
    check_approvals(grant)
    return grant


def verify_revocation(document: str, trust: TrustStore) -> Revocation:
    """The revocation in a signed document, verified with the provider's trusted card.

    Raises:
        VerificationError: altered, of another kind, or not signed by the provider that it names.
        NotFoundError: the provider is not trusted here.
    """
    card = trust.get(read_header(document).kid)
    revocation = verify_document(document, REVOCATION_KIND, Revocation, card.public_key_bytes)
    _check_provider(revocation.provider, card.party_id)
    return revocation


def _check_provider(provider: str, signer: str) -> None:
    if provider != signer:
        raise VerificationError(
            "a document of {signer} speaks for {provider}: only a provider may grant or revoke what "
            "is its own",
            signer=signer,
            provider=provider,
        )
