"""Derives the verdict on a claim from the check results of its labels; pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from lab.claims.checks import Observation
from lab.claims.claim import Claim, Mark


class Verdict(StrEnum):
    """The result of testing a claim."""

    HOLDS = "holds"
    HOLDS_WITH = "holds with"
    HOLDS_WITHOUT = "holds without configuration"
    FAILS = "does not hold"
    UNMEASURED = "not measured"


@dataclass(frozen=True, slots=True)
class LabelResult:
    """The check result of one label; `condition` is empty for the default variant."""

    label: str
    condition: str
    observation: Observation
    trials: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClaimResult:
    """The verdict on a claim, with its evidence.

    Attributes:
        here: The measured mark; None if the trials do not decide.
        verdict: The result of comparing `here` with the published mark.
        condition: The label or the setup under which the claim holds; empty if none is needed.
        why: The figures behind the verdict, or why there is none.
        trials: Ids of the trials that were used.
    """

    here: Mark | None
    verdict: Verdict
    condition: str
    why: str
    trials: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """The verdict, with its condition or its reason."""
        tail = {Verdict.HOLDS_WITH: self.condition, Verdict.UNMEASURED: self.why}.get(self.verdict)
        return f"{self.verdict}: {tail}" if tail else str(self.verdict)


def judge_claim(claim: Claim, answers: Sequence[LabelResult]) -> ClaimResult:
    """Judge a claim by the answers of its labels, in the order of `Claim.ways`."""
    here, deciding = _each(answers) if claim.each else _any(answers)
    condition = deciding[0].condition if here == Mark.CONFIG else ""
    verdict = _verdict(claim.mark, here)
    # Labels often share a reason, such as a busy machine, which is then printed once.
    why = "; ".join(dict.fromkeys(answer.observation.why for answer in deciding))
    return ClaimResult(
        here,
        verdict,
        condition,
        f"with {condition}: {why}" if condition and verdict == Verdict.FAILS else why,
        tuple(dict.fromkeys(trial for answer in deciding for trial in answer.trials)),
    )


def _any(answers: Sequence[LabelResult]) -> tuple[Mark | None, Sequence[LabelResult]]:
    """Return the mark if one label is enough, and the answers that decide it."""
    passing = [answer for answer in answers if answer.observation.holds]
    if passing:
        # The first one that passes is the simplest: `ways` begins with the default variant.
        return Mark.CONFIG if passing[0].condition else Mark.YES, passing[:1]
    undecided = [answer for answer in answers if answer.observation.holds is None]
    # An undecided label might have passed, so the claim is not refuted.
    return (None, undecided) if undecided else (Mark.NO, answers)


def _each(answers: Sequence[LabelResult]) -> tuple[Mark | None, Sequence[LabelResult]]:
    """Return the mark if every label must pass, and the answers that decide it."""
    failing = [answer for answer in answers if answer.observation.holds is False]
    if failing:
        # One failure refutes the claim, whatever the undecided labels would have shown.
        return Mark.NO, failing
    undecided = [answer for answer in answers if answer.observation.holds is None]
    return (None, undecided) if undecided else (Mark.YES, answers)


def _verdict(published: Mark, here: Mark | None) -> Verdict:
    if here is None:
        return Verdict.UNMEASURED
    # A published "no" is refuted by any configuration that works.
    if here == Mark.CONFIG and published != Mark.NO:
        return Verdict.HOLDS_WITH
    if published == Mark.CONFIG and here == Mark.YES:
        return Verdict.HOLDS_WITHOUT
    return Verdict.HOLDS if published == here else Verdict.FAILS
