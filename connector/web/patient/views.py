"""Draws the patients' pages: plain HTML without scripts, whose every value is escaped."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from connector.billing.agreements.schedule import Frequency
from connector.billing.documents.wording import date_text, money_text, one_line
from connector.billing.offers.lock_in import leaving_text
from connector.billing.offers.plan_terms import NO_TERM, ages_text, waiting_text
from connector.billing.prices.pricing import percent_text
from connector.use_cases.patient_pages.answers import Done
from connector.use_cases.patient_pages.open_link import OpenedLink
from connector.use_cases.patient_pages.paid_besides import in_all
from connector.use_cases.patient_pages.show_invoice import InvoicePage, PaidPage
from connector.use_cases.patient_pages.show_method import MethodPage
from connector.use_cases.patient_pages.show_plan_change import ChangePage
from connector.use_cases.patient_pages.show_request import HoldPage, PlanPage, RequestPage
from connector.use_cases.patient_pages.show_signup import SignupPage, offer_key
from connector.use_cases.patient_pages.sign_up import SignupForm, amounts

TEMPLATES = Path(__file__).with_name("templates")
STYLE = (TEMPLATES / "style.css").read_text(encoding="utf-8")

_TEMPLATE: dict[type, str] = {
    SignupPage: "signup.html",
    InvoicePage: "invoice.html",
    PaidPage: "paid.html",
    MethodPage: "method.html",
    RequestPage: "request.html",
    PlanPage: "payment_plan.html",
    HoldPage: "hold.html",
    ChangePage: "plan_change.html",
}
_EACH = {
    Frequency.WEEKLY: "each week",
    Frequency.FORTNIGHTLY: "each fortnight",
    Frequency.MONTHLY: "each month",
    Frequency.ANNUALLY: "each year",
}


def link_page(opened: OpenedLink, path: str, notice: str = "", form: SignupForm | None = None) -> HTMLResponse:
    """The page behind a link; `path` is its own. `notice` says why it is shown again, with what was filled in."""
    page = opened.page
    values: dict[str, Any] = {"practice": opened.practice, "page": page, "others": opened.besides}
    values |= {"notice": notice, "path": path}
    if isinstance(page, SignupPage):
        values |= {"form": form or SignupForm(), "shown": amounts(page.dues)}
    return _drawn(_TEMPLATE[type(page)], 200, **values)


def done_page(done: Done) -> HTMLResponse:
    return _drawn("done.html", 200, practice=done.practice, title=done.title, sentences=done.sentences)


def neutral_page() -> HTMLResponse:
    """The one page of every token that cannot be used, for whatever reason."""
    return _drawn("neutral.html", 404)


def asked_page() -> HTMLResponse:
    """The one answer to everybody who asks for a new link."""
    return _drawn("asked.html", 200)


def thank_you_page() -> HTMLResponse:
    """Where payers come back to from the processor's pages. It proves nothing, so it says nothing about them."""
    return _drawn("thank_you.html", 200)


def problem_page(status: int, sentence: str) -> HTMLResponse:
    return _drawn("problem.html", status, sentence=sentence)


def _drawn(template: str, status: int, **values: object) -> HTMLResponse:
    return HTMLResponse(_templates().get_template(template).render(values), status)


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES, encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= {
        "money": money_text,
        "date": date_text,
        "line": one_line,
        "each": _EACH.__getitem__,
        "percent": percent_text,
    }
    environment.globals |= {"offer_key": offer_key, "in_all": in_all, "no_term": NO_TERM}
    environment.globals |= {"ages_text": ages_text, "waiting_text": waiting_text, "leaving_text": leaving_text}
    return environment
