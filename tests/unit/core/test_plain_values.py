"""Tests which settings of a system a row can hold."""

from __future__ import annotations

import json

from lab.core.plain_values import plain_values


def test_values_are_those_of_json_without_the_hidden_ones() -> None:
    """Objects of the system, its collections and its address are left out."""
    values = {"n": 1, "s": 0.5, "on": True, "name": "x", "unset": None}
    others = {"client": object(), "queues": ["a"], "url": "redis://:secret@host"}
    plain = plain_values({**values, **others}, ("url",))
    assert plain == values
    json.dumps(plain)
