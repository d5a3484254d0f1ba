"""The settings of a made dataset: every number that changes a byte of it."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from benchmark.common.errors import UserError
from benchmark.data.spectrogram import Transform

Count = Annotated[int, Field(ge=1)]


class Settings(BaseModel):
    """Counts of images, seconds, Hz, dB; the defaults are the reference paper's scale.

    `slice_` is the number of images of each further test slice. `lowpass` None: just below the lowest Nyquist frequency
    among the recordings. `bird`, `species` and `site` are regular expressions for file names: the first group that
    matches is the name, or the whole match; empty means not stated. The last five are those of `Transform`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    seed: Annotated[int, Field(ge=0)] = 0
    train: Count = 1000
    val: Count = 200
    test: Count = 300
    slice_: Count = 100
    seconds: Annotated[float, Field(ge=0.1, le=60)] = 4.0
    sample_rate: Annotated[int, Field(ge=4_000, le=384_000)] = 32_000
    channel: Annotated[int, Field(ge=0)] = 0
    highpass: Annotated[float, Field(ge=0)] = 500.0
    lowpass: Annotated[float, Field(gt=0)] | None = None
    snr_low: float = -5.0
    snr_high: float = 15.0
    active_db: Annotated[float, Field(gt=0)] = 30.0
    peak: Annotated[float, Field(gt=0, le=1)] = 0.9
    gain_low: float = -10.0
    gain_high: Annotated[float, Field(le=0)] = 0.0
    smoothing: Annotated[float, Field(ge=0)] = 4.0
    floor_db: Annotated[float, Field(le=0)] = -30.0
    radius: Annotated[int, Field(ge=0, le=50)] = 3
    smallest: Annotated[int, Field(ge=0)] = 200
    own_db: Annotated[float, Field(ge=0)] | None = None
    foreign_db: Annotated[float, Field(gt=0)] = 15.0
    bird: str = ""
    species: str = ""
    site: str = ""
    window: Count = 128
    hop: Count = 64
    fft_length: Count = 1024
    sides: Annotated[int, Field(ge=1, le=2)] = 2
    scale: Literal["linear", "decibel", "contrast"] = "linear"

    @model_validator(mode="after")
    def _ranges(self) -> Self:
        for low, high in (("snr_low", "snr_high"), ("gain_low", "gain_high")):
            if getattr(self, low) > getattr(self, high):
                raise ValueError(f"--{low.removesuffix('_low')} wants the lower number first")
        if self.highpass >= (self.lowpass or self.sample_rate / 2) or (self.lowpass or 0) > self.sample_rate / 2:
            raise ValueError("highpass < lowpass <= half the sample rate must hold")
        if self.window % self.hop or self.fft_length % 2 or self.fft_length < self.window:
            raise ValueError("the window must be a multiple of the hop, the FFT length even and no shorter")
        return self

    @property
    def transform(self) -> Transform:
        """From the sounds to the images."""
        return Transform(**{name: getattr(self, name) for name in Transform.__slots__})

    @property
    def frames(self) -> int:
        """Columns of an image."""
        return self.transform.frame_count(round(self.seconds * self.sample_rate))

    @property
    def samples(self) -> int:
        """Samples of a mixture: as many as its frames span."""
        return self.transform.sample_count(self.frames)


def checked(**values: Any) -> Settings:
    """The settings from the options of the command.

    Raises:
        UserError: a value is out of its range.
    """
    try:
        return Settings(**values)
    except ValidationError as error:
        first = error.errors()[0]
        option = "--" + str(first["loc"][0]).rstrip("_").replace("_", "-") + ": " if first["loc"] else ""
        raise UserError(f"{option}{first['msg'].removeprefix('Value error, ')}") from error
