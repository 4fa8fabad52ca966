"""The event engine: weight rows enter the potentials (docs/numerics.md, "Inference")."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth import Array, C, Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out, connect, flipped

from golden.config import DeviceConfig
from golden.errors import SvpgError
from hdl.lanes import LaneMultipliers, LaneShifters, as_shift, share_signature, shift_value
from hdl.layouts import Scan, event, event_bits, potential_beat, word_index
from hdl.memory import fetch_latency, fetch_signature, row_address
from hdl.pipeline import delay
from hdl.potentials import Potentials, opening_latency

NEAR = 4
"""Places of beats that a scan chooses among in its first step."""

LANES_PER_FACTOR = 20
"""Lanes that the value of an event goes to from one register."""

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


NO_WORD_LATENCY = 5
"""Cycles from an event of no word that asks for potentials to the first beat of them, nothing else being in work."""


def engine_latency(config: DeviceConfig, banked: bool) -> int:
    """Cycles from an event of one word that asks for potentials to the first beat of them."""
    return fetch_latency(banked) + 4 + opening_latency(config)


class EventEngine(wiring.Component):
    """Potentials, and the multipliers that bring weight rows into them.

    Golden twins: :func:`golden.kernels.add_event`, and the drive by the biases in :func:`golden.kernels.feed_forward`;
    ``events`` and ``row_words`` count as golden does. Every value of the event's format is allowed; sums wrap as the
    contract says. After a reset the first event must be that of the biases.

    One row word enters the potentials in every cycle, whatever the mixture of events, as long as events are offered; an
    event that reaches no column, or has the value 0, costs one cycle.

    Each word of potentials lies in two banks, so events go on while potentials are scanned: a scan shows them as they
    were after the event that asked for it, and what enters later goes into the other bank. Only an event that asks for
    a scan waits, until the scan before has read its last potentials.

    The first beat of a scan comes :attr:`latency` + w - 1 cycles after the event that asks for it is taken, w being the
    words of that event's span; after an event of no word, :data:`NO_WORD_LATENCY` cycles if nothing is in work. The
    other beats follow without a pause.

    In spike mode every value is a power of two or the negative of one (:mod:`hdl.digits`), or 0.

    Multipliers: ``config.lanes``, between registers; none in spike mode unless ``learns``.

    Parameters
    ----------
    config: sizes, formats, ``lanes`` weights per word.
    scan_lanes: neurons per beat of potentials, at most ``config.lanes``, so that a beat lies in two words at most.
    learns: learning may borrow the multipliers.
    banked: weights come from banks (:class:`hdl.memory.RowMemory`).
    words: row words of the device in one of ``config`` (:meth:`hdl.options.CoreOptions.wide`); they are counted.

    Members
    -------
    fetch: Out(:func:`hdl.memory.fetch_signature`); row words of the weights.
    share: In(:func:`hdl.lanes.share_signature`), if ``learns``; used while no event is in work.
    events: In(stream of :func:`hdl.layouts.event`); ``ready`` depends on whether the event asks for a scan.
    beats: Out(stream of :func:`hdl.layouts.potential_beat`); lanes without a neuron hold anything.
    event_count, word_count: Out; events that had been taken before the last cycle, since the last of the biases, which
        does not count, and row words of the device that they reach.
    idle: Out; no event is in work, and no product on its way.
    stall_count: Out; cycles since then in which an event with words was offered and no row word was read.
    """

    def __init__(
        self, config: DeviceConfig, *, scan_lanes: int, learns: bool = False, banked: bool = False, words: int = 1
    ) -> None:
        if not 1 <= scan_lanes <= config.lanes:
            raise SvpgError(
                f"scan_lanes = {scan_lanes} is not possible; give 1 to {config.lanes}, the lanes of a row word"
            )
        self.config, self.scan_lanes, self.learns, self.words = config, scan_lanes, learns, words
        self.banked, self.latency = banked, engine_latency(config, banked)
        super().__init__(
            {
                "fetch": Out(fetch_signature(config)),
                "events": In(stream.Signature(event(config))),
                "beats": Out(stream.Signature(potential_beat(config, scan_lanes))),
                "idle": Out(1),
                "event_count": Out(COUNTER_BITS),
                "word_count": Out(COUNTER_BITS),
                "stall_count": Out(COUNTER_BITS),
                **({"share": In(share_signature(config))} if learns else {}),
            }
        )

    def _factors(self, m: Module, value: Signal, stages: int) -> list[Signal]:
        """The value ``stages`` cycles later, in as many registers as :data:`LANES_PER_FACTOR` asks for, or a few less.

        Registers that hold the same are one to synthesis, unless they are different at first, before anybody looks.
        Those of the last stage are not, so that each multiplier can have one of its own (:mod:`hdl.boards.absorb`).
        """
        copies = [value]
        for stage in range(stages):
            crowded = not self.config.spikes and self.config.lanes > LANES_PER_FACTOR * len(copies)
            doubles = crowded and stage < stages - 1
            inits: list[dict[str, int]] = [{}] * len(copies) + [{"init": -1}] * len(copies) * doubles
            later = [
                Signal(value.shape(), name=f"factor{stage}_{number}", reset_less=True, **init)
                for number, init in enumerate(inits)
            ]
            m.d.sync += [copy.eq(copies[number % len(copies)]) for number, copy in enumerate(later)]
            copies = later
        return copies

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, lanes = self.config, self.config.lanes
        index = word_index(config)
        beats = scan_beats(config, self.scan_lanes)

        # --- the span of an event's source --------------------------------------------------------------
        offered = self.events.payload
        spans = [(low, high) for low, high in config.spans.tolist()]
        is_bias, asks = Signal(), Signal()
        some, first_word, last_word = Signal(), Signal(index), Signal(index)
        counted, counted_lanes = Signal(range(config.row_words * self.words + 1)), lanes // self.words
        m.d.comb += [is_bias.eq(offered.source == config.sources), asks.eq(offered.scan != Scan.NONE)]

        def span(low: int, high: int) -> list[object]:
            if high <= low:
                return [some.eq(0)]
            return [
                some.eq(1),
                first_word.eq(low // lanes),
                last_word.eq((high - 1) // lanes),
                counted.eq((high - 1) // counted_lanes - low // counted_lanes + 1),
            ]

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
        # Of the word in work: whether the event ends with it.
        word, final_word, is_final = Signal(index), Signal(index), Signal()
        shifts = config.spikes and not self.learns
        value = Signal(shift_value(config) if shifts else signed(event_bits(config)))
        sets, asking = Signal(), Signal()
        scanning, ends, taken, issues = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            ends.eq(busy & is_final),
            issues.eq(busy & reading),
            self.fetch.en.eq(issues),
            self.events.ready.eq((~busy | ends) & ~(asks & scanning)),
            taken.eq(self.events.valid & self.events.ready),
        ]
        with m.If(taken):
            m.d.sync += [
                busy.eq(1),
                reading.eq(some),
                self.fetch.address.eq(row_address(config, offered.source, first_word)),
                word.eq(first_word),
                final_word.eq(last_word),
                is_final.eq(~some | (first_word == last_word)),
                value.eq(as_shift(offered.value) if shifts else offered.value),
                sets.eq(is_bias),
                asking.eq(asks),
            ]
        with m.Elif(ends):
            m.d.sync += busy.eq(0)
        with m.Else():
            m.d.sync += [
                self.fetch.address.eq(self.fetch.address + 1),
                word.eq(word + 1),
                is_final.eq(word + 1 == final_word),
            ]

        # --- row word, product, sum ------------------------------------------------------------------------
        # Stage i holds what was issued i + 1 cycles ago; in the last one a product enters the potentials.
        stages = fetch_latency(self.banked) + 1
        valid = [Signal(name=f"valid{i}") for i in range(stages)]
        target = [Signal(index, name=f"target{i}") for i in range(stages)]
        factors = self._factors(m, value, stages - 1)
        replaces = [Signal(name=f"replaces{i}") for i in range(stages - 1)]
        m.d.sync += [
            valid[0].eq(issues),
            target[0].eq(word),
            replaces[0].eq(sets),
            *delay(valid),
            *delay(target),
            *delay(replaces),
        ]
        m.d.comb += self.idle.eq(~(busy | Cat(*valid).any()))
        multipliers = LaneShifters(config) if shifts else LaneMultipliers(config, learns=self.learns)
        m.submodules.multipliers = multipliers
        m.d.comb += [
            multipliers.weights.eq(self.fetch.data),
            *(multipliers.values[lane].eq(factors[lane * len(factors) // lanes]) for lane in range(lanes)),
        ]
        if shifts or self.learns:
            m.d.comb += multipliers.use.eq(valid[-2])
        m.submodules.potentials = potentials = Potentials(
            config,
            product_bits=multipliers.products[0].shape().width,
            is_pair=any(beat.offset + beat.size > lanes for beat in beats),
        )
        opens = Signal()
        m.d.comb += [
            potentials.soon.eq(target[-3]),
            potentials.coming.eq(target[-2]),
            potentials.word.eq(target[-1]),
            potentials.enters.eq(valid[-1]),
            potentials.replaces.eq(replaces[-1] & valid[-2]),
            potentials.opens.eq(opens),
            *(
                entering.eq(product)
                for entering, product in zip(potentials.products, multipliers.products, strict=True)
            ),
        ]
        if self.learns:
            connect(m, flipped(self.share), multipliers.share)

        # --- a request of a scan -------------------------------------------------------------------------
        # The end of an event that asks moves along with its last word, if it has one; the scan opens when no word that
        # came before is left.
        mark = [Signal(name=f"mark{i}") for i in range(stages)]
        marks = [ends & asking, *mark]
        words = [issues, *valid]
        here = [marks[i] & ~Cat(*words[i:-1]).any() for i in range(stages)]
        m.d.comb += opens.eq(Cat(*here, mark[-1]).any())
        m.d.sync += [later.eq(earlier & ~opens) for earlier, later in zip(marks, mark, strict=False)]

        # --- scan: a table tells where each beat lies ------------------------------------------------------
        hidden_beats = sum(beat.word * lanes + beat.offset < config.hidden for beat in beats)
        offsets = sorted({beat.offset for beat in beats})
        entry = data.StructLayout(
            {"word": index, "offset": range(max(len(offsets), 2)), "keep": self.scan_lanes, "last": 1}
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
        # Stages: the table; the words, which waits until the scan is open; a few columns, one of which is that of the
        # beat; the beat.
        opened, looks, found, found_final = Signal(), Signal(), Signal(), Signal()
        resolves, holds, holds_final, reads = Signal(), Signal(), Signal(), Signal()
        nears, leaves = Signal(), Signal()
        place, near_place = Signal(entry), Signal(entry)
        out_valid, out = Signal(), Signal(potential_beat(config, self.scan_lanes))
        m.d.comb += [
            leaves.eq(nears & (~out_valid | self.beats.ready)),
            reads.eq(holds & (~nears | leaves)),
            resolves.eq(found & (opened | potentials.shows) & (~holds | reads)),
            looks.eq(scanning & (number <= stop) & (~found | resolves)),
            look.addr.eq(number),
            look.en.eq(looks),
            self.beats.valid.eq(out_valid),
            self.beats.payload.eq(out),
        ]
        with m.If(taken & asks):
            m.d.sync += [
                scanning.eq(1),
                opened.eq(0),
                number.eq(Mux(offered.scan & Scan.HIDDEN, 0, hidden_beats)),
                stop.eq(Mux(offered.scan & Scan.ACTION, len(beats) - 1, hidden_beats - 1)),
            ]
        with m.Elif(potentials.shows):
            m.d.sync += opened.eq(1)
        with m.If(looks):
            m.d.sync += [found.eq(1), found_final.eq(number == stop), number.eq(number + 1)]
        with m.Elif(resolves):
            m.d.sync += found.eq(0)

        # Columns of the word and, where a beat goes on into the next, of that.
        m.d.comb += [potentials.looks.eq(resolves), potentials.look.eq(look.data.word)]
        columns = [potentials.columns[lane] for lane in range(lanes)]
        if potentials.is_pair:
            columns += [potentials.following[lane] for lane in range(lanes)]
        nothing = C(0, signed(config.potential_bits))
        columns += [nothing] * (offsets[-1] + self.scan_lanes - len(columns))
        with m.If(resolves):
            m.d.sync += [holds.eq(1), holds_final.eq(found_final), place.eq(look.data)]
        with m.Elif(reads):
            m.d.sync += holds.eq(0)
        # An offset is chosen in two steps, so that the potentials need not come from all over the chip in one.
        near = [
            [
                Signal(signed(config.potential_bits), name=f"near{part}_{lane}", reset_less=True)
                for lane in range(self.scan_lanes)
            ]
            for part in range(0, len(offsets), NEAR)
        ]
        with m.If(reads):
            m.d.sync += [nears.eq(1), near_place.eq(place)]
            for number_near, potentials_near in enumerate(near):
                choices = offsets[number_near * NEAR : (number_near + 1) * NEAR]
                m.d.sync += [
                    potential.eq(Array(columns[offset + lane] for offset in choices)[place.offset % NEAR])
                    for lane, potential in enumerate(potentials_near)
                ]
            with m.If(holds_final):
                m.d.sync += scanning.eq(0)
        with m.Elif(leaves):
            m.d.sync += nears.eq(0)
        with m.If(leaves):
            m.d.sync += [
                out_valid.eq(1),
                out.keep.eq(near_place.keep),
                out.last.eq(near_place.last),
                *(
                    out.potential[lane].eq(Array(part[lane] for part in near)[near_place.offset // NEAR])
                    for lane in range(self.scan_lanes)
                ),
            ]
        with m.Elif(self.beats.ready):
            m.d.sync += out_valid.eq(0)

        # --- counters --------------------------------------------------------------------------------------
        # They count what was a cycle before.
        new_events, new_words, new_stalls, restarts = Signal(), Signal.like(counted), Signal(), Signal()
        m.d.sync += [
            new_events.eq(taken & some),
            new_words.eq(Mux(taken & some, counted, 0)),
            new_stalls.eq(self.events.valid & some & ~issues),
            restarts.eq(taken & some & is_bias),
            self.event_count.eq(self.event_count + new_events),
            self.word_count.eq(self.word_count + new_words),
            self.stall_count.eq(self.stall_count + new_stalls),
        ]
        with m.If(restarts):
            m.d.sync += Cat(self.event_count, self.word_count, self.stall_count).eq(0)
        return m
