"""Bench of :class:`hdl.assign.Assigner`."""

from __future__ import annotations

import itertools
from typing import Any

import cocotb
import numpy as np

from hdl.assign import Assigner
from sim.bench.groups import activity_beats, only_neurons
from sim.bench.recorded import golden_jump, golden_start
from sim.bench.run import parameters
from sim.bench.streams import Bench, Sink, Source

RUN = parameters()
CONFIG, LANES = RUN["config"], RUN["lanes"]
COMPONENT = Assigner(CONFIG, lanes=LANES)
UNIFORM = golden_start(CONFIG.replace(start="uniform"), np.zeros(CONFIG.inputs, dtype=np.int64))[1]


def feed(bench: Bench, source: Source, sink: Sink, group: int, winner: int, uniform: bool) -> int:
    """Queue an assignment of a group and its beats by golden; gives the number of beats."""
    low, high = CONFIG.group_start[group : group + 2]
    winners = np.zeros(CONFIG.groups + 1, dtype=np.int64)
    winners[group] = winner
    activity = UNIFORM if uniform else golden_jump(CONFIG, winners)
    source.send({"winner": winner, "uniform": int(uniform), "action": int(group == CONFIG.groups)})
    beats = activity_beats(activity[low:high].tolist(), LANES)
    sink.expect(*beats)
    return len(beats)


def feed_random(bench: Bench, source: Source, sink: Sink) -> None:
    """Queue any assignment."""
    group = bench.rng.randint(0, CONFIG.groups)
    feed(bench, source, sink, group, bench.rng.randrange(np.diff(CONFIG.group_start)[group]), bench.rng.random() < 0.3)


@cocotb.test()
async def every_assignment(dut: Any) -> None:
    """Every winner of a hidden and the action group, and both uniform; a beat in every cycle, the first at once."""
    bench = Bench(dut, COMPONENT, RUN["seed"])
    source, sink = bench.source("groups"), bench.sink("beats", view=only_neurons)
    await bench.reset()
    ends: list[int] = []
    for group, size in ((0, CONFIG.group_size), (CONFIG.groups, CONFIG.actions)):
        for winner, uniform in itertools.product(range(size), (False, True)):
            beats = feed(bench, source, sink, group, winner, uniform)
            ends.append((ends[-1] if ends else -1) + beats)
    await bench.finish()
    assert sink.cycles == list(range(len(sink.cycles)))
    assert source.cycles == ends


@cocotb.test()
async def any_flow(dut: Any) -> None:
    """Values and order, whatever the flow on either side."""
    for steady in itertools.product((True, False), repeat=2):
        bench = Bench(dut, COMPONENT, RUN["seed"])
        source = bench.source("groups", bench.flow(not steady[0]))
        sink = bench.sink("beats", bench.flow(not steady[1]), only_neurons)
        await bench.reset()
        for _ in range(RUN["groups"]):
            feed_random(bench, source, sink)
        await bench.finish()


@cocotb.test()
async def reset_in_the_middle(dut: Any) -> None:
    """After a reset the next group begins with its first beat."""
    bench = Bench(dut, COMPONENT, RUN["seed"])
    source, sink = bench.source("groups"), bench.sink("beats", view=only_neurons)
    await bench.reset()
    for cycles in range(1, 8):
        source.send({"winner": 0, "uniform": 1, "action": 0}, {"winner": 0, "uniform": 1, "action": 1})
        with sink.unchecked():
            await bench.step(cycles)
        source.forget()
        await bench.reset()
        feed_random(bench, source, sink)
        await bench.finish()
