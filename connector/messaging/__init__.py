"""Messages to members and staff: kinds and texts, the ports to a mail system and an SMS provider, and when to send.

A back end hands one message over once and never repeats it: that is decided by whoever keeps the messages.
"""
