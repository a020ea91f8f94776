"""Where a service listens, and how many may talk to it."""

import contextlib
import socket


def open_socket(host: str, port: int, *, is_shared: bool = False) -> socket.socket:
    """A socket that is bound, and does not listen yet.

    Args:
        host: name or address.
        port: 0 takes one that is free.
        is_shared: whether other processes may be bound to it as well, each with a socket of its
            own, among which connections are shared out.

    Raises:
        OSError: it cannot be bound, as another process is.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror as error:
        raise OSError(f"`--host {host}` is not known: {error.strerror}.") from None
    bound = socket.socket(family, kind)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise OSError(
            f"{host}:{port} cannot be served: {error.strerror}. Name another --host or --port."
        ) from None
    return bound


def url_of(bound: socket.socket) -> str:
    """Where a browser finds what listens there."""
    host, port = bound.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def raise_file_limit() -> None:
    """Let the process have as many connections as the system allows."""
    with contextlib.suppress(ImportError, ValueError, OSError):  # Windows, or it may not
        import resource

        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
