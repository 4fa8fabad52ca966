"""Components put together so that a bench can drive them by streams alone."""

from __future__ import annotations

from amaranth import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from golden.config import DeviceConfig
from hdl.engine import COUNTER_BITS, EventEngine
from hdl.layouts import event, potential_beat, row_place, row_weights, row_word
from hdl.memory import FETCH_LATENCY, ParameterMemory, row_addresses
from hdl.pipeline import delay


class EngineWithMemory(wiring.Component):
    """:class:`EventEngine` on a :class:`ParameterMemory`; members as theirs, and ``fetches``: row words are read."""

    def __init__(self, config: DeviceConfig, *, scan_lanes: int) -> None:
        self.engine, self.memory = EventEngine(config, scan_lanes=scan_lanes), ParameterMemory(config)
        super().__init__(
            {
                "load": In(stream.Signature(row_word(config))),
                "reads": In(stream.Signature(row_place(config))),
                "words": Out(stream.Signature(row_weights(config))),
                "events": In(stream.Signature(event(config))),
                "beats": Out(stream.Signature(potential_beat(config, scan_lanes))),
                "event_count": Out(COUNTER_BITS),
                "word_count": Out(COUNTER_BITS),
                "stall_count": Out(COUNTER_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.engine, m.submodules.memory = engine, memory = self.engine, self.memory
        connect(m, engine.fetch, memory.fetch)
        connect(m, flipped(self.load), memory.load)
        connect(m, flipped(self.reads), memory.reads)
        connect(m, memory.words, flipped(self.words))
        connect(m, flipped(self.events), engine.events)
        connect(m, engine.beats, flipped(self.beats))
        m.d.comb += [
            self.event_count.eq(engine.event_count),
            self.word_count.eq(engine.word_count),
            self.stall_count.eq(engine.stall_count),
        ]
        return m


class MemoryWithFetches(wiring.Component):
    """:class:`ParameterMemory` with fetches as streams that never wait: ``fetches`` (addresses) and ``fetched``."""

    def __init__(self, config: DeviceConfig) -> None:
        self.memory = ParameterMemory(config)
        super().__init__(
            {
                "load": In(stream.Signature(row_word(config))),
                "reads": In(stream.Signature(row_place(config))),
                "words": Out(stream.Signature(row_weights(config))),
                "fetches": In(stream.Signature(row_addresses(config))),
                "fetched": Out(stream.Signature(row_weights(config))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.memory = memory = self.memory
        connect(m, flipped(self.load), memory.load)
        connect(m, flipped(self.reads), memory.reads)
        connect(m, memory.words, flipped(self.words))
        valid = [self.fetches.valid, *(Signal(name=f"valid{i}") for i in range(FETCH_LATENCY))]
        m.d.sync += delay(valid)
        m.d.comb += [
            self.fetches.ready.eq(1),
            memory.fetch.en.eq(self.fetches.valid),
            memory.fetch.address.eq(self.fetches.payload),
            self.fetched.valid.eq(valid[-1]),
            self.fetched.payload.eq(memory.fetch.data),
        ]
        return m
