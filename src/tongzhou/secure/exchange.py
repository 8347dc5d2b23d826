"""Where the owners of one process meet in mode `local`: all hand in, one computes, each takes its part.

Statement
    Parties: two or more owners, as threads of one process.
    Who learns what: the process learns everything. Nothing is protected.
    For: playing a whole job in one process, with the same steps as in a protected mode.
"""

from collections.abc import Callable, Mapping, Sequence
from threading import Condition
from typing import Any, TypeVar, cast

from tongzhou.errors import ConflictError, PeerError, TongzhouError
from tongzhou.secure.party import OWNERS, Role

__all__ = ["Exchange"]

In = TypeVar("In")
Out = TypeVar("Out")

_TIMEOUT_S = 120.0


class Exchange:
    """A rendezvous of asker and providers, used for one task after another.

    Args:
        timeout_s: how long one owner waits for the others, in seconds.
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

        def both(inputs: Mapping[Role, In]) -> Mapping[Role, Out]:
            return dict(zip(OWNERS, clear(*(inputs[owner] for owner in OWNERS)), strict=True))

        return self.gather(role, own, OWNERS, both)

    def gather(
        self,
        role: Role,
        own: In,
        everybody: Sequence[Role],
        clear: Callable[[Mapping[Role, In]], Mapping[Role, Out]],
    ) -> Out:
        """Hand in `own` and take this role's part of what is computed from everybody's input.

        Args:
            role: who hands in.
            own: its input.
            everybody: all roles that meet, the same at each of them.
            clear: takes the inputs by role, gives the results by role.

        Raises:
            TongzhouError: what `clear` raised; all owners get it.
            PeerError: another owner left or did not come in time.
            ConflictError: the role is taken already.
        """
        with self._changed:
            if role in self._inputs or role in self._outputs:
                raise ConflictError("{role} is in the exchange already", role=role)
            self._inputs[role] = own
            if set(self._inputs) == set(everybody):
                self._compute(clear)
                self._changed.notify_all()
            else:
                self._wait(role, everybody)
            result = self._outputs.pop(role)
        if isinstance(result, TongzhouError):
            # Each thread raises an error of its own, so that neither sees the other's trace.
            raise type(result)(result.template, **result.values)
        return cast("Out", result)

    def leave(self, role: Role) -> None:
        """Tell the other owners not to wait: this one does not come back."""
        with self._changed:
            self._left.add(role)
            self._changed.notify_all()

    def _compute(self, clear: Callable[[Mapping[Role, Any]], Mapping[Role, Any]]) -> None:
        inputs = dict(self._inputs)
        self._inputs.clear()
        results: Mapping[Role, Any] = dict.fromkeys(inputs, PeerError("the other owner stopped"))
        try:
            results = clear(inputs)
        except TongzhouError as error:
            results = dict.fromkeys(inputs, error)
        finally:
            self._outputs.update({role: results.get(role) for role in inputs})
            self._changed.notify_all()

    def _wait(self, role: Role, everybody: Sequence[Role]) -> None:
        met = self._changed.wait_for(
            lambda: role in self._outputs or self._missing(role, everybody) & self._left,
            timeout=self._timeout_s,
        )
        if role in self._outputs:
            return
        del self._inputs[role]
        missing = self._missing(role, everybody)
        if met:
            gone = next(other for other in everybody if other in missing & self._left)
            raise PeerError("the {other} left before both had met", other=gone)
        raise PeerError(
            "the {other} did not come within {seconds:g} s",
            other=next((other for other in everybody if other in missing), role),
            seconds=self._timeout_s,
        )

    def _missing(self, role: Role, everybody: Sequence[Role]) -> set[Role]:
        return {other for other in everybody if other != role and other not in self._inputs}
