"""From single checks to one verdict, and the reasons in words. Pure."""

from envcap.model.verdict import Check, Finding, Verdict

_WORST_FIRST = (Verdict.DIFFERENT, Verdict.INCONCLUSIVE, Verdict.EQUIVALENT, Verdict.IDENTICAL)


def conclude(checks: list[Check], findings: list[Finding]) -> tuple[Verdict, list[str]]:
    """Give the verdict over all checks and findings, with the reasons for it.

    The verdict is earned: with nothing judged there is no verdict but INCONCLUSIVE.
    """
    fatal = [finding for finding in findings if finding.fatal]
    if fatal:
        return Verdict.REFUSED, [
            f"{item.where} `{item.subject}`: the lock says `{item.frozen}`, inside is `{item.observed}`"
            for item in fatal
        ]
    judged = [check for check in checks if check.judged]
    if not judged:
        return Verdict.INCONCLUSIVE, ["nothing was judged: every output is declared as not judged"]
    verdict = next(kind for kind in _WORST_FIRST if any(check.verdict is kind for check in judged))
    if verdict is Verdict.IDENTICAL:
        return verdict, ["the one output is equal" if len(judged) == 1 else f"all {len(judged)} outputs are equal"]
    deciding = [check for check in judged if check.verdict is verdict]
    if verdict is Verdict.EQUIVALENT:
        if len(judged) == 1:
            return verdict, ["the one output is within tolerance"]
        return verdict, [f"{len(judged)} outputs are within tolerance, {len(judged) - len(deciding)} of them equal"]
    return verdict, [f"{check.kind} `{check.name}`: {check.detail}" for check in deciding]
