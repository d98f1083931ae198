"""Defines the result of the inline calls of a user's function before a run."""

from __future__ import annotations

from dataclasses import dataclass

# The part of a call that some systems send by its name only.
FUNCTION = "function"


@dataclass(frozen=True, slots=True)
class PreflightResult:
    """The results of inline calls of a user's function before the run.

    - `nominal_ns`: the duration of a call that has a CPU to itself; 0 if none returned.
    - `answer`: the checksum of the right answer; None if there is none.
    - `unchecked`: the reason why answers are not checked in the window; empty: they are.
    - `refusals`: a `Serializer`, a part (`FUNCTION`, ``"arguments"`` or ``"answer"``), and the
      reason why the serializer cannot serialize it.
    - `check_ns`: the time of each check of an answer.
    - `failure`: the error of a call; empty if all returned.
    - `n_calls`: the number of calls that were timed.
    - `waited`: the share of the calls' time that they waited for a CPU, which is subtracted.
    - `uncertainty`: the reason why nothing may be computed from `nominal_ns`; empty: it is certain.
    """

    nominal_ns: int
    answer: int | None
    is_coroutine: bool
    unchecked: str
    refusals: tuple[tuple[str, str, str], ...] = ()
    check_ns: int = 0
    failure: str = ""
    n_calls: int = 0
    waited: float = 0.0
    uncertainty: str = ""
