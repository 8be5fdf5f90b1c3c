"""What the reference runs were seen to do: libraries mapped, programs started, files read and written, connections."""

import math

from envcap.model.struct import Data


class Observed(Data, frozen=True, kw_only=True):
    """All of it over all runs and processes, each list sorted. Paths are absolute, and real where they are there."""

    mapped: list[str] = []
    opened: list[str] = []  # names or paths that ctypes was asked to load
    started: list[str] = []
    read: list[str] = []
    held: list[str] = []  # of those read: seen from outside alone, at a moment that another run may not have
    since: float = math.inf  # when the watch began, by the clock of this machine
    written: list[str] = []
    connections: list[str] = []  # `host:port`: names that were looked up, and addresses that came from no lookup
    opaque: list[str] = []  # programs, and libraries in Python, that read files without the hook's knowing
    unwatched: list[str] = []  # commands that the hook could not enter, with the reason
    old: list[str] = []  # versions of Python that have no audit hooks
    settings: list[str] = []  # `name=value` at the end of a process: variables, and what torch says of itself
    watched: bool = False  # at least one Python process had the hook
    deep: bool = False  # every process was traced, so that nothing depends on the hook
