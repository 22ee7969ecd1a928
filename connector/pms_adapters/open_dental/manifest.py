"""The declared facts of Open Dental, per connection where they depend on its settings."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from connector.pms_adapters.manifest import Manifest, RepeatSafety, ReversalStyle, SettingField
from connector.pms_adapters.open_dental.settings import Mode, OpenDentalSettings, Reversals

MANIFEST = Manifest(
    name="open_dental",
    title="Open Dental",
    transport="REST API",
    settings=(
        SettingField("base_url", "Address of the API, such as http://server:30223/api/v1."),
        SettingField("developer_key", "Key of the vendor of this software.", secret=True),
        SettingField("customer_key", "Key of this office, from Setup > Advanced Setup > API.", secret=True),
        SettingField("mode", "remote, service or local; when absent, the address decides.", required=False),
        SettingField("payment_type", "Payment type for methods that the office has no type for.", required=False),
        SettingField(
            "backup_provider", "ProvNum for the payments of patients without a provider of their own.", required=False
        ),
        SettingField("reversals", "refund (the default), negative_payment or none.", required=False),
    ),
    # CheckNum is a varchar(25) and is cut off silently.
    reference_length=25,
    repeat_safety=RepeatSafety.READ_BACK,
    reversal_style=ReversalStyle.FULL_ONLY,
    asynchronous=False,
    # The relay in Remote mode gives up after 60 s, and its verdict is worth waiting for.
    call_deadline=timedelta(seconds=70),
    # A request that the relay gave up on may still be carried out in the office for as long again.
    apply_delay=timedelta(seconds=60),
    visibility_delay=timedelta(seconds=5),
    # The relay allows one request a second of a key with a paid permission, and writing needs one.
    calls_per_minute=60,
    concurrency=1,
    quality={
        "probe": "done",
        "reference": "done",
        "complete_reads": "done",
        "reversal_whole": "done",
        "reversal_part": "exempt: needs the setting reversals=negative_payment, which not every build accepts",
        "repeat_is_refused": "exempt: the API has no idempotency key, so the engine reads back",
    },
)

_STYLES = {
    Reversals.REFUND: ReversalStyle.FULL_ONLY,
    Reversals.NEGATIVE_PAYMENT: ReversalStyle.ENTRY,
    Reversals.NONE: ReversalStyle.NONE,
}


def manifest_for(settings: OpenDentalSettings) -> Manifest:
    """The facts of one connection: nothing paces calls inside the office, and nothing there takes a minute."""
    declared = replace(MANIFEST, reversal_style=_STYLES[settings.reversals])
    if settings.mode is Mode.REMOTE:
        return declared
    return replace(declared, call_deadline=timedelta(seconds=30), calls_per_minute=0, concurrency=8)
