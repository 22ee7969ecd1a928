"""Simulated SMS providers: Twilio, ClickSend and MessageMedia on one port, as strict as the real ones, with faults."""

from connector.sandbox.messaging.app import create_app

__all__ = ["create_app"]
