"""`connector adapters`: what can be connected, and what each practice system is known to do."""

from __future__ import annotations

import click

from connector.cli.output import json_option, print_json, print_table
from connector.pms_adapters.registry import adapters as installed


@click.group()
def adapters() -> None:
    """The adapters to practice systems."""


@adapters.command("list")
@json_option
def list_all(as_json: bool) -> None:
    """Compare the installed adapters by what their manifests declare."""
    manifests = [factory.manifest for _, factory in sorted(installed().items())]
    if as_json:
        print_json(
            [
                {
                    "name": m.name,
                    "title": m.title,
                    "transport": m.transport,
                    "settings": [
                        {"name": s.name, "description": s.description, "required": s.required} for s in m.settings
                    ],
                    "reference_length": m.reference_length,
                    "repeat_safety": m.repeat_safety.value,
                    "reversal_style": m.reversal_style.value,
                    "asynchronous": m.asynchronous,
                    "calls_per_minute": m.calls_per_minute,
                    "settle_window_seconds": m.settle_window.total_seconds(),
                }
                for m in manifests
            ]
        )
        return
    columns = ("Adapter", "Practice system", "Transport", "Repeat is safe by", "Reversals", "Answer", "Settings")
    rows = [
        (
            m.name,
            m.title,
            m.transport,
            m.repeat_safety.value.replace("_", " "),
            m.reversal_style.value.replace("_", " "),
            "later" if m.asynchronous else "at once",
            ", ".join(s.name if s.required else f"[{s.name}]" for s in m.settings),
        )
        for m in manifests
    ]
    print_table("Adapters", columns, rows)
