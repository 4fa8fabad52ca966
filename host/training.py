"""One training run, from its settings to its run folder; interrupted at any point it goes on to the same bytes."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from golden.errors import SvpgError
from host.agent import Agent, initial_parameters, update_of
from host.backend import Backend, Port
from host.backends.registry import check_backend, make_backend
from host.centring import measured
from host.classify import OneStep, accuracy, load_split
from host.evaluation import Validation
from host.fleet import Fleet
from host.learner import Episode, Learner, State, subset
from host.plots import save_curve
from host.ppo import ReplayPpo, RolloutPpo
from host.reinforce import EpisodicReinforce
from host.run import RunFolder, format_row
from host.settings import RunConfig, Training
from host.tasks import Task, get_task


@dataclass(frozen=True)
class Result:
    """How a run stands.

    Parameters
    ----------
    solved: the last ``hold`` validations reached the threshold.
    solved_episode: episode of the first of these; ``None`` if not solved.
    episodes: episodes trained in all.
    seconds: wall-clock seconds of this call.
    best_validation: highest validation mean.
    """

    solved: bool
    solved_episode: int | None
    episodes: int
    seconds: float
    best_validation: float


@dataclass
class Progress:
    """Counters of a run that the checkpoint keeps.

    Parameters
    ----------
    episodes: finished episodes, which is the number of metrics rows.
    streak: validations in a row that reached the threshold.
    streak_start: episode of the first of them.
    best: highest validation mean, ``-inf`` before the first.
    """

    episodes: int = 0
    streak: int = 0
    streak_start: int = 0
    best: float = -np.inf

    def record(self, mean: float, threshold: float) -> bool:
        """Take in a validation; true where it is at least as good as any before."""
        if mean >= threshold:
            self.streak_start = self.streak_start if self.streak else self.episodes
            self.streak += 1
        else:
            self.streak = 0
        best = mean >= self.best
        self.best = max(self.best, mean)
        return best

    def state(self) -> State:
        """As arrays."""
        return {name: np.asarray(value) for name, value in dataclasses.asdict(self).items()}

    def restore(self, state: State) -> None:
        """The inverse of :meth:`state`."""
        self.episodes, self.streak = int(state["episodes"]), int(state["streak"])
        self.streak_start, self.best = int(state["streak_start"]), float(state["best"])


class Trainer:
    """A learner, its validation and its run folder.

    Parameters
    ----------
    config: resolved settings.
    backend: to train on, closed by the caller; one of the settings' kind unless told.
    port: of the board, if that kind is one.

    Raises
    ------
    SvpgError: settings that do not fit together.
    """

    def __init__(self, config: RunConfig, backend: Backend | None = None, port: Port | None = None) -> None:
        # Results must not depend on the machine's cores; nets of this size gain nothing from them.
        torch.set_num_threads(1)
        settings = config.settings
        task = get_task(config.task)
        check_backend(config.backend, config.mode, settings.learning.optimiser)
        network = settings.network
        if (network.inputs, network.actions) != (task.inputs, task.actions):
            raise SvpgError(
                f"network.inputs = {network.inputs} and network.actions = {network.actions} are given by the task; "
                f"{task.name} has {task.inputs} and {task.actions}"
            )
        self.config, self.training = config, settings.training
        learning = settings.learning
        self._closing = contextlib.ExitStack()
        if backend is None:
            backend = make_backend(config.backend, network, (learning.rule, learning.optimiser), port)
            self._closing.callback(backend.close)
        # On empty accumulators an update changes nothing but refuses rates that the backend cannot apply.
        backend.apply(update_of(learning, batch=1))
        self.agent = Agent(backend, learning, config.seed)
        parameters = initial_parameters(network, settings.learning, config.seed)
        if settings.centring.frames:
            mean, scale = measured(task, settings.centring, config.seed)
            parameters = dataclasses.replace(parameters, obs_mean=mean, obs_scale=scale)
        self.agent.load(parameters)
        self.progress = Progress()
        self._learner, self.validate = self._control(task) if task.environment else self._classification()
        self._closing.callback(self._learner.close)

    def _control(self, task: Task) -> tuple[Learner, Callable[[], float]]:
        settings = self.config.settings
        learner: Learner
        if self.config.algorithm == "reinforce":
            learner = EpisodicReinforce(task, self.agent, settings.reinforce)
        elif settings.ppo.advantage == "q":
            learner = ReplayPpo(task, self.agent, settings.ppo, settings.critic)
        else:
            learner = RolloutPpo(task, self.agent, settings.ppo, settings.critic)
        envs = Fleet(task, self.training.validation_episodes, **task.practice)
        validation = Validation(envs, self.config.seed, task.score, task.policy)
        self._closing.callback(validation.close)
        return learner, lambda: float(validation.run(self.agent).mean())

    def _classification(self) -> tuple[Learner, Callable[[], float]]:
        settings = self.config.settings
        data, held_out = load_split(settings.classify, self.config.seed)
        clip = settings.ppo.clip if self.config.algorithm == "ppo" else None
        learner = OneStep(data, self.agent, settings.classify, clip)
        return learner, lambda: accuracy(self.agent, held_out.test_images, held_out.test_labels)

    # --- running -----------------------------------------------------------------------------------
    def run(self, folder: RunFolder) -> Result:
        """Train until solved or out of budget; call :meth:`resume` first to go on from a checkpoint.

        Raises
        ------
        SvpgError: a file cannot be written; the last checkpoint stays valid.
        """
        began = time.perf_counter()
        progress, training = self.progress, self.training
        with (
            _scalars(folder, progress.episodes) as board,
            tqdm(total=training.episodes, initial=progress.episodes, unit="ep", disable=not sys.stderr.isatty()) as bar,
        ):
            saved = progress.episodes
            while not self.finished():
                before, since = progress.episodes, time.perf_counter()
                episodes = self.advance()
                mean, best = self.validation_due(before)
                if best:
                    self.agent.read().save(folder.best_file)
                self._record(folder, board, before, episodes, mean, time.perf_counter() - since)
                if _crossed(saved, progress.episodes, training.checkpoint_every):
                    saved = progress.episodes
                    self._save(folder)
                    board.flush()
                bar.update(len(episodes))
                bar.set_postfix(best=f"{progress.best:.4g}", refresh=False)
            self._save(folder)
        save_curve(folder.metrics(), get_task(self.config.task), training, folder.curve_file)
        solved = self._solved()
        return Result(
            solved=solved,
            solved_episode=progress.streak_start if solved else None,
            episodes=progress.episodes,
            seconds=time.perf_counter() - began,
            best_validation=progress.best,
        )

    def advance(self) -> list[Episode]:
        """Play and learn a little further; the episodes that ended, none where some go on."""
        episodes = self._learner.advance()
        self.progress.episodes += len(episodes)
        return episodes

    def _solved(self) -> bool:
        return 0 < self.training.hold <= self.progress.streak

    def finished(self) -> bool:
        """Solved, or out of budget."""
        return self._solved() or self.progress.episodes >= self.training.episodes

    def validation_due(self, before: int) -> tuple[float | None, bool]:
        """Validate if an interval ended since ``before`` episodes, and at the end of a run that has had no validation.

        Returns
        -------
        The validation, ``None`` where there was none, and whether it is at least as good as any before.
        """
        progress, training = self.progress, self.training
        last = progress.episodes >= training.episodes and progress.best == -np.inf
        if not (last or _crossed(before, progress.episodes, training.validate_every)):
            return None, False
        mean = self.validate()
        return mean, progress.record(mean, training.threshold)

    def _record(
        self,
        folder: RunFolder,
        board: Scalars,
        before: int,
        episodes: list[Episode],
        mean: float | None,
        seconds: float,
    ) -> None:
        """Rows of the metrics file and scalars of the TensorBoard."""
        rows = []
        for number, episode in enumerate(episodes, before + 1):
            # A validation belongs to the last episode before it.
            validation = mean if number == self.progress.episodes else None
            rows.append(
                format_row(
                    [number, episode.steps, episode.total, episode.length, episode.entropy, episode.loss, validation]
                )
            )
            board.add(number, "train/return", episode.total)
            board.add(number, "train/entropy", episode.entropy)
            if not np.isnan(episode.loss):
                board.add(number, "train/critic_loss", episode.loss)
            if validation is not None:
                board.add(number, "validation/mean", validation)
        if episodes:
            board.add(self.progress.episodes, "time/episodes_per_second", len(episodes) / seconds)
        folder.append_metrics(rows)

    # --- checkpoints -------------------------------------------------------------------------------
    def _save(self, folder: RunFolder) -> None:
        self._learner.cut()
        self.agent.read().save(folder.last_file)
        folder.save_checkpoint(
            {
                **{f"progress.{key}": value for key, value in self.progress.state().items()},
                **{f"learner.{key}": value for key, value in self._learner.state().items()},
            }
        )

    def resume(self, folder: RunFolder) -> None:
        """Return to the folder's checkpoint, or to the beginning where it has none.

        Raises
        ------
        SvpgError: a damaged checkpoint or metrics file.
        """
        state = folder.load_checkpoint()
        if state is not None:
            try:
                self.progress.restore(subset(state, "progress."))
                self._learner.restore(subset(state, "learner."))
            except (KeyError, ValueError, IndexError, RuntimeError) as error:
                raise SvpgError(
                    f"{folder.checkpoint_file}: does not fit the run's settings ({error}); restore config.toml"
                ) from error
        folder.cut_metrics(self.progress.episodes)

    def close(self) -> None:
        """Close all environments, and the device if it is its own."""
        self._closing.close()


def _crossed(before: int, after: int, interval: int) -> bool:
    """A multiple of ``interval`` lies in (before, after]."""
    return after // interval > before // interval


class Scalars:
    """A TensorBoard writer whose failures are :class:`SvpgError`."""

    def __init__(self, writer: SummaryWriter, folder: RunFolder) -> None:
        self._writer, self._folder = writer, folder

    @contextlib.contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SvpgError(f"{self._folder.tensorboard}: cannot be written ({error.strerror}); free space") from error

    def add(self, step: int, name: str, value: float) -> None:
        """One scalar."""
        with self._guard():
            self._writer.add_scalar(name, value, step)

    def flush(self) -> None:
        """Everything so far to the disk."""
        with self._guard():
            self._writer.flush()


@contextlib.contextmanager
def _scalars(folder: RunFolder, episodes: int) -> Iterator[Scalars]:
    """The run's TensorBoard; events of episodes that a resumed run repeats are hidden."""
    try:
        writer = SummaryWriter(str(folder.tensorboard), purge_step=episodes + 1 if episodes else None)
    except OSError as error:
        raise SvpgError(f"{folder.tensorboard}: cannot be written ({error.strerror}); free space") from error
    try:
        yield Scalars(writer, folder)
    finally:
        # The run's own error, if there is one, says more than that of a writer on the same disk.
        with contextlib.suppress(OSError):
            writer.close()


def train(config: RunConfig, path: str | os.PathLike[str], resume: bool = False, port: Port | None = None) -> Result:
    """Train a new run in folder ``path``, or go on with the one that is there; ``port`` is that of a board.

    Raises
    ------
    SvpgError: settings that do not fit, a folder that holds a run already (or none to resume), full disk.
    """
    with contextlib.closing(Trainer(config, port=port)) as trainer:
        if resume:
            folder = RunFolder(path)
            trainer.resume(folder)
            config.save(folder.config_file)
        else:
            folder = RunFolder.create(path, config)
        return trainer.run(folder)


def extended(config: RunConfig, episodes: int | None) -> RunConfig:
    """The same run with another budget."""
    if episodes is None:
        return config
    training: Training = dataclasses.replace(config.settings.training, episodes=episodes)
    return dataclasses.replace(config, settings=dataclasses.replace(config.settings, training=training))
