"""What ``svpg build`` and ``svpg plan`` are about: a subject, the observations it meets, and the build that suits."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from golden.device import Device
from golden.errors import SvpgError
from golden.parameters import to_octaves
from hdl.boards.catalogue import Board
from host.classify import load_split
from host.commands.subject import Subject, get_subject
from host.datasets import observations
from host.hardware_bench import visited
from sim.plan import Freedom, Plan, plan
from sim.traffic import SAMPLES, Traffic


@dataclass(frozen=True)
class Wanted:
    """What is to be built, for whichever board.

    Parameters
    ----------
    subject: the task or run, with the settings of the command line.
    freedom: what these leave to the planner.
    traffic: what the subject's parameters do with observations of its task.
    """

    subject: Subject
    freedom: Freedom
    traffic: Traffic

    def on(self, board: Board) -> Plan:
        """The build for a board."""
        return plan(board, self.traffic, self.subject.config, self.subject.options, self.freedom)

    def fitting(self, board: Board) -> Plan:
        """The same, if it fits.

        Raises
        ------
        SvpgError: it does not.
        """
        found = self.on(board)
        if found.problems:
            raise SvpgError(
                f"{board.name}: does not fit: {'; '.join(found.problems)}; "
                f"svpg plan {self.subject.target} compares the boards"
            )
        return found


def get_wanted(target: str, assignments: Sequence[str], learn: bool) -> Wanted:
    """What ``RUN|TASK``, ``--set`` and ``--learn`` ask for.

    Parameters
    ----------
    learn: with the rule and the optimiser of the subject's settings, unless ``core.rules`` and ``core.optimisers``
        say otherwise.

    Raises
    ------
    SvpgError: as :func:`host.commands.subject.get_subject`.
    """
    subject = get_subject(target, assignments)
    if subject.config.spikes:
        raise SvpgError(
            f"{target}: boards are planned and built for rate mode only so far; give --set network.mode=rate, or take "
            "the Verilog of svpg rtl to a flow of your own"
        )
    if learn and not subject.options.learns:
        learning = subject.settings.learning
        subject = dataclasses.replace(
            subject, options=subject.options.learning((learning.rule,), (learning.optimiser,))
        )
    given = {assignment.partition("=")[0] for assignment in assignments}
    freedom = Freedom(
        lanes="network.lanes" not in given,
        softmax_lanes="core.softmax_lanes" not in given,
        products=not given & {"core.products", "core.shared", "core.in_logic"},
        banked="core.banked" not in given,
        compact="core.compact" not in given,
    )
    config = subject.config
    device = Device(config)
    for section, values in zip(("weight", "bias"), to_octaves(config, subject.parameters), strict=True):
        device.load(section, values)
    return Wanted(subject, freedom, Traffic.of(device, config.obs.quantise(_seen(subject))))


def _seen(subject: Subject) -> NDArray[np.float64]:
    """Observations of the task: test images, or those that golden meets while it plays."""
    if subject.task.environment is None:
        return observations(load_split(subject.settings.classify, 0)[0].test_images[:SAMPLES]).astype(np.float64)
    return visited(subject.config, subject.parameters, subject.task, SAMPLES)
