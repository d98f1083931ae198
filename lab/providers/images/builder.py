"""Makes an image from a target of compose/Dockerfile."""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from lab.host import temp_dirs
from lab.providers.images import build_host, recipe, steps
from lab.providers.images.recipe import DOCKERFILE, ROOT, Tree

STEP = re.compile(r"#\d+ \[\w+ +\d+/\d+\] ([A-Z]+ .+)")
PROXIES = ("http_proxy", "https_proxy", "no_proxy")


def make(target: str, image: str, base: str, tree: Tree, progress: Callable[[str], None]) -> None:
    """Build a target on `base` from `tree` and name it `image`.

    Raises:
        ClusterError: The build failed; the message says at what.
    """
    argv = ["docker", "build", "--progress=plain", f"--target={target}", f"--tag={image}"]
    argv += [f"--label=lab.recipe={image.partition(':')[2]}"]
    argv += [f"--build-arg=BASE_IMAGE={base}"]
    # Without a value, docker takes it from the environment.
    argv += [f"--build-arg={name}" for name in PROXIES if name in os.environ]
    with temp_dirs.folder() as context, temp_dirs.folder() as folder:
        # Secrets are seen by the step that asks for them, and leave no trace in the image.
        for name, file in build_host.secrets(folder).items():
            argv.append(f"--secret=id={name},src={file}")
        recipe.write(tree, context)
        argv += [f"--file={context / DOCKERFILE.relative_to(ROOT)}", str(context)]
        # Older clients would take the builder that knows no secrets.
        steps.run(image, argv, STEP, progress, {"DOCKER_BUILDKIT": "1"})
