"""Which C library the interpreter uses. Starts a program only where musl leaves no other way."""

import os

from .gaps import Gaps


def describe_libc(gaps: Gaps, *, loaders: str = "/lib") -> "tuple[str, str]":
    """Give `glibc` or `musl` and its version; each "" with a Gap when it cannot be told.

    `loaders` is the folder in which musl keeps its dynamic loader.
    """
    try:
        told = os.confstr("CS_GNU_LIBC_VERSION") or ""  # confstr(3), a GNU extension: `glibc 2.36`
    except (ValueError, OSError):
        told = ""
    name, _, version = told.partition(" ")
    if not told:
        loader = _musl_loader(loaders)
        if loader is not None:
            name, version = "musl", parse_musl(_ask(loader))
    if not (name and version):
        gaps.add(
            "system",
            "libc",
            reason="the version of the C library could not be told",
            consequence="wheels for another C library, or a newer one, may be chosen for the image",
        )
    return name, version


def parse_musl(text: str) -> str:
    """Give the version in what musl's loader prints when it is run without a program, or ""."""
    for line in text.split("\n"):
        if line.startswith("Version "):
            return line[len("Version ") :].strip()
    return ""


def _musl_loader(folder: str) -> "str | None":
    try:
        names = sorted(name for name in os.listdir(folder) if name.startswith("ld-musl-"))
    except OSError:
        return None
    return os.path.join(folder, names[0]) if names else None


def _ask(loader: str) -> str:
    import subprocess

    try:
        child = subprocess.Popen([loader], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        return child.communicate()[1].decode("utf-8", "replace")
    except OSError:
        return ""
