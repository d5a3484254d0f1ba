"""Settings, their digest, and mistakes in them."""

from pathlib import Path

import pytest

from benchmark import protocols
from benchmark.common.errors import UserError

PAPER = protocols.load("paper")


def test_the_paper_protocol_says_what_the_paper_says() -> None:
    assert PAPER.image_size == (512, 512)
    assert PAPER.channels == 3
    assert (PAPER.optimiser, PAPER.learning_rate, PAPER.loss) == ("adam", 1e-4, "bce")
    assert (PAPER.batch_size, PAPER.epochs, PAPER.weights) == (16, 30, "pretrained")


def test_quick_comes_first() -> None:
    assert protocols.names() == ["quick", "dawn", "dawn-quick", "mix", "mix-quick", "paper"]


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("quick", "42d9dc09fcba"),
        ("dawn", "1a11790b5117"),
        ("dawn-quick", "d0a8246a81fa"),
        ("paper", "9ff65331c926"),
        ("mix", "739373297fb8"),
        ("mix-quick", "2e98bece99c2"),
    ],
)
def test_no_table_moves_unnoticed(name: str, digest: str) -> None:
    assert protocols.load(name).digest.startswith(digest)


def test_words_and_defaults_are_not_in_the_digest(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('# a comment\ntitle = "Another title"\ndataset = "birdsounds"\n')
    assert protocols.load(str(path)).digest == PAPER.digest


CHANGES = {
    "dataset": "folder",
    "image_size": (512, 256),
    "channels": 1,
    "normalisation": "none",
    "weights": "none",
    "loss": "bce_dice",
    "optimiser": "sgd",
    "learning_rate": 2e-4,
    "learning_rates": (1e-4, 1e-3),
    "weight_decay": 0.1,
    "schedule": "cosine",
    "epochs": 31,
    "batch_size": 15,
    "augmentation": "time_roll",
    "selection": "last_epoch",
    "threshold": 0.4,
    "focal_gamma": 1.0,
    "tversky_missed": 0.5,
    "gradient_clip": 1.0,
    "warm_up": 1.0,
    "flips": "both",
}


@pytest.mark.parametrize("name", CHANGES)
def test_every_setting_is_in_the_digest(name: str) -> None:
    changed = PAPER.override({name: CHANGES[name]})
    assert changed.digest != PAPER.digest
    assert list(changed.changes_from(PAPER)) == [name]


def test_no_setting_is_forgotten_above() -> None:
    assert set(CHANGES) | set(protocols.UNDIGESTED) == set(protocols.Protocol.model_fields)


def test_a_setting_that_was_removed_is_read_from_records() -> None:
    settings = PAPER.model_dump(exclude=set(protocols.UNDIGESTED))
    assert protocols.recorded("paper", {**settings, "empty_masks": "excluded"}).digest == PAPER.digest
    with pytest.raises(UserError, match="unknown setting 'empty_masks'"):
        protocols.recorded("paper", {**settings, "empty_masks": "counted"})


def test_the_revision_is_in_the_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    before = PAPER.digest
    monkeypatch.setattr(protocols, "REVISION", 99)
    assert PAPER.digest != before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('dataset = "x"\nepoch = 3', "unknown setting 'epoch' in .*did you mean 'epochs'"),
        ('dataset = "x"\nepochs = 0', "setting 'epochs' = 0 in "),
        ('dataset = "x"\nloss = "mse"', "setting 'loss' = 'mse' in .*bce_dice"),
        ('dataset = "x"\nlearning_rate = nan', "setting 'learning_rate' = nan"),
        ("epochs = 3", "setting 'dataset' is missing"),
        ("epochs = ", "is not a readable TOML file"),
    ],
)
def test_mistakes_in_a_file_are_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "p.toml"
    path.write_text(text)
    with pytest.raises(UserError, match=message) as error:
        protocols.load(str(path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", protocols.UNDIGESTED)
def test_what_a_protocol_is_called_is_no_setting(name: str) -> None:
    with pytest.raises(UserError, match=f"'{name}' cannot be set"):
        PAPER.override({name: "../../evil"})


@pytest.mark.parametrize("name", ["paper.toml", "a b.toml", "...toml"])
def test_a_file_may_not_pass_for_one_of_ours(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text('dataset = "x"')
    with pytest.raises(UserError, match=r"rename .*: use letters"):
        protocols.load(str(tmp_path / name))


def test_unknown_protocols() -> None:
    with pytest.raises(UserError, match=r"no protocol 'quik' \(did you mean 'quick'"):
        protocols.load("quik")
    with pytest.raises(UserError, match=r"no protocol file nowhere\.toml"):
        protocols.load("nowhere.toml")


@pytest.mark.parametrize("value", ["a\nb", [1, [2]], {"x": 1}, object()])
def test_a_refused_value_is_one_line(value: object) -> None:
    with pytest.raises(UserError) as error:
        PAPER.override({"epochs": value})
    assert "\n" not in str(error.value)
