"""The event engine: weight rows enter the potentials (docs/numerics.md, "Inference")."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth import Array, C, Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.config import DeviceConfig
from golden.errors import SvpgError
from hdl.layouts import Scan, event, event_bits, potential_beat, row_word, word_index
from hdl.pipeline import delay

COUNTER_BITS = 32
"""Bits of every counter; they wrap."""


@dataclass(frozen=True)
class ScanBeat:
    """Where a beat of potentials lies: ``size`` columns from ``offset`` in ``word`` on."""

    word: int
    offset: int
    size: int
    last: bool


def scan_beats(config: DeviceConfig, lanes: int) -> list[ScanBeat]:
    """Every beat of a scan of all groups, in order."""
    beats = []
    for low, high in zip(config.group_start[:-1].tolist(), config.group_start[1:].tolist(), strict=True):
        for column in range(low, high, lanes):
            word, offset = divmod(column, config.lanes)
            beats.append(ScanBeat(word, offset, min(lanes, high - column), high - column <= lanes))
    return beats


class EventEngine(wiring.Component):
    """Weights, potentials, and the multipliers that bring events from the first into the second.

    Golden twins: :func:`golden.kernels.add_event`, and the drive by the biases in :func:`golden.kernels.feed_forward`;
    ``events`` and ``row_words`` count as golden does. Every value of the event's format is allowed; sums wrap as the
    contract says.

    One row word enters the potentials in every cycle, whatever the mixture of events, as long as events are offered; an
    event that reaches no column, or has the value 0, costs one cycle. Events wait while potentials are scanned.

    The first beat of a scan comes :attr:`latency` + w - 1 cycles after the event that asks for it is taken, w being the
    words of that event's span; after an event of no word, :attr:`latency` - 2 cycles if nothing else is in work. The
    other beats follow without a pause.

    Multipliers: ``config.lanes``, between registers behind the weight memory.

    Parameters
    ----------
    config: sizes, formats, ``lanes`` weights per word.
    scan_lanes: neurons per beat of potentials, at most ``config.lanes``, so that a beat lies in two words at most.

    Members
    -------
    load: In(stream of :func:`hdl.layouts.row_word`); always ready, but for times when no event is in work.
    events: In(stream of :func:`hdl.layouts.event`).
    beats: Out(stream of :func:`hdl.layouts.potential_beat`); lanes without a neuron hold anything.
    event_count, word_count: Out; events and row words since the last bias event, which does not count.
    cycle_count, stall_count: Out; cycles since then, and those of them in which an event waited or was in work, but no
        word was read.
    """

    latency = 6
    """Cycles from an event of one word that asks for potentials to the first beat of them."""

    def __init__(self, config: DeviceConfig, *, scan_lanes: int) -> None:
        if not 1 <= scan_lanes <= config.lanes:
            raise SvpgError(
                f"scan_lanes = {scan_lanes} is not possible; give 1 to {config.lanes}, the lanes of a row word"
            )
        self.config, self.scan_lanes = config, scan_lanes
        super().__init__(
            {
                "load": In(stream.Signature(row_word(config))),
                "events": In(stream.Signature(event(config))),
                "beats": Out(stream.Signature(potential_beat(config, scan_lanes))),
                "event_count": Out(COUNTER_BITS),
                "word_count": Out(COUNTER_BITS),
                "cycle_count": Out(COUNTER_BITS),
                "stall_count": Out(COUNTER_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, lanes, words = self.config, self.config.lanes, self.config.row_words
        weights = data.ArrayLayout(signed(config.weight_bits), lanes)
        potentials = data.ArrayLayout(signed(config.potential_bits), lanes)
        m.submodules.weight = weight = Memory(shape=weights, depth=(config.sources + 1) * words, init=[])
        m.submodules.potential = potential = Memory(shape=potentials, depth=len(word_index(config)), init=[])

        load = weight.write_port()
        m.d.comb += [
            self.load.ready.eq(1),
            load.en.eq(self.load.valid),
            load.addr.eq(self.load.payload.row * words + self.load.payload.word),
            load.data.eq(self.load.payload.weight),
        ]

        # --- the span of an event's source --------------------------------------------------------------
        offered = self.events.payload
        spans = [(low, high) for low, high in config.spans.tolist()]
        is_bias = Signal()
        some, first_word, last_word = Signal(), Signal(word_index(config)), Signal(word_index(config))
        m.d.comb += is_bias.eq(offered.source == config.sources)

        def span(low: int, high: int) -> list[object]:
            if high <= low:
                return [some.eq(0)]
            return [some.eq(1), first_word.eq(low // lanes), last_word.eq((high - 1) // lanes)]

        with m.If(is_bias):
            m.d.comb += span(0, config.neurons)
        with m.Elif(offered.source < config.hidden):
            m.d.comb += span(*spans[0])
        with m.Elif(offered.source < config.neurons):
            m.d.comb += span(*spans[1])
        with m.Else():
            m.d.comb += span(*spans[2])
        with m.If(offered.value == 0):
            m.d.comb += some.eq(0)

        # --- the event in work: one word per cycle ---------------------------------------------------------
        busy, reading = Signal(), Signal()
        address = Signal(range((config.sources + 1) * words))
        word, final_word = Signal(word_index(config)), Signal(word_index(config))
        value, sets = Signal(signed(event_bits(config))), Signal()
        wanted = Signal(Scan.ALL.bit_length())
        scanning, ends, taken = Signal(), Signal(), Signal()
        m.d.comb += [
            ends.eq(busy & (~reading | (word == final_word))),
            self.events.ready.eq(~scanning & (~busy | (ends & (wanted == Scan.NONE)))),
            taken.eq(self.events.valid & self.events.ready),
        ]
        with m.If(taken):
            m.d.sync += [
                busy.eq(1),
                reading.eq(some),
                address.eq(offered.source * words + first_word),
                word.eq(first_word),
                final_word.eq(last_word),
                value.eq(offered.value),
                sets.eq(is_bias),
                wanted.eq(offered.scan),
            ]
        with m.Elif(ends):
            m.d.sync += busy.eq(0)
        with m.Else():
            m.d.sync += [address.eq(address + 1), word.eq(word + 1)]

        # --- memory, register, product, sum ----------------------------------------------------------------
        issues = Signal()
        fetch = weight.read_port()
        m.d.comb += [issues.eq(busy & reading), fetch.addr.eq(address), fetch.en.eq(issues)]
        valid = [Signal(name=f"valid{i}") for i in range(3)]
        target = [Signal(word_index(config), name=f"target{i}") for i in range(3)]
        factor = [Signal.like(value, name=f"factor{i}") for i in range(2)]
        replaces = [Signal(name=f"replaces{i}") for i in range(3)]
        row = Signal(weights)
        m.d.sync += [
            valid[0].eq(issues),
            target[0].eq(word),
            factor[0].eq(value),
            replaces[0].eq(sets),
            *delay(valid),
            *delay(target),
            *delay(factor),
            *delay(replaces),
            row.eq(fetch.data),
        ]
        now, then = potential.read_port(domain="comb"), potential.write_port()
        m.d.comb += [then.en.eq(valid[-1]), then.addr.eq(target[-1])]
        for lane in range(lanes):
            product = Signal(signed(event_bits(config) + config.weight_bits), name=f"product{lane}")
            m.d.sync += product.eq(row[lane] * factor[-1])
            m.d.comb += then.data[lane].eq(Mux(replaces[-1], 0, now.data[lane]) + product)

        # --- scan: a table tells where each beat lies ------------------------------------------------------
        beats = scan_beats(config, self.scan_lanes)
        hidden_beats = sum(beat.word * lanes + beat.offset < config.hidden for beat in beats)
        offsets = sorted({beat.offset for beat in beats})
        entry = data.StructLayout(
            {"word": word_index(config), "offset": range(max(len(offsets), 2)), "keep": self.scan_lanes, "last": 1}
        )
        m.submodules.places = places = Memory(
            shape=entry,
            depth=len(beats),
            init=[
                {
                    "word": beat.word,
                    "offset": offsets.index(beat.offset),
                    "keep": (1 << beat.size) - 1,
                    "last": int(beat.last),
                }
                for beat in beats
            ],
        )
        look = places.read_port()
        number, stop = Signal(range(len(beats) + 1)), Signal(range(len(beats)))
        looks, found, found_final = Signal(), Signal(), Signal()
        out_valid, out = Signal(), Signal(potential_beat(config, self.scan_lanes))
        advance = Signal()
        m.d.comb += [
            advance.eq(~out_valid | self.beats.ready),
            # The last word may be on its way into the potentials: they are read one cycle later.
            looks.eq(scanning & (number <= stop) & ~valid[0] & ~valid[1]),
            look.addr.eq(number),
            look.en.eq(advance),
            now.addr.eq(Mux(found, look.data.word, target[-1])),
            self.beats.valid.eq(out_valid),
            self.beats.payload.eq(out),
        ]
        with m.If(ends & (wanted != Scan.NONE)):
            m.d.sync += [
                scanning.eq(1),
                number.eq(Mux(wanted & Scan.HIDDEN, 0, hidden_beats)),
                stop.eq(Mux(wanted & Scan.ACTION, len(beats) - 1, hidden_beats - 1)),
            ]
        # Columns of the word and, where a beat goes on into the next, of that.
        columns = [now.data[lane] for lane in range(lanes)]
        if any(beat.offset + beat.size > lanes for beat in beats):
            beyond = potential.read_port(domain="comb")
            m.d.comb += beyond.addr.eq(Mux(look.data.word == words - 1, 0, look.data.word + 1))
            columns += [beyond.data[lane] for lane in range(lanes)]
        nothing = C(0, signed(config.potential_bits))
        columns += [nothing] * (offsets[-1] + self.scan_lanes - len(columns))
        with m.If(advance):
            m.d.sync += [
                found.eq(looks),
                found_final.eq(number == stop),
                out_valid.eq(found),
                out.keep.eq(look.data.keep),
                out.last.eq(look.data.last),
                *(
                    out.potential[lane].eq(Array(columns[offset + lane] for offset in offsets)[look.data.offset])
                    for lane in range(self.scan_lanes)
                ),
            ]
            with m.If(looks):
                m.d.sync += number.eq(number + 1)
            with m.If(found & found_final):
                m.d.sync += scanning.eq(0)

        # --- counters --------------------------------------------------------------------------------------
        waits = busy | (self.events.valid & ~self.events.ready)
        m.d.sync += [
            self.event_count.eq(self.event_count + (taken & some)),
            self.word_count.eq(self.word_count + (issues & ~sets)),
            self.cycle_count.eq(self.cycle_count + 1),
            self.stall_count.eq(self.stall_count + (waits & ~issues)),
        ]
        with m.If(taken & some & is_bias):
            m.d.sync += Cat(self.event_count, self.word_count, self.cycle_count, self.stall_count).eq(0)
        return m
