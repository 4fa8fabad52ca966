"""Reward modulators: the scalar M per sample that multiplies the eligibility (docs/learning.md, "Modulators").

All functions are pure NumPy in float64. ``pi`` is the policy now, ``a`` the action that was taken,
``r = pi_a / pi_a,old`` and ``H = -sum(pi * ln(pi))``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

FLOOR = 1e-12
"""Default lower bound of a probability inside a logarithm or a ratio."""

Array = NDArray[np.float64]


def ppo(
    probabilities: ArrayLike,
    action: ArrayLike,
    old_probability: ArrayLike,
    advantage: ArrayLike,
    clip: float,
    entropy: float,
    floor: float = FLOOR,
) -> Array:
    """Policy gradient of PPO's clipped objective plus ``entropy * H``.

    ``M = r * advantage * [not clipped] - entropy * r * (ln(pi_a) + H)``

    The first term is the gradient of ``min(r * adv, clip(r, 1 - c, 1 + c) * adv)`` with respect to ln(pi_a)
    (Schulman et al. 2017, equation 7). The second is unbiased for actions of the old policy: with any
    constant k, ``grad H = -sum_a pi_a (ln(pi_a) + k) grad ln(pi_a)`` since ``sum_a grad pi_a = 0``, and
    ``sum_a pi_a f(a) = E_old[r f(a)]``; k = H leaves the least variance of the obvious choices.

    Parameters
    ----------
    probabilities: (B, A), the policy now.
    action: (B,) integers, the actions that were taken.
    old_probability: (B,), probability of ``action`` when it was taken.
    advantage: (B,), in units of reward.
    clip: PPO's epsilon.
    entropy: entropy coefficient, in units of reward per nat.
    floor: lower bound of probabilities in ln and r; half an LSB where a device reports them quantised.

    Returns
    -------
    M, float64 (B,).

    Raises
    ------
    ValueError: shapes do not agree, an action is out of range, or ``floor`` is not positive.
    """
    pi_a, surprise, adv = _terms(probabilities, action, advantage, floor)
    ratio = pi_a / np.maximum(_column(old_probability, "old_probability", pi_a.size), floor)
    return ratio * (adv * _not_clipped(ratio, adv, clip) - entropy * surprise)


def ppo_authors(
    probabilities: ArrayLike,
    action: ArrayLike,
    old_probability: ArrayLike,
    advantage: ArrayLike,
    clip: float,
    entropy: float,
    floor: float = FLOOR,
) -> Array:
    """The modulator of the published code.

    ``M = r * advantage * (1 - pi_a) * [not clipped] - entropy * pi_a * (ln(pi_a) + H)``

    It is the derivative of the same objective with respect to the *potential* of the chosen action, where
    d ln(pi_a) / d u_a = 1 - pi_a and d H / d u_a = -pi_a (ln(pi_a) + H). The eligibility v - q contains
    that derivative already, so it enters twice. Parameters, result and errors as in :func:`ppo`.
    """
    pi_a, surprise, adv = _terms(probabilities, action, advantage, floor)
    ratio = pi_a / np.maximum(_column(old_probability, "old_probability", pi_a.size), floor)
    return ratio * adv * (1.0 - pi_a) * _not_clipped(ratio, adv, clip) - entropy * pi_a * surprise


def reinforce(
    probabilities: ArrayLike, action: ArrayLike, advantage: ArrayLike, entropy: float, floor: float = FLOOR
) -> Array:
    """REINFORCE with an entropy bonus: :func:`ppo` at r = 1, ``M = advantage - entropy * (ln(pi_a) + H)``.

    Parameters, result and errors as in :func:`ppo`; the actions must come from ``probabilities``.
    """
    _, surprise, adv = _terms(probabilities, action, advantage, floor)
    return adv - entropy * surprise


def _terms(
    probabilities: ArrayLike, action: ArrayLike, advantage: ArrayLike, floor: float
) -> tuple[Array, Array, Array]:
    """Floored pi_a, ``ln(pi_a) + H`` and the advantage, each (B,)."""
    if not floor > 0:
        raise ValueError(f"floor = {floor} must be positive")
    pi = np.asarray(probabilities, dtype=np.float64)
    if pi.ndim != 2:
        raise ValueError(f"probabilities have shape {pi.shape}, expected (B, A)")
    batch, actions = pi.shape
    chosen = np.asarray(action)
    if chosen.shape != (batch,) or not np.issubdtype(chosen.dtype, np.integer):
        raise ValueError(f"action has shape {chosen.shape} and type {chosen.dtype}, expected ({batch},) integers")
    if ((chosen < 0) | (chosen >= actions)).any():
        raise ValueError(f"action must lie in 0 ... {actions - 1}")
    log_pi = np.log(np.maximum(pi, floor))
    own = np.arange(batch), chosen
    surprise = log_pi[own] - np.sum(pi * log_pi, axis=1)
    return np.maximum(pi[own], floor), surprise, _column(advantage, "advantage", batch)


def _column(values: ArrayLike, name: str, batch: int) -> Array:
    array = np.asarray(values, dtype=np.float64)
    if array.shape != (batch,):
        raise ValueError(f"{name} has shape {array.shape}, expected ({batch},)")
    return array


def _not_clipped(ratio: Array, advantage: Array, clip: float) -> NDArray[np.bool_]:
    """Where min(r * adv, clip(r) * adv) still depends on r."""
    return np.where(advantage > 0, ratio <= 1.0 + clip, ratio >= 1.0 - clip)
