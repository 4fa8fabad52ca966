"""A transaction on which golden and hardware differ, and its file."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from golden.arguments import Observations
from golden.client import TimedInference
from golden.config import DeviceConfig
from golden.device import Inference, Ints
from sim.archive import Arrays, load_archive, save_archive

COMPARED = tuple(field.name for field in dataclasses.fields(Inference))
"""What has to be equal: everything that golden answers."""

CASE_FORMAT = 1
"""Version of the file of a case."""


class Infers(Protocol):
    """A device, golden or not."""

    def infer(
        self, obs: Observations, nonce: NDArray[np.uint64], policy: str = ..., given: Ints | None = ..., /
    ) -> Inference:
        """``INFER``."""


class Answers(Protocol):
    """A device that answers as much as it is asked for."""

    def infer(
        self,
        obs: Observations,
        nonce: NDArray[np.uint64],
        policy: str = ...,
        given: Ints | None = ...,
        activity: bool = ...,
        spikes: bool = ...,
    ) -> TimedInference:
        """``INFER``."""


@dataclass(frozen=True)
class Transactions:
    """A batch of ``INFER`` transactions; see :meth:`golden.device.Device.infer`.

    Parameters
    ----------
    obs: raw, integer (B, S).
    nonce: uint64 (B,).
    policy: of all of them.
    given: int64 (B, G+1) or ``None``.
    """

    obs: Observations
    nonce: NDArray[np.uint64]
    policy: str
    given: Ints | None = None

    def __len__(self) -> int:
        return len(self.obs)

    def rows(self, first: int, stop: int) -> Transactions:
        """Some of them."""
        given = None if self.given is None else self.given[first:stop]
        return Transactions(self.obs[first:stop], self.nonce[first:stop], self.policy, given)

    def on(self, device: Infers) -> Inference:
        """What a device answers."""
        return device.infer(self.obs, self.nonce, self.policy, self.given)

    def in_full(self, hardware: Answers) -> TimedInference:
        """The same from hardware, which leaves out what golden always answers unless it is asked for it."""
        return hardware.infer(self.obs, self.nonce, self.policy, self.given, activity=True, spikes=True)


@dataclass(frozen=True)
class Case:
    """A transaction on which golden and hardware differ, with all it takes to run it again.

    Parameters
    ----------
    config: of both devices.
    options: of the hardware, by name.
    weight, bias: raw parameters, (P, N) and (N,).
    transactions: the last is the one that differs; those before it went through the hardware before.
    number: how many transactions of the whole comparison came before the one that differs.
    golden: golden's answer to the last, as batch of one.
    hardware: the hardware's, or ``None`` if it gave none.
    fault: what the hardware did instead of an answer.
    """

    config: DeviceConfig
    options: dict[str, Any]
    weight: Ints
    bias: Ints
    transactions: Transactions
    number: int
    golden: Inference
    hardware: Inference | None
    fault: str

    @property
    def last(self) -> Transactions:
        """The transaction that differs, alone."""
        return self.transactions.rows(len(self.transactions) - 1, len(self.transactions))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the ``.npz`` file."""
        given = self.transactions.given
        head = {
            "format": CASE_FORMAT,
            "config": self.config.to_dict(),
            "options": self.options,
            "policy": self.transactions.policy,
            "number": self.number,
            "fault": self.fault,
        }
        answers = {f"golden.{name}": getattr(self.golden, name) for name in COMPARED}
        if self.hardware is not None:
            answers |= {f"hardware.{name}": getattr(self.hardware, name) for name in COMPARED}
        arrays: dict[str, Any] = {
            "weight": self.weight,
            "bias": self.bias,
            "obs": self.transactions.obs,
            "nonce": self.transactions.nonce,
            **({} if given is None else {"given": given}),
            **answers,
        }
        save_archive(path, "head", head, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Case:
        """Read the file.

        Raises
        ------
        SvpgError: missing, damaged, or no such file.
        """

        def build(head: dict[str, Any], arrays: Arrays) -> Case:
            answers = {
                side: Inference(**{name: arrays[f"{side}.{name}"] for name in COMPARED})
                for side in ("golden", "hardware")
                if f"{side}.{COMPARED[0]}" in arrays
            }
            return cls(
                config=DeviceConfig(**head["config"]),
                options=head["options"],
                weight=arrays["weight"],
                bias=arrays["bias"],
                transactions=Transactions(arrays["obs"], arrays["nonce"], head["policy"], arrays.get("given")),
                number=head["number"],
                golden=answers["golden"],
                hardware=answers.get("hardware"),
                fault=head["fault"],
            )

        return load_archive(path, "head", CASE_FORMAT, ("transaction.npz", "transaction"), build)


def differing(golden: Inference, hardware: Inference | None) -> list[str]:
    """Names of the fields that are not equal; none if there is no answer to compare."""
    if hardware is None:
        return []
    return [name for name in COMPARED if not np.array_equal(getattr(golden, name), getattr(hardware, name))]


def row(result: Inference, number: int) -> Inference:
    """One row as a batch."""
    return Inference(**{name: getattr(result, name)[number : number + 1] for name in COMPARED})
