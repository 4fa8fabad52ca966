"""Settings of a training run: sections of frozen dataclasses, ``--set`` overrides, and their TOML file."""

from __future__ import annotations

import dataclasses
import difflib
import os
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli_w

from golden.arguments import rules
from golden.config import DeviceConfig
from golden.errors import SvpgError
from golden.files import write_atomically
from host.backend import RULES

RUN_FORMAT = 4
"""Version of the run folder: settings file, checkpoint and metrics together."""

ALGORITHMS = ("ppo", "reinforce")
MODULATORS = ("plain", "authors")
ADVANTAGES = ("q", "gae")
BASELINES = ("running", "none")
OPTIMISERS = ("sgd", "rmsprop", "sign", "adam")

SEED_BITS = 24
"""A run's seed is part of every 64-bit nonce (:mod:`host.seeds`)."""


def _integer(default: int, low: int, high: int | None = None) -> Any:
    return field(default=default, metadata={"low": low, "high": high})


def _real(default: float, low: float | None = None, high: float | None = None, *, above: float | None = None) -> Any:
    return field(default=default, metadata={"low": low, "high": high, "above": above})


def _choice(default: str, options: Iterable[str]) -> Any:
    return field(default=default, metadata={"options": tuple(options)})


def _check_field(section: str, item: dataclasses.Field[Any], value: Any) -> None:
    """Raise :class:`SvpgError` unless ``value`` has the type and range that the field declares."""
    key, meta = f"{section}.{item.name}", item.metadata
    options = meta.get("options")
    if options is not None and value not in options:
        raise SvpgError(f"{key} = {value!r} is unknown; choose one of {', '.join(options)}")
    for name, broken, words in (
        ("low", lambda v, bound: not v >= bound, "at least"),
        ("high", lambda v, bound: not v <= bound, "at most"),
        ("above", lambda v, bound: not v > bound, "above"),
    ):
        bound = meta.get(name)
        if bound is not None and broken(value, bound):
            raise SvpgError(f"{key} = {value!r} is out of range; give a number {words} {bound:g}")


class _Section:
    """Base of the sections: checks every field against its declared range on construction."""

    def __post_init__(self) -> None:
        section = type(self).__name__.lower()
        for item in dataclasses.fields(self):  # type: ignore[arg-type]
            _check_field(section, item, getattr(self, item.name))


@dataclass(frozen=True)
class Learning(_Section):
    """How one batch changes the weights.

    Parameters
    ----------
    rule: which eligibility is accumulated (:data:`host.backend.RULES`).
    modulator: ``plain`` policy gradient, or the published code's form (``authors``).
    optimiser: update rule of ``APPLY``; which exist depends on the backend.
    rate: learning rate of recurrent weights and biases.
    obs_rate: learning rate of the observation weights.
    entropy: weight of the entropy term.
    decay: of the device's ``rmsprop``: second moments follow with weight 2**-decay.
    floor: of the same: they count as at least 2**-floor.
    halve: updates after which both rates are halved, again and again, 8 times at most; 0: never.
    init_recurrent: standard deviation of the random start of recurrent weights, nats.
    init_obs: the same of observation weights, nats.
    """

    rule: str = _choice("contrastive", RULES)
    modulator: str = _choice("plain", MODULATORS)
    optimiser: str = _choice("rmsprop", OPTIMISERS)
    rate: float = _real(2.0**-10, above=0.0)
    obs_rate: float = _real(2.0**-10, above=0.0)
    entropy: float = _real(0.02, 0.0)
    decay: int = _integer(7, 0, 15)
    floor: int = _integer(20, 0, 32)
    halve: int = _integer(0, 0)
    init_recurrent: float = _real(0.1, 0.0)
    init_obs: float = _real(0.01, 0.0)


@dataclass(frozen=True)
class Ppo(_Section):
    """Proximal policy optimisation.

    Parameters
    ----------
    epochs: passes over one update's samples.
    clip: half width of the ratio's trust interval.
    gamma: discount per environment step.
    advantage: ``q`` (critic of action values over a replayed window, one environment) or ``gae``
        (state-value critic over rollouts of several environments).
    normalise: scale advantages to mean 0 and deviation 1 within an update.
    envs: environments stepped together (``gae``).
    update_every: environment steps between updates; with ``gae`` the rollout length per environment.
    buffer: most recent transitions an update may use (``q``).
    batch: samples per weight update.
    gae_lambda: λ of generalised advantage estimation.
    reward_scale: rewards are multiplied by this before the critic and the advantages see them (``gae``).
    """

    epochs: int = _integer(5, 1)
    clip: float = _real(0.2, above=0.0)
    gamma: float = _real(0.97, 0.0, 1.0)
    advantage: str = _choice("q", ADVANTAGES)
    normalise: bool = False
    envs: int = _integer(1, 1, 4096)
    update_every: int = _integer(10, 1)
    buffer: int = _integer(1000, 1)
    batch: int = _integer(128, 1)
    gae_lambda: float = _real(0.95, 0.0, 1.0)
    reward_scale: float = _real(1.0, above=0.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.advantage == "q" and self.envs != 1:
            raise SvpgError(f"ppo.envs = {self.envs} needs ppo.advantage=gae; with q there is one environment")
        if self.advantage == "q" and self.batch > self.buffer:
            raise SvpgError(f"ppo.batch = {self.batch} exceeds ppo.buffer = {self.buffer}; enlarge the buffer")


@dataclass(frozen=True)
class Reinforce(_Section):
    """REINFORCE on whole episodes.

    Parameters
    ----------
    episodes: episodes per update.
    gamma: discount per environment step.
    baseline: ``running`` average of the returns-to-go, or ``none``.
    decay: how much of the running average one update keeps.
    normalise: divide the advantages by their running deviation.
    """

    episodes: int = _integer(4, 1)
    gamma: float = _real(0.97, 0.0, 1.0)
    baseline: str = _choice("running", BASELINES)
    decay: float = _real(0.9, 0.0, 1.0)
    normalise: bool = True


@dataclass(frozen=True)
class Critic(_Section):
    """The critic, an MLP trained by backpropagation on the host.

    Parameters
    ----------
    hidden: neurons of each of its two hidden layers.
    rate: Adam learning rate.
    steps: gradient steps per update (``q``); with ``gae`` one per minibatch.
    """

    hidden: int = _integer(64, 1)
    rate: float = _real(1e-3, above=0.0)
    steps: int = _integer(2, 1)


@dataclass(frozen=True)
class Centring(_Section):
    """What is subtracted from observations before a device sees them (:mod:`host.centring`).

    Parameters
    ----------
    frames: of random play that the mean is over; 0 leaves observations as they are.
    unit: divide by the deviation of all pixels as well.
    """

    frames: int = _integer(0, 0)
    unit: bool = False


@dataclass(frozen=True)
class Classify(_Section):
    """One-step classification by reward.

    Parameters
    ----------
    batch: images per update.
    epochs: passes over a batch (``ppo``; REINFORCE takes one).
    right, wrong: rewards.
    decay: how much of the running baseline one batch keeps.
    validation: images held out of the training split for choosing the best parameters.
    source: folder with the MNIST IDX files; empty for the packaged digits (:mod:`host.datasets`).
    """

    batch: int = _integer(100, 1)
    epochs: int = _integer(1, 1)
    right: float = 1.0
    wrong: float = -1.0
    decay: float = _real(0.9, 0.0, 1.0)
    validation: int = _integer(500, 1)
    source: str = ""


@dataclass(frozen=True)
class Training(_Section):
    """When training validates, saves and ends.

    Parameters
    ----------
    episodes: budget; for classification the number of batches.
    validate_every: episodes between validations.
    validation_episodes: episodes per validation.
    checkpoint_every: episodes between checkpoints.
    threshold: validation mean that counts as solved.
    hold: validations in a row that must reach the threshold; the run then ends. 0 trains to the budget.
    """

    episodes: int = _integer(1000, 1)
    validate_every: int = _integer(20, 1)
    validation_episodes: int = _integer(10, 1)
    checkpoint_every: int = _integer(50, 1)
    threshold: float = _real(195.0)
    hold: int = _integer(3, 0)


@dataclass(frozen=True)
class Settings:
    """All sections; ``network`` is the complete device description."""

    network: DeviceConfig
    learning: Learning = field(default_factory=Learning)
    ppo: Ppo = field(default_factory=Ppo)
    reinforce: Reinforce = field(default_factory=Reinforce)
    critic: Critic = field(default_factory=Critic)
    centring: Centring = field(default_factory=Centring)
    classify: Classify = field(default_factory=Classify)
    training: Training = field(default_factory=Training)

    def override(self, assignments: Iterable[str]) -> Settings:
        """A copy with ``section.key=VALUE`` assignments applied; see :func:`override_sections`."""
        sections = {part.name: getattr(self, part.name) for part in dataclasses.fields(self)}
        return Settings(**override_sections(sections, assignments))

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Plain nested dictionaries."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], source: str) -> Settings:
        """The inverse of :meth:`to_dict`.

        Raises
        ------
        SvpgError: a section or key is missing, unknown or has the wrong type; ``source`` names the file.
        """
        hints = typing.get_type_hints(cls)
        for section in data:
            if section not in hints:
                raise SvpgError(f"{source}: unknown section [{section}]; known are {', '.join(hints)}")
        sections = {}
        for section, kind in hints.items():
            table = data.get(section)
            if not isinstance(table, dict):
                raise SvpgError(f"{source}: section [{section}] is missing; restore the file")
            types_of = typing.get_type_hints(kind)
            names = [item.name for item in dataclasses.fields(kind)]
            for name, value in table.items():
                if name not in names:
                    raise SvpgError(f"{source}: unknown key {section}.{name}{_nearest(name, names)}")
                if type(value) is not types_of[name]:
                    raise SvpgError(f"{source}: {section}.{name} = {value!r} must be of type {types_of[name].__name__}")
            missing = [name for name in names if name not in table]
            if missing:
                raise SvpgError(f"{source}: section [{section}] lacks {', '.join(missing)}; restore the file")
            sections[section] = kind(**table)
        return cls(**sections)


@dataclass(frozen=True)
class RunConfig:
    """What a run is: resolved before its first step and kept in its ``config.toml``.

    Parameters
    ----------
    task: name in :data:`host.tasks.TASKS`.
    backend: name in :data:`host.backends.registry.BACKENDS`.
    algorithm: one of :data:`ALGORITHMS`.
    seed: 0 … 2**24 - 1.
    settings: all sections.
    """

    task: str
    backend: str
    algorithm: str
    seed: int
    settings: Settings

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 1 << SEED_BITS:
            raise SvpgError(f"seed {self.seed} is out of range; give an integer from 0 to {(1 << SEED_BITS) - 1}")
        if self.algorithm not in ALGORITHMS:
            raise SvpgError(f"algorithm {self.algorithm!r} is unknown; choose one of {', '.join(ALGORITHMS)}")
        known, rule = rules(self.settings.network), self.settings.learning.rule
        if rule not in known:
            raise SvpgError(f"learning.rule = {rule!r} does not exist in spike mode; choose one of {', '.join(known)}")

    @property
    def mode(self) -> str:
        """``rate`` or ``spike``."""
        return self.settings.network.mode

    def text(self) -> str:
        """The run as TOML."""
        table = {
            "format": RUN_FORMAT,
            **{name: getattr(self, name) for name in ("task", "backend", "algorithm", "seed")},
            **self.settings.to_dict(),
        }
        return tomli_w.dumps(table)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the TOML file."""
        write_atomically(path, lambda stream: stream.write(self.text().encode()))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> RunConfig:
        """Read the TOML file.

        Raises
        ------
        SvpgError: not there, not TOML, of another version, or with unknown, missing or wrong keys.
        """
        path = Path(path)
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError as error:
            raise SvpgError(f"{path}: no such file; {path.parent} is not a run folder") from error
        except (OSError, UnicodeDecodeError) as error:
            raise SvpgError(f"{path}: not a readable settings file ({error}); restore it") from error
        return cls.parse(text, path)

    @classmethod
    def parse(cls, text: str, path: Path) -> RunConfig:
        """The inverse of :meth:`text`; ``path`` is where it comes from.

        Raises
        ------
        SvpgError: not TOML, of another version, or with unknown, missing or wrong keys.
        """
        try:
            data = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise SvpgError(f"{path}: not a readable settings file ({error}); restore it") from error
        version = data.pop("format", None)
        if version != RUN_FORMAT:
            raise SvpgError(
                f"{path.parent}: run folder of format {version}, this program reads format {RUN_FORMAT}; train anew"
            )
        head: dict[str, Any] = {}
        for name, kind in (("task", str), ("backend", str), ("algorithm", str), ("seed", int)):
            head[name] = data.pop(name, None)
            if type(head[name]) is not kind:
                raise SvpgError(f"{path}: key {name} is missing or not of type {kind.__name__}; restore the file")
        return cls(settings=Settings.from_dict(data, str(path)), **head)


def in_mode(mode: str | None, assignments: Iterable[str]) -> list[str]:
    """Assignments, and the one that ``--mode`` stands for."""
    return [*([] if mode is None else [f"network.mode={mode}"]), *assignments]


def override_sections(sections: Mapping[str, Any], assignments: Iterable[str]) -> dict[str, Any]:
    """Sections by name, each a dataclass, with ``section.key=VALUE`` assignments applied.

    All assignments of a section are applied together, so that they are checked as a whole.

    Raises
    ------
    SvpgError: malformed assignment, unknown key (names the nearest ones), wrong type, out of range.
    """
    changes: dict[str, dict[str, Any]] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        section, dot, name = key.strip().partition(".")
        if not equals or not dot:
            raise SvpgError(f"--set {assignment}: write it as section.key=VALUE, for example learning.rate=0.001")
        declared = _declared(sections, section, name)
        changes.setdefault(section, {})[name] = _parse(f"{section}.{name}", text.strip(), declared)
    return {name: dataclasses.replace(part, **changes.get(name, {})) for name, part in sections.items()}


def _nearest(name: str, candidates: Iterable[str]) -> str:
    """Words that name the candidates most like ``name``."""
    candidates = list(candidates)
    near = difflib.get_close_matches(name, candidates, n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(near)}?" if near else f"; known are {', '.join(candidates)}"


def _declared(sections: Mapping[str, Any], section: str, name: str) -> type:
    """Type of the setting ``section.name``; unknown keys raise an error that names the nearest valid ones."""
    every = [f"{part}.{item.name}" for part, values in sections.items() for item in dataclasses.fields(values)]
    key = f"{section}.{name}"
    if key not in every:
        if section not in sections:
            raise SvpgError(f"unknown section {section} in {key}{_nearest(section, sections)}")
        inside = [known for known in every if known.startswith(f"{section}.")]
        raise SvpgError(f"unknown setting {key}{_nearest(key, inside)}")
    declared = typing.get_type_hints(type(sections[section]))[name]
    assert isinstance(declared, type) and not isinstance(declared, types.UnionType)
    return declared


def _parse(key: str, text: str, kind: type) -> Any:
    """Text of a ``--set`` value as ``kind``."""
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise SvpgError(f"{key} = {text!r} is not a truth value; give true or false")
        return text.lower() == "true"
    if kind is str:
        return text
    try:
        value = kind(text)
    except ValueError as error:
        wanted = "an integer" if kind is int else "a number"
        raise SvpgError(f"{key} = {text!r} is not {wanted}") from error
    if kind is float and value - value != 0:
        raise SvpgError(f"{key} = {text!r} is not a finite number")
    return value
