"""The memories of the device, in row words."""

from __future__ import annotations

import math
from typing import Any

from amaranth import Array, Cat, Module, Signal
from amaranth.lib import wiring
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

ROW_BLOCK = 1024
"""Addresses of the blocks that hold row words, which are wide (ECP5, Artix-7), and so those of a bank."""

NO_COLLISION = "no_rw_check"
"""Attribute of a memory of which no row is read while it is written; Yosys knows it."""


def fetch_latency(banked: bool) -> int:
    """Cycles from the address of a fetch to its data; from banks, a register behind each of them is one more."""
    return FETCH_LATENCY + banked


def row_addresses(config: DeviceConfig) -> range:
    """Addresses of all row words."""
    return range((config.sources + 1) * config.row_words)


def row_address(config: DeviceConfig, row: Any, word: Any) -> Any:
    """Address of a row word, as an expression."""
    return times(row, config.row_words) + word


def fetch_signature(config: DeviceConfig, section: Section = Section.WEIGHT) -> wiring.Signature:
    """Reading of row words as the reader sees it: ``data`` is that of ``address`` some cycles later.

    A fetch takes place in every cycle in which ``en`` is set; it is never refused. It takes :func:`fetch_latency`
    cycles; ``data`` stays until the next.
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
    config: sizes and formats, ``lanes`` of a word that is written.
    section: which values.
    words: row words that are fetched together, a power of two that divides those of a row. Whoever wants one of several
        reads it in another memory that is written along, so that nothing has to be chosen from among these.
    bank_words: it lies in banks of so many addresses, each with a register behind it, so that no way from a block goes
        far; 0: it is one, without.
    writes_learn: its writes belong to what learns (:mod:`hdl.clocks`).

    Members
    -------
    fetch: In(:func:`fetch_signature`) of the device with row words so wide, ``wide``; its latency is ``latency``.
    write: In(:func:`write_signature`).
    shifts: In, if words are fetched one by one; what was fetched moves on by a lane, the first lane to the end, so that
        it can be read at one.
    """

    def __init__(
        self,
        config: DeviceConfig,
        section: Section = Section.WEIGHT,
        *,
        words: int = 1,
        bank_words: int = 0,
        writes_learn: bool = False,
    ) -> None:
        self.config, self.section, self.words = config, section, words
        self.bank_words, self.writes_learn = bank_words, writes_learn
        self.wide = config.replace(lanes=config.lanes * words)
        self.latency = fetch_latency(bank_words > 0)
        super().__init__(
            {
                "fetch": In(fetch_signature(self.wide, section)),
                "write": In(write_signature(config, section)),
                **({"shifts": In(1)} if words == 1 else {}),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        written = "sync"
        if self.writes_learn:
            written = clocks.domain(clocks.LEARN if self.section == Section.ACC else clocks.UPDATE, platform)
        rows = len(row_addresses(self.wide))
        depth = min(self.bank_words or rows, rows)
        banks, part_bits = math.ceil(rows / depth), (self.words - 1).bit_length()
        bank_bits = (depth - 1).bit_length() if banks > 1 else len(self.fetch.address)

        # A write goes through a register. A reset in the cycle after it does not undo it.
        held = [Signal.like(value, name=f"lane{i}", reset_less=True) for i, value in enumerate(self.write.data)]
        held_address = Signal.like(self.write.address, reset_less=True)
        m.d[written] += [
            held_address.eq(self.write.address),
            *(lane.eq(value) for lane, value in zip(held, self.write.data, strict=True)),
        ]

        # The register of a block memory of each bank, then one behind it.
        values = row_values(self.wide, self.section)
        outputs = [Signal(values, name=f"output{bank}", reset_less=True) for bank in range(banks)]
        for bank, output in enumerate(outputs):
            read = []
            for part in range(self.words):
                name = "_".join(str(number) for number, of in ((bank, banks), (part, self.words)) if of > 1)
                m.submodules[f"memory{name}"] = memory = Memory(
                    shape=row_values(self.config, self.section),
                    depth=min(depth, rows - bank * depth),
                    init=[],
                    # Nobody looks at a word that is being written; without, synthesis would add logic that keeps it.
                    attrs={NO_COLLISION: 1},
                )
                reader, writer = memory.read_port(domain="comb"), memory.write_port(domain=written)
                enters = Signal(name=f"held_en{name}", reset_less=True)
                place = self.write.address[part_bits:]
                m.d[written] += enters.eq(
                    self.write.en
                    & (self.write.address[:part_bits] == part if part_bits else 1)
                    & (place[bank_bits:] == bank if banks > 1 else 1)
                )
                m.d.comb += [
                    writer.en.eq(enters),
                    writer.addr.eq(held_address[part_bits:][:bank_bits]),
                    *(writer.data[i].eq(lane) for i, lane in enumerate(held)),
                    reader.addr.eq(self.fetch.address[:bank_bits]),
                ]
                read.append(reader.data)
            with m.If(self.fetch.en):
                m.d.sync += output.eq(Cat(*read))

        found, fetched = outputs[0].as_value(), Signal(self.latency - 1)
        m.d.sync += fetched.eq(Cat(self.fetch.en, fetched))
        if self.bank_words:
            shown = [Signal(values, name=f"shown{bank}", reset_less=True) for bank in range(banks)]
            m.d.sync += [later.eq(output) for later, output in zip(shown, outputs, strict=True)]
            found = shown[0].as_value()
            if banks > 1:
                chosen, choice = Signal(range(banks)), Signal(range(banks))
                with m.If(self.fetch.en):
                    m.d.sync += chosen.eq(self.fetch.address[bank_bits:])
                m.d.sync += choice.eq(chosen)
                found = Array(bank.as_value() for bank in shown)[choice]
        behind = Signal(values, reset_less=True)
        m.d.comb += self.fetch.data.eq(behind)
        if self.words > 1:
            # Without an enable, so that it can lie within a multiplier (:mod:`hdl.boards.absorb`).
            m.d.sync += behind.eq(found)
            return m
        with m.If(fetched[-1]):
            m.d.sync += behind.eq(found)
        with m.Elif(self.shifts):
            m.d.sync += behind.eq(Cat(*(behind[(i + 1) % self.config.lanes] for i in range(self.config.lanes))))
        return m
