"""Bench of :class:`hdl.chunks.ChunkReader`, :class:`hdl.chunks.ChunkWriter` and :class:`hdl.chunks.SlotReader`."""

from __future__ import annotations

import itertools
from typing import Any

import cocotb
import numpy as np

from golden.link import Buffers, payload_words, payloads
from golden.protocol import LAST
from hdl.chunks import PAYLOAD_AT, ChunkReader, ChunkWriter, SlotReader
from sim.bench.run import parameters
from sim.bench.streams import Bench, Flow

RUN = parameters()
BUFFERS = Buffers(**RUN["buffers"])
PARTS: dict[str, Any] = {
    "reader": ChunkReader,
    "writer": lambda: ChunkWriter(BUFFERS),
    "slots": lambda: SlotReader(BUFFERS),
}
COMPONENT = PARTS[RUN["part"]]()
READS, WRITES, FETCHES = (RUN["part"] == part for part in PARTS)


def word(value: int) -> dict[str, int]:
    """A word as the core has it."""
    return {"data": value & (LAST - 1), "last": value // LAST}


class Words:
    """Random frames."""

    def __init__(self, bench: Bench) -> None:
        self._rng = bench.rng

    def frames(self, count: int) -> list[int]:
        """So many frames, short ones and some longer than a packet, last words marked."""
        rng = self._rng
        found: list[int] = []
        for _ in range(count):
            size = rng.choice((1, 2, 3, rng.randrange(1, 40), rng.randrange(1, 3 * BUFFERS.payload // 2)))
            found += [rng.randrange(LAST) for _ in range(size)]
            found[-1] |= LAST
        return found

    def garbage(self) -> bytes:
        """A payload that nobody has written."""
        return self._rng.randbytes(self._rng.randrange(1, BUFFERS.payload + 1))


class Reader:
    """Drives a reader; golden's words beside it."""

    def __init__(self, dut: Any, into: Flow | None = None, out: Flow | None = None) -> None:
        self.bench = Bench(dut, COMPONENT, RUN["seed"])
        self.bytes, self.words = self.bench.source("bytes", into), self.bench.sink("words", out)

    def send(self, payload: bytes) -> None:
        """Queue a payload and its words."""
        self.bytes.send(*({"data": byte, "last": int(at == len(payload))} for at, byte in enumerate(payload, 1)))
        self.words.expect(*(word(int(value)) for value in payload_words(payload)))


@cocotb.test(skip=not READS)
async def words_of_payloads(dut: Any) -> None:
    """Payloads that golden has written, and any others, whatever the flow on either side."""
    for ragged in itertools.product((False, True), repeat=2):
        own = Bench(dut, COMPONENT, f"{RUN['seed']} {ragged}").flow
        model = Reader(dut, own(ragged[0]), own(ragged[1]))
        await model.bench.reset()
        words = Words(model.bench)
        for payload in payloads(np.array(words.frames(30)), BUFFERS.payload):
            model.send(payload)
            model.send(words.garbage())
        await model.bench.finish()


@cocotb.test(skip=not READS)
async def a_word_in_its_second_byte(dut: Any) -> None:
    """A byte in every cycle; a word in the cycle of its second byte."""
    model = Reader(dut)
    await model.bench.reset()
    (payload,) = payloads(np.array([1, 2, 3 | LAST, 4 | LAST]), BUFFERS.payload)
    model.send(payload)
    await model.bench.finish()
    first = model.bytes.cycles[0]
    assert model.bytes.cycles == list(range(first, first + len(payload)))
    assert model.words.cycles == [first + at for at in (2, 4, 6, 9)]


class Writer:
    """Drives a writer, and keeps what it writes into a slot."""

    def __init__(self, dut: Any, into: Flow | None = None) -> None:
        self.bench, self.dut = Bench(dut, COMPONENT, RUN["seed"]), dut
        self.words = self.bench.source("words", into)
        self.room, self.flush = 1, 0
        self.slot = bytearray(BUFFERS.slot_bytes)
        self.closed: list[bytes] = []
        self.bench.each_cycle(self._drive, self._sample)

    def is_taken(self) -> bool:
        """No word waits."""
        return not self.words.pending

    def _drive(self) -> None:
        self.dut.room.value, self.dut.flush.value = self.room, self.flush

    def _sample(self, cycle: int) -> None:
        if self.dut.write__en.value == 1:
            assert self.dut.closed.value == (int(self.dut.write__address.value) == 0), f"in cycle {cycle}"
            self.slot[int(self.dut.write__address.value)] = int(self.dut.write__data.value)
        if self.dut.closed.value == 1:
            self.closed.append(bytes(self.slot[PAYLOAD_AT : PAYLOAD_AT + self.slot[0]]))
            # What is not written again must not be read.
            self.slot[:] = bytes([0xA5]) * len(self.slot)


@cocotb.test(skip=not WRITES)
async def payloads_of_words(dut: Any) -> None:
    """Everything written is what golden makes of the same words, whatever the flow."""
    for is_ragged in (False, True):
        model = Writer(dut, Bench(dut, COMPONENT, RUN["seed"]).flow(is_ragged))
        await model.bench.reset()
        for _ in range(12):
            frames = Words(model.bench).frames(model.bench.rng.randrange(1, 12))
            model.closed.clear()
            model.flush = 0
            model.words.send(*(word(value) for value in frames))
            await model.bench.until(model.is_taken)
            model.flush = 1
            await model.bench.step(10)
            assert model.closed == payloads(np.array(frames), BUFFERS.payload)


@cocotb.test(skip=not WRITES)
async def nothing_is_written_without_room(dut: Any) -> None:
    """A slot that is not free is not touched; a payload is not closed within a frame, or while it is empty."""
    model = Writer(dut)
    await model.bench.reset()
    model.room, model.flush = 0, 1
    model.words.send(word(7 | LAST))
    await model.bench.step(50)
    assert (model.words.pending, model.closed) == (1, [])
    model.room = 1
    await model.bench.until(lambda: bool(model.closed))
    assert model.closed == payloads(np.array([7 | LAST]), BUFFERS.payload)
    model.words.send(word(8))
    await model.bench.step(50)
    assert len(model.closed) == 1
    model.words.send(word(9 | LAST))
    await model.bench.until(lambda: len(model.closed) == 2)
    assert model.closed[1:] == payloads(np.array([8, 9 | LAST]), BUFFERS.payload)


@cocotb.test(skip=not WRITES)
async def two_cycles_a_word(dut: Any) -> None:
    """A word takes two cycles, a chunk one before them and one behind."""
    model = Writer(dut)
    await model.bench.reset()
    model.words.send(word(1), word(2), word(3 | LAST), word(4 | LAST))
    await model.bench.finish(quiet=5)
    taken = model.words.cycles
    assert [after - before for before, after in itertools.pairwise(taken)] == [2, 2, 4]


class Slots:
    """Drives a slot reader on a memory that answers a cycle later."""

    def __init__(self, dut: Any, slots: Flow | None = None, out: Flow | None = None) -> None:
        self.bench, self.dut = Bench(dut, COMPONENT, RUN["seed"]), dut
        self.slots, self.bytes = self.bench.source("slots", slots), self.bench.sink("bytes", out)
        self.memory = bytearray(self.bench.rng.randbytes(BUFFERS.slots * BUFFERS.slot_bytes))
        self._address = 0
        self.bench.each_cycle(self._drive, self._sample)

    def _drive(self) -> None:
        self.dut.data.value = self.memory[self._address]

    def _sample(self, cycle: int) -> None:
        self._address = int(self.dut.address.value)

    def put(self, slot: int, payload: bytes) -> None:
        """Lay a payload into a slot, and have it read."""
        at = slot * BUFFERS.slot_bytes
        self.memory[at] = len(payload)
        self.memory[at + PAYLOAD_AT : at + PAYLOAD_AT + len(payload)] = payload
        self.slots.send(slot)
        self.bytes.expect(*({"data": byte, "last": int(n == len(payload))} for n, byte in enumerate(payload, 1)))


@cocotb.test(skip=not FETCHES)
async def payloads_of_slots(dut: Any) -> None:
    """Payloads of any size, empty ones too, in any slot, whatever the flow on either side."""
    for ragged in itertools.product((False, True), repeat=2):
        own = Bench(dut, COMPONENT, f"{RUN['seed']} {ragged}").flow
        model = Slots(dut, own(ragged[0]), own(ragged[1]))
        await model.bench.reset()
        rng = model.bench.rng
        for _ in range(4):
            for slot in rng.sample(range(BUFFERS.slots), BUFFERS.slots):
                model.put(slot, rng.randbytes(rng.choice((0, 1, 2, rng.randrange(BUFFERS.payload), BUFFERS.payload))))
            await model.bench.finish(quiet=3)


@cocotb.test(skip=not FETCHES)
async def a_byte_every_other_cycle(dut: Any) -> None:
    """Two cycles for the size, then a byte every other cycle; the slot is taken with the last."""
    model = Slots(dut)
    await model.bench.reset()
    model.put(1, b"abc")
    await model.bench.finish()
    first = model.bytes.cycles[0]
    assert first == 2
    assert model.bytes.cycles == [first, first + 2, first + 4] and model.slots.cycles == [first + 4]
