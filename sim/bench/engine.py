"""Bench of :class:`hdl.engine.EventEngine` with its parameter memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import cocotb

from golden import kernels
from golden.config import DeviceConfig
from hdl.engine import NO_WORD_LATENCY
from hdl.layouts import Scan, event_bits
from sim.bench import groups
from sim.bench.designs import EngineWithMemory
from sim.bench.run import parameters
from sim.bench.streams import Bench, Flow, Gate, Sink, Source

RUN = parameters()
DEVICE, LANES = RUN["config"], RUN["scan_lanes"]
COMPONENT = EngineWithMemory(DEVICE, scan_lanes=LANES, bank_words=RUN["bank_words"], words=RUN["words"])
CONFIG = COMPONENT.engine.config
"""The device with row words as wide as what the engine takes per cycle."""
LATENCY = COMPONENT.engine.latency
BIAS = CONFIG.sources
SMALLEST_VALUE = -(1 << (event_bits(CONFIG) - 1))
LARGEST_VALUE = 1 << (event_bits(CONFIG) - 2) if CONFIG.spikes else -SMALLEST_VALUE - 1
"""Ends of the values; in spike mode all are powers of two, or the negative of one, or 0."""


SCANS = (Scan.HIDDEN, Scan.ACTION, Scan.ALL)


class Model:
    """Potentials as Python integers, and the counters, from golden's spans; drives one device."""

    def __init__(self, dut: Any, events: Flow | None = None, beats: Flow | None = None) -> None:
        self.bench = Bench(dut, COMPONENT, RUN["seed"])
        self.dut = dut
        self.source: Source = self.bench.source("events", events)
        self.sink: Sink = self.bench.sink("beats", beats, groups.only_neurons)
        self.row: list[list[int]] = []
        self.potential = [0] * CONFIG.neurons
        self.events = self.words = self.cycles = 0
        self._words: list[int] = []
        self._looked_at, self._busy_until = 0, -1
        self.bench.each_cycle(sample=self._look)

    def _look(self, cycle: int) -> None:
        """It is idle unless an event is in work, or a product on its way into the potentials."""
        assert self.dut.idle.value == int(cycle > self._busy_until), cycle
        for taken, words in zip(self.source.cycles[self._looked_at :], self._words[self._looked_at :], strict=False):
            self._busy_until = max(self._busy_until, taken + (words + COMPONENT.memory.latency + 1 if words else 1))
        self._looked_at = len(self.source.cycles)

    def kind(self, source: int) -> int:
        """Class of a source."""
        if source < CONFIG.hidden:
            return kernels.HIDDEN
        return kernels.ACTION if source < CONFIG.neurons else kernels.OBSERVATION

    def span(self, source: int) -> tuple[int, int]:
        """Columns a source reaches."""
        if source == BIAS:
            return 0, CONFIG.neurons
        low, high = CONFIG.spans[self.kind(source)].tolist()
        return low, high

    def span_words(self, source: int) -> int:
        """Words of a source's span, of those that take a cycle each."""
        return CONFIG.row_words if source == BIAS else self._span_words(CONFIG, source)

    def _span_words(self, config: DeviceConfig, source: int) -> int:
        return int(kernels.constants(config).span_words[self.kind(source)])

    async def start(self) -> None:
        """Reset and load weights: random in the span, 0 beside it in its words, and anything in words beyond it."""
        rng, lanes = self.bench.rng, CONFIG.lanes
        load = self.bench.source("load", self.bench.flow(True))
        await self.bench.reset()
        for source in range(BIAS + 1):
            low, high = self.span(source)
            reached = range(low // lanes, -(-high // lanes)) if high > low else range(0)
            low_weight, high_weight = CONFIG.weight.low, CONFIG.weight.high
            values = [
                rng.choice((low_weight, high_weight, rng.randint(low_weight, high_weight)))
                for _ in range(CONFIG.row_words * lanes)
            ]
            for column in range(CONFIG.row_words * lanes):
                if column // lanes in reached and not low <= column < high:
                    values[column] = 0
            self.row.append(values)
            for word in range(DEVICE.row_words):
                low = word * DEVICE.lanes
                load.send({"row": source, "word": word, "values": values[low : low + DEVICE.lanes]})
        await self.bench.finish()

    async def resume(self, model: Model) -> None:
        """Reset, with the weights another model has loaded."""
        self.row = model.row
        await self.bench.reset()

    def send(self, source: int, value: int, scan: Scan = Scan.NONE) -> None:
        """Queue an event and the beats it asks for."""
        self.source.send({"source": source, "value": value, "scan": int(scan)})
        low, high = self.span(source)
        self._words.append(self.span_words(source) if value else 0)
        if value:
            if source == BIAS:
                self.potential = [0] * CONFIG.neurons
                self.events = self.words = self.cycles = 0
            elif high > low:
                self.events += 1
                self.words += self._span_words(DEVICE, source)
                self.cycles += self.span_words(source)
            for j in range(low, high):
                self.potential[j] += value * self.row[source][j]
        if scan:
            self.expect(scan)

    def expect(self, scan: Scan) -> None:
        """Queue the beats of a scan."""
        modulus = 1 << CONFIG.potential_bits
        wrapped = [(value + modulus // 2) % modulus - modulus // 2 for value in self.potential]
        bounds = CONFIG.group_start.tolist()
        for group in range(CONFIG.groups + 1):
            if scan & (Scan.ACTION if group == CONFIG.groups else Scan.HIDDEN):
                potential = wrapped[bounds[group] : bounds[group + 1]]
                beats = groups.potential_beats(CONFIG, potential, LANES, self.bench.rng)
                self.sink.expect(*map(groups.only_neurons, beats))

    def clear(self, scan: Scan = Scan.NONE) -> None:
        """Queue the event of the biases."""
        self.send(BIAS, 1 << CONFIG.drive_frac, scan)

    def random_value(self) -> int:
        """A value of an event, the ends of the format and nothing at all included."""
        rng = self.bench.rng
        usual = rng.choice((1, -1)) << rng.randrange(event_bits(CONFIG) - 1)
        if not CONFIG.spikes:
            usual = rng.randint(-LARGEST_VALUE, -2)
        return rng.choice((0, 1, -1, LARGEST_VALUE, SMALLEST_VALUE, *(usual,) * 5))

    def random_source(self) -> int:
        """Any row; the few action rows are common."""
        rng = self.bench.rng
        return rng.choice((rng.randrange(BIAS), rng.randrange(CONFIG.hidden, CONFIG.neurons)))

    def reaching(self, sources: Iterable[int]) -> list[int]:
        """Sources that reach a column."""
        return [source for source in sources if self.span_words(source)]

    def random_events(self, count: int, asking: float) -> None:
        """Queue events, some of which ask for a scan."""
        rng = self.bench.rng
        for _ in range(count):
            scan = rng.choice(SCANS) if rng.random() < asking else Scan.NONE
            self.send(self.random_source(), self.random_value(), scan)

    def counters(self) -> tuple[int, int, int]:
        """Events, row words, stalls as the hardware counts them."""
        dut = self.dut
        events, words, stalls = (int(count.value) for count in (dut.event_count, dut.word_count, dut.stall_count))
        return events, words, stalls


@cocotb.test()
async def any_flow(dut: Any) -> None:
    """Potentials and counts, whatever the flow on either side and the share of events that ask for a scan."""
    flow = Bench(dut, COMPONENT, RUN["seed"]).flow
    for steady_source, steady_sink in ((True, True), (False, True), (True, False), (False, False)):
        model = Model(dut, flow(not steady_source), flow(not steady_sink))
        await model.start()
        rng = model.bench.rng
        for _ in range(RUN["decisions"]):
            model.clear(rng.choice(list(Scan)))
            model.random_events(rng.randrange(RUN["events"]), rng.choice((0.02, 0.1, 0.5, 1.0)))
            model.send(rng.randrange(BIAS), 0, Scan.ALL)
            await model.bench.finish(quiet=5)
            assert model.counters()[:2] == (model.events, model.words)


@cocotb.test()
async def one_word_per_cycle(dut: Any) -> None:
    """Events back to back: no cycle without a word while one waits, even on rows of one word."""
    classes = range(CONFIG.hidden), range(CONFIG.hidden, CONFIG.neurons), range(CONFIG.neurons, BIAS)
    for sources in (range(BIAS), *classes):
        model = Model(dut)
        await model.start()
        model.clear()
        reaching = model.reaching(sources)
        sent = model.bench.rng.choices(reaching, k=300) if reaching else []
        for source in sent:
            model.send(source, LARGEST_VALUE)
        await model.bench.finish()
        events, words, stalls = model.counters()
        assert (events, words, stalls) == (model.events, model.words, 0)
        # The first event was the biases'; the words of all others but the last are read between the taking of the two.
        taken = model.source.cycles
        last_words = model.span_words(sent[-1]) if sent else CONFIG.row_words
        assert taken[-1] - taken[0] == CONFIG.row_words + model.cycles - last_words
        model.send(0, 0, Scan.ALL)
        await model.bench.finish()


@cocotb.test()
async def events_go_on_during_a_scan(dut: Any) -> None:
    """While beats are not taken, events enter at one word per cycle, and the scan does not show them."""
    for scan in SCANS:
        gate = Gate(False)
        model = Model(dut, beats=gate)
        source = model.source
        await model.start()
        reaching = model.reaching(range(BIAS))
        sent = model.bench.rng.choices(reaching, k=300) if reaching else []
        for value in (LARGEST_VALUE, SMALLEST_VALUE):
            gate.open = False
            model.clear(scan)
            for number in sent:
                model.send(number, value)
            before = len(source.cycles)
            while source.pending:
                await model.bench.step()
            taken = source.cycles[before:]
            last_words = model.span_words(sent[-1]) if sent else CONFIG.row_words
            assert taken[-1] - taken[0] == CONFIG.row_words + model.cycles - last_words
            await model.bench.step(last_words + LATENCY)
            assert model.counters() == (model.events, model.words, 0)
            assert model.sink.pending
            gate.open = True
            # The next scan shows all of them.
            model.send(0, 0, Scan.ALL)
            await model.bench.finish()


@cocotb.test()
async def latency(dut: Any) -> None:
    """From an event to the potentials after it: from rest, and behind another event."""
    model = Model(dut)
    await model.start()
    model.clear()
    await model.bench.finish()
    sources = (0, CONFIG.hidden - 1, CONFIG.hidden, CONFIG.neurons - 1, CONFIG.neurons, BIAS - 1, BIAS)
    for source in sources:
        for value in (0, 1):
            for scan in SCANS:
                before = len(model.sink.cycles)
                model.send(source, value, scan)
                await model.bench.finish(quiet=model.bench.rng.randrange(10, 14))
                words = model.span_words(source) if value else 0
                expected = LATENCY + words - 1 if words else NO_WORD_LATENCY
                cycles = model.sink.cycles[before:]
                assert cycles[0] - model.source.cycles[-1] == expected, (source, value, scan)
                assert cycles[-1] - cycles[0] == len(cycles) - 1, (source, value, scan)
    for source in sources:
        words = model.span_words(source)
        for empty in range(4):
            before = len(model.sink.cycles)
            model.send(source, 1)
            for _ in range(empty):
                model.send(source, 0)
            model.send(source, 0, Scan.ALL)
            await model.bench.finish()
            # The last sum, or the empty event itself: the later of the two opens the scan.
            sent, asked = model.source.cycles[-empty - 2], model.source.cycles[-1]
            summed = sent + LATENCY + words - 1 if words else 0
            assert model.sink.cycles[before] == max(summed, asked + NO_WORD_LATENCY), (source, empty)


@cocotb.test()
async def scans_follow_each_other(dut: Any) -> None:
    """An event that asks is taken a cycle before the last beat of the scan before is out; others go on."""
    model = Model(dut)
    await model.start()
    for scan in SCANS:
        before = len(model.sink.cycles)
        model.clear(scan)
        beats = model.sink.pending
        model.send(BIAS - 1, 1)
        model.send(0, 1, scan)
        await model.bench.finish()
        first, between, second = model.source.cycles[-3:]
        assert between == first + CONFIG.row_words
        # Nor before the words of the event between have been read.
        assert second == max(model.sink.cycles[before + beats - 1] - 1, between + model.span_words(BIAS - 1))


@cocotb.test()
async def stalls(dut: Any) -> None:
    """What counts as a stall: a cycle in which an event with words is offered and none is read."""
    model = Model(dut)
    await model.start()
    for source in model.reaching(range(BIAS)):
        words = model.span_words(source)

        async def counts(*events: tuple[int, int, Scan], expected: int) -> None:
            model.clear()
            await model.bench.finish(CONFIG.row_words)
            for event in events:
                model.send(*event)
            await model.bench.finish(9)
            assert model.counters() == (model.events, model.words, expected), events

        await counts(expected=0)
        # Events without words never wait for any.
        await counts((source, 0, Scan.NONE), (source, 0, Scan.ALL), (source, 0, Scan.ALL), expected=0)
        # From rest, the first word is read one cycle after the offer.
        await counts((source, 1, Scan.NONE), (source, 1, Scan.NONE), expected=1)
        # An event that does nothing takes a cycle, and so keeps the one behind it waiting.
        await counts((source, 0, Scan.ALL), (source, 1, Scan.NONE), expected=1)
        # A scan that is asked for waits for the one before, and with it the words of the event that asks.
        model.clear()
        await model.bench.finish(CONFIG.row_words)
        model.send(source, 1, Scan.ALL)
        model.send(source, 1, Scan.ALL)
        await model.bench.finish(9)
        first, second = model.source.cycles[-2:]
        assert model.counters() == (model.events, model.words, 1 + second - first - words)


@cocotb.test()
async def reset_at_any_moment(dut: Any) -> None:
    """After a reset in the middle of events and scans the next event of the biases starts anew."""
    loaded = Model(dut)
    await loaded.start()
    rng = loaded.bench.rng
    for cycles in range(RUN["resets"]):
        flow = Bench(dut, COMPONENT, rng.getrandbits(32)).flow
        cut = Model(dut, flow(False), flow(cycles % 2 == 1))
        await cut.resume(loaded)
        cut.clear(Scan.ALL)
        cut.random_events(30, 0.2)
        await cut.bench.step(cycles)
        after = Model(dut)
        await after.resume(loaded)
        assert after.counters() == (0, 0, 0)
        await after.bench.step(rng.randrange(3))
        after.clear(rng.choice(SCANS))
        after.random_events(10, 0.2)
        after.send(0, 0, Scan.ALL)
        await after.bench.finish(20)
        assert after.counters()[:2] == (after.events, after.words)
