"""The memories of the device, in row words."""

from __future__ import annotations

from typing import Any

from amaranth import Cat, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.config import DeviceConfig
from golden.protocol import Section
from hdl import clocks
from hdl.layouts import row_values
from hdl.multiply import times

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


def _memory(values: data.ArrayLayout, addresses: range) -> Memory:
    """A memory of zeros at first.

    Nobody looks at a word that is being written; without the attribute, synthesis would add logic that keeps it.
    """
    return Memory(shape=values, depth=len(addresses), init=[], attrs={NO_COLLISION: 1})


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

    Members
    -------
    fetch: In(:func:`fetch_signature`).
    write: In(:func:`write_signature`).
    shifts: In; the word that was fetched moves on by a lane, the first lane to the end, so that it can be read at one.
    """

    def __init__(self, config: DeviceConfig, section: Section, writes_learn: bool = False) -> None:
        self.config, self.section, self.writes_learn = config, section, writes_learn
        super().__init__(
            {
                "fetch": In(fetch_signature(config, section)),
                "write": In(write_signature(config, section)),
                "shifts": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        values = row_values(self.config, self.section)
        written = "sync"
        if self.writes_learn:
            written = clocks.domain(clocks.LEARN if self.section == Section.ACC else clocks.UPDATE, platform)
        m.submodules.memory = memory = _memory(values, row_addresses(self.config))
        reader, writer = memory.read_port(domain="comb"), memory.write_port(domain=written)
        # A reset in the cycle after a write does not undo it.
        held = [Signal.like(value, name=f"lane{i}", reset_less=True) for i, value in enumerate(self.write.data)]
        held_en, held_address = Signal(reset_less=True), Signal.like(self.write.address, reset_less=True)
        m.d[written] += [held_en.eq(self.write.en), held_address.eq(self.write.address)]
        m.d[written] += [lane.eq(value) for lane, value in zip(held, self.write.data, strict=True)]
        m.d.comb += [
            writer.en.eq(held_en),
            writer.addr.eq(held_address),
            *(writer.data[i].eq(lane) for i, lane in enumerate(held)),
            reader.addr.eq(self.fetch.address),
        ]
        # The register of a block memory, then one behind it.
        output, behind, fetched = Signal(values, reset_less=True), Signal(values, reset_less=True), Signal()
        m.d.sync += fetched.eq(self.fetch.en)
        m.d.comb += self.fetch.data.eq(behind)
        with m.If(self.fetch.en):
            m.d.sync += output.eq(reader.data)
        with m.If(fetched):
            m.d.sync += behind.eq(output)
        with m.Elif(self.shifts):
            m.d.sync += behind.eq(Cat(*(behind[(i + 1) % self.config.lanes] for i in range(self.config.lanes))))
        return m


class WideMemory(wiring.Component):
    """The weights once more, several row words at an address: written word by word, fetched together.

    Golden twin: ``weight`` and ``bias`` of :class:`golden.device.Device`. Whoever wants one word reads it in a
    :class:`RowMemory` that is written along, so that nothing has to be chosen from among these.

    As in a :class:`RowMemory`, all values are zero at first and stay over a reset, a write and a fetch may come in
    every cycle, and a fetch sees the writes of :data:`WRITE_LATENCY` cycles before.

    Parameters
    ----------
    config: sizes and formats, ``lanes`` of a row word that is written.
    words: row words at an address, a power of two that divides those of a row.
    writes_learn: as for :class:`RowMemory`.

    Members
    -------
    fetch: In(:func:`fetch_signature`) of the device with row words so wide, ``wide``.
    write: In(:func:`write_signature`).
    """

    def __init__(self, config: DeviceConfig, words: int, writes_learn: bool = False) -> None:
        self.config, self.words, self.writes_learn = config, words, writes_learn
        self.wide = config.replace(lanes=config.lanes * words)
        super().__init__({"fetch": In(fetch_signature(self.wide)), "write": In(write_signature(config))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        written = clocks.domain(clocks.UPDATE, platform) if self.writes_learn else "sync"
        held = [Signal.like(value, name=f"lane{i}", reset_less=True) for i, value in enumerate(self.write.data)]
        held_address = Signal.like(self.write.address, reset_less=True)
        m.d[written] += [
            held_address.eq(self.write.address),
            *(lane.eq(value) for lane, value in zip(held, self.write.data, strict=True)),
        ]
        part_bits = (self.words - 1).bit_length()
        read = []
        for part in range(self.words):
            shape = row_values(self.config, Section.WEIGHT)
            m.submodules[f"memory{part}"] = memory = _memory(shape, row_addresses(self.wide))
            reader, writer = memory.read_port(domain="comb"), memory.write_port(domain=written)
            enters = Signal(name=f"enters{part}", reset_less=True)
            m.d[written] += enters.eq(self.write.en & (self.write.address[:part_bits] == part))
            m.d.comb += [
                writer.en.eq(enters),
                writer.addr.eq(held_address[part_bits:]),
                *(writer.data[i].eq(lane) for i, lane in enumerate(held)),
                reader.addr.eq(self.fetch.address),
            ]
            read.append(reader.data)
        values = row_values(self.wide, Section.WEIGHT)
        output, behind = Signal(values, reset_less=True), Signal(values, reset_less=True)
        m.d.comb += self.fetch.data.eq(behind)
        with m.If(self.fetch.en):
            m.d.sync += output.eq(Cat(*read))
        # Without an enable, so that it can lie within a multiplier (:mod:`hdl.boards.absorb`).
        m.d.sync += behind.eq(output)
        return m
