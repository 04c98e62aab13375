"""The settings of the final rank (SPEC, Search): the weights are the reader's own business."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

from pkn_protocol.search.rank import DEFAULT_WEIGHTS, Weights
from pknd.setting_rule import SettingRule


class RankSettings(Protocol):
    """The settings in effect."""

    @property
    def rank_distance_2(self) -> float: ...
    @property
    def rank_distance_3(self) -> float: ...
    @property
    def rank_stranger(self) -> float: ...
    @property
    def rank_claim(self) -> float: ...
    @property
    def rank_in_vain(self) -> float: ...
    @property
    def rank_crowd(self) -> float: ...
    @property
    def rank_ratings(self) -> float: ...
    @property
    def rank_age(self) -> float: ...
    @property
    def rank_half_life(self) -> float: ...


def weights_of(settings: RankSettings) -> Weights:
    return Weights(
        distance={
            0: 1.0,
            1: 1.0,
            2: settings.rank_distance_2,
            3: settings.rank_distance_3,
            None: settings.rank_stranger,
        },
        claim=settings.rank_claim,
        in_vain=settings.rank_in_vain,
        crowd=settings.rank_crowd,
        ratings=settings.rank_ratings,
        age_share=settings.rank_age,
        half_life_days=settings.rank_half_life,
    )


def _number(least: float, most: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        value = float(text)
        if not (math.isfinite(value) and least <= value <= most):
            raise ValueError
        return value

    return parse


def _rule(key: str, default: float, least: float, most: float, meaning: str) -> SettingRule:
    shown = f"{default:g}"
    return SettingRule(
        _number(least, most), shown, f"a number from {least:g} to {most:g}", f"{key} = {shown}", meaning
    )


_LEAST = 1e-6
"""A factor of 0 would take out what it says to put last."""
_OF = DEFAULT_WEIGHTS
RANK_SETTINGS: dict[str, SettingRule] = {
    key: _rule(key, default, least, most, meaning)
    for key, default, least, most, meaning in (
        (
            "rank_distance_2",
            _OF.distance[2],
            _LEAST,
            1.0,
            "What hits of people whom those you trust vouch for count; of those you trust 1.",
        ),
        ("rank_distance_3", _OF.distance[3], _LEAST, 1.0, "What hits of people one step farther count."),
        ("rank_stranger", _OF.distance[None], _LEAST, 1.0, "What hits of strangers count."),
        (
            "rank_claim",
            _OF.claim,
            _LEAST,
            1.0,
            "What a stranger's summary of a long text that is not here counts, once you trust somebody.",
        ),
        (
            "rank_in_vain",
            _OF.in_vain,
            _LEAST,
            1.0,
            "What a summary counts whose text its author turns out not to have.",
        ),
        (
            "rank_crowd",
            _OF.crowd,
            1.0,
            1e6,
            "So many people whom one person vouches for count in full; more share that.",
        ),
        (
            "rank_ratings",
            _OF.ratings,
            0.0,
            1.0,
            "What ratings of people within your horizon add to a hit or take from it at most.",
        ),
        ("rank_age", _OF.age_share, 0.0, 1.0, "What age takes from a hit at most; not from pages and files."),
        ("rank_half_life", _OF.half_life_days, 0.01, 1e6, "After so many days age has taken half of that."),
    )
}
