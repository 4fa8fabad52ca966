"""What decisions and samples of a net keep the hardware busy with, whatever the build; their mean cost in one."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from golden.arguments import Observations
from golden.client import FrameDevice
from golden.config import DeviceConfig
from golden.device import Device, Ints, Learning
from hdl.eligibility import Eligibility
from hdl.layouts import all_beats
from hdl.options import CoreOptions
from sim.cost import Course, Moves, courses, latencies, predict
from sim.processor import CompactTwin

SAMPLES = 40
"""Decisions that a mean is over."""

GATHERING = 3
"""Cycles of the states between the end of the phases and the walks over the neurons."""


@dataclass(frozen=True)
class Traffic:
    """Decisions of a net, and samples if it learns.

    Parameters
    ----------
    config: of the device; its ``lanes`` do not matter.
    decisions: their courses, a neuron to a beat.
    obs, winners: of the samples; raw.
    device: golden, with the parameters of the net.
    """

    config: DeviceConfig
    decisions: tuple[Course, ...]
    obs: Observations
    winners: Ints
    device: Device

    @classmethod
    def of(cls, device: Device, obs: Observations) -> Traffic:
        """That of a golden device which decides some raw observations (B, S), sampling."""
        obs = obs[:SAMPLES]
        nonce = np.arange(len(obs), dtype=np.uint64)
        found = courses(device, CoreOptions(softmax_lanes=1), obs, nonce)
        winners = device.infer(obs, nonce).winners
        return cls(device.config, tuple(found), obs, winners, device)


def _beats(config: DeviceConfig, lanes: int, moves: Moves) -> Moves:
    """Moves per beat of ``lanes`` neurons from those of every neuron."""
    starts = [
        column
        for low, high in zip(config.group_start[:-1].tolist(), config.group_start[1:].tolist(), strict=True)
        for column in range(low, high, lanes)
    ]
    return tuple(np.add.reduceat(np.array(moves), starts).tolist())


def decision_cycles(traffic: Traffic, config: DeviceConfig, options: CoreOptions, most: int = SAMPLES) -> float:
    """Mean cycles of the first ``most`` decisions in a build, each exact."""
    if options.compact:
        obs = traffic.obs[:most]
        found = _compact(traffic, config, options).infer(obs, np.arange(len(obs), dtype=np.uint64))
        return float(np.mean(found.cycles))
    lanes = options.softmax_lanes
    cycles = [
        predict(
            config,
            options,
            dataclasses.replace(
                course,
                passes=tuple(_beats(config, lanes, moves) for moves in course.passes),
                start=None if course.start is None else _beats(config, lanes, course.start),
            ),
        ).cycles
        for course in traffic.decisions[:most]
    ]
    return float(np.mean(cycles))


def sample_cycles(traffic: Traffic, config: DeviceConfig, options: CoreOptions, rule: str) -> float:
    """Mean cycles of the samples in a build that learns, nearly: passes cost their latency and half of their spread.

    Of a compact core they are exact.

    Parameters
    ----------
    rule: by which they are learned, one of the build's.
    """
    modulator = np.full(len(traffic.obs), 1 << config.modulator_frac, dtype=np.int64)
    if options.compact:
        learned = _compact(traffic, config, options).learn(traffic.obs, traffic.winners, modulator, rule)
        assert learned is not None
        return float(np.mean(learned.cycles))
    wide = options.wide(config)
    # Row words of the phases are those that inference takes; what is learned goes through the device's own.
    phase = _learned(traffic, wide, modulator, rule)
    rows_learned = phase if wide is config else _learned(traffic, config, modulator, rule)
    known, lanes = latencies(config, options), options.softmax_lanes
    passes = phase.iterations + (rule == "conditional")
    phases = known.start + wide.row_words + phase.row_words + passes * (known.turn + known.spread / 2)
    settled = traffic.device.infer(traffic.obs, np.arange(len(traffic.obs), dtype=np.uint64)).q_raw
    listed = np.count_nonzero(settled, axis=1)
    gathering = listed + all_beats(config, lanes) / 2 + GATHERING
    rows = rows_learned.learn_words * (3 - options.products) + config.row_words + Eligibility.overhead
    return float(np.mean(phases + gathering + rows))


def _learned(traffic: Traffic, config: DeviceConfig, modulator: Ints, rule: str) -> Learning:
    """What golden counts while it learns the samples, with row words of other lanes."""
    device = Device(config)
    device.weight, device.bias = traffic.device.weight, traffic.device.bias
    return device.learn(traffic.obs, traffic.winners, modulator, rule)


def _compact(traffic: Traffic, config: DeviceConfig, options: CoreOptions) -> FrameDevice:
    """A compact core in software with the parameters of the net."""
    device = FrameDevice(config, CompactTwin(config, options))
    for section in ("weight", "bias"):
        device.load(section, traffic.device.read(section))
    return device
