"""What `envcap build` refuses before it reads a lock or asks an engine."""

from pathlib import Path
from typing import Any

import pytest

from envcap.build import BuildRequest, build
from envcap.commands.companions import Companions
from envcap.errors import WrongUsageError
from envcap.model.progress import say_nothing


def refusal(**changes: Any) -> str:
    with pytest.raises(WrongUsageError) as refused:
        build(BuildRequest(**{"project": Path("nowhere"), **changes}), environ={}, tell=say_nothing)
    return f"{refused.value.message} {refused.value.hint}"


def test_a_secret_is_for_a_portable_build(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.touch()
    assert "portable build alone" in refusal(secrets={"ca": file})
    assert "portable build alone" in refusal(secrets={"ca": file}, portable=True, output=tmp_path / "out")
    assert "There is: ca, netrc, pip" in refusal(secrets={"key": file}, portable=True)
    assert "no file" in refusal(secrets={"ca": tmp_path}, portable=True)
    with_comma = tmp_path / "a,type=env"  # a further option, where the client reads it
    with_comma.touch()
    assert "no file" in refusal(secrets={"ca": with_comma}, portable=True)


def test_a_portable_build_needs_the_engine_that_hands_secrets_in() -> None:
    assert "not with `venv`" in refusal(portable=True, engine="venv")


def test_what_lies_beside_an_image_is_checked_before_it_is_built(tmp_path: Path) -> None:
    for sbom in (tmp_path, tmp_path / "none" / "sbom.json"):
        with pytest.raises(WrongUsageError, match="cannot be written"):
            Companions(sbom=sbom, provenance=None, only_context=False)
    with pytest.raises(WrongUsageError, match="is about an image"):
        Companions(sbom=None, provenance=tmp_path / "provenance.json", only_context=True)
