"""How a command ends: whatever went wrong becomes one message, one document where asked for, and one exit code."""

import os
import sys
from collections.abc import Callable
from typing import Any

from envcap import __version__, interruption
from envcap.errors import EnvcapError, NotRunError
from envcap.report.console import Talk, show_result


def end(command: Callable[[], Any]) -> int:
    """Run a command and give its exit code; every error goes out here, in one form."""
    try:
        command()
    except SystemExit as exited:
        return exited.code if isinstance(exited.code, int) else int(exited.code is not None)
    except interruption.StopRequest as stop:
        return _report(NotRunError("Interrupted; nothing was left behind."), stop.exit_code)
    except (EnvcapError, OSError) as error:
        said = explained(error)
        return _report(said, said.exit_code)
    except Exception as error:  # noqa: BLE001  (the last door: a bug becomes a log file, not a traceback)
        return _report(_from_bug(error), EnvcapError.exit_code)
    return 0


def explained(error: BaseException) -> EnvcapError:
    """Give an error as people are told it; a bug by its name only, its log is written where the command ends."""
    if isinstance(error, EnvcapError):
        return error
    if isinstance(error, OSError):
        return _from_os(error)
    from envcap.redact import redact_text

    return EnvcapError(f"This is a bug in envcap: {type(error).__name__}: {redact_text(str(error))}")


def _report(error: EnvcapError, exit_code: int) -> int:
    from envcap.report.document import error_document

    own_words = sys.argv[1 : sys.argv.index("--")] if "--" in sys.argv else sys.argv[1:]
    if "--json" in own_words or os.environ.get("ENVCAP_JSON"):
        show_result(error_document(error, exit_code=exit_code))
    Talk().error(error)
    return exit_code


def _from_os(error: OSError) -> EnvcapError:
    import errno

    where = f" `{error.filename}`" if error.filename else ""
    hints = {
        errno.ENOSPC: "Free some space there, or point `--project`, ENVCAP_CACHE or TMPDIR to another disk.",
        errno.EACCES: "Check who owns it.",
        errno.EROFS: "It is mounted read-only.",
    }
    return NotRunError(
        f"This machine refused a file{where}: {error.strerror or error}.", hint=hints.get(error.errno or 0, "")
    )


def _from_bug(error: Exception) -> EnvcapError:
    """Write the log of a bug, and give what people are told."""
    import tempfile
    import traceback

    from envcap.redact import redact_text

    text = f"envcap {__version__}, Python {sys.version.split()[0]}\n{''.join(traceback.format_exception(error))}"
    with tempfile.NamedTemporaryFile("w", prefix="envcap-bug-", suffix=".log", delete=False) as log:
        log.write(redact_text(text))
    return EnvcapError(explained(error).message, hint=f"Please report it with the log `{log.name}`.")
