"""Builds that download while they run: BuildKit through the client's `buildx`, which alone hands secrets in."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from envcap.engines.inspection import buildx_version
from envcap.errors import NotRunError
from envcap.model.image import Context
from envcap.model.progress import Progress, Tell
from envcap.process import run_live

_SECONDS = 24 * 3600.0  # nobody waits longer for a download
_TAIL = 20  # lines of a failed build that are shown


def build_online(
    context: Context, folder: Path, *, tag: str, secrets: Mapping[str, Path], use_cache: bool, tell: Tell
) -> None:
    """Build the image from the context written to `folder`; its steps reach the network. Afterwards it has the tag.

    `secrets` are files by the names that the steps know them by; no layer keeps them. Raises NotRunError without
    BuildKit, and with the last lines of a failed build.
    """
    client = shutil.which("docker")
    if client is None or buildx_version() is None:
        raise NotRunError(
            "A portable build hands secrets to its steps, and only BuildKit does: `docker buildx` is not there.",
            hint="Install the package `docker-buildx-plugin` (Debian: `docker-buildx`); without `--portable` no "
            "secret is needed, and every engine builds.",
        )
    tell(Progress(kind="step", text=f"building `{tag}` with BuildKit"))
    command = [client, "buildx", "build", "--load", "--progress", "plain", "--provenance=false", "--sbom=false"]
    command += ["--platform", context.platform, "--tag", tag, *([] if use_cache else ["--no-cache"])]
    for name, path in sorted(secrets.items()):
        command += ["--secret", f"id={name},src={path.resolve()}"]
    finished = run_live(
        [*command, str(folder)],
        cwd=folder,
        env=os.environ,
        timeout=_SECONDS,
        on_line=lambda line: tell(Progress(kind="output", text=line)),
    )
    if finished.code != 0:
        said = "\n".join(f"  {line}" for line in finished.tail[-_TAIL:])
        raise NotRunError(
            f"The portable build failed:\n{said}",
            hint="A network with its own certificates or credentials needs `--secret ca=FILE`, `--secret netrc=FILE` "
            "or `--secret pip=FILE`.",
        )
