"""The device as a sequence of integer transactions: what the RTL has to equal in every bit.

Each transaction is a pure function of the parameters, the accumulators, its arguments and its nonce. A batch is
the same as its rows one after the other. docs/numerics.md states the arithmetic.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from golden import batched, kernels, plasticity, spike_learning, spikes
from golden.arguments import (
    OPTIMISERS,
    POLICIES,
    RULES,
    Apply,
    Observations,
    check_apply,
    check_infer,
    check_learn,
    check_load,
    check_read,
)
from golden.arguments import section_format as format_of
from golden.config import CONTRACT_VERSION, DeviceConfig
from golden.fixed import Format

Ints = NDArray[np.int64]


@dataclass
class Inference:
    """Result of ``INFER``, integers; B rows.

    Attributes
    ----------
    winners: int64 (B, G+1), index within the group, action last.
    prob_raw: int64 (B, A), action probabilities with ``prob_frac`` fraction bits.
    q_raw: int64 (B, N), activity with ``activity_frac`` fraction bits; traces in spike mode.
    iterations: int64 (B,), softmax passes; time steps in spike mode.
    events, row_words: int64 (B,), events that entered the potentials and weight words they read.
    spikes: int64 (B, T, G+1), index within the group of every spike of a decision; (B, 0, G+1) in rate mode.
    """

    winners: Ints
    prob_raw: Ints
    q_raw: Ints
    iterations: Ints
    events: Ints
    row_words: Ints
    spikes: Ints


@dataclass
class Learning:
    """Counters of ``LEARN``; int64 (B,) each.

    Attributes
    ----------
    iterations: softmax passes of both phases.
    events, row_words: as in :class:`Inference`, both phases.
    learn_words: accumulator words touched in the weight rows (biases apart).
    """

    iterations: Ints
    events: Ints
    row_words: Ints
    learn_words: Ints


class Device:
    """Golden model of one device; starts with all parameters zero, as after reset and a clear.

    Parameters
    ----------
    config: sizes and formats.

    Attributes
    ----------
    weight: (P, N), bias: (N,): parameters in octaves, raw.
    acc, acc_bias: accumulators, raw. moment, moment_bias: second moments, raw.
    """

    def __init__(self, config: DeviceConfig) -> None:
        self.config = config
        self._constants = kernels.constants(config)
        p, n = config.sources, config.neurons
        self.weight = np.zeros((p, n), dtype=config.weight.container)
        self.bias = np.zeros(n, dtype=np.int32)
        self.acc = np.zeros((p, n), dtype=config.accumulator.container)
        self.acc_bias = np.zeros(n, dtype=config.accumulator.container)
        self.moment = np.zeros((p, n), dtype=config.moment.container)
        self.moment_bias = np.zeros(n, dtype=self.moment.dtype)
        # Scratch of the kernels; the narrower integer adds twice as fast.
        self._potential = np.zeros(n, dtype=np.int32 if config.potential_bits <= 32 else np.int64)
        self._drives = batched.Drives(self._constants, config)
        self._phase = spikes.new_phase(self._constants)
        self._symmetric = True
        self._no_winners = np.zeros((0, config.groups + 1), dtype=np.int64)

    # --- INFO, LOAD, READ --------------------------------------------------------------------------
    def info(self) -> dict[str, int | str]:
        """``INFO``: every field of the configuration, the contract version and the configuration digest."""
        return {"contract": CONTRACT_VERSION, "digest": self.config.digest, **self.config.to_dict()}

    def section_format(self, section: str) -> Format:
        """Number format of a memory section."""
        return format_of(self.config, section)

    def load(self, section: str, values: ArrayLike, start: int = 0) -> None:
        """``LOAD``: write raw integers into a section from flat position ``start`` on. All or nothing.

        Raises
        ------
        SvpgError: beyond the section, outside its format, or non-zero where no synapse exists.
        """
        data = check_load(self.config, section, values, start)
        memory = getattr(self, section)
        if section == "acc":
            self._symmetric = False
        memory.ravel()[start : start + data.size] = data

    def read(self, section: str, start: int = 0, count: int | None = None) -> Ints:
        """``READ``: ``count`` raw integers of a section from flat position ``start``, int64 (all by default)."""
        stop = check_read(self.config, section, start, count)
        return getattr(self, section).ravel()[start:stop].astype(np.int64)

    def clear_learning(self) -> None:
        """Zero the accumulators and second moments."""
        for memory in (self.acc, self.acc_bias, self.moment, self.moment_bias):
            memory.fill(0)

    # --- INFER -------------------------------------------------------------------------------------
    def infer(
        self, obs: Observations, nonce: NDArray[np.uint64], policy: str = "sample", given: Ints | None = None
    ) -> Inference:
        """``INFER``: settle, then choose winners.

        Parameters
        ----------
        obs: raw observations, integer (B, S), within ``config.obs``.
        nonce: uint64 (B,); the only source of randomness.
        policy: ``sample`` draws every group from q; ``greedy`` takes the largest potential, lowest index on ties;
            ``conditional`` draws the hidden winners, recomputes the action group from them, draws the action.
        given: hidden winners (B, G+1) that replace the draw of ``conditional``; the last column is not read.

        Raises
        ------
        SvpgError: wrong shapes or values.
        """
        config = self.config
        obs, nonce, given = check_infer(config, obs, nonce, policy, given)
        batch = obs.shape[0]
        result = Inference(
            winners=np.empty((batch, config.groups + 1), dtype=np.int64),
            prob_raw=np.empty((batch, config.actions), dtype=np.int64),
            q_raw=np.empty((batch, config.neurons), dtype=np.int64),
            iterations=np.empty(batch, dtype=np.int64),
            events=np.empty(batch, dtype=np.int64),
            row_words=np.empty(batch, dtype=np.int64),
            spikes=np.empty((batch, config.steps if config.spikes else 0, config.groups + 1), dtype=np.int64),
        )
        network = (self._potential, self.weight, self.bias, obs)
        *results, all_spikes = (getattr(result, field.name) for field in dataclasses.fields(Inference))
        if config.spikes:
            spikes.spike_batch(self._constants, self._phase, *network, nonce, POLICIES[policy], *results, all_spikes)
        else:
            no_winners = self._no_winners if given is None else given
            drawn = (nonce, POLICIES[policy], no_winners, given is not None)
            kernels.infer_batch(self._constants, *network, self._driven(obs), *drawn, *results)
        return result

    # --- LEARN, APPLY ------------------------------------------------------------------------------
    def learn(
        self, obs: Observations, winners: Ints, modulator: Ints, rule: str, nonce: NDArray[np.uint64] | None = None
    ) -> Learning:
        """``LEARN``: add each sample's modulated eligibility to the accumulators, in order.

        Parameters
        ----------
        obs: raw observations, integer (B, S).
        winners: integer (B, G+1); ``contrastive`` reads the action only, and so does spike mode.
        modulator: raw M, integer (B,).
        rule: ``published``, ``conditional`` or ``contrastive`` (docs/learning.md); there is no ``conditional`` in spike
            mode.
        nonce: uint64 (B,), of the decisions; spike mode draws the same spikes again.

        Raises
        ------
        SvpgError: wrong shapes or values.
        """
        obs, winners, modulator, nonce = check_learn(self.config, obs, winners, modulator, rule, nonce)
        counters = Learning(*(np.empty(len(obs), dtype=np.int64) for _ in range(4)))
        memories = (self._potential, self.weight, self.bias, self.acc, self.acc_bias[None])
        results = (counters.events, counters.row_words, counters.learn_words, counters.iterations)
        both, number = not self._is_symmetric(), RULES[rule]
        if self.config.spikes:
            c, action = self._constants, winners[:, -1].copy()
            scaled = kernels.divided(c, c.window_bits)
            spike_learning.learn_spikes(
                c, scaled, self._phase, *memories, obs, nonce, action, modulator, number, both, *results
            )
        else:
            self._learn(obs, memories, (winners, modulator, number, both), results)
        return counters

    def _driven(self, obs: Observations) -> Ints:
        """What observations add to the potentials, (B, N), or (B, 0) where the kernels compute that themselves."""
        if not batched.pays(self.config, len(obs)):
            return np.zeros((len(obs), 0), dtype=np.int64)
        return self._drives.of(self.weight[self.config.neurons :], obs)

    def _learn(
        self, obs: Observations, memories: tuple[Any, ...], lesson: tuple[Any, ...], results: tuple[Any, ...]
    ) -> None:
        """``LEARN`` in rate mode."""
        c, n = self._constants, self.config.neurons
        defers = batched.pays(self.config, len(obs))
        changes = np.zeros((len(obs), n if defers else 0), dtype=np.int64)
        plasticity.learn_batch(c, *memories, obs, self._driven(obs), changes, *lesson, *results)
        if defers:
            modulator: Ints = lesson[1]
            batched.accumulate_observations(c, self.acc[n:], obs, modulator, changes)

    def apply(self, arguments: Apply) -> None:
        """``APPLY``: update weights and biases from the accumulators and clear these.

        Raises
        ------
        SvpgError: arguments out of range.
        """
        config = self.config
        check_apply(config, arguments)
        n = config.neurons
        for weight, acc, moment, rate in (
            (self.weight[:n], self.acc[:n], self.moment[:n], arguments.rate),
            (self.weight[n:], self.acc[n:], self.moment[n:], arguments.obs_rate),
            (self.bias[None], self.acc_bias[None], self.moment_bias[None], arguments.rate),
        ):
            plasticity.apply_rows(
                weight,
                acc,
                moment,
                OPTIMISERS[arguments.optimiser],
                arguments.mean_shift,
                rate,
                arguments.decay,
                1 << (config.moment_frac - arguments.floor),
                arguments.grid,
                config.acc_frac,
                config.weight_frac,
                config.moment_frac,
                config.gradient.high,
                config.moment.high,
                config.weight.low,
                config.weight.high,
            )

    def _is_symmetric(self) -> bool:
        """Whether the recurrent accumulators are symmetric: ``LEARN`` keeps them so, half the work is enough then."""
        if not self._symmetric:
            block = self.acc[: self.config.neurons]
            self._symmetric = np.array_equal(block, block.T)
        return self._symmetric
