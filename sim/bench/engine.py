"""Bench of :class:`hdl.engine.EventEngine`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import cocotb

from golden import kernels
from hdl.engine import EventEngine
from hdl.layouts import Scan, event_bits
from sim.bench import groups
from sim.bench.run import parameters
from sim.bench.streams import Bench, Flow, Sink, Source

RUN = parameters()
CONFIG, LANES = RUN["config"], RUN["scan_lanes"]
COMPONENT = EventEngine(CONFIG, scan_lanes=LANES)
CONSTANTS = kernels.constants(CONFIG)
BIAS = CONFIG.sources
LARGEST_VALUE = (1 << (event_bits(CONFIG) - 1)) - 1


class Model:
    """Potentials as Python integers, and the counters, from golden's spans; drives one device."""

    def __init__(self, dut: Any, events: Flow | None = None, beats: Flow | None = None) -> None:
        self.bench = Bench(dut, COMPONENT, RUN["seed"])
        self.dut = dut
        self.source: Source = self.bench.source("events", events)
        self.sink: Sink = self.bench.sink("beats", beats, groups.only_neurons)
        self.row: list[list[int]] = []
        self.potential = [0] * CONFIG.neurons
        self.events = self.words = 0

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
        """Words of a source's span."""
        return CONFIG.row_words if source == BIAS else int(CONSTANTS.span_words[self.kind(source)])

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
            for word in range(CONFIG.row_words):
                load.send({"row": source, "word": word, "weight": values[word * lanes : (word + 1) * lanes]})
        await self.bench.finish()

    def send(self, source: int, value: int, scan: Scan = Scan.NONE) -> None:
        """Queue an event and the beats it asks for."""
        self.source.send({"source": source, "value": value, "scan": int(scan)})
        low, high = self.span(source)
        if value:
            if source == BIAS:
                self.potential = [0] * CONFIG.neurons
                self.events = self.words = 0
            elif high > low:
                self.events += 1
                self.words += self.span_words(source)
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
        return rng.choice((0, 1, -1, LARGEST_VALUE, -LARGEST_VALUE - 1, *(rng.randint(-LARGEST_VALUE, -2),) * 5))

    def random_source(self) -> int:
        """Any row; the few action rows are common."""
        rng = self.bench.rng
        return rng.choice((rng.randrange(BIAS), rng.randrange(CONFIG.hidden, CONFIG.neurons)))

    def reaching(self, sources: Iterable[int]) -> list[int]:
        """Sources that reach a column."""
        return [source for source in sources if self.span_words(source)]

    def counters(self) -> tuple[int, int, int, int]:
        """Events, row words, cycles, stalls as the hardware counts them."""
        dut = self.dut
        counts = dut.event_count, dut.word_count, dut.cycle_count, dut.stall_count
        events, words, cycles, stalls = (int(count.value) for count in counts)
        return events, words, cycles, stalls


@cocotb.test()
async def any_flow(dut: Any) -> None:
    """Potentials and counts, whatever the flow on either side."""
    for steady_source, steady_sink in ((True, True), (False, True), (True, False), (False, False)):
        rng_flow = Bench(dut, COMPONENT, RUN["seed"]).flow
        model = Model(dut, rng_flow(not steady_source), rng_flow(not steady_sink))
        await model.start()
        rng = model.bench.rng
        for _ in range(RUN["decisions"]):
            model.clear(rng.choice(list(Scan)))
            for _ in range(rng.randrange(RUN["events"])):
                scan = rng.choice((Scan.HIDDEN, Scan.ACTION, Scan.ALL)) if rng.randrange(8) == 0 else Scan.NONE
                model.send(model.random_source(), model.random_value(), scan)
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
        events, words, _, stalls = model.counters()
        assert (events, words, stalls) == (model.events, model.words, 0)
        # The first event was the biases'; the words of all others but the last are read between the taking of the two.
        taken = model.source.cycles
        assert taken[-1] - taken[0] == CONFIG.row_words + words - (
            model.span_words(sent[-1]) if sent else CONFIG.row_words
        )
        model.send(0, 0, Scan.ALL)
        await model.bench.finish()


@cocotb.test()
async def latency(dut: Any) -> None:
    """From an event to the potentials after it, from rest."""
    model = Model(dut)
    await model.start()
    model.clear()
    await model.bench.finish()
    for source in (0, CONFIG.hidden - 1, CONFIG.hidden, CONFIG.neurons - 1, CONFIG.neurons, BIAS - 1, BIAS):
        for value in (0, 1):
            for scan in (Scan.HIDDEN, Scan.ACTION, Scan.ALL):
                before = len(model.sink.cycles)
                model.send(source, value, scan)
                await model.bench.finish(quiet=model.bench.rng.randrange(10, 14))
                words = model.span_words(source) if value else 0
                expected = COMPONENT.latency + (words - 1 if words else -2)
                cycles = model.sink.cycles[before:]
                assert cycles[0] - model.source.cycles[-1] == expected, (source, value, scan)
                assert cycles[-1] - cycles[0] == len(cycles) - 1, (source, value, scan)


@cocotb.test()
async def cycles_and_stalls(dut: Any) -> None:
    """What the two other counters count, cycle by cycle."""
    model = Model(dut)
    await model.start()
    model.clear()
    await model.bench.until(lambda: not model.source.pending)
    await model.bench.step(10)
    assert model.counters() == (0, 0, 10, 0)
    # An event that reaches nothing is in work for one cycle without reading.
    model.send(0, 0)
    await model.bench.finish(quiet=9)
    assert model.counters() == (0, 0, 20, 1)
    # The event behind a scan waits: one cycle for the empty event, then until the last potentials have been read.
    model.send(0, 0, Scan.ALL)
    model.send(0, 0)
    await model.bench.finish(quiet=9)
    waited = model.source.cycles[-1] - model.source.cycles[-2] - 1
    assert waited == len(model.sink.cycles) + 2
    assert model.counters()[3] == 1 + waited + 1
