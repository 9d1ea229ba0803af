"""The dashboard: `planner dashboard` has Streamlit run this file."""

from pathlib import Path

import streamlit as st

from dashboards.drawing.icon import icon

_VIEWS = Path(__file__).parent / "views"
_PAGES = (
    ("overview", "Overview", ":material/monitoring:"),
    ("decisions", "Decisions", ":material/rule:"),
    ("forecast", "Forecast", ":material/trending_up:"),
    ("capacity", "Capacity", ":material/speed:"),
    ("what_if", "What-if", ":material/science:"),
    ("cost", "Cost", ":material/payments:"),
    ("health", "Health", ":material/ecg_heart:"),
)

st.set_page_config(page_title="planner", page_icon=icon(), layout="wide")
st.navigation(
    [
        st.Page(_VIEWS / f"{name}.py", title=title, icon=icon, url_path=name.replace("_", "-"),
                default=name == "overview")
        for name, title, icon in _PAGES
    ],
    position="top",
).run()  # fmt: skip
