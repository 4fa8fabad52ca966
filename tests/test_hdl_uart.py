"""The UART against a line that is driven and read bit by bit, on Verilator."""

from __future__ import annotations

import pytest

from hdl.uart import UartReceiver, UartTransmitter
from sim.bench.designs import AllPorts
from sim.bench.run import run


def check(part: str, clock_hz: int, baud: int) -> None:
    kind = UartReceiver if part == "receiver" else UartTransmitter
    run(AllPorts(kind(clock_hz, baud)), "sim.bench.uart", part=part, clock_hz=clock_hz, baud=baud, seed=1)


@pytest.mark.parametrize("part", ["receiver", "transmitter"])
def test_a_line_of_broken_bits(part: str) -> None:
    # 16.67 cycles per bit, as on an ULX3S.
    check(part, 50_000_000, 3_000_000)


@pytest.mark.slow
@pytest.mark.parametrize("part", ["receiver", "transmitter"])
@pytest.mark.parametrize(
    ("clock_hz", "baud"), [(24_000_000, 3_000_000), (12_000_000, 115_200), (20_000_000, 3_000_000)]
)
def test_lines_of_other_rates(part: str, clock_hz: int, baud: int) -> None:
    check(part, clock_hz, baud)
