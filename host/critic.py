"""The critic: a small MLP on the host, trained by backpropagation (the paper's critic is one, too)."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from host.seeds import Purpose, generator

Array = NDArray[np.float64]


class MlpCritic:
    """Values of observations: inputs - hidden - hidden - outputs, ReLU, mean squared error, Adam.

    Parameters
    ----------
    inputs: length of an observation.
    outputs: one value per action, or a single state value.
    hidden: neurons of each hidden layer.
    rate: Adam learning rate.
    seed: the run's seed.
    """

    def __init__(self, inputs: int, outputs: int, hidden: int, rate: float, seed: int) -> None:
        sizes = [inputs, hidden, hidden, outputs]
        layers = [nn.Linear(a, b, device="meta") for a, b in itertools.pairwise(sizes)]
        self.network = nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2]).to_empty(device="cpu")
        rng = generator(seed, Purpose.CRITIC)
        with torch.no_grad():
            # PyTorch's usual start of a linear layer, from a generator of our own instead of a global one.
            for layer in layers:
                bound = 1 / np.sqrt(layer.in_features)
                for parameter in layer.parameters():
                    parameter.copy_(torch.from_numpy(rng.uniform(-bound, bound, tuple(parameter.shape))))
        self._optimiser = torch.optim.Adam(self.network.parameters(), lr=rate, fused=True)

    def predict(self, obs: Array) -> Array:
        """Values float64 (B, outputs) of observations (B, S)."""
        with torch.inference_mode():
            return self.network(torch.from_numpy(obs).float()).numpy().astype(np.float64)

    def fit(self, obs: Array, target: Array, action: NDArray[np.int64] | None = None, steps: int = 1) -> float:
        """Adam steps towards ``target`` (B,) for the outputs ``action`` (B,) (or the only one); mean squared error."""
        inputs, wanted = torch.from_numpy(obs).float(), torch.from_numpy(target).float()[:, None]
        column = torch.zeros((len(obs), 1), dtype=torch.int64) if action is None else torch.from_numpy(action)[:, None]
        loss = torch.zeros(())
        for _ in range(steps):
            loss = nn.functional.mse_loss(self.network(inputs).gather(1, column), wanted)
            self._optimiser.zero_grad()
            loss.backward()
            self._optimiser.step()
        return loss.item()

    def state(self) -> dict[str, NDArray[Any]]:
        """Weights and Adam moments as arrays."""
        arrays = {f"weight.{name}": tensor.numpy().copy() for name, tensor in self.network.state_dict().items()}
        for index, moments in self._optimiser.state_dict()["state"].items():
            arrays |= {f"adam.{index}.{name}": tensor.numpy().copy() for name, tensor in moments.items()}
        return arrays

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """The inverse of :meth:`state`."""
        weights: dict[str, torch.Tensor] = {}
        moments: dict[int, dict[str, torch.Tensor]] = {}
        for key, array in state.items():
            kind, _, rest = key.partition(".")
            if kind == "weight":
                weights[rest] = torch.from_numpy(array)
            else:
                index, _, name = rest.partition(".")
                moments.setdefault(int(index), {})[name] = torch.from_numpy(array)
        self.network.load_state_dict(weights)
        groups = self._optimiser.state_dict()["param_groups"]
        self._optimiser.load_state_dict({"state": moments, "param_groups": groups})
