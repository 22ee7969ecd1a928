"""The declared facts of the file drop."""

from __future__ import annotations

from datetime import timedelta

from connector.pms_adapters.manifest import Manifest, RepeatSafety, ReversalStyle, SettingField

MANIFEST = Manifest(
    name="file_drop",
    title="File drop",
    transport="CSV files in a folder",
    settings=(SettingField("folder", "Whole path of the folder that the practice shares with this software."),),
    # With its ending the name stays within what every file system takes.
    reference_length=60,
    repeat_safety=RepeatSafety.FILE_KEY,
    reversal_style=ReversalStyle.ENTRY,
    asynchronous=True,
    call_deadline=timedelta(seconds=30),
    # A file is there or not when the call ends; its acknowledgement waits for people, over a long weekend too.
    apply_delay=timedelta(0),
    visibility_delay=timedelta(days=4),
    concurrency=1,
    quality={
        "probe": "done",
        "reference": "done",
        "complete_reads": "done",
        "reversal_whole": "done",
        "reversal_part": "done",
        "repeat_is_refused": "done",
    },
)
