"""Bench of :class:`hdl.sampler.Sampler`."""

from __future__ import annotations

import itertools
from typing import Any

import cocotb
import numpy as np

from golden import kernels
from golden.config import DRAW_BITS
from hdl.layouts import largest_group
from hdl.sampler import Sampler
from sim.bench import groups
from sim.bench.run import parameters
from sim.bench.streams import Bench, Sink, Source

RUN = parameters()
CONFIG, LANES = RUN["config"], RUN["lanes"]
COMPONENT = Sampler(CONFIG, lanes=LANES)
HIGHEST = (1 << DRAW_BITS) - 1


def random_draw(bench: Bench, group: groups.Group) -> int:
    """Any draw, the first, the last, or one next to where the winner changes."""
    edge = bench.rng.choice(list(itertools.accumulate(group.term)))
    change = (edge << DRAW_BITS) // group.total
    near = min(max(change + bench.rng.randint(-2, 2), 0), HIGHEST)
    return bench.rng.choice((0, HIGHEST, near, near, near, bench.rng.randint(0, HIGHEST)))


def feed(bench: Bench, beats: Source, choices: Source, winners: Sink, size: int | None = None) -> None:
    """Queue a random group, a random choice, and the winner."""
    size = size or groups.random_size(CONFIG, bench.rng)
    group = groups.golden_group(CONFIG, groups.random_potentials(CONFIG, bench.rng, size))
    draw, greedy = random_draw(bench, group), bench.rng.randrange(3) == 0
    beats.send(*groups.softmax_beats(group, LANES))
    choices.send({"draw": draw, "greedy": int(greedy)})
    terms = np.array(group.term, dtype=np.int64)
    drawn = int(kernels.draw_winner.py_func(terms, 0, size, group.total, draw))
    winners.expect(group.best if greedy else drawn)


@cocotb.test()
async def any_flow(dut: Any) -> None:
    """Winners and their order, whatever the flow on any side."""
    for steady in itertools.product((True, False), repeat=3):
        bench = Bench(dut, COMPONENT, RUN["seed"])
        beats = bench.source("beats", bench.flow(not steady[0]))
        choices = bench.source("choices", bench.flow(not steady[1]))
        winners = bench.sink("winners", bench.flow(not steady[2]))
        await bench.reset()
        for _ in range(RUN["groups"]):
            feed(bench, beats, choices, winners)
        await bench.finish()


@cocotb.test()
async def latency(dut: Any) -> None:
    """From rest, for groups of every size; the choice is taken with the last beat."""
    bench = Bench(dut, COMPONENT, RUN["seed"])
    beats, choices, winners = bench.source("beats"), bench.source("choices"), bench.sink("winners")
    await bench.reset()
    for size in range(1, largest_group(CONFIG) + 1):
        feed(bench, beats, choices, winners, size)
        await bench.finish(quiet=bench.rng.randrange(4))
        assert winners.cycles[-1] - beats.cycles[-1] == COMPONENT.latency, size
        assert choices.cycles[-1] == beats.cycles[-1], size


@cocotb.test()
async def throughput(dut: Any) -> None:
    """A beat in every cycle, groups of one beat and of the most beats."""
    for size in (2, largest_group(CONFIG)):
        bench = Bench(dut, COMPONENT, RUN["seed"])
        beats, choices, winners = bench.source("beats"), bench.source("choices"), bench.sink("winners")
        await bench.reset()
        for _ in range(60):
            feed(bench, beats, choices, winners, size)
        await bench.finish()
        assert beats.cycles[-1] - beats.cycles[0] == len(beats.cycles) - 1, size


@cocotb.test()
async def reset_in_the_middle(dut: Any) -> None:
    """A reset at any moment drops the groups in work, half of one included; the next are right."""
    for cycles in range(1, 12):
        for is_cut in (True, False):
            bench = Bench(dut, COMPONENT, f"{RUN['seed']} {cycles}")
            beats, choices, winners = bench.source("beats"), bench.source("choices"), bench.sink("winners")
            await bench.reset()
            for _ in range(cycles):
                feed(bench, beats, choices, winners, largest_group(CONFIG) if is_cut else None)
            if is_cut:
                with winners.unchecked():
                    await bench.step(cycles)
            else:
                await bench.finish()
