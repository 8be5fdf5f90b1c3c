"""What a run wrote in a container, taken out of it: files and folders, and links as what they lead to.

The evaluation may be a stranger's. On this machine no link is made of its links, and no more comes than was allowed.
"""

import os
import posixpath
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from envcap.archives import Pieces, unpack
from envcap.errors import NotRunError
from envcap.model.layout import CODE_FOLDER

WORK = f"/{CODE_FOLDER}"
_PIECE = 1 << 20  # bytes
_MOST_TURNS = 40  # links on the way to one file, as Linux allows
_NO_LIMIT = 1 << 62


class Outputs:
    """The outputs of a run in `work` on their way into `folder`, at most `most` bytes together, None for any number."""

    def __init__(self, folder: Path, *, most: int | None, work: str = WORK) -> None:
        self._folder = folder
        self._work = work
        self._most = _NO_LIMIT if most is None else most
        self._left = self._most
        self._links: dict[str, str] = {}
        self._named: set[str] = set()

    def take(self, output: str, pieces: Iterable[bytes]) -> None:
        """Take the archive of one path below the working directory. Raises NotRunError where it is too large."""
        parent = posixpath.dirname(posixpath.normpath(output))
        self._named.add(posixpath.normpath(output))
        too_large = NotRunError(
            f"The run wrote more than {self._most:,} bytes of outputs, and they were not brought back.",
            hint="That is far more than the frozen runs wrote. If it is meant, freeze again.",
        )
        with tempfile.TemporaryFile() as archive:
            stream = Pieces(pieces, most=self._left, too_large=too_large)
            while piece := stream.read(_PIECE):
                archive.write(piece)
            self._left = stream.left
            archive.seek(0)
            place = self._folder / parent
            place.mkdir(parents=True, exist_ok=True)
            # Podman follows a link that is asked for, and names what it leads to.
            for link in unpack(archive, place, links=False, named=posixpath.basename(posixpath.normpath(output))):
                target = f"{WORK}/{posixpath.join(parent, link.target)}" if link.is_hard else self._known(link.target)
                self._links[posixpath.normpath(posixpath.join(parent, link.name))] = target

    def _known(self, target: str) -> str:
        """Give what a link says with the name that the working directory has here."""
        inside = target.startswith(f"{self._work}/")
        return WORK + target.removeprefix(self._work) if inside else target

    def missing(self) -> Iterator[str]:
        """Give the paths that links lead to and that did not come with them."""
        for link in self._links:
            path = follow(link, self._links)
            if path and not (self._folder / path).exists():
                yield path

    def settle(self) -> None:
        """Put in the place of each link what it leads to, where that is a file, or was asked for as a folder."""
        for link in sorted(self._links):
            path = follow(link, self._links)
            source, place = self._folder / (path or ""), self._folder / link
            if not path or place.exists():
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            if source.is_file():
                os.link(source, place)  # takes no room: a thousand links to one file must not fill the disk
            elif source.is_dir() and link in self._named and not place.is_relative_to(source):
                shutil.copytree(source, place, copy_function=os.link)


def follow(path: str, links: Mapping[str, str]) -> str | None:
    """Tell where a path below the working directory leads; None where it leaves that, or leads round in a circle."""
    done: list[str] = []
    left = path.split("/")[::-1]
    turns = 0
    while left:
        part = left.pop()
        if part == ".." and not done:
            return None
        if part == "..":
            done.pop()
        elif part not in {"", "."}:
            done.append(part)
            target = links.get("/".join(done))
            if target is None:
                continue
            turns += 1
            if turns > _MOST_TURNS or (target.startswith("/") and not target.startswith(f"{WORK}/")):
                return None
            done = [] if target.startswith("/") else done[:-1]
            left += target.removeprefix(f"{WORK}/").split("/")[::-1]
    return "/".join(done)
