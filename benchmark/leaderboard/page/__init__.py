"""The leaderboard as one HTML file that people like to open: `content` gathers, `charts` measures out, `page` draws.

The file asks for nothing but itself: styles, script, thumbnails and masks are in it. From the same records come the
same bytes.
"""

from benchmark.leaderboard.page.page import TooLargeError, rendered

__all__ = ["TooLargeError", "rendered"]
