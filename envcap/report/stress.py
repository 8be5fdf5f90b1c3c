"""What stress showed, as text for people."""

from envcap.model.verdict import Judgement
from envcap.report.table import table_lines


def stress_lines(judgement: Judgement) -> list[str]:
    """Give each thing that was varied, or could not be, with what the outputs did; nothing where it was not asked."""
    if not judgement.stressed:
        return []
    rows = [(one.name, one.setting, one.outcome, one.detail) for one in judgement.stressed]
    return ["Stress:", *table_lines(("varied", "to", "outputs", "detail"), rows), ""]
