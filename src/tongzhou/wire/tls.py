"""Calls between institutions: TLS 1.3 with certificates on both sides, and a sentence for each way to fail.

A certificate counts if the authority on a trusted card signed it and it names that card's party. The cards
are read anew for every call, so trust given or taken holds from the next call on.
"""

import socket
import ssl
from contextlib import suppress
from typing import Final, Self

from tongzhou.errors import ConflictError, PeerError, ProtocolError, TongzhouError
from tongzhou.parties.card import PartyCard
from tongzhou.parties.identity import Identity
from tongzhou.parties.trust import TrustStore
from tongzhou.wire.hello import Hello, answer, call
from tongzhou.wire.link import DEFAULT_TIMEOUT_S
from tongzhou.wire.session import sentence_for_peers
from tongzhou.wire.stream import TlsLink, close_gently

__all__ = ["GREETING_TIMEOUT_S", "Caller", "Listener", "connect"]

GREETING_TIMEOUT_S: Final = 10.0
"""Seconds for a connection, its handshake and the greeting, each."""

_BACKLOG: Final = 64  # calls that wait to be accepted
_LINGER_S: Final = 1.0  # how long a refused caller has to read why


def connect(
    identity: Identity,
    card: PartyCard,
    trust: TrustStore,
    *,
    purpose: str = "job",
    run_id: str = "",
    timeout_s: float = DEFAULT_TIMEOUT_S,
    greeting_timeout_s: float = GREETING_TIMEOUT_S,
) -> TlsLink:
    """Call the party of `card` at its endpoint, and greet it.

    Args:
        identity: who calls.
        card: who is called, and where.
        trust: the cards this institution trusts; `card` must be among them.
        purpose: what the call is for.
        run_id: the run that the call belongs to, if any.
        timeout_s: longest silence to bear afterwards, in seconds.
        greeting_timeout_s: seconds for the connection, its handshake and the greeting, each.

    Raises:
        PeerError: nobody answers, or not the right party, or one that does not trust this institution,
            or one of another version.
        NotFoundError: the party is not trusted here.
    """
    trust.get(card.party_id)
    context = _context(identity, trust, ssl.PROTOCOL_TLS_CLIENT)
    raw = _dial(card, greeting_timeout_s)
    where = f"{card.party_id} ({card.endpoint})"
    connection = _shake_hands(context, raw, where=where, server_side=False)
    try:
        _check_callee(connection, card, trust)
    except TongzhouError as error:
        _refuse(connection, where, error)
        raise
    link = TlsLink(card.party_id, connection, timeout_s=greeting_timeout_s)
    return _greet(link, Hello.of(identity.party_id, purpose, run_id), timeout_s, calling=True)


class Listener:
    """Where an institution takes calls. Close it, or use it in a ``with`` statement.

    Args:
        identity: who listens.
        trust: whose calls are taken.
        host: address to listen at; ``"0.0.0.0"`` or ``"::"`` for all.
        port: port to listen at, 0 for any that is free.

    Raises:
        ConflictError: the port is taken.
        PeerError: the address is not one of this machine's.
    """

    def __init__(self, identity: Identity, trust: TrustStore, host: str, port: int) -> None:
        self._identity = identity
        self._trust = trust
        self._socket = _listen(host, port)
        self._closed = False

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that this listens at."""
        host, port = self._socket.getsockname()[:2]
        return host, port

    @property
    def endpoint(self) -> str:
        """The same as it stands on a card."""
        host, port = self.address
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def fileno(self) -> int:
        """Descriptor that is readable when somebody calls."""
        return self._socket.fileno()

    def wait(self, timeout_s: float | None = None) -> "Caller | None":
        """Take the next call without speaking to it, so that a slow caller holds up nobody but itself.

        Args:
            timeout_s: seconds to wait, None for ever.

        Returns:
            The caller, or None if nobody called, or if another thread closed the listener.

        Raises:
            PeerError: the system cannot take a call now, for want of descriptors for example.
        """
        try:
            self._socket.settimeout(timeout_s)
            raw, address = self._socket.accept()
        except (TimeoutError, BlockingIOError, ConnectionAbortedError):
            return None
        except OSError as error:
            if self._closed:
                return None
            raise PeerError(
                "cannot take a call: {reason}", reason=error.strerror or type(error).__name__
            ) from error
        return Caller(self._identity, self._trust, raw, f"{address[0]}:{address[1]}")

    def accept(
        self, timeout_s: float = DEFAULT_TIMEOUT_S, *, greeting_timeout_s: float = GREETING_TIMEOUT_S
    ) -> TlsLink:
        """Take the next call and greet the caller.

        Args:
            timeout_s: seconds to wait for a call, and longest silence to bear afterwards.
            greeting_timeout_s: seconds for the handshake and for the greeting, each.

        Raises:
            PeerError: nobody called, or one whom this institution does not trust, or no party at all. The
                listener can be used on.
        """
        caller = self.wait(timeout_s)
        if caller is None:
            raise PeerError(
                "nobody called at {endpoint} for {seconds:g} seconds",
                endpoint=self.endpoint,
                seconds=timeout_s,
            )
        return caller.greet(timeout_s, greeting_timeout_s=greeting_timeout_s)

    def close(self) -> None:
        """Stop listening; calls already taken go on, and a thread that waits here returns."""
        self._closed = True
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # closing alone would not wake it
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Caller:
    """Somebody who called and was not spoken to yet. Made by `Listener.wait`.

    Attributes:
        address: where the call comes from, ``host:port``.
    """

    def __init__(self, identity: Identity, trust: TrustStore, raw: socket.socket, address: str) -> None:
        self.address = address
        self._identity = identity
        self._trust = trust
        self._raw = raw

    def greet(
        self, timeout_s: float = DEFAULT_TIMEOUT_S, *, greeting_timeout_s: float = GREETING_TIMEOUT_S
    ) -> TlsLink:
        """Shake hands with the caller, find out who it is, and greet it.

        Raises:
            PeerError: it is not trusted here, does not trust this institution, or is no party at all.
        """
        try:
            context = _context(self._identity, self._trust, ssl.PROTOCOL_TLS_SERVER)
        except TongzhouError:
            self.hang_up()
            raise
        _tune(self._raw, greeting_timeout_s)
        connection = _shake_hands(context, self._raw, where=self.address, server_side=True)
        try:
            card = self._trust.identify(_certificate(connection))
        except TongzhouError as error:
            _refuse(connection, self.address, error)
            raise
        link = TlsLink(card.party_id, connection, timeout_s=greeting_timeout_s)
        return _greet(link, Hello.of(self._identity.party_id), timeout_s, calling=False)

    def hang_up(self) -> None:
        """Close without a word."""
        self._raw.close()


def _greet(link: TlsLink, own: Hello, timeout_s: float, *, calling: bool) -> TlsLink:
    try:
        link.hello = call(link, own) if calling else answer(link, own)
    except (PeerError, ProtocolError):
        link.close()
        raise
    link.timeout_s = timeout_s
    link.count_from_zero()
    return link


def _context(identity: Identity, trust: TrustStore, protocol: int) -> ssl.SSLContext:
    identity.ensure_tls()
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    # The name that counts is the party's, not the host's: TrustStore.identify compares it.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.load_cert_chain(identity.tls_certificate_path, identity.tls_key_path)
    authorities = "".join(card.ca_certificate for card in trust.all())
    if authorities:
        context.load_verify_locations(cadata=authorities)
    if protocol == ssl.PROTOCOL_TLS_SERVER:
        context.num_tickets = 0  # a resumed session would outlive the trust it was made under
    return context


def _dial(card: PartyCard, timeout_s: float) -> socket.socket:
    host, _, port = card.endpoint.rpartition(":")
    try:
        raw = socket.create_connection((host.strip("[]"), int(port)), timeout_s)
    except ConnectionRefusedError as error:
        raise PeerError(
            "{peer} does not answer: nobody listens at {host} port {port}",
            peer=card.party_id,
            host=host,
            port=port,
        ) from error
    except TimeoutError as error:
        raise PeerError(
            "{peer} does not answer at {host} port {port} within {seconds:g} seconds",
            peer=card.party_id,
            host=host,
            port=port,
            seconds=timeout_s,
        ) from error
    except OSError as error:
        raise PeerError(
            "{peer} cannot be reached at {host} port {port}: {reason}",
            peer=card.party_id,
            host=host,
            port=port,
            reason=error.strerror or str(error),
        ) from error
    _tune(raw, timeout_s)
    return raw


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        if isinstance(error, PermissionError) or "in use" in str(error):
            raise ConflictError(
                "port {port} of {host} is taken by another program, or needs other rights: choose another",
                host=host,
                port=port,
            ) from error
        raise PeerError(
            "cannot listen at {host} port {port}: {reason}",
            host=host,
            port=port,
            reason=error.strerror or str(error),
        ) from error


def _tune(raw: socket.socket, timeout_s: float) -> None:
    raw.settimeout(timeout_s)
    # Messages are written whole; waiting for more to fill a packet would only cost time.
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def _shake_hands(
    context: ssl.SSLContext, raw: socket.socket, *, where: str, server_side: bool
) -> ssl.SSLSocket:
    try:
        connection = context.wrap_socket(raw, server_side=server_side, do_handshake_on_connect=False)
    except OSError as error:  # it was reset before a word was said
        raw.close()
        raise PeerError("{where} hung up during the TLS handshake", where=where) from error
    try:
        connection.do_handshake()
    except TimeoutError as error:
        connection.close()
        raise PeerError("{where} did not finish the TLS handshake in time", where=where) from error
    except ssl.SSLError as error:
        close_gently(connection, _LINGER_S)
        raise _explain(error, where) from error
    except OSError as error:
        connection.close()
        raise PeerError("{where} hung up during the TLS handshake", where=where) from error
    return connection


def _explain(error: ssl.SSLError, where: str) -> PeerError:
    reason = error.reason or type(error).__name__
    if isinstance(error, ssl.SSLCertVerificationError):
        return PeerError(
            "the certificate of {where} is not trusted here ({reason}): "
            "compare and add the party's card first",
            where=where,
            reason=error.verify_message,
        )
    if "DID_NOT_RETURN_A_CERTIFICATE" in reason:
        return PeerError("{where} showed no certificate", where=where)
    if "ALERT" in reason and "PROTOCOL_VERSION" not in reason:
        return PeerError(
            "{where} does not trust the certificate of this institution ({reason}): it must add its card",
            where=where,
            reason=reason,
        )
    if isinstance(error, ssl.SSLEOFError):
        return PeerError("{where} hung up during the TLS handshake", where=where)
    return PeerError("{where} does not speak TLS 1.3 as a party does ({reason})", where=where, reason=reason)


def _refuse(connection: ssl.SSLSocket, where: str, error: TongzhouError) -> None:
    """Tell the other side why, in place of a greeting, and close."""
    TlsLink(where, connection, timeout_s=_LINGER_S).send_error(sentence_for_peers(error))


def _certificate(connection: ssl.SSLSocket) -> bytes:
    certificate = connection.getpeercert(binary_form=True)
    return certificate or b""


def _check_callee(connection: ssl.SSLSocket, card: PartyCard, trust: TrustStore) -> None:
    found = trust.identify(_certificate(connection))
    if found.party_id != card.party_id:
        raise PeerError(
            "{got} answers at {endpoint}, where {peer} was expected",
            got=found.party_id,
            endpoint=card.endpoint,
            peer=card.party_id,
        )
