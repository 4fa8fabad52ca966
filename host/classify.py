"""Classification as one-step reinforcement learning: see an image, name a class, be told right or wrong."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from golden.errors import SvpgError
from host.agent import Agent, entropy
from host.datasets import Dataset, load_mnist, observations
from host.learner import Episode, State, pack_generator, subset, unpack_generator
from host.reinforce import RunningBaseline
from host.seeds import Purpose, generator
from host.settings import Classify

CHUNK = 256
"""Images per batch in evaluation."""


def load_split(classify: Classify, seed: int) -> tuple[Dataset, Dataset]:
    """The data set, and a part of its training images that is held out for validation as another one's test split.

    Returns
    -------
    (training, validation): ``training.train_*`` are the images to learn from; ``validation.test_*`` are those
    held out of the training split; ``training.test_*`` is the test split, which no training looks at.

    Raises
    ------
    SvpgError: too few training images.
    """
    data = load_mnist(classify.source or None)
    count = len(data.train_images)
    if classify.validation + classify.batch > count:
        raise SvpgError(
            f"classify.validation = {classify.validation} leaves fewer than one batch of {classify.batch} of the "
            f"{count} training images; lower it"
        )
    order = generator(seed, Purpose.SPLIT).permutation(count)
    held, kept = order[: classify.validation], order[classify.validation :]
    training = dataclasses.replace(data, train_images=data.train_images[kept], train_labels=data.train_labels[kept])
    validation = dataclasses.replace(training, test_images=data.train_images[held], test_labels=data.train_labels[held])
    return training, validation


@dataclass(frozen=True)
class Classified:
    """Results of naming images.

    Parameters
    ----------
    accuracy: share that was right.
    cycles: mean clock cycles per decision where the backend counts them.
    """

    accuracy: float
    cycles: float | None


def classify(agent: Agent, images: NDArray[np.uint8], labels: NDArray[np.uint8], policy: str = "greedy") -> Classified:
    """Name images (n, 784)."""
    right, cycles = 0, []
    for start in range(0, len(images), CHUNK):
        obs = observations(images[start : start + CHUNK]).astype(np.float64)
        decision = agent.decide(obs, Purpose.PLAY, start, policy)
        right += int((decision.action == labels[start : start + CHUNK]).sum())
        cycles.append(decision.counters.get("cycles", np.zeros(0)))
    counted = np.concatenate(cycles)
    return Classified(right / len(images), float(counted.mean()) if counted.size else None)


def accuracy(agent: Agent, images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> float:
    """Share of images (n, 784) that the agent names right, greedily."""
    return classify(agent, images, labels).accuracy


class OneStep:
    """Batches of images, reward less a running baseline, one update (REINFORCE) or several with a ratio (PPO).

    Parameters
    ----------
    data: ``train_images`` and ``train_labels`` are learned from.
    agent: parameters are loaded.
    classify: settings.
    clip: half width of PPO's interval; ``None`` for REINFORCE.
    """

    def __init__(self, data: Dataset, agent: Agent, classify: Classify, clip: float | None) -> None:
        self.agent, self.classify, self.clip = agent, classify, clip
        self._images, self._labels = data.train_images, data.train_labels
        self._rng = generator(agent.seed, Purpose.SAMPLES)
        self._order = np.zeros(0, dtype=np.int64)
        self._baseline = RunningBaseline(classify.decay)
        self._steps = 0

    def advance(self) -> list[Episode]:
        """One batch. The training images are gone through in a new random order each time."""
        batch = self.classify.batch
        if len(self._order) < batch:
            self._order = self._rng.permutation(len(self._images))
        chosen, self._order = self._order[:batch], self._order[batch:]
        obs = observations(self._images[chosen]).astype(np.float64)
        decision = self.agent.decide(obs, Purpose.ACT, self._steps, self.agent.policy)
        right = decision.action == self._labels[chosen]
        reward = np.where(right, self.classify.right, self.classify.wrong)
        advantage = reward - self._baseline.mean
        self._baseline.update(reward)
        decided = np.arange(self._steps, self._steps + batch)
        if self.clip is None:
            self.agent.train(obs, decision.winners, decided, advantage)
        else:
            old = decision.action_prob[np.arange(batch), decision.action]
            for _ in range(self.classify.epochs):
                self.agent.train(obs, decision.winners, decided, advantage, old, self.clip)
        self._steps += batch
        return [Episode(self._steps, float(right.mean()), batch, entropy(decision.action_prob), float("nan"))]

    def cut(self) -> None:
        """Nothing to do: there are no environments."""

    def state(self) -> State:
        """Agent, baseline, generator, the rest of the present order and the count of images."""
        return {
            **{f"agent.{key}": value for key, value in self.agent.state().items()},
            **{f"baseline.{key}": value for key, value in self._baseline.state().items()},
            **{f"rng.{key}": value for key, value in pack_generator(self._rng).items()},
            "order": self._order.copy(),
            "steps": np.array(self._steps),
        }

    def restore(self, state: State) -> None:
        """The inverse of :meth:`state`."""
        self.agent.restore(subset(state, "agent."))
        self._baseline.restore(subset(state, "baseline."))
        unpack_generator(self._rng, subset(state, "rng."))
        self._order = state["order"].copy()
        self._steps = int(state["steps"])

    def close(self) -> None:
        """Nothing to release."""
