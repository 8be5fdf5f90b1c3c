"""The one place that knows how a Gap looks in the document. See `envcap.model.gap`."""


class Gaps:
    """What could not be learned, collected while the parts of the environment are read."""

    def __init__(self) -> None:
        self.found = []  # type: list[dict[str, object]]

    def add(self, where: str, subject: str, *, reason: str, consequence: str) -> None:
        """Note one unknown: the part of the lock, the thing, why it is unknown, what follows."""
        self.found.append({"where": where, "subject": subject, "reason": reason, "consequence": consequence})
