"""The memory of weights and biases, in row words."""

from __future__ import annotations

from typing import Any

from amaranth import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.config import DeviceConfig
from hdl.layouts import row_place, row_weights, row_word

FETCH_LATENCY = 2
"""Cycles from the address of a fetch to its data: the memory and a register behind it."""


NO_COLLISION = "no_rw_check"
"""Attribute of a memory of which no row is read while it is written; Yosys knows it."""


def row_addresses(config: DeviceConfig) -> range:
    """Addresses of all row words."""
    return range((config.sources + 1) * config.row_words)


def row_address(config: DeviceConfig, row: Any, word: Any) -> Any:
    """Address of a row word, as an expression."""
    return row * config.row_words + word


def fetch_signature(config: DeviceConfig) -> wiring.Signature:
    """Reading of row words as the reader sees it: ``data`` is that of ``address`` :data:`FETCH_LATENCY` cycles later.

    A fetch takes place in every cycle in which ``en`` is set; it is never refused.
    """
    return wiring.Signature({"en": Out(1), "address": Out(row_addresses(config)), "data": In(row_weights(config))})


class ParameterMemory(wiring.Component):
    """Weights (rows 0 to P - 1) and biases (row P), ``config.lanes`` to a word; one port that writes, one that reads.

    Golden twin: ``weight`` and ``bias`` of :class:`golden.device.Device`. Places beyond the last row or word must not
    be given; every weight of the format is allowed. All parameters are zero before they are loaded. A reset leaves them
    as they are and drops the reads in work.

    A load in every cycle, and beside it a fetch or a read. Reads yield to fetches and wait as long as there are any. A
    word comes :attr:`latency` cycles after its place was taken, nothing in the way. A fetch sees the loads taken in the
    cycles before, a read those and that of its own cycle. A place that is fetched must not be loaded in the same cycle,
    nor one that is being read before its word is out: memories differ in what they show then.

    Parameters
    ----------
    config: sizes, width of the weights, ``lanes``.

    Members
    -------
    fetch: In(:func:`fetch_signature`).
    load: In(stream of :func:`hdl.layouts.row_word`); always ready.
    reads: In(stream of :func:`hdl.layouts.row_place`); words to be read back.
    words: Out(stream of :func:`hdl.layouts.row_weights`); their weights, in order.
    """

    latency = 3
    """Cycles from a place to its word."""

    def __init__(self, config: DeviceConfig) -> None:
        self.config = config
        super().__init__(
            {
                "fetch": In(fetch_signature(config)),
                "load": In(stream.Signature(row_word(config))),
                "reads": In(stream.Signature(row_place(config))),
                "words": Out(stream.Signature(row_weights(config))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, weights = self.config, row_weights(self.config)
        addresses = row_addresses(config)
        # Nobody looks at a word that is being written; without the attribute, synthesis would add logic that keeps it.
        m.submodules.memory = memory = Memory(shape=weights, depth=len(addresses), init=[], attrs={NO_COLLISION: 1})
        reader, writer = memory.read_port(domain="comb"), memory.write_port()

        loaded = self.load.payload
        m.d.comb += [
            self.load.ready.eq(1),
            writer.en.eq(self.load.valid),
            writer.addr.eq(row_address(config, loaded.row, loaded.word)),
            writer.data.eq(loaded.weight),
        ]

        # The register of a block memory.
        output = Signal(weights, reset_less=True)
        reading = Signal()
        with m.If(reading):
            m.d.sync += output.eq(reader.data)

        # --- fetch: the memory, then a register ------------------------------------------------------------
        fetched = Signal()
        m.d.sync += fetched.eq(self.fetch.en)
        with m.If(fetched):
            m.d.sync += self.fetch.data.eq(output)

        # --- read: the address, the memory, a register of its own --------------------------------------------
        place = self.reads.payload
        asked, found, again = Signal(), Signal(), Signal()
        address, found_address = Signal(addresses), Signal(addresses)
        looks, leaves = Signal(), Signal()
        m.d.comb += [
            leaves.eq(found & (~self.words.valid | self.words.ready)),
            looks.eq((asked | again) & ~self.fetch.en & (~found | leaves)),
            self.reads.ready.eq(~asked | (looks & ~again)),
            reading.eq(self.fetch.en | looks),
            reader.addr.eq(Mux(self.fetch.en, self.fetch.address, Mux(again, found_address, address))),
        ]
        with m.If(self.reads.ready):
            m.d.sync += [
                asked.eq(self.reads.valid),
                address.eq(row_address(config, place.row, place.word)),
            ]
        with m.If(looks):
            m.d.sync += [found.eq(1), again.eq(0), found_address.eq(Mux(again, found_address, address))]
        with m.Elif(leaves):
            m.d.sync += found.eq(0)
        with m.Elif(found & self.fetch.en):
            # The fetch takes the memory's output from a word that could not leave: it is looked up again.
            m.d.sync += [found.eq(0), again.eq(1)]
        with m.If(leaves):
            m.d.sync += [self.words.valid.eq(1), self.words.payload.eq(output)]
        with m.Elif(self.words.ready):
            m.d.sync += self.words.valid.eq(0)
        return m
