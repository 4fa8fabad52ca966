"""The float reference as a backend: the transactions of a device in natural units, without its formats."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from golden.arguments import check_obs, policies, rules
from golden.config import DRAW_BITS, DeviceConfig
from golden.errors import SvpgError
from golden.kernels import constants
from golden.parameters import Parameters
from golden.reference import OPTIMISERS, Direction, FloatNetwork, Optimisers
from golden.rng import STREAM_SPIKES, STREAM_WINNERS, draws, first_draw
from golden.spike_reference import RESPONSES, SpikingNetwork
from golden.spikes import windowed_observations
from host.backend import Decision, Update

STREAM_NOISE = 1 << 16
"""Stream of the optional noise; devices have none."""

_PARAMETERS = ("weight", "bias", "acc_weight", "acc_bias")
_OPTIMISER = "optimiser."


class FloatBackend:
    """Implements :class:`host.backend.Backend` with :class:`golden.reference.FloatNetwork`.

    A decision runs exactly ``config.iterations`` passes. Its random numbers are those of a device with the same
    nonce, so a row's result does not depend on its batch mates, up to the order in which a matrix product sums.
    PyTorch's thread count changes that order too; whoever needs equal bits fixes it.

    Parameters
    ----------
    config: sizes, connections, iterations and start; its number formats are not used.
    noise: standard deviation of normal noise on activity and observation in every pass of ``infer``, as the
        published code has it (0.02). Each row's noise is a function of its nonce; ``learn`` settles without.
    dtype: floating point type.
    response: of a synapse to a spike, one of :data:`golden.spike_reference.RESPONSES`; devices have the first.

    Raises
    ------
    SvpgError: ``noise`` is negative or not finite, or set in spike mode, which has none.
    """

    name = "float"

    def __init__(
        self,
        config: DeviceConfig,
        noise: float = 0.0,
        dtype: torch.dtype = torch.float32,
        response: str = RESPONSES[0],
    ) -> None:
        if noise and config.spikes:
            raise SvpgError(f"noise = {noise} does not exist in spike mode; set it to 0")
        if not (np.isfinite(noise) and noise >= 0):
            raise SvpgError(f"noise = {noise} is not a standard deviation; give 0 or a positive number")
        self.config = config
        self.noise = noise
        self._network = FloatNetwork(config, dtype)
        self._spiking = SpikingNetwork(self._network, response)
        self._constants = constants(config)
        self._optimisers = Optimisers(self._network)
        self._acc = Direction(torch.zeros_like(self._network.weight), torch.zeros_like(self._network.bias))

    def info(self) -> dict[str, Any]:
        """Name, sizes, floating point type and library version."""
        return {
            "backend": self.name,
            "dtype": str(self._network.dtype).removeprefix("torch."),
            "torch": torch.__version__,
            "noise": self.noise,
            "optimisers": list(OPTIMISERS),
            "config": self.config.to_dict(),
        }

    def load(self, parameters: Parameters) -> None:
        """Replace weights and biases; accumulators and optimiser state become zero.

        Raises
        ------
        SvpgError: sizes or connections differ, values are not finite, or the block is not symmetric.
        """
        self._network.load(parameters)
        self._clear()
        self._optimisers = Optimisers(self._network)

    def read(self) -> Parameters:
        """Current weights and biases, exactly."""
        return self._network.parameters()

    def infer(
        self,
        obs: NDArray[np.float64],
        nonce: NDArray[np.uint64],
        policy: str = "sample",
        winners: NDArray[np.int64] | None = None,
        activity: bool = True,
        spikes: bool = False,
        q0: NDArray[np.float64] | None = None,
    ) -> Decision:
        """Decide a batch; see :meth:`host.backend.Backend.infer`. There are no counters, and ``q`` is always there.

        ``q0`` (B, N) sets the initial activity instead of the configured start; devices do not offer it.

        Raises
        ------
        SvpgError: wrong shape, values that are not finite, unknown policy, or winners out of range.
        """
        s = self._observations(obs)
        batch = len(s)
        nonce = np.asarray(nonce)
        if nonce.shape != (batch,) or nonce.dtype != np.uint64:
            raise SvpgError(f"nonce has shape {nonce.shape} and type {nonce.dtype}, expected ({batch},) and uint64")
        if policy not in policies(self.config):
            known = ", ".join(policies(self.config))
            raise SvpgError(f"policy {policy!r} is unknown in {self.config.mode} mode; choose one of {known}")
        if winners is not None and policy != "conditional":
            raise SvpgError(f"hidden winners can be given with policy 'conditional' only, not {policy!r}")
        start = None
        if q0 is not None:
            if q0.shape != (batch, self.config.neurons) or not np.isfinite(q0).all():
                raise SvpgError(f"q0 has shape {q0.shape}, expected {(batch, self.config.neurons)}, all finite")
            start = self._tensor(q0)
        if self.config.spikes:
            if start is not None:
                raise SvpgError("q0 sets the initial activity, and spike mode begins without any; leave it out")
            return self._spike(s, nonce, policy, spikes)
        network, h = self._network, self.config.hidden
        with torch.inference_mode():
            drive = network.drive(s)
            u, q = network.settle(drive, start, noise=self._noise(nonce) if self.noise else None)
            policy_prob = q[:, h:]
            if policy == "greedy":
                chosen = network.greedy(u)
            else:
                uniforms = self._uniforms(nonce, self.config.groups + 1, STREAM_WINNERS)
                chosen = network.sample(q, uniforms)
                if policy == "conditional":
                    if winners is not None:
                        chosen = self._winners(winners, batch, hidden_only=True)
                    policy_prob = network.action_given_hidden(drive, chosen)
                    chosen = torch.cat((chosen[:, :-1], network.draw(policy_prob, uniforms[:, -1])[:, None]), 1)
        return Decision(
            winners=chosen.numpy(),
            action_prob=policy_prob.double().numpy(),
            q=q.double().numpy(),
            iterations=np.full(batch, self.config.iterations, dtype=np.int64),
            counters={},
        )

    def _spike(self, s: Tensor, nonce: NDArray[np.uint64], policy: str, all_spikes: bool) -> Decision:
        """A decision in spike mode."""
        network, config = self._network, self.config
        with torch.inference_mode():
            free = self._spiking.free(self._seen(s, nonce), self._spike_draws(nonce))
            prob = self._spiking.policy(free)
            winners = self._indices(free.spikes[-1])
            sent = self._indices(free.spikes).transpose(0, 1).numpy() if all_spikes else None
            if policy == "greedy":
                winners[:, -1] = prob.argmax(-1)
            else:
                uniforms = self._uniforms(nonce, config.groups + 1, STREAM_WINNERS)
                winners[:, -1] = network.draw(prob, uniforms[:, -1])
        return Decision(
            winners=winners.numpy(),
            action_prob=prob.double().numpy(),
            q=free.trace[-2].double().numpy(),
            iterations=np.full(len(s), config.steps, dtype=np.int64),
            counters={},
            spikes=sent,
        )

    def learn(
        self,
        obs: NDArray[np.float64],
        winners: NDArray[np.int64],
        modulator: NDArray[np.float64],
        rule: str,
        nonce: NDArray[np.uint64] | None = None,
    ) -> None:
        """Accumulate eligibility times modulator; see :meth:`host.backend.Backend.learn`.

        Raises
        ------
        SvpgError: wrong shape, values that are not finite, winners out of range, or unknown rule.
        """
        if rule not in rules(self.config):
            known = ", ".join(rules(self.config))
            raise SvpgError(f"rule {rule!r} is unknown in {self.config.mode} mode; choose one of {known}")
        if self.config.spikes and nonce is None:
            raise SvpgError("LEARN: spike mode needs the nonces of the decisions, to draw the same spikes again")
        s = self._observations(obs)
        m = np.asarray(modulator, dtype=np.float64)
        if m.shape != (len(s),):
            raise SvpgError(f"modulator has shape {m.shape}, expected ({len(s)},)")
        if not np.isfinite(m).all():
            raise SvpgError(f"modulator: {int((~np.isfinite(m)).sum())} of {m.size} values are not finite numbers")
        chosen = self._winners(winners, len(s), hidden_only=False)
        with torch.no_grad():
            if nonce is not None and self.config.spikes:
                total = self._learn_spikes(rule, s, nonce, chosen[:, -1], self._tensor(m))
            else:
                total = self._network.direction(rule, s, chosen, self._tensor(m))
            self._acc.weight.add_(total.weight)
            self._acc.bias.add_(total.bias)

    def _learn_spikes(
        self, rule: str, s: Tensor, nonce: NDArray[np.uint64], action: Tensor, modulator: Tensor
    ) -> Direction:
        spiking, seen, draws = self._spiking, self._seen(s, nonce), self._spike_draws(nonce)
        free = spiking.free(seen, draws)
        if rule == "published":
            return spiking.published(free, action, s, modulator)
        last = seen if seen.dim() == 2 else seen[-1]
        return spiking.contrastive(
            free, spiking.clamped(last, free, draws[-self.config.window :], action), s, modulator
        )

    def apply(self, update: Update) -> None:
        """Divide the accumulators by ``update.batch``, once, step the optimiser, clear the accumulators.

        Each optimiser keeps its own moments from one call to the next.

        Raises
        ------
        SvpgError: unknown optimiser, a rate that is negative or not finite, or an empty batch.
        """
        if update.batch < 1:
            raise SvpgError(f"batch = {update.batch}; learn from at least one sample before an update")
        for name in ("rate", "obs_rate"):
            value = getattr(update, name)
            if not (np.isfinite(value) and value >= 0):
                raise SvpgError(f"{name} = {value} is not a learning rate; give 0 or a positive number")
        with torch.no_grad():
            mean = Direction(self._acc.weight / update.batch, self._acc.bias / update.batch)
            self._optimisers.step(update.optimiser, mean, update.rate, update.obs_rate)
        self._clear()

    def close(self) -> None:
        """Nothing to give back."""

    def state(self) -> dict[str, NDArray[Any]]:
        """Copies of parameters, accumulators and optimiser state, as arrays."""
        tensors = dict(zip(_PARAMETERS, self._memories(), strict=True))
        tensors |= {_OPTIMISER + key: tensor for key, tensor in self._optimisers.state().items()}
        return {key: tensor.numpy().copy() for key, tensor in tensors.items()}

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Return to a state that :meth:`state` gave, to the same bits.

        Raises
        ------
        SvpgError: an array is missing, unknown, or of another shape or type.
        """
        for key, memory in zip(_PARAMETERS, self._memories(), strict=True):
            expected = memory.numpy()
            array = state.get(key)
            if array is None or array.shape != expected.shape or array.dtype != expected.dtype:
                found = "missing" if array is None else f"{array.dtype} {array.shape}"
                raise SvpgError(
                    f"checkpoint: {key} is {found}, expected {expected.dtype} {expected.shape}; "
                    "use the configuration it was saved with"
                )
        rest = {key: array for key, array in state.items() if key not in _PARAMETERS}
        unknown = [key for key in rest if not key.startswith(_OPTIMISER)]
        if unknown:
            raise SvpgError(f"checkpoint: {', '.join(unknown)} does not belong to the float backend")
        optimisers = Optimisers(self._network)
        optimisers.restore({key.removeprefix(_OPTIMISER): torch.tensor(array) for key, array in rest.items()})
        self._optimisers = optimisers
        for key, memory in zip(_PARAMETERS, self._memories(), strict=True):
            memory.copy_(torch.from_numpy(state[key]))

    # --- helpers -----------------------------------------------------------------------------------
    def _memories(self) -> tuple[Tensor, ...]:
        return self._network.weight, self._network.bias, *self._acc

    def _clear(self) -> None:
        for memory in self._acc:
            memory.zero_()

    def _tensor(self, values: NDArray[Any]) -> Tensor:
        return torch.from_numpy(values).to(self._network.dtype)

    def _uniforms(self, nonce: NDArray[np.uint64], count: int, stream: int) -> Tensor:
        """Uniform numbers in (0, 1), (B, count): the centres of the generator's 2**16 steps."""
        return self._tensor((draws(nonce, count, stream) + 0.5) / (1 << DRAW_BITS))

    def _spike_draws(self, nonce: NDArray[np.uint64]) -> Tensor:
        """Uniform numbers of the spikes, (steps, B, G+1)."""
        steps, groups = self.config.steps, self.config.groups + 1
        each = first_draw(1, groups)
        uniforms = self._uniforms(nonce, steps * each, STREAM_SPIKES).reshape(-1, steps, each)
        return uniforms[:, :, :groups].transpose(0, 1)

    def _indices(self, spikes: Tensor) -> Tensor:
        """Which neuron of each group spikes, (..., G+1) from (..., N)."""
        sizes = np.diff(self.config.group_start).tolist()
        return torch.stack([group.argmax(-1) for group in spikes.split(sizes, dim=-1)], dim=-1)

    def _seen(self, s: Tensor, nonce: NDArray[np.uint64]) -> Tensor:
        """What the network sees of observations (B, S): themselves, or their windowed spikes, (steps, B, S)."""
        config = self.config
        if config.obs_spikes == "analog":
            return s
        raw = check_obs(config, config.obs.quantise(s.double().numpy()))
        return self._tensor(windowed_observations(self._constants, raw, nonce) / config.window)

    def _noise(self, nonce: NDArray[np.uint64]) -> Tensor:
        """Normal noise (iterations, B, P) by the inverse of the normal distribution, row by row from the nonces."""
        passes, sources = self.config.iterations, self.config.sources
        uniforms = self._uniforms(nonce, passes * sources, STREAM_NOISE)
        return self.noise * torch.special.ndtri(uniforms).reshape(-1, passes, sources).transpose(0, 1)

    def _observations(self, obs: ArrayLike) -> Tensor:
        array = np.ascontiguousarray(obs, dtype=np.float64)
        if array.ndim != 2 or array.shape[1] != self.config.inputs:
            raise SvpgError(f"observations have shape {array.shape}, expected (batch, {self.config.inputs})")
        tensor = self._tensor(array)
        if not torch.isfinite(tensor).all():
            bad = int((~torch.isfinite(tensor)).sum())
            raise SvpgError(f"observations: {bad} of {array.size} values are not finite; remove NaN and infinity")
        return tensor

    def _winners(self, winners: ArrayLike, batch: int, hidden_only: bool) -> Tensor:
        config = self.config
        array = np.ascontiguousarray(winners)
        if array.shape != (batch, config.groups + 1) or array.dtype != np.int64:
            raise SvpgError(
                f"winners have shape {array.shape} and type {array.dtype}, "
                f"expected ({batch}, {config.groups + 1}) and int64"
            )
        wrong = (array < 0) | (array >= np.diff(config.group_start))
        if hidden_only:
            wrong[:, -1] = False
        if wrong.any():
            raise SvpgError(f"winners: {int(wrong.sum())} indices lie outside their group; give 0 to size - 1")
        return torch.from_numpy(array)
