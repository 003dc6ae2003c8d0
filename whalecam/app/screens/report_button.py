"""The button that hands the report to the browser, on every page that offers it."""

import streamlit as st

from whalecam.app.components.download import download
from whalecam.app.state import session
from whalecam.store.run import Run


def report_button(run: Run) -> None:
    """Write the report at the session's thresholds when it is asked for; it takes some seconds."""

    def made() -> bytes:
        from whalecam.output import report  # the Overview opens without what draws its images

        with st.spinner("Writing the report …"):
            return report.report_html(run, session.data_of(run), thresholds=session.thresholds()).encode()

    look = {"icon": ":material/description:"}
    download("Download the report", made, name=f"{run.name}-report.html", mime="text/html", key="get_report", **look)
