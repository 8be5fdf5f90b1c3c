"""A lock is for one kind of processor, and whoever asks for another is told so."""

import pytest

from envcap.engines import require_asked_platform
from envcap.errors import NotRunError


@pytest.mark.parametrize("asked", [None, "linux/amd64", "amd64", "linux/x86_64", "Linux/AMD64"])
def test_the_locks_own_platform_is_taken(asked: str | None) -> None:
    require_asked_platform(asked, "linux/amd64")


@pytest.mark.parametrize("asked", ["linux/arm64", "aarch64", "windows/amd64", ""])
def test_another_platform_is_refused(asked: str) -> None:
    with pytest.raises(NotRunError, match="lock is for `linux/amd64`") as refused:
        require_asked_platform(asked, "linux/amd64")
    assert f"`{asked}`" in refused.value.message
    assert "Freeze on a machine" in refused.value.hint
