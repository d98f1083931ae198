"""What an answer is: sentences made from a run's tables, each with the rows that it rests on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from lab.figures import Tables


@dataclass(frozen=True, slots=True)
class Said:
    """One sentence, and the ids of its rows: trials, rows of a table, or both.

    Where it tells of several systems, `parts` has one each, and a page can list them.
    """

    words: str
    rows: Sequence[str]
    parts: Sequence[str] = ()

    @property
    def text(self) -> str:
        """The whole sentence."""
        return f"{self.words}: {'; '.join(self.parts)}." if self.parts else self.words


@dataclass(frozen=True, slots=True)
class Question:
    """Something that users ask, and how a run's tables answer it.

    Attributes:
        name: Its anchor on the page.
        text: As a user would ask it.
        answer: From tables to sentences; none of them when the run does not hold the answer.
        command: What would measure it, or empty.
        lack: What cannot be measured by the lab at all as yet, or empty.
    """

    name: str
    text: str
    answer: Callable[[Tables], Iterable[Said]]
    command: str = ""
    lack: str = ""


@dataclass(frozen=True, slots=True)
class Answered:
    """A question with its answer; without a sentence it was not measured."""

    question: Question
    said: Sequence[Said]
