"""The files that `build` writes beside an image: checked before the build, written after it."""

from pathlib import Path

from envcap.atomic import write_bytes
from envcap.build import Built
from envcap.errors import WrongUsageError


class Companions:
    """A bill of materials and a provenance, each where it was asked for.

    Raises WrongUsageError for one that cannot be, NotRunError where what writes it is not installed.
    """

    def __init__(self, *, sbom: Path | None, provenance: Path | None, only_context: bool) -> None:
        self._sbom, self._provenance = sbom, provenance
        if provenance is not None and only_context:
            raise WrongUsageError("`--provenance` is about an image, and `--output` makes none.")
        for path in (sbom, provenance):
            if path is not None and (path.is_dir() or not path.absolute().parent.is_dir()):
                raise WrongUsageError(f"`{path}` cannot be written: it is a folder, or in one that is not there.")
        if sbom is not None:
            from envcap.report.cyclonedx import require_library

            require_library()  # now, and not after an hour of building

    def write(self, built: Built) -> None:
        """Write every file, each whole or not at all."""
        if self._sbom is not None:
            from envcap.report.cyclonedx import describe_cyclonedx

            write_bytes(self._sbom, describe_cyclonedx(built.lock).encode())
        if self._provenance is not None and built.making is not None:
            from envcap.report.provenance import provenance_document

            write_bytes(self._provenance, provenance_document(built.lock, built.making).encode())
