"""Float reference of spiking inference and of learning from spikes, in PyTorch (docs/learning.md, "Spikes").

The same network as :class:`golden.reference.FloatNetwork`, in natural units; spikes are drawn with the random numbers
of a device of the same nonce.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from golden.config import DeviceConfig
from golden.reference import Direction, FloatNetwork

RESPONSES = ("uniform", "double-exponential")
"""How a spike acts on the potentials over time; devices have the first."""

SLOW, FAST = 8.0, 2.0
"""Time constants of the double exponential, in steps (Yang et al. 2025)."""


def response(config: DeviceConfig, kind: str) -> Tensor:
    """Weight of a spike by its age in steps, the newest first; float64 (window,), sums to 1."""
    age = torch.arange(1, config.window + 1, dtype=torch.float64)
    weight = torch.ones_like(age) if kind == "uniform" else torch.exp(-age / SLOW) - torch.exp(-age / FAST)
    return weight / weight.sum()


@dataclass
class Spikes:
    """A phase of some steps.

    Attributes
    ----------
    spikes: (steps, B, N), 0 or 1, one in each group.
    probability: (steps, B, N), q that they were drawn from.
    trace: (steps + 1, B, N), windowed spikes before each step, and after the last.
    """

    spikes: Tensor
    probability: Tensor
    trace: Tensor


class SpikingNetwork:
    """Spiking inference and its learning rules on the weights of a network.

    Parameters
    ----------
    network: weights, softmax and sampling.
    kind: one of :data:`RESPONSES`.
    """

    def __init__(self, network: FloatNetwork, kind: str = "uniform") -> None:
        self.network, self.config = network, network.config
        self._response = response(network.config, kind).to(network.dtype)

    def free(self, obs: Tensor, uniforms: Tensor) -> Spikes:
        """The free phase: every group spikes, ``config.steps`` times.

        Parameters
        ----------
        obs: analog observations (B, S), or what Bernoulli spikes leave in the window, (steps, B, S).
        uniforms: (steps, B, G+1) in [0, 1).
        """
        return self._run(obs, uniforms, None, None)

    def clamped(self, obs: Tensor, free: Spikes, uniforms: Tensor, action: Tensor) -> Spikes:
        """The hidden groups go on after ``free`` for the steps of ``uniforms``; the action's trace is held at 1."""
        return self._run(obs, uniforms, free, action)

    def _run(self, obs: Tensor, uniforms: Tensor, before: Spikes | None, action: Tensor | None) -> Spikes:
        network, h = self.network, self.config.hidden
        window = [] if before is None else list(before.spikes[-self.config.window :].flip(0))
        spikes, probabilities, traces = [], [], []
        fixed = None
        if action is not None:
            fixed = torch.nn.functional.one_hot(action, self.config.actions).to(network.dtype)
        for step in range(len(uniforms)):
            trace = self._trace(window, len(uniforms[step]), fixed)
            drive = network.drive(obs if obs.dim() == 2 else obs[step])
            q = network.softmax(torch.addmm(drive, trace, network.recurrent, alpha=2.0))
            new = network.one_hot(network.sample(q, uniforms[step]))
            if fixed is not None:
                new[:, h:] = fixed
            # The very first spike counts as if it had been sent throughout the window before.
            window = [new] * self.config.window if not window else [new, *window[:-1]]
            spikes.append(new)
            probabilities.append(q)
            traces.append(trace)
        traces.append(self._trace(window, len(uniforms[0]), fixed))
        return Spikes(torch.stack(spikes), torch.stack(probabilities), torch.stack(traces))

    def _trace(self, window: list[Tensor], batch: int, fixed: Tensor | None) -> Tensor:
        if not window:
            return torch.zeros(batch, self.config.neurons, dtype=self.network.dtype)
        trace = torch.einsum("w,wbn->bn", self._response, torch.stack(window))
        return trace if fixed is None else torch.cat((trace[:, : self.config.hidden], fixed), 1)

    def policy(self, free: Spikes) -> Tensor:
        """Action probabilities, (B, A): the mean over the last ``window`` steps."""
        return free.probability[-self.config.window :, :, self.config.hidden :].mean(0)

    def contrastive(self, free: Spikes, clamped: Spikes, obs: Tensor, modulator: Tensor) -> Direction:
        """Coincidences of spikes in the window with the action clamped, less those without: products of traces."""
        return self.network.contrastive(free.trace[-1], clamped.trace[-1], obs, modulator)

    def published(self, free: Spikes, action: Tensor, obs: Tensor, modulator: Tensor) -> Direction:
        """Presynaptic traces times spikes less probabilities, the mean over the last ``window`` steps."""
        window, h = self.config.window, self.config.hidden
        fixed = torch.nn.functional.one_hot(action, self.config.actions).to(self.network.dtype)
        steps = []
        for step in range(self.config.steps - window, self.config.steps):
            spikes = torch.cat((free.spikes[step, :, :h], fixed), 1)
            trace, q = free.trace[step], free.probability[step]
            steps.append(self.network.outer(trace, spikes - q, obs, modulator))
        return Direction(*(torch.stack(parts).mean(0) for parts in zip(*steps, strict=True)))
