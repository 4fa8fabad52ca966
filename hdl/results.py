"""The results of a decision or a sample and their way out (docs/protocol.md, ``INFER`` and ``LEARN``)."""

from __future__ import annotations

import math

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.config import DeviceConfig
from golden.protocol import COUNTER_WORDS, COUNTERS, LEARN_COUNTERS, WORD_BITS, words_of
from hdl.layouts import WORD, all_beats, all_spikes, winner_bits

COUNT_WORDS = 1 + COUNTER_WORDS * len(COUNTERS)
"""Words of the iterations and the counters of ``INFER``."""

LEARN_COUNT_WORDS = 1 + COUNTER_WORDS * len(LEARN_COUNTERS)
"""The same of ``LEARN``."""

SENDS = data.StructLayout({"activity": 1, "spikes": 1, "learned": 1})
"""What to send: a decision, with the ``activity`` and the ``spikes`` of all steps if set; or, of a sample that was
``learned``, the counts alone."""


class Results(wiring.Component):
    """Winners and action probabilities of the last pass, and the words of a response but its header.

    Golden twin: the response of :meth:`golden.server.FrameServer.exchange`. Of a sample there are counts alone.

    A winner or a beat of probabilities is stored in the cycle it is offered, later ones replace earlier ones. The first
    word is offered :attr:`latency` cycles after ``sends`` has been taken, the others follow without a pause; ``sends``
    is taken a cycle after the last word of the one before, at the earliest. Whoever asks keeps the stored values as
    they are until then.

    Parameters
    ----------
    config: sizes and formats.
    lanes: neurons per beat.

    Members
    -------
    winners: In(stream of {``group``, ``winner``}, always ready).
    group: In; winner: Out: a stored winner in the same cycle, while nothing is sent.
    probabilities: In(stream of {``beat``, ``probability``}, always ready): beats of the action group.
    counts: In; iterations and counters as words, in the order of what is sent.
    peek_address: Out; peek_data: In: stored activities of a beat.
    spike_address: Out; spike: In, one cycle later, in spike mode: winners of all steps, one after the other.
    sends: In(stream of :data:`SENDS`): starts to send.
    words: Out(stream of :data:`hdl.layouts.WORD`).
    """

    latency = 2
    """Cycles from the start of sending to the first word."""

    def __init__(self, config: DeviceConfig, *, lanes: int) -> None:
        self.config, self.lanes = config, lanes
        self._beats = math.ceil(config.actions / lanes)
        probabilities = data.ArrayLayout(config.probability.bits, lanes)
        winner = {"group": range(config.groups + 1), "winner": winner_bits(config)}
        spikes = {"spike_address": Out(range(all_spikes(config))), "spike": In(winner_bits(config))}
        beat = {"beat": range(max(self._beats, 2)), "probability": probabilities}
        super().__init__(
            {
                "winners": In(stream.Signature(data.StructLayout(winner), always_ready=True)),
                "group": In(range(config.groups + 1)),
                "winner": Out(winner_bits(config)),
                "probabilities": In(stream.Signature(data.StructLayout(beat), always_ready=True)),
                "counts": In(data.ArrayLayout(WORD_BITS, LEARN_COUNT_WORDS)),
                "peek_address": Out(range(all_beats(config, lanes))),
                "peek_data": In(data.ArrayLayout(config.activity.bits, lanes)),
                **(spikes if config.spikes else {}),
                "sends": In(stream.Signature(SENDS)),
                "words": Out(stream.Signature(WORD)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, lanes = self.config, self.lanes
        m.submodules.winner = winner = Memory(shape=winner_bits(config), depth=config.groups + 1, init=[])
        m.submodules.probability = probability = Memory(
            shape=data.ArrayLayout(config.probability.bits, lanes), depth=max(self._beats, 2), init=[]
        )
        # Who asks for a winner has a port of its own, so that the way on from there does not begin with what is sent.
        put_winner, get_winner = winner.write_port(), winner.read_port(domain="comb")
        ask_winner = winner.read_port(domain="comb")
        put_beat, get_beat = probability.write_port(), probability.read_port(domain="comb")
        m.d.comb += [
            put_winner.en.eq(self.winners.valid),
            put_winner.addr.eq(self.winners.payload.group),
            put_winner.data.eq(self.winners.payload.winner),
            put_beat.en.eq(self.probabilities.valid),
            put_beat.addr.eq(self.probabilities.payload.beat),
            put_beat.data.eq(self.probabilities.payload.probability),
        ]

        # --- where the next word comes from ----------------------------------------------------------------
        index = Signal(range(max(LEARN_COUNT_WORDS, config.groups + 1)))
        beat, lane = Signal(range(all_beats(config, lanes))), Signal(range(max(lanes, 2)))
        left = Signal(range(max(config.group_size, config.actions)))
        group = Signal(range(config.groups + 1))
        prob_words = words_of(config.probability.bits)
        part = Signal(range(max(prob_words, 2)))
        job = Signal(SENDS)
        word, is_last, advance = Signal(WORD_BITS), Signal(), Signal()
        out, out_valid = Signal(WORD), Signal()
        m.d.comb += [
            advance.eq(~out_valid | self.words.ready),
            get_winner.addr.eq(index),
            ask_winner.addr.eq(self.group),
            self.winner.eq(ask_winner.data),
            get_beat.addr.eq(beat),
            self.peek_address.eq(beat),
            self.words.valid.eq(out_valid),
            self.words.payload.eq(out),
        ]

        spikes = self.config.spikes
        if spikes:
            # The address is a cycle ahead of the spike.
            number, next_number = Signal.like(self.spike_address), Signal.like(self.spike_address)
            m.d.comb += [next_number.eq(number), self.spike_address.eq(next_number)]
            m.d.sync += number.eq(next_number)

        def behind_activity() -> None:
            """The spikes come last, if they are wanted."""
            m.next = "IDLE"
            if spikes:
                with m.If(job.spikes):
                    m.next = "SPIKES"

        def next_neuron() -> None:
            """Go on to the next neuron of the group, or to the group behind it."""
            with m.If(left == 0):
                m.d.sync += [
                    beat.eq(beat + 1),
                    lane.eq(0),
                    group.eq(group + 1),
                    left.eq(Mux(group + 1 == config.groups, config.actions - 1, config.group_size - 1)),
                ]
            with m.Else():
                m.d.sync += left.eq(left - 1)
                with m.If(lane == lanes - 1):
                    m.d.sync += [beat.eq(beat + 1), lane.eq(0)]
                with m.Else():
                    m.d.sync += lane.eq(lane + 1)

        with m.FSM() as steps:
            with m.State("IDLE"):
                # A register says so: what begins with it is spread far.
                m.d.comb += self.sends.ready.eq(~out_valid)
                with m.If(self.sends.valid & self.sends.ready):
                    m.d.sync += [job.eq(self.sends.payload), index.eq(0)]
                    if spikes:
                        m.d.comb += next_number.eq(0)
                    m.next = "COUNTS"
            with m.State("COUNTS"):
                m.d.comb += [
                    word.eq(self.counts[index]),
                    is_last.eq(job.learned & (index == LEARN_COUNT_WORDS - 1)),
                ]
                with m.If(advance):
                    m.d.sync += index.eq(index + 1)
                    with m.If(is_last):
                        m.next = "IDLE"
                    with m.Elif(~job.learned & (index == COUNT_WORDS - 1)):
                        m.d.sync += index.eq(0)
                        m.next = "WINNERS"
            with m.State("WINNERS"):
                m.d.comb += word.eq(get_winner.data)
                with m.If(advance):
                    m.d.sync += index.eq(index + 1)
                    with m.If(index == config.groups):
                        m.d.sync += [beat.eq(0), left.eq(config.actions - 1)]
                        m.next = "PROBABILITIES"
            with m.State("PROBABILITIES"):
                m.d.comb += [
                    word.eq(get_beat.data[lane] >> (part * WORD_BITS)),
                    is_last.eq((left == 0) & (part == prob_words - 1) & ~job.activity & ~job.spikes),
                ]
                with m.If(advance):
                    with m.If(part == prob_words - 1):
                        m.d.sync += part.eq(0)
                        next_neuron()
                        with m.If(left == 0):
                            m.d.sync += [beat.eq(0), group.eq(0), left.eq(config.group_size - 1)]
                            with m.If(job.activity):
                                m.next = "ACTIVITY"
                            with m.Else():
                                behind_activity()
                    with m.Else():
                        m.d.sync += part.eq(part + 1)
            with m.State("ACTIVITY"):
                m.d.comb += [
                    word.eq(self.peek_data[lane]),
                    is_last.eq((left == 0) & (group == config.groups) & ~job.spikes),
                ]
                with m.If(advance):
                    next_neuron()
                    with m.If((left == 0) & (group == config.groups)):
                        behind_activity()
            if spikes:
                with m.State("SPIKES"):
                    m.d.comb += [word.eq(self.spike), is_last.eq(number == all_spikes(config) - 1)]
                    with m.If(advance):
                        m.d.comb += next_number.eq(number + 1)
                        with m.If(is_last):
                            m.next = "IDLE"
        with m.If(advance):
            m.d.sync += [out_valid.eq(~steps.ongoing("IDLE")), out.data.eq(word), out.last.eq(is_last)]
        return m
