"""Groups of potentials, their golden softmax, and both as beats."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import numpy as np

from golden import kernels
from golden.config import EXP_FRAC, DeviceConfig
from golden.parameters import Parameters, to_octaves
from hdl.layouts import largest_group


@dataclass
class Group:
    """One group by the golden model; lists of integers, one per neuron."""

    potential: list[int]
    term: list[int]
    activity: list[int]
    probability: list[int]
    total: int
    reciprocal: int
    best: int


def golden_group(config: DeviceConfig, potential: list[int]) -> Group:
    """The golden softmax of some potentials."""
    constants = kernels.constants(config)
    values = np.array(potential, dtype=np.int64)
    terms = np.empty_like(values)
    # The kernels as plain Python: compiling them for these few groups would take longer.
    total = int(kernels.exponentials.py_func(constants, values, 0, values.size, terms))
    r, exponent = (int(value) for value in kernels.reciprocal.py_func(constants, total))
    term = [int(value) for value in terms]
    return Group(
        potential=potential,
        term=term,
        activity=[int(kernels.normalise.py_func(e, r, exponent, config.activity_frac)) for e in term],
        probability=[int(kernels.normalise.py_func(e, r, exponent, config.prob_frac)) for e in term],
        total=total,
        reciprocal=r,
        best=int(kernels.group_potential_winner.py_func(values, 0, values.size)),
    )


def random_potentials(config: DeviceConfig, rng: random.Random, size: int) -> list[int]:
    """Potentials of one group, chosen to reach the corners of the arithmetic."""
    low, high = -(1 << (config.potential_bits - 1)), (1 << (config.potential_bits - 1)) - 1
    octave = 1 << config.potential_frac

    def near(centre: int, spread: float) -> list[int]:
        values = [centre + round(rng.uniform(-spread, spread) * octave) for _ in range(size)]
        return [min(max(value, low), high) for value in values]

    kind = rng.randrange(8)
    if kind == 0:  # anything the format holds
        return [rng.randint(low, high) for _ in range(size)]
    if kind == 1:  # the ends of the format
        return [rng.choice((low, low + 1, -1, 0, 1, high - 1, high)) for _ in range(size)]
    if kind == 2:  # all equal
        return near(rng.randint(low, high), 0)
    if kind == 3:  # one neuron stands out by about as much as a term can hold
        values = near(rng.randint(low // 2, high // 2), 2 / octave)
        lift = rng.choice((EXP_FRAC, EXP_FRAC + 1)) * octave + rng.randint(-2, 2)
        values[rng.randrange(size)] += lift
        return [min(max(value, low), high) for value in values]
    if kind == 4:  # depths halfway between two steps of the table, and next to that
        step = 1 << max(config.potential_frac - config.exp_index_bits, 1)
        top = rng.randint(low // 2, high)
        steps = [rng.randrange((EXP_FRAC + 1) << rng.randrange(config.exp_index_bits + 1)) for _ in range(size - 1)]
        values = [top, *(max(top - count * step - step // 2 + rng.randint(-1, 1), low) for count in steps)]
        rng.shuffle(values)
        return values
    # a close, a usual and a wide race, somewhere in the format
    return near(rng.randint(low, high) >> rng.randrange(8), (0.01, 3.0, 16.0)[kind - 5])


def trained_potentials(config: DeviceConfig, policy: str, decisions: int) -> list[list[int]]:
    """Potentials of every group in the first two passes of some decisions of a trained net (a parameter file)."""
    weight, bias = to_octaves(config, Parameters.load(policy))
    with np.load(policy) as archive:
        visited = archive["visited_obs"][:decisions]
    shift = config.drive_frac - config.activity_frac
    found = []
    for obs in config.obs.round(visited).astype(np.int64):
        drive = (bias << config.drive_frac) + (obs << (config.drive_frac - config.obs_frac)) @ weight[config.neurons :]
        q = np.zeros(config.neurons, dtype=np.int64)
        for _ in range(2):
            potential = drive + (2 * q << shift) @ weight[: config.neurons]
            groups = [part.tolist() for part in np.split(potential, config.group_start[1:-1])]
            found += groups
            q = np.concatenate([golden_group(config, values).activity for values in groups])
    return found


def beats_of(values: list[int], lanes: int, fill: int = 0) -> list[list[int]]:
    """Values cut into beats, the last one filled up."""
    padded = values + [fill] * (-len(values) % lanes)
    return [padded[start : start + lanes] for start in range(0, len(padded), lanes)]


def keeps(size: int, lanes: int) -> list[int]:
    """The ``keep`` of every beat of a group."""
    return [(1 << min(lanes, size - start)) - 1 for start in range(0, size, lanes)]


def potential_beats(config: DeviceConfig, potential: list[int], lanes: int, rng: random.Random) -> list[dict[str, Any]]:
    """A group as the beats that enter the softmax; unused lanes hold anything."""
    fill = rng.choice((-(1 << (config.potential_bits - 1)), (1 << (config.potential_bits - 1)) - 1))
    parts, masks = beats_of(potential, lanes, fill), keeps(len(potential), lanes)
    return [
        {"potential": part, "keep": keep, "last": int(number == len(parts))}
        for number, (part, keep) in enumerate(zip(parts, masks, strict=True), 1)
    ]


def only_neurons(beat: dict[str, Any]) -> dict[str, Any]:
    """A beat of potentials or activities with 0 where no neuron is."""
    (name,) = beat.keys() & {"potential", "activity"}
    kept = [value if beat["keep"] >> lane & 1 else 0 for lane, value in enumerate(beat[name])]
    return {**beat, name: kept}


def activity_beats(activity: list[int], lanes: int, fill: int = 0) -> list[dict[str, Any]]:
    """A group as beats of activities; unused lanes hold ``fill``."""
    parts = beats_of(activity, lanes, fill)
    return [{"activity": part, "keep": keep} for part, keep in zip(parts, keeps(len(activity), lanes), strict=True)]


def softmax_beats(group: Group, lanes: int) -> list[dict[str, Any]]:
    """A group as the beats that leave the softmax."""
    parts = [beats_of(values, lanes) for values in (group.term, group.activity, group.probability)]
    masks = keeps(len(group.term), lanes)
    return [
        {
            "term": term,
            "activity": activity,
            "probability": probability,
            "keep": keep,
            "last": int(number == len(masks)),
            "total": group.total,
            "reciprocal": group.reciprocal,
            "best": group.best,
        }
        for number, (term, activity, probability, keep) in enumerate(zip(*parts, masks, strict=True), 1)
    ]


def random_size(config: DeviceConfig, rng: random.Random) -> int:
    """A group size the hardware of a configuration takes; the configuration's own are common."""
    return rng.choice((config.group_size, config.actions, rng.randint(2, largest_group(config))))
