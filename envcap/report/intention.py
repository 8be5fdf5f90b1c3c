"""What a stranger's lock would do here, in lines for who has to say yes or no. Pure."""

import json
from collections.abc import Iterable
from urllib.parse import urlsplit

from envcap.model.lock import Lock, Wheel
from envcap.model.struct import Data

_MOST_NAMES = 8


class Intention(Data, frozen=True, kw_only=True):
    """What the user's command is about to do with the lock."""

    verb: str  # `build`, `verify` or `bisect`
    engine: str
    chosen: str = "auto"  # the engine that the user named
    network: bool = False  # for the run
    link_scripts: bool = False


def describe_intention(lock: Lock, intention: Intention) -> list[str]:
    """Give the lines: command, image, inputs, network, variables, and whatever else of the lock would run."""
    declaration = lock.declaration
    base = lock.base.manifest_digest or lock.base.digest or "no digest"
    contained = intention.engine != "venv"
    lines = [
        f"command: {json.dumps(declaration.command, ensure_ascii=False)}, for at most {declaration.timeout:g} s",
        f"base image: {lock.base.reference} ({base})" if contained else "base image: none, on this system itself",
        f"reads: {_some(f'{item.path} ({item.files} files, {item.size:,} bytes)' for item in lock.data)}",
        f"brings back: {_some([declaration.metrics, *declaration.artifacts])}",
        f"network of the run: {_network(intention)}",
        f"sets: {_some(f'{name}={value}' for name, value in lock.system.environment.items())}",
        f"downloads from: {_some(_hosts(lock))}",
        f"files that came with the lock: {_some(file.name for file in _files(lock) if file.path is not None)}",
    ]
    if contained and lock.os_packages is not None and lock.os_packages.packages:
        lines.append(f"installs as root in the image: {_some(one.file for one in lock.os_packages.packages)}")
    if contained and lock.toolkit is not None:
        image = lock.toolkit.image
        lines.append(f"runs in a stage of the build: {image.reference} ({image.manifest_digest or image.digest})")
    if lock.conda:
        lines.append(f"link scripts of {len(lock.conda)} conda packages: {'run' if intention.link_scripts else 'no'}")
    if not contained:
        lines.append("the engine `venv` does not contain it: it can do whatever you can do")
    return lines


def _network(intention: Intention) -> str:
    if intention.engine == "venv":
        return "all of it (the engine `venv` cannot cut it off)"
    return "all of it (`--network`)" if intention.network else "none"


def _files(lock: Lock) -> list[Wheel]:
    installer = lock.conda_prefix.installer if lock.conda_prefix is not None else None
    files = [package.wheel for package in lock.packages] + [one.archive for one in lock.conda]
    return files + ([installer] if installer is not None else [])


def _hosts(lock: Lock) -> list[str]:
    debs = lock.os_packages.packages if lock.os_packages is not None else []
    addresses = [file.url for file in _files(lock) if file.url is not None] + [one.url for one in debs]
    return sorted({urlsplit(address).netloc.rpartition("@")[2] for address in addresses})


def _some(words: Iterable[str]) -> str:
    listed = list(words)
    more = f" and {len(listed) - _MOST_NAMES} more" if len(listed) > _MOST_NAMES else ""
    return ", ".join(listed[:_MOST_NAMES]) + more or "nothing"
