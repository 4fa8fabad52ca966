"""``--port`` and ``--baud``."""

from __future__ import annotations

import argparse

from golden.errors import SvpgError
from host.backend import Port
from host.backends.registry import check_port


def port_of(arguments: argparse.Namespace, backend: str) -> Port | None:
    """The port that a command names.

    Raises
    ------
    SvpgError: a board without a port, or a port for what has none.
    """
    if arguments.port is None and arguments.baud is not None:
        raise SvpgError("--baud is the rate of a port; give --port as well")
    port = None
    if arguments.port is not None:
        port = Port(arguments.port) if arguments.baud is None else Port(arguments.port, arguments.baud)
    check_port(backend, port)
    return port
