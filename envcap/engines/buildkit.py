"""BuildKit through the client's `buildx`: faster than the classic builder, and an image with the same digest each time.

All layers are deterministic by themselves, so that SOURCE_DATE_EPOCH, which dates the image's configuration, is all
that it takes. Of what an exporter may be told:

- `rewrite-timestamp=true` is not used. It gives files the epoch's time that are younger than that, and no layer has
  such: archives come with fixed times, and each step sets the times of what it made (a test looks at every member of
  every layer). It would cost a second writing of all layers, and BuildKit 0.13 refuses it for an image that is to be
  unpacked in the engine's store ("conflicts with unpack").
- `oci-mediatypes=true` and `compression=uncompressed` are named for the containerd store, which keeps the manifest:
  defaults change from version to version, as does how a compressor packs. The base's layers stay as its registry has
  them. The classic store keeps neither manifest nor packed layers, and its exporter knows no such words.
- `--provenance=false --sbom=false`, since an attestation tells when it was made.

A registry gets that image with packed layers, from a second solve that begins with the finished image and adds nothing:
it runs no step, so it needs no network but the registry's, whatever the cache has lost meanwhile. BuildKit asks the
engine how a registry is reached, and the client for its login.

- `force-compression=true` packs the layers that exist unpacked; those packed with gzip already stay, as the base's.
- `store=false` keeps the packed image out of the engine's store, and the image's name with the image that has it.
- `push=` without a value is what BuildKit takes for true. Told `true`, a client before 0.22 has the engine push once
  more what has that name in its store, the unpacked image, over the packed one (docker/buildx, pull request 3023).

The id that comes back is the manifest's digest in the containerd store and the configuration's in the classic one: one
lock has one id for each kind of store (`Image.digest_of`).
"""

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import msgspec

from envcap.engines.build_progress import BuildProgress, shortened
from envcap.engines.pushing import Sending, push_failure
from envcap.errors import NotRunError
from envcap.model.image import Context, StepTime
from envcap.model.progress import Tell
from envcap.model.struct import Data
from envcap.process import Finished, capture, run_live

_SECONDS = 24 * 3600.0  # nobody waits longer for a build
_RAW = (0, 15)  # the first buildx that tells its progress as JSON


# Two builds that come to the same image at the same moment (containerd store): each finds it missing, one is late.
_COLLIDED = re.compile(r'image "moby-dangling@sha256:[0-9a-f]{64}": already exists')


class _CollidedError(NotRunError):
    """Another build made the same image meanwhile."""


class Solved(Data, frozen=True, kw_only=True):
    """What a build gave: the image's digest, and how long its steps took."""

    identity: str
    steps: list[StepTime] = []
    builder: str = ""  # in words
    note: str | None = None  # what a better builder would need here


class _Metadata(msgspec.Struct, frozen=True):
    """Of the client's `--metadata-file` what is needed here."""

    digest: str = msgspec.field(name="containerimage.digest")


class BuildKit:
    """A client that has it. `version` is buildx's."""

    def __init__(self, client: str, version: str) -> None:
        self._client = client
        self.version = version

    def build(
        self,
        context: Context,
        folder: Path,
        *,
        compresses: bool,
        use_cache: bool,
        tell: Tell,
        secrets: Mapping[str, Path] | None = None,
        arguments: Mapping[str, str] | None = None,
    ) -> Solved:
        """Build an image without a name. `compresses` says that the engine's store would compress its layers.

        With `secrets`, files by the names that the steps know them by, the steps reach the network; no layer keeps
        them. `arguments` are values of the Dockerfile's ARGs. Raises NotRunError with the failing step and its last
        lines.
        """
        words = _output_words(compresses=compresses, secrets=secrets)
        words += [word for name, value in (arguments or {}).items() for word in ("--build-arg", f"{name}={value}")]
        solve = partial(self._solve, context, folder, words=words, tell=tell)
        try:
            return solve(use_cache=use_cache)
        except _CollidedError:
            return solve(use_cache=True)  # every step was run a moment ago

    def _solve(self, context: Context, folder: Path, *, words: list[str], use_cache: bool, tell: Tell) -> Solved:
        seen = BuildProgress()

        def on_line(line: str) -> None:
            for progress in seen.take(line):
                tell(progress)

        words = [*words, "--platform", context.platform, *([] if use_cache else ["--no-cache"])]
        words += ["--progress", "rawjson" if _numbers(self.version) >= _RAW else "plain"]
        environ = {**os.environ, "SOURCE_DATE_EPOCH": str(context.epoch)}
        finished, digest = self._run(words, folder, environ=environ, on_line=on_line)
        if finished.code != 0:
            raise _failure(seen, finished)
        return Solved(identity=digest, steps=seen.times)

    def push(self, reference: str, *, tell: Tell) -> str:
        """Send the image of that name with layers packed by gzip; give the digest of its manifest in the registry.

        The image here stays as it is. Raises NotRunError with what the registry says.
        """
        seen = Sending()

        def on_line(line: str) -> None:
            for progress in seen.take(line):
                tell(progress)

        output = f"type=image,name={reference},push=,store=false,compression=gzip,force-compression=true"
        environ = {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"}  # it has its date
        with tempfile.TemporaryDirectory(prefix="envcap-push-") as name:
            Path(name, "Dockerfile").write_text(f"FROM {reference}\n")
            words = ["--output", f"{output},oci-mediatypes=true", "--progress", "plain"]
            finished, digest = self._run(words, Path(name), environ=environ, on_line=on_line)
        if finished.code != 0:
            raise push_failure(reference, seen.reason or _ended(finished))
        if not seen.has_sent_manifest:
            raise push_failure(reference, "BuildKit ended without sending its manifest")
        return digest

    def _run(
        self, words: list[str], folder: Path, *, environ: Mapping[str, str], on_line: Callable[[str], None]
    ) -> tuple[Finished, str]:
        """Run a build of the Dockerfile in `folder`; give how it ended, and the digest of the image if it went well."""
        with tempfile.TemporaryDirectory(prefix="envcap-build-") as name:
            metadata = Path(name) / "metadata.json"
            command = [self._client, "buildx", "build", "--builder", self._builder(), *words]
            command += ["--provenance=false", "--sbom=false", "--metadata-file", str(metadata), str(folder)]
            finished = run_live(command, cwd=folder, env=environ, timeout=_SECONDS, on_line=on_line)
            if finished.code != 0:
                return finished, ""
            return finished, msgspec.json.decode(metadata.read_bytes(), type=_Metadata).digest

    def name(self, identity: str, tag: str) -> None:
        """Give an image its tag."""
        capture([self._client, "tag", identity, tag], purpose="Naming the image")

    def _builder(self) -> str:
        """Give the name of the builder that is the engine's own: only it has the engine's images."""
        shown = capture([self._client, "context", "show"], purpose="Asking for Docker's context")
        return shown.stdout.decode().strip() or "default"


def _failure(seen: BuildProgress, finished: Finished) -> NotRunError:
    """Give the error of a build: with the step that failed, or else with how far it had come."""
    said = "\n".join(f"  {line}" for line in seen.tail)
    if seen.failed:
        return (_CollidedError if _COLLIDED.search(seen.reason) else NotRunError)(
            f"The build failed in `{shortened(seen.failed)}`: {seen.reason}\n{said}".rstrip(),
            hint="`envcap build --output DIR` writes the Dockerfile and its files for a closer look.",
        )
    where = f"after `{shortened(seen.begun)}` had begun" if seen.begun else "before its first step"
    reason = seen.reason if seen.reason and finished.code >= 0 else _ended(finished)
    return NotRunError(
        f"The build ended {where}: {reason}\n{said}".rstrip(),
        hint="`docker info` tells whether the engine still runs; then the same command again.",
    )


def _ended(finished: Finished) -> str:
    """Tell how the client ended, where it gave no reason."""
    if finished.code < 0:
        return f"its client `docker buildx` was ended by signal {-finished.code}"
    return finished.tail[-1] if finished.tail else f"exit code {finished.code}"


def _output_words(*, compresses: bool, secrets: Mapping[str, Path] | None) -> list[str]:
    told = ",oci-mediatypes=true,compression=uncompressed" if compresses else ""
    output = ["--output", f"type=image{told}"]
    if secrets is None:
        return [*output, "--network", "none"]
    return output + [
        word for name, path in sorted(secrets.items()) for word in ("--secret", f"id={name},src={path.resolve()}")
    ]


def find_buildkit() -> BuildKit | None:
    """Give BuildKit where the Docker client has it and the user has not turned it off (`DOCKER_BUILDKIT=0`)."""
    client = shutil.which("docker")
    if client is None or is_turned_off():
        return None
    version = buildx_version()
    return BuildKit(client, version) if version else None


def is_turned_off() -> bool:
    """Tell whether the user wants the classic builder."""
    return os.environ.get("DOCKER_BUILDKIT") == "0"


def buildx_version() -> str | None:
    """Give what the BuildKit front end calls itself, or None where the client has none."""
    client = shutil.which("docker")
    if client is None:
        return None
    try:
        done = capture([client, "buildx", "version"], purpose="Asking for buildx", check=False, timeout=30.0)
    except NotRunError:
        return None
    words = done.stdout.decode(errors="replace").split()
    return words[1] if done.returncode == 0 and len(words) > 1 else None


def _numbers(version: str) -> tuple[int, ...]:
    parts = version.removeprefix("v").split("+")[0].split(".")
    return tuple(int(part) for part in parts[:2] if part.isdigit())
