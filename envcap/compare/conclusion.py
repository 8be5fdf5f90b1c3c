"""From single checks to one verdict, and the reasons in words. Pure."""

from envcap.model.verdict import Check, Finding, Verdict

_WORST_FIRST = (Verdict.DIFFERENT, Verdict.INCONCLUSIVE, Verdict.EQUIVALENT, Verdict.IDENTICAL)


def conclude(checks: list[Check], findings: list[Finding]) -> tuple[Verdict, list[str]]:
    """Give the verdict over all checks and findings, with the reasons for it.

    The verdict is earned: with nothing judged there is no verdict but INCONCLUSIVE. Beside a primary metric, what could
    not be told of a check that does not gate is among the reasons and decides nothing.
    """
    fatal = [finding for finding in findings if finding.fatal]
    if fatal:
        return Verdict.REFUSED, [
            f"{item.where} `{item.subject}`: the lock says `{item.frozen}`, inside is `{item.observed}`"
            for item in fatal
        ]
    judged = [check for check in checks if check.judged]
    untold = [check for check in judged if check.verdict is Verdict.INCONCLUSIVE and not check.gates]
    if len(untold) == len(judged):
        untold = []  # somebody must decide
    told = [f"{check.kind} `{check.name}` could not be told: {check.detail}" for check in untold]
    judged = [check for check in judged if check not in untold]
    if not judged:
        return Verdict.INCONCLUSIVE, ["nothing was judged: every output is declared as not judged"]
    verdict = next(kind for kind in _WORST_FIRST if any(check.verdict is kind for check in judged))
    if verdict is Verdict.IDENTICAL:
        if told:  # not all outputs are known to be equal
            return Verdict.EQUIVALENT, [f"{len(judged)} of {len(judged) + len(told)} outputs are equal", *told]
        return verdict, ["the one output is equal" if len(judged) == 1 else f"all {len(judged)} outputs are equal"]
    deciding = [check for check in judged if check.verdict is verdict]
    if verdict is Verdict.EQUIVALENT:
        equal = len(judged) - len(deciding)
        words = "the one output is" if len(judged) == 1 else f"{len(judged)} outputs are"
        more = "" if len(judged) == 1 else f", {equal} of them equal"
        return verdict, [f"{words} within tolerance{more}", *told]
    return verdict, [*(f"{check.kind} `{check.name}`: {check.detail}" for check in deciding), *told]
