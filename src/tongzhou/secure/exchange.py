"""Where the two owners of one process meet in mode `local`: both hand in, one computes, each takes its part.

Statement
    Parties: both owners, as two threads of one process.
    Who learns what: the process learns everything. Nothing is protected.
    For: playing a whole job in one process, with the same steps as in a protected mode.
"""

from collections.abc import Callable, Sequence
from threading import Condition
from typing import Any, TypeVar, cast

from tongzhou.errors import ConflictError, PeerError, TongzhouError
from tongzhou.secure.party import Role, other_owner

__all__ = ["Exchange"]

In = TypeVar("In")
Out = TypeVar("Out")

_TIMEOUT_S = 120.0


class Exchange:
    """A rendezvous of asker and provider, used for one task after another.

    Args:
        timeout_s: how long one owner waits for the other, in seconds.
    """

    def __init__(self, timeout_s: float = _TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._changed = Condition()
        self._inputs: dict[Role, Any] = {}
        self._outputs: dict[Role, Any] = {}
        self._left: set[Role] = set()

    def meet(self, role: Role, own: In, clear: Callable[[In, In], tuple[Out, Out]]) -> Out:
        """Hand in `own` and take this role's part of ``clear(asker's input, provider's input)``.

        Raises:
            TongzhouError: what `clear` raised; both owners get it.
            PeerError: the other owner left or did not come in time.
            ConflictError: the role is taken already.
        """
        with self._changed:
            if role in self._inputs or role in self._outputs:
                raise ConflictError("{role} is in the exchange already", role=role)
            self._inputs[role] = own
            if len(self._inputs) == 2:
                self._compute(clear)
                self._changed.notify_all()
            else:
                self._wait(role)
            result = self._outputs.pop(role)
        if isinstance(result, TongzhouError):
            # Each thread raises an error of its own, so that neither sees the other's trace.
            raise type(result)(result.template, **result.values)
        return cast("Out", result)

    def leave(self, role: Role) -> None:
        """Tell the other owner not to wait: this one does not come back."""
        with self._changed:
            self._left.add(role)
            self._changed.notify_all()

    def _compute(self, clear: Callable[[Any, Any], tuple[Any, Any]]) -> None:
        asker, provider = self._inputs["asker"], self._inputs["provider"]
        self._inputs.clear()
        results: tuple[Any, Any] = (PeerError("the other owner stopped"),) * 2
        try:
            results = clear(asker, provider)
        except TongzhouError as error:
            results = (error, error)
        finally:
            self._outputs["asker"], self._outputs["provider"] = results
            self._changed.notify_all()

    def _wait(self, role: Role) -> None:
        other = other_owner(role)
        met = self._changed.wait_for(
            lambda: role in self._outputs or other in self._left, timeout=self._timeout_s
        )
        if role in self._outputs:
            return
        del self._inputs[role]
        if met:
            raise PeerError("the {other} left before both had met", other=other)
        raise PeerError("the {other} did not come within {seconds:g} s", other=other, seconds=self._timeout_s)

    def meet_all(
        self,
        role: Role,
        roles: Sequence[Role],
        own: In,
        *,
        clear: Callable[[dict[Role, In]], dict[Role, Out]],
    ) -> Out:
        """The same for any number of owners: take this role's part of ``clear(inputs by role)``.

        Args:
            role: who comes.
            roles: everybody who is awaited.
            own: this role's input.
            clear: called once, with everybody's input.

        Raises:
            TongzhouError: what `clear` raised; all owners get it.
            PeerError: somebody left or did not come in time.
            ConflictError: the role is taken already.
        """
        with self._changed:
            if role in self._inputs or role in self._outputs:
                raise ConflictError("{role} is in the exchange already", role=role)
            self._inputs[role] = own
            if len(self._inputs) == len(roles):
                self._compute_all(clear)
            else:
                self._wait_for_all(role, roles)
            result = self._outputs.pop(role)
        if isinstance(result, TongzhouError):
            raise type(result)(result.template, **result.values)
        return cast("Out", result)

    def _compute_all(self, clear: Callable[[dict[Role, Any]], dict[Role, Any]]) -> None:
        inputs = dict(self._inputs)
        self._inputs.clear()
        results: dict[Role, Any] = dict.fromkeys(inputs, PeerError("the other owner stopped"))
        try:
            results = clear(inputs)
        except TongzhouError as error:
            results = dict.fromkeys(inputs, error)
        finally:
            self._outputs |= results
            self._changed.notify_all()

    def _wait_for_all(self, role: Role, roles: Sequence[Role]) -> None:
        self._changed.wait_for(
            lambda: role in self._outputs or bool(self._left & set(roles)), timeout=self._timeout_s
        )
        if role in self._outputs:
            return
        absent = [other for other in roles if other not in self._inputs]
        del self._inputs[role]
        gone = [other for other in absent if other in self._left]
        if gone:
            raise PeerError("the {other} left before both had met", other=gone[0])
        raise PeerError(
            "the {other} did not come within {seconds:g} s", other=absent[0], seconds=self._timeout_s
        )
