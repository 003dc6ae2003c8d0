"""Overview of a run. Start with: streamlit run dashboard.py"""

from whalecam.app.screens import overview

overview.show()
