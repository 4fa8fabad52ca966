"""Spikes of the observation neurons (docs/numerics.md, "Spikes", Bernoulli observations)."""

from __future__ import annotations

from amaranth import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.config import DeviceConfig
from golden.rng import STREAM_OBS
from golden.spikes import BLOCK_BITS, observation_draw_bits
from hdl.layouts import event
from hdl.observations import queued_observation
from hdl.rng import WORD
from hdl.spike_draws import make_generator

AHEAD = 16
"""Blocks of draws that are made ahead."""


class ObservationSpikes(wiring.Component):
    """Bernoulli spikes of the observations as events: those of a whole window at first, then what each step changes.

    Golden twins: :func:`golden.spikes.spike_observations`, the window in :func:`golden.spikes.begin`, and
    :func:`golden.spikes.enter_observations`. Observations lie between 0 and 1.

    ``start`` walks through the observations once for each step of the window, then once more with events; ``step``
    walks once, with events. In a walk an observation takes a cycle, or as long as its event waits, or its draw: the
    generator makes 64 bits at once, 8 or 16 for an observation. A walk begins two cycles after what asks for it, and
    the event of an observation is offered one cycle after it has been looked at.

    No multipliers.

    Parameters
    ----------
    config: sizes and formats, steps and window.
    rounds_per_cycle, pipelined: as in :class:`hdl.options.CoreOptions`.

    Members
    -------
    start: In; begins a decision with ``nonce``: In, and ``count``: In, its observations. step: In; the next step, T - 1
        times; either while not busy.
    busy: Out; from the next cycle on until the last event has been taken.
    rewind: Out; observations: In(stream of :func:`hdl.observations.queued_observation`).
    events: Out(stream of :func:`hdl.layouts.event`).
    """

    def __init__(self, config: DeviceConfig, *, rounds_per_cycle: int, pipelined: bool) -> None:
        self.config = config
        self._generator = make_generator(rounds_per_cycle, pipelined)
        super().__init__(
            {
                "start": In(1),
                "nonce": In(2 * WORD),
                "count": In(range(config.inputs + 1)),
                "step": In(1),
                "busy": Out(1),
                "rewind": Out(1),
                "observations": In(stream.Signature(queued_observation(config))),
                "events": Out(stream.Signature(event(config))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, window = self.config, self.config.window
        bits = int(observation_draw_bits(config.obs_frac))
        per_block = BLOCK_BITS // bits
        m.submodules.generator = generator = self._generator
        m.submodules.queue = queue = SyncFIFOBuffered(width=BLOCK_BITS, depth=AHEAD)

        # --- ask for blocks: as many for each walk as it needs -------------------------------------------------
        walks = window + config.steps - 1
        most = -(-config.inputs // per_block)
        nonce, number = Signal(2 * WORD), Signal(range(walks * most + 1))
        blocks, place, left = Signal(range(most + 1)), Signal(range(most + 1)), Signal(range(walks + 1))
        request = generator.requests
        m.d.comb += [
            request.payload.nonce.eq(nonce),
            request.payload.stream.eq(STREAM_OBS),
            request.payload.block.eq(number),
            request.valid.eq((left != 0) & (blocks != 0)),
            queue.w_data.eq(generator.draws.payload),
            queue.w_en.eq(generator.draws.valid),
            generator.draws.ready.eq(queue.w_rdy),
        ]
        with m.If(request.valid & request.ready):
            m.d.sync += [number.eq(number + 1), place.eq(place + 1)]
            with m.If(place + 1 == blocks):
                m.d.sync += [place.eq(0), left.eq(left - 1)]
        with m.If(self.start):
            m.d.sync += [
                nonce.eq(self.nonce),
                number.eq(0),
                place.eq(0),
                blocks.eq((self.count + per_block - 1) >> per_block.bit_length() - 1),
                left.eq(walks),
            ]

        # --- one observation after the other: does it spike, did the one that leaves --------------------------------
        m.submodules.recent = recent = Memory(shape=window, depth=max(config.inputs, 2), init=[])
        put, get = recent.write_port(), recent.read_port()
        entry, seen = self.observations.payload.entry, Signal(range(config.inputs + 1))
        next_seen = Signal.like(seen)
        part = Signal(range(per_block))
        walking, tells, fills = Signal(), Signal(), Signal()
        spikes, taken, advance, old = Signal(), Signal(), Signal(), Signal()
        held, holds = Signal(event(config)), Signal()
        m.d.comb += [
            spikes.eq(queue.r_data.word_select(part, bits) < (entry.value.as_unsigned() << bits - config.obs_frac)),
            advance.eq(~holds | self.events.ready),
            # While the window is told, nothing is drawn.
            self.observations.ready.eq(walking & advance & (tells | queue.r_rdy)),
            taken.eq(self.observations.valid & self.observations.ready),
            queue.r_en.eq(taken & ~tells & (self.observations.payload.last | (part == per_block - 1))),
            next_seen.eq(Mux(taken, seen + 1, seen)),
            get.addr.eq(next_seen),
            put.addr.eq(seen),
            put.data.eq((get.data << 1) | spikes),
            put.en.eq(taken & ~tells),
            old.eq(get.data[-1]),
            self.events.valid.eq(holds),
            self.events.payload.eq(held),
        ]
        unit = config.drive_frac - (window.bit_length() - 1)
        with m.If(advance):
            m.d.sync += [
                holds.eq(taken & Mux(tells, get.data.any(), ~fills & (spikes != old))),
                held.source.eq(config.neurons + entry.index),
                held.value.eq(Mux(tells, sum(get.data), spikes - old) << unit),
            ]
        m.d.sync += seen.eq(next_seen)
        with m.If(taken & ~tells):
            m.d.sync += part.eq(Mux(self.observations.payload.last, 0, part + 1))

        # --- the course of the walks --------------------------------------------------------------------------------
        round_number = Signal(range(window + 1))

        def walk() -> None:
            """Go through the observations from the first on."""
            m.d.comb += [self.rewind.eq(1), next_seen.eq(0)]
            m.d.sync += walking.eq(1)

        m.d.comb += self.busy.eq(walking | holds)
        with m.If(taken & self.observations.payload.last):
            m.d.sync += walking.eq(0)
            with m.If(fills):
                m.d.sync += round_number.eq(round_number + 1)
                with m.If(round_number == window - 1):
                    m.d.sync += [fills.eq(0), tells.eq(1)]
                walk()
            with m.Else():
                m.d.sync += tells.eq(0)
        with m.If((self.start | self.step) & (self.count != 0)):
            m.d.sync += [fills.eq(self.start), tells.eq(0), round_number.eq(0)]
            walk()
        return m
