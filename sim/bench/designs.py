"""Components put together so that a bench can drive them by streams alone."""

from __future__ import annotations

from amaranth import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from golden.config import REMOVABLE, DeviceConfig
from golden.protocol import Section
from hdl.engine import COUNTER_BITS, EventEngine
from hdl.layouts import event, potential_beat, row_place, row_values
from hdl.memory import RowMemory, row_address, row_addresses
from hdl.observation_spikes import ObservationSpikes
from hdl.observations import ObservationQueue
from hdl.pipeline import delay
from hdl.synapses import SynapseTable


class AllPorts(wiring.Component):
    """A component with the same members, where streams that are always ready have ``ready`` as a port like others.

    Such an input stream is ready, such an output stream does not look at it.

    Parameters
    ----------
    component: its members; interfaces that are no streams stay as they are.
    """

    def __init__(self, component: wiring.Component) -> None:
        self.component = component
        super().__init__(
            {
                name: member
                if member.is_port or "payload" not in member.signature.members
                else member.flow(stream.Signature(member.signature.members["payload"].shape))
                for name, member in component.signature.members.items()
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.component = self.component
        for name, member in self.component.signature.members.items():
            inner, outer = getattr(self.component, name), getattr(self, name)
            if not member.is_port and "payload" not in member.signature.members:
                connect(m, inner, flipped(outer))
                continue
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


def row_word(config: DeviceConfig, section: Section) -> data.StructLayout:
    """A row word of a memory and its place."""
    return data.StructLayout({**dict(row_place(config).members), "values": row_values(config, section)})


def write_words(m: Module, config: DeviceConfig, words: stream.Interface, memory: RowMemory) -> None:
    """Let a stream of :func:`row_word` write a memory, one in every cycle."""
    word = words.payload
    m.d.comb += words.ready.eq(1)
    with m.If(words.valid):
        m.d.comb += [
            memory.write.en.eq(1),
            memory.write.address.eq(row_address(config, word.row, word.word)),
            *(lane.eq(word.values[i]) for i, lane in enumerate(memory.write.data)),
        ]


def fetch_words(m: Module, fetches: stream.Interface, fetched: stream.Interface, memory: RowMemory) -> None:
    """Let a stream of addresses fetch from a memory; ``fetched`` is not asked whether it is ready."""
    valid = [fetches.valid, *(Signal(name=f"fetched{i}") for i in range(memory.latency))]
    m.d.sync += delay(valid)
    m.d.comb += [fetches.ready.eq(1), fetched.valid.eq(valid[-1]), fetched.payload.eq(memory.fetch.data)]
    with m.If(fetches.valid):
        m.d.comb += [memory.fetch.en.eq(1), memory.fetch.address.eq(fetches.payload)]


class EngineWithMemory(wiring.Component):
    """:class:`EventEngine` on a :class:`RowMemory` of weights; members as its own, and ``load``.

    Parameters
    ----------
    config: the device; bank_words: of the memory; words: row words that the engine takes per cycle.
    """

    def __init__(self, config: DeviceConfig, *, scan_lanes: int, bank_words: int = 0, words: int = 1) -> None:
        self.memory = RowMemory(config, words=words, bank_words=bank_words)
        self.engine = EventEngine(self.memory.wide, scan_lanes=scan_lanes, banked=bank_words > 0, words=words)
        super().__init__(
            {
                "load": In(stream.Signature(row_word(config, Section.WEIGHT))),
                "events": In(stream.Signature(event(config))),
                "beats": Out(stream.Signature(potential_beat(config, scan_lanes))),
                "idle": Out(1),
                "event_count": Out(COUNTER_BITS),
                "word_count": Out(COUNTER_BITS),
                "stall_count": Out(COUNTER_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.engine, m.submodules.memory = engine, memory = self.engine, self.memory
        connect(m, engine.fetch, memory.fetch)
        write_words(m, memory.config, self.load, memory)
        connect(m, flipped(self.events), engine.events)
        connect(m, engine.beats, flipped(self.beats))
        m.d.comb += [
            self.idle.eq(engine.idle),
            self.event_count.eq(engine.event_count),
            self.word_count.eq(engine.word_count),
            self.stall_count.eq(engine.stall_count),
        ]
        return m


class MemoryWithStreams(wiring.Component):
    """:class:`RowMemory` with streams that never wait: ``load``, ``fetches`` (addresses), ``fetched``; and ``data``."""

    def __init__(self, config: DeviceConfig, section: Section, words: int = 1, bank_words: int = 0) -> None:
        self.memory = RowMemory(config, section, words=words, bank_words=bank_words)
        wide = self.memory.wide
        super().__init__(
            {
                "load": In(stream.Signature(row_word(config, section))),
                "fetches": In(stream.Signature(row_addresses(wide))),
                "fetched": Out(stream.Signature(row_values(wide, section))),
                "data": Out(row_values(wide, section)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.memory = memory = self.memory
        write_words(m, memory.config, self.load, memory)
        fetch_words(m, self.fetches, self.fetched, memory)
        m.d.comb += self.data.eq(memory.fetch.data)
        return m


class ObservedQueue(wiring.Component):
    """:class:`ObservationSpikes` that goes through an :class:`ObservationQueue`.

    Parameters
    ----------
    config: the device; rounds_per_cycle, pipelined: of the generator.
    """

    def __init__(self, config: DeviceConfig, *, rounds_per_cycle: int, pipelined: bool) -> None:
        self.queue = ObservationQueue(config)
        self.spikes = ObservationSpikes(config, rounds_per_cycle=rounds_per_cycle, pipelined=pipelined)
        own = self.spikes.signature.members
        put = self.queue.signature.members["put"].signature.members["payload"].shape
        super().__init__(
            {
                "clear": In(1),
                "put": In(stream.Signature(put)),
                **{name: own[name] for name in ("start", "nonce", "step", "busy", "events")},
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.queue, m.submodules.spikes = queue, spikes = self.queue, self.spikes
        connect(m, queue.entries, spikes.observations)
        connect(m, spikes.events, flipped(self.events))
        m.d.comb += [
            queue.clear.eq(self.clear),
            queue.put.payload.eq(self.put.payload),
            queue.put.valid.eq(self.put.valid),
            self.put.ready.eq(1),
            queue.rewind.eq(spikes.rewind),
            spikes.count.eq(queue.count),
            spikes.start.eq(self.start),
            spikes.nonce.eq(self.nonce),
            spikes.step.eq(self.step),
            self.busy.eq(spikes.busy),
        ]
        return m
