"""The memories of the device, in row words."""

from __future__ import annotations

from typing import Any

from amaranth import Array, Cat, Module, Signal
from amaranth.hdl import Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.config import DeviceConfig
from golden.protocol import Section
from hdl import clocks
from hdl.layouts import row_values
from hdl.multiply import times
from hdl.pipeline import delay

FETCH_LATENCY = 2
"""Cycles from the address of a fetch to its data: the memory and a register behind it."""

WRITE_LATENCY = 2
"""Cycles from a write to the fetches that see it: a register, for it goes to every block of the memory, and that."""

NO_COLLISION = "no_rw_check"
"""Attribute of a memory of which no row is read while it is written; Yosys knows it."""


def row_addresses(config: DeviceConfig) -> range:
    """Addresses of all row words."""
    return range((config.sources + 1) * config.row_words)


def row_address(config: DeviceConfig, row: Any, word: Any) -> Any:
    """Address of a row word, as an expression."""
    return times(row, config.row_words) + word


def fetch_signature(config: DeviceConfig, section: Section = Section.WEIGHT) -> wiring.Signature:
    """Reading of row words as the reader sees it: ``data`` is that of ``address`` :data:`FETCH_LATENCY` cycles later.

    A fetch takes place in every cycle in which ``en`` is set; it is never refused. ``data`` stays until the next.
    """
    return wiring.Signature(
        {"en": Out(1), "address": Out(row_addresses(config)), "data": In(row_values(config, section))}
    )


def write_signature(config: DeviceConfig, section: Section = Section.WEIGHT) -> wiring.Signature:
    """Writing of row words as the writer sees it: one in every cycle in which ``en`` is set; ``data`` lane by lane."""
    value = row_values(config, section).elem_shape
    return wiring.Signature(
        {"en": Out(1), "address": Out(row_addresses(config)), "data": Out(value).array(config.lanes)}
    )


class RowMemory(wiring.Component):
    """One value for every synapse (rows 0 to P - 1) and bias (row P), ``config.lanes`` to a word.

    Golden twins: ``weight``, ``acc`` or ``moment`` of :class:`golden.device.Device`, and the same of its biases.

    Every value of the format is allowed, and all are zero at first. A reset leaves them as they are. A write and a
    fetch in every cycle: a fetch sees the writes of :data:`WRITE_LATENCY` cycles before. An address must not be fetched
    while a write to it is on its way: memories differ in what they show then.

    Parameters
    ----------
    config: sizes and formats, ``lanes``.
    section: which values.
    writes_learn: its writes belong to what learns (:mod:`hdl.clocks`).
    words: row words that are fetched at once (:meth:`hdl.options.CoreOptions.wide`), a power of two; one is written.

    Members
    -------
    fetch: In(:func:`fetch_signature`) of the wide device.
    part: In(range(words)), if there are several, with the address of a fetch: which of its words is ``word``.
    word: Out; with the data of a fetch.
    write: In(:func:`write_signature`).
    shifts: In; the words that were fetched move on by a lane, the first lane to the end, so that ``word`` can be read
        at one.
    """

    def __init__(self, config: DeviceConfig, section: Section, writes_learn: bool = False, words: int = 1) -> None:
        self.config, self.section, self.writes_learn, self.words = config, section, writes_learn, words
        self.wide = config.replace(lanes=config.lanes * words)
        super().__init__(
            {
                "fetch": In(fetch_signature(self.wide, section)),
                **({"part": In(range(words))} if words > 1 else {}),
                "word": Out(row_values(config, section)),
                "write": In(write_signature(config, section)),
                "shifts": In(1),
            }
        )

    def at(self, address: Value) -> list[Any]:
        """Statements by which a fetch is that of the row word with an address of the device."""
        if self.words == 1:
            return [self.fetch.address.eq(address)]
        return [Cat(self.part, self.fetch.address).eq(address)]

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes, all_lanes = self.config.lanes, self.wide.lanes
        part_bits = (self.words - 1).bit_length()
        written = "sync"
        if self.writes_learn:
            written = clocks.domain(clocks.LEARN if self.section == Section.ACC else clocks.UPDATE, platform)
        # A reset in the cycle after a write does not undo it.
        held = [Signal.like(value, name=f"lane{i}", reset_less=True) for i, value in enumerate(self.write.data)]
        held_address = Signal.like(self.write.address, reset_less=True)
        m.d[written] += held_address.eq(self.write.address)
        m.d[written] += [lane.eq(value) for lane, value in zip(held, self.write.data, strict=True)]
        # A memory for each of the words that are fetched at once, so that one of them can be written.
        read = []
        for part in range(self.words):
            # Nobody looks at a word that is being written; without the attribute, synthesis would add logic that keeps
            # it.
            m.submodules[f"memory{part}" if part_bits else "memory"] = memory = Memory(
                shape=row_values(self.config, self.section),
                depth=len(row_addresses(self.wide)),
                init=[],
                attrs={NO_COLLISION: 1},
            )
            reader, writer = memory.read_port(domain="comb"), memory.write_port(domain=written)
            enters = Signal(name=f"enters{part}", reset_less=True)
            m.d[written] += enters.eq(self.write.en & (self.write.address[:part_bits] == part if part_bits else 1))
            m.d.comb += [
                writer.en.eq(enters),
                writer.addr.eq(held_address[part_bits:]),
                *(writer.data[i].eq(lane) for i, lane in enumerate(held)),
                reader.addr.eq(self.fetch.address),
            ]
            read.append(reader.data)
        # The register of a block memory, then one behind it.
        values, fetched = row_values(self.wide, self.section), Signal()
        output, behind = Signal(values, reset_less=True), Signal(values, reset_less=True)
        m.d.sync += fetched.eq(self.fetch.en)
        m.d.comb += self.fetch.data.eq(behind)
        with m.If(self.fetch.en):
            m.d.sync += output.eq(Cat(*read))
        with m.If(fetched):
            m.d.sync += behind.eq(output)
        with m.Elif(self.shifts):
            m.d.sync += behind.eq(Cat(*(behind[(i + 1) % all_lanes] for i in range(all_lanes))))
        shown = [Cat(*(behind[i] for i in range(low, low + lanes))) for low in range(0, all_lanes, lanes)]
        if not part_bits:
            m.d.comb += self.word.eq(shown[0])
            return m
        parts = [self.part, *(Signal.like(self.part, name=f"part{i}") for i in range(FETCH_LATENCY))]
        m.d.comb += self.word.eq(Array(shown)[parts[-1]])
        for enable, moved in zip((self.fetch.en, fetched), delay(parts), strict=True):
            with m.If(enable):
                m.d.sync += moved
        return m
