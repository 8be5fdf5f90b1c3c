"""How the document is set apart from whatever else a program prints. Shared by both sides of the handover."""

FORMAT = 1  # of the document between the lines below

BEGIN = "-----BEGIN ENVCAP FACTS-----"
END = "-----END ENVCAP FACTS-----"


def frame(document: str) -> bytes:
    """Give the bytes to print.

    Names of files need not be UTF-8, but JSON must be: what cannot be encoded becomes `?`.
    """
    return "\n{}\n{}\n{}\n".format(BEGIN, document, END).encode("utf-8", "replace")


def unframe(output: bytes) -> "bytes | None":
    """Give the last document in `output`, or None: .pth files print before it, exit handlers after it."""
    _, begin, rest = output.rpartition(BEGIN.encode())
    document, end, _ = rest.partition(END.encode())
    return document.strip() if begin and end else None
