"""Which epoch of a training is the better one; without torch, for the monitor tells it too."""

from __future__ import annotations

import math

LOSS = "valid_loss"
LEAST_CHANGE = 0.001
LEAST_SHARE = 0.01  # of the loss, which may be a small number, that of the focal loss for example

Rank = tuple[float, float]  # the larger, the better
NO_RANK: Rank = (-math.inf, -math.inf)


def rank(monitor: str, score: float, loss: float) -> Rank:
    """Return the rank of an epoch.

    As long as a score is 0, as that of detectors may be for a while, the loss tells which epoch
    is better. It does so, too, when it is what is monitored.

    Args:
        monitor: name of the score, in lower case.
        score: of the epoch.
        loss: of the validation. An epoch without a number for it has no rank.
    """
    # Nothing is greater than what is no number, and it would stay the best.
    if not math.isfinite(loss):
        return NO_RANK
    if monitor == LOSS or score == 0:
        return 0.0, -loss
    return score, -math.inf


def is_gain(new: Rank, former: Rank) -> bool:
    """Return whether a rank is better than another one by enough for a training to go on."""
    if new[0] == former[0] == 0:
        return new[1] > former[1] + min(LEAST_CHANGE, LEAST_SHARE * abs(former[1]))
    return new[0] > former[0] + LEAST_CHANGE
