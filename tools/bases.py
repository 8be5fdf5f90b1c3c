"""Write templates/bases.toml anew from what a registry has of NVIDIA's CUDA images: `make bases`.

The tags are listed, each tag of the usual form is a row, and where a tag does not carry cuDNN's version the image's own
configuration tells it (OCI distribution specification, "Listing Tags" and "Pulling manifests"; OCI image specification,
"Image Configuration"). What the table knows already is not asked again: registries count how often they are asked.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from docker import auth

from envcap.atomic import write_bytes
from envcap.pins.base_image import INDEX_TYPES, get_from_registry, manifest_for, repository_address
from envcap.pins.toolkit import ImageTable, ToolkitImage, numbers, read_table

TABLE = Path(__file__).resolve().parents[1] / "templates" / "bases.toml"
_TAG = re.compile(
    r"(?P<cuda>[0-9]+\.[0-9]+\.[0-9]+)-(?P<with>cudnn(?P<cudnn>[0-9]*)-)?(?P<kind>base|runtime)-"
    r"(?P<system>ubuntu[0-9]+\.[0-9]+)"
)
_OLDEST = (11, 0)  # of earlier releases no image is left
_PLATFORM = "linux/amd64"
_START = "# NVIDIA's images of the CUDA runtime"  # of the part that is written here
_FEWEST = 0.75  # of the rows that are there: a registry that has fewer is taken for one that is broken


class RefreshError(Exception):
    """The registry does not answer, or answers what cannot be the whole truth."""


class Registry:
    """One repository of a registry. Each answer is complete, or RefreshError is raised."""

    def __init__(self, repository: str, session: requests.Session) -> None:
        host, self._address, _ = repository_address(repository)
        self._session = session
        self._login = auth.load_config().resolve_authconfig(host)

    def tags(self, *, page: int = 500) -> Iterator[str]:
        """Give every tag; `page` is how many the registry is asked for at a time."""
        address: str | None = f"{self._address}/tags/list?n={page}"
        while address is not None:
            answer = self._get(address)
            yield from answer.json().get("tags") or []
            following = answer.links.get("next", {}).get("url")
            here, address = address, urljoin(address, following) if following else None
            if address is not None and urlsplit(address).netloc != urlsplit(here).netloc:
                raise RefreshError(f"`{here}` goes on at another place, `{address}`.")

    def variables(self, tag: str) -> dict[str, str]:
        """Give the environment variables that an image sets."""
        answer = self._get(f"{self._address}/manifests/{tag}")
        manifest: dict[str, Any] = answer.json()
        if answer.headers.get("Content-Type", "").partition(";")[0] in INDEX_TYPES:
            digest = manifest_for(manifest, _PLATFORM)
            if digest is None:
                raise RefreshError(f"`{tag}` is not for {_PLATFORM}.")
            manifest = self._get(f"{self._address}/manifests/{digest}").json()
        config = self._get(f"{self._address}/blobs/{manifest['config']['digest']}").json()
        pairs = [str(line).partition("=") for line in config.get("config", {}).get("Env") or []]
        return {name: value for name, _, value in pairs}

    def _get(self, address: str) -> requests.Response:
        answer = get_from_registry(self._session, address, login=self._login)
        if not answer.ok:
            raise RefreshError(f"`{address}` answers {answer.status_code}.")
        return answer


def parse_tag(tag: str) -> ToolkitImage | None:
    """Give the row of a tag; None where it is none of ours. cuDNN's version is empty where the tag does not tell it."""
    match = _TAG.fullmatch(tag)
    if match is None or numbers(match["cuda"]) < _OLDEST or (match["with"] and match["kind"] == "base"):
        return None
    cudnn = match["cudnn"] if match["with"] else None
    return ToolkitImage(tag=tag, cuda=match["cuda"], kind=match["kind"], system=match["system"], cudnn=cudnn)


def refresh(registry: Registry, known: Iterable[ToolkitImage]) -> list[ToolkitImage]:
    """Give the rows for all tags, newest first; of what `known` has not in full the image itself is asked."""
    before = {image.tag: image for image in known}
    rows = [row for row in map(parse_tag, dict.fromkeys(registry.tags())) if row is not None]
    complete = [_complete(row, before.get(row.tag), registry) for row in rows]
    return sorted(complete, key=lambda row: (numbers(row.cuda), numbers(row.system), row.tag), reverse=True)


def _complete(row: ToolkitImage, before: ToolkitImage | None, registry: Registry) -> ToolkitImage:
    if row.cudnn is None:
        return row
    if before is not None and len(numbers(before.cudnn or "")) > 2:
        return before
    variables = registry.variables(row.tag)
    if variables.get("CUDA_VERSION") != row.cuda:
        raise RefreshError(f"`{row.tag}` says that it holds CUDA {variables.get('CUDA_VERSION')}.")
    version = variables.get("NV_CUDNN_VERSION", "").partition("-")[0] or row.cudnn
    if not version:
        raise RefreshError(f"`{row.tag}` does not say which cuDNN it holds.")
    return ToolkitImage(tag=row.tag, cuda=row.cuda, kind=row.kind, system=row.system, cudnn=version)


def require_enough(rows: list[ToolkitImage], table: ImageTable) -> None:
    """Raise RefreshError where far fewer images were found than the table has."""
    if len(rows) < _FEWEST * len(table.images):
        raise RefreshError(
            f"Only {len(rows)} images were found, and the table has {len(table.images)}. If they are really gone, "
            "say so with `--fewer`."
        )


def table_text(text: str, *, repository: str, glibc: Mapping[str, str], rows: list[ToolkitImage], source: str) -> str:
    """Give the file with its last part, that of CUDA, written anew."""
    kept = text.partition(_START)[0].rstrip()
    lines = [
        f"{_START}, newest first, and the C library of the systems that they stand on.",
        "# Written by `make bases`, never by hand.",
        f"# {source}",
        "[cuda]",
        f"repository = {json.dumps(repository)}",
        f"glibc = {{ {', '.join(f'{json.dumps(name)} = {json.dumps(glibc[name])}' for name in sorted(glibc))} }}",
        "images = [",
        *(f"    {_inline(row)}," for row in rows),
        "]",
    ]
    return f"{kept}\n\n" + "\n".join(lines) + "\n"


def _inline(row: ToolkitImage) -> str:
    fields = {"tag": row.tag, "cuda": row.cuda, "kind": row.kind, "system": row.system, "cudnn": row.cudnn}
    return "{ " + ", ".join(f"{name} = {json.dumps(value)}" for name, value in fields.items() if value) + " }"


def main(words: list[str]) -> int:
    """Refresh the table; give the exit code: 0, or 3 where nothing was written."""
    parser = argparse.ArgumentParser(prog="make bases", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repository", help="where the images are, if not where the table says")
    parser.add_argument("--table", type=Path, default=TABLE, help="the file to write, by default envcap's own")
    parser.add_argument("--fewer", action="store_true", help="take it even where far fewer images are found")
    chosen = parser.parse_args(words)
    table = read_table(chosen.table)
    try:
        with requests.Session() as session:
            rows = refresh(Registry(chosen.repository or table.repository, session), table.images)
        if not chosen.fewer:
            require_enough(rows, table)
    except (RefreshError, requests.RequestException, ValueError, KeyError) as error:
        sys.stderr.write(f"The table stays as it was: {error}\n")
        return 3
    source = f"Source: the registry of `{table.repository}`, {datetime.now(timezone.utc):%Y-%m-%d}."
    old = chosen.table.read_text(encoding="utf-8")
    new = table_text(old, repository=table.repository, glibc=table.glibc, rows=rows, source=source)
    write_bytes(chosen.table, new.encode())
    sys.stdout.write(f"{chosen.table.name}: {len(rows)} images, {len(table.images)} before\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
