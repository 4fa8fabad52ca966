"""Flags and escapes of the link against golden, on Verilator."""

from __future__ import annotations

import pytest

from hdl.stuffing import Stuffer, Unstuffer
from sim.bench.designs import AllPorts
from sim.bench.run import run


@pytest.mark.parametrize("part", [Stuffer, Unstuffer])
def test_bytes_and_symbols(part: type[Stuffer | Unstuffer]) -> None:
    run(AllPorts(part()), "sim.bench.stuffing", part=part.__name__.lower(), seed=1)
