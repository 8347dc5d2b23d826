"""One byte string for each value, so that a signature or a hash of it means something.

JSON in UTF-8 with sorted keys and no spaces, as `msgspec` writes it. Field names are ASCII, so their order
is that of RFC 8785; floats are the shortest digits that read back the same, as there, but written the way
msgspec writes them. Base64url is without padding and refused in any other spelling (RFC 7515, section 2).
"""

import base64
import binascii

import msgspec

__all__ = ["base64url", "canonical_json", "from_base64url"]

_ENCODER = msgspec.json.Encoder(order="sorted")


def canonical_json(value: object) -> bytes:
    """The canonical bytes of a struct or of plain JSON values."""
    return _ENCODER.encode(value)


def base64url(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def from_base64url(text: str) -> bytes:
    """The bytes behind base64url text.

    Raises:
        ValueError: not base64url, padded, or with spare bits set: only one spelling is accepted.
    """
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("not base64url") from error
    if base64url(data) != text:
        raise ValueError("not the canonical spelling")
    return data
