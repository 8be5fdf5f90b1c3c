"""Engines that speak Docker's API: images, and containers without privileges, through the SDK.

Docker does, and podman on a socket of its own; what differs between them is a `Flavour`.
"""

import contextlib
import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Protocol

import docker
import msgspec
import requests
from docker.errors import APIError, ImageNotFound, NotFound
from docker.utils import parse_repository_tag

from envcap.engines import base_image, containers, opened
from envcap.engines.buildkit import Solved
from envcap.engines.content import read_files, read_fingerprints
from envcap.engines.replies import translated
from envcap.errors import NotRunError
from envcap.interruption import held
from envcap.model.image import Context, Image, Layer, Outcome, Promise, Task
from envcap.model.layout import LOCK_LABEL, TARGET_LABEL
from envcap.model.lock import Base
from envcap.model.progress import Progress, Tell
from envcap.model.struct import Data
from envcap.oci import Parts
from envcap.threads import is_unwanted, woken

_NO_OPERATION = re.compile(r"^/bin/sh -c #\(nop\) ")  # what the classic builder writes before ADD and its like
SECONDS = 600  # for one question to an engine
_NAMING_SECONDS = 5  # for which a tag may be in another build's hands


class Builder(Protocol):
    """Builds an image without a network and without a name."""

    def __call__(
        self,
        client: docker.DockerClient,
        context: Context,
        folder: Path,
        *,
        tag: str,
        use_cache: bool,
        tell: Tell,
        remove: Callable[[str], None],
    ) -> Solved:
        """Give the image; `tag` is for messages, `remove` sees to it that a container is gone.

        Raises NotRunError with the failing step.
        """


class Pusher(Protocol):
    """Brings an image to the registry that its name begins with."""

    def __call__(self, client: docker.DockerClient, reference: str, *, tell: Tell) -> str:
        """Give the registry's reference to it, with the digest of its manifest there.

        Raises NotRunError with what the registry says, and what the SDK raises.
        """


class Flavour(Data, frozen=True, kw_only=True):
    """What differs between the engines that speak Docker's API."""

    name: str  # as the user asks for it
    title: str  # as it calls itself
    start: str  # what helps when it does not answer
    build: Builder
    push: Pusher
    gives_gpus: bool


class DockerEngine:
    """An engine that answered. Containers have no network, no capabilities, a read-only root and a plain user."""

    not_rebuilt: list[str] = []

    def __init__(
        self, client: docker.DockerClient, flavour: Flavour, *, release: Callable[[], None] | None = None
    ) -> None:
        """Take a client that answers; `release` lets go of it, and of what was started for it."""
        self._client = client
        self._flavour = flavour
        self._release = release or client.close
        self.name = flavour.name

    @property
    def platform(self) -> str:
        """What the engine's own machine is, which may be another than this one."""
        with self._translated("Asking for the engine's architecture"):
            told = self._client.version()
        return f"{told['Os']}/{told['Arch']}"

    def find(self, reference: str) -> Image | None:
        """Give the image of that tag, or None."""
        with self._translated("Looking for the image"):
            try:
                image = self._client.images.get(reference)
            except ImageNotFound:
                return None
            return Image(
                engine=self.name,
                reference=reference,
                identity=str(image.id),
                lock_sha256=image.labels.get(LOCK_LABEL, ""),
                size=image.attrs.get("Size"),
                target="serve" if image.labels.get(TARGET_LABEL) == "serve" else "eval",
            )

    def read(self, reference: str, paths: Iterable[str]) -> dict[str, bytes]:
        """Give those files of an image that are there, without running anything of it."""
        with self._translated(f"Reading files of `{reference}`"):
            image = self.find(reference) or self.pull(reference, platform=self.platform)
            if image is None:
                return {}
            return read_files(self._client, image.identity, paths, remove=self._remove)

    def fingerprints(self, image: Image, folder: str, *, most: int) -> dict[str, str]:
        """Give what every file below a folder of the image is, without running anything of it."""
        with self._translated(f"Reading `{folder}` of `{image.reference}`"):
            return read_fingerprints(self._client, image.identity, folder, most=most, remove=self._remove)

    def pull(self, reference: str, *, platform: str) -> Image | None:
        """Give the image of a reference with digest, fetched where the engine does not have it."""
        image = self.find(reference)
        if image is None:
            name, _, digest = reference.partition("@")
            repository = re.sub(r":[^:/]*$", "", name)
            with self._translated(f"Fetching `{reference}`"):
                self._client.api.pull(repository, tag=digest, platform=platform)
            image = self.find(reference) or self.find(f"{repository}@{digest}")
        return image

    def load_base(self, base: Base, parts: Parts, folder: Path) -> str | None:
        """Load the base image from a capsule's blobs; give the name that it has here, None for the locked one."""
        with self._translated(f"Loading the base image `{base.reference}`"):
            return base_image.load_base(self._client, base, parts, folder)

    def save_base(self, base: Base, folder: Path) -> bool:
        """Write what the engine keeps of a base image to `folder`, each file under its sha256; False without it."""
        return base_image.save_base(self._client, base, folder)

    def build(self, context: Context, folder: Path, *, tag: str, use_cache: bool, tell: Tell) -> Image:
        """Build with no network, by the best builder that the flavour has. The tag is set only by a finished build.

        The builder makes an image without a name, and it is named afterwards: two builds of one lock at once that
        both let the builder name it collide (containerd store: `already exists`).
        """
        with self._translated("Building the image"):
            solved = self._flavour.build(
                self._client, context, folder, tag=tag, use_cache=use_cache, tell=tell, remove=self._remove
            )
            self._name(solved.identity, tag)
            image = self.find(tag)
            if image is None:
                raise NotRunError(f"{self._flavour.title} lost the image `{tag}` right after building it.")
            attributes = self._client.images.get(tag).attrs
            is_containerd = base_image.has_containerd_store(self._client.info())
        return msgspec.structs.replace(
            image,
            builder=solved.builder,
            promise=_promise(attributes, context),
            unproven=context.unproven,
            digest_of="manifest" if is_containerd else "configuration",
            steps=solved.steps,
            note=solved.note,
        )

    def push(self, reference: str, *, tell: Tell) -> str:
        """Push by the best pusher that the flavour has, with the login of the user's own client."""
        tell(Progress(kind="step", text=f"pushing `{reference}`"))
        with self._translated(f"Pushing `{reference}`"):
            return self._flavour.push(self._client, reference, tell=tell)

    def layers(self, image: Image) -> list[Layer]:
        """Give what each step added to the image, the newest first, those of its base too; not those of no size."""
        with self._translated("Reading the image's layers"):
            history: list[dict[str, Any]] = self._client.api.history(image.identity)  # type: ignore[no-untyped-call]
        return [Layer(step=_step(entry["CreatedBy"]), size=entry["Size"]) for entry in history if entry["Size"]]

    def run(self, image: Image, task: Task, *, results: Path, tell: Tell) -> Outcome:
        """Run in a fresh container, which is gone afterwards, as is its scratch volume."""
        if task.gpus is not None and not self._flavour.gives_gpus:
            raise NotRunError(
                f"envcap cannot give a GPU to a container of {self._flavour.title}.",
                hint="Use `--engine docker` with the package `nvidia-container-toolkit`, or go on without a GPU with "
                "`--gpus none`.",
            )
        name = f"envcap-{secrets.token_hex(6)}"  # known beforehand: whatever stops us, we can remove it
        with self._translated("Running in the container"), self._opened(image, task, name) as volumes:
            try:
                with woken(lambda: self._remove(name)):
                    with held():
                        container = containers.create(self._client, image, task, name=name, volumes=volumes)
                    if is_unwanted():  # since before there was anything to remove
                        raise NotRunError("Nobody waits for this container any more.")
                    containers.lay_files(container, task)
                    outcome = containers.start_and_follow(container, task, tell)
                    containers.fetch(container, task, results)
                return msgspec.structs.replace(outcome, events=containers.read_events(container, task))
            finally:
                self._remove(name)

    @contextlib.contextmanager
    def _opened(self, image: Image, task: Task, name: str) -> Iterator[dict[str, str]]:
        """Have the volumes that a task of another user or in another folder needs, and have them gone afterwards."""
        volumes = opened.volumes_for(task, name=name)
        try:
            if volumes:
                try:
                    opened.open_volumes(self._client, image, volumes, name=name)
                finally:
                    self._remove(opened.opener_of(name))
            yield volumes
        finally:
            opened.remove_volumes(self._client, volumes)

    def _name(self, identity: str, tag: str) -> None:
        """Give the image its tag. Another build may be moving the same tag at this moment: then it is our turn next."""
        repository, label = parse_repository_tag(tag)  # podman takes the two apart only
        deadline = time.monotonic() + _NAMING_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(APIError):
                self._client.api.tag(identity, repository, label)
                return
            time.sleep(0.1)
        self._client.api.tag(identity, repository, label)

    def _remove(self, container: str) -> None:
        """See to it that a container is gone. The engine may be removing it already: then wait for that."""
        deadline = time.monotonic() + containers.KILL_SECONDS
        with held():  # a request to stop comes after it
            while time.monotonic() < deadline:
                try:
                    self._client.api.remove_container(container, force=True, v=True)
                except NotFound:
                    return
                except APIError as error:
                    if error.status_code != requests.codes.conflict:
                        raise
                time.sleep(0.05)

    def remove(self, image: Image) -> None:
        """Take the tag away; the steps below stay for the next build. One that is gone already is well."""
        with self._translated("Removing the image"), contextlib.suppress(NotFound):
            self._client.images.remove(image.reference, noprune=True)

    def close(self) -> None:
        """Let go of the connection."""
        self._release()

    def _translated(self, doing: str) -> AbstractContextManager[None]:
        return translated(doing, title=self._flavour.title, start=self._flavour.start)


def _step(created_by: str) -> str:
    """Give the instruction, without what the builders write around it."""
    text = _NO_OPERATION.sub("", created_by).removesuffix("# buildkit")
    return " ".join(text.split())


def _promise(attributes: dict[str, Any], context: Context) -> Promise | None:
    """Tell what another build will give; None where programs ran of which nobody knows that they do the same each time.

    Without such, layers are the same in any case: each comes of an archive with fixed times, or of a step of ours that
    sets them. Of the rest only dates vary, and a builder that took them from SOURCE_DATE_EPOCH (BuildKit 0.11 and
    newer, buildah's `--timestamp`) shows it.
    """
    if context.unproven:
        return None
    created = str(attributes.get("Created", ""))
    dated = datetime.fromtimestamp(context.epoch, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    return "bit for bit" if created.removesuffix("Z").partition(".")[0] == dated else "same content"
