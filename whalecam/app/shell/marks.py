"""The coloured mark of an assessment, as HTML: the same shape and colour as on cards and in charts."""

from whalecam.app.charts.audit_charts import COLOURS, SHAPES
from whalecam.app.components.assets import text

STYLE = f"<style>{text('shared/marks.css')}</style>"
"""What a page needs once, so that its marks have their shapes."""


def mark(assessment: str) -> str:
    """The mark of one of ASSESSMENTS, as large as the text beside it."""
    return f'<i class="mark {SHAPES[assessment]}" style="background:{COLOURS[assessment]}"></i>'
