"""What every engine offers. Its errors are EnvcapErrors; after any of them nothing half made is left behind."""

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from envcap.model.image import Context, Image, Layer, Outcome, Task
from envcap.model.lock import Base
from envcap.model.progress import Tell
from envcap.oci import Parts


class Engine(Protocol):
    """Builds images from a context folder and runs tasks in them."""

    name: str
    not_rebuilt: list[str]  # what an image of this engine does not cover, in words for the verdict

    @property
    def platform(self) -> str:
        """What it runs without emulating anything, as `linux/amd64`."""

    def find(self, reference: str) -> Image | None:
        """Give the image of that tag (or of the default place for it), or None."""

    def pull(self, reference: str, *, platform: str) -> Image | None:
        """Give the image of a reference with digest, fetched where it is missing; None where images are nothing known.

        Raises NotRunError when it cannot be had.
        """

    def read(self, reference: str, paths: Iterable[str]) -> dict[str, bytes]:
        """Give the plain files of an image at absolute paths, those that are there; nothing where images are not known.

        Raises NotRunError when the image cannot be had.
        """

    def fingerprints(self, image: Image, folder: str, *, most: int) -> dict[str, str]:
        """Give the fingerprint of every file below an absolute folder of an image, by its path below that folder.

        Nothing of the image is run. Raises RefusedError where the files have more than `most` bytes together.
        """

    def save_base(self, base: Base, folder: Path) -> bool:
        """Write what the engine keeps of a base image to `folder`, each file under its sha256; False without it."""

    def load_base(self, base: Base, parts: Parts, folder: Path) -> str | None:
        """See to it that the base image from a capsule is there; give the name to build it by, None for the locked one.

        `folder` holds its blobs, checked, each under its sha256. Raises NotRunError when it is not taken.
        """

    def build(self, context: Context, folder: Path, *, tag: str, use_cache: bool, tell: Tell) -> Image:
        """Build the image from the context written to `folder`. Raises NotRunError with the failing step."""

    def push(self, reference: str, *, tell: Tell) -> str:
        """Bring the image of that tag to its registry; give the reference with the digest that it has there.

        Raises NotRunError when it cannot be brought there, with the image still here.
        """

    def layers(self, image: Image) -> list[Layer]:
        """Give what each step added to the image, the newest first; nothing where an engine has no layers."""

    def run(self, image: Image, task: Task, *, results: Path, tell: Tell) -> Outcome:
        """Run a task and bring its outputs back below the folder `results`. Raises NotRunError if it cannot start."""

    def remove(self, image: Image) -> None:
        """Remove an image that was made to be thrown away; steps that the builder keeps may serve the next one."""

    def close(self) -> None:
        """Let go of the connection."""
