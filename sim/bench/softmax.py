"""Bench of :class:`hdl.softmax.Softmax`."""

from __future__ import annotations

from typing import Any

import cocotb

from hdl.layouts import largest_group
from hdl.softmax import Softmax
from sim.bench import groups
from sim.bench.run import parameters
from sim.bench.streams import Bench, Sink, Source

RUN = parameters()
CONFIG, LANES = RUN["config"], RUN["lanes"]
COMPONENT = Softmax(CONFIG, lanes=LANES)


def feed(bench: Bench, source: Source, sink: Sink, potential: list[int]) -> None:
    """Queue one group and what must come of it."""
    source.send(*groups.potential_beats(CONFIG, potential, LANES, bench.rng))
    sink.expect(*groups.softmax_beats(groups.golden_group(CONFIG, potential), LANES))


def feed_random(bench: Bench, source: Source, sink: Sink, size: int | None = None) -> None:
    """Queue a random group."""
    size = size or groups.random_size(CONFIG, bench.rng)
    feed(bench, source, sink, groups.random_potentials(CONFIG, bench.rng, size))


@cocotb.test()
async def any_flow(dut: Any) -> None:
    """Values and order, whatever the flow on either side."""
    for steady_source, steady_sink in ((True, True), (False, True), (True, False), (False, False)):
        bench = Bench(dut, COMPONENT, RUN["seed"])
        source = bench.source("beats", bench.flow(not steady_source))
        sink = bench.sink("results", bench.flow(not steady_sink))
        await bench.reset()
        for _ in range(RUN["groups"]):
            feed_random(bench, source, sink)
        await bench.finish()


@cocotb.test(skip="policy" not in RUN)
async def trained_net(dut: Any) -> None:
    """Potentials of a trained net."""
    bench = Bench(dut, COMPONENT, RUN["seed"])
    source, sink = bench.source("beats"), bench.sink("results")
    await bench.reset()
    for potential in groups.trained_potentials(CONFIG, RUN["policy"], RUN["decisions"]):
        feed(bench, source, sink, potential)
    await bench.finish()


@cocotb.test()
async def latency(dut: Any) -> None:
    """From rest, for groups of every size."""
    bench = Bench(dut, COMPONENT, RUN["seed"])
    source, sink = bench.source("beats"), bench.sink("results")
    await bench.reset()
    for size in range(1, largest_group(CONFIG) + 1):
        before = len(sink.cycles)
        feed_random(bench, source, sink, size)
        await bench.finish(quiet=bench.rng.randrange(4))
        beats = len(sink.cycles) - before
        assert sink.cycles[before] - source.cycles[-1] == COMPONENT.latency + beats - 1, size
        assert sink.cycles[-1] - sink.cycles[before] == beats - 1, size


@cocotb.test()
async def throughput(dut: Any) -> None:
    """A beat in and a beat out in every cycle, groups of one beat and of the most beats."""
    for size in (2, largest_group(CONFIG)):
        bench = Bench(dut, COMPONENT, RUN["seed"])
        source, sink = bench.source("beats"), bench.sink("results")
        await bench.reset()
        for _ in range(60):
            feed_random(bench, source, sink, size)
        await bench.finish()
        for stream in (source, sink):
            assert stream.cycles[-1] - stream.cycles[0] == len(stream.cycles) - 1, (stream.name, size)


@cocotb.test()
async def reset_in_the_middle(dut: Any) -> None:
    """A reset at any moment drops the groups in work, half of one included; the next are right."""
    for cycles in range(1, 2 * COMPONENT.latency):
        bench = Bench(dut, COMPONENT, f"{RUN['seed']} {cycles}")
        source, sink = bench.source("beats"), bench.sink("results")
        await bench.reset()
        for _ in range(cycles):
            feed_random(bench, source, sink, largest_group(CONFIG))
        with sink.unchecked():
            await bench.step(cycles)
        bench = Bench(dut, COMPONENT, f"{RUN['seed']} {cycles}")
        source, sink = bench.source("beats"), bench.sink("results")
        await bench.reset()
        for _ in range(3):
            feed_random(bench, source, sink)
        await bench.finish()
