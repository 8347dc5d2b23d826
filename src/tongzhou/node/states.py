"""How a step's private state is kept: msgpack of typed structs, arrays as type, shape and bytes."""

from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import StorageError

__all__ = ["Array", "decode_state", "encode_state"]

S = TypeVar("S", bound=msgspec.Struct)

Array = np.ndarray
_DTYPES = frozenset({"<f8", "<i8", "<u8", "<i4", "<i2", "|i1", "|u1", "|b1"})


def encode_state(state: msgspec.Struct) -> bytes:
    """Bytes of a state."""
    return msgspec.msgpack.encode(state, enc_hook=_encode_array)


def decode_state(data: bytes, kind: type[S]) -> S:
    """A state read back.

    Raises:
        StorageError: the bytes are not such a state.
    """
    try:
        return msgspec.msgpack.decode(data, type=kind, dec_hook=_decode_array)
    except (msgspec.DecodeError, ValueError) as error:
        raise StorageError("a saved state of a run cannot be read: {cause}", cause=str(error)) from error


def _encode_array(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [value.dtype.str, list(value.shape), np.ascontiguousarray(value).tobytes()]
    raise TypeError(f"a state cannot hold a {type(value).__name__}")


def _decode_array(kind: type, value: Any) -> NDArray[Any]:
    if kind is not np.ndarray:
        raise TypeError(f"a state cannot hold a {kind.__name__}")
    dtype, shape, data = value
    if dtype not in _DTYPES:
        raise ValueError(f"an array of type {dtype!r} is not allowed")
    return np.frombuffer(data, dtype=np.dtype(dtype)).reshape(shape)
