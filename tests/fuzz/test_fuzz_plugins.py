"""Plugin files of which anything is wrong, at import, at build, in forward, in what a dataset gives: one line each."""

import itertools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fuzzing import TEXTS, cases, count, damages, outcome, require_ended
from helpers import Bench
from hypothesis import example, given
from hypothesis import strategies as st

from benchmark import inputs, network, protocol, registry
from benchmark.data.cache import Cached
from benchmark.errors import UserError
from benchmark.progress import silent

ARCHITECTURE = '''"""A network."""
import sys
import numpy as np
import torch
from torch import nn
from benchmark.contract import ArchitectureSpec, DatasetSpec, Reported


class EvilError(Exception):
    def __str__(self):
        raise RuntimeError("not even a message")


class Abrupt(BaseException):
    pass


def deep(number=0):
    return deep(number + 1)


AT_IMPORT


class Net(nn.Module):
    def __init__(self, *, in_channels: int, pretrained: bool, width: int = 4) -> None:
        super().__init__()
        self.layer = nn.Conv2d(in_channels, 1, 3, padding=1)
        AT_BUILD

    def forward(self, image):
        logits = self.layer(image)
        AT_FORWARD
        return logits


ARCHITECTURE = ArchitectureSpec(
    build=BUILD, title=TITLE, paper="none", citation="@misc{n, title={N}}", size_multiple=MULTIPLE, MORE
)
AT_END
'''
PLACES = ("AT_IMPORT", "AT_BUILD", "AT_FORWARD", "AT_END")
RAISED = [
    "raise ValueError('no')",
    "raise ValueError('a\\nb\\x1b[31m' + 'x' * 9_999)",
    "raise ValueError",
    "raise UserWarning('w')",
    "raise SystemExit(3)",
    "sys.exit('text')",
    "sys.exit()",
    "raise Abrupt('b')",
    "raise GeneratorExit",
    "raise EvilError",
    "raise StopIteration",
    "raise OSError(28, 'No space left on device')",
    "raise FileNotFoundError('weights.pth')",
    "raise UnicodeDecodeError('utf-8', b'x', 0, 1, 'bad')",
    "raise ExceptionGroup('several', [ValueError('one'), TypeError('two')])",
    "raise AssertionError",
    "raise KeyError('k')",
    "deep()",
    "eval('(' * 500)",
    "import nowhere_at_all",
    "1 / 0",
    "np.zeros(3)[7]",
    "torch.zeros(2) @ torch.zeros(3)",
    "nowhere",
]
RETURNED = [
    "return None",
    "return 7",
    "return [logits]",
    "return (logits, logits)",
    "return {'out': logits}",
    "return logits.detach().numpy()",
    "return logits[0]",
    "return logits[:, 0]",
    "return logits.repeat(1, 2, 1, 1)",
    "return logits[..., :-1]",
    "return logits.expand(5, 1, *logits.shape[2:])",
    "return logits > 0",
    "return logits.long()",
    "return logits.to(torch.complex64)",
    "return logits.to('meta')",
    "return logits.to_sparse()",
    "return logits.new_zeros(0)",
]
BUILDS = [
    "Net",
    "None",
    "3",
    "lambda: None",
    "lambda **_: None",
    "lambda **_: 7",
    "lambda **_: Net",
    "sys.exit",
    "print",
]
BUILDS += [
    "lambda *, in_channels: Net(in_channels=in_channels, pretrained=False)",
    "Net(in_channels=3, pretrained=False)",
]
BUILDS += [
    "lambda *, in_channels, pretrained, more: None",
    "(lambda in_channels, pretrained: Net)",
    "type",
    "len",
    "dict",
]
TITLES = ["'N'", "None", "7", "b'N'", "'a\\nb'", "'<script>'", "['N']"]
MULTIPLES = ["1", "2", "0", "-1", "1.5", "None", "'8'", "True", "10**9", "float('nan')"]
MORE = [
    "",
    "reported=None",
    "reported=(1,)",
    "reported=7",
    "pretrained=7",
    "without_gradient='layer.*'",
    "without_gradient=(7,)",
    "without_gradient=None",
    "resolve=7",
    "resolve=lambda parameters: None",
    "resolve=lambda: None",
    "resolve=lambda parameters: 1 / 0",
    "resolve=lambda parameters: sys.exit(3)",
    "licence=3",
    "nothing=3",
]
ENDS = ["", "ARCHITECTURE = 3", "ARCHITECTURE = Net", "ARCHITECTURE = [ARCHITECTURE]", "del ARCHITECTURE"]
ENDS += ["ARCHITECTURE = DatasetSpec", "sys.modules[__name__] = None", "del sys.modules[__name__]", "__file__ = None"]

numbers = itertools.count()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plugins")
    (path / "architectures").mkdir()
    (path / "datasets").mkdir()
    return path


@contextmanager
def plugin(folder: Path, kind: registry.Kind, code: bytes) -> Iterator[str]:
    """A plugin file of its own name, for as long as the block runs."""
    registry.add_folder(folder)
    name = f"fuzzed_{next(numbers)}"
    path = folder / kind / f"{name}.py"
    path.write_bytes(code)
    before = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    try:
        yield name
    finally:
        sys.dont_write_bytecode = before
        path.unlink()
        sys.modules.pop(f"benchmark.{kind}.{name}", None)


def use(name: str) -> torch.Tensor:
    """Import it, build it, and ask it for logits, as a run does."""
    settings = protocol.load("quick").override({"image_size": (10, 14)})
    loaded = registry.load("architectures", name)
    with inputs.blaming(loaded):
        net = network.build(loaded, settings, 0)
        network.gigaflops(net, settings)
        logits: torch.Tensor = net(torch.zeros(2, 3, 10, 14))
        return logits


def filled(text: str, parts: dict[str, str]) -> bytes:
    for name, part in parts.items():
        text = text.replace(name, part)
    return text.encode()


@st.composite
def wrong(draw: st.DrawFn) -> bytes:
    """A plugin with one or two things wrong."""
    parts = {**dict.fromkeys(PLACES, "pass"), "BUILD": "Net", "TITLE": "'N'", "MULTIPLE": "2", "MORE": ""}
    choices = {
        "AT_IMPORT": RAISED,
        "AT_BUILD": [
            *RAISED,
            "self.layer = nn.LazyConv2d(1, 3)",
            "self.layer = nn.Conv2d(9, 1, 3)",
            "return 7",
            "del self.layer",
        ],
        "AT_FORWARD": [*RAISED, *RETURNED],
        "AT_END": [*RAISED, *ENDS],
        "BUILD": BUILDS,
        "TITLE": TITLES,
        "MULTIPLE": MULTIPLES,
        "MORE": MORE,
    }
    for name in draw(st.lists(st.sampled_from(list(choices)), min_size=1, max_size=2)):
        parts[name] = draw(st.sampled_from(choices[name]))
    return filled(ARCHITECTURE, parts)


GOOD = filled(
    ARCHITECTURE, {**dict.fromkeys(PLACES, "pass"), "BUILD": "Net", "TITLE": "'N'", "MULTIPLE": "2", "MORE": ""}
)


def with_one(**parts: str) -> bytes:
    usual = {**dict.fromkeys(PLACES, "pass"), "BUILD": "Net", "TITLE": "'N'", "MULTIPLE": "2", "MORE": ""}
    return filled(ARCHITECTURE, {**usual, **parts})


ALL = [with_one(**{place: raised}) for place in PLACES for raised in RAISED]
ALL += [with_one(AT_FORWARD=returned) for returned in RETURNED] + [with_one(AT_END=end) for end in ENDS]
ALL += [with_one(BUILD=build) for build in BUILDS] + [with_one(MULTIPLE=multiple) for multiple in MULTIPLES]
ALL += [with_one(TITLE=title) for title in TITLES] + [with_one(MORE=more) for more in MORE]


@pytest.mark.parametrize("code", ALL, ids=range(len(ALL)))
def test_one_thing_wrong(folder: Path, code: bytes) -> None:
    with plugin(folder, "architectures", code) as name:
        found = outcome(lambda: use(name))
    if not isinstance(found, UserError):
        assert found.shape == (2, 1, 10, 14)
        assert found.is_floating_point()


@cases(60)
@given(code=wrong())
def test_two_things_wrong(folder: Path, code: bytes) -> None:
    with plugin(folder, "architectures", code) as name:
        found = outcome(lambda: use(name))
    if not isinstance(found, UserError):
        assert found.shape == (2, 1, 10, 14)


@cases(60)
@given(damage=damages())
@example(damage=lambda content: b"\0" + content)
@example(damage=lambda content: content + b"\0")
@example(damage=lambda content: b"\xff\xfe" + content)
@example(damage=lambda content: "é".encode("latin-1") + content)
@example(damage=lambda _: b"# coding: rot13\n")
@example(damage=lambda _: b"# coding: nowhere\n")
@example(damage=lambda _: b"x = " + b"(" * 300)
@example(damage=lambda _: b"x = " + b"-" * 99_999 + b"1")
@example(damage=lambda _: b"x = " + b"9" * 5_000)
@example(damage=lambda _: b"import " + b"a" * 99_999)
@example(damage=lambda _: b"")
def test_a_damaged_plugin_file(folder: Path, damage: Any) -> None:
    with plugin(folder, "architectures", damage(GOOD)) as name:
        outcome(lambda: use(name))
        outcome(lambda: [registry.hash_file(path) for path in registry.sources("architectures", name)])


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


TINY = ("--dataset", "synthetic:train=2,val=1,test=1,ood=1", "--image-size", 16, "--epochs", 1, "--batch-size", 2)


@cases(6, cost=20, shrink=False)
@given(code=wrong(), check=st.booleans())
@example(code=with_one(AT_FORWARD="sys.exit(0)"), check=False)
@example(code=with_one(AT_FORWARD="return logits * float('nan')"), check=False)
@example(code=with_one(AT_FORWARD="return logits.detach()"), check=False)
@example(code=with_one(AT_FORWARD="raise Abrupt"), check=True)
def test_the_commands(bench: Bench, folder: Path, tmp_path: Path, code: bytes, check: bool) -> None:
    results = tmp_path / f"results-{next(numbers)}"
    with plugin(folder, "architectures", code) as name:
        words = ("check", name) if check else ("run", "--arch", name, *TINY, "--results", results)
        ran = bench(*words, "--plugins", folder)
    require_ended(ran.code, ran.err, usual=(0, 1, 2) if check else (0, 2))
    if ran.code == 1:
        assert "failed" in ran.out
    if not check and ran.code == 2:
        assert not list(results.glob("runs/*")), "a refusal leaves nothing"


def test_an_interruption_is_one(bench: Bench, folder: Path, tmp_path: Path) -> None:
    """A plugin that raises what Ctrl-C raises cannot be told from it."""
    with plugin(folder, "architectures", with_one(AT_FORWARD="raise KeyboardInterrupt")) as name:
        ran = bench("run", "--arch", name, *TINY, "--results", tmp_path / "results", "--plugins", folder)
    assert ran.code == 130
    assert ran.err.splitlines()[-1].startswith("bench: interrupted")


# ---------------------------------------------------------------- datasets

DATASET = '''"""A dataset."""
import sys
import numpy as np
from pathlib import Path
from benchmark.contract import Audio, DatasetSpec, Example, Rendering, Sample


class EvilError(Exception):
    def __str__(self):
        raise RuntimeError("not even a message")


class Abrupt(BaseException):
    pass


def deep(number=0):
    return deep(number + 1)


class Read:
    def __init__(self, seed):
        self.seed = seed

    def __call__(self):
        random = np.random.default_rng(self.seed)
        image = random.integers(0, 255, (16, 16)).astype(np.uint8)
        mask = np.zeros((16, 16), bool)
        mask[3:9, 4:12] = True
        audio = None
        if self.seed % WHICH == 0:
            AT_READ
        return Example(image=IMAGE, mask=MASK, audio=AUDIO)


def sample(number):
    number = number
    return Sample(id=ID, groups=GROUPS, read=READ, slice=SLICE, strata=STRATA, files=FILES)


def load(*, root, size: int = 3):
    AT_LOAD
    return SPLITS


DATASET = DatasetSpec(
    load=LOAD, title="T", paper="", citation="", licence="mine", needs_root=False, rendering=RENDERING, resolve=RESOLVE
)
'''
USUAL = {
    "WHICH": "1",
    "AT_READ": "pass",
    "AT_LOAD": "pass",
    "IMAGE": "image",
    "MASK": "mask",
    "AUDIO": "audio",
    "ID": "f'image-{number}'",
    "GROUPS": "{'recording': f'r{number}'}",
    "READ": "Read(number)",
    "SLICE": "'main'",
    "STRATA": "{'snr_db': 3.0}",
    "FILES": "()",
    "SPLITS": "{s: [sample(10 * n + m) for m in range(size)] for n, s in enumerate(('train', 'val', 'test'))}",
    "LOAD": "load",
    "RENDERING": "None",
    "RESOLVE": "None",
}
ODD = [
    "None",
    "7",
    "'x'",
    "b'x'",
    "[]",
    "{}",
    "()",
    "float('nan')",
    "object()",
    "10**400",
    "'\\0'",
    "'a\\nb'",
    "'\\ud800'",
]
DATA_CHOICES = {
    "WHICH": ["2", "3"],
    "AT_READ": [*RAISED[:19], "return None", "return 7", "return image", "image, mask = mask, image"],
    "AT_LOAD": [*RAISED[:19], "return None", "return 7", "return []", "return {}", "yield"],
    "IMAGE": [
        *ODD,
        "image.astype(float)",
        "image.astype(np.uint16)",
        "image.tolist()",
        "image[0]",
        "image[..., None]",
        "np.dstack([image] * 3)",
        "np.dstack([image] * 4)",
        "image[:0]",
        "image[:, :5]",
        "np.ma.array(image)",
        "image[::-1]",
        "np.zeros((1, 1), np.uint8)",
        "np.asmatrix(image)",
        "image.view(object) if 0 else image",
    ],
    "MASK": [
        *ODD,
        "mask.astype(np.uint8)",
        "mask * 255",
        "mask[:8]",
        "mask[..., None]",
        "~mask",
        "mask & False",
        "mask.T[::2]",
        "mask.tolist()",
        "np.ma.array(mask, mask=mask)",
    ],
    "AUDIO": [
        *ODD,
        "Audio(noisy=np.zeros(9), clean=np.zeros(9), sample_rate=8000)",
        "Audio(noisy=None, clean=None, sample_rate=0)",
        "Audio(noisy=np.zeros((9, 2)), clean=np.zeros(9), sample_rate=-1)",
        "Audio(noisy='x', clean=[1], sample_rate='y')",
        "Audio(noisy=np.zeros(1088) * float('nan'), clean=np.zeros(1088), sample_rate=8000)",
    ],
    "ID": [
        *ODD,
        "''",
        "number",
        "'same'",
        "'../../x' + str(number)",
        "f'{number}\\n'",
        "f'{number}\\0'",
        "f'a/b{number}'",
        "f'🐦{number}'",
        "f'{number},\"x\"'",
        "f'{number}\\u2028'",
        "' '",
        "f' {number} '",
        "f'nan' * number",
        "'=1+1' + str(number)",
        "f'{number}\\r'",
        "f'\"{number}'",
        "'NA' if number == 20 else str(number)",
        "f'\\x1b[31m{number}'",
        "'x' * 70_000 + str(number)",
    ],
    "GROUPS": [
        *ODD,
        "{'recording': number}",
        "{7: 'x'}",
        "{'recording': 'same'}",
        "{'': ''}",
        "{'pixels': 'x'}",
        "{'a\\nb': '\\0'}",
        "{'recording': None}",
    ],
    "READ": [*ODD, "lambda: None", "Read", "print", "lambda: Read(number)()"],
    "SLICE": [
        *ODD,
        "'ood'",
        "'main' if number % 2 else 'a,b\"'",
        "str(number)",
        "'a\\nb' if number % 2 else 'main'",
        "'\\r'",
    ],
    "STRATA": [
        *ODD,
        "{'snr_db': float('nan')}",
        "{'snr_db': 'loud'}",
        "{'snr_db': None}",
        "{'snr_db': 10**400}",
        "{7: 7}",
        "{'x': [1]}",
        "{'snr_db': np.float32(3)}",
        "{'snr_db': 1e308}",
    ],
    "FILES": [*ODD, "(Path('/nowhere/at/all'),)", "('/nowhere',)", "(Path('\\0'),)", "(None,)"],
    "SPLITS": [
        *ODD,
        "{'train': [sample(1)]}",
        "{s: [] for s in ('train', 'val', 'test')}",
        "{s: [7] for s in ('train', 'val', 'test')}",
        "{s: (sample(10 * n + m) for m in range(3)) for n, s in enumerate(('train', 'val', 'test'))}",
        "{s: [sample(m) for m in range(3)] for s in ('train', 'val', 'test')}",
        "{s: 7 for s in ('train', 'val', 'test')}",
        "{s: 'abc' for s in ('train', 'val', 'test')}",
        "{s: {sample(1): 1} for s in ('train', 'val', 'test')}",
        "{s: {n: sample(n)} for n, s in enumerate(('train', 'val', 'test'))}",
        "{s: [sample(10 * n + m) for m in range(3)] for n, s in enumerate(('train', 'val', 'test', 'more', 7))}",
    ],
    "LOAD": ["None", "7", "lambda: None", "lambda root: {}", "sys.exit", "print", "dict", "lambda *, root, **_: None"],
    "RENDERING": [*ODD, "Rendering(sample_rate='x')", "Rendering(peak=float('nan'))"],
    "RESOLVE": [
        "7",
        "lambda: None",
        "lambda **_: None",
        "lambda **_: 7",
        "lambda **_: 1 / 0",
        "lambda **_: sys.exit(3)",
    ],
}


def dataset(**parts: str) -> bytes:
    text = DATASET
    for name, part in {**USUAL, **parts}.items():
        # Names are words of their own: `READ` is part of `AT_READ`.
        text = "".join(part if piece == name else piece for piece in _pieces(text))
    return text.encode("utf-8", "surrogatepass")


def _pieces(text: str) -> list[str]:
    import re

    return re.split(r"(\b[A-Z_]+\b)", text)


@st.composite
def wrong_datasets(draw: st.DrawFn) -> bytes:
    chosen = draw(st.lists(st.sampled_from(list(DATA_CHOICES)), min_size=1, max_size=2))
    return dataset(**{name: draw(st.sampled_from(DATA_CHOICES[name])) for name in chosen})


def prepare(name: str) -> tuple[Cached, Any]:
    """List, decode, check and describe it, as a run does."""
    settings = protocol.load("quick").override({"image_size": (16, 16), "batch_size": 1})
    loaded = registry.load("datasets", name)
    cached = inputs.load_data(loaded, settings, None, silent)
    inputs.check_data(cached, settings, allow_leakage=False)
    return cached, inputs.resolved(loaded, None)


def require_right(cached: Cached) -> None:
    for split in cached.splits.values():
        assert len(split.rows) == len(split.images) == len(split.masks) >= 1
        assert len({row.id for row in split.rows}) == len(split.rows)
        assert all(isinstance(row.id, str) and row.id and row.id.isprintable() for row in split.rows)
        assert split.images.dtype == np.uint8


def test_the_usual_dataset_is_right(folder: Path) -> None:
    with plugin(folder, "datasets", dataset()) as name:
        found = outcome(lambda: prepare(name))
    assert not isinstance(found, UserError), found
    require_right(found[0])


EVERY = [(name, part) for name, choices in DATA_CHOICES.items() for part in choices]


@pytest.mark.parametrize(("name", "part"), EVERY)
def test_one_thing_wrong_in_a_dataset(folder: Path, name: str, part: str) -> None:
    with plugin(folder, "datasets", dataset(**{name: part})) as label:
        found = outcome(lambda: prepare(label))
    if not isinstance(found, UserError):
        require_right(found[0])


@cases(60)
@given(code=wrong_datasets())
def test_two_things_wrong_in_a_dataset(folder: Path, code: bytes) -> None:
    with plugin(folder, "datasets", code) as name:
        found = outcome(lambda: prepare(name))
    if not isinstance(found, UserError):
        require_right(found[0])


@cases(5, cost=20, shrink=False)
@given(code=wrong_datasets(), check=st.sampled_from([False, False, True]))
@example(
    code=dataset(ID="'NA' if number == 20 else str(number)", SLICE="'nan' if number == 22 else 'main'"), check=False
)
@example(code=dataset(AT_READ="sys.exit(0)"), check=False)
def test_the_commands_on_a_dataset(bench: Bench, folder: Path, tmp_path: Path, code: bytes, check: bool) -> None:
    results = tmp_path / f"results-{next(numbers)}"
    with plugin(folder, "datasets", code) as name:
        rest = ("--image-size", 16, "--batch-size", 1, "--results", results)
        words = ("check", "--dataset", name) if check else ("run", "--arch", "otsu", "--dataset", name, *rest)
        ran = bench(*words, "--plugins", folder)
        require_ended(ran.code, ran.err, usual=(0, 1, 2) if check else (0, 2))
        if not check and ran.code == 0:
            shown = bench("leaderboard", "--results", results)
            assert (shown.code, shown.err) == (0, "")
            checked = bench("verify", "--results", results)
            assert checked.code == 0, checked.out
            count("result")
