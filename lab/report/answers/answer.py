"""Defines questions, and the sentences that answer them with their rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from lab.core.model import Capability
from lab.figures import Tables


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of an answer.

    Attributes:
        words: The sentence, or its beginning if there are parts.
        rows: Ids of the rows behind it: trials, rows of a table, or both.
        parts: One item per label, for a list.
    """

    words: str
    # Without a default: no reader could check a sentence that names no row.
    rows: Sequence[str]
    parts: Sequence[str] = ()

    @property
    def text(self) -> str:
        """The whole sentence."""
        return f"{self.words}: {'; '.join(self.parts)}." if self.parts else self.words


@dataclass(frozen=True, slots=True)
class Question:
    """A question of a user, and the function that answers it.

    Attributes:
        name: Its anchor on the page.
        text: The question, in the words of a user.
        answer: Makes sentences from the tables; none if the run cannot answer the question.
        command: The command that measures the answer, or empty.
        lack: The part of the answer that the lab cannot measure yet, or empty.
        has_faults: Whether the answer reads trials with faults, too.
        has_sizes: Whether the answer needs several numbers of cores, nodes or workers.
        needs: The command measures systems that promise any of these; empty: all systems.
    """

    name: str
    text: str
    answer: Callable[[Tables], Iterable[Sentence]]
    command: str = ""
    lack: str = ""
    has_faults: bool = False
    has_sizes: bool = False
    needs: frozenset[Capability] = frozenset()


@dataclass(frozen=True, slots=True)
class QuestionAnswer:
    """A question with its answer.

    Attributes:
        question: The question.
        said: The answer; without sentences, the run does not answer the question.
        command: The command that measures the answer, or empty.
        disturbed: The trials that the answer leaves out because they were disturbed, or empty.
    """

    question: Question
    said: Sequence[Sentence]
    command: str = ""
    disturbed: str = ""
