"""Write the leaderboard as one HTML file: `content` gathers, `charts` and `gallery` prepare drawings, `page` renders.

The file loads nothing else: styles, script, thumbnails and masks are in it. The same records give the same bytes.
"""

from benchmark.leaderboard.page.page import TooLargeError, rendered

__all__ = ["TooLargeError", "rendered"]
