"""Every system has its script, and the script knows every way in which the lab runs the system."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from lab.core.backend import capabilities
from lab.core.model import Capability
from lab.planning import registry
from tests.fidelity.compare import TASKS, chosen_labels

TAKES_TASKS = {Capability.SUBMIT, Capability.BATCH}
# The other references are such scripts themselves.
NAMES = [
    name
    for name, backend in registry.backends().items()
    if (name == "inline" or backend.family != "reference")
    and capabilities(backend, backend.variants[0].name) & TAKES_TASKS
]


@pytest.mark.parametrize("name", NAMES)
def test_every_backend_is_compared(name: str) -> None:
    """Whatever takes tasks can be compared with a script."""
    assert name in TASKS


@pytest.mark.slow  # it imports every system
@pytest.mark.parametrize("name", NAMES)
def test_a_script_has_the_variants_of_its_backend(name: str) -> None:
    """A variant without a counterpart would be compared with nothing."""
    script = f"tests.fidelity.with_{name.replace('-', '_')}"
    command = [sys.executable, "-m", script, "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    choices = re.search(r"--variant \{([^}]*)\}", shown)
    assert choices
    known = re.sub(r"\s", "", choices.group(1)).split(",")
    assert set(chosen_labels([name])) <= {f"{name}[{variant}]" for variant in known}
