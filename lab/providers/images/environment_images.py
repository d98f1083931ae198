"""Builds the node image of an environment: the image without packages, and theirs as last layer.

The tag is a hash of everything that the image is made from, so that an existing one is current. Its
functions `require`, `prepare`, `folder_of` and `output_of` are those of
`lab.core.environment_provider.Environments`.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from lab.core.environment import Environment
from lab.core.model import TrialSpec
from lab.environments import checkouts, requirements, resolution
from lab.environments.recipe import Recipe
from lab.host import temp_dirs
from lab.providers import container_process, images
from lab.providers.engine import engine
from lab.providers.images import bases, builder, official, recipe

TARGET = "environment"
# Its value is the version of Python and the requirements, as JSON.
LABEL = "lab.environment"
# The folder of the build context with the versions and the checkouts.
FOLDER = "environment"


def require(python: str) -> None:
    """Check that there is a base image of a version of Python.

    Raises:
        UsageError: There is none.
    """
    bases.base_of(python)


def prepare(specs: Iterable[TrialSpec], say: Callable[[str], None]) -> None:
    """Build the images of the environments of trials that do not exist yet.

    Raises:
        UsageError: One cannot exist: no such version or base image, no wheel, or a conflict.
        LabError: A build failed.
    """
    for label, text in sorted({(spec.label, spec.environment) for spec in specs}):
        if text and not official.is_here(name_of(label, text)):
            say(f"Building the image of environment {text} for {label}.")
            _build(label, text, say)


@functools.cache
def of_trial(label: str, text: str) -> str:
    """Return the name of the image of a label in an environment; it is built if it is missing."""
    name = name_of(label, text)
    if not official.is_here(name):
        _build(label, text, lambda _: None)
    return name


def output_of(label: str, text: str, arguments: Sequence[str]) -> str:
    """Run the interpreter of a label in an environment, and return its output.

    Raises:
        ClusterError: It failed, or no engine answers.
    """
    return container_process.run_in_new(of_trial(label, text), "python", *arguments)


def folder_of(label: str, text: str) -> None:
    """Return None: the environment is in an image."""
    del label, text


def name_of(label: str, text: str) -> str:
    """Return the name of the image of a label in an environment."""
    return f"{prefix()}{_recipe(label, text)[1].key}"


def prefix() -> str:
    """Return how the names of the images begin that match the files of this checkout."""
    return f"{recipe.local_image_name(TARGET, '', images.trees()['node'])}-"


class EnvironmentImage(NamedTuple):
    """An image of an environment; its size includes the layers that images share."""

    name: str
    python: str
    requirements: Sequence[str]
    n_bytes: int
    created_s: float


def built() -> list[EnvironmentImage]:
    """Return the images of environments, the newest first, also of other versions of the lab.

    Raises:
        ClusterError: No engine answers.
    """
    with engine() as client:
        listed = client.api.images(filters={"label": LABEL})
    every = [
        EnvironmentImage(name, python, needed, image["Size"], image["Created"])
        for image in listed
        for python, needed in [json.loads(image["Labels"][LABEL])]
        for name in image["RepoTags"] or ()
    ]
    return sorted(every, key=lambda each: -each.created_s)


def _recipe(label: str, text: str) -> tuple[bases.Base, Recipe]:
    environment = Environment.parse(text)
    base = bases.base_of(environment.python)
    needs = requirements.in_environment(label, environment)
    # The base image has the interpreter, and its name identifies the build.
    return base, Recipe(base.image, "", needs.requirements, needs.pins)


def _build(label: str, text: str, progress: Callable[[str], None]) -> None:
    name = name_of(label, text)
    base, contents = _recipe(label, text)
    with images.building(), temp_dirs.folder() as folder:
        if official.is_here(name):  # another lab was faster
            return
        version = bases.make(base, Environment.parse(text).python, progress)
        target = ("--python-version", version, "--python-platform", _platform())
        files = {"requirements.txt": b""}
        if contents.requirements:
            files["requirements.txt"] = resolution.resolve(folder, contents, target, text).encode()
        for package, source in resolution.checkouts_of(contents, text).items():
            (folder / package).mkdir()
            wheel = checkouts.build_wheel(source, folder / package, text)
            files[wheel.name] = wheel.read_bytes()
        tree = {**images.trees()["node"]}
        tree |= {f"{FOLDER}/{file}": (content, False) for file, content in files.items()}
        about = [version, contents.requirements]
        image = builder.ImageTarget(TARGET, name, tree, {LABEL: json.dumps(about)})
        builder.make(image, base.image, progress)


def _platform() -> str:
    """Return uv's name of the platform of the engine."""
    with engine() as client:
        return f"{client.info()['Architecture']}-unknown-linux-gnu"
