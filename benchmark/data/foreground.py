"""Say before a training how much of its data is foreground, and what became of the masks."""

from benchmark.data.cache import Cached

_MUCH = 0.5


def shares(data: Cached) -> dict[str, float]:
    """The share of foreground pixels of each split, at the size of the files."""
    return {
        name: sum(row.foreground for row in split.rows) / sum(row.height * row.width for row in split.rows)
        for name, split in data.splits.items()
    }


def about(data: Cached, size: tuple[int, int]) -> str:
    """One line: the share of foreground of each split, and how many masks are empty at (height, width) alone."""
    text = "foreground: " + ", ".join(f"{share:.1%} of {name}" for name, share in shares(data).items())
    vanished = sum(split.facts.vanished for split in data.splits.values())
    if vanished:
        filled = sum(row.foreground > 0 for row in data.rows)
        text += f"; {vanished} of {filled} masks become empty at {size[0]} x {size[1]} pixels"
    return text


def warnings(data: Cached) -> list[str]:
    """What is suspicious of the masks, a line each."""
    lines = [
        f"{share:.0%} of the pixels of {name} are foreground: are the masks inverted? Then: "
        "--dataset folder:foreground=0"
        for name, share in shares(data).items()
        if share > _MUCH
    ]
    smoothed = sum(split.facts.smoothed for split in data.splits.values())
    if smoothed:
        between = sum(split.facts.between for split in data.splits.values())
        pixels = sum(row.height * row.width for row in data.rows)
        lines.append(
            f"{smoothed} masks are smoothed or compressed with loss: {between} pixels ({between / pixels:.2%}) lie "
            "between background and foreground and were thresholded; export the masks without smoothing, as PNG"
        )
    return lines
