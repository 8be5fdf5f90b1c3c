"""Choose the base image and resolve it to a digest: through the Docker engine, else at the registry itself."""

import os
import re
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

from envcap.errors import NotRunError, WrongUsageError
from envcap.model.facts import Facts, System
from envcap.model.gap import Gap
from envcap.model.lock import Base
from envcap.model.struct import Data
from envcap.redact import redact_text
from envcap.resources import template_folder

if TYPE_CHECKING:
    import requests

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_WITH_DIGEST = re.compile(r"(?P<reference>.+)@(?P<digest>sha256:[0-9a-f]{64})")
_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]*")
_PLATFORMS = {"x86_64": "linux/amd64", "aarch64": "linux/arm64", "ppc64le": "linux/ppc64le", "s390x": "linux/s390x"}
# Of a conda environment the image takes only pip and the program that installs conda's archives; the latter needs 3.10.
_OLDEST_INSTALLING = (3, 10)
_INSTALLING = "3.11"
_FREE_THREADED = re.compile(r"cpython-[0-9]+t\b")  # the ABI of a Python without a global lock (PEP 703)
_SECONDS = 30  # for one question to an engine or a registry
# What a registry may answer with (OCI image specification; Docker image manifest version 2, schema 2).
INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_MANIFEST_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)


class _Resolved(Data, frozen=True, kw_only=True):
    digest: str
    media_type: str | None = None
    manifest_digest: str | None = None


def resolve_base(facts: Facts, *, explicit: str | None, offline: bool = False) -> tuple[Base, list[Gap]]:
    """Give the base image for an environment, with a Gap where its digest could not be learned.

    With `offline` only an engine of this machine is asked, and only for images that it has. `explicit` is what the
    user asked for, with or without a digest; when it cannot be resolved, that is an error and not a Gap:
    WrongUsageError for a bad form, NotRunError when nobody knows it.
    """
    kind = platform_of(facts.system)
    if explicit is not None:
        return _resolve_explicit(explicit, kind, offline=offline), []
    failures: list[str] = []
    candidates = candidate_references(facts)
    if facts.interpreter.kind != "conda" and _FREE_THREADED.match(facts.interpreter.abi):
        return Base(reference=candidates[0], platform=kind), [_no_free_threaded(facts.interpreter.version)]
    for reference in candidates:
        base, why = resolve_image(reference, kind, offline=offline)
        if base is not None:
            return base, []
        failures += why
    gap = Gap(
        where="base",
        subject=candidates[0],
        reason="its digest could not be learned: " + "; ".join(dict.fromkeys(failures)),
        consequence="no image can be built from this lock; freeze with an engine running, or with `--base`",
    )
    return Base(reference=candidates[0], platform=kind), [gap]


def _no_free_threaded(version: str) -> Gap:
    return Gap(
        where="base",
        subject=f"python {version}",
        reason="it is a free-threaded build, and the official images hold none",
        consequence="no image can be built from this lock; freeze with `--base` and an image whose `python3` is one",
    )


def platform_of(system: System) -> str:
    """Give the platform of images for a machine, such as `linux/amd64`."""
    return _PLATFORMS.get(system.architecture, f"linux/{system.architecture}")


def candidate_references(facts: Facts) -> list[str]:
    """List the official images that could stand below an environment, best first."""
    version = facts.interpreter.version
    if facts.interpreter.implementation == "pypy":
        version = f"{'.'.join(version.split('.')[:2])}"
        return [f"pypy:{version}-slim-{suite}" for suite in _suites(facts.system)]
    if facts.interpreter.kind == "conda" and _numbers(version)[:2] < _OLDEST_INSTALLING:
        version = _INSTALLING
    if facts.system.libc == "musl":
        release = ".".join(facts.system.version.split(".")[:2])
        return [f"python:{version}-alpine{release}"]
    return [f"python:{version}-slim-{suite}" for suite in _suites(facts.system)]


def _suites(system: System) -> list[str]:
    suites = tomllib.loads((template_folder() / "bases.toml").read_text())["suite"]
    host = _numbers(system.libc_version)
    newer = [suite["codename"] for suite in suites if _numbers(suite["glibc"]) >= host]
    older = [suite["codename"] for suite in reversed(suites) if _numbers(suite["glibc"]) < host]
    ordered = newer + older
    return sorted(ordered, key=lambda name: name != system.codename)  # stable: the host's own comes first


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))


def _resolve_explicit(explicit: str, kind: str, *, offline: bool) -> Base:
    match = _WITH_DIGEST.fullmatch(explicit)
    reference = match["reference"] if match else explicit
    if _REFERENCE.fullmatch(reference) is None:
        raise WrongUsageError(
            f"`{explicit}` is not the name of an image.", hint="For example `--base python:3.11.7-slim-bookworm`."
        )
    if match:
        return Base(reference=reference, digest=match["digest"], platform=kind)
    base, failures = resolve_image(reference, kind, offline=offline)
    if base is None:
        raise NotRunError(
            f"The base image `{reference}` could not be resolved to a digest: {'; '.join(failures)}.",
            hint="Check its name, start Docker, or give the digest too: `--base IMAGE@sha256:…`.",
        )
    return base


def resolve_image(reference: str, kind: str, *, offline: bool = False) -> tuple[Base | None, list[str]]:
    """Give an image with its digest, or None with what was answered, for the platform `kind`.

    The engine is asked, which knows the user's mirrors and logins, then the registry; offline, an engine here alone.
    """
    failures: list[str] = []
    for ask in (_ask_engine_here,) if offline else (_ask_engine, _ask_registry):
        try:
            resolved = ask(reference, kind)
        except LookupError as error:
            failures.append(redact_text(str(error.args[0])))
            continue
        base = Base(
            reference=reference,
            digest=resolved.digest,
            media_type=resolved.media_type,
            manifest_digest=resolved.manifest_digest,
            platform=kind,
        )
        return base, failures
    return None, failures


def _ask_engine(reference: str, kind: str) -> _Resolved:
    import docker
    from docker.errors import DockerException, ImageNotFound

    del kind
    try:
        with closing(docker.from_env(timeout=_SECONDS)) as client:
            try:
                descriptor = client.images.get_registry_data(reference).attrs["Descriptor"]
                return _Resolved(digest=descriptor["digest"], media_type=descriptor.get("mediaType"))
            except DockerException:
                # Not reachable or not there any more; an image that was pulled before still knows its digest.
                digests = client.images.get(reference).attrs.get("RepoDigests") or []
                if not digests:
                    raise
                return _Resolved(digest=str(digests[0]).rpartition("@")[2])
    except ImageNotFound as error:
        raise LookupError(f"the Docker engine finds no `{reference}`") from error
    except DockerException as error:
        raise LookupError("no Docker engine answers") from error


def _ask_engine_here(reference: str, kind: str) -> _Resolved:
    """Ask an engine on a socket of this machine which digest an image had when it was pulled."""
    import docker
    from docker.errors import DockerException

    del kind
    if not os.environ.get("DOCKER_HOST", "unix:").startswith("unix:"):
        raise LookupError("`--offline` does not ask a Docker engine of another machine")
    try:
        with closing(docker.from_env(timeout=_SECONDS)) as client:
            digests = client.images.get(reference).attrs.get("RepoDigests") or []
    except DockerException as error:
        why = f"no Docker engine of this machine has `{reference}`, and `--offline` asks no registry"
        raise LookupError(why) from error
    if not digests:
        raise LookupError(f"the Docker engine knows no digest of `{reference}`")
    return _Resolved(digest=str(digests[0]).rpartition("@")[2])


def _ask_registry(reference: str, kind: str) -> _Resolved:
    """Ask the registry for the manifest (OCI distribution specification, "Pulling manifests")."""
    import requests
    from docker import auth

    host, address, tag = repository_address(reference)
    with requests.Session() as session:
        try:
            login = auth.load_config().resolve_authconfig(host)
            answer = get_from_registry(session, f"{address}/manifests/{tag}", login=login)
        except requests.RequestException as error:
            raise LookupError(f"the registry of `{reference}` cannot be reached") from error
        if answer.status_code == 404:
            raise LookupError(f"its registry has no `{reference}`")
        if not answer.ok:
            raise LookupError(f"the registry of `{reference}` answers {answer.status_code}")
        media_type = answer.headers.get("Content-Type", "").partition(";")[0]
        digest = answer.headers.get("Docker-Content-Digest", "")
        manifest = manifest_for(answer.json(), kind) if media_type in INDEX_TYPES else digest
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        raise LookupError(f"the registry of `{reference}` names no digest")
    return _Resolved(digest=digest, media_type=media_type, manifest_digest=manifest)


def repository_address(reference: str) -> tuple[str, str, str]:
    """Give the registry, the address below which it keeps the repository of an image, and the tag."""
    from docker import auth

    host, name = auth.resolve_repository_name(reference)
    name, _, tag = name.partition(":")
    is_hub = host == auth.INDEX_NAME
    if is_hub and "/" not in name:
        name = f"library/{name}"
    server = auth.INDEX_URL.removesuffix("/v1/") if is_hub else _server(host)
    return host, f"{server}/v2/{name}", tag or "latest"


def _server(host: str) -> str:
    is_local = host.partition(":")[0] in ("localhost", "127.0.0.1")
    return f"{'http' if is_local else 'https'}://{host}"


def get_from_registry(
    session: "requests.Session", address: str, *, login: dict[str, str] | None
) -> "requests.Response":
    """Get a manifest or a blob; when asked to, fetch a token first (Docker registry token authentication).

    The body is not read yet.
    """
    headers = {"Accept": ", ".join(INDEX_TYPES + _MANIFEST_TYPES)}
    user = (login["username"], login["password"]) if login and login.get("username") else None
    answer = session.get(address, headers=headers, timeout=_SECONDS, stream=True)
    challenge = answer.headers.get("WWW-Authenticate", "")
    if answer.status_code != 401:
        return answer
    if challenge.lower().startswith("basic"):
        return session.get(address, headers=headers, auth=user, timeout=_SECONDS, stream=True)
    fields = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    if not fields.get("realm", "").startswith(("https://", "http://127.0.0.1", "http://localhost")):
        return answer
    query = {key: fields[key] for key in ("service", "scope") if key in fields}
    granted = session.get(fields["realm"], params=query, auth=user, timeout=_SECONDS)
    token: dict[str, Any] = granted.json() if granted.ok else {}
    headers["Authorization"] = f"Bearer {token.get('token') or token.get('access_token') or ''}"
    return session.get(address, headers=headers, timeout=_SECONDS, stream=True)


def manifest_for(index: dict[str, Any], kind: str) -> str | None:
    """Give the digest of this platform's manifest in an image index."""
    for entry in index.get("manifests", []):
        described = entry.get("platform", {})
        if f"{described.get('os')}/{described.get('architecture')}" == kind:
            return str(entry.get("digest"))
    return None
