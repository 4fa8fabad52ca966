"""The draws of spikes, step after step (docs/numerics.md, "Spikes")."""

from __future__ import annotations

import math

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from golden.config import DRAW_BITS, DeviceConfig
from golden.rng import DRAWS_PER_BLOCK, STREAM_SPIKES, STREAM_WINNERS
from hdl.rng import DRAWS, WORD, DrawGenerator, DrawPipeline

PHASE = data.StructLayout({"nonce": 2 * WORD, "clamped": 1, "acts": 1})
"""A phase: ``clamped``, the hidden groups in the last steps of a window; else all groups in all steps, and if ``acts``,
the draw of an action behind them."""


def make_generator(rounds_per_cycle: int, pipelined: bool) -> DrawGenerator | DrawPipeline:
    """The generator that a build has chosen."""
    return DrawPipeline() if pipelined else DrawGenerator(rounds_per_cycle=rounds_per_cycle)


class SpikeDraws(wiring.Component):
    """A draw for each group in each step of a phase, in order, made ahead.

    Golden twin: :func:`golden.rng.draw_into` on the stream of spikes, and for the action on that of winners. Every
    nonce is allowed.

    Blocks of four draws are generated as long as there is room for those of two steps; a step begins with a new one. A
    draw may be taken in every cycle in which there is one: the first :attr:`latency` cycles after the phase is taken,
    the others as fast as the generator has them. A phase is taken when all draws of the one before have been.

    Parameters
    ----------
    config: number of groups and steps.
    rounds_per_cycle, pipelined: as in :class:`hdl.options.CoreOptions`.

    Members
    -------
    phases: In(stream of :data:`PHASE`).
    draws: Out(stream of 16 bits).
    """

    def __init__(self, config: DeviceConfig, *, rounds_per_cycle: int, pipelined: bool) -> None:
        self.config = config
        self._generator = make_generator(rounds_per_cycle, pipelined)
        super().__init__({"phases": In(stream.Signature(PHASE)), "draws": Out(stream.Signature(DRAW_BITS))})

    @property
    def latency(self) -> int:
        """Cycles from a phase to its first draw, without a phase before."""
        return self._generator.latency + 3

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        groups, steps, window = config.groups, config.steps, config.window
        m.submodules.generator = generator = self._generator
        # Blocks of a step, by its groups.
        every, hidden = math.ceil((groups + 1) / DRAWS_PER_BLOCK), math.ceil(groups / DRAWS_PER_BLOCK)
        m.submodules.queue = queue = SyncFIFOBuffered(width=DRAWS.size, depth=max(2 * every, 4))
        job = Signal(PHASE)

        # --- ask for blocks ------------------------------------------------------------------------------
        request = generator.requests
        base, place = Signal(range(steps * every + 1)), Signal(range(max(every, 2)))
        left, acting = Signal(range(steps + 1)), Signal()
        last_block = place == Mux(job.clamped, hidden - 1, every - 1)
        m.d.comb += [
            request.payload.nonce.eq(job.nonce),
            request.payload.stream.eq(Mux(left == 0, STREAM_WINNERS, STREAM_SPIKES)),
            request.payload.block.eq(Mux(left == 0, groups // DRAWS_PER_BLOCK, base + place)),
            request.valid.eq((left != 0) | acting),
            queue.w_data.eq(generator.draws.payload),
            queue.w_en.eq(generator.draws.valid),
            generator.draws.ready.eq(queue.w_rdy),
        ]
        with m.If(request.valid & request.ready):
            with m.If(left == 0):
                m.d.sync += acting.eq(0)
            with m.Else():
                m.d.sync += place.eq(Mux(last_block, 0, place + 1))
                with m.If(last_block):
                    m.d.sync += [base.eq(base + every), left.eq(left - 1)]

        # --- hand out draws -------------------------------------------------------------------------------
        group, waits = Signal(range(groups + 1)), Signal(range(steps + 1))
        busy, final = Signal(), Signal()
        block = data.View(DRAWS, queue.r_data)
        taken, ends = Signal(), Signal()
        m.d.comb += [
            # Behind the last step comes the draw of the action, which is that of the last group.
            final.eq(waits == 0),
            ends.eq(group == Mux(job.clamped, groups - 1, groups)),
            self.draws.valid.eq(busy & queue.r_rdy),
            self.draws.payload.eq(block[group % DRAWS_PER_BLOCK]),
            taken.eq(self.draws.valid & self.draws.ready),
            queue.r_en.eq(taken & (ends | (group % DRAWS_PER_BLOCK == DRAWS_PER_BLOCK - 1))),
            self.phases.ready.eq(~busy),
        ]
        with m.If(taken):
            m.d.sync += group.eq(Mux(ends, 0, group + 1))
            with m.If(ends):
                m.d.sync += waits.eq(waits - 1)
                with m.If(waits == 1):
                    m.d.sync += [busy.eq(job.acts), group.eq(Mux(job.acts, groups, 0))]
            with m.If(final):
                m.d.sync += busy.eq(0)
        with m.If(self.phases.valid & self.phases.ready):
            phase = self.phases.payload
            m.d.sync += [
                job.eq(phase),
                busy.eq(1),
                group.eq(0),
                place.eq(0),
                acting.eq(phase.acts),
                base.eq(Mux(phase.clamped, (steps - window) * every, 0)),
                left.eq(Mux(phase.clamped, window, steps)),
                waits.eq(Mux(phase.clamped, window, steps)),
            ]
        return m
