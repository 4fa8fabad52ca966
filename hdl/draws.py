"""The draws of a decision, one per group (docs/numerics.md, "Winners")."""

from __future__ import annotations

import math

from amaranth import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.config import DRAW_BITS, DeviceConfig
from golden.rng import DRAWS_PER_BLOCK, STREAM_WINNERS
from hdl.rng import DRAWS, WORD, DrawGenerator, generator_latency


def draw_latency(group: int, rounds_per_cycle: int) -> int:
    """Cycles from a nonce to the draw of a group."""
    return (group // DRAWS_PER_BLOCK + 1) * generator_latency(rounds_per_cycle) + 2


class DrawStore(wiring.Component):
    """Generates the draws of all groups from a nonce and keeps them, so that every pass may use them.

    Golden twin: :func:`golden.rng.draw_into` on the stream of the winners. Every nonce is allowed.

    Draw g is available :func:`draw_latency` cycles after the nonce is taken, and until the next is taken; a nonce is
    taken when all draws of the one before are there. Nothing that is read before the first nonce counts, ``available``
    included.

    Parameters
    ----------
    config: number of groups.
    rounds_per_cycle: as in :class:`hdl.rng.DrawGenerator`.

    Members
    -------
    nonces: In(stream of 64 bits).
    group: In; draw, available: Out, in the same cycle.
    """

    def __init__(self, config: DeviceConfig, *, rounds_per_cycle: int) -> None:
        self._generator = DrawGenerator(rounds_per_cycle=rounds_per_cycle)
        self.block_latency = self._generator.latency
        self.blocks = math.ceil((config.groups + 1) / DRAWS_PER_BLOCK)
        super().__init__(
            {
                "nonces": In(stream.Signature(2 * WORD)),
                "group": In(range(config.groups + 1)),
                "draw": Out(DRAW_BITS),
                "available": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.generator = generator = self._generator
        m.submodules.store = store = Memory(shape=DRAWS, depth=max(self.blocks, 2), init=[])
        write, read = store.write_port(), store.read_port(domain="comb")
        nonce = Signal(2 * WORD)
        asked = Signal(range(self.blocks + 1), init=self.blocks)
        kept = Signal(range(self.blocks + 1), init=self.blocks)
        request = generator.requests
        m.d.comb += [
            self.nonces.ready.eq(kept == self.blocks),
            request.valid.eq(asked != self.blocks),
            request.payload.nonce.eq(nonce),
            request.payload.stream.eq(STREAM_WINNERS),
            request.payload.block.eq(asked),
            generator.draws.ready.eq(1),
            write.addr.eq(kept),
            write.data.eq(generator.draws.payload),
            write.en.eq(generator.draws.valid),
            read.addr.eq(self.group // DRAWS_PER_BLOCK),
            self.draw.eq(read.data[self.group % DRAWS_PER_BLOCK]),
            self.available.eq(self.group // DRAWS_PER_BLOCK < kept),
        ]
        with m.If(request.valid & request.ready):
            m.d.sync += asked.eq(asked + 1)
        with m.If(generator.draws.valid):
            m.d.sync += kept.eq(kept + 1)
        with m.If(self.nonces.valid & self.nonces.ready):
            m.d.sync += [nonce.eq(self.nonces.payload), asked.eq(0), kept.eq(0)]
        return m
