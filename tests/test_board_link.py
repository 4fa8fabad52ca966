"""A whole simulated board behind its serial port: everything arrives once, whatever the line does."""

from __future__ import annotations

import pytest

from golden.link import Buffers
from golden.link_client import LinkTransport
from hdl.options import CoreOptions
from host.serial_port import SerialPort
from sim.board import CLOCK_HZ, CYCLES_PER_BIT, SimulatedBoard
from sim.faults import FaultyPipe
from tests.links import SMALL, mix

OPTIONS = CoreOptions(softmax_lanes=2).learning(["contrastive"], ["sign"])
BAUD = CLOCK_HZ // CYCLES_PER_BIT


def check(transactions: int, share: float, cut_every: int, seed: int) -> None:
    with SimulatedBoard(SMALL, OPTIONS) as board:
        pipe = FaultyPipe(SerialPort(board.path, BAUD), share, seed, cut_every)
        transport = LinkTransport(pipe, silence=30.0)
        result = mix(SMALL, OPTIONS.abilities, transport, transactions, seed, softmax_lanes=2)
        assert (result.wrong, result.wrong_words) == (0, 0)
        assert bool(pipe.faults) == bool(share)
        if cut_every:
            assert pipe.faults["port"] > 0 and transport.traffic.reopened > 0
        transport.close()


def test_a_board_answers_as_golden_does() -> None:
    check(transactions=60, share=0.0, cut_every=0, seed=1)


def test_a_bad_line_loses_and_doubles_nothing() -> None:
    check(transactions=200, share=0.02, cut_every=40, seed=2)


@pytest.mark.slow
def test_ten_thousand_transactions_over_a_bad_line() -> None:
    check(transactions=10_000, share=0.01, cut_every=300, seed=3)


@pytest.mark.slow
def test_a_board_of_small_buffers_works() -> None:
    with SimulatedBoard(SMALL, OPTIONS, buffers=Buffers(slots=4, slot_bytes=32)) as board:
        transport = LinkTransport(SerialPort(board.path, BAUD), silence=30.0)
        assert transport.buffers == Buffers(slots=4, slot_bytes=32)
        result = mix(SMALL, OPTIONS.abilities, transport, transactions=100, seed=4, softmax_lanes=2)
        assert (result.wrong, result.wrong_words) == (0, 0)
        transport.close()
