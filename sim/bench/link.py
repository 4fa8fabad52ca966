"""Bench of :class:`hdl.link.Link`, a golden core behind it."""

from __future__ import annotations

import itertools
from typing import Any

import cocotb
import numpy as np
from numpy.typing import NDArray

from golden.link import ESCAPE, FLAG, NUMBERS, SESSION_BYTES, Buffers, Kind, Packet, payloads
from golden.link_server import LinkServer
from golden.protocol import LAST, Words
from golden.server import FrameServer
from hdl.link import Link
from sim.bench.designs import AllPorts
from sim.bench.frames import FrameMaker
from sim.bench.run import parameters
from sim.bench.streams import Bench

RUN = parameters()
CONFIG, BUFFERS = RUN["config"], Buffers(**RUN["buffers"])
COMPONENT = AllPorts(Link(BUFFERS))
BYTE_CYCLES = 10
"""Between two bytes on the line, at least."""

REST = 4000
"""Cycles after which everything that a packet has caused is over."""


def word(value: int) -> dict[str, int]:
    """A word as the core has it."""
    return {"data": value & (LAST - 1), "last": value // LAST}


class Core(FrameServer):
    """A golden device that notes what it was asked and what it answered."""

    def __init__(self) -> None:
        super().__init__(CONFIG)
        self.asked: list[int] = []
        self.answered: list[int] = []

    def exchange(self, words: NDArray[np.integer], responses: int | None = None) -> Words:
        """As golden does."""
        answer = super().exchange(words, responses)
        self.asked += np.asarray(words).tolist()
        self.answered += answer.tolist()
        return answer


class Model:
    """Drives a link from the line and from the core; golden's end beside it."""

    def __init__(self, dut: Any) -> None:
        self.bench, self.dut = Bench(dut, COMPONENT, RUN["seed"], limit=20_000_000), dut
        self.line = self.bench.source("received", itertools.cycle([True] + [False] * (BYTE_CYCLES - 1)))
        self.sent = self.bench.sink("sent", itertools.cycle([True] + [False] * (BYTE_CYCLES - 1)))
        self.commands, self.responses = self.bench.sink("commands"), self.bench.source("responses")
        self.core = Core()
        self.server = LinkServer(self.core, BUFFERS)
        self.maker = FrameMaker(CONFIG, self.bench.rng)
        self.number = self.resets = 0
        self.lost = 0
        # Answers of the core, given as soon as all commands before them are there.
        self._answers: list[tuple[int, int]] = []
        self._told = 0
        self.bench.each_cycle(self._answer, self._sample)

    def _answer(self) -> None:
        while self._answers and self._answers[0][0] <= len(self.commands.cycles):
            self.responses.send(word(self._answers.pop(0)[1]))

    def _sample(self, cycle: int) -> None:
        self.resets += int(self.dut.core_reset.value)
        self.lost += int(self.dut.lost.value)

    async def give(self, data: bytes) -> bytes:
        """Bytes on the line; what golden sends for them has to come, and nothing else. Gives it."""
        core = self.core
        asked, answered = len(core.asked), len(core.answered)
        expected = self.server.take(data)
        self.line.send(*data)
        self.sent.expect(*expected)
        self.commands.expect(*(word(value) for value in core.asked[asked:]))
        self._told += len(core.asked) - asked
        self._answers += [(self._told, value) for value in core.answered[answered:]]
        await self.bench.finish(quiet=REST)
        assert self.dut.busy.value == 0
        return expected

    async def open(self, session: int) -> None:
        """A new session."""
        await self.give(Packet(Kind.OPEN, payload=session.to_bytes(SESSION_BYTES, "little")).encode())
        self.number = 0

    async def data(self, frame: list[int], acknowledge: bool = True) -> None:
        """A command in as many packets as it takes, and the acknowledgement of its answer."""
        parts = payloads(np.array(frame), BUFFERS.payload)
        for part in parts:
            await self.give(Packet(Kind.DATA, self.number % NUMBERS, self.taken, 0, part).encode())
            self.number += 1
        if acknowledge:
            await self.give(Packet(Kind.STATUS, 0, self.taken).encode())

    @property
    def taken(self) -> int:
        """The next number that the host awaits: it has taken everything that has come."""
        return self.server._next % NUMBERS


@cocotb.test()
async def commands_and_answers(dut: Any) -> None:
    """Commands of all kinds, right and refused ones: the words of the core and the bytes on the line are golden's."""
    model = Model(dut)
    await model.bench.reset()
    await model.open(0x1234)
    for number in range(RUN["frames"]):
        await model.data(model.maker.wrong() if number % 5 == 4 else model.maker.right())
    assert model.lost == 0


@cocotb.test()
async def what_is_damaged_changes_nothing(dut: Any) -> None:
    """Garbage, damaged packets, packets twice and too early, questions: as golden does, and no word doubled."""
    model = Model(dut)
    await model.bench.reset()
    rng = model.bench.rng
    await model.give(Packet(Kind.STATUS).encode())
    await model.open(0x7D7E)
    for _ in range(RUN["frames"]):
        await model.data(model.maker.right(), acknowledge=rng.random() < 0.7)
        before = Packet(Kind.DATA, (model.number - 1) % NUMBERS, model.taken, 0, b"\x80ab")
        ahead = Packet(Kind.DATA, (model.number + rng.randrange(1, 9)) % NUMBERS, model.taken, 0, b"\x80ab")
        damaged = bytearray(Packet(Kind.DATA, model.number % NUMBERS, model.taken, 0, b"\x80ab").encode())
        damaged[rng.randrange(1, 5)] ^= 0x40
        asks = Packet(rng.choice((Kind.ASK, Kind.AGAIN)), rng.randrange(NUMBERS), model.taken)
        for data in rng.sample([before.encode(), ahead.encode(), bytes(damaged), asks.encode()], 3):
            await model.give(data)
        if rng.random() < 0.3:
            await model.give(bytes([FLAG, ESCAPE, FLAG]) + rng.randbytes(3 * BUFFERS.slot_bytes) + bytes([FLAG]))
    assert model.lost > 0


@cocotb.test()
async def sessions_begin_and_go_on(dut: Any) -> None:
    """A new session resets the core and all counts; the same again, and one that goes on, change nothing."""
    model = Model(dut)
    await model.bench.reset()
    for session in (1, 2, 0xFFFF):
        await model.give(Packet(Kind.RESUME, payload=session.to_bytes(SESSION_BYTES, "little")).encode())
        resets = model.resets
        await model.open(session)
        assert model.resets > resets
        resets = model.resets
        await model.data(model.maker.right())
        for kind in (Kind.OPEN, Kind.RESUME):
            await model.give(Packet(kind, 0, model.taken, 0, session.to_bytes(SESSION_BYTES, "little")).encode())
        assert model.resets == resets
        await model.data(model.maker.right())
