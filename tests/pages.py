"""Every page there is, and who looks at it: for the tests of all pages and for their screenshots.

A new endpoint that answers GET has to be named here, as a page or as none: tests/end_to_end/test_page_all.py says so.
"""

from dataclasses import dataclass

from flask import Flask


@dataclass(frozen=True)
class Visit:
    """path: with the data of tests/demonstration.py. who: "admin", "nobody", or "half": only the password was right."""

    name: str
    path: str
    who: str = "admin"


VISITS = {
    "web.overview.show_overview": (Visit("overview", "/"),),
    "web.device.show_device": (
        Visit("device", "/devices/fridge-1?range=7d"),
        Visit("device-alerts", "/devices/freezer-2?tab=alerts"),
        Visit("device-settings", "/devices/rack-1?tab=settings"),
        Visit("device-health", "/devices/rack-1?tab=health"),
        Visit("device-ledger", "/devices/fridge-1?tab=ledger"),
    ),
    "web.fleet.show_fleet": (Visit("fleet", "/fleet"),),
    "web.alerts.show_alerts": (Visit("alerts", "/alerts"),),
    "web.alerts.new_rule": (Visit("rule-new", "/alerts/rules/new"),),
    "web.alerts.edit_rule": (Visit("rule", "/alerts/rules/1"),),
    "web.alerts.show_targets": (Visit("targets", "/alerts/targets"),),
    "web.archive.show_archive": (Visit("archive", "/archive"),),
    "web.reports.show_reports": (Visit("reports", "/reports"),),
    "web.sign_in.show_form": (Visit("sign-in", "/sign-in", "nobody"),),
    "web.sign_in.show_code_form": (Visit("sign-in-code", "/sign-in/code", "half"),),
    "web.account.show_account": (Visit("account", "/account"),),
    "web.account.codes.show_secret": (Visit("account-codes", "/account/codes"),),
    "api_docs.show_docs": (Visit("api-docs", "/api/docs"),),
    "admin.index": (Visit("admin", "/admin/"),),
}
# Visited on a server that nobody has an account on yet: nobody is signed in there.
EMPTY_VISITS = {"web.welcome.show_welcome": (Visit("welcome", "/welcome", "nobody"),)}
NO_PAGES = {
    "static": "files",
    "admin.static": "files",
    "health.alive": "JSON",
    "health.ready": "JSON",
    "metrics.show_metrics": "text for Prometheus",
    "web.overview.show_sparklines": "JSON",
    "web.device.show_figures": "JSON",
    "web.alerts.preview_rule": "JSON or a part of the rule editor",
    "web.archive.show_seals": "JSON",
    "web.archive.download": "a file",
    "web.reports.make_report": "a file",
}
# Flask-Admin makes these of each model; a list and a form of each kind look alike, so that one of each is visited.
ADMIN_LIST = ".index_view"
ADMIN_PARTS = (".ajax_lookup", ".create_view", ".details_view", ".edit_view", ".export")


def pages(app: Flask) -> dict[str, tuple[Visit, ...]]:
    """Endpoint → its visits, of every endpoint that is a page. Raises KeyError for one that nobody has named."""
    found = {}
    for rule in app.url_map.iter_rules():
        endpoint = rule.endpoint
        if "GET" not in (rule.methods or ()) or endpoint in NO_PAGES or rule.rule.startswith("/api/v1/"):
            continue
        if endpoint.startswith("admin_") and endpoint.endswith(ADMIN_LIST):
            model = endpoint.removeprefix("admin_").removesuffix(ADMIN_LIST)
            found[endpoint] = (Visit(f"admin-{model.replace('_', '-')}", rule.rule),)
        elif not (endpoint.startswith("admin_") and endpoint.endswith(ADMIN_PARTS)):
            found[endpoint] = EMPTY_VISITS[endpoint] if endpoint in EMPTY_VISITS else VISITS[endpoint]
    return found
