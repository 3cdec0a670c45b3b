"""The pages that the bar on top of each page leads to."""

from flask import current_app

# (endpoint, name, symbol in icons.svg); those of other blueprints appear where they are registered.
PAGES = (
    ("web.overview.show_overview", "Overview", "overview"),
    ("web.alerts.show_alerts", "Alerts", "alerts"),
    ("web.archive.show_archive", "Archive", "archive"),
    ("web.reports.show_reports", "Reports", "reports"),
    ("web.fleet.show_fleet", "Fleet", "fleet"),
)


def pages() -> dict[str, object]:
    """For every template."""
    return {"pages": [page for page in PAGES if page[0] in current_app.view_functions]}
