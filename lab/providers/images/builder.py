"""Builds an image from a target of compose/Dockerfile."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from lab.host import temp_dirs
from lab.providers.images import build_host, debian, recipe, steps
from lab.providers.images.recipe import DOCKERFILE, ROOT, Tree

STEP = re.compile(r"#\d+ \[\w+ +\d+/\d+\] ([A-Z]+ .+)")
PROXIES = ("http_proxy", "https_proxy", "no_proxy")


class ImageTarget(NamedTuple):
    """A target of the Dockerfile: the name of its image, its files, and further labels."""

    name: str
    image: str
    tree: Tree
    labels: Mapping[str, str] = {}


def make(target: ImageTarget, base: str, progress: Callable[[str], None]) -> None:
    """Build a target on the image `base`.

    Raises:
        ClusterError: The build failed; the message quotes its last output.
    """
    image = target.image
    argv = ["docker", "build", "--progress=plain", f"--target={target.name}", f"--tag={image}"]
    labels = {debian.LABEL: image.partition(":")[2], **target.labels}
    argv += [f"--label={name}={value}" for name, value in labels.items()]
    argv += [f"--build-arg=BASE_IMAGE={base}"]
    # An argument without a value takes it from the environment.
    argv += [f"--build-arg={name}" for name in PROXIES if name in os.environ]
    with temp_dirs.folder() as context, temp_dirs.folder() as folder:
        # Only the step that mounts a secret can read it, and no layer of the image contains it.
        for name, file in build_host.secrets(folder).items():
            argv.append(f"--secret=id={name},src={file}")
        recipe.write(target.tree, context)
        argv += [f"--file={context / DOCKERFILE.relative_to(ROOT)}", str(context)]
        # The default builder of older clients does not support secrets.
        steps.run(image, argv, STEP, progress, {"DOCKER_BUILDKIT": "1"})
