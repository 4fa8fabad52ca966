"""Designs around components that learn, for their benches."""

from __future__ import annotations

from typing import Any

from amaranth import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from golden.config import DeviceConfig
from golden.protocol import SECTION_NAMES, Abilities, Section
from hdl.eligibility import Eligibility
from hdl.engine import COUNTER_BITS
from hdl.lanes import LaneMultipliers
from hdl.layouts import row_values
from hdl.memory import RowMemory, row_addresses
from hdl.update import Updater, update
from sim.bench.designs import fetch_words, row_word, write_words


def memory_streams(config: DeviceConfig, section: Section) -> dict[str, wiring.Member]:
    """Streams by which a bench loads and fetches a memory, named after it."""
    name = SECTION_NAMES[section]
    return {
        f"{name}_load": In(stream.Signature(row_word(config, section))),
        f"{name}_fetches": In(stream.Signature(row_addresses(config))),
        f"{name}_fetched": Out(stream.Signature(row_values(config, section))),
    }


def share_memory(m: Module, design: wiring.Component, memory: RowMemory, fetch: Any, write: Any) -> None:
    """Add a memory that belongs to ports of the component under test until a stream of the bench wants it."""
    name = SECTION_NAMES[memory.section]
    m.submodules[name] = memory
    m.d.comb += [
        memory.fetch.en.eq(fetch.en),
        memory.fetch.address.eq(fetch.address),
        fetch.data.eq(memory.fetch.data),
    ]
    if write is not None:
        m.d.comb += [
            memory.write.en.eq(write.en),
            memory.write.address.eq(write.address),
            *(lane.eq(value) for lane, value in zip(memory.write.data, write.data, strict=True)),
        ]
    write_words(m, memory.config, getattr(design, f"{name}_load"), memory)
    fetch_words(m, getattr(design, f"{name}_fetches"), getattr(design, f"{name}_fetched"), memory)


class UpdaterWithMemories(wiring.Component):
    """:class:`Updater` with its memories and multipliers; ``starts``, ``done``, ``cycles`` as its own."""

    def __init__(self, config: DeviceConfig, abilities: Abilities, bank_words: int = 0) -> None:
        self.config, self.abilities, self.bank_words = config, abilities, bank_words
        self.updater = Updater(config, abilities, banked=bank_words > 0)
        streams = [memory_streams(config, section) for section in abilities.sections]
        super().__init__(
            {
                "starts": In(stream.Signature(update(config))),
                "done": Out(1),
                "cycles": Out(COUNTER_BITS),
                **{name: member for members in streams for name, member in members.items()},
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.updater = updater = self.updater
        m.submodules.multipliers = multipliers = LaneMultipliers(self.config, learns=True)
        connect(m, flipped(self.starts), updater.starts)
        connect(m, updater.share, multipliers.share)
        m.d.comb += [self.done.eq(updater.done), self.cycles.eq(updater.cycles)]
        for section in self.abilities.sections:
            bank_words = self.bank_words if section == Section.WEIGHT else 0
            memory = RowMemory(self.config, section, bank_words=bank_words, writes_learn=True)
            share_memory(m, self, memory, updater.fetch[section], updater.write[section])
        return m


class EligibilityWithMemory(wiring.Component):
    """:class:`Eligibility` with the accumulators and multipliers; other members as its own."""

    def __init__(self, config: DeviceConfig, *, lanes: int, products: int, rules: frozenset[str]) -> None:
        self.config = config
        self.eligibility = Eligibility(config, lanes=lanes, products=products, rules=rules)
        own = dict(self.eligibility.signature.members)
        for name in ("fetch", "write", "share"):
            del own[name]
        super().__init__({**own, **memory_streams(config, Section.ACC)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.eligibility = eligibility = self.eligibility
        m.submodules.multipliers = multipliers = LaneMultipliers(self.config, learns=True)
        connect(m, eligibility.share, multipliers.share)
        for name in ("starts", "observations"):
            connect(m, flipped(getattr(self, name)), getattr(eligibility, name))
        for name in ("winner", "peek_activity", "peek_second", "no_observations"):
            m.d.comb += getattr(eligibility, name).eq(getattr(self, name))
        for name in ("winner_group", "peek_address", "rewind", "word_count", "busy", "done"):
            m.d.comb += getattr(self, name).eq(getattr(eligibility, name))
        memory = RowMemory(self.config, Section.ACC, writes_learn=True)
        share_memory(m, self, memory, eligibility.fetch, eligibility.write)
        return m
