"""The policy of the last steps (docs/numerics.md, "Spikes")."""

from __future__ import annotations

import math

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.config import DeviceConfig
from hdl.layouts import last_keep, softmax_beat, winner_bits


def policy_beat(config: DeviceConfig, lanes: int) -> data.StructLayout:
    """Action probabilities of a step; ``first`` and ``final`` mark the beats of the first and last step of a window."""
    probability = data.ArrayLayout(config.probability.bits, lanes)
    return data.StructLayout({"probability": probability, "last": 1, "first": 1, "final": 1})


def policy_latency(config: DeviceConfig) -> int:
    """Cycles from the last beat of a window to the first beat of means."""
    return config.actions + 1


class PolicyMean(wiring.Component):
    """Mean of the action probabilities over a window, as if they were terms of a softmax.

    Golden twin: ``policy`` and ``prob`` in :func:`golden.spikes.spike_batch`, and the action of the largest of them,
    the lowest on ties. Every probability up to 1.0 is allowed.

    A beat may come in every cycle. The first beat of means is offered :attr:`latency` cycles after the last beat of the
    last step has come, one neuron being looked at per cycle; the others follow without a pause. Nothing may come before
    all have been taken.

    No multipliers.

    Parameters
    ----------
    config: sizes, formats and window.
    lanes: neurons per beat.

    Members
    -------
    beats: In(stream of :func:`policy_beat`, always ready).
    means: Out(stream of :func:`hdl.layouts.softmax_beat`): ``term`` and ``probability`` are the mean, ``total`` is
        their sum, ``best`` the index of the largest; the rest is 0.
    """

    def __init__(self, config: DeviceConfig, *, lanes: int) -> None:
        self.config, self.lanes = config, lanes
        beats = stream.Signature(policy_beat(config, lanes), always_ready=True)
        super().__init__({"beats": In(beats), "means": Out(stream.Signature(softmax_beat(config, lanes)))})

    @property
    def latency(self) -> int:
        """Cycles from the last beat of a window to the first beat of means."""
        return policy_latency(self.config)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, lanes = self.config, self.lanes
        window_bits = config.window.bit_length() - 1
        count = math.ceil(config.actions / lanes)
        sums = data.ArrayLayout(config.probability.bits + window_bits, lanes)
        m.submodules.store = store = Memory(shape=sums, depth=max(count, 2), init=[])
        put, get = store.write_port(), store.read_port(domain="comb")
        beat, mean = self.beats.payload, self.means.payload
        number, lane = Signal(range(max(count, 2))), Signal(range(max(lanes, 2)))
        surveying, sending = Signal(), Signal()
        total, most = Signal.like(mean.total), Signal(config.probability.bits)
        best, neuron = Signal(winner_bits(config)), Signal(winner_bits(config))
        m.d.comb += [get.addr.eq(number), put.addr.eq(number), put.en.eq(self.beats.valid)]
        half = (1 << window_bits) >> 1
        for i in range(lanes):
            value = Signal(sums.elem_shape, name=f"sum{i}")
            m.d.comb += [
                value.eq(Mux(beat.first, 0, get.data[i]) + beat.probability[i]),
                put.data[i].eq(Mux(beat.final, (value + half) >> window_bits, value)),
                mean.term[i].eq(get.data[i]),
                mean.probability[i].eq(get.data[i]),
            ]
        is_last = number == count - 1
        m.d.comb += [
            mean.keep.eq(Mux(is_last, last_keep(config.actions, lanes), (1 << lanes) - 1)),
            mean.last.eq(is_last),
            mean.total.eq(total),
            mean.best.eq(best),
            self.means.valid.eq(sending),
        ]
        with m.If(self.beats.valid):
            m.d.sync += number.eq(Mux(beat.last, 0, number + 1))
            with m.If(beat.last & beat.final):
                m.d.sync += [surveying.eq(1), *(value.eq(0) for value in (lane, neuron, total, most, best))]
        with m.Elif(surveying):
            found = get.data[lane]
            m.d.sync += [total.eq(total + found), neuron.eq(neuron + 1), lane.eq(lane + 1)]
            with m.If((found > most) | (neuron == 0)):
                m.d.sync += [most.eq(found), best.eq(neuron)]
            with m.If(lane == lanes - 1):
                m.d.sync += [lane.eq(0), number.eq(number + 1)]
            with m.If(neuron == config.actions - 1):
                m.d.sync += [surveying.eq(0), sending.eq(1), number.eq(0)]
        with m.Elif(sending & self.means.ready):
            m.d.sync += [number.eq(Mux(is_last, 0, number + 1)), sending.eq(~is_last)]
        return m
