"""The light for errors of a board, cycle by cycle."""

from __future__ import annotations

import itertools

from amaranth.sim import Simulator, SimulatorContext

from golden.config import DeviceConfig
from golden.link import FLAG
from hdl.board import ERROR_SECONDS, BoardTop
from hdl.options import CoreOptions

CLOCK_HZ, BAUD = 800, 200
GLOW = int(CLOCK_HZ * ERROR_SECONDS)
DAMAGED = bytes([FLAG, *range(1, 10), FLAG])


def lights(damaged: int, cycles: int) -> list[int]:
    """``error`` in every cycle, from when the first of some damaged packets begins."""
    config = DeviceConfig(groups=1, group_size=2, actions=2, inputs=2, lanes=2)
    top = BoardTop(config, CoreOptions(softmax_lanes=1), CLOCK_HZ, BAUD)
    bits = [bit for byte in DAMAGED * damaged for bit in (0, *(byte >> i & 1 for i in range(8)), 1)]
    seen = []

    async def bench(ctx: SimulatorContext) -> None:
        for cycle in range(cycles):
            place = cycle * BAUD // CLOCK_HZ
            ctx.set(top.rx, bits[place] if place < len(bits) else 1)
            await ctx.tick()
            seen.append(ctx.get(top.error))

    simulator = Simulator(top)
    simulator.add_clock(1 / CLOCK_HZ)
    simulator.add_testbench(bench)
    simulator.run()
    return seen


def test_the_light_is_off_while_nothing_is_lost() -> None:
    assert not any(lights(0, 2 * GLOW))


def test_a_damaged_packet_lights_it_for_its_time_and_no_longer() -> None:
    seen = lights(1, 1200)
    first = seen.index(1)
    assert seen[first : first + GLOW] == [1] * GLOW
    assert sum(seen) == GLOW


def test_each_damaged_packet_begins_the_time_anew_or_lights_it_again() -> None:
    seen = lights(2, 2000)
    assert sum(seen) == 2 * GLOW and sum(b > a for a, b in itertools.pairwise(seen)) == 2
