"""The device's end of the link: words of the core from and to the bytes of a serial line (docs/link.md)."""

from __future__ import annotations

from amaranth import C, Cat, Module, Mux, ResetInserter, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out, connect

from golden.link import LINK_VERSION, NUMBERS, SESSION_BYTES, Buffers, Kind
from hdl.chunks import ChunkReader, ChunkWriter, SlotReader
from hdl.layouts import WORD
from hdl.memory import NO_COLLISION
from hdl.packets import PacketReceiver, PacketSender
from hdl.pipeline import StreamRegister
from hdl.stuffing import Stuffer, Unstuffer

RESET_CYCLES = 2
"""Cycles of the core's reset, and as many behind it in which it is left alone."""

MOST_OUTSTANDING = 15
"""Most commands that the core may have taken and not answered."""

REPORTS = (Kind.OPENED, Kind.CLOSED, Kind.LOST, Kind.STATUS)
"""Packets that are owed, the first of them first, all before ``DATA``."""


class Link(wiring.Component):
    """Words in and out, each once and in order, whatever the line does to the bytes.

    Golden twin: :class:`golden.link_server.LinkServer`. All bytes are allowed, one every ten cycles at most.

    A packet is looked at two cycles after its last flag. One that is right and the next in order lies in its slot until
    its words, one in four cycles, have been taken. Answers lie in slots until they are acknowledged; a slot is sent
    when
    it is full, or holds whole frames and the line is free. While all slots are full no answer is taken. Nothing is sent
    but on behalf of the host: it alone has timers.

    A new session waits for the answers to all commands that the core has taken as a whole, drops them, and resets the
    core, so that no memory is left half-way.

    Parameters
    ----------
    buffers: sizes; each direction has a memory of so many slots.

    Members
    -------
    received: In(stream of 8 bits, always ready); from the line.
    sent: Out(stream of 8 bits); to the line.
    commands: Out(stream of :data:`hdl.layouts.WORD`); to the core.
    responses: In(stream of :data:`hdl.layouts.WORD`); from the core.
    core_reset: Out; to be added to the core's reset.
    working: Out; the core has taken a command and not answered it.
    busy: Out; something is to be done or sent.
    lost: Out; a packet is thrown away in this cycle.
    """

    def __init__(self, buffers: Buffers) -> None:
        self.buffers = buffers
        super().__init__(
            {
                "received": In(stream.Signature(8, always_ready=True)),
                "sent": Out(stream.Signature(8)),
                "commands": Out(stream.Signature(WORD)),
                "responses": In(stream.Signature(WORD)),
                "core_reset": Out(1),
                "working": Out(1),
                "busy": Out(1),
                "lost": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        buffers = self.buffers
        slot_bits = (buffers.slots - 1).bit_length()
        # What counts that differ by no more than the slots differ by.
        near = slot_bits + 1
        # Of what comes: the next number, and how many the core has had. Of what goes: the first that is not
        # acknowledged, the next to be sent, and the one that is being filled.
        expected, consumed, first, to_send, filled = (
            Signal(range(NUMBERS), name=name) for name in ("expected", "consumed", "first", "to_send", "filled")
        )
        limit, told = Signal(range(NUMBERS)), Signal(near, init=buffers.window)
        asked, again = Signal(range(NUMBERS)), Signal()
        session, is_open, opening = Signal(8 * SESSION_BYTES), Signal(), Signal()
        owed = {kind: Signal(name=f"owes_{kind.name.lower()}") for kind in REPORTS}
        outstanding = Signal(range(MOST_OUTSTANDING + 1))
        sending, sends_data, reading = Signal(), Signal(), Signal()
        begins = Signal()
        restart = ResetInserter(begins)
        m.d.comb += limit.eq(consumed + buffers.window)

        # --- from the line, by a slot, to the core -----------------------------------------------------------
        m.submodules.unstuffer = unstuffer = Unstuffer()
        m.submodules.receiver = receiver = PacketReceiver(buffers)
        m.submodules.incoming = incoming = SlotMemory(buffers)
        slots_in, words_in = SlotReader(buffers), ChunkReader()
        m.submodules.slots_in, m.submodules.words_in = restart(slots_in), restart(words_in)
        connect(m, wiring.flipped(self.received), unstuffer.bytes)
        connect(m, unstuffer.symbols, receiver.symbols)
        connect(m, slots_in.bytes, words_in.bytes)
        # A word that is offered stays until it is taken, even where a session ends.
        held, offers = Signal(), Signal()
        m.d.comb += [
            incoming.write.eq(receiver.write.en),
            incoming.write_address.eq(Cat(receiver.write.address, expected[:slot_bits])),
            incoming.write_data.eq(receiver.write.data),
            incoming.read_address.eq(slots_in.address),
            slots_in.data.eq(incoming.read_data),
            slots_in.slots.valid.eq(expected != consumed),
            slots_in.slots.payload.eq(consumed[:slot_bits]),
            offers.eq(held | (~opening & (outstanding != MOST_OUTSTANDING))),
            self.commands.payload.eq(words_in.words.payload),
            self.commands.valid.eq(words_in.words.valid & offers),
            words_in.words.ready.eq(self.commands.ready & offers),
        ]
        m.d.sync += held.eq(self.commands.valid & ~self.commands.ready)
        with m.If(slots_in.slots.ready & slots_in.slots.valid):
            m.d.sync += consumed.eq(consumed + 1)

        # --- from the core, by a slot, to the line -----------------------------------------------------------
        writer, slots_out = ChunkWriter(buffers), SlotReader(buffers)
        m.submodules.writer, m.submodules.slots_out = restart(writer), restart(slots_out)
        m.submodules.outgoing = outgoing = SlotMemory(buffers)
        m.submodules.sender = sender = PacketSender()
        m.submodules.stuffer = stuffer = Stuffer()
        m.submodules.symbols = symbols = StreamRegister(sender.symbols.payload.shape())
        connect(m, sender.symbols, symbols.source)
        connect(m, symbols.sink, stuffer.symbols)
        connect(m, stuffer.bytes, wiring.flipped(self.sent))
        rests, is_sent = Signal(), Signal()
        # A slot that is acknowledged while it is sent a second time is not written until that is over.
        is_read = reading & (to_send[:slot_bits] == filled[:slot_bits])
        m.d.comb += [
            is_sent.eq(to_send == filled),
            rests.eq(~sending & ~again & ~Cat(owed.values()).any()),
            writer.words.payload.eq(self.responses.payload),
            writer.words.valid.eq(self.responses.valid & ~opening),
            self.responses.ready.eq(writer.words.ready | opening),
            writer.room.eq(((filled - first)[:near] != buffers.slots) & ~is_read),
            writer.flush.eq(rests & is_sent),
            outgoing.write.eq(writer.write.en),
            outgoing.write_address.eq(Cat(writer.write.address, filled[:slot_bits])),
            outgoing.write_data.eq(writer.write.data),
            outgoing.read_address.eq(slots_out.address),
            slots_out.data.eq(outgoing.read_data),
            slots_out.slots.valid.eq(reading),
            slots_out.slots.payload.eq(to_send[:slot_bits]),
        ]
        with m.If(writer.closed):
            m.d.sync += filled.eq(filled + 1)
        taken = self.commands.valid & self.commands.ready & self.commands.payload.last
        answered = self.responses.valid & self.responses.ready & self.responses.payload.last
        m.d.sync += outstanding.eq(outstanding + taken - answered)

        # --- what is sent, one packet after the other --------------------------------------------------------
        packet = Signal.like(sender.packets.payload)
        sizes = (LINK_VERSION, buffers.slots, buffers.slot_bytes // 8)
        about = Cat(session, *(C(size, 8) for size in sizes))
        place = Signal(range(len(about) // 8))
        m.d.comb += [
            sender.packets.valid.eq(sending),
            sender.packets.payload.eq(packet),
            slots_out.bytes.ready.eq(sender.payload.ready & sends_data),
        ]
        with m.If(sends_data):
            m.d.comb += [
                sender.payload.valid.eq(slots_out.bytes.valid),
                sender.payload.payload.eq(slots_out.bytes.payload),
            ]
        with m.Else():
            m.d.comb += [
                sender.payload.valid.eq(1),
                sender.payload.payload.data.eq(about.word_select(place, 8)),
                sender.payload.payload.last.eq(place == len(about) // 8 - 1),
            ]
            with m.If(sender.payload.ready):
                m.d.sync += place.eq(place + 1)
        with m.If(slots_out.slots.ready):
            m.d.sync += reading.eq(0)

        def send(kind: Kind, number: Signal) -> list[object]:
            """Begin a packet."""
            return [
                Cat(packet.header).eq(Cat(C(kind, 8), number, expected, limit)),
                packet.has_payload.eq(kind in (Kind.DATA, Kind.OPENED)),
                sends_data.eq(kind == Kind.DATA),
                sending.eq(1),
                told.eq(limit),
                place.eq(0),
            ]

        with m.If(sending), m.If(sender.packets.ready):
            m.d.sync += sending.eq(0)
            with m.If(sends_data):
                m.d.sync += to_send.eq(to_send + 1)
        with m.Elif(again | ((filled - to_send)[:near] > (filled - first)[:near])):
            m.d.sync += [again.eq(0), to_send.eq(first)]
        for kind, owes in owed.items():
            with m.Elif(owes):
                m.d.sync += [*send(kind, asked), owes.eq(0)]
        with m.Elif(~is_sent & ~opening):
            m.d.sync += [*send(Kind.DATA, to_send), reading.eq(1)]
        with m.Elif((limit - told)[:near] >= buffers.slots // 2):
            m.d.sync += send(Kind.STATUS, asked)

        # --- what a packet does ------------------------------------------------------------------------------
        came = receiver.packets.payload
        ahead = (came.number - expected)[:8]
        is_next = (ahead == 0) & ((expected - consumed)[:near] != buffers.window)
        drained, timer = Signal(), Signal(range(2 * RESET_CYCLES))
        m.d.comb += drained.eq(~held & ~sending & (outstanding == 0))
        with m.FSM():
            with m.State("OPEN"), m.If(receiver.packets.valid):
                with m.If(came.damaged):
                    m.d.comb += self.lost.eq(1)
                    with m.If(is_open):
                        m.d.sync += owed[Kind.LOST].eq(1)
                with m.Elif((came.kind == Kind.OPEN) | (came.kind == Kind.RESUME)):
                    with m.If(is_open & (came.session == session)):
                        m.d.sync += owed[Kind.OPENED].eq(1)
                    with m.Elif(came.kind == Kind.OPEN):
                        m.d.sync += [session.eq(came.session), opening.eq(1)]
                        m.next = "DRAIN"
                    with m.Else():
                        m.d.sync += owed[Kind.CLOSED].eq(1)
                with m.Elif(~is_open):
                    m.d.sync += owed[Kind.CLOSED].eq(1)
                with m.Else():
                    with m.If((came.acknowledged - first)[:8] <= (filled - first)[:8]):
                        m.d.sync += first.eq(came.acknowledged)
                    with m.Switch(came.kind):
                        with m.Case(Kind.DATA):
                            with m.If(is_next):
                                m.d.sync += expected.eq(expected + 1)
                            with m.Else():
                                m.d.comb += self.lost.eq(1)
                                m.d.sync += Mux(ahead[-1], owed[Kind.STATUS], owed[Kind.LOST]).eq(1)
                        with m.Case(Kind.ASK, Kind.AGAIN):
                            m.d.sync += [asked.eq(came.number), owed[Kind.STATUS].eq(1)]
                            with m.If(came.kind == Kind.AGAIN):
                                m.d.sync += again.eq(1)
            with m.State("DRAIN"), m.If(drained):
                m.d.comb += begins.eq(1)
                counts = (expected, consumed, first, to_send, filled, asked, again, *owed.values())
                m.d.sync += [*(count.eq(0) for count in counts), told.eq(buffers.window), timer.eq(0)]
                m.next = "RESET"
            with m.State("RESET"):
                m.d.sync += [self.core_reset.eq(timer < RESET_CYCLES), timer.eq(timer + 1)]
                with m.If(timer == 2 * RESET_CYCLES - 1):
                    m.d.sync += [opening.eq(0), is_open.eq(1), owed[Kind.OPENED].eq(1)]
                    m.next = "OPEN"
        m.d.comb += [
            self.working.eq(outstanding != 0),
            self.busy.eq(~rests | ~is_sent | opening | self.working | (expected != consumed)),
        ]
        return m


class SlotMemory(wiring.Component):
    """The slots of a direction: a byte is written and another read in every cycle.

    What is read lies at the address of the cycle before. A byte that is read while it is written does not count.

    Parameters
    ----------
    buffers: sizes.

    Members
    -------
    write: In; with write_address, write_data: In; a byte.
    read_address: In; read_data: Out.
    """

    def __init__(self, buffers: Buffers) -> None:
        self.buffers = buffers
        address = range(buffers.slots * buffers.slot_bytes)
        super().__init__(
            {
                "write": In(1),
                "write_address": In(address),
                "write_data": In(8),
                "read_address": In(address),
                "read_data": Out(8),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        depth = self.buffers.slots * self.buffers.slot_bytes
        m.submodules.memory = memory = Memory(shape=8, depth=depth, init=[], attrs={NO_COLLISION: 1})
        writer, reader = memory.write_port(), memory.read_port(domain="comb")
        m.d.comb += [
            writer.en.eq(self.write),
            writer.addr.eq(self.write_address),
            writer.data.eq(self.write_data),
            reader.addr.eq(self.read_address),
        ]
        output = Signal(8, reset_less=True)
        m.d.sync += output.eq(reader.data)
        m.d.comb += self.read_data.eq(output)
        return m
