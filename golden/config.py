"""One description of a device: sizes, connections, formats, iterations.

Everything that has a width, a table size or an order takes it from :class:`DeviceConfig`: the golden
model, the RTL generator, the host and the documentation.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from golden.errors import SvpgError
from golden.fixed import Format
from golden.modes import MODES

CONTRACT_VERSION = 3
"""Version of docs/numerics.md; changes when any output bit of any transaction may change."""

REMOVABLE = {
    "none": frozenset[str](),
    "hh": frozenset({"hh"}),
    "sa": frozenset({"sa"}),
    "hhsa": frozenset({"hh", "sa"}),
    "ha": frozenset({"ha"}),
    "sh": frozenset({"sh"}),
}
"""Connection patterns by what they remove: hidden-hidden, observation-action, hidden-action, observation-hidden."""

OBS_SPIKES = ("analog", "bernoulli")
"""Observations in spike mode: held constant, or spikes drawn in every time step."""

STARTS = ("silent", "uniform")
"""Initial activity of a decision: all zero, or uniform within each group."""

EXP_FRAC = 15
"""Fraction bits of the unnormalised softmax terms e = 2**d, d <= 0."""

RECIPROCAL_INDEX_BITS = 6
"""The reciprocal of a group sum is piecewise linear over 2**6 segments of [1, 2)."""

RECIPROCAL_FRAC = 16
"""Fraction bits of the reciprocal of the normalised group sum."""

RECIPROCAL_REMAINDER_BITS = 10
"""Bits of the group sum below the segment index that interpolate the reciprocal."""

DRAW_BITS = 16
"""Random bits per sampled winner."""


@dataclass(frozen=True)
class DeviceConfig:
    """Sizes, connections and formats of one device.

    Parameters
    ----------
    inputs: observation neurons S.
    groups: hidden winner-take-all groups G.
    group_size: neurons per hidden group K.
    actions: neurons of the action group A.
    removed: connection pattern that is left out, a key of :data:`REMOVABLE`.
    iterations: most softmax passes of a decision; an exact fixed point ends it earlier.
    clamp_iterations: most softmax passes of the clamped phase (contrastive rule).
    start: initial activity, one of :data:`STARTS`.
    weight_bits, weight_frac: weights and biases in octaves.
    obs_bits, obs_frac: signed observations.
    activity_frac: fraction bits of the recurrent activity q (unsigned, 1.0 representable).
    prob_frac: fraction bits of the action probabilities that are reported.
    exp_index_bits: index bits of the 2**f table.
    modulator_bits, modulator_frac: reward modulator M.
    acc_bits, acc_frac: eligibility accumulators, one per synapse.
    grad_bits: batch-mean gradient (acc_frac fraction bits) that enters the update rules.
    moment_bits, moment_frac: second moment of the shift-only RMSprop (unsigned).
    lanes: synapses per row word; does not change a result, only the counted row words.
    mode: ``rate`` or ``spike``, one of :data:`MODES`. The fields below belong to spike mode, ``iterations``,
        ``clamp_iterations`` and ``start`` to rate mode.
    steps: time steps T of a decision.
    window: time steps R for which a spike acts on the potentials; a power of two.
    obs_spikes: what the observation neurons send, one of :data:`OBS_SPIKES`.
    """

    inputs: int
    groups: int
    group_size: int
    actions: int
    removed: str = "none"
    iterations: int = 4
    clamp_iterations: int = 4
    start: str = "silent"
    weight_bits: int = 16
    weight_frac: int = 11
    obs_bits: int = 12
    obs_frac: int = 8
    activity_frac: int = 8
    prob_frac: int = 14
    exp_index_bits: int = 9
    modulator_bits: int = 10
    modulator_frac: int = 6
    acc_bits: int = 32
    acc_frac: int = 16
    grad_bits: int = 18
    moment_bits: int = 24
    moment_frac: int = 22
    lanes: int = 64
    mode: str = "rate"
    steps: int = 32
    window: int = 16
    obs_spikes: str = "analog"

    def __post_init__(self) -> None:
        limits = {
            "inputs": (1, 1 << 16),
            "groups": (1, 1 << 10),
            "group_size": (2, 64),
            "actions": (2, 64),
            "iterations": (1, 255),
            "clamp_iterations": (1, 255),
            "weight_bits": (4, 24),
            "weight_frac": (0, 20),
            "obs_bits": (2, 18),
            "obs_frac": (0, 16),
            "activity_frac": (4, 14),
            "prob_frac": (8, 16),
            "exp_index_bits": (4, 12),
            "modulator_bits": (4, 18),
            "modulator_frac": (0, 16),
            "acc_bits": (8, 48),
            "acc_frac": (4, 24),
            "grad_bits": (8, 24),
            "moment_bits": (8, 32),
            "moment_frac": (8, 32),
            "lanes": (1, 1024),
            "steps": (1, 1024),
            "window": (1, 64),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
                raise SvpgError(f"{name} = {value!r} is out of range; give an integer from {low} to {high}")
        if self.removed not in REMOVABLE:
            raise SvpgError(f"removed = {self.removed!r} is unknown; choose one of {', '.join(REMOVABLE)}")
        if self.start not in STARTS:
            raise SvpgError(f"start = {self.start!r} is unknown; choose one of {', '.join(STARTS)}")
        for name, choices in (("mode", MODES), ("obs_spikes", OBS_SPIKES)):
            if getattr(self, name) not in choices:
                raise SvpgError(f"{name} = {getattr(self, name)!r} is unknown; choose one of {', '.join(choices)}")
        if self.window & (self.window - 1) or self.window > 1 << self.activity_frac:
            most = min(64, 1 << self.activity_frac)
            raise SvpgError(f"window = {self.window} is not possible; give a power of two up to {most}")
        if self.window > self.steps:
            raise SvpgError(f"window = {self.window} exceeds the {self.steps} steps of a decision; lower it")
        if self.spikes and self.prob_frac > EXP_FRAC:
            # The mean policy of the last steps is drawn from as the terms of a softmax are.
            raise SvpgError(f"prob_frac = {self.prob_frac} is not possible in spike mode; give {EXP_FRAC} at most")
        if self.spikes and self.start != "silent":
            raise SvpgError(f"start = {self.start!r} does not exist in spike mode; leave it silent")
        if self.acc_frac > 2 * self.activity_frac + self.modulator_frac:
            raise SvpgError(
                f"acc_frac = {self.acc_frac} exceeds the {2 * self.activity_frac + self.modulator_frac} fraction bits "
                "of an eligibility product; lower it"
            )
        if self.acc_frac > self.obs_frac + self.activity_frac + self.modulator_frac:
            raise SvpgError(f"acc_frac = {self.acc_frac} exceeds the fraction bits of an observation product; lower it")
        if self.moment_frac > 2 * self.acc_frac:
            raise SvpgError(f"moment_frac = {self.moment_frac} exceeds the fraction bits of a squared gradient")
        # A depth below the maximum is brought to exp_index_bits fraction bits, by a left shift if it has fewer.
        widest = self.potential_bits + max(0, self.exp_index_bits - self.potential_frac)
        if widest > 62:
            raise SvpgError(f"potentials would need {widest} bits; narrow the formats or shrink the net")

    @property
    def spikes(self) -> bool:
        """Whether neurons send spikes."""
        return self.mode == "spike"

    # --- sizes -------------------------------------------------------------------------------------
    @property
    def hidden(self) -> int:
        """Hidden neurons G*K."""
        return self.groups * self.group_size

    @property
    def neurons(self) -> int:
        """Postsynaptic neurons N = G*K + A (hidden, then action)."""
        return self.hidden + self.actions

    @property
    def sources(self) -> int:
        """Presynaptic neurons P = N + S (hidden, action, observation)."""
        return self.neurons + self.inputs

    @functools.cached_property
    def group_start(self) -> NDArray[np.int64]:
        """First neuron of every group and, last, N; shape (G + 2,)."""
        return np.append(np.arange(self.groups + 1) * self.group_size, self.neurons).astype(np.int64)

    @functools.cached_property
    def mask(self) -> NDArray[np.bool_]:
        """Synapses that exist, shape (P, N): none inside a group, none of the removed pattern."""
        group = np.repeat(np.arange(self.groups + 1), np.diff(self.group_start))
        mask = np.ones((self.sources, self.neurons), dtype=bool)
        mask[: self.neurons] = group[:, None] != group[None, :]
        h, n = self.hidden, self.neurons
        removed = REMOVABLE[self.removed]
        if "hh" in removed:
            mask[:h, :h] = False
        if "ha" in removed:
            mask[:h, h:] = False
            mask[h:n, :h] = False
        if "sh" in removed:
            mask[n:, :h] = False
        if "sa" in removed:
            mask[n:, h:] = False
        mask.setflags(write=False)
        return mask

    @functools.cached_property
    def spans(self) -> NDArray[np.int64]:
        """Columns a row of each class can reach, shape (3, 2) of [first, last): hidden, action, observation.

        An event reads the row words that overlap this span and no others.
        """
        h, n = self.hidden, self.neurons
        removed = REMOVABLE[self.removed]
        hidden_low = h if "hh" in removed or self.groups == 1 else 0
        hidden_high = h if "ha" in removed else n
        return np.array(
            [
                (hidden_low, max(hidden_low, hidden_high)),
                (0, 0 if "ha" in removed else h),
                (h if "sh" in removed else 0, h if "sa" in removed else n),
            ],
            dtype=np.int64,
        )

    # --- formats -----------------------------------------------------------------------------------
    @functools.cached_property
    def weight(self) -> Format:
        """Weights and biases, in octaves."""
        return Format("weights (octaves)", self.weight_bits, self.weight_frac)

    @functools.cached_property
    def obs(self) -> Format:
        """Observations."""
        return Format("observations", self.obs_bits, self.obs_frac)

    @functools.cached_property
    def activity(self) -> Format:
        """Recurrent activity q in [0, 1], 1.0 included."""
        return Format("activity", self.activity_frac + 1, self.activity_frac, signed=False)

    @functools.cached_property
    def probability(self) -> Format:
        """Action probabilities as reported, 1.0 included."""
        return Format("action probabilities", self.prob_frac + 1, self.prob_frac, signed=False)

    @functools.cached_property
    def modulator(self) -> Format:
        """Reward modulator M; symmetric, so that its product with an activity fits the sum of their bits."""
        return Format("modulator", self.modulator_bits, self.modulator_frac, symmetric=True)

    @functools.cached_property
    def accumulator(self) -> Format:
        """Eligibility accumulators."""
        return Format("accumulators", self.acc_bits, self.acc_frac)

    @functools.cached_property
    def gradient(self) -> Format:
        """Batch-mean gradient."""
        return Format("gradients", self.grad_bits, self.acc_frac)

    @functools.cached_property
    def moment(self) -> Format:
        """Second moment."""
        return Format("second moments", self.moment_bits, self.moment_frac, signed=False)

    @property
    def drive_frac(self) -> int:
        """Fraction bits of an event's value x: the finer of observation and activity."""
        return max(self.obs_frac, self.activity_frac)

    @property
    def potential_frac(self) -> int:
        """Fraction bits of a potential."""
        return self.weight_frac + self.drive_frac

    @property
    def potential_bits(self) -> int:
        """Width that no settled potential can overflow, from the sizes.

        Partial sums between events may wrap; two's complement brings them back.
        """
        drive_one = 1 << self.drive_frac
        group_sum = ((1 << self.activity_frac) + self.group_size) << (self.drive_frac - self.activity_frac)
        action_sum = ((1 << self.activity_frac) + self.actions) << (self.drive_frac - self.activity_frac)
        observed = self.inputs * (1 << (self.obs_bits - 1)) << (self.drive_frac - self.obs_frac)
        worst = (drive_one + observed + 2 * (self.groups * group_sum + action_sum)) << (self.weight_bits - 1)
        return worst.bit_length() + 1

    @property
    def row_words(self) -> int:
        """Words per full row: ceil(N / lanes)."""
        return math.ceil(self.neurons / self.lanes)

    # --- identity ----------------------------------------------------------------------------------
    def to_dict(self) -> dict[str, int | str]:
        """All fields, for files and reports."""
        return dataclasses.asdict(self)

    @functools.cached_property
    def digest(self) -> int:
        """32-bit identity of contract version and fields; equal digests mean equal bits everywhere."""
        text = json.dumps({"contract": CONTRACT_VERSION, **self.to_dict()}, sort_keys=True)
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")

    def replace(self, **changes: int | str) -> DeviceConfig:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]
