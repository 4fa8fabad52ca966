"""Packets of the link (docs/link.md): header, payload and CRC."""

from __future__ import annotations

from amaranth import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.wiring import In, Out

from golden.link import CRC_BYTES, FULL_FIT, HEADER_BYTES, SESSION_BYTES, Buffers
from hdl.chunks import PAYLOAD_BYTE, slot_write_signature
from hdl.stuffing import SYMBOL

CRC_CYCLES = 9
"""Cycles from a byte to the next: it is taken, then its bits go through the CRC."""


class SerialCrc(wiring.Component):
    """CRC-32, a bit per cycle: a byte takes so long on the line that there is time, and it takes a fifth of the logic.

    Golden twin: :func:`zlib.crc32` in :class:`golden.link.Packet`. A byte every :data:`CRC_CYCLES` cycles.

    Members
    -------
    bytes: In(stream of 8 bits).
    start: In; with a byte: it is the first.
    crc: Out; of the bytes since, :data:`CRC_CYCLES` cycles after the last was taken.
    matches: Out; at the same time: the last four were the CRC of those before.
    """

    def __init__(self) -> None:
        super().__init__({"bytes": In(stream.Signature(8)), "start": In(1), "crc": Out(32), "matches": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.register = register = CRC32_ISO_HDLC(data_width=1).create()
        bits, left = Signal(8), Signal(range(9))
        m.d.comb += [
            self.bytes.ready.eq(left == 0),
            register.start.eq(self.bytes.valid & self.bytes.ready & self.start),
            register.valid.eq(left != 0),
            register.data.eq(bits[0]),
            self.crc.eq(register.crc),
            self.matches.eq(register.match_detected),
        ]
        with m.If(left != 0):
            m.d.sync += [left.eq(left - 1), bits.eq(bits >> 1)]
        with m.Elif(self.bytes.valid):
            m.d.sync += [left.eq(8), bits.eq(self.bytes.payload)]
        return m


RECEIVED = data.StructLayout(
    {"kind": 8, "number": 8, "acknowledged": 8, "session": 8 * SESSION_BYTES, "damaged": 1},
)
"""A packet that has come: its header, the first bytes of its payload, or nothing but that it was damaged."""


class PacketReceiver(wiring.Component):
    """Stores a packet, checks it, and tells what it is.

    Golden twins: :meth:`golden.link.Packet.parse`, and the length in :class:`golden.link.Deframer`. All symbols are
    allowed, one every :data:`CRC_CYCLES` cycles at most.

    Its bytes are written as they come, from place 0 of a slot, and with the end the size of the payload over the first
    of them. The packet is told in the cycle after its end; of an empty one nothing is told.

    Parameters
    ----------
    buffers: sizes.

    Members
    -------
    symbols: In(stream of :data:`hdl.stuffing.SYMBOL`, always ready).
    packets: Out(stream of :data:`RECEIVED`, always ready).
    write: Out(:func:`hdl.chunks.slot_write_signature`).
    """

    def __init__(self, buffers: Buffers) -> None:
        self.buffers = buffers
        super().__init__(
            {
                "symbols": In(stream.Signature(SYMBOL, always_ready=True)),
                "packets": Out(stream.Signature(RECEIVED, always_ready=True)),
                "write": Out(slot_write_signature(buffers)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        symbol, packet, write = self.symbols.payload, self.packets.payload, self.write
        slot_bytes = self.buffers.slot_bytes
        count, is_long, ends = Signal(range(slot_bytes + 1)), Signal(), Signal()
        m.submodules.crc = crc = SerialCrc()
        m.d.comb += [
            ends.eq(self.symbols.valid & symbol.end),
            crc.bytes.payload.eq(symbol.data),
            crc.bytes.valid.eq(self.symbols.valid & ~symbol.end),
            crc.start.eq(count == 0),
            write.en.eq(ends | (self.symbols.valid & (count != slot_bytes))),
            write.address.eq(count),
            write.data.eq(symbol.data),
        ]
        m.d.sync += [
            self.packets.valid.eq(ends & (count != 0)),
            packet.damaged.eq(~crc.matches | is_long | (count < FULL_FIT)),
        ]
        with m.If(ends):
            m.d.comb += [write.address.eq(0), write.data.eq(count - FULL_FIT)]
            m.d.sync += [count.eq(0), is_long.eq(0)]
        with m.Elif(self.symbols.valid):
            with m.If(count == slot_bytes):
                m.d.sync += is_long.eq(1)
            with m.Else():
                m.d.sync += count.eq(count + 1)
            session = [packet.session.word_select(i, 8) for i in range(SESSION_BYTES)]
            fields = {0: packet.kind, 1: packet.number, 2: packet.acknowledged}
            fields |= {HEADER_BYTES + i: part for i, part in enumerate(session)}
            with m.Switch(count):
                for place, field in fields.items():
                    with m.Case(place):
                        m.d.sync += field.eq(symbol.data)
        return m


TO_SEND = data.StructLayout({"header": data.ArrayLayout(8, HEADER_BYTES), "has_payload": 1})
"""A packet to be sent, its payload apart."""


class PacketSender(wiring.Component):
    """Sends a packet: flag, header, payload, CRC, flag.

    Golden twin: :meth:`golden.link.Packet.encode`, flags and escapes apart. All headers are allowed, and payloads that
    fit.

    Begins in the cycle after a packet is offered, which is taken with its last flag. A byte every :data:`CRC_CYCLES`
    cycles at most.

    Members
    -------
    packets: In(stream of :data:`TO_SEND`).
    payload: In(stream of :data:`hdl.chunks.PAYLOAD_BYTE`).
    symbols: Out(stream of :data:`hdl.stuffing.SYMBOL`).
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "packets": In(stream.Signature(TO_SEND)),
                "payload": In(stream.Signature(PAYLOAD_BYTE)),
                "symbols": Out(stream.Signature(SYMBOL)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.crc = crc = SerialCrc()
        packet, payload, symbol = self.packets.payload, self.payload.payload, self.symbols.payload
        place, taken = Signal(range(max(HEADER_BYTES, CRC_BYTES))), Signal()
        m.d.comb += [
            taken.eq(self.symbols.valid & self.symbols.ready),
            crc.bytes.payload.eq(symbol.data),
            crc.start.eq(place == 0),
        ]
        with m.FSM():
            with m.State("REST"), m.If(self.packets.valid):
                m.next = "FLAG"
            with m.State("FLAG"):
                m.d.comb += [self.symbols.valid.eq(1), symbol.end.eq(1)]
                m.d.sync += place.eq(0)
                with m.If(taken):
                    m.next = "HEADER"
            # A byte that goes through the CRC waits until the one before has.
            with m.State("HEADER"):
                m.d.comb += [
                    self.symbols.valid.eq(crc.bytes.ready),
                    symbol.data.eq(packet.header[place]),
                    crc.bytes.valid.eq(taken),
                ]
                with m.If(taken):
                    m.d.sync += place.eq(place + 1)
                    with m.If(place == HEADER_BYTES - 1):
                        m.next = "CRC"
                        with m.If(packet.has_payload):
                            # Not the first byte.
                            m.d.sync += place.eq(place)
                            m.next = "PAYLOAD"
            with m.State("PAYLOAD"):
                m.d.comb += [
                    self.symbols.valid.eq(crc.bytes.ready & self.payload.valid),
                    symbol.data.eq(payload.data),
                    crc.bytes.valid.eq(taken),
                    self.payload.ready.eq(taken),
                ]
                with m.If(taken & payload.last):
                    m.d.sync += place.eq(0)
                    m.next = "CRC"
            with m.State("CRC"):
                m.d.comb += [
                    self.symbols.valid.eq(crc.bytes.ready),
                    symbol.data.eq(crc.crc.word_select(place, 8)),
                ]
                with m.If(taken):
                    m.d.sync += place.eq(place + 1)
                    with m.If(place == CRC_BYTES - 1):
                        m.next = "END"
            with m.State("END"):
                m.d.comb += [self.symbols.valid.eq(1), symbol.end.eq(1), self.packets.ready.eq(taken)]
                with m.If(taken):
                    m.next = "REST"
        return m
