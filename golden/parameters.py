"""Network parameters in natural units and their file."""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from golden.config import DeviceConfig
from golden.errors import SvpgError
from golden.files import write_atomically
from golden.fixed import LOG2E

PARAMETER_FORMAT = 1
"""Version of the parameter file."""

_KEYS = ("weight", "bias", "groups", "group_size", "actions", "inputs", "format")


@dataclass
class Parameters:
    """Weights and biases in nats, with the sizes they belong to.

    Attributes
    ----------
    weight: float64 (P, N); the first N rows are symmetric and zero inside a group.
    bias: float64 (N,).
    groups, group_size, actions, inputs: sizes, as in :class:`golden.config.DeviceConfig`.
    obs_mean: float64 (S,), subtracted from an observation before it reaches the device.
    obs_scale: the centred observation is divided by this.
    device: the configuration the parameters were trained with, if known; part of the file.
    """

    weight: NDArray[np.float64]
    bias: NDArray[np.float64]
    groups: int
    group_size: int
    actions: int
    inputs: int
    obs_mean: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    obs_scale: float = 1.0
    device: DeviceConfig | None = None

    def __post_init__(self) -> None:
        if self.obs_mean.size == 0:
            self.obs_mean = np.zeros(self.inputs)

    @property
    def neurons(self) -> int:
        """Postsynaptic neurons N."""
        return self.groups * self.group_size + self.actions

    def check(self, source: str = "parameters") -> None:
        """Raise :class:`SvpgError` unless shapes agree, values are finite and W is symmetric."""
        n = self.neurons
        if self.weight.shape != (n + self.inputs, n):
            raise SvpgError(
                f"{source}: weight has shape {self.weight.shape}, expected {(n + self.inputs, n)} for "
                f"{self.groups} groups of {self.group_size}, {self.actions} actions, {self.inputs} inputs"
            )
        if self.bias.shape != (n,):
            raise SvpgError(f"{source}: bias has shape {self.bias.shape}, expected {(n,)}")
        if self.obs_mean.shape != (self.inputs,) or not np.isfinite(self.obs_mean).all():
            raise SvpgError(f"{source}: obs_mean must be {self.inputs} finite numbers")
        if not (np.isfinite(self.obs_scale) and self.obs_scale > 0):
            raise SvpgError(f"{source}: obs_scale is {self.obs_scale}, it must be positive")
        for name, array in (("weight", self.weight), ("bias", self.bias)):
            bad = int((~np.isfinite(array)).sum())
            if bad:
                raise SvpgError(f"{source}: {name} has {bad} values that are not finite numbers")
        block = self.weight[:n]
        if not np.array_equal(block, block.T):
            i, j = np.argwhere(block != block.T)[0]
            raise SvpgError(
                f"{source}: the recurrent weights are not symmetric, first at ({i}, {j}): "
                f"{block[i, j]:g} against {block[j, i]:g}; average the two triangles"
            )

    def matches(self, config: DeviceConfig, source: str = "parameters") -> None:
        """Raise :class:`SvpgError` unless the sizes are those of ``config`` and no removed synapse is set."""
        for name in ("inputs", "groups", "group_size", "actions"):
            if getattr(self, name) != getattr(config, name):
                raise SvpgError(
                    f"{source}: {name} is {getattr(self, name)} but the device has {getattr(config, name)}; "
                    "use the configuration the parameters were trained with"
                )
        stray = int((self.weight[~config.mask] != 0).sum())
        if stray:
            raise SvpgError(
                f"{source}: {stray} weights are set where the device has no synapse (removed = {config.removed!r})"
            )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the ``.npz`` file (temporary name, then rename)."""
        arrays: dict[str, Any] = {
            "weight": self.weight,
            "bias": self.bias,
            "groups": np.int64(self.groups),
            "group_size": np.int64(self.group_size),
            "actions": np.int64(self.actions),
            "inputs": np.int64(self.inputs),
            "obs_mean": self.obs_mean,
            "obs_scale": np.float64(self.obs_scale),
            "format": np.int64(PARAMETER_FORMAT),
        }
        if self.device is not None:
            arrays["device"] = np.array(json.dumps(self.device.to_dict(), sort_keys=True))
        write_atomically(path, lambda stream: np.savez_compressed(stream, **arrays))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Parameters:
        """Read and check a parameter file.

        Raises
        ------
        SvpgError: missing, truncated, foreign or inconsistent file.
        """
        path = Path(path)
        if not path.is_file():
            raise SvpgError(f"{path}: no such parameter file")
        try:
            archive = np.load(path, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ValueError("a single array")
            with archive:
                data = {key: archive[key] for key in archive.files}
        except (OSError, ValueError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
            raise SvpgError(f"{path}: not a readable parameter file ({error}); write it again") from error
        missing = [key for key in _KEYS[:-1] if key not in data]
        if missing:
            raise SvpgError(f"{path}: not an SVPG parameter file, it lacks {', '.join(missing)}")
        version = data.get("format", np.int64(PARAMETER_FORMAT))
        if version.shape != () or version != PARAMETER_FORMAT:
            raise SvpgError(f"{path}: format version {version}, this program reads version {PARAMETER_FORMAT}")
        try:
            parameters = cls(
                weight=data["weight"].astype(np.float64),
                bias=data["bias"].astype(np.float64),
                groups=int(data["groups"]),
                group_size=int(data["group_size"]),
                actions=int(data["actions"]),
                inputs=int(data["inputs"]),
                obs_mean=data["obs_mean"].astype(np.float64) if "obs_mean" in data else np.zeros(0),
                obs_scale=float(data["obs_scale"]) if "obs_scale" in data else 1.0,
                device=DeviceConfig(**json.loads(str(data["device"]))) if "device" in data else None,
            )
        except (TypeError, ValueError, SvpgError) as error:
            raise SvpgError(f"{path}: not an SVPG parameter file ({error})") from error
        parameters.check(str(path))
        if parameters.device is not None:
            parameters.matches(parameters.device, str(path))
        return parameters


def to_octaves(config: DeviceConfig, parameters: Parameters) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Integer weights (P, N) and biases (N,) of a device: ``round(value * log2(e) * 2**weight_frac)``.

    Raises
    ------
    SvpgError: wrong sizes, asymmetric or not finite, or beyond the weight format.
    """
    parameters.check()
    parameters.matches(config)
    return config.weight.quantise(parameters.weight * LOG2E), config.weight.quantise(parameters.bias * LOG2E)


def from_octaves(config: DeviceConfig, weight: NDArray[np.integer], bias: NDArray[np.integer]) -> Parameters:
    """The inverse of :func:`to_octaves`; a round trip returns the same integers."""
    return Parameters(
        weight=config.weight.to_float(weight) / LOG2E,
        bias=config.weight.to_float(bias) / LOG2E,
        groups=config.groups,
        group_size=config.group_size,
        actions=config.actions,
        inputs=config.inputs,
        device=config,
    )
