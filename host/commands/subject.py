"""What a command about hardware is about: a run or a task, and the build it asks for."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from golden.config import DeviceConfig
from golden.errors import SvpgError
from golden.parameters import Parameters
from hdl.options import CoreOptions
from host.agent import initial_parameters
from host.packed import trained
from host.settings import Settings, override_sections
from host.tasks import TASKS, Task, default_algorithm, get_task


@dataclass(frozen=True)
class Subject:
    """A task with a device and its parameters.

    Parameters
    ----------
    target: as on the command line.
    task: the task.
    settings: of the run, or the task's defaults; ``network`` is the device.
    parameters: of the run, or a random start.
    options: of the hardware.
    has_run: whether the parameters were trained.
    """

    target: str
    task: Task
    settings: Settings
    parameters: Parameters
    options: CoreOptions
    has_run: bool

    @property
    def config(self) -> DeviceConfig:
        """The device."""
        return self.settings.network


def get_subject(
    target: str, assignments: Sequence[str], multipliers: int | None = None, seed: int = 0, pretrained: bool = False
) -> Subject:
    """The subject of ``RUN|TASK`` and ``--set`` of ``network.KEY`` and ``core.KEY``.

    Parameters
    ----------
    multipliers: take the fastest build within so many, before ``core.KEY`` counts.
    seed: of the random start of a task that has no run.
    pretrained: ``target`` is a task whose agent comes with the project.

    Raises
    ------
    SvpgError: neither a run folder nor a task, or settings that do not fit.
    """
    if target in TASKS and not pretrained and not Path(target).is_dir():
        task = get_task(target)
        network_alone = [assignment for assignment in assignments if assignment.startswith("network.")]
        settings, parameters = task.settings("golden", default_algorithm(task), network_alone), None
    elif pretrained or Path(target).exists():
        run, parameters = trained(Path(target), pretrained)
        task, settings = get_task(run.task), run.settings
        task.check(parameters, target)
    else:
        raise SvpgError(f"{target}: neither a run folder nor a task; the tasks are {', '.join(TASKS)}")
    # The build follows from the network as it is wanted.
    network = override_sections({"network": settings.network, "core": CoreOptions()}, assignments)["network"]
    settings = dataclasses.replace(settings, network=network)
    usual = CoreOptions.usual(network) if multipliers is None else CoreOptions.within(network, multipliers)
    build = override_sections({"network": network, "core": usual}, assignments)
    has_run = parameters is not None
    if parameters is None:
        parameters = initial_parameters(settings.network, settings.learning, seed)
    return Subject(target, task, settings, parameters, build["core"], has_run)
