"""Docker: images by the best builder that is there, and containers without privileges through the SDK."""

import contextlib
import re
import secrets
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, cast

import docker
import msgspec
import requests
import urllib3
from docker.errors import APIError, DockerException, ImageNotFound, NotFound

from envcap.engines import containers
from envcap.engines.buildkit import Solved, find_buildkit
from envcap.engines.classic import build_classic
from envcap.engines.engine import Engine
from envcap.engines.pushing import push
from envcap.errors import NotRunError
from envcap.interruption import held
from envcap.model.image import Context, Image, Layer, Outcome, Promise, Task
from envcap.model.layout import LOCK_LABEL, TARGET_LABEL
from envcap.model.progress import Progress, Tell

_NO_OPERATION = re.compile(r"^/bin/sh -c #\(nop\) ")  # what the classic builder writes before ADD and its like
_NO_GPU_RUNTIME = "could not select device driver"  # what the engine says without NVIDIA's container toolkit
_NAMING_SECONDS = 5  # for which a tag may be in another build's hands
_START = "Start it, for example `sudo systemctl start docker`, or use `--engine venv`."


class DockerEngine:
    """An engine that answered. Containers have no network, no capabilities, a read-only root and a plain user."""

    name = "docker"
    not_rebuilt: list[str] = []

    def __init__(self, client: docker.DockerClient) -> None:
        self._client = client

    @property
    def platform(self) -> str:
        """What the engine's own machine is, which may be another than this one."""
        with _translated("Asking for the engine's architecture"):
            told = self._client.version()
        return f"{told['Os']}/{told['Arch']}"

    def find(self, reference: str) -> Image | None:
        """Give the image of that tag, or None."""
        with _translated("Looking for the image"):
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

    def pull(self, reference: str, *, platform: str) -> Image | None:
        """Give the image of a reference with digest, fetched where the engine does not have it."""
        image = self.find(reference)
        if image is None:
            name, _, digest = reference.partition("@")
            repository = re.sub(r":[^:/]*$", "", name)
            with _translated(f"Fetching `{reference}`"):
                self._client.api.pull(repository, tag=digest, platform=platform)
            image = self.find(reference) or self.find(f"{repository}@{digest}")
        return image

    def build(self, context: Context, folder: Path, *, tag: str, use_cache: bool, tell: Tell) -> Image:
        """Build with no network, with BuildKit where the client has it. The tag is set only by a finished build.

        The builder makes an image without a name, and it is named afterwards: two builds of one lock at once that
        both let the builder name it collide (containerd store: `already exists`).
        """
        buildkit = find_buildkit()
        builder = f"BuildKit (buildx {buildkit.version})" if buildkit else "Docker's classic builder"
        tell(Progress(kind="step", text=f"building `{tag}` with {builder}"))
        with _translated("Building the image"):
            if buildkit is not None:
                compresses = _has_containerd_store(self._client.info())
                solved = buildkit.build(context, folder, compresses=compresses, use_cache=use_cache, tell=tell)
            else:
                identity = build_classic(
                    self._client, context, folder, use_cache=use_cache, tell=tell, remove=self._remove
                )
                solved = Solved(identity=identity)
            self._name(solved.identity, tag)
        image = self.find(tag)
        if image is None:
            raise NotRunError(f"Docker lost the image `{tag}` right after building it.")
        promise = _promise(self._client.images.get(tag).attrs, context)
        return msgspec.structs.replace(image, builder=builder, promise=promise, steps=solved.steps)

    def push(self, reference: str, *, tell: Tell) -> str:
        """Push through the engine, with the login of the user's own client."""
        tell(Progress(kind="step", text=f"pushing `{reference}`"))
        with _translated(f"Pushing `{reference}`"):
            return push(self._client, reference, tell=tell)

    def layers(self, image: Image) -> list[Layer]:
        """Give what each step added to the image, the newest first, those of its base too; not those of no size."""
        with _translated("Reading the image's layers"):
            history: list[dict[str, Any]] = self._client.api.history(image.identity)  # type: ignore[no-untyped-call]
        return [Layer(step=_step(entry["CreatedBy"]), size=entry["Size"]) for entry in history if entry["Size"]]

    def run(self, image: Image, task: Task, *, results: Path, tell: Tell) -> Outcome:
        """Run in a fresh container, which is gone afterwards, as is its scratch volume."""
        name = f"envcap-{secrets.token_hex(6)}"  # known beforehand: whatever stops us, we can remove it
        with _translated("Running in the container"):
            try:
                with held():
                    container = containers.create(self._client, image, task, name=name)
                containers.lay_files(container, task)
                outcome = containers.start_and_follow(container, task, tell)
                for output in task.outputs:
                    containers.fetch(container, output, results)
                return msgspec.structs.replace(outcome, events=containers.read_events(container, task))
            finally:
                self._remove(name)

    def _name(self, identity: str, tag: str) -> None:
        """Give the image its tag. Another build may be moving the same tag at this moment: then it is our turn next."""
        deadline = time.monotonic() + _NAMING_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(APIError):
                self._client.api.tag(identity, tag)
                return
            time.sleep(0.1)
        self._client.api.tag(identity, tag)

    def _remove(self, container: str) -> None:
        """See to it that a container is gone. The engine may be removing it already: then wait for that."""
        deadline = time.monotonic() + containers.KILL_SECONDS
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
        with _translated("Removing the image"), contextlib.suppress(NotFound):
            self._client.images.remove(image.reference, noprune=True)

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()


def open_engine(project: Path) -> Engine:
    """Give the engine that the user's environment names. Raises NotRunError when none answers."""
    del project  # an engine of its own keeps its images
    return DockerEngine(connect())


def connect() -> docker.DockerClient:
    """Connect to the engine that the user's environment names (DOCKER_HOST, context). Raises NotRunError."""
    try:
        client = docker.from_env(timeout=600)
    except DockerException as error:
        raise NotRunError(f"No Docker engine answers: {_plain(error)}.", hint=_START) from error
    try:
        client.ping()
    except (DockerException, requests.exceptions.RequestException) as error:
        client.close()
        raise NotRunError(f"No Docker engine answers: {_plain(error)}.", hint=_START) from error
    return client


@contextlib.contextmanager
def _translated(doing: str) -> Iterator[None]:
    """Turn what the SDK raises into a NotRunError that says what was being done."""
    try:
        yield
    except APIError as error:
        if _NO_GPU_RUNTIME in (error.explanation or ""):
            raise NotRunError(
                "The Docker engine cannot give a GPU to a container: it has no NVIDIA runtime.",
                hint="Install the package `nvidia-container-toolkit`, run `sudo nvidia-ctk runtime configure "
                "--runtime=docker` and start Docker again; or go on without with `--gpus none`.",
            ) from error
        raise NotRunError(f"{doing} failed: Docker says: {error.explanation or _plain(error)}.") from error
    # A line that is cut within an answer comes from below the SDK's own library, as it is.
    except (DockerException, requests.exceptions.RequestException, urllib3.exceptions.HTTPError) as error:
        raise NotRunError(
            f"{doing} failed: the Docker engine stopped answering: {_plain(error)}.", hint=_START
        ) from error


def _plain(error: BaseException) -> str:
    """Give the innermost cause in one line: the SDK wraps a refused connection four times."""
    while error.__cause__ or error.__context__:
        error = cast("BaseException", error.__cause__ or error.__context__)
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split()).rstrip(".") or type(error).__name__


def _step(created_by: str) -> str:
    """Give the instruction, without what the builders write around it."""
    text = _NO_OPERATION.sub("", created_by).removesuffix("# buildkit")
    return " ".join(text.split())


def _has_containerd_store(info: dict[str, Any]) -> bool:
    """Tell whether images are kept as a registry has them, packed (Docker: "containerd image store")."""
    return ["driver-type", "io.containerd.snapshotter.v1"] in (info.get("DriverStatus") or [])


def _promise(attributes: dict[str, Any], context: Context) -> Promise:
    """Tell what another build will give. Layers are the same in any case.

    Of the rest only dates vary, and a builder that took them from SOURCE_DATE_EPOCH (BuildKit 0.11 and newer) shows it.
    """
    created = str(attributes.get("Created", ""))
    dated = datetime.fromtimestamp(context.epoch, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    return "bit for bit" if created.removesuffix("Z").partition(".")[0] == dated else "same content"
