"""Bench of :class:`hdl.reader.CommandReader`."""

from __future__ import annotations

import itertools
from typing import Any

import cocotb
import numpy as np

from golden.arguments import section_format
from golden.protocol import (
    EVERYTHING,
    HEADER_BITS,
    LAST,
    SECTION_NAMES,
    UPDATE_ARGUMENTS,
    Command,
    Section,
    Status,
    command_fields,
    unpack,
)
from golden.server import FrameServer
from hdl.reader import CommandReader
from sim.bench.designs import AllPorts
from sim.bench.frames import Frame, FrameMaker
from sim.bench.recorded import golden_start
from sim.bench.run import parameters
from sim.bench.streams import Bench, Flow

RUN = parameters()
CONFIG = RUN["config"]
COMPONENT = AllPorts(CommandReader(CONFIG, EVERYTHING))

Request = dict[str, Any]


def what_counts(request: Request) -> Request:
    """Those members of a request that its command and status give a meaning."""
    names = ["command", "status"]
    if request["status"] == Status.OK:
        names.append("flags")
        match request["command"]:
            case Command.INFER:
                names.append("nonce")
            case Command.LOAD:
                names += ["place", "values"]
            case Command.READ:
                names.append("place")
            case Command.LEARN:
                names += ["modulator", "nonce"] if CONFIG.spikes else ["modulator"]
            case Command.APPLY:
                names.append("update")
    found = {name: request[name] for name in names}
    if "values" in found:
        # The value's bits count, not those above.
        bits = section_format(CONFIG, SECTION_NAMES[Section(request["flags"])]).bits
        found["values"] = [value & (1 << bits) - 1 for value in found["values"]]
    return found


class Expected:
    """What must come of a frame by golden.

    Parameters
    ----------
    words: the frame.
    status: golden's answer.

    Attributes
    ----------
    request: members of the request that count.
    put: what must be in the observation queue; None unless a decision is asked for.
    given: hidden winners; None unless the frame gives them.
    """

    def __init__(self, words: Frame, status: Status) -> None:
        head = words[0] & (LAST - 1)
        code, flags = head & (1 << HEADER_BITS) - 1, head >> HEADER_BITS
        self.request: Request = {"command": code, "status": status}
        self.put: list[Request] | None = None
        self.given: list[int] | None = None
        if status != Status.OK:
            return
        command = Command(code)
        values = unpack(command_fields(CONFIG, command, flags), np.array([words], dtype=np.uint32))
        self.request["flags"] = flags
        if command in (Command.INFER, Command.LEARN):
            if "nonce" in values:
                self.request["nonce"] = int(values["nonce"][0, 0]) & (1 << 64) - 1
            if command == Command.LEARN:
                self.request["modulator"] = int(values["modulator"][0, 0])
            events, _ = golden_start(CONFIG.replace(start="silent"), values["obs"][0])
            shift = CONFIG.drive_frac - CONFIG.obs_frac
            self.put = [{"index": source - CONFIG.neurons, "value": value >> shift} for source, value in events]
            self.given = values["given"][0].tolist() if "given" in values else None
            if command == Command.LEARN:
                self.given = [*(self.given or [None] * CONFIG.groups), int(values["action"][0, 0])]
        elif command in (Command.LOAD, Command.READ):
            self.request["place"] = {name: int(values[name][0, 0]) for name in ("row", "word")}
            if command == Command.LOAD:
                bits = section_format(CONFIG, SECTION_NAMES[Section(flags)]).bits
                self.request["values"] = [value & (1 << bits) - 1 for value in values["values"][0].tolist()]
        elif command == Command.APPLY:
            self.request["update"] = [int(values[name][0, 0]) for name in UPDATE_ARGUMENTS]


class Model:
    """Drives one reader; keeps the observations as the queue behind it does."""

    def __init__(self, dut: Any, commands: Flow | None = None, requests: Flow | None = None) -> None:
        self.bench = Bench(dut, COMPONENT, RUN["seed"])
        self.commands = self.bench.source("commands", commands)
        self.requests = self.bench.sink("requests", requests, what_counts)
        self.make = FrameMaker(CONFIG, self.bench.rng)
        self.server = FrameServer(CONFIG)
        self._expected: list[Expected] = []
        self._queue: list[Request] = []
        self._put = self.bench.codec("put")
        self._group = 0
        self.given_seen: set[tuple[int, int]] = set()
        """Given winners that were there and right: number of the frame, group."""
        self.bench.each_cycle(self._ask, self._check)

    def send(self, *frames: Frame) -> None:
        """Queue frames and their requests."""
        for words in frames:
            self.commands.send(
                *({"data": word & (LAST - 1), "last": word >> (LAST.bit_length() - 1)} for word in words)
            )
            answer = int(self.server.exchange(np.array(words, dtype=np.uint32))[0])
            self._expected.append(Expected(words, Status((answer & LAST - 1) >> HEADER_BITS)))
            self.requests.expect(self._expected[-1].request)

    def _ask(self) -> None:
        """One given winner after the other."""
        self._group = (self._group + 1) % (CONFIG.groups + 1)
        self.bench.dut.given_group.value = self._group

    def _check(self, cycle: int) -> None:
        """Observations into the queue; while a decision is offered, queue and given winners are golden's."""
        dut = self.bench.dut
        taken = len(self.requests.cycles)
        if dut.requests__valid.value == 1:
            assert dut.commands__ready.value == dut.clear.value == dut.put__valid.value == 0
            number = taken - 1 if self.requests.cycles[-1:] == [cycle] else taken
            expected = self._expected[number]
            if expected.put is not None:
                assert self._queue == expected.put, cycle
            if expected.given is not None and self._group < len(expected.given):
                if expected.given[self._group] is None:
                    return
                assert int(dut.given_winner.value) == expected.given[self._group], (cycle, self._group)
                self.given_seen.add((number, self._group))
        if dut.clear.value == 1:
            assert dut.put__valid.value == 0, "the queue does not take an observation while it is emptied"
            self._queue = []
        if dut.put__valid.value == 1:
            self._queue.append(self._put.unpack(int(dut.put__payload.value)))
            assert len(self._queue) <= CONFIG.inputs


def after(dut: Any, cycles: int) -> Flow:
    """Takes requests that have been offered for some cycles."""
    waited = 0
    while True:
        # The offer comes from flip-flops: it is this cycle's already.
        waited = waited + 1 if dut.requests__valid.value == 1 else 0
        yield waited > cycles


@cocotb.test()
async def any_flow(dut: Any) -> None:
    """Right and wrong frames, whatever the flow on either side."""
    for ragged in itertools.product((False, True), repeat=2):
        flow = Bench(dut, COMPONENT, f"{RUN['seed']} {ragged}").flow
        model = Model(dut, flow(ragged[0]), flow(ragged[1]))
        await model.bench.reset()
        for _ in range(RUN["frames"]):
            model.send(model.make.wrong() if model.bench.rng.random() < 0.5 else model.make.right())
        await model.bench.finish()


@cocotb.test()
async def every_refusal(dut: Any) -> None:
    """A frame for every reason, between right ones; and all first words."""
    model = Model(dut)
    await model.bench.reset()
    for words in model.make.refused():
        model.send(model.make.infer(), words, model.make.load())
    for command, flags in itertools.product((*Command, 0, max(Command) + 1, 0xFF), range(1 << HEADER_BITS)):
        head = flags << HEADER_BITS | command
        model.send([head | LAST], [head, LAST])
    await model.bench.finish()


@cocotb.test()
async def given_winners_stay(dut: Any) -> None:
    """While a decision waits to be taken, its hidden winners can be read; while a sample does, its action."""
    model = Model(dut, requests=after(dut, CONFIG.groups + 1))
    await model.bench.reset()
    for _ in range(20):
        decision = model.make.infer() if CONFIG.spikes else model.make.infer("conditional", given=True)
        model.send(decision, model.make.learn("published"))
    await model.bench.finish()
    given = () if CONFIG.spikes else itertools.product(range(40), range(CONFIG.groups))
    assert model.given_seen >= {*given, *((i, CONFIG.groups) for i in range(1, 40, 2))}


@cocotb.test()
async def time(dut: Any) -> None:
    """A word in every cycle, the request in the next, the next frame in the cycle after that."""
    model = Model(dut)
    await model.bench.reset()
    frames = [model.make.wrong() if number % 3 == 0 else model.make.right() for number in range(60)]
    model.send(*frames)
    await model.bench.finish()
    ends = list(itertools.accumulate(len(words) + 1 for words in frames))
    assert model.requests.cycles == [end - 1 for end in ends]
    assert model.commands.cycles == [cycle for cycle in range(ends[-1]) if cycle + 1 not in ends]


@cocotb.test()
async def reset_in_the_middle(dut: Any) -> None:
    """A reset at any moment drops the frame; the next word is a header again."""
    for make in (FrameMaker.infer, FrameMaker.load, FrameMaker.wrong):
        for _ in range(RUN["resets"]):
            model = Model(dut, requests=after(dut, 2))
            await model.bench.reset()
            words = make(model.make)
            model.send(words)
            with model.requests.unchecked():
                await model.bench.step(model.bench.rng.randint(1, len(words) + 3))
            model = Model(dut)
            await model.bench.reset()
            model.send(make(model.make), model.make.infer())
            await model.bench.finish()
