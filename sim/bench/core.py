"""Bench of :class:`hdl.core.Core` and :class:`hdl.compact.core.CompactCore`: whole transactions against golden.

Golden is the device behind frames.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import cocotb
import numpy as np

from golden.arguments import policies
from golden.files import write_atomically
from golden.protocol import (
    COUNTER_WORDS,
    COUNTERS,
    HEADER_BITS,
    LAST,
    Command,
    Status,
    header,
)
from golden.server import FrameServer
from hdl.device import device
from hdl.options import CoreOptions
from sim.bench.course import Course, Step
from sim.bench.coverage import Coverage
from sim.bench.frames import UNKNOWN, Frame, load_frames
from sim.bench.run import parameters
from sim.bench.streams import Bench, Flow, steady
from sim.build import CACHE

RUN = parameters()
CONFIG = RUN["config"]
OPTIONS = CoreOptions(**RUN["options"])
COURSE = Course(CONFIG, OPTIONS, RUN["decisions"], RUN["frames"], RUN["resets"], RUN["seed"], RUN.get("policy"))
COMPONENT = device(CONFIG, OPTIONS)
LIMIT = 40_000_000 if OPTIONS.compact else 400_000
"""Cycles in which something has to come."""
COVERAGE = Coverage(CONFIG, OPTIONS.abilities)


class Anything:
    """Equal to any value: counters that only hardware has."""

    def __eq__(self, other: object) -> bool:
        return True


CYCLES = 2 + COUNTER_WORDS * COUNTERS.index("cycles")
STALLS = 2 + COUNTER_WORDS * COUNTERS.index("stalls")


def as_payload(word: int) -> dict[str, Any]:
    """A word with its mark as the streams carry it."""
    return {"data": word & (LAST - 1), "last": word >> (LAST.bit_length() - 1)}


class Model:
    """One device, driven with frames; golden answers beside it.

    The device keeps its parameters from test to test, and so does golden, unless a test fails.
    """

    known: ClassVar[FrameServer | None] = None
    """Golden with the parameters that the device has; none if they are not known."""

    def __init__(
        self, dut: Any, commands: Flow | None = None, responses: Flow | None = None, limit: int = LIMIT
    ) -> None:
        self.bench = Bench(dut, COMPONENT, RUN["seed"], limit)
        self.source = self.bench.source("commands", commands)
        self.responses: list[list[int]] = [[]]
        self.sink = self.bench.sink("responses", responses, self._seen)
        self._is_known = self.known is not None
        self.server = self.known or FrameServer(CONFIG, OPTIONS.softmax_lanes, OPTIONS.abilities)
        self.make = COURSE.maker("else")

    def _seen(self, word: dict[str, int]) -> dict[str, int]:
        """Keeps responses as lists of words."""
        self.responses[-1].append(word["data"])
        if word["last"]:
            self.responses.append([])
        return word

    def send(self, *frames: Frame) -> None:
        """Queue frames and what must be answered."""
        Model.known = None
        for words in frames:
            self.source.send(*map(as_payload, words))
            answer = [int(word) for word in self.server.exchange(np.array(words, dtype=np.uint32))]
            COVERAGE.sees(words, answer)
            unknown = UNKNOWN.get(answer[0] & (LAST - 1), [])
            for place, word in enumerate(answer):
                self.sink.expect(as_payload(word) | ({"data": Anything()} if place in unknown else {}))

    def load(self, net: Sequence[Frame]) -> None:
        """Load a net, or what is not there of it."""
        device = self.server.device
        there = load_frames(CONFIG, device.read("weight").reshape(device.weight.shape), device.read("bias"))
        pairs = zip(net, there, strict=True)
        self.send(*(new for new, old in pairs if new != old or not self._is_known))
        self._is_known = True

    async def follow(self, steps: Iterable[Step]) -> None:
        """Send steps of the course, each when the one before is done."""
        for step in steps:
            if step.is_net:
                self.load(step.frames)
                await self.finish()
            elif step.cut is None:
                self.send(*step.frames)
                await self.finish()
            else:
                self.source.send(*(as_payload(word) for words in step.frames for word in words))
                with self.sink.unchecked():
                    await self.bench.step(step.cut)
                self._note_reset(step)
                self.source.forget()
                await self.reset()
                self.responses = [[]]
            self.bench.cycle = 0

    def _note_reset(self, step: Step) -> None:
        """Tell the coverage what a reset is about to interrupt."""
        (command,) = step.frames
        # The device that answers is another one: commands that are cut change nothing.
        answer = FrameServer(CONFIG, abilities=OPTIONS.abilities).exchange(np.array(command, dtype=np.uint32))
        COVERAGE.sees_reset(self.source.pending, self.sink.unchecked_transfers, answer.size)

    async def finish(self) -> None:
        """Until all is answered."""
        await self.bench.finish()
        Model.known = self.server

    async def reset(self) -> None:
        """Reset both sides."""
        self.server.reset()
        await self.bench.reset()


def counter(response: Sequence[int], place: int) -> int:
    """A counter of a response."""
    return response[place] | response[place + 1] << 16


@cocotb.test()
async def decisions_on_every_kind_of_net(dut: Any) -> None:
    """All policies on zero, small, any and extreme parameters, and on a trained net; then the parameters read back."""
    model = Model(dut)
    await model.reset()
    await model.follow(COURSE.decide())


@cocotb.test()
async def learning_on_every_kind_of_net(dut: Any) -> None:
    """Samples of all rules, updates of all optimisers, decisions between them; then all memories read back."""
    model = Model(dut)
    await model.reset()
    await model.follow(COURSE.learn())


@cocotb.test()
async def draws_at_the_edge_between_winners(dut: Any) -> None:
    """The smallest step of a draw that changes the winner."""
    model = Model(dut)
    await model.reset()
    await model.follow(COURSE.draw_at_edges())


@cocotb.test()
async def any_mixture_in_any_flow(dut: Any) -> None:
    """Right and wrong frames of all kinds, whatever the flow on either side; parameters are what golden's are."""
    for steady_source, steady_sink in ((True, True), (False, True), (True, False), (False, False)):
        model = Model(dut)
        model.source._flow = model.bench.flow(not steady_source)
        model.sink._flow = model.bench.flow(not steady_sink)
        await model.reset()
        await model.follow(COURSE.mix())


@cocotb.test()
async def cycles_do_not_depend_on_the_flow(dut: Any) -> None:
    """The same decision costs the same cycles and stalls, at once or in bits and pieces."""
    counts = []
    for is_ragged in (False, True, True):
        model = Model(dut)
        model.source._flow, model.sink._flow = model.bench.flow(is_ragged), model.bench.flow(is_ragged)
        await model.reset()
        model.load(COURSE.load("small"))
        model.send(*(model.make.infer() for _ in range(RUN["decisions"])))
        await model.finish()
        answers = [a for a in model.responses if a and a[0] == header(Command.INFER, Status.OK)]
        counts.append([(counter(a, CYCLES), counter(a, STALLS)) for a in answers])
    assert len(counts[0]) == RUN["decisions"] and counts[0] == counts[1] == counts[2]
    assert all(cycles > stalls for cycles, stalls in counts[0])


@cocotb.test()
async def reset_in_the_middle(dut: Any) -> None:
    """A reset at any moment of any transaction: the next one is right, parameters are still there."""
    model = Model(dut)
    await model.reset()
    await model.follow(COURSE.cut())


@cocotb.test()
async def a_load_cut_by_reset_changes_nothing(dut: Any) -> None:
    """Whatever part of a ``LOAD`` was taken before a reset, the word is what it was."""
    model = Model(dut)
    await model.reset()
    await model.follow(COURSE.cut_loads())


@cocotb.test()
async def a_long_wait_does_no_harm(dut: Any) -> None:
    """A frame that stops in the middle, and responses that nobody takes, for thousands of cycles."""
    long, soon = [False] * 3000, [True] * 7
    for commands, responses in ((itertools.chain(soon, long, steady()), None), (None, itertools.chain(long, steady()))):
        model = Model(dut, commands, responses)
        await model.reset()
        make = model.make
        model.send(make.infer(), make.info(), make.load(), make.wrong(), make.read(), make.infer(policies(CONFIG)[-1]))
        await model.finish()
        assert model.bench.cycle > 3000


@cocotb.test(skip=OPTIONS.compact)
async def latency_of_short_answers(dut: Any) -> None:
    """``INFO``, ``LOAD`` and refusals."""
    model = Model(dut)
    await model.reset()
    model.load(COURSE.load("small"))
    await model.finish()
    for words in (model.make.info(), model.make.load(), [0x00FF | LAST], [Command.INFO | 1 << HEADER_BITS | LAST]):
        first = len(model.sink.cycles)
        model.send(words)
        await model.finish()
        is_load = words[0] & 0xFF == Command.LOAD
        assert model.sink.cycles[first] - model.source.cycles[-1] == COMPONENT.latency + is_load
        assert model.sink.cycles[-1] - model.sink.cycles[first] == len(model.sink.cycles) - first - 1


@cocotb.test(skip=OPTIONS.compact)
async def a_frame_is_taken_without_a_pause(dut: Any) -> None:
    """A word in every cycle, and the next frame while the response is sent."""
    model = Model(dut)
    await model.reset()
    model.load(COURSE.load("small"))
    await model.finish()
    words = model.make.infer(activity=True)
    first = len(model.source.cycles)
    model.send(words, words)
    await model.finish()
    taken = model.source.cycles[first:]
    assert taken[len(words) - 1] - taken[0] == len(words) - 1
    assert taken[-1] < model.sink.cycles[-1 - CONFIG.neurons]


@cocotb.test()
async def every_refusal(dut: Any) -> None:
    """One frame for each reason, between decisions; nothing changes."""
    model = Model(dut)
    await model.reset()
    await model.follow(COURSE.refuse())


@cocotb.test()
async def weights_beside_the_synapses_are_refused(dut: Any) -> None:
    """The nearest columns without a synapse, in rows of every kind."""
    model = Model(dut)
    await model.reset()
    await model.follow(COURSE.miss())


@cocotb.test()
async def every_point_is_covered(dut: Any) -> None:
    """The tests before have seen all that there is to be seen."""
    report = CACHE / "coverage" / f"core-{CONFIG.digest:08x}{'-learns' * OPTIONS.learns}.txt"
    report.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(report, lambda file: file.write(COVERAGE.report().encode()))
    # Not every random configuration reaches every point.
    assert not RUN.get("complete", True) or not COVERAGE.missing(), f"never seen: {', '.join(COVERAGE.missing())}"
