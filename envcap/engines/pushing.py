"""Pushing an image: through the SDK, with the login that the user's own client has; and what BuildKit says of it."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import docker
from docker.errors import DockerException
from docker.utils import parse_repository_tag

from envcap.errors import NotRunError
from envcap.model.progress import Progress, Tell

_DIGEST = re.compile(r".*digest: (sha256:[0-9a-f]{64}) size: \d+")  # what the containerd store ends with
# What registries and engines say to somebody whom they do not know (OCI distribution, "Error Codes").
_NO_LOGIN = re.compile(r"(?i)unauthorized|authentication required|no basic auth|denied|\b401\b|\b403\b")

# BuildKit, `exporter/containerimage` and `util/push`.
_SENDING = re.compile(r"#\d+ (exporting layers|pushing layers|pushing manifest for)\b")
_WHAT_BEGAN = {"exporting layers": "packing its layers with gzip", "pushing layers": "sending its layers"}
_WHERE = re.compile(r"^ERROR: (failed to solve: )?(failed to push [^ ]+: )?")


def push(client: docker.DockerClient, reference: str, *, tell: Tell) -> str:
    """Push an image under its name, and give the registry's reference to it, with the digest of its manifest.

    Raises NotRunError with what the registry says, and what the SDK raises.
    """
    repository, tag = parse_repository_tag(reference)
    try:
        # Without a tag, engines push every image of the repository.
        messages = client.api.push(repository, tag=tag or "latest", stream=True, decode=True)
    except DockerException as error:
        if "Credentials store error" not in str(error):  # the user's own helper program, not the engine
            raise
        raise push_failure(reference, str(error)) from error
    return f"{repository}@{follow_push(messages, reference, tell=tell)}"


def follow_push(messages: Iterable[dict[str, Any]], reference: str, *, tell: Tell) -> str:
    """Tell how much is sent as it goes, and give the digest. Raises NotRunError when it failed."""
    digest = ""
    seen = _Transfers()
    for message in messages:
        if "error" in message:
            raise push_failure(reference, str(message["error"]))
        said = _DIGEST.fullmatch(message.get("status", ""))
        digest = message.get("aux", {}).get("Digest") or (said[1] if said else digest)
        for progress in seen.take(message):
            tell(progress)
    if not digest:
        raise push_failure(reference, "the engine ended without the digest of its manifest")
    return digest


class _Transfers:
    """The layers on their way. A layer counts when it is there, whoever brought it."""

    def __init__(self) -> None:
        self._layers: dict[str, bool] = {}

    def take(self, message: dict[str, Any]) -> Iterator[Progress]:
        """Take one message; tell where a layer came or arrived."""
        layer, status = message.get("id"), message.get("status", "")
        if not layer:
            return
        arrived = status == "Pushed" or status.startswith(("Layer already exists", "Mounted from"))
        if self._layers.get(layer) == arrived:
            return
        self._layers[layer] = arrived
        done, total = sum(self._layers.values()), len(self._layers)
        yield Progress(kind="count", text="pushing layers", done=done, total=total)


class Sending:
    """What BuildKit says line by line while it packs an image and sends it (`--progress plain`), of either no bytes."""

    def __init__(self) -> None:
        self.has_sent_manifest = False  # which comes last, and makes it an image that others can have
        self.reason = ""  # why it failed
        self._told: set[str] = set()

    def take(self, line: str) -> Iterator[Progress]:
        """Take one line; tell what began."""
        match = _SENDING.match(line)
        if match:
            self.has_sent_manifest |= match[1] == "pushing manifest for"
            text = _WHAT_BEGAN.get(match[1])
            if text is not None and text not in self._told:
                self._told.add(text)
                yield Progress(kind="step", text=text)
        elif line.startswith("ERROR: "):
            self.reason = _WHERE.sub("", line)


def push_failure(reference: str, said: str) -> NotRunError:
    """Give the error of a push: the image itself is there, so that only the push is to be done again."""
    registry = reference.partition("/")[0]
    reason = " ".join(said.split()).rstrip(".")
    if _NO_LOGIN.search(reason):
        place = registry if "." in registry or ":" in registry else ""
        return NotRunError(
            f"Pushing `{reference}` failed: the registry wants a login that may write there: {reason}.",
            hint=f"`{f'docker login {place}'.strip()}`, then the same command again: the image is built already.",
        )
    return NotRunError(
        f"Pushing `{reference}` failed: {reason}.",
        hint="The image is built already: the same command again pushes it.",
    )
