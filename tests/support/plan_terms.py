"""Random terms of plans: everything that a practice may write into one."""

from __future__ import annotations

from hypothesis import strategies as st

from connector.billing.agreements.schedule import Frequency
from connector.billing.offers.plan_terms import DiscountCategory, PlanTerms, TaxCode, terms_of

_LETTERS = st.characters(exclude_categories=("Cs", "Cc"))
_TEXTS = st.text(st.one_of(_LETTERS, st.sampled_from("\n\t\"\\#'=[]")), max_size=60)
_TITLES = st.text(_LETTERS, min_size=1, max_size=30).map(str.strip).filter(bool)
_DAYS = st.dates().map(str)
_AGES = st.integers(min_value=0, max_value=130)


@st.composite
def _benefits(draw: st.DrawFn) -> list[dict[str, object]]:
    """Titles and codes are spread over the benefits, so that none is there twice."""
    titles = draw(st.lists(_TITLES, max_size=4, unique_by=str.casefold))
    codes = draw(st.lists(st.from_regex(r"[0-9A-Z.]{1,15}", fullmatch=True), max_size=8, unique=True))
    return [
        {
            "title": title,
            "annual_quantity": draw(st.integers(min_value=0, max_value=999)),
            "waiting_months": draw(st.integers(min_value=0, max_value=120)),
            "procedure_codes": codes[index :: len(titles)],
            "terms": draw(_TEXTS),
        }
        for index, title in enumerate(titles)
    ]


_DISCOUNT = st.fixed_dictionaries(
    {"percent": st.decimals(min_value=0, max_value=100, places=2), "included": st.booleans(), "note": _TEXTS}
)
_AGE_RANGES = st.lists(_AGES, min_size=2, max_size=2).map(sorted)
_DAY_RANGES = st.lists(_DAYS, min_size=2, max_size=2).map(sorted)


@st.composite
def _terms(draw: st.DrawFn) -> PlanTerms:
    cents = st.integers(min_value=1, max_value=99_999_999)
    prices = st.integers(min_value=50, max_value=99_999_999)
    document: dict[str, object] = {
        "description": draw(_TEXTS),
        "prices": draw(st.dictionaries(st.sampled_from(list(Frequency)), prices, min_size=1)),
        "setup_fee_cents": draw(st.one_of(st.just(0), cents)),
        "benefits": draw(_benefits()),
        "discounts": draw(st.dictionaries(st.sampled_from(list(DiscountCategory)), _DISCOUNT)),
        "lock_in_months": draw(st.integers(min_value=0, max_value=120)),
        "terms": draw(_TEXTS),
        "tax_code": draw(st.sampled_from(list(TaxCode))),
    }
    limits: list[object] = [*draw(_AGE_RANGES), *draw(_DAY_RANGES)]
    optional = dict(zip(("min_age", "max_age", "offered_from", "offered_until"), limits, strict=True))
    return terms_of(document | {name: value for name, value in optional.items() if draw(st.booleans())})


PLAN_TERMS = _terms()
