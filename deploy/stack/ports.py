"""Free and busy TCP ports of this machine."""

import contextlib
import errno
import os
import socket

import psutil

from deploy.stack.problem import Problem

LOOPBACK = "127.0.0.1"


def free() -> int:
    """A port nobody listens on now, below the range the kernel hands out for outgoing connections.

    Out of that range nobody gets it by accident between this call and its use, only by asking for it.
    """
    low = 20_000 + os.getpid() * 7_417 % 12_000  # far apart (the golden ratio) for processes that started together
    for port in (*range(low, 32_700), *range(20_000, low)):
        if port not in _given and not busy(port):
            _given.add(port)
            return port
    raise Problem("no free port between 20000 and 32700 on 127.0.0.1")


_given: set[int] = set()


def busy(port: int) -> bool:
    """Whether somebody listens on the port, or on all addresses."""
    with contextlib.closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as fault:
            if fault.errno == errno.EADDRINUSE:
                return True
            raise Problem(f"port {port} can't be used: {fault.strerror}; choose another") from None
    return False


def require_free(port: int, purpose: str, variable: str) -> None:
    """Raises `Problem` naming the port, its holder where that can be known, and the variable that chooses another."""
    if busy(port):
        raise Problem(
            f"port {port} for {purpose} is in use{_holder(port)}: end that, or choose another port, "
            f"e.g. `{variable}={port + 1000} make up`"
        )


def held_by(port: int, pid: int) -> bool:
    """Whether that process listens on the port."""
    try:
        connections = psutil.Process(pid).net_connections("tcp")
    except psutil.Error:
        return False
    return any(one.status == psutil.CONN_LISTEN and one.laddr[-1:] == (port,) for one in connections)


def _holder(port: int) -> str:
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        return ""
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr[-1:] == (port,) and connection.pid is not None:
            with contextlib.suppress(psutil.Error):
                command = " ".join(psutil.Process(connection.pid).cmdline())
                return f" by process {connection.pid} ({command[:100]})"
    return ""
