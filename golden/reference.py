"""Float reference of the network and its three learning rules, in PyTorch (docs/learning.md).

Everything is in natural units (nats) and written as batched matrix products; no automatic differentiation
is involved. The neuron order is that of :class:`golden.config.DeviceConfig`: hidden (group-major), action,
observation.
"""

from __future__ import annotations

import collections
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from golden.config import DeviceConfig
from golden.errors import SvpgError
from golden.parameters import Parameters

OPTIMISERS = ("sgd", "rmsprop", "adam")
"""Update rules of :class:`Optimisers`."""


class Direction(NamedTuple):
    """An ascent direction, summed over a batch: ``weight`` (P, N) and ``bias`` (N,)."""

    weight: Tensor
    bias: Tensor


class FloatNetwork:
    """Recurrent winner-take-all network with rate inference in floating point.

    Parameters
    ----------
    config: sizes, connections, iterations and start; its number formats are not used.
    dtype: floating point type of every tensor.

    Attributes
    ----------
    weight: (P, N), nats. ``recurrent`` (N, N) and ``observation`` (S, N) are views of it.
    bias: (N,), nats.
    mask: (P, N), 1 where a synapse exists.
    """

    def __init__(self, config: DeviceConfig, dtype: torch.dtype = torch.float32) -> None:
        self.config = config
        self.dtype = dtype
        self.weight = torch.zeros(config.sources, config.neurons, dtype=dtype)
        self.recurrent = self.weight[: config.neurons]
        self.observation = self.weight[config.neurons :]
        self.bias = torch.zeros(config.neurons, dtype=dtype)
        self.mask = torch.tensor(config.mask, dtype=dtype)
        uniform = [1.0 / config.group_size] * config.hidden + [1.0 / config.actions] * config.actions
        self._uniform = torch.tensor(uniform, dtype=dtype)
        self._hidden_links = bool(config.mask[: config.hidden, : config.hidden].any())
        self._first = torch.tensor(config.group_start[:-1])

    # --- parameters --------------------------------------------------------------------------------
    def load(self, parameters: Parameters) -> None:
        """Copy weights and biases in, rounded to ``dtype``.

        Raises
        ------
        SvpgError: sizes or connections differ from ``config``, the recurrent block is not symmetric, or a value
            is not finite in ``dtype``.
        """
        parameters.check()
        parameters.matches(self.config)
        largest = max(np.abs(parameters.weight).max(), np.abs(parameters.bias).max())
        if largest > torch.finfo(self.dtype).max:
            raise SvpgError(f"parameters reach {largest:g}, beyond {self.dtype}; scale them down")
        self.weight.copy_(torch.from_numpy(parameters.weight))
        self.bias.copy_(torch.from_numpy(parameters.bias))

    def parameters(self) -> Parameters:
        """A copy of weights and biases (float64 holds both dtypes exactly)."""
        return Parameters(
            weight=self.weight.double().numpy().copy(),
            bias=self.bias.double().numpy().copy(),
            groups=self.config.groups,
            group_size=self.config.group_size,
            actions=self.config.actions,
            inputs=self.config.inputs,
            device=self.config,
        )

    # --- inference ---------------------------------------------------------------------------------
    def softmax(self, potential: Tensor) -> Tensor:
        """Softmax within every group, (B, N) to (B, N)."""
        h = self.config.hidden
        hidden = potential[:, :h].reshape(-1, self.config.groups, self.config.group_size)
        return torch.cat((torch.softmax(hidden, -1).reshape(-1, h), torch.softmax(potential[:, h:], -1)), 1)

    def drive(self, obs: Tensor) -> Tensor:
        """Feed-forward potentials ``s W[N:] + b``: (B, S) to (B, N)."""
        return torch.addmm(self.bias, obs, self.observation)

    def settle(
        self, drive: Tensor, q0: Tensor | None = None, iterations: int | None = None, noise: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Mean-field inference: ``u = 2 q W[:N] + s W[N:] + b``, ``q = softmax(u)``, all groups at once.

        Parameters
        ----------
        drive: (B, N), from :meth:`drive`.
        q0: (B, N) initial activity; by default the start of ``config``.
        iterations: passes, by default those of ``config``. All of them run, so no row depends on another.
        noise: (iterations, B, P), added to activity and observation in each pass, as the published code does
            with standard deviation 0.02.

        Returns
        -------
        Potentials and activity of the last pass, (B, N) each.
        """
        return collections.deque(self._passes(drive, q0, iterations, noise), maxlen=1)[0]

    def trace(
        self, drive: Tensor, q0: Tensor | None = None, iterations: int | None = None, noise: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """As :meth:`settle`, but potentials and activity of every pass, (iterations, B, N) each."""
        potentials, activities = zip(*self._passes(drive, q0, iterations, noise), strict=True)
        return torch.stack(potentials), torch.stack(activities)

    def _passes(
        self, drive: Tensor, q0: Tensor | None, iterations: int | None, noise: Tensor | None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        n = self.config.neurons
        count = self.config.iterations if iterations is None else iterations
        if count < 1:
            raise ValueError(f"iterations = {count}, at least one pass is needed")
        q = q0
        if q is None and self.config.start == "uniform":
            q = self._uniform.expand(len(drive), n)
        for step in range(count):
            # A silent start leaves the first pass the feed-forward drive alone.
            u = drive if q is None else torch.addmm(drive, q, self.recurrent, alpha=2.0)
            if noise is not None:
                extra = noise[step, :, n:] @ self.observation
                u = u + torch.addmm(extra, noise[step, :, :n], self.recurrent, alpha=2.0)
            q = self.softmax(u)
            yield u, q

    def clamp(self, drive: Tensor, q: Tensor, action: Tensor, iterations: int | None = None) -> Tensor:
        """The clamped phase: the action group is held at ``action``, the hidden groups settle on from ``q``.

        Parameters
        ----------
        drive: (B, N), from :meth:`drive`. q: (B, N) settled activity. action: (B,) int64.
        iterations: passes, by default ``config.clamp_iterations``.

        Returns
        -------
        Clamped activity, (B, N); one-hot in the action group.
        """
        h = self.config.hidden
        count = self.config.clamp_iterations if iterations is None else iterations
        if not self._hidden_links:
            count = min(count, 1)  # nothing a hidden group sees can change any more
        fixed = torch.nn.functional.one_hot(action, self.config.actions).to(self.dtype)
        driven = torch.addmm(drive[:, :h], fixed, self.recurrent[h:, :h], alpha=2.0)
        hidden = q[:, :h]
        for _ in range(count):
            u = torch.addmm(driven, hidden, self.recurrent[:h, :h], alpha=2.0)
            hidden = torch.softmax(u.reshape(-1, self.config.groups, self.config.group_size), -1).reshape(-1, h)
        return torch.cat((hidden, fixed), 1)

    # --- winners -----------------------------------------------------------------------------------
    def sample(self, q: Tensor, uniforms: Tensor) -> Tensor:
        """One winner per group by the inverse of the cumulative distribution.

        Parameters
        ----------
        q: (B, N) activity. uniforms: (B, G+1) in [0, 1), one per group, the action group last.

        Returns
        -------
        Winners as indices within their groups, int64 (B, G+1). A neuron of zero activity never wins.
        """
        h = self.config.hidden
        hidden = q[:, :h].reshape(-1, self.config.groups, self.config.group_size)
        return torch.cat((self.draw(hidden, uniforms[:, :-1]), self.draw(q[:, h:], uniforms[:, -1])[:, None]), 1)

    @staticmethod
    def draw(probability: Tensor, uniforms: Tensor) -> Tensor:
        """First index whose cumulative sum exceeds ``uniforms`` times the total: (..., K) and (...) to int64 (...)."""
        cumulative = probability.cumsum(-1)
        return (cumulative <= uniforms[..., None] * cumulative[..., -1:]).sum(-1)

    def greedy(self, potential: Tensor) -> Tensor:
        """The neuron of the largest potential of every group, the first of equals; int64 (B, G+1)."""
        h = self.config.hidden
        hidden = potential[:, :h].reshape(-1, self.config.groups, self.config.group_size)
        return torch.cat((hidden.argmax(-1), potential[:, h:].argmax(-1, keepdim=True)), 1)

    def one_hot(self, winners: Tensor) -> Tensor:
        """Winners (B, G+1) as spikes v, (B, N)."""
        spikes = torch.zeros(len(winners), self.config.neurons, dtype=self.dtype)
        return spikes.scatter_(1, winners + self._first, 1.0)

    def action_given_hidden(self, drive: Tensor, winners: Tensor) -> Tensor:
        """P(a | s, h): softmax of ``2 v_h W[h, a] + s W[s, a] + b_a``, (B, A).

        ``drive`` (B, N) from :meth:`drive`, ``winners`` int64 (B, G+1), whose last column is not read.
        """
        h = self.config.hidden
        v = torch.zeros(len(winners), h, dtype=self.dtype).scatter_(1, winners[:, :-1] + self._first[:-1], 1.0)
        return torch.softmax(torch.addmm(drive[:, h:], v, self.recurrent[:h, h:], alpha=2.0), -1)

    # --- learning ----------------------------------------------------------------------------------
    def direction(self, rule: str, obs: Tensor, winners: Tensor, modulator: Tensor) -> Direction:
        """Eligibility times modulator, summed over a batch, for one of the three rules.

        Settles from the start of ``config`` and, where the rule needs it, runs the clamped phase.

        Parameters
        ----------
        rule: ``published``, ``conditional`` or ``contrastive``.
        obs: (B, S). winners: int64 (B, G+1); the contrastive rule reads the action alone. modulator: (B,).

        Raises
        ------
        SvpgError: unknown rule.
        """
        if rule not in ("published", "conditional", "contrastive"):
            raise SvpgError(f"rule {rule!r} is unknown; choose published, conditional or contrastive")
        drive = self.drive(obs)
        _, q = self.settle(drive)
        if rule == "contrastive":
            return self.contrastive(q, self.clamp(drive, q, winners[:, -1]), obs, modulator)
        v = self.one_hot(winners)
        if rule == "conditional":
            return self.conditional(q, v, self.action_given_hidden(drive, winners), obs, modulator)
        return self.published(q, v, obs, modulator)

    def published(self, q: Tensor, v: Tensor, obs: Tensor, modulator: Tensor) -> Direction:
        """R-STDP of Yang et al. 2025 in the last-step approximation.

        With p = v - q: ``e_ij = q_i p_j + p_i q_j`` for i, j < N, ``s p_j`` for observations, ``p_j`` for biases.
        ``q`` and ``v`` (B, N), ``obs`` (B, S), ``modulator`` (B,).
        """
        return self.outer(q, v - q, obs, modulator)

    def contrastive(self, q: Tensor, clamped: Tensor, obs: Tensor, modulator: Tensor) -> Direction:
        """Correlation with the action clamped minus that without, both by mean field.

        ``e_ij = 2 (c_i c_j - q_i q_j)`` for i, j < N, ``s (c_j - q_j)`` for observations, ``c_j - q_j`` for biases.
        ``q`` and ``clamped`` (B, N), ``obs`` (B, S), ``modulator`` (B,).
        """
        # 2 (c_i c_j - q_i q_j) = (c + q)_i (c - q)_j + (c - q)_i (c + q)_j: one product instead of two.
        return self.outer(clamped + q, clamped - q, obs, modulator)

    def conditional(self, q: Tensor, v: Tensor, action_prob: Tensor, obs: Tensor, modulator: Tensor) -> Direction:
        """Score function of the policy that draws h from q and then the action from P(a | s, h).

        With p = (v_h - q_h, a - P(. | s, h)): between hidden groups as published; hidden i to action j
        ``e_ij = v_i p_j + p_i q_j``; ``s p_j`` for observations, ``p_j`` for biases.
        ``q`` and ``v`` (B, N), ``action_prob`` (B, A), ``obs`` (B, S), ``modulator`` (B,).
        """
        h = self.config.hidden
        post = torch.cat((v[:, :h] - q[:, :h], v[:, h:] - action_prob), 1)
        return self.outer(q, post, obs, modulator, action_trace=v[:, :h])

    def outer(
        self, trace: Tensor, post: Tensor, obs: Tensor, modulator: Tensor, action_trace: Tensor | None = None
    ) -> Direction:
        """``x + x^T`` with ``x_ij = sum_B M trace_i post_j``, and the feed-forward rows.

        ``action_trace`` (B, H) replaces the trace of the hidden neurons towards the action group.
        """
        h, n = self.config.hidden, self.config.neurons
        scaled = modulator[:, None] * post
        x = trace.T @ scaled
        if action_trace is not None:
            x[:h, h:] = action_trace.T @ scaled[:, h:]
        weight = torch.empty_like(self.weight)
        # a + b = b + a to the bit, so the block is exactly symmetric.
        torch.add(x, x.T, out=weight[:n])
        torch.mm(obs.T, scaled, out=weight[n:])
        return Direction(weight.mul_(self.mask), scaled.sum(0))


class Optimisers:
    """``torch.optim`` on a :class:`FloatNetwork`, one optimiser of each name with its own state.

    RMSprop uses alpha 0.99 and eps 1e-8; Adam PyTorch's defaults.

    Parameters
    ----------
    network: whose ``recurrent``, ``observation`` and ``bias`` are updated in place.
    """

    def __init__(self, network: FloatNetwork) -> None:
        self._network = network
        self._by_name: dict[str, torch.optim.Optimizer] = {}

    def step(self, name: str, mean: Direction, rate: float, obs_rate: float) -> None:
        """Ascend along ``mean``; ``obs_rate`` is the rate of the observation rows.

        The recurrent block is symmetric afterwards, to the bit.

        Raises
        ------
        SvpgError: unknown optimiser.
        """
        optimiser = self._get(name)
        for group, value in zip(optimiser.param_groups, (rate, obs_rate), strict=True):
            group["lr"] = value
        network, n = self._network, self._network.config.neurons
        network.recurrent.grad = mean.weight[:n]
        network.observation.grad = mean.weight[n:]
        network.bias.grad = mean.bias
        optimiser.step()
        # Vectorised and scalar remainder loops may round differently, so the mirror image is made exact.
        network.recurrent.copy_(network.recurrent.triu() + network.recurrent.triu(1).T)

    def state(self) -> dict[str, Tensor]:
        """Copies of the moments and step counts, by ``<optimiser>.<parameter index>.<name>``."""
        return {
            f"{name}.{index}.{key}": tensor.clone()
            for name, optimiser in self._by_name.items()
            for index, entries in optimiser.state_dict()["state"].items()
            for key, tensor in entries.items()
            if tensor is not None
        }

    def restore(self, state: dict[str, Tensor]) -> None:
        """Return to what :meth:`state` gave; optimisers it does not name start afresh.

        Raises
        ------
        SvpgError: a key is not of the form that :meth:`state` uses.
        """
        entries: dict[str, dict[int, dict[str, Tensor]]] = {}
        for path, tensor in state.items():
            name, _, rest = path.partition(".")
            index, _, key = rest.partition(".")
            if name not in OPTIMISERS or index not in ("0", "1", "2") or not key:
                raise SvpgError(f"checkpoint: {path!r} is no optimiser state of the float reference")
            entries.setdefault(name, {}).setdefault(int(index), {})[key] = tensor
        self._by_name.clear()
        for name, tensors in entries.items():
            optimiser = self._get(name)
            optimiser.load_state_dict({"state": tensors, "param_groups": optimiser.state_dict()["param_groups"]})

    def _get(self, name: str) -> torch.optim.Optimizer:
        if name not in self._by_name:
            network = self._network
            groups = [{"params": [network.recurrent, network.bias]}, {"params": [network.observation]}]
            if name == "sgd":
                self._by_name[name] = torch.optim.SGD(groups, maximize=True)
            elif name == "rmsprop":
                self._by_name[name] = torch.optim.RMSprop(groups, alpha=0.99, eps=1e-8, maximize=True)
            elif name == "adam":
                self._by_name[name] = torch.optim.Adam(groups, maximize=True)
            else:
                raise SvpgError(f"optimiser {name!r} is unknown to the float reference; choose {', '.join(OPTIMISERS)}")
        return self._by_name[name]
