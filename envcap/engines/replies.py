"""What an engine that speaks Docker's API says when something fails, as an error that tells what to do."""

import contextlib
from collections.abc import Callable, Iterator
from typing import cast

import docker
import requests
import urllib3
from docker.errors import APIError, DockerException

from envcap.errors import NotRunError

_NO_GPU_RUNTIME = "could not select device driver"  # what the engine says without NVIDIA's container toolkit
# What says that an engine is gone. A line that is cut within an answer comes from below the SDK's library, as it is.
GONE = (DockerException, requests.exceptions.RequestException, urllib3.exceptions.HTTPError)
_NO_INIT = "container-init binary not found"  # what podman says without catatonit


@contextlib.contextmanager
def translated(doing: str, *, title: str, start: str) -> Iterator[None]:
    """Turn what the SDK raises into a NotRunError that says what was being done.

    `title` is what the engine calls itself, `start` what helps when it does not answer.
    """
    try:
        yield
    except APIError as error:
        if _NO_GPU_RUNTIME in (error.explanation or ""):
            raise NotRunError(
                "The Docker engine cannot give a GPU to a container: it has no NVIDIA runtime.",
                hint="Install the package `nvidia-container-toolkit`, run `sudo nvidia-ctk runtime configure "
                "--runtime=docker` and start Docker again; or go on without with `--gpus none`.",
            ) from error
        if _NO_INIT in (error.explanation or ""):
            raise NotRunError(
                f"The {title} engine lacks the small program that is a container's first process.",
                hint="Install the package `catatonit` (or `podman-catatonit`), then the same command again.",
            ) from error
        said = error.explanation or plain(error)
        raise NotRunError(f"{doing} failed: {title} says: {said}.") from error
    except GONE as error:
        raise NotRunError(
            f"{doing} failed: the {title} engine stopped answering: {plain(error)}.",
            hint=start,
        ) from error


def answering(open_client: Callable[[], docker.DockerClient], *, title: str, hint: str) -> docker.DockerClient:
    """Open a client and see that the engine answers. Raises NotRunError."""
    client = None
    try:
        client = open_client()
        client.ping()
    except (DockerException, requests.exceptions.RequestException) as error:
        if client is not None:
            client.close()
        raise NotRunError(f"No {title} engine answers: {plain(error)}.", hint=hint) from error
    return client


def plain(error: BaseException) -> str:
    """Give the innermost cause in one line: the SDK wraps a refused connection four times."""
    while error.__cause__ or error.__context__:
        if isinstance(error, urllib3.exceptions.InvalidChunkLength):  # and below it is what it made of nothing
            return "the connection ended within an answer"
        error = cast("BaseException", error.__cause__ or error.__context__)
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split()).rstrip(".") or type(error).__name__
