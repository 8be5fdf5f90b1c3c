"""What a new virtual environment brings along. Pure."""

from envcap.model.lock import Lock
from envcap.render.quoting import exec_form


def brought_along(lock: Lock) -> list[str]:
    """List what `python -m venv` brings that the frozen environment did not have; pip last, it removes the others."""
    locked = {package.name for package in lock.packages}
    series = tuple(int(number) for number in lock.python.version.split(".")[:2])
    brought = ["setuptools", "pip"] if series < (3, 12) else ["pip"]
    return [name for name in brought if name not in locked]


def removal_of(names: list[str]) -> str:
    """Give the step that removes them, in the form that RUN takes."""
    pip = ["/opt/env/bin/python", "-m", "pip", "--disable-pip-version-check"]
    return exec_form([*pip, "uninstall", "--yes", *names])
