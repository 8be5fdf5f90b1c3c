"""Secrets planted wherever credentials live; no byte of anything that envcap writes or says may hold one."""

from __future__ import annotations

import base64
import io
import json
import os
import stat
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import Envcap, Result, make_repository
from tests.pins.conftest import Index, QuietServer, serve, write_wheel

_MARK = "c4n4ry"
_OFFLINE = {"DOCKER_HOST": "unix:///nowhere/docker.sock", "CONTAINER_HOST": "unix:///nowhere/podman.sock"}


def canary(place: str) -> str:
    """Give the secret of a place: the place can be read from it wherever it turns up."""
    return f"{_MARK}{place.replace('-', '')}"


@pytest.fixture
def start() -> Iterator[Callable[..., Index]]:
    """Give a function that starts an index on an address of loopback, with a login of its own."""
    servers: list[ThreadingHTTPServer] = []

    def run(host: str = "127.0.0.1", *, secret: str | None = None) -> Index:
        index = Index("")
        server = QuietServer(("127.0.0.1" if host == "localhost" else host, 0), serve(index))
        index.url = f"http://{host}:{server.server_port}"
        index.login = ("user", secret) if secret else None
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        return index

    yield run
    for server in servers:
        server.shutdown()
        server.server_close()


# As hosts of private packages have it in the path of an index; the canary is in the middle of it.
_PATH_TOKEN = f"x7Qp{_MARK}9Zk2Wd4Rt8"


def _with_login(url: str, secret: str) -> str:
    return url.replace("://", f"://user:{secret}@")


class Planted:
    """A project, its environment and everything around it, with a canary in each place."""

    def __init__(self, tmp_path: Path, environ: dict[str, str], start: Callable[..., Index]) -> None:
        self.folder = tmp_path
        self.environment = tmp_path / "venv"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", self.environment], check=True)
        self.site = next(self.environment.glob("lib/python3*/site-packages"))
        self.home = tmp_path / "home"
        self.home.mkdir()
        self.environ = {**environ, **_OFFLINE, "HOME": str(self.home), "VIRTUAL_ENV": str(self.environment)}
        self._plant_indexes(start)
        self._plant_variables()
        self.envcap = Envcap(self._plant_project(), self.environ)

    def install(self, name: str, direct_url: dict[str, Any] | None = None, *, installer: str = "pip") -> Path:
        """Unpack a small wheel into the environment, as installers do; give the wheel."""
        wheel = self.folder / "wheels" / f"{name}-1.0-py3-none-any.whl"
        wheel.parent.mkdir(exist_ok=True)
        write_wheel(wheel, name, "1.0", tags=("py3-none-any",), build="", files={})
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.namelist():
                archive.extract(member, self.site)
        info = self.site / f"{name}-1.0.dist-info"
        (info / "INSTALLER").write_text(f"{installer}\n")
        if direct_url is not None:
            (info / "direct_url.json").write_text(json.dumps(direct_url))
        return wheel

    def _plant_indexes(self, start: Callable[..., Index]) -> None:
        self.main = start(secret=canary("main-index"))
        self.main.add(self.install("alpha"))
        extra, links = start(secret=canary("extra-index")), start(secret=canary("find-links"))
        extra.add(self.install("beta"))
        links.add(self.install("gamma"))
        netrc, keyring = start("localhost", secret=canary("netrc")), start("127.0.0.3", secret=canary("keyring"))
        netrc.add(self.install("delta"))
        keyring.add(self.install("epsilon"))
        self._plant_archives(start)
        uvs = start(secret=canary("uv-index"))
        uvs.add(self.install("mu", installer="uv"))
        extras = [_with_login(extra.simple, canary("extra-index")), netrc.simple, keyring.simple, self.signing.simple]
        extras += self._plant_paths(start)
        self.environ.update(
            PIP_INDEX_URL=_with_login(self.main.simple, canary("main-index")),
            PIP_EXTRA_INDEX_URL=" ".join(extras),
            PIP_TRUSTED_HOST="127.0.0.3",
            UV_INDEX=f"own={_with_login(uvs.simple, canary('uv-index'))}",
            PIP_RETRIES="0",
            PIP_KEYRING_PROVIDER="subprocess",  # whatever library of that name the tests' own environment has
            PIP_TIMEOUT="5",
            PIP_CONFIG_FILE=str(self.folder / "pip.conf"),
        )
        links_url = _with_login(f"{links.url}/simple/", canary("find-links"))
        (self.folder / "pip.conf").write_text(f"[global]\nfind-links = {links_url}\n")
        hidden = f"[global]\nindex-url = https://user:{canary('user-configuration')}@example.org/simple/\n"
        for place in (self.home / ".config" / "pip" / "pip.conf", self.environment / "pip.conf"):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(hidden)
        (self.home / ".netrc").write_text(f"machine localhost login user password {canary('netrc')}\n")
        (self.home / ".netrc").chmod(stat.S_IRUSR | stat.S_IWUSR)
        self._plant_keyring()

    def _plant_paths(self, start: Callable[..., Index]) -> list[str]:
        """Offer packages from indexes whose path is the secret; one has `simple` in its path, one has not."""
        addresses = []
        for name, home in (("nu", f"/{_PATH_TOKEN}/team/python/simple"), ("xi", f"/team/{_PATH_TOKEN}")):
            index = start()
            wheel = self.install(name)
            index.add(wheel)
            served = f"{home.removesuffix('/simple')}/{wheel.name}"
            index.redirects[f"{home}/{name}/"] = f"/simple/{name}/"
            index.redirects[served] = f"/files/{wheel.name}"
            file = {"filename": wheel.name, "url": f"{index.url}{served}", "hashes": {}}
            index.pages[name] = ("application/vnd.pypi.simple.v1+json", json.dumps({"files": [file]}).encode())
            addresses.append(f"{index.url}{home}/")
        return addresses

    def _plant_keyring(self) -> None:
        programs = self.folder / "programs"
        programs.mkdir()
        answer = json.dumps({"username": "user", "password": canary("keyring")})
        (programs / "keyring").write_text(
            f"#!/bin/sh\ncase \"$*\" in *127.0.0.3*) echo '{answer}';; *) exit 1;; esac\n"
        )
        (programs / "keyring").chmod(0o755)
        self.environ["PATH"] = f"{programs}{os.pathsep}{self.environ['PATH']}"

    def _plant_archives(self, start: Callable[..., Index]) -> None:
        """Install packages whose addresses hold a secret: in direct_url.json, on a page, or behind a redirect."""
        self.signing = start()
        query = f"?token={canary('query')}&X-Amz-Signature={canary('signature')}"
        base = f"{self.signing.url}/files/"
        hosted = _with_login(base, canary("direct-url"))
        name = "zeta-1.0-py3-none-any.whl"
        fragment = f"#access_token={canary('fragment')}"
        self.signing.add(self.install("zeta", {"url": f"{hosted}{name}{query}{fragment}", "archive_info": {}}))
        vcs = {"vcs": "git", "commit_id": "c0ffee", "requested_revision": canary("revision")}
        url = f"https://user:{canary('vcs')}@example.org/t/{canary('segment')}/eta.git"
        self.install("eta", {"url": url, "vcs_info": vcs})
        wheel = self.install("theta")
        self.signing.add(wheel)
        theta = {"filename": wheel.name, "url": f"{base}{wheel.name}?sig={canary('page')}", "hashes": {}}
        kind = "application/vnd.pypi.simple.v1+json"
        self.signing.pages["theta"] = (kind, json.dumps({"files": [theta]}).encode())
        wheel = self.install("iota")
        self.signing.add(wheel)
        iota = {"filename": wheel.name, "url": f"{base}redirected/{wheel.name}", "hashes": {}}
        self.signing.pages["iota"] = (kind, json.dumps({"files": [iota]}).encode())
        target = f"{base}{wheel.name}?X-Amz-Credential={canary('redirect')}"
        self.signing.redirects[f"/files/redirected/{wheel.name}"] = target
        broken = {"url": f"https://user:{canary('unreachable')}@127.0.0.1:1/kappa-1.0-py3-none-any.whl"}
        self.install("kappa", {**broken, "archive_info": {}})
        built = self.site / f"{self.install('omicron').stem.partition('-py3')[0]}.dist-info"
        with (built / "METADATA").open("a") as metadata:
            address = f"https://user:{canary('requirement')}@example.org/omicron.whl"
            metadata.write(f"Requires-Dist: alpha @ {address}; extra == 'all'\nProject-URL: Home, {address}\n")
        self.install("broken", {"url": f"https://user:{canary('broken')}@[::1/x.whl"})

    def _plant_variables(self) -> None:
        self.environ.update(
            HTTP_PROXY=f"http://user:{canary('proxy')}@127.0.0.1:9",
            HTTPS_PROXY=f"http://user:{canary('proxy')}@127.0.0.1:9",
            NO_PROXY="127.0.0.1,localhost,127.0.0.3",
            TF_CONFIG=f"https://user:{canary('allowed-variable')}@example.org/",
            JAX_REGISTRY=f"https://example.org/x?token={canary('allowed-query')}",
            TORCH_HUB_TOKEN=canary("token-variable"),
            TRANSFORMERS_PASSWORD=canary("password-variable"),
            WANDB_API_KEY=canary("key-variable"),
            MY_ADDRESS=f"https://{canary('named-variable')}@example.org/",
            TORCH_API=f"hf_{canary('token-value')}AbCdEfGhIjKlMnOp",
            CUDA_NOTE="harmless",
        )

    def _plant_project(self) -> Path:
        project = self.folder / "project"
        project.mkdir()
        (project / "evaluate.py").write_text(
            "import json, pathlib, sys\n"
            f"address = 'https://user:' + {_MARK[:3]!r} + {canary('program')[3:]!r} + '@example.org/data'\n"
            "print('reading', address)\n"
            "print('reading', address, file=sys.stderr)\n"
            "pathlib.Path('metrics.json').write_text(json.dumps({'score': 0.5, 'source': address}))\n"
            "if pathlib.Path('fail').exists():\n"
            "    raise SystemExit('cannot read ' + address)\n"
        )
        (project / "envcap.toml").write_text(
            '[evaluation]\ncommand = ["python", "evaluate.py"]\nrepeat = 1\n'
            'environment = ["WANDB_API_KEY", "MY_ADDRESS", "CUDA_NOTE"]\n'
        )
        (project / ".env").write_text("KEY=old\n")
        make_repository(project)
        for name in (".env", ".netrc", ".pypirc", "id_rsa", "deep/.env.local", "credentials.json", "server.pem"):
            (project / name).parent.mkdir(exist_ok=True)
            (project / name).write_text(f"KEY={canary('project-file')}\n")
        held = f"https://user:{canary('held-in-file')}@example.org/simple/"
        for name in (
            "pip.conf",
            "uv.toml",
            "pyproject.toml",
            "requirements.txt",
            "Pipfile",
            "poetry.toml",
            "notes.ipynb",
        ):
            (project / name).write_text(f'# index-url = "{held}"\n')
        (project / "path.toml").write_text(f'url = "https://dl.example.org/{_PATH_TOKEN}/team/python/simple/"\n')
        (project / "module.py").write_text(f'ADDRESS = "{held}"\n')
        subprocess.run(["git", "add", "module.py"], cwd=project, check=True)
        subprocess.run(["git", "commit", "--quiet", "--message", "hold"], cwd=project, check=True)
        (project / "module.py").write_text('ADDRESS = "https://example.org/"\n')
        address = f"https://user:{canary('remote')}@example.org/t/{canary('remote-segment')}/x.git"
        subprocess.run(["git", "remote", "add", "origin", address], cwd=project, check=True)
        return project

    def sources(self) -> set[Path]:
        """Give the files that canaries were planted in."""
        places = [
            self.folder / "pip.conf",
            self.environment,
            self.home,
            self.folder / "programs",
            self.folder / "wheels",
        ]
        found = {path for path in self.folder.rglob("*") if any(path.is_relative_to(place) for place in places)}
        project = self.folder / "project"
        return found | {path for path in project.rglob("*") if path.is_file() and ".envcap" not in path.parts}


def _unpacked(content: bytes, *, depth: int = 4) -> Iterator[bytes]:
    """Give a file's bytes, and those of everything that is packed into it."""
    yield content
    if depth == 0:
        return
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                yield name.encode()
                yield from _unpacked(archive.read(name), depth=depth - 1)
        return
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            for member in archive:
                yield f"{member.name} {member.linkname}".encode()
                stream = archive.extractfile(member) if member.isreg() else None
                if stream is not None:
                    yield from _unpacked(stream.read(), depth=depth - 1)
    except tarfile.TarError:
        return


_SPELLINGS = [_MARK.encode(), *(base64.b64encode(b"x" * shift + _MARK.encode())[4:-4] for shift in (1, 2, 3))]


def leaks(content: bytes) -> list[bytes]:
    """Give what is around each canary in some bytes, plain or in base64."""
    found = []
    for piece in _unpacked(content):
        for spelling in _SPELLINGS:
            place = piece.find(spelling)
            if place >= 0:
                found.append(piece[max(0, place - 120) : place + 60])
    return found


def _said(result: Result) -> list[bytes]:
    return leaks(f"{result.out}\n{result.err}".encode())


@pytest.fixture
def planted(tmp_path: Path, clean_environ: dict[str, str], start: Callable[..., Index]) -> Planted:
    return Planted(tmp_path, clean_environ, start)


def test_no_canary_gets_out(planted: Planted) -> None:
    before = planted.sources()
    envcap = planted.envcap
    said: dict[str, list[bytes]] = {}
    for words in (
        "freeze",
        f"freeze --json --base python:3.11@sha256:{'0' * 64}",
        "build --engine venv",
        "build --engine venv --json",
        "build --output context",
        "verify --engine venv",
        "verify --engine venv --json",
        "show",
        "show --tree",
        "show --json",
        "export --output requirements.txt",
        "freeze --offline --name offline",
        "diff envcap live",
        "diff envcap live --json",
        "doctor",
        "doctor --json",
    ):
        result = envcap(*words.split())
        assert result.code in {0, 1}, result.err
        said[words] = _said(result)
    for words in ("pack --json", "upgrade alpha --json"):  # whether they come to an end or not
        said[words] = _said(envcap(*words.split()))
    lock = envcap("show", "--json").document["frozen"]
    origins = {package["name"]: package["origin"] for package in lock["packages"]}
    # Every login was found and used: otherwise nothing has been shown.
    found = {name for name, origin in origins.items() if origin == "index"}
    assert found >= {"alpha", "beta", "delta", "epsilon", "mu"}
    assert {"gamma", "zeta", "theta", "iota"} <= set(origins)
    assert lock["system"]["environment"].keys() >= {"CUDA_NOTE"}
    assert found >= {"nu", "xi"}
    assert origins["omicron"] == "repacked"
    gaps = {gap["subject"] for gap in lock["gaps"]}
    assert gaps >= {"WANDB_API_KEY", "MY_ADDRESS", ".env", "id_rsa", "server.pem", "pip.conf", "uv.toml", "module.py"}
    assert gaps >= {"pyproject.toml", "requirements.txt", "Pipfile", "poetry.toml", "notes.ipynb", "path.toml"}
    assert {words: found for words, found in said.items() if found} == {}
    written = {
        str(path.relative_to(planted.folder)): leaking
        for path in planted.folder.rglob("*")
        if path.is_file() and path not in before and (leaking := leaks(path.read_bytes()) + leaks(str(path).encode()))
    }
    # What the evaluation itself writes is its own, and stays where it wrote it.
    assert written.keys() <= {"project/metrics.json"}


def test_no_canary_gets_out_of_errors(planted: Planted, start: Callable[..., Index]) -> None:
    envcap, main = planted.envcap, planted.main
    elsewhere = start()
    elsewhere.missing = 500
    empty = {"PIP_EXTRA_INDEX_URL": "", "PIP_CONFIG_FILE": os.devnull}
    wrong = canary("wrong-password")
    answers: dict[str, Result] = {}
    for name, url in {
        "401": _with_login(main.simple, wrong),
        "500": _with_login(elsewhere.simple, wrong),
        "refused": f"http://user:{wrong}@127.0.0.1:1/simple/",
        "no port": f"http://user:{wrong}@127.0.0.1:port/simple/",
        "no host": f"http://user:{wrong}@[::1/simple/",
        "no scheme": f"user:{wrong}@127.0.0.1/simple/",
        "no answer": f"ftp://user:{wrong}@127.0.0.1/simple/",
        "path": f"http://127.0.0.1:1/t/{wrong}/simple/",
        "token": f"http://127.0.0.1:1/{_PATH_TOKEN}/simple/",
        "token of no simple index": f"http://127.0.0.1:1/{_PATH_TOKEN}/team/",
        "token that is denied": f"{elsewhere.url}/{_PATH_TOKEN}/team/",
    }.items():
        answers[name] = envcap("freeze", "--json", env={**empty, "PIP_INDEX_URL": url})
    redirecting = start()
    redirecting.redirects["/simple/alpha/"] = f"http://user:{wrong}@127.0.0.1:1/x?X-Amz-Signature={wrong}"
    answers["redirect"] = envcap("freeze", env={**empty, "PIP_INDEX_URL": redirecting.simple})
    proxied = {**empty, "NO_PROXY": "", "PIP_INDEX_URL": "http://127.0.0.5:7/simple/", "PIP_TRUSTED_HOST": "127.0.0.5"}
    answers["proxy"] = envcap("freeze", env=proxied)
    answers["pip's proxy"] = envcap("freeze", env={**proxied, "PIP_PROXY": f"http://user:{wrong}@127.0.0.1:1"})
    (envcap.project / "fail").touch()
    answers["evaluation"] = envcap("freeze", "--json")
    secret = f"https://user:{wrong}@example.org/"
    answers["command"] = envcap("freeze", "--", "python", "evaluate.py", "--data", secret)
    for name, result in answers.items():
        assert result.code in {2, 3}, (name, result.out, result.err)
        assert _said(result) == [], name
    assert not (envcap.project / "pylock.envcap.toml").exists()


def test_no_canary_gets_out_of_a_bug(planted: Planted) -> None:
    """The log of a bug is meant to be sent to strangers."""
    secret = f"https://user:{canary('bug')}@example.org/x?token={canary('bug')}"
    program = (
        "import sys, envcap.freeze, envcap.cli\n"
        f"def fail(*_, **__):\n    raise KeyError({secret!r}) from ValueError({secret!r})\n"
        "envcap.freeze.probe_host = fail\n"
        "sys.argv = ['envcap', 'freeze', '--json']\n"
        "envcap.cli.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=planted.envcap.project,
        env=planted.environ,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 70, done.stderr
    (log,) = (planted.folder / "scratch").glob("envcap-bug-*.log")
    assert "KeyError" in log.read_text()
    assert leaks(log.read_bytes() + done.stdout + done.stderr) == []


def test_leaks_are_found() -> None:
    """The search itself: plain, in base64, and inside a wheel inside a tar."""
    wheel = io.BytesIO()
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.py", f"# {canary('x')}")
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w:gz") as packed:
        member = tarfile.TarInfo("x.whl")
        member.size = len(wheel.getvalue())
        packed.addfile(member, io.BytesIO(wheel.getvalue()))
    assert leaks(tar.getvalue())
    for user in ("u", "us", "use", "user"):
        assert leaks(base64.b64encode(f"{user}:{canary('x')}".encode()))
    assert not leaks(b"nothing")
