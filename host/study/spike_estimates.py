"""Cases of ``svpg study spikes`` in floating point: variants of the clamped phase, as estimates and in training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from golden.config import DeviceConfig
from golden.parameters import Parameters
from golden.reference import Direction
from golden.rng import STREAM_SPIKES, first_draw
from golden.spike_reference import Spikes
from host.agent import Agent, initial_parameters
from host.backends.float import FloatBackend
from host.classify import OneStep, accuracy
from host.datasets import load_mnist, observations
from host.seeds import Purpose, generator, nonces
from host.study.mnist import settings_of
from host.study.spike_inference import mnist_parameters

COMMON = "common"
"""As devices do it: the clamped phase goes on from the free one, with the random numbers of its last window."""

FRESH = "fresh"
"""It draws new random numbers."""

REPLAYED = "replayed"
"""It begins where the last window of the free phase began, with the same random numbers."""

LONG = "long"
"""Two windows long, each with the random numbers of the free phase's last one."""

STEPWISE = "stepwise"
"""Coincidences of two spikes in the same step, not products of traces."""

CLAMPS = (COMMON, FRESH, REPLAYED, LONG, STEPWISE)

BATCH = 100
"""Samples per update."""


class ClampVariant(FloatBackend):
    """The float reference with another clamped phase; analog observations only.

    Parameters
    ----------
    config: in spike mode.
    clamp: one of :data:`CLAMPS`.
    """

    def __init__(self, config: DeviceConfig, clamp: str) -> None:
        super().__init__(config)
        self._clamp = clamp

    def _learn_spikes(
        self, rule: str, s: Tensor, nonce: NDArray[np.uint64], action: Tensor, modulator: Tensor
    ) -> Direction:
        spiking, window, uniforms = self._spiking, self.config.window, self._spike_draws(nonce)
        free = spiking.free(s, uniforms)
        before, again = free, uniforms[-window:]
        if self._clamp == FRESH:
            again = self._later_draws(nonce)
        elif self._clamp == REPLAYED:
            kept = len(free.spikes) - window
            before = Spikes(free.spikes[:kept], free.probability[:kept], free.trace[: kept + 1])
        elif self._clamp == LONG:
            again = torch.cat((again, again))
        clamped = spiking.clamped(s, before, again, action)
        if self._clamp != STEPWISE:
            return spiking.contrastive(free, clamped, s, modulator)
        steps = [
            self._network.contrastive(free.spikes[-window + step], clamped.spikes[step], s, modulator)
            for step in range(window)
        ]
        return Direction(*(torch.stack(parts).mean(0) for parts in zip(*steps, strict=True)))

    def _later_draws(self, nonce: NDArray[np.uint64]) -> Tensor:
        """Uniform numbers of the window of steps after the free phase, (window, B, G+1)."""
        config, groups = self.config, self.config.groups + 1
        each = first_draw(1, groups)
        all_draws = self._uniforms(nonce, (config.steps + config.window) * each, STREAM_SPIKES)
        return all_draws.reshape(len(nonce), -1, each)[:, config.steps :, :groups].transpose(0, 1)


Array = NDArray[np.float64]


def exact_score(
    config: DeviceConfig, parameters: Parameters, obs: Array, action: NDArray[np.int64], modulator: Array
) -> dict[str, Array]:
    """Exact policy gradient of a batch for a net without hidden-hidden and observation-action links.

    The policy is the energy's, pi(a | s) ~ sum_h exp(-E(s, h, a)), whose hidden groups are independent given a.

    Parameters
    ----------
    obs: (B, S). action, modulator: (B,).

    Returns
    -------
    ``policy`` (B, A), and sums of modulator times d ln pi / d W: ``obs`` (S, H), ``recurrent`` (H, A), tied entries
    taken as one.
    """
    h, n, actions = config.hidden, config.neurons, config.actions
    w = parameters.weight
    drive = obs @ w[n:, :h] + parameters.bias[:h]
    # (B, A, G, K): potentials of the hidden neurons under each action.
    u = (drive[:, None, :] + 2 * w[h:n, :h][None]).reshape(len(obs), actions, config.groups, config.group_size)
    top = u.max(axis=-1, keepdims=True)
    total = np.exp(u - top).sum(axis=-1, keepdims=True)
    given = (np.exp(u - top) / total).reshape(len(obs), actions, h)
    policy = softmax((top + np.log(total)).sum(axis=(2, 3)) + parameters.bias[h:])
    rows = np.arange(len(obs))
    joint = policy[:, :, None] * given
    synapse = -2 * joint.transpose(0, 2, 1)
    synapse[rows, :, action] += 2 * given[rows, action]
    return {
        "policy": policy,
        "obs": obs.T @ (modulator[:, None] * (given[rows, action] - joint.sum(axis=1))),
        "recurrent": np.einsum("b,bha->ha", modulator, synapse),
    }


def enumerated_score(
    config: DeviceConfig, parameters: Parameters, obs: Array, action: NDArray[np.int64], modulator: Array
) -> dict[str, Array]:
    """The same by enumeration of all hidden states, for a small net of any links; ``recurrent`` is (N, N)."""
    n, sizes = config.neurons, np.diff(config.group_start)
    states = np.stack(np.meshgrid(*(np.arange(size) for size in sizes), indexing="ij"), -1).reshape(-1, len(sizes))
    v = np.zeros((len(states), n))
    np.put_along_axis(v, states + config.group_start[:-1], 1.0, axis=1)
    w = parameters.weight
    joint = softmax(np.einsum("xi,ij,xj->x", v, w[:n], v) + (obs @ w[n:] + parameters.bias) @ v.T)
    acted = states[:, -1][:, None] == np.arange(config.actions)
    policy = joint @ acted
    rows = np.arange(len(obs))
    given = joint * acted[:, action].T / policy[rows, action][:, None]
    difference = modulator[:, None] * (given - joint)
    return {
        "policy": policy,
        "obs": (obs.T @ (difference @ v)) * config.mask[n:],
        "recurrent": 2 * np.einsum("x,xi,xj->ij", difference.sum(axis=0), v, v) * config.mask[:n],
    }


def softmax(x: Array) -> Array:
    """Along the last axis."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def estimate_mnist_case(seed: int, batches: int, repeats: int, variants: list[str]) -> dict[str, Any]:
    """:func:`estimates` on a net that golden has trained in rate mode for some batches of MNIST; reward ±1."""
    config, parameters = mnist_parameters(seed, batches)
    data = load_mnist()
    rng = generator(seed, Purpose.SAMPLES)
    chosen = rng.permutation(len(data.train_images))[:BATCH]
    obs = observations(data.train_images[chosen]).astype(np.float64)
    reward = np.where(data.train_labels[chosen][:, None] == np.arange(config.actions), 1.0, -1.0)
    return estimates(config, parameters, obs, reward, exact_score, rng, seed, repeats, variants)


SMALL = DeviceConfig(inputs=8, groups=4, group_size=4, actions=4, removed="sa")
"""A net whose 1,024 states can be enumerated, with hidden-hidden links."""


def estimate_small_case(seed: int, deviation: float, repeats: int, variants: list[str]) -> dict[str, Any]:
    """:func:`estimates` on a random net :data:`SMALL`, its weights normal; random observations and rewards."""
    rng = generator(seed, Purpose.SAMPLES)
    n = SMALL.neurons
    weight = rng.normal(0, deviation, (SMALL.sources, n)) * SMALL.mask
    weight[:n] = np.triu(weight[:n]) + np.triu(weight[:n]).T
    parameters = Parameters(weight, np.zeros(n), SMALL.groups, SMALL.group_size, SMALL.actions, SMALL.inputs)
    obs = rng.random((BATCH, SMALL.inputs))
    reward = rng.normal(0, 1, (BATCH, SMALL.actions))
    return estimates(SMALL, parameters, obs, reward, enumerated_score, rng, seed, repeats, variants)


def estimates(
    config: DeviceConfig,
    parameters: Parameters,
    obs: Array,
    reward: Array,
    score: Callable[..., dict[str, Array]],
    rng: np.random.Generator,
    seed: int,
    repeats: int,
    variants: list[str],
) -> dict[str, Any]:
    """How near the update of one batch is to the policy gradient of the same observations, actions and rewards.

    Actions are drawn from the exact policy; the modulator is the reward less its mean over the policy.

    Parameters
    ----------
    obs: (B, S). reward: (B, A), of every action.
    score: :func:`exact_score` or :func:`enumerated_score`.
    repeats: updates with other random numbers.
    variants: ``rate``, or ``T/R/clamp``.

    Returns
    -------
    ``{variant: {obs, obs_mean, recurrent, recurrent_mean}}``: cosine with the exact update, over observation and
    recurrent synapses, of one update (mean over the repeats) and of the mean of all updates.
    """
    count, h, n = len(obs), config.hidden, config.neurons
    nothing = np.zeros(count, dtype=np.int64)
    policy = score(config, parameters, obs, nothing, np.zeros(count))["policy"]
    action = (policy.cumsum(axis=1) < rng.random((count, 1))).sum(axis=1).clip(max=config.actions - 1)
    modulator = reward[np.arange(count), action] - (policy * reward).sum(axis=1)
    exact = score(config, parameters, obs, action, modulator)
    winners = np.zeros((count, config.groups + 1), dtype=np.int64)
    winners[:, -1] = action
    # The exact recurrent part may hold one of the two tied triangles only.
    low, high = (0, n) if exact["recurrent"].shape == (n, n) else (h, n)
    rows = n if low == 0 else h
    blocks = {"obs": (slice(n, None), slice(0, exact["obs"].shape[1])), "recurrent": (slice(0, rows), slice(low, high))}
    result: dict[str, Any] = {}
    for name in variants:
        backend, updates = _estimator(config, name, repeats)
        found = []
        for repeat in range(updates):
            backend.load(parameters)
            backend.learn(obs, winners, modulator, "contrastive", nonces(seed, Purpose.ACT, repeat * count, count))
            found.append(backend.state()["acc_weight"].astype(np.float64))
        result[name] = {}
        for block, place in blocks.items():
            parts = [weight[place] for weight in found]
            result[name][block] = float(np.mean([cosine(part, exact[block]) for part in parts]))
            result[name][f"{block}_mean"] = cosine(np.mean(parts, axis=0), exact[block])
    return result


def _estimator(config: DeviceConfig, name: str, repeats: int) -> tuple[FloatBackend, int]:
    if name == "rate":
        return FloatBackend(config), 1
    steps, window, clamp = name.split("/")
    return ClampVariant(config.replace(mode="spike", steps=int(steps), window=int(window)), clamp), repeats


def cosine(a: Array, b: Array) -> float:
    """Cosine of the angle between two arrays."""
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))


def train_clamp_case(seed: int, marks: list[int], clamp: str, assignments: list[str]) -> dict[str, Any]:
    """MNIST with another clamped phase, in floating point: ``{accuracy}`` at each of ``marks`` (batches)."""
    settings = settings_of("float", assignments)
    data = load_mnist()
    agent = Agent(ClampVariant(settings.network, clamp), settings.learning, seed)
    agent.load(initial_parameters(settings.network, settings.learning, seed))
    learner = OneStep(data, agent, settings.classify, None)
    scores = []
    for batch in range(1, max(marks) + 1):
        learner.advance()
        if batch in marks:
            scores.append(accuracy(agent, data.test_images, data.test_labels))
    return {"accuracy": scores}
