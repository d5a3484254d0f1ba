"""Warnings of a cleaned recording: what may have gone wrong, in words."""

import math

from benchmark.tools.denoise.clean import Cleaned

_QUIETEST = -60.0
"""dB of full scale."""
_NOTHING, _EVERYTHING = 0.001, 0.8
"""Mean weights of a mask that hardly keeps or hardly removes anything."""


def of_network(title: str) -> list[str]:
    """What is to be said of every recording that a network cleans which was trained on data of this title."""
    # Whoever makes such a dataset says so in its title.
    if "synthetic " in f"{title} ".lower():
        return ["the network was trained on synthetic sounds only, and may take real birds for noise"]
    return []


def of_recording(cleaned: Cleaned, band: float) -> list[str]:
    """What is to be said of this recording; `band` is the highest frequency in Hz that the network knows."""
    if cleaned.silent:
        return ["silent"]
    found = []
    level = 20 * math.log10(cleaned.peak)
    if level < _QUIETEST:
        found.append(f"very quiet: its peak is {level:.0f} dB of full scale")
    if cleaned.clipped:
        found.append(f"clipped: {cleaned.clipped} samples lie at full scale")
    nyquist = cleaned.header.sample_rate / 2
    if nyquist < 0.95 * band:
        found.append(f"ends at {nyquist / 1000:g} kHz, but the network was trained up to {band / 1000:g} kHz")
    if not cleaned.audible:
        found.append(f"nothing is audible in the frequencies that the network knows (up to {band / 1000:g} kHz)")
    elif cleaned.kept < _NOTHING:
        found.append("the mask keeps almost nothing: no bird, or none that the network knows")
    elif cleaned.kept > _EVERYTHING:
        found.append("the mask keeps almost everything: noise may have stayed")
    if cleaned.over and cleaned.subtype.startswith("PCM"):
        found.append(f"{cleaned.over} samples of the result were beyond full scale and are clipped")
    return found
