"""The device: commands in, responses out (docs/protocol.md, docs/architecture.md)."""

from __future__ import annotations

from amaranth import Array, Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out, connect

from golden.config import DeviceConfig
from golden.protocol import (
    FLAG_ACTIVITY,
    FLAG_GIVEN,
    POLICY_FLAGS,
    WORD_BITS,
    Command,
    Status,
    info_values,
    split,
    words_of,
)
from hdl.decision import Decision
from hdl.layouts import WORD
from hdl.memory import ParameterMemory
from hdl.observations import ObservationQueue
from hdl.options import CoreOptions
from hdl.reader import CommandReader

INFO_VALUE_WORDS = 2
"""Words of each value of ``INFO``."""


class Core(wiring.Component):
    """The whole device behind one stream of command words and one of response words.

    Golden twin: :class:`golden.server.FrameServer`, to the bit, but for the cycles and stalls that only hardware has.

    Takes a word in every cycle until a frame is whole; the next frame is taken while the response is sent. Waits for
    ever for the rest of a frame and for its response to be taken. A reset in the middle of anything drops the
    transaction and leaves the parameters as they are. The first word of the answer to ``LOAD`` and ``INFO`` is offered
    :attr:`latency` cycles after the last word of the frame has been taken.

    Parameters
    ----------
    config: the device.
    options: speed and area.

    Members
    -------
    commands: In(stream of :data:`hdl.layouts.WORD`).
    responses: Out(stream of :data:`hdl.layouts.WORD`).
    """

    latency = 3
    """Cycles from the last word of a frame that needs no work to its answer."""

    def __init__(self, config: DeviceConfig, options: CoreOptions | None = None) -> None:
        self.config, self.options = config, options or CoreOptions()
        self._decision = Decision(config, self.options)
        super().__init__({"commands": In(stream.Signature(WORD)), "responses": Out(stream.Signature(WORD))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        m.submodules.reader = reader = CommandReader(config)
        m.submodules.queue = queue = ObservationQueue(config)
        m.submodules.memory = memory = ParameterMemory(config)
        m.submodules.decision = decision = self._decision
        connect(m, wiring.flipped(self.commands), reader.commands)
        connect(m, reader.put, queue.put)
        connect(m, queue.entries, decision.observations)
        connect(m, decision.fetch, memory.fetch)
        request = reader.requests.payload
        m.d.comb += [
            queue.clear.eq(reader.clear),
            queue.rewind.eq(decision.rewind),
            decision.no_observations.eq(queue.empty),
            reader.given_group.eq(decision.given_group),
            decision.given_winner.eq(reader.given_winner),
            decision.starts.payload.nonce.eq(request.nonce),
            decision.starts.payload.policy.eq(request.flags & POLICY_FLAGS),
            decision.starts.payload.given.eq((request.flags & FLAG_GIVEN).any()),
            decision.starts.payload.activity.eq((request.flags & FLAG_ACTIVITY).any()),
            memory.load.payload.eq(request.place),
            memory.reads.payload.row.eq(request.place.row),
            memory.reads.payload.word.eq(request.place.word),
        ]

        # --- what is sent ------------------------------------------------------------------------------------
        info = [
            word
            for value in info_values(config, self.options.softmax_lanes).values()
            for word in split(value, INFO_VALUE_WORDS)
        ]
        m.submodules.info = info_memory = Memory(shape=WORD_BITS, depth=len(info), init=info)
        info_word = info_memory.read_port(domain="comb")
        weight_words = words_of(config.weight_bits)
        lane, part = Signal(range(max(config.lanes, 2))), Signal(range(max(weight_words, 2)))
        index = Signal(range(len(info)))
        weight = Array(memory.words.payload[i] for i in range(config.lanes))[lane]
        answered, failed = Signal(8), Signal(8)
        out, out_valid, advance, sends = Signal(WORD), Signal(), Signal(), Signal()
        word = Signal(WORD)
        m.d.comb += [
            info_word.addr.eq(index),
            self.responses.valid.eq(out_valid),
            self.responses.payload.eq(out),
            advance.eq(~out_valid | self.responses.ready),
        ]
        with m.If(advance):
            m.d.sync += [out_valid.eq(sends), out.eq(word)]

        with m.FSM():
            with m.State("REQUEST"):
                m.d.sync += [
                    answered.eq(request.command),
                    failed.eq(request.status),
                    index.eq(0),
                    lane.eq(0),
                    part.eq(0),
                ]
                with m.If(reader.requests.valid):
                    with m.If((request.status == Status.OK) & (request.command == Command.INFER)):
                        m.d.comb += decision.starts.valid.eq(1)
                        with m.If(decision.starts.ready):
                            m.next = "DECIDE"
                    with m.Else():
                        m.d.comb += [
                            reader.requests.ready.eq(1),
                            memory.load.valid.eq((request.status == Status.OK) & (request.command == Command.LOAD)),
                            memory.reads.valid.eq((request.status == Status.OK) & (request.command == Command.READ)),
                        ]
                        m.next = "HEADER"
            with m.State("DECIDE"):
                m.d.comb += reader.requests.ready.eq(decision.done)
                with m.If(decision.done):
                    m.next = "HEADER"
            with m.State("HEADER"):
                is_short = (failed != Status.OK) | (answered == Command.LOAD)
                m.d.comb += [sends.eq(1), word.data.eq(Cat(answered, failed)), word.last.eq(is_short)]
                with m.If(advance):
                    with m.If(is_short):
                        m.next = "REQUEST"
                    with m.Elif(answered == Command.INFO):
                        m.next = "INFO"
                    with m.Elif(answered == Command.READ):
                        m.next = "WEIGHTS"
                    with m.Else():
                        m.next = "RESULTS"
            with m.State("INFO"):
                m.d.comb += [sends.eq(1), word.data.eq(info_word.data), word.last.eq(index == len(info) - 1)]
                with m.If(advance):
                    m.d.sync += index.eq(index + 1)
                    with m.If(word.last):
                        m.next = "REQUEST"
            with m.State("WEIGHTS"):
                ends = part == weight_words - 1
                m.d.comb += [
                    sends.eq(memory.words.valid),
                    word.data.eq(weight >> (part * WORD_BITS)),
                    word.last.eq(ends & (lane == config.lanes - 1)),
                    memory.words.ready.eq(advance & word.last),
                ]
                with m.If(advance & sends):
                    m.d.sync += [part.eq(Mux(ends, 0, part + 1)), lane.eq(lane + ends)]
                    with m.If(word.last):
                        m.next = "REQUEST"
            with m.State("RESULTS"):
                m.d.comb += [
                    sends.eq(decision.words.valid),
                    word.eq(decision.words.payload),
                    decision.words.ready.eq(advance),
                ]
                with m.If(advance & sends & word.last):
                    m.next = "REQUEST"
        return m
