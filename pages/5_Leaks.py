"""Where the evidence lies on the background: scores, thresholds, and the verdicts people sign."""

from whalecam.app.components.canvas import overlay_controls
from whalecam.app.screens import calibration_panel, leaks, reliance_panel
from whalecam.app.shell.page_frame import page, threshold_sliders
from whalecam.app.state import session
from whalecam.app.widgets import bulk_review, filters, gallery_page, review_controls, saved_views

with page("Leaks") as run:
    rail = gallery_page.begin()
    with rail:
        saved_views.saved_views(run, "leaks")
    threshold_sliders(run)
    session.up_to_date(run)
    table = session.table_of(run)
    overlay_controls(has_maps=run.has_maps)
    leaks.summary(run)
    reliance_panel.note_uncontrolled(table.overview())
    view = filters.filter_bar(table, "leaks", run, rail=rail)
    with view.tools:
        leaks.charts_switch()
        bulk_review.offer(run, filters.shown_words(view), lambda: table.images(view.filters), "leaks")
    with view.above:
        leaks.charts(table, run.words)
    review_controls.reviewing_gallery(run, view, "leaks", leaks.show_me)
    leaks.species_table(table, run.words)
    reliance_panel.class_table(table, run.words)
    calibration_panel.calibration_and_agreement(run, table)
    review_controls.news(run)
