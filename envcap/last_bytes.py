"""What is kept of a program's output: the end of it, whatever a stranger's program says."""

# What a program says is shown as it comes; of standard output the end is kept, where metrics are looked for.
MOST_KEPT = 16 << 20  # bytes
LONGEST_LINE = 4 << 20  # bytes or characters: one without an end is cut


class LastBytes:
    """Takes bytes, and keeps at least the last `most` of them and at most twice as many."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._before = b""
        self._pieces: list[bytes] = []
        self._size = 0

    def add(self, piece: bytes) -> None:
        """Take more."""
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size >= self._most:
            self._before, self._pieces, self._size = b"".join(self._pieces), [], 0

    @property
    def text(self) -> str:
        """What was kept, as UTF-8 with replacement."""
        return b"".join((self._before, *self._pieces)).decode(errors="replace")
