"""The tasks by name, each with its one set of default settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from golden.config import DeviceConfig
from golden.errors import SvpgError
from host.settings import Centring, Classify, Critic, Learning, Ppo, Reinforce, Settings, Training

if TYPE_CHECKING:
    import gymnasium

    from golden.parameters import Parameters

DEVICE_RATE = 2.0**-10
"""Devices shift instead of multiplying; the nearest power of two to the authors' 1e-3."""

MNIST_DEVICE_RATE = 2.0**-9
"""Measured best on MNIST (docs/results/widths.md)."""

FLOAT_RATE = 1e-3

SPIKING_CONTROL = {
    "ppo": (
        "network.steps=16",
        "network.window=8",
        "learning.modulator=plain",
        "learning.entropy=0.3",
        f"learning.rate={2.0**-9}",
        f"learning.obs_rate={2.0**-9}",
    )
}
"""The pendulum solved by either rule from five of five seeds (docs/results/spikes.md)."""


@dataclass(frozen=True)
class Task:
    """One task.

    Parameters
    ----------
    name: as on the command line.
    title: one line for people.
    inputs: observation neurons S.
    actions: actions A.
    defaults: settings by (backend, algorithm), for rate mode.
    spiking: assignments that take their place in spike mode, by algorithm.
    environment: gymnasium id; ``None`` for one-step classification of images.
    arguments: keyword arguments of the environment.
    practice: further ones in training and validation.
    options: numeric keyword arguments that ``svpg play --env`` may set.
    apart: each of its environments works in a process of its own.
    measures: what its environments count in ``info`` for reports.
    score: what in ``info`` at the end of an episode validation goes by; ``None`` for the return.
    policy: by which validation decides, and who plays unless told otherwise; one that draws finds a way out of where a
        greedy one turns to and fro.
    """

    name: str
    title: str
    inputs: int
    actions: int
    defaults: Callable[[str, str], Settings]
    spiking: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    environment: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    practice: Mapping[str, Any] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    apart: bool = False
    measures: tuple[str, ...] = ()
    score: str | None = None
    policy: str = "greedy"

    def settings(self, backend: str, algorithm: str, assignments: Iterable[str] = ()) -> Settings:
        """The default settings with ``KEY=VALUE`` texts applied, which choose the mode too.

        Raises
        ------
        SvpgError: an assignment that does not fit.
        """
        assignments = list(assignments)
        defaults = self.defaults(backend, algorithm)
        chosen = defaults.override(assignments)
        if chosen.network.spikes:
            chosen = defaults.override([*self.spiking.get(algorithm, ()), *assignments])
        return chosen

    def make(self, **more: Any) -> gymnasium.Env[Any, Any]:
        """A new environment; ``more`` adds to its arguments (``render_mode``)."""
        if self.environment is None:
            raise SvpgError(f"{self.name} has no environment: it classifies a data set in one step")
        import gymnasium

        import host.envs  # noqa: F401  (registers svpg/*)

        return gymnasium.make(self.environment, disable_env_checker=True, **self.arguments, **more)

    def variation(self, assignments: Iterable[str]) -> dict[str, float]:
        """Keyword arguments of the environment from ``KEY=VALUE`` texts.

        Raises
        ------
        SvpgError: a key that is not in ``options``, or a value that is no number.
        """
        result = {}
        for assignment in assignments:
            key, _, text = assignment.partition("=")
            if key not in self.options:
                known = ", ".join(self.options) or "none"
                raise SvpgError(f"--env {assignment}: {self.name} has no option {key!r}; it has {known}")
            try:
                result[key] = float(text)
            except ValueError as error:
                raise SvpgError(f"--env {assignment}: {text!r} is not a number") from error
        return result

    def check(self, parameters: Parameters, source: str) -> None:
        """Raise :class:`SvpgError` unless the parameters fit the task's observations and actions."""
        if (parameters.inputs, parameters.actions) != (self.inputs, self.actions):
            raise SvpgError(
                f"{source}: made for {parameters.inputs} inputs and {parameters.actions} actions, but {self.name} has "
                f"{self.inputs} and {self.actions}; choose the task it was trained on"
            )


def _rate(backend: str) -> float:
    return FLOAT_RATE if backend == "float" else DEVICE_RATE


def _pendulum(backend: str, algorithm: str) -> Settings:
    rate = _rate(backend)
    return Settings(
        # A row is one word, so every event takes one cycle of the hardware.
        network=DeviceConfig(inputs=4, groups=8, group_size=8, actions=5, lanes=69),
        learning=Learning(
            rule="contrastive",
            modulator="authors" if algorithm == "ppo" else "plain",
            rate=rate,
            obs_rate=rate,
            entropy=5.0 if algorithm == "ppo" else 0.05,
        ),
        ppo=Ppo(),
        reinforce=Reinforce(),
        critic=Critic(),
        training=Training(episodes=1200, threshold=195.0),
    )


def _cartpole(backend: str, algorithm: str) -> Settings:
    settings = _pendulum(backend, algorithm)
    return dataclasses.replace(settings, network=settings.network.replace(actions=2, lanes=66))


def _mnist(backend: str, algorithm: str) -> Settings:
    rate = FLOAT_RATE if backend == "float" else MNIST_DEVICE_RATE
    return Settings(
        network=DeviceConfig(inputs=784, groups=20, group_size=10, actions=10, removed="hhsa"),
        learning=Learning(
            rule="contrastive",
            optimiser="adam" if backend == "float" else "rmsprop",
            rate=rate,
            obs_rate=rate,
            entropy=0.2,
        ),
        classify=Classify(epochs=5 if algorithm == "ppo" else 1),
        training=Training(
            episodes=3000, validate_every=100, validation_episodes=1, checkpoint_every=100, threshold=1.0, hold=0
        ),
    )


FINE = {"weight_frac": 13, "acc_frac": 18, "moment_bits": 28, "moment_frac": 28}
"""For gradients of single pixels, which are small (docs/learning.md, "Widths for thousands of inputs")."""

FINE_MOMENTS: dict[str, Any] = {"decay": 4, "floor": 26}
"""What learning with these widths wants."""


def _doom(backend: str, algorithm: str) -> Settings:
    real = backend == "float"
    return Settings(
        network=DeviceConfig(inputs=4800, groups=20, group_size=10, actions=5, removed="hhsa").replace(**FINE),
        learning=Learning(
            rule="contrastive",
            optimiser="adam" if real else "rmsprop",
            rate=FLOAT_RATE if real else 2.0**-9,
            obs_rate=3e-4 if real else 2.0**-11,
            entropy=0.02 if real else 0.01,
            **FINE_MOMENTS,
            halve=480,
            init_recurrent=0.1,
            init_obs=0.15,
        ),
        ppo=Ppo(
            epochs=3,
            clip=0.2,
            gamma=0.98,
            advantage="gae",
            normalise=True,
            envs=16,
            update_every=128,
            batch=512,
            gae_lambda=0.95,
            reward_scale=0.1,
        ),
        critic=Critic(hidden=128),
        centring=Centring(frames=1000),
        training=Training(
            episodes=500, validate_every=50, validation_episodes=6, checkpoint_every=40, threshold=800.0, hold=0
        ),
    )


def _supreme(backend: str, algorithm: str) -> Settings:
    """Episodes are short for long: there have to be more of them."""
    settings = _doom(backend, algorithm)
    return dataclasses.replace(
        settings,
        learning=dataclasses.replace(settings.learning, halve=1000),
        ppo=dataclasses.replace(settings.ppo, epochs=4),
        training=dataclasses.replace(settings.training, episodes=2000, validate_every=200),
    )


def _robot(backend: str, inputs: int, ppo: Ppo, training: Training) -> Settings:
    real = backend == "float"
    rate = _rate(backend)
    return Settings(
        network=DeviceConfig(inputs=inputs, groups=20, group_size=10, actions=5, removed="hhsa"),
        learning=Learning(
            rule="contrastive", optimiser="adam" if real else "rmsprop", rate=rate, obs_rate=rate, entropy=0.02
        ),
        ppo=ppo,
        critic=Critic(hidden=64),
        centring=Centring(frames=1000, unit=True),
        training=training,
    )


def _rollouts(gamma: float) -> Ppo:
    return Ppo(
        epochs=5, gamma=gamma, advantage="gae", normalise=True, envs=16, update_every=64, batch=256, gae_lambda=0.95
    )


def _arm(backend: str, algorithm: str) -> Settings:
    training = Training(
        episodes=7000, validate_every=200, validation_episodes=100, checkpoint_every=1000, threshold=0.97, hold=2
    )
    # With a discount of 0.9 a step to nowhere costs little, and greedy policies go to and fro (docs/results/robots.md).
    settings = _robot(backend, 4096, _rollouts(0.75), training)
    return dataclasses.replace(
        settings,
        network=settings.network.replace(**FINE),
        learning=dataclasses.replace(settings.learning, entropy=0.01, **FINE_MOMENTS, halve=400),
    )


def _navigation(backend: str, algorithm: str) -> Settings:
    training = Training(
        episodes=700, validate_every=100, validation_episodes=50, checkpoint_every=200, threshold=0.9, hold=1
    )
    return _robot(backend, 4800, dataclasses.replace(_rollouts(0.97), update_every=128, reward_scale=0.1), training)


def _varied(backend: str, algorithm: str) -> Settings:
    """Many more rooms to see, with the arm's widths, so that rates can be halved."""
    settings = _navigation(backend, algorithm)
    rate = _rate(backend) / 2
    return dataclasses.replace(
        settings,
        network=settings.network.replace(**FINE),
        learning=dataclasses.replace(
            settings.learning, rate=rate, obs_rate=rate, entropy=0.01, **FINE_MOMENTS, halve=2400
        ),
        ppo=dataclasses.replace(settings.ppo, gamma=0.9),
        training=dataclasses.replace(settings.training, episodes=5000, validate_every=500, checkpoint_every=1000),
    )


TASKS = {
    task.name: task
    for task in (
        Task(
            "inverted-pendulum",
            "balance a 1.5 m pole on a cart, five forces, 200 steps (MuJoCo)",
            inputs=4,
            actions=5,
            defaults=_pendulum,
            spiking=SPIKING_CONTROL,
            environment="svpg/InvertedPendulum-v0",
            options=("pole_length", "pole_thickness"),
        ),
        Task(
            "cartpole",
            "balance a pole on a cart, two forces, 200 steps",
            inputs=4,
            actions=2,
            defaults=_cartpole,
            spiking=SPIKING_CONTROL,
            environment="svpg/CartPole-v0",
        ),
        Task(
            "doom-health-gathering",
            "find medkits on a floor of acid, seen in 60 × 80 grey pixels, 525 steps (ViZDoom)",
            inputs=4800,
            actions=5,
            defaults=_doom,
            environment="svpg/DoomHealthGathering-v0",
            options=("steps", "mirror", "blank"),
            apart=True,
            measures=("medkits",),
        ),
        Task(
            "doom-health-gathering-supreme",
            "the same in a maze with poison (ViZDoom)",
            inputs=4800,
            actions=5,
            defaults=_supreme,
            environment="svpg/DoomHealthGathering-v0",
            arguments={"scenario": "health_gathering_supreme"},
            options=("steps", "mirror", "blank"),
            apart=True,
            measures=("medkits",),
        ),
        Task(
            "robot-arm",
            "reach a cube with a robot arm, seen in 64 × 64 grey pixels, 60 steps (PyBullet)",
            inputs=4096,
            actions=5,
            defaults=_arm,
            environment="svpg/RobotArm-v0",
            # From home alone it learns the ways to 45 cubes, and on the way to others it is lost.
            practice={"scatter": 0.5},
            options=("split", "scatter", "mirror", "blank"),
            measures=("success",),
            score="score",
        ),
        Task(
            "robot-navigation",
            "find a cabinet in a furnished room through the robot's camera, 60 × 80 grey pixels, 200 steps (PyBullet)",
            inputs=4800,
            actions=5,
            defaults=_navigation,
            environment="svpg/RobotNavigation-v0",
            options=("split", "mirror", "blank"),
            measures=("success",),
            score="score",
        ),
        Task(
            "robot-navigation-varied",
            "the same in a room whose furniture and target stand elsewhere in each episode (PyBullet)",
            inputs=4800,
            actions=5,
            defaults=_varied,
            environment="svpg/RobotNavigationVaried-v0",
            practice={"scatter": 0.5},
            options=("split", "scatter", "mirror", "blank"),
            measures=("success",),
            score="score",
            policy="sample",
        ),
        Task(
            "mnist",
            "classify handwritten digits from reward alone",
            inputs=784,
            actions=10,
            defaults=_mnist,
        ),
    )
}


def get_task(name: str) -> Task:
    """The task called ``name``.

    Raises
    ------
    SvpgError: no such task; the message lists those there are.
    """
    if name not in TASKS:
        raise SvpgError(f"unknown task {name!r}; choose one of {', '.join(TASKS)}")
    return TASKS[name]


def default_algorithm(task: Task) -> str:
    """PPO for control; plain REINFORCE suffices where an episode is one step."""
    return "reinforce" if task.environment is None else "ppo"
