"""Lock to the definition file of an Apptainer image, for clusters. Pure.

Source: Apptainer user guide, "Definition Files": header, sections, and `{{ }}` for variables of the build.
"""

import shlex

from envcap.errors import RefusedError
from envcap.model.lock import Lock
from envcap.render.context import image_environment, image_labels
from envcap.render.portable import portable_values
from envcap.render.quoting import check_variable_name
from envcap.render.templates import fill
from envcap.trust.forms import has_control_characters


def apptainer_definition(lock: Lock, *, lock_sha256: str) -> str:
    """Give the definition; the files that it names are those of a portable build context.

    Raises NotRunError where no portable context can be, RefusedError when a value cannot enter the file.
    """
    values = portable_values(lock, tag="", lock_sha256=lock_sha256, target="eval")
    environment = image_environment(lock)
    labels = image_labels(lock, lock_sha256=lock_sha256, target="eval")
    return fill(
        "Apptainer.def.j2",
        {
            **values,
            "name": lock.name,
            "base": _without_tag(str(values["base"])),
            "variables": [(check_variable_name(name), _quote(value)) for name, value in environment.items()],
            "plain_labels": [(name, _plain(value)) for name, value in labels.items()],
            "words": " ".join(map(_quote, lock.declaration.command)),
        },
    )


def _without_tag(reference: str) -> str:
    """Give the name and the digest: Apptainer's registry client takes a tag or a digest, not both."""
    name, _, digest = reference.partition("@")
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}{last.partition(':')[0]}@{digest}"


def _quote(value: str) -> str:
    """Give a word for the shell, in which Apptainer finds no variable of its own either."""
    _require_one_line(value)
    return shlex.quote(value).replace("{", "{''")


def _plain(value: str) -> str:
    _require_one_line(value)
    if "{{" in value:
        raise RefusedError(f"The value `{value}` holds `{{{{`, which a definition file takes for a variable.")
    return value


def _require_one_line(value: str) -> None:
    if has_control_characters(value):
        raise RefusedError(f"The value `{value!r}` holds control characters and cannot enter a definition file.")
