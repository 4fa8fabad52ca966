"""ViZDoom's health gathering: find medkits on a floor of acid, seen through the eyes of the player."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray

from golden.compiled import compiled
from golden.errors import SvpgError
from host.envs.scaling import check_render_mode

ACTIONS = ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (0, 1, 1))
"""Buttons held by each action: turn left, turn right, forward."""

HEIGHT, WIDTH = 60, 80
"""Pixels of an observation."""

SHRINK = 4
"""Pixels of the game's screen, 320 × 240, to a side of one of an observation."""

TICS = 4
"""Ticks of the game, 35 to a second, per step."""

STEPS = 525
"""Steps of an episode, 2,100 ticks, as the scenario has it."""

MEDKIT, DEATH = 10.0, -50.0
"""Rewards of a step in which a medkit is taken, and of the one in which the player dies; 1 for all others."""

SCENARIOS = ("health_gathering", "health_gathering_supreme")


class DoomHealthGathering(gymnasium.Env[NDArray[np.float32], np.int64]):
    """Stay alive on a floor of acid by collecting medkits (ViZDoom, Kempka et al. 2016).

    Observation: float32 (4800,) in [0, 1], the screen in grey, 60 rows of 80, each pixel the mean of 4 × 4 of the
    game's. Weapon, decals, particles, crosshair and status bar are off. Action: 0 to 4, see :data:`ACTIONS`, held for
    4 ticks. Reward: 1 per step, 10 instead if a medkit was taken (the player's health rose), −50 for the step in which
    the player dies, which terminates the episode; it is truncated after ``steps`` steps. ``info["medkits"]`` counts.

    Each environment has a game of its own, which is a process; it starts with the first ``reset``.

    Parameters
    ----------
    scenario: of :data:`SCENARIOS`; both ship with ViZDoom. ``supreme`` has a maze and vials of poison.
    steps: of an episode.
    mirror: 1 shows the screen with left and right exchanged; blank: 1 shows nothing (0.5 everywhere). What a policy
        does then tells whether it looks.
    render_mode: ``rgb_array`` or ``None``.

    Raises
    ------
    SvpgError: ViZDoom is not installed, an unknown scenario, or a number out of range.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 9}  # noqa: RUF012  (gymnasium's declaration)

    def __init__(
        self,
        scenario: str = SCENARIOS[0],
        steps: float = STEPS,
        mirror: float = 0,
        blank: float = 0,
        render_mode: str | None = None,
    ) -> None:
        self.render_mode = check_render_mode(render_mode, self.metadata["render_modes"])
        if scenario not in SCENARIOS:
            raise SvpgError(f"scenario = {scenario!r} is unknown; choose one of {', '.join(SCENARIOS)}")
        if not (steps >= 1 and float(steps).is_integer()):
            raise SvpgError(f"steps = {steps!r} is out of range; give a whole number of steps from 1 on")
        for name, value in (("mirror", mirror), ("blank", blank)):
            if value not in (0, 1):
                raise SvpgError(f"{name} = {value!r} is out of range; give 0 or 1")
        self.observation_space = Box(0.0, 1.0, (HEIGHT * WIDTH,), np.float32)
        self.action_space = Discrete(len(ACTIONS))
        self._scenario, self._steps, self._mirror, self._blank = scenario, int(steps), bool(mirror), bool(blank)
        self._engine = _engine()
        self._game: Any = None
        self._screen = np.zeros((HEIGHT * SHRINK, WIDTH * SHRINK), dtype=np.uint8)
        self._done = self._medkits = 0
        self._health = 0.0

    def _start(self) -> Any:
        """The game, running."""
        vizdoom = self._engine
        game = vizdoom.DoomGame()
        # The game writes its settings on leaving; not into the folder of whoever plays.
        self._folder = tempfile.TemporaryDirectory(prefix="svpg-doom-")
        game.set_doom_config_path(str(Path(self._folder.name) / "settings.ini"))
        game.load_config(str(Path(vizdoom.scenarios_path) / f"{self._scenario}.cfg"))
        game.set_screen_format(vizdoom.ScreenFormat.GRAY8)
        game.set_screen_resolution(vizdoom.ScreenResolution.RES_320X240)
        game.set_available_buttons([vizdoom.Button.TURN_LEFT, vizdoom.Button.TURN_RIGHT, vizdoom.Button.MOVE_FORWARD])
        game.set_available_game_variables([vizdoom.GameVariable.HEALTH])
        for hide in ("window_visible", "render_hud", "render_weapon", "render_decals", "render_particles"):
            getattr(game, f"set_{hide}")(False)
        game.set_render_crosshair(False)
        # The environment counts steps itself.
        game.set_episode_timeout(0)
        game.init()
        return game

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start an episode; ``options`` are not read."""
        super().reset(seed=seed)
        if self._game is None:
            self._game = self._start()
        self._game.set_seed(int(self.np_random.integers(1 << 31)))
        self._game.new_episode()
        self._done = self._medkits = 0
        self._health = self._look()
        return self._observation(), {"medkits": 0}

    def step(self, action: np.int64 | int) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Hold the buttons of an action for four ticks."""
        if not 0 <= action < len(ACTIONS):
            raise SvpgError(f"action = {action!r} is out of range; give an integer from 0 to {len(ACTIONS) - 1}")
        self._game.make_action(ACTIONS[action], TICS)
        self._done += 1
        if self._game.is_episode_finished():
            # The screen stays as it was last seen.
            return self._observation(), DEATH, True, False, {"medkits": self._medkits}
        health = self._look()
        found = health > self._health
        self._health = health
        self._medkits += found
        reward = MEDKIT if found else 1.0
        return self._observation(), reward, False, self._done >= self._steps, {"medkits": self._medkits}

    def _look(self) -> float:
        """Keep the screen, which is a copy of the game's; the player's health."""
        state = self._game.get_state()
        self._screen = state.screen_buffer
        return float(state.game_variables[0])

    def _observation(self) -> NDArray[np.float32]:
        if self._blank:
            return np.full(HEIGHT * WIDTH, 0.5, dtype=np.float32)
        seen = shrunk(self._screen)
        return (seen[:, ::-1] if self._mirror else seen).ravel()

    def render(self) -> NDArray[np.uint8] | None:
        """The screen as uint8 (240, 320, 3), or ``None`` without a render mode."""
        if self.render_mode is None:
            return None
        return np.repeat(self._screen[:, :, None], 3, axis=2)

    def close(self) -> None:
        """End the game."""
        if self._game is not None:
            self._game.close()
            self._game = None
            self._folder.cleanup()


@compiled
def shrunk(screen):  # type: ignore[no-untyped-def]
    """A screen, uint8 (240, 320), as float32 (60, 80) in [0, 1], each the mean of 4 × 4 of its pixels."""
    seen = np.empty((HEIGHT, WIDTH), dtype=np.float32)
    for i in range(HEIGHT):
        for j in range(WIDTH):
            # A sum of integers is the same on every machine.
            total = np.int32(0)
            for y in range(SHRINK):
                for x in range(SHRINK):
                    total += np.int32(screen[SHRINK * i + y, SHRINK * j + x])
            seen[i, j] = np.float32(total) / np.float32(255 * SHRINK * SHRINK)
    return seen


def blind_script() -> itertools.cycle[int]:
    """Actions of a player without eyes: ahead for ten of fourteen steps, then ahead and left."""
    return itertools.cycle([2] * 10 + [3] * 4)


def _engine() -> Any:
    """The module of ViZDoom.

    Raises
    ------
    SvpgError: it is not installed.
    """
    try:
        import vizdoom
    except ImportError as error:
        raise SvpgError(f"ViZDoom cannot be used ({error}); install it: pip install vizdoom") from error
    return vizdoom
