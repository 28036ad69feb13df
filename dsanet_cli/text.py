"""Times as people read them."""

from __future__ import annotations


def format_time(seconds: float) -> str:
    """``00:12.80``, from an hour on ``01:02:03.40``."""
    minutes, hundredths = divmod(round(seconds * 100), 6000)
    hours, minutes = divmod(minutes, 60)
    clock = f"{minutes:02}:{hundredths // 100:02}.{hundredths % 100:02}"
    return f"{hours:02}:{clock}" if hours else clock


def format_clock(seconds: float, decimals: int = 0, hours: bool = False) -> str:
    """``1:05``, from an hour on ``1:01:05``, with ``decimals`` digits of the second."""
    whole, part = divmod(round(seconds * 10**decimals), 10**decimals)
    minutes, whole = divmod(whole, 60)
    fraction = f".{part:0{decimals}}" if decimals else ""
    if hours or minutes >= 60:
        return f"{minutes // 60}:{minutes % 60:02}:{whole:02}{fraction}"
    return f"{minutes}:{whole:02}{fraction}"
