"""What a step of training costs in the tasks that see, and where that time goes: rows of ``svpg bench``."""

from __future__ import annotations

import contextlib
import cProfile
import dataclasses
import os
import pstats
import time
from collections.abc import Callable, Iterator

from host.agent import Agent
from host.critic import MlpCritic
from host.fleet import Fleet
from host.hardware_bench import Row
from host.settings import RunConfig
from host.tasks import default_algorithm, get_task
from host.training import Trainer

PARTS: dict[str, tuple[Callable[..., object], ...]] = {
    "environments": (Fleet.step, Fleet.reset),
    "decisions": (Agent.decide,),
    "learning": (Agent.train,),
    "critic": (MlpCritic.fit, MlpCritic.predict),
}
"""Where the time goes: what is called there."""

ROLLOUTS = 2

NAMES = tuple(f"{name}/training" for name in ("doom-health-gathering", "robot-arm", "robot-navigation"))


def measure(name: str, row: Row, quick: bool) -> None:
    """Measure one of :data:`NAMES` and hand its rows to ``row``.

    A run's first rollouts and their updates on golden, all on one core, games and simulators included: time per
    environment step, and the shares of its parts, of a second measurement under Python's profiler.
    """
    task = get_task(name.split("/")[0])
    algorithm = default_algorithm(task)
    settings = task.settings("golden", algorithm)
    # Nothing is validated.
    settings = dataclasses.replace(settings, training=dataclasses.replace(settings.training, validation_episodes=1))
    if quick:
        settings = dataclasses.replace(settings, ppo=dataclasses.replace(settings.ppo, update_every=4, batch=32))
    with on_one_core(), contextlib.closing(Trainer(RunConfig(task.name, "golden", algorithm, 0, settings))) as trainer:

        def train(rollouts: int) -> float:
            began = time.perf_counter()
            for _ in range(rollouts):
                trainer.advance()
            return time.perf_counter() - began

        train(1)
        steps = ROLLOUTS * settings.ppo.update_every * settings.ppo.envs
        row(f"{name}/step", train(ROLLOUTS) / steps * 1e6, "us")
        with cProfile.Profile() as profile:
            seconds = train(1)
        spent = pstats.Stats(profile).stats  # type: ignore[attr-defined]
        for part, functions in PARTS.items():
            codes = [function.__code__ for function in functions]
            places = [(code.co_filename, code.co_firstlineno, code.co_name) for code in codes]
            row(f"{name}/{part}", 100 * sum(spent[place][3] for place in places if place in spent) / seconds, "%")


@contextlib.contextmanager
def on_one_core() -> Iterator[None]:
    """This process, and those it starts, on one of its processors."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)
