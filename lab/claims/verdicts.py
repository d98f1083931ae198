"""What the answers mean for a claim; pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from lab.claims.claim import Claim, Says
from lab.claims.judges import Finding


class Verdict(StrEnum):
    """What became of a claim."""

    HOLDS = "holds"
    HOLDS_WITH = "holds with"
    HOLDS_WITHOUT = "holds without configuration"
    FAILS = "does not hold"
    UNMEASURED = "not measured"


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found in one way to run a system; `condition` is empty for the installed way."""

    label: str
    condition: str
    finding: Finding
    trials: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Judgement:
    """A claim's verdict: what is so `here`, with which condition, why, and by which trials.

    `here` is None where it could not be told.
    """

    here: Says | None
    verdict: Verdict
    condition: str
    why: str
    trials: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """The verdict with its condition or its reason."""
        tail = {Verdict.HOLDS_WITH: self.condition, Verdict.UNMEASURED: self.why}.get(self.verdict)
        return f"{self.verdict}: {tail}" if tail else str(self.verdict)


def judge(claim: Claim, answers: Sequence[Answer]) -> Judgement:
    """Judge a claim by the answers of its ways, the installed way first where it is one of them."""
    here, told = _each(answers) if claim.each else _any(answers)
    condition = told[0].condition if here == Says.CONFIG else ""
    verdict = _verdict(claim.says, here)
    why = "; ".join(dict.fromkeys(answer.finding.why for answer in told))
    return Judgement(
        here,
        verdict,
        condition,
        f"with {condition}: {why}" if condition and verdict == Verdict.FAILS else why,
        tuple(dict.fromkeys(trial for answer in told for trial in answer.trials)),
    )


def _any(answers: Sequence[Answer]) -> tuple[Says | None, Sequence[Answer]]:
    """Return what is so when one way is enough, and the answers that say it."""
    so = [answer for answer in answers if answer.finding.is_so]
    if so:
        return Says.CONFIG if so[0].condition else Says.YES, so[:1]
    open_ones = [answer for answer in answers if answer.finding.is_so is None]
    return (None, open_ones) if open_ones else (Says.NO, answers)


def _each(answers: Sequence[Answer]) -> tuple[Says | None, Sequence[Answer]]:
    """Return what is so when it takes every way, and the answers that say it."""
    against = [answer for answer in answers if answer.finding.is_so is False]
    if against:
        return Says.NO, against
    open_ones = [answer for answer in answers if answer.finding.is_so is None]
    return (None, open_ones) if open_ones else (Says.YES, answers)


def _verdict(says: Says, here: Says | None) -> Verdict:
    if here is None:
        return Verdict.UNMEASURED
    if here == Says.CONFIG and says != Says.NO:
        return Verdict.HOLDS_WITH
    if says == Says.CONFIG and here == Says.YES:
        return Verdict.HOLDS_WITHOUT
    return Verdict.HOLDS if says == here else Verdict.FAILS
