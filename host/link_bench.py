"""What the serial line of a board hands on, against what it could: rows of ``svpg bench``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from golden.device import Device
from hdl.boards.catalogue import BOARDS
from hdl.boards.design import divisors
from hdl.options import CoreOptions
from host.backend import Port
from host.hardware_bench import Net, Row, loaded, trained_net
from host.wire import connect
from sim.board import SimulatedBoard
from sim.plan import Freedom, plan
from sim.traffic import Traffic

NAMES = ("pendulum/link",)

BOARD = "ulx3s-85f"

LINE_BITS = 10
"""Of a byte on the line, start and stop included."""

TRANSACTIONS = 400

LEARNS = ("contrastive", "sign")
"""Rule and optimiser of the build."""


@dataclass(frozen=True)
class Rate:
    """What a number of transactions took of a board.

    Parameters
    ----------
    seconds: of its clock, per transaction, in which core or line had something to do.
    line: seconds that the line needs for a transaction's bytes, in the direction with more of them.
    core: seconds of the core alone.
    """

    seconds: float
    line: float
    core: float


def measure(name: str, row: Row, quick: bool, net: Net | None = None) -> None:
    """Measure one of :data:`NAMES` and hand its rows to ``row``.

    The board that the planner chooses runs in simulation; times are those of its clock. What the host's computer and
    the adapter of its port add is not in them.

    Parameters
    ----------
    net: instead of the trained one.
    """
    net = net or trained_net(name.split("/")[0])
    board, count = BOARDS[BOARD], TRANSACTIONS // 8 if quick else TRANSACTIONS
    obs, nonce = net.obs[:count], np.arange(len(net.obs[:count]), dtype=np.uint64)
    options = CoreOptions.usual(net.config).learning([LEARNS[0]], [LEARNS[1]])
    golden = loaded(net, Device(net.config))
    planned = plan(board, Traffic.of(golden, obs), net.config, options, Freedom())
    clock = divisors(board, board.clock).frequency
    with SimulatedBoard(planned.config, planned.options, round(clock), board.baud) as simulated:
        wire = connect(planned.config, Port(simulated.path, board.baud))
        device = loaded(net, wire.device)
        decided = device.infer(obs, nonce, activity=False)
        modulator = np.ones(len(obs), dtype=np.int64)

        def take(call: Callable[[], object], cycles: float) -> Rate:
            traffic, began = wire.transport.traffic, simulated.worked
            before = (traffic.sent, traffic.received)
            call()
            most = max(traffic.sent - before[0], traffic.received - before[1])
            return Rate(
                (simulated.worked - began) / clock / len(obs), LINE_BITS * most / board.baud / len(obs), cycles / clock
            )

        def one_by_one() -> None:
            for number in range(len(obs)):
                device.infer(obs[number : number + 1], nonce[number : number + 1], activity=False)

        learned = device.learn(obs, decided.winners, modulator, LEARNS[0])
        assert learned is not None
        cycles, sample_cycles = float(decided.cycles.mean()), float(learned.cycles.mean())
        rates = {
            "decisions": take(lambda: device.infer(obs, nonce, activity=False), cycles),
            "decisions-one-by-one": take(one_by_one, cycles),
            "samples": take(
                lambda: device.learn(obs, decided.winners, modulator, LEARNS[0], counters=False), sample_cycles
            ),
        }
        wire.close()
    for what, rate in rates.items():
        row(f"{name}/{what}", 1 / rate.seconds, "1/s")
        row(f"{name}/{what}-line-limit", 1 / rate.line, "1/s")
        row(f"{name}/{what}-core-limit", 1 / rate.core, "1/s")
        row(f"{name}/{what}-of-limit", 100 * max(rate.line, rate.core) / rate.seconds, "%")
    row(f"{name}/latency", rates["decisions-one-by-one"].seconds * 1e6, "us")
