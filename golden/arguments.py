"""Checks of what is asked of a device, the same whether it is the model itself or lies behind frames.

All raise :class:`SvpgError` and change nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from golden import kernels, plasticity
from golden.config import DeviceConfig
from golden.errors import SvpgError
from golden.fixed import Format

Ints = NDArray[np.int64]

Observations = NDArray[np.signedinteger]
"""Raw, of any width; once checked of the smallest that holds their format: batches may have millions."""

SECTIONS = ("weight", "bias", "acc", "acc_bias", "moment", "moment_bias")
"""Memories that ``LOAD`` and ``READ`` address, each row-major."""

PARAMETERS, ACCUMULATORS = SECTIONS[:2], SECTIONS[2:4]
"""Those that decisions depend on, and those that samples change."""

POLICIES = {
    "sample": kernels.POLICY_SAMPLE,
    "greedy": kernels.POLICY_GREEDY,
    "conditional": kernels.POLICY_CONDITIONAL,
}

RULES = {
    "published": plasticity.RULE_PUBLISHED,
    "conditional": plasticity.RULE_CONDITIONAL,
    "contrastive": plasticity.RULE_CONTRASTIVE,
}

OPTIMISERS = {
    "sgd": plasticity.OPTIMISER_SGD,
    "rmsprop": plasticity.OPTIMISER_RMSPROP,
    "sign": plasticity.OPTIMISER_SIGN,
}


def policies(config: DeviceConfig) -> tuple[str, ...]:
    """Policies of a device: spikes choose the action from what they have drawn already."""
    return tuple(name for name in POLICIES if name != "conditional" or not config.spikes)


def rules(config: DeviceConfig) -> tuple[str, ...]:
    """Learning rules of a device."""
    return tuple(name for name in RULES if name != "conditional" or not config.spikes)


def obs_range(config: DeviceConfig) -> tuple[int, int]:
    """Smallest and largest raw observation; a probability where observations spike."""
    if config.spikes and config.obs_spikes == "bernoulli":
        return 0, min(1 << config.obs_frac, config.obs.high)
    return config.obs.low, config.obs.high


@dataclass(frozen=True)
class Apply:
    """Arguments of ``APPLY``.

    Parameters
    ----------
    optimiser: ``sgd``, ``rmsprop`` (shift only) or ``sign`` (with a dead zone).
    mean_shift: the accumulators are divided by 2**mean_shift.
    rate, obs_rate: learning rates 2**-rate of the recurrent rows and biases, and of the observation rows.
    decay: second moments follow with weight 2**-decay (rmsprop).
    floor: second moments count as at least 2**-floor (rmsprop).
    grid: the gradient is rounded to multiples of 2**-grid, zero takes no step (sign).
    """

    optimiser: str
    mean_shift: int
    rate: int
    obs_rate: int
    decay: int = 7
    floor: int = 20
    grid: int = 10


def apply_limits(config: DeviceConfig, optimiser: str) -> dict[str, tuple[int, int]]:
    """Smallest and largest value of each argument of ``APPLY`` but the optimiser."""
    highest_rate = config.weight_frac if optimiser == "sign" else 20
    return {
        "mean_shift": (0, 20),
        "rate": (-4, highest_rate),
        "obs_rate": (-4, highest_rate),
        "decay": (0, 15),
        "floor": (0, config.moment_frac),
        "grid": (0, config.acc_frac),
    }


def section_format(config: DeviceConfig, section: str) -> Format:
    """Number format of a memory section."""
    if section not in SECTIONS:
        raise SvpgError(f"section {section!r} is unknown; choose one of {', '.join(SECTIONS)}")
    return {"weight": config.weight, "bias": config.weight, "moment": config.moment}.get(
        section.removesuffix("_bias"), config.accumulator
    )


def section_shape(config: DeviceConfig, section: str) -> tuple[int, ...]:
    """Shape of a memory section: (P, N), or (N,) where it belongs to the biases."""
    section_format(config, section)
    return (config.neurons,) if section.endswith("bias") else (config.sources, config.neurons)


def check_load(config: DeviceConfig, section: str, values: ArrayLike, start: int) -> NDArray[np.integer]:
    """Values of a ``LOAD`` at flat position ``start`` of a section, flat.

    Raises
    ------
    SvpgError: beyond the section, outside its format, or non-zero where no synapse exists.
    """
    number_format, shape = section_format(config, section), section_shape(config, section)
    size = int(np.prod(shape))
    data = np.asarray(values)
    if data.dtype.kind not in "iu":
        raise SvpgError(f"LOAD {section}: values must be integers, not {data.dtype}")
    data = data.ravel()
    if start < 0 or start + data.size > size:
        raise SvpgError(f"LOAD {section}: {data.size} values from position {start} exceed the section's {size}")
    outside = int(((data < number_format.low) | (data > number_format.high)).sum())
    if outside:
        raise SvpgError(
            f"LOAD {section}: {outside} values lie outside {number_format.low}..{number_format.high}; quantise first"
        )
    if len(shape) == 2:
        stray = int((data[~config.mask.ravel()[start : start + data.size]] != 0).sum())
        if stray:
            raise SvpgError(f"LOAD {section}: {stray} values are set where the device has no synapse; set them to 0")
    return data


def check_read(config: DeviceConfig, section: str, start: int, count: int | None) -> int:
    """End of the ``count`` values (all by default) of a section from flat position ``start``.

    Raises
    ------
    SvpgError: beyond the section.
    """
    size = int(np.prod(section_shape(config, section)))
    stop = size if count is None else start + count
    if not 0 <= start <= stop <= size:
        raise SvpgError(f"READ {section}: positions {start}..{stop} exceed the section's {size}")
    return stop


def check_infer(
    config: DeviceConfig, obs: ArrayLike, nonce: ArrayLike, policy: str, given: ArrayLike | None
) -> tuple[Observations, NDArray[np.uint64], Ints | None]:
    """Observations, nonces and given winners of a batch of ``INFER``, contiguous.

    Raises
    ------
    SvpgError: wrong shapes or values.
    """
    obs, nonce = check_obs(config, obs), np.ascontiguousarray(nonce, dtype=np.uint64)
    batch = obs.shape[0]
    if nonce.shape != (batch,):
        raise SvpgError(f"INFER: nonce has shape {nonce.shape}, expected {(batch,)}")
    if policy not in policies(config):
        raise SvpgError(
            f"INFER: policy {policy!r} is unknown in {config.mode} mode; choose one of {', '.join(policies(config))}"
        )
    if given is None:
        return obs, nonce, None
    if policy != "conditional":
        raise SvpgError(f"INFER: hidden winners can be given with policy 'conditional' only, not {policy!r}")
    return obs, nonce, check_winners(config, given, batch, hidden_only=True)


def check_learn(
    config: DeviceConfig,
    obs: ArrayLike,
    winners: ArrayLike,
    modulator: ArrayLike,
    rule: str,
    nonce: ArrayLike | None = None,
) -> tuple[Observations, Ints, Ints, NDArray[np.uint64]]:
    """Observations, winners, modulators and nonces of a batch of ``LEARN``, contiguous; zeros where there is no nonce.

    Raises
    ------
    SvpgError: wrong shapes or values.
    """
    obs = check_obs(config, obs)
    batch = obs.shape[0]
    winners = check_winners(config, winners, batch, hidden_only=False)
    modulator = as_integers("modulator", modulator)
    number_format = config.modulator
    if modulator.shape != (batch,):
        raise SvpgError(f"LEARN: modulator has shape {modulator.shape}, expected {(batch,)}")
    if batch and (modulator.min() < number_format.low or modulator.max() > number_format.high):
        raise SvpgError(f"LEARN: modulators lie outside {number_format.low}..{number_format.high}; saturate them")
    if rule not in rules(config):
        raise SvpgError(
            f"LEARN: rule {rule!r} is unknown in {config.mode} mode; choose one of {', '.join(rules(config))}"
        )
    if nonce is None:
        if config.spikes:
            raise SvpgError("LEARN: spike mode needs the nonces of the decisions, to draw the same spikes again")
        nonce = np.zeros(batch, dtype=np.uint64)
    nonce = np.ascontiguousarray(nonce, dtype=np.uint64)
    if nonce.shape != (batch,):
        raise SvpgError(f"LEARN: nonce has shape {nonce.shape}, expected {(batch,)}")
    return obs, winners, modulator, nonce


def check_apply(config: DeviceConfig, arguments: Apply) -> None:
    """Arguments of an ``APPLY``.

    Raises
    ------
    SvpgError: unknown optimiser, or an argument out of range.
    """
    if arguments.optimiser not in OPTIMISERS:
        raise SvpgError(
            f"APPLY: optimiser {arguments.optimiser!r} is unknown to the device; choose one of {', '.join(OPTIMISERS)}"
        )
    for name, (low, high) in apply_limits(config, arguments.optimiser).items():
        if not low <= getattr(arguments, name) <= high:
            raise SvpgError(
                f"APPLY: {name} = {getattr(arguments, name)} is out of range; give an integer from {low} to {high}"
            )


def check_obs(config: DeviceConfig, obs: ArrayLike) -> Observations:
    """Raw observations of a batch, (B, S), contiguous."""
    obs = _integers("observations", obs)
    if obs.ndim != 2 or obs.shape[1] != config.inputs:
        raise SvpgError(f"observations have shape {obs.shape}, expected (batch, {config.inputs})")
    low, high = obs_range(config)
    if obs.size and (obs.min() < low or obs.max() > high):
        hint = "; Bernoulli spikes need observations from 0 to 1" if high < config.obs.high else ""
        raise SvpgError(f"raw observations lie outside {low}..{high}{hint}")
    return np.ascontiguousarray(obs, dtype=config.obs.container)


def check_winners(config: DeviceConfig, winners: ArrayLike, batch: int, hidden_only: bool) -> Ints:
    """Winners of a batch, (B, G+1); ``hidden_only`` leaves the action's out of the check."""
    winners = as_integers("winners", winners)
    if winners.shape != (batch, config.groups + 1):
        raise SvpgError(f"winners have shape {winners.shape}, expected {(batch, config.groups + 1)}")
    sizes = np.append(np.full(config.groups, config.group_size), config.actions)
    wrong = (winners < 0) | (winners >= sizes)
    if hidden_only:
        wrong[:, -1] = False
    if wrong.any():
        raise SvpgError(f"winners: {int(wrong.sum())} indices lie outside their group; give 0..size-1")
    return winners


def as_integers(name: str, values: ArrayLike) -> Ints:
    """As contiguous int64; anything but integers is refused."""
    return np.ascontiguousarray(_integers(name, values), dtype=np.int64)


def _integers(name: str, values: ArrayLike) -> NDArray[np.integer]:
    array = np.asarray(values)
    if array.dtype.kind not in "iu":
        raise SvpgError(f"{name} must be raw integers, not {array.dtype}; quantise first")
    return array
