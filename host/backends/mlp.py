"""The conventional yardstick: a multilayer perceptron trained by backpropagation, behind the same interface."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from golden.config import DRAW_BITS, DeviceConfig
from golden.errors import SvpgError
from golden.parameters import Parameters
from golden.rng import STREAM_WINNERS, draws
from host.backend import Decision, Update


class MlpBackend:
    """A policy network inputs - hidden (ReLU) - actions with as many hidden units as the device has neurons.

    Takes the same observations, actions, modulators and updates as a device; ``learn`` accumulates the gradient of
    ``sum(M * ln pi(a|s))`` by backpropagation, whatever the rule is called. Used by the studies only: its
    parameters are no device's, so ``load`` and ``read`` refuse.

    Parameters
    ----------
    config: ``inputs``, ``groups * group_size`` and ``actions`` are used.
    seed: of PyTorch's default initial weights.
    """

    name = "mlp"

    def __init__(self, config: DeviceConfig, seed: int) -> None:
        self.config = config
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._model = torch.nn.Sequential(
                torch.nn.Linear(config.inputs, config.hidden),
                torch.nn.ReLU(),
                torch.nn.Linear(config.hidden, config.actions),
            )
        self._optimiser = torch.optim.Adam(self._model.parameters(), maximize=True)
        self._optimiser.zero_grad()

    def info(self) -> dict[str, Any]:
        """Sizes."""
        return {"backend": self.name, "layers": [self.config.inputs, self.config.hidden, self.config.actions]}

    def load(self, parameters: Parameters) -> None:
        """Refused: see the class."""
        raise SvpgError("the MLP baseline has no device parameters to load")

    def read(self) -> Parameters:
        """Refused: see the class."""
        raise SvpgError("the MLP baseline has no device parameters to read")

    def infer(
        self,
        obs: NDArray[np.float64],
        nonce: NDArray[np.uint64],
        policy: str = "sample",
        winners: NDArray[np.int64] | None = None,
        activity: bool = True,
        spikes: bool = False,
    ) -> Decision:
        """Decide a batch; hidden winners are zero, ``q`` holds the policy in its last A columns."""
        with torch.inference_mode():
            prob = torch.softmax(self._model(torch.as_tensor(obs, dtype=torch.float32)), dim=1).double().numpy()
        batch, groups = len(prob), self.config.groups
        if policy == "greedy":
            action = prob.argmax(axis=1)
        else:
            uniform = (draws(nonce, groups + 1, STREAM_WINNERS)[:, -1:] + 0.5) / (1 << DRAW_BITS)
            cumulative = prob.cumsum(axis=1)
            action = (cumulative <= uniform * cumulative[:, -1:]).sum(axis=1)
        chosen = np.zeros((batch, groups + 1), dtype=np.int64)
        chosen[:, -1] = action
        q = np.zeros((batch, self.config.neurons))
        q[:, self.config.hidden :] = prob
        return Decision(chosen, prob, q, np.ones(batch, dtype=np.int64), {})

    def learn(
        self,
        obs: NDArray[np.float64],
        winners: NDArray[np.int64],
        modulator: NDArray[np.float64],
        rule: str,
        nonce: NDArray[np.uint64] | None = None,
    ) -> None:
        """Backpropagate ``sum(M * ln pi(a|s))``."""
        log_policy = torch.log_softmax(self._model(torch.as_tensor(obs, dtype=torch.float32)), dim=1)
        chosen = log_policy[torch.arange(len(obs)), torch.as_tensor(winners[:, -1])]
        (torch.as_tensor(modulator, dtype=torch.float32) * chosen).sum().backward()

    def apply(self, update: Update) -> None:
        """One Adam step on the batch mean."""
        for parameter in self._model.parameters():
            if parameter.grad is not None:
                parameter.grad /= update.batch
        self._optimiser.param_groups[0]["lr"] = update.rate
        self._optimiser.step()
        self._optimiser.zero_grad()

    def state(self) -> dict[str, NDArray[Any]]:
        """Weights as arrays (the studies compare runs with it; there is no resuming)."""
        return {key: value.detach().numpy().copy() for key, value in self._model.state_dict().items()}

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Load weights that :meth:`state` gave."""
        self._model.load_state_dict({key: torch.as_tensor(value) for key, value in state.items()})

    def close(self) -> None:
        """Nothing to give back."""
