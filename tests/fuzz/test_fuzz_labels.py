"""Any label: a name of a plugin with parameters, `unet:width=4`, of whatever characters."""

from typing import Any

from fuzzing import TEXTS, cases, outcome
from hypothesis import given
from hypothesis import strategies as st

from benchmark.common.errors import UserError
from benchmark.plugins import registry

LABELS = st.sampled_from(["unet", "smp", "otsu", "torchvision_segmentation", "synthetic", "folder", "nets"])
KEYS = st.sampled_from(["width", "encoder", "decoder", "name", "train", "group", "in_channels", "root", "", "depth"])


@cases(100)
@given(
    kind=st.sampled_from(["architectures", "datasets"]),
    name=LABELS | TEXTS,
    given_=st.lists(
        st.tuples(KEYS | TEXTS, st.sampled_from(["=", "=", "=", "", "=="]), TEXTS | st.integers().map(str))
    ),
    colon=st.sampled_from([":", ":", "", "::"]),
)
def test_any_label(kind: Any, name: str, given_: list[tuple[str, str, str]], colon: str) -> None:
    text = name + colon + ",".join("".join(part) for part in given_)
    found = outcome(lambda: registry.load(kind, text))
    if not isinstance(found, UserError):
        assert registry.load(kind, found.label).label == found.label
