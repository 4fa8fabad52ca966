"""Components put together so that a bench can drive them by streams alone."""

from __future__ import annotations

from amaranth import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from golden.config import REMOVABLE, DeviceConfig
from hdl.engine import COUNTER_BITS, EventEngine
from hdl.layouts import event, potential_beat, row_place, row_weights, row_word
from hdl.memory import FETCH_LATENCY, ParameterMemory, row_addresses
from hdl.pipeline import delay
from hdl.synapses import SynapseTable


class AllPorts(wiring.Component):
    """A component with the same members, where streams that are always ready have ``ready`` as a port like others.

    Such an input stream is ready, such an output stream does not look at it.

    Parameters
    ----------
    component: its members are ports and streams.
    """

    def __init__(self, component: wiring.Component) -> None:
        self.component = component
        super().__init__(
            {
                name: member
                if member.is_port
                else member.flow(stream.Signature(member.signature.members["payload"].shape))
                for name, member in component.signature.members.items()
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.component = self.component
        for name, member in self.component.signature.members.items():
            inner, outer = getattr(self.component, name), getattr(self, name)
            if member.is_port:
                pairs = [(inner, outer, member.flow)]
            else:
                pairs = [(inner.payload, outer.payload, member.flow), (inner.valid, outer.valid, member.flow)]
                if member.signature.always_ready:
                    m.d.comb += outer.ready.eq(1) if member.flow == In else []
                else:
                    pairs.append((inner.ready, outer.ready, member.flow.flip()))
            m.d.comb += [inner.eq(outer) if flow == In else outer.eq(inner) for inner, outer, flow in pairs]
        return m


class SynapseTables(wiring.Component):
    """:class:`SynapseTable` for every pattern of :data:`REMOVABLE`, side by side; a bit of ``exists`` for each."""

    def __init__(self, config: DeviceConfig) -> None:
        self.tables = [SynapseTable(config.replace(removed=removed)) for removed in REMOVABLE]
        table = self.tables[0].signature.members
        super().__init__({"row": table["row"], "column": table["column"], "exists": Out(len(self.tables))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for removed, table, exists in zip(REMOVABLE, self.tables, self.exists, strict=True):
            m.submodules[removed] = table
            m.d.comb += [table.row.eq(self.row), table.column.eq(self.column), exists.eq(table.exists)]
        return m


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
