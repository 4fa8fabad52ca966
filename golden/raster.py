"""What goes on within a decision in spike mode, step by step, from its spikes.

Potentials are a linear function of traces, observations and parameters (docs/numerics.md, "Spikes"), so the spikes that
a device sent tell what every softmax of the decision saw.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from golden.arguments import Observations
from golden.config import DeviceConfig
from golden.kernels import constants
from golden.parameters import Parameters
from golden.spike_reference import RESPONSES, response
from golden.spikes import windowed_observations

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Course:
    """One decision of T steps.

    Parameters
    ----------
    spikes: int64 (T, G+1), index within the group of every spike, action group last.
    trace: (T, N), what the softmax of each step sees of the spikes before.
    potential: (T, N), u of each step.

    Integers with ``activity_frac`` and ``potential_frac`` fraction bits, octaves; or float64, shares and nats.
    """

    spikes: Ints
    trace: NDArray[Any]
    potential: NDArray[Any]


def traces(config: DeviceConfig, spikes: Ints, weight: NDArray[Any]) -> NDArray[Any]:
    """Windowed spikes (T, N) before each step, of spikes (T, G+1); ``weight`` (R,) by their age, the newest first."""
    sent = np.zeros((len(spikes), config.neurons), dtype=weight.dtype)
    np.put_along_axis(sent, config.group_start[:-1] + spikes, weight.dtype.type(1), axis=1)
    trace = np.zeros_like(sent)
    for step in range(1, len(spikes)):
        # The first spike stands for those before it.
        recent = sent[np.maximum(step - 1 - np.arange(config.window), 0)]
        trace[step] = weight @ recent
    return trace


def potentials(trace: NDArray[Any], seen: NDArray[Any], weight: NDArray[Any], bias: NDArray[Any]) -> NDArray[Any]:
    """u = 2·trace·W + s·W + b, (T, N), of traces (T, N), observations (T, S), weights (P, N) and biases (N,)."""
    neurons = len(bias)
    return 2 * (trace @ weight[:neurons]) + seen @ weight[neurons:] + bias


def device_course(
    config: DeviceConfig, weight: Ints, bias: Ints, obs: Observations, nonce: np.uint64, spikes: Ints
) -> Course:
    """The course of a device's decision, exactly.

    Parameters
    ----------
    weight, bias: raw, (P, N) and (N,).
    obs, nonce: of the decision, raw (S,).
    spikes: that the device sent, (T, G+1).
    """
    share = np.full(config.window, (1 << config.activity_frac) // config.window, dtype=np.int64)
    trace = traces(config, spikes, share)
    if config.obs_spikes == "bernoulli":
        seen = _windowed(config, obs, nonce) * ((1 << config.drive_frac) // config.window)
    else:
        seen = np.tile(obs.astype(np.int64) << (config.drive_frac - config.obs_frac), (len(spikes), 1))
    drive = trace << (config.drive_frac - config.activity_frac)
    weight, bias = weight.astype(np.int64), bias.astype(np.int64)
    return Course(spikes, trace, potentials(drive, seen, weight, bias << config.drive_frac))


def float_course(
    config: DeviceConfig,
    parameters: Parameters,
    obs: NDArray[np.float64],
    nonce: np.uint64,
    spikes: Ints,
    kind: str = RESPONSES[0],
) -> Course:
    """The course of a decision of the float reference; see :func:`device_course`.

    ``kind`` is the response of a synapse to a spike, one of :data:`golden.spike_reference.RESPONSES`.
    """
    trace = traces(config, spikes, response(config, kind).numpy())
    if config.obs_spikes == "bernoulli":
        seen = _windowed(config, config.obs.quantise(obs), nonce) / config.window
    else:
        seen = np.tile(obs, (len(spikes), 1))
    return Course(spikes, trace, potentials(trace, seen, parameters.weight, parameters.bias))


def _windowed(config: DeviceConfig, obs: Observations, nonce: np.uint64) -> Ints:
    return windowed_observations(constants(config), obs[None], np.array([nonce], dtype=np.uint64))[:, 0]


def in_nats(config: DeviceConfig, course: Course) -> Course:
    """The course of a device as shares and nats, float64."""
    return Course(
        course.spikes,
        config.activity.to_float(course.trace),
        course.potential * (math.log(2) / 2.0**config.potential_frac),
    )
