"""Learning on which golden and hardware differ, and its file."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from golden.arguments import SECTIONS, Apply, Observations, section_shape
from golden.config import DeviceConfig
from golden.device import Ints, Learning
from sim.archive import Arrays, load_archive, save_archive

COUNTED = tuple(field.name for field in dataclasses.fields(Learning))
"""Counters that have to be equal."""

LESSON_FORMAT = 1
"""Version of the file of a case."""


class Learns(Protocol):
    """A device that learns, golden or not."""

    def load(self, section: str, values: Any, start: int = ...) -> None:
        """``LOAD``."""

    def read(self, section: str, start: int = ..., count: int | None = ...) -> Ints:
        """``READ``."""

    def learn(
        self,
        obs: Observations,
        winners: Ints,
        modulator: Ints,
        rule: str,
        nonce: NDArray[np.uint64] | None = ...,
        /,
    ) -> Learning | None:
        """``LEARN``."""

    def apply(self, arguments: Apply) -> object:
        """``APPLY``."""


@dataclass(frozen=True)
class Lessons:
    """A batch of ``LEARN`` transactions; see :meth:`golden.device.Device.learn`.

    Parameters
    ----------
    obs: raw, integer (B, S).
    winners: int64 (B, G+1).
    modulator: raw, int64 (B,).
    nonce: uint64 (B,), of the decisions; read in spike mode alone.
    rule: of all of them.
    """

    obs: Observations
    winners: Ints
    modulator: Ints
    nonce: NDArray[np.uint64]
    rule: str

    def __len__(self) -> int:
        return len(self.obs)

    def __add__(self, later: Lessons) -> Lessons:
        """These and then others of the same rule."""
        return Lessons(
            np.concatenate([self.obs, later.obs]),
            np.concatenate([self.winners, later.winners]),
            np.concatenate([self.modulator, later.modulator]),
            np.concatenate([self.nonce, later.nonce]),
            self.rule,
        )

    def rows(self, first: int, stop: int) -> Lessons:
        """Some of them."""
        chosen = slice(first, stop)
        return Lessons(self.obs[chosen], self.winners[chosen], self.modulator[chosen], self.nonce[chosen], self.rule)

    def on(self, device: Learns) -> Learning:
        """Let a device learn them; its counters."""
        counters = device.learn(self.obs, self.winners, self.modulator, self.rule, self.nonce)
        assert counters is not None
        return counters


def memories_of(device: Learns, sections: tuple[str, ...]) -> dict[str, Ints]:
    """Some memories of a device, flat."""
    return {section: device.read(section) for section in sections}


@dataclass(frozen=True)
class LearningCase:
    """An update, or samples for it, on which golden and hardware differ, with all it takes to learn them again.

    Parameters
    ----------
    config: of both devices.
    options: of the hardware, by name.
    memories: by section, before the samples.
    lessons: samples since the last update on which both agreed.
    update: that follows them, ``None`` if they differed before.
    samples, updates: how many were equal before.
    wrong: names of what differs: counters, or memories; empty if the hardware gives no answer.
    fault: what it does instead.
    """

    config: DeviceConfig
    options: dict[str, Any]
    memories: dict[str, Ints]
    lessons: Lessons
    update: Apply | None
    samples: int
    updates: int
    wrong: list[str]
    fault: str

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the ``.npz`` file."""
        head = {
            "format": LESSON_FORMAT,
            "config": self.config.to_dict(),
            "options": self.options,
            "rule": self.lessons.rule,
            "update": None if self.update is None else dataclasses.asdict(self.update),
            **{name: getattr(self, name) for name in ("samples", "updates", "wrong", "fault")},
        }
        arrays: dict[str, Any] = {f"memory.{section}": values for section, values in self.memories.items()}
        arrays |= {name: getattr(self.lessons, name) for name in ("obs", "winners", "modulator", "nonce")}
        save_archive(path, "lesson", head, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> LearningCase:
        """Read the file.

        Raises
        ------
        SvpgError: missing, damaged, or no such file.
        """

        def build(head: dict[str, Any], arrays: Arrays) -> LearningCase:
            config = DeviceConfig(**head["config"])
            memories = {section: arrays[f"memory.{section}"] for section in SECTIONS if f"memory.{section}" in arrays}
            for section, values in memories.items():
                if values.size != int(np.prod(section_shape(config, section))):
                    raise ValueError(f"{section} has {values.size} values")
            return cls(
                config=config,
                options=head["options"],
                memories=memories,
                lessons=Lessons(arrays["obs"], arrays["winners"], arrays["modulator"], arrays["nonce"], head["rule"]),
                update=None if head["update"] is None else Apply(**head["update"]),
                **{name: head[name] for name in ("samples", "updates", "wrong", "fault")},
            )

        return load_archive(path, "lesson", LESSON_FORMAT, ("learning.npz", "lesson"), build)
