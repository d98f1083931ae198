"""Tests the sentences that replace messages of uv, which are quoted as uv 0.13.9 writes them."""

from __future__ import annotations

import pytest

from lab.core.errors import ExitCode
from lab.environments import uv

START = "error: No solution found when resolving dependencies\n  cause: "
END = ", we can conclude that your requirements are unsatisfiable.\n"


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        (
            (
                f"{START}Because there is no version of celery[redis]==5.5.99 and you require "
                f"celery[redis]==5.5.99{END}"
            ),
            (
                "there is no release celery[redis]==5.5.99. To list the releases: "
                "pip index versions celery"
            ),
        ),
        (
            (
                f"{START}Because celery-x was not found in the package registry and you require "
                f"celery-x==1{END}"
            ),
            "there is no package celery-x.",
        ),
        (
            (
                f"{START}Because celery==5.5.3 depends on kombu>=5.5.2,<5.6 and you require "
                "celery==5.5.3, we can conclude that you require kombu>=5.5.2,<5.6.\n"
                f"         And because you require kombu==5.7.0{END}"
            ),
            (
                "Because celery==5.5.3 depends on kombu>=5.5.2,<5.6 and you require "
                "celery==5.5.3, we can conclude that you require kombu>=5.5.2,<5.6; because you "
                "require kombu==5.7.0. Choose another version."
            ),
        ),
        (
            (
                f"{START}Because gevent==26.9.0 has no wheels with a matching Python ABI tag "
                f"(e.g., `cp313t`){END}"
            ),
            "gevent 26.9.0 has no wheel for its interpreter. Choose another --python or version.",
        ),
        (
            (
                f"{START}Because the current Python version (3.11.2) does not satisfy Python>=3.12 "
                f"and x==2 depends on Python>=3.12{END}"
            ),
            "its packages need Python >=3.12, and this is 3.11.2.",
        ),
    ],
)
def test_what_cannot_exist_is_one_sentence_with_the_next_step(message: str, sentence: str) -> None:
    """It names the environment, and the exit code is that of the command line."""
    error = uv.problem(message, "celery==5.5.99")
    assert str(error).startswith("Environment celery==5.5.99 does not exist: ")
    assert sentence in str(error)
    assert "\n" not in str(error)
    assert error.exit_code == ExitCode.USAGE


def test_a_network_that_is_down_is_no_error_of_the_command_line() -> None:
    """The version may exist, so the message says what failed."""
    text = "error: Failed to fetch: `address`\n  cause: dns error: failed to lookup address\n"
    error = uv.problem(text, "celery==5.5.3")
    assert error.exit_code == ExitCode.MACHINE_FAILED
    assert "could not download" in str(error)
