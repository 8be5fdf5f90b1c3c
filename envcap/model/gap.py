"""What could not be learned or pinned, as data: it travels in the lock to every report."""

from envcap.model.struct import Table

NOT_IN_IMAGE = "the image will not have it"  # how the consequence begins where a package could not be pinned


class Gap(Table, frozen=True, kw_only=True):
    """One thing that is unknown or not pinned, and what follows from it.

    `where` is the part of the lock it concerns (`packages`, `base`, `code` …), `subject` the thing itself.
    """

    where: str
    subject: str
    reason: str
    consequence: str
