"""Words in the payloads of the link (docs/link.md)."""

from __future__ import annotations

from amaranth import Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.link import CHUNK_LAST, HEADER_BYTES, Buffers
from hdl.layouts import WORD

PAYLOAD_BYTE = data.StructLayout({"data": 8, "last": 1})
"""A byte of a payload; ``last`` marks the last."""

COUNT_BITS = CHUNK_LAST.bit_length() - 1
"""Bits of the words of a chunk less one."""

PAYLOAD_AT = HEADER_BYTES
"""Where the payload begins in a slot. At its first byte lies the payload's size."""


class ChunkReader(wiring.Component):
    """Words of payloads.

    Golden twin: :func:`golden.link.payload_words`. Every payload is allowed.

    A word is offered in the cycle of its second byte; a byte can be taken in every cycle, so a word in every other. The
    next payload begins behind the last byte of one, whatever that left unfinished.

    Members
    -------
    bytes: In(stream of :data:`PAYLOAD_BYTE`).
    words: Out(stream of :data:`hdl.layouts.WORD`).
    """

    def __init__(self) -> None:
        super().__init__({"bytes": In(stream.Signature(PAYLOAD_BYTE)), "words": Out(stream.Signature(WORD))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        byte, word = self.bytes.payload, self.words.payload
        left, marked, low = Signal(COUNT_BITS), Signal(), Signal(8)
        m.d.comb += [word.data.eq(Cat(low, byte.data)), word.last.eq(marked & (left == 0))]
        with m.FSM():
            with m.State("HEAD"):
                m.d.comb += self.bytes.ready.eq(1)
                m.d.sync += Cat(left, marked).eq(byte.data)
                with m.If(self.bytes.valid & ~byte.last):
                    m.next = "LOW"
            with m.State("LOW"):
                m.d.comb += self.bytes.ready.eq(1)
                m.d.sync += low.eq(byte.data)
                with m.If(self.bytes.valid):
                    m.next = "HIGH"
                    with m.If(byte.last):
                        m.next = "HEAD"
            with m.State("HIGH"):
                m.d.comb += [self.words.valid.eq(self.bytes.valid), self.bytes.ready.eq(self.words.ready)]
                with m.If(self.bytes.valid & self.words.ready):
                    m.d.sync += left.eq(left - 1)
                    m.next = "LOW"
                    with m.If(byte.last | (left == 0)):
                        m.next = "HEAD"
        return m


class ChunkWriter(wiring.Component):
    """Payloads of words, written into the slots of a buffer.

    Golden twin: :func:`golden.link.payloads`, of the words between two closings.

    A word takes two cycles, a chunk one before them and one behind, and one more closes a payload: when there is no
    room for another word, or between frames when ``flush`` is set. A word is taken with its high byte.

    Parameters
    ----------
    buffers: sizes.

    Members
    -------
    words: In(stream of :data:`hdl.layouts.WORD`).
    room: In; the slot may be written. Once it is set it stays until the payload is closed.
    flush: In; close a payload that holds anything, unless a frame is in the middle.
    closed: Out; in this cycle the size is written, and the slot is done.
    write: Out; ``en``, ``address`` in the slot and ``data`` of the memory.
    """

    def __init__(self, buffers: Buffers) -> None:
        self.buffers = buffers
        super().__init__(
            {
                "words": In(stream.Signature(WORD)),
                "room": In(1),
                "flush": In(1),
                "closed": Out(1),
                "write": Out(slot_write_signature(buffers)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        word, write = self.words.payload, self.write
        stop = PAYLOAD_AT + self.buffers.payload
        fill, head = Signal(range(stop + 1), init=PAYLOAD_AT), Signal(range(stop))
        count, ended, is_empty = Signal(COUNT_BITS), Signal(), Signal()
        m.d.comb += [is_empty.eq(fill == PAYLOAD_AT), write.address.eq(fill)]
        with m.FSM():
            with m.State("BETWEEN"):
                m.d.sync += [head.eq(fill), count.eq(0)]
                with m.If(~is_empty & (self.flush | (fill > stop - 3))):
                    m.next = "CLOSE"
                with m.Elif(self.words.valid & self.room):
                    m.d.sync += fill.eq(fill + 1)
                    m.next = "LOW"
            with m.State("LOW"):
                m.d.comb += [write.en.eq(self.words.valid), write.data.eq(word.data[:8])]
                with m.If(self.words.valid):
                    m.d.sync += fill.eq(fill + 1)
                    m.next = "HIGH"
            with m.State("HIGH"):
                m.d.comb += [write.en.eq(1), write.data.eq(word.data[8:]), self.words.ready.eq(1)]
                m.d.sync += [fill.eq(fill + 1), ended.eq(word.last)]
                with m.If(word.last | (fill > stop - 3)):
                    m.next = "HEAD"
                with m.Else():
                    m.d.sync += count.eq(count + 1)
                    m.next = "LOW"
            with m.State("HEAD"):
                m.d.comb += [write.en.eq(1), write.address.eq(head), write.data.eq(Cat(count, ended))]
                m.next = "BETWEEN"
            with m.State("CLOSE"):
                m.d.comb += [
                    write.en.eq(1),
                    write.address.eq(0),
                    write.data.eq(fill - PAYLOAD_AT),
                    self.closed.eq(1),
                ]
                m.d.sync += fill.eq(PAYLOAD_AT)
                m.next = "BETWEEN"
        return m


def slot_write_signature(buffers: Buffers) -> wiring.Signature:
    """Writing of a slot as the writer sees it: a byte in every cycle in which ``en`` is set."""
    return wiring.Signature({"en": Out(1), "address": Out(range(buffers.slot_bytes)), "data": Out(8)})


class SlotReader(wiring.Component):
    """The payload that lies in a slot of a buffer, byte by byte.

    A slot is begun with its size, two cycles, and then gives a byte every other cycle at most. It is taken with its
    last byte, or, if it is empty, in the cycle after its size: memories are slow, and much follows. Every slot is
    allowed whose size is right.

    Parameters
    ----------
    buffers: sizes.

    Members
    -------
    slots: In(stream of slot numbers).
    bytes: Out(stream of :data:`PAYLOAD_BYTE`).
    address: Out; of the memory, slot and place in it.
    data: In; what lies at the address of the cycle before.
    """

    def __init__(self, buffers: Buffers) -> None:
        self.buffers = buffers
        super().__init__(
            {
                "slots": In(stream.Signature(range(buffers.slots))),
                "bytes": Out(stream.Signature(PAYLOAD_BYTE)),
                "address": Out(range(buffers.slots * buffers.slot_bytes)),
                "data": In(8),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        place, left = Signal(range(self.buffers.slot_bytes)), Signal(8)
        m.d.comb += [
            self.address.eq(Cat(place, self.slots.payload)),
            self.bytes.payload.data.eq(self.data),
            self.bytes.payload.last.eq(left == 1),
        ]
        with m.FSM():
            with m.State("REST"):
                m.d.sync += place.eq(PAYLOAD_AT)
                with m.If(self.slots.valid):
                    m.next = "SIZE"
                with m.Else():
                    m.d.sync += place.eq(0)
            with m.State("SIZE"):
                m.d.sync += left.eq(self.data)
                m.next = "BYTE"
            with m.State("FETCH"):
                m.next = "BYTE"
            with m.State("BYTE"):
                m.d.comb += self.bytes.valid.eq(left != 0)
                with m.If(left == 0):
                    m.d.comb += self.slots.ready.eq(1)
                    m.d.sync += place.eq(0)
                    m.next = "REST"
                with m.Elif(self.bytes.ready):
                    m.d.sync += [left.eq(left - 1), place.eq(place + 1)]
                    m.next = "FETCH"
                    with m.If(left == 1):
                        m.d.comb += self.slots.ready.eq(1)
                        m.d.sync += place.eq(0)
                        m.next = "REST"
        return m
