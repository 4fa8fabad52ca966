"""The device: commands in, responses out (docs/protocol.md, docs/architecture.md)."""

from __future__ import annotations

from typing import Any

from amaranth import Cat, Module, Mux, ResetInserter, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out, connect

from golden.config import DeviceConfig
from golden.protocol import (
    COUNTER_WORDS,
    FLAG_ACTIVITY,
    FLAG_COUNTERS,
    FLAG_GIVEN,
    FLAG_SPIKES,
    INFO_VALUE_WORDS,
    POLICY_FLAGS,
    RULE_FLAGS,
    SECTION_NAMES,
    UPDATE_ARGUMENTS,
    WORD_BITS,
    Command,
    Section,
    Status,
    info_values,
    split,
    words_of,
)
from hdl import clocks
from hdl.decision import Decision
from hdl.layouts import WORD
from hdl.memory import ROW_BLOCK, RowMemory, row_address, row_addresses
from hdl.observations import ObservationQueue
from hdl.options import CoreOptions
from hdl.pipeline import StreamRegister
from hdl.reader import CommandReader
from hdl.spike_decision import SpikeDecision
from hdl.update import Updater


class Core(wiring.Component):
    """The whole device behind one stream of command words and one of response words.

    Golden twin: :class:`golden.server.FrameServer`, to the bit, but for the cycles and stalls that only hardware has.

    Takes a word in every cycle until a frame is whole; the next frame is taken while the response is sent. Waits for
    ever for the rest of a frame and for its response to be taken. A reset in the middle of anything drops the
    transaction and leaves the parameters as they are. The first word of the answer to ``INFO`` is offered
    :attr:`latency` cycles after the last word of the frame has been taken, that to ``LOAD`` one cycle later.

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
        self.config, self.options = config, options or CoreOptions.usual(config)
        self._decision = (SpikeDecision if config.spikes else Decision)(config, self.options)
        super().__init__({"commands": In(stream.Signature(WORD)), "responses": Out(stream.Signature(WORD))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, abilities = self.config, self.options.abilities.within(self.config)
        learns = abilities.learns
        m.submodules.reader = reader = CommandReader(config, abilities)
        m.submodules.queue = queue = ObservationQueue(config)
        bank_words = ROW_BLOCK if self.options.banked else 0
        memories = {
            section: RowMemory(
                config,
                section,
                # What several words are fetched from is a memory of its own.
                bank_words=bank_words if section == Section.WEIGHT and self.options.words == 1 else 0,
                writes_learn=learns,
            )
            for section in abilities.sections
        }
        for section, memory in memories.items():
            own = {Section.ACC: clocks.LEARN, Section.MOMENT: clocks.UPDATE}.get(section)
            m.submodules[SECTION_NAMES[section]] = clocks.within(own, memory, platform) if own else memory
        m.submodules.decision = decision = self._decision
        connect(m, wiring.flipped(self.commands), reader.commands)
        connect(m, reader.put, queue.put)
        entries = queue.entries
        if not config.spikes and self.options.wide(config).row_words > 1:
            # A block memory is slow, and much is to be done with what comes from it. The register costs nothing: the
            # words of the biases take longer than the first observation.
            step = StreamRegister(entries.payload.shape())
            m.submodules.step = ResetInserter(queue.rewind)(step)
            connect(m, entries, step.source)
            entries = step.sink
        connect(m, entries, decision.observations)
        request = reader.requests.payload
        m.d.comb += [
            queue.clear.eq(reader.clear),
            queue.rewind.eq(decision.rewind),
            decision.observation_count.eq(queue.count),
            reader.given_group.eq(decision.given_group),
            decision.given_winner.eq(reader.given_winner),
            decision.starts.payload.nonce.eq(request.nonce),
            decision.starts.payload.policy.eq(request.flags & POLICY_FLAGS),
            decision.starts.payload.given.eq((request.flags & FLAG_GIVEN).any()),
            decision.starts.payload.activity.eq((request.flags & FLAG_ACTIVITY).any()),
            decision.starts.payload.spikes.eq((request.flags & FLAG_SPIKES).any()),
        ]

        # --- the memories: network, update, and what is loaded and read back, never at the same time ----------
        # The request's row word, which is there a cycle after the request.
        place = Signal(row_addresses(config))
        m.d.sync += place.eq(row_address(config, request.place.row, request.place.word))
        loads, reads, updating = Signal(), Signal(), Signal()
        for section, memory in memories.items():
            wanted = request.flags == section
            m.d.comb += [
                memory.fetch.en.eq(reads & wanted),
                memory.fetch.address.eq(place),
                memory.write.en.eq(loads & wanted),
                memory.write.address.eq(place),
                *(memory.write.data[lane].eq(request.values[lane]) for lane in range(config.lanes)),
            ]
        # Whose the memories are; registers, because that goes to every bit of an address.
        deciding = Signal()
        weights = memories[Section.WEIGHT]
        if self.options.words > 1:
            m.submodules.wide = wide = RowMemory(
                config, words=self.options.words, bank_words=bank_words, writes_learn=learns
            )
            connect(m, decision.fetch, wide.fetch)
            m.d.comb += attach(weights.write, wide.write)
        else:
            m.d.comb += decision.fetch.data.eq(weights.fetch.data)
            with m.If(deciding):
                m.d.comb += attach(decision.fetch, weights.fetch)
        if learns:
            with m.If(deciding):
                m.d.comb += [
                    *attach(decision.acc_fetch, memories[Section.ACC].fetch),
                    *attach(decision.acc_write, memories[Section.ACC].write),
                ]
            updater = Updater(config, abilities, banked=memories[Section.WEIGHT].bank_words > 0)
            m.submodules.updater = clocks.within(clocks.UPDATE, updater, platform)
            connect(m, updater.share, decision.share)
            job = updater.starts.payload
            m.d.comb += [
                decision.acc_fetch.data.eq(memories[Section.ACC].fetch.data),
                decision.samples.payload.rule.eq(request.flags & RULE_FLAGS),
                decision.samples.payload.counters.eq((request.flags & FLAG_COUNTERS).any()),
                decision.samples.payload.modulator.eq(request.modulator),
                *([decision.samples.payload.nonce.eq(request.nonce)] if config.spikes else []),
                job.clear.eq(request.command == Command.CLEAR),
                job.optimiser.eq(request.flags),
                *(job[name].eq(request.update[i]) for i, name in enumerate(UPDATE_ARGUMENTS)),
            ]
            for section, memory in memories.items():
                fetch, write = updater.fetch[section], updater.write[section]
                m.d.comb += fetch.data.eq(memory.fetch.data)
                with m.If(updating):
                    m.d.comb += [*attach(fetch, memory.fetch), *attach(write, memory.write)]

        # --- what is sent ------------------------------------------------------------------------------------
        info = [
            word
            for value in info_values(config, self.options.softmax_lanes, abilities).values()
            for word in split(value, INFO_VALUE_WORDS)
        ]
        m.submodules.info = info_memory = Memory(shape=WORD_BITS, depth=len(info), init=info)
        info_word = info_memory.read_port(domain="comb")
        index = Signal(range(len(info)))
        lane, part = Signal(range(max(config.lanes, 2))), Signal(range(4))
        # The value that is read back, that of the first lane, whole words wide; the number of its words but one. Moving
        # on to the next lane goes to every bit of a word, so that comes from a register, and until then the next lane
        # is the second.
        value, final_part, shifts, shifting = Signal(WORD_BITS * 4), Signal.like(part), Signal(), Signal()
        m.d.sync += shifting.eq(shifts)
        answered, failed, flags = Signal(8), Signal(8), Signal(8)
        out, out_valid, advance, sends = Signal(WORD), Signal(), Signal(), Signal()
        word = Signal(WORD)
        m.d.comb += [
            info_word.addr.eq(index),
            self.responses.valid.eq(out_valid),
            self.responses.payload.eq(out),
            advance.eq(~out_valid | self.responses.ready),
        ]
        with m.Switch(flags):
            for section, memory in memories.items():
                values = memory.fetch.data
                with m.Case(section):
                    m.d.comb += [
                        value.eq(Mux(shifting, values[min(1, config.lanes - 1)], values[0])),
                        memory.shifts.eq(shifting),
                        final_part.eq(words_of(values.shape().elem_shape.width) - 1),
                    ]
        with m.If(advance):
            m.d.sync += [out_valid.eq(sends), out.eq(word)]
        # The reader hears a cycle later of a request that is finished, while its answer begins: much follows from both.
        finished = Signal()
        m.d.sync += reader.requests.ready.eq(finished)

        with m.FSM() as states:
            if learns:
                # Memories, and what learns, have work to do at any time but these.
                rests = Signal()
                waits = states.ongoing("REQUEST") & (~reader.requests.valid | (request.command == Command.INFER))
                m.d.comb += rests.eq(waits | deciding | states.ongoing("RESULTS"))
                clocks.add_clock(m, clocks.LEARN, platform, ~rests | decision.learning)
                clocks.add_clock(m, clocks.UPDATE, platform, ~rests)
            with m.State("REQUEST"):
                m.d.sync += [
                    answered.eq(request.command),
                    failed.eq(request.status),
                    flags.eq(request.flags),
                    index.eq(0),
                    lane.eq(0),
                    part.eq(0),
                ]
                with m.If(reader.requests.valid):
                    with m.If(request.status != Status.OK):
                        m.d.comb += finished.eq(1)
                        m.next = "HEADER"
                    with m.Elif(request.command == Command.INFER):
                        m.d.comb += decision.starts.valid.eq(1)
                        with m.If(decision.starts.ready):
                            m.d.sync += deciding.eq(1)
                            m.next = "DECIDE"
                    if learns:
                        with m.Elif(request.command == Command.LEARN):
                            m.d.comb += decision.samples.valid.eq(1)
                            with m.If(decision.samples.ready):
                                m.d.sync += deciding.eq(1)
                                m.next = "DECIDE"
                        with m.Elif((request.command == Command.APPLY) | (request.command == Command.CLEAR)):
                            m.d.sync += updating.eq(1)
                            m.next = "UPDATES"
                    with m.Elif(request.command == Command.INFO):
                        m.d.comb += finished.eq(1)
                        m.next = "HEADER"
                    with m.Else():
                        m.next = "MEMORY"
            with m.State("MEMORY"):
                m.d.comb += [
                    finished.eq(1),
                    loads.eq(request.command == Command.LOAD),
                    reads.eq(request.command == Command.READ),
                ]
                m.next = "HEADER"
                if weights.bank_words:
                    with m.If(reads):
                        m.next = "FETCH"
            if weights.bank_words:
                # A fetch from banks takes a cycle more than the header.
                with m.State("FETCH"):
                    m.next = "HEADER"
            with m.State("DECIDE"):
                m.d.comb += finished.eq(decision.done)
                with m.If(decision.done):
                    m.d.sync += deciding.eq(0)
                    m.next = "HEADER"
            if learns:
                with m.State("UPDATES"):
                    m.d.comb += updater.starts.valid.eq(1)
                    with m.If(updater.starts.ready):
                        m.next = "UPDATE"
                with m.State("UPDATE"):
                    m.d.comb += finished.eq(updater.done)
                    with m.If(updater.done):
                        m.d.sync += updating.eq(0)
                        m.next = "HEADER"
            with m.State("HEADER"):
                is_short = (
                    (failed != Status.OK)
                    | (answered == Command.LOAD)
                    | (answered == Command.CLEAR)
                    | ((answered == Command.LEARN) & ~(flags & FLAG_COUNTERS).any())
                )
                m.d.comb += [sends.eq(1), word.data.eq(Cat(answered, failed)), word.last.eq(is_short)]
                with m.If(advance):
                    with m.If(is_short):
                        m.next = "REQUEST"
                    with m.Elif(answered == Command.INFO):
                        m.next = "INFO"
                    with m.Elif(answered == Command.READ):
                        m.next = "VALUES"
                    if learns:
                        with m.Elif(answered == Command.APPLY):
                            m.next = "CYCLES"
                    with m.Else():
                        m.next = "RESULTS"
            with m.State("INFO"):
                m.d.comb += [sends.eq(1), word.data.eq(info_word.data), word.last.eq(index == len(info) - 1)]
                with m.If(advance):
                    m.d.sync += index.eq(index + 1)
                    with m.If(word.last):
                        m.next = "REQUEST"
            with m.State("VALUES"):
                # The row word was fetched with the request, and stays.
                ends = part == final_part
                m.d.comb += [
                    sends.eq(1),
                    word.data.eq(value.word_select(part, WORD_BITS)),
                    word.last.eq(ends & (lane == config.lanes - 1)),
                    shifts.eq(advance & ends),
                ]
                with m.If(advance):
                    m.d.sync += [part.eq(Mux(ends, 0, part + 1)), lane.eq(lane + ends)]
                    with m.If(word.last):
                        m.next = "REQUEST"
            if learns:
                with m.State("CYCLES"):
                    m.d.comb += [
                        sends.eq(1),
                        word.data.eq(updater.cycles.word_select(part[0], WORD_BITS)),
                        word.last.eq(part == COUNTER_WORDS - 1),
                    ]
                    with m.If(advance):
                        m.d.sync += part.eq(part + 1)
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


def attach(port: wiring.PureInterface, memory: wiring.PureInterface) -> list[Any]:
    """Statements by which a memory follows a port that fetches or writes."""
    driven = [(memory.en, port.en), (memory.address, port.address)]
    if memory.signature.members["data"].flow == In:
        driven += zip(memory.data, port.data, strict=True)
    return [target.eq(value) for target, value in driven]
