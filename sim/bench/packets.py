"""Bench of :class:`hdl.packets.PacketReceiver` and :class:`hdl.packets.PacketSender`."""

from __future__ import annotations

import itertools
from typing import Any

import cocotb

from golden.link import FULL_FIT, HEADER_BYTES, SESSION_BYTES, Buffers, Packet
from hdl.packets import CRC_CYCLES, PacketReceiver, PacketSender
from sim.bench.designs import AllPorts
from sim.bench.run import parameters
from sim.bench.streams import Bench, Flow

RUN = parameters()
BUFFERS = Buffers(**RUN["buffers"])
RECEIVES = RUN["part"] == "receiver"
COMPONENT = AllPorts(PacketReceiver(BUFFERS)) if RECEIVES else PacketSender()
END = {"data": 0, "end": 1}


def any_packet(rng: Any) -> Packet:
    """A packet of any kind and payload."""
    size = rng.choice((0, 0, 1, 2, rng.randrange(BUFFERS.payload), BUFFERS.payload))
    kind, number, acknowledged, limit = (rng.randrange(256) for _ in range(4))
    return Packet(kind, number, acknowledged, limit, rng.randbytes(size))


class Receiver:
    """Drives a receiver; golden's packets beside it."""

    def __init__(self, dut: Any) -> None:
        self.bench, self.dut = Bench(dut, COMPONENT, RUN["seed"]), dut
        # A byte takes longer on the line than its bits in the CRC.
        self.symbols = self.bench.source("symbols", itertools.cycle([True] + [False] * (CRC_CYCLES - 1)))
        self.packets = self.bench.sink("packets", view=self._view)
        self.slot = bytearray(BUFFERS.slot_bytes)
        self.ends: list[int] = []
        """Cycles of the ends that were not of empty packets."""
        self._expected: list[Packet | None] = []
        self.bench.each_cycle(sample=self._sample)

    def _view(self, found: dict[str, int]) -> Packet | None:
        """What the packet is, its payload from the slot; None if it is damaged."""
        if found["damaged"]:
            return None
        payload = bytes(self.slot[HEADER_BYTES : HEADER_BYTES + self.slot[0]])
        head = payload[:SESSION_BYTES]
        if len(head) == SESSION_BYTES:
            assert found["session"] == int.from_bytes(head, "little")
        # The limit is the device's own to tell, so nobody looks at it.
        return Packet(found["kind"], found["number"], found["acknowledged"], 0, payload)

    def _sample(self, cycle: int) -> None:
        if self.dut.write__en.value == 1:
            self.slot[int(self.dut.write__address.value)] = int(self.dut.write__data.value)

    def send(self, body: bytes) -> None:
        """Queue the bytes between two flags, and the second of them."""
        self.symbols.send(*({"data": byte, "end": 0} for byte in body), END)
        if body:
            parsed = Packet.parse(body) if len(body) <= BUFFERS.slot_bytes else None
            self.packets.expect(parsed and Packet(parsed.kind, parsed.number, parsed.acknowledged, 0, parsed.payload))


@cocotb.test(skip=not RECEIVES)
async def packets_come_whole_or_damaged(dut: Any) -> None:
    """Right packets; a bit turned over; too short, too long, empty; and right ones after all of them."""
    model = Receiver(dut)
    await model.bench.reset()
    rng = model.bench.rng
    for _ in range(60):
        packet = any_packet(rng)
        model.send(packet.body)
        body = bytearray(packet.body)
        fault = rng.choice(("flip", "short", "long", "empty", "noise"))
        if fault == "flip":
            body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)
        elif fault == "short":
            del body[rng.randrange(len(body)) :]
        elif fault == "long":
            body = bytearray(Packet(1, payload=rng.randbytes(BUFFERS.payload + rng.randrange(1, 40))).body)
        elif fault == "empty":
            body.clear()
        else:
            body = bytearray(rng.randbytes(rng.randrange(1, FULL_FIT + 3)))
        model.send(bytes(body))
    await model.bench.finish()


@cocotb.test(skip=not RECEIVES)
async def a_packet_is_told_a_cycle_after_its_end(dut: Any) -> None:
    """In the cycle after its end."""
    model = Receiver(dut)
    await model.bench.reset()
    lengths = []
    for _ in range(10):
        body = any_packet(model.bench.rng).body
        lengths.append(len(body) + 1)
        model.send(body)
    await model.bench.finish()
    ends = [model.symbols.cycles[place - 1] for place in itertools.accumulate(lengths)]
    assert model.packets.cycles == [end + 1 for end in ends]


@cocotb.test(skip=not RECEIVES)
async def reset_forgets_a_packet(dut: Any) -> None:
    """After a reset in the middle of a packet the next is right."""
    model = Receiver(dut)
    for count in (1, 5, 30):
        await model.bench.reset()
        model.symbols.send(*({"data": 0x55, "end": 0} for _ in range(count)))
        await model.bench.until(lambda: not model.symbols.pending)
        await model.bench.reset()
        model.send(any_packet(model.bench.rng).body)
        await model.bench.finish()


class Sender:
    """Drives a sender."""

    def __init__(self, dut: Any, packets: Flow | None = None, payload: Flow | None = None, out: Flow | None = None):
        self.bench = Bench(dut, COMPONENT, RUN["seed"])
        self.packets, self.payload = self.bench.source("packets", packets), self.bench.source("payload", payload)
        self.symbols = self.bench.sink("symbols", out, lambda symbol: END if symbol["end"] else symbol)

    def send(self, packet: Packet) -> None:
        """Queue a packet and its symbols."""
        header = list(packet.body[:HEADER_BYTES])
        self.packets.send({"header": header, "has_payload": int(bool(packet.payload))})
        size = len(packet.payload)
        self.payload.send(*({"data": byte, "last": int(n == size)} for n, byte in enumerate(packet.payload, 1)))
        self.symbols.expect(END, *({"data": byte, "end": 0} for byte in packet.body), END)


@cocotb.test(skip=RECEIVES)
async def packets_go_whole(dut: Any) -> None:
    """Packets of any kind and size, whatever the flow on any side."""
    for ragged in itertools.product((False, True), repeat=3):
        own = Bench(dut, COMPONENT, f"{RUN['seed']} {ragged}").flow
        model = Sender(dut, *map(own, ragged))
        await model.bench.reset()
        for _ in range(8):
            model.send(any_packet(model.bench.rng))
        await model.bench.finish()


@cocotb.test(skip=RECEIVES)
async def a_byte_as_soon_as_the_crc_has_the_one_before(dut: Any) -> None:
    """Begins in the cycle after the offer; the packet is taken with its last flag."""
    model = Sender(dut)
    await model.bench.reset()
    await model.bench.step(5)
    model.send(Packet(1, 2, 3, 4, b"abc"))
    await model.bench.finish()
    flag, *body, end = model.symbols.cycles
    assert flag == 5 + 1 and body[0] == flag + 1
    through_crc = body[: HEADER_BYTES + 3 + 1]
    assert [after - before for before, after in itertools.pairwise(through_crc)] == [CRC_CYCLES] * (HEADER_BYTES + 3)
    assert model.packets.cycles == [end]
