"""Builds that download while they run: BuildKit through the client's `buildx`, which alone hands secrets in."""

from collections.abc import Mapping
from pathlib import Path

from envcap.engines.buildkit import find_buildkit
from envcap.errors import NotRunError
from envcap.model.image import Context
from envcap.model.progress import Progress, Tell


def build_online(
    context: Context,
    folder: Path,
    *,
    tag: str,
    secrets: Mapping[str, Path],
    arguments: Mapping[str, str],
    use_cache: bool,
    tell: Tell,
) -> None:
    """Build the image from the context written to `folder`; its steps reach the network. Afterwards it has the tag.

    `secrets` are files by the names that the steps know them by; no layer keeps them. `arguments` are values of the
    Dockerfile's ARGs. Raises NotRunError without
    BuildKit, and with the last lines of a failed build.
    """
    buildkit = find_buildkit()
    if buildkit is None:
        raise NotRunError(
            "A portable build hands secrets to its steps, and only BuildKit does: `docker buildx` is not there.",
            hint="Install the package `docker-buildx-plugin` (Debian: `docker-buildx`); without `--portable` no "
            "secret is needed, and every engine builds.",
        )
    tell(Progress(kind="step", text=f"building `{tag}` with BuildKit (buildx {buildkit.version})"))
    try:
        solved = buildkit.build(
            context, folder, compresses=False, use_cache=use_cache, tell=tell, secrets=secrets, arguments=arguments
        )
    except NotRunError as error:
        raise NotRunError(
            error.message,
            hint="A network with its own certificates or credentials needs `--secret ca=FILE`, `--secret netrc=FILE` "
            "or `--secret pip=FILE`.",
        ) from error
    buildkit.name(solved.identity, tag)
