"""The agents of the robot tasks that come with the project: many fresh starts, and the hardware beside golden."""

from __future__ import annotations

import contextlib
from typing import Any

from hdl.options import CoreOptions
from host.agent import Agent
from host.backends.registry import make_backend
from host.hardware import simulated
from host.lockstep import compare
from host.packed import shipped, unpack
from host.study.robot_trials import FRESH, MANY, MANY_SEED, trials
from host.tasks import get_task


def shipped_case(task: str, decisions: int) -> dict[str, Any]:
    """Try the shipped agent, and play episodes one after the other on golden and the RTL.

    Returns
    -------
    ``trials`` as :meth:`host.study.robot_trials.Trials.to_dict`; ``decisions`` compared, ``mismatches``, ``cycles``
    per decision and ``lanes`` of the RTL.
    """
    chosen = get_task(task)
    config, parameters = unpack(shipped(chosen))
    network = config.settings.network
    agent = Agent(make_backend("golden", network), seed=MANY_SEED)
    agent.load(parameters)
    result = trials(agent, chosen, MANY, MANY_SEED, chosen.policy, **FRESH[task])
    with contextlib.closing(simulated(network, CoreOptions.usual(network))) as hardware:
        compared = compare(chosen, parameters, hardware, decisions, chosen.policy, MANY_SEED, episodes=1)
    return {
        "trials": result.to_dict(),
        "decisions": compared.decisions,
        "mismatches": compared.mismatches,
        "cycles": compared.cycles,
        "lanes": network.lanes,
    }
