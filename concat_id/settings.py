"""How a video is sampled: the settings of a job, and one row for each of them.

`Settings` is what a job holds. From a row of `SETTINGS` are made the widget of a form, the argument of the
API and of MCP, the option of the command line, the line of a run's card and what a comparison calls it. A new
setting is a field of `Settings` and of `Preset`, and a row.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from concat_id.errors import InvalidJob
from concat_id.loading.presets import FRAMES_PER_LATENT, Preset
from concat_id.speed import SPEEDS
from concat_id.validation import either, require, require_integer, require_number, require_text, show

SEED_LIMIT = 2**32
RANDOM_SEED = -1
MAX_STEPS = 200
MAX_GUIDANCE = 30.0
MIN_SHIFT = 0.1
MAX_FPS = 60
MAX_TEXT_TOKENS = 512
MAX_LAYERS = 100


@dataclass(frozen=True)
class Settings:
    """How to sample; None stands for the preset's value, for the seed for a random one."""

    seed: int | None = None  # 0 to 2^32 - 1; -1 says None, as it does everywhere in this field
    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    reference_guidance_scale: float | None = None  # 1: off
    negative_prompt: str | None = None
    num_frames: int | None = None  # 4 k + 1, on CogVideoX 8 k + 1
    height: int | None = None  # px, see `Preset.side_multiple_px`
    width: int | None = None  # px
    fps: int | None = None
    speed: str | None = None  # key of `SPEEDS`
    # What a form does not ask for, but a video depends on: with it, the job outlives changes of its preset.
    skip_guidance_layers: tuple[int, ...] | None = None
    shift: float | None = None
    max_sequence_length: int | None = None  # text tokens

    def __post_init__(self) -> None:
        if isinstance(self.skip_guidance_layers, list):  # as JSON has it
            object.__setattr__(self, "skip_guidance_layers", tuple(self.skip_guidance_layers))
        for entry in fields(self):  # as spreadsheets and JavaScript write whole numbers
            value = getattr(self, entry.name)
            if entry.type.startswith("int") and isinstance(value, float) and value.is_integer():
                object.__setattr__(self, entry.name, int(value))
        if self.seed == RANDOM_SEED:
            object.__setattr__(self, "seed", None)

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON types."""
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()
        }

    @classmethod
    def of(cls, preset: Preset) -> Settings:
        """A preset's own, without a seed."""
        return cls(
            **{entry.name: getattr(preset, entry.name) for entry in fields(cls) if entry.name != "seed"}
        )

    def fill_former(self) -> Settings:
        """Those of a sidecar, with what settings were before sidecars had them."""
        former = {
            name: value
            for kind in SETTINGS
            for name, value in zip(kind.fields, kind.former or (), strict=False)
        }
        return replace(self, **{name: value for name, value in former.items() if getattr(self, name) is None})

    def resolve(self, preset: Preset) -> Settings:
        """Fill in the preset's values and a random seed, and check everything."""
        given = {name: value for name, value in vars(self).items() if value is not None}
        settings = replace(Settings.of(preset), **{"seed": secrets.randbelow(SEED_LIMIT)} | given)
        for kind in SETTINGS:
            kind.check(settings, preset)
        return settings


@dataclass(frozen=True)
class Slider:
    """A widget for a number: its ends, which programs may exceed, its step, and the line below it."""

    low: float
    high: float
    step: float
    info: str


@dataclass(frozen=True)
class SettingKind:
    """One setting, wherever it is shown or asked for.

    Attributes:
        name: what programs call it.
        label: what it is called on the page, in a run's card and, in small letters, in comparisons.
        fields: of `Settings`; one, or width and height.
        check: refuses values of resolved settings that the preset cannot have.
        about: for programs and `--help`; without it, neither asks for it.
        type: of a program's or the command line's value.
        range: what programs are told of the ends of numbers.
        widget: of the forms; "size" and "length" follow the model; None: not on the page.
        parse: what a widget or a program gives, as the fields' values; None stands for the preset's.
        describe: the fields' values in words.
        former: the fields' values in sidecars from before the setting was written down.
        late: which time programs' arguments grew, if this came then: each time goes behind those before.
        is_text: published by its digest alone.
    """

    name: str
    label: str
    fields: tuple[str, ...]
    check: Callable[[Settings, Preset], None]
    about: str = ""
    type: Callable[[str], Any] = str
    range: tuple[float, float | None] | None = None
    widget: Slider | Literal["text", "seed", "size", "length", "speed"] | None = None
    parse: Callable[[Any], tuple[Any, ...]] = lambda value: (value,)
    describe: Callable[..., str] = str
    former: tuple[Any, ...] | None = None
    late: Literal[0, 1, 2] = 0
    is_text: bool = False

    @property
    def option(self) -> str:
        """What the command line calls it: as programs do, but for what it had another name for before."""
        return {"likeness": "reference-guidance"}.get(self.name, self.name.replace("_", "-"))

    def read(self, value: Any) -> dict[str, Any]:
        """The fields that a widget's or a program's value stands for."""
        return dict(zip(self.fields, self.parse(value), strict=True))

    def values(self, settings: Settings | Preset) -> tuple[Any, ...]:
        """The fields' values."""
        return tuple(getattr(settings, field) for field in self.fields)

    def fill(self, settings: Settings | Preset) -> Any:
        """The value as a widget has it: what `parse` reads."""
        values = self.values(settings)
        return format_size(*values) if self.widget == "size" else values[0]

    def word(self, settings: Settings) -> str:
        """The value in words; runs from before a setting was written down do not have it."""
        values = self.values(settings)
        return "unknown" if None in values else self.describe(*values)


def read_seed(value: str | float | None) -> tuple[int | None]:
    """The seed in a field or from a program; None if it was left empty."""
    if value is None or str(value).strip() == "":
        return (None,)
    try:
        return (int(value),)
    except (ValueError, OverflowError) as error:
        raise InvalidJob(f"the seed must be a whole number, got '{value}'; or leave it empty.") from error


def parse_size(text: str) -> tuple[int, int]:
    """Width and height from a text such as 480x832, however the cross is written."""
    found = re.fullmatch(r"\s*(\d{1,5})\s*[x\u00d7*,:]\s*(\d{1,5})\s*", text, re.IGNORECASE | re.ASCII)
    require(found is not None, f"the size is {show(text)}; give width x height, such as 480x832.")
    return int(found.group(1)), int(found.group(2))


def format_size(width: int, height: int) -> str:
    """What `parse_size` reads."""
    return f"{width}x{height}"


def count_tokens(width: int, height: int, num_frames: int, preset: Preset, num_references: int = 1) -> int:
    """Tokens of a video with its references: what a denoising step takes grows with them at least."""
    latent_frames = (num_frames - 1) // FRAMES_PER_LATENT + 1 + num_references
    return latent_frames * (height // preset.side_multiple_px) * (width // preset.side_multiple_px)


def _read_whole(value: float | None) -> tuple[int | None]:
    return (None if value is None else int(value),)


def _whole(field: str, low: int, high: int) -> Callable[[Settings, Preset], None]:
    return lambda settings, _: require_integer(field, getattr(settings, field), low, high)


def _strength(field: str) -> Callable[[Settings, Preset], None]:
    return lambda settings, _: require_number(field, getattr(settings, field), 0, MAX_GUIDANCE)


def _check_length(settings: Settings, preset: Preset) -> None:
    """Lengths that the model can make, and not far from what it was trained on."""
    require_integer("num_frames", settings.num_frames, 1, 2 * preset.num_frames)
    stride = preset.frame_stride
    nearest = (settings.num_frames - 1) // stride * stride + 1
    require(
        settings.num_frames == nearest,
        f"num_frames must be {stride} k + 1, got {settings.num_frames}; try {nearest}.",
    )


def _check_size(settings: Settings, preset: Preset) -> None:
    """Sides that the model can make, and not far from what it was trained on."""
    multiple = preset.side_multiple_px
    for name in ("height", "width"):
        side = getattr(settings, name)
        require_integer(name, side, 2 * multiple, 2 * max(preset.height, preset.width))
        nearest = side // multiple * multiple
        require(side == nearest, f"{name} must be a multiple of {multiple}, got {side}; try {nearest}.")


def _check_shift(settings: Settings, preset: Preset) -> None:
    if preset.shift is not None:
        require_number("shift", settings.shift, MIN_SHIFT, MAX_GUIDANCE)
    require(
        (settings.shift is None) == (preset.shift is None),
        "the preset's noise schedule has no shift; leave it out.",
    )


def _check_speed(settings: Settings, preset: Preset) -> None:
    """One of the speeds; ConsisID, which is here to be compared with, has no caches."""
    values = tuple(SPEEDS) if preset.backbone != "consisid" else ("exact",)
    require(settings.speed in values, f"speed must be {either(values)}, got {show(settings.speed)}.")


def _check_layers(settings: Settings, _: Preset) -> None:
    """Numbers of blocks; which of them the model has, the pipeline knows."""
    value = settings.skip_guidance_layers
    require(
        isinstance(value, tuple) and len(value) <= MAX_LAYERS,
        f"skip_guidance_layers must be a list of at most {MAX_LAYERS} numbers, got {show(value)}.",
    )
    for number in value:
        require_integer("each of skip_guidance_layers", number, 0, MAX_LAYERS)


def _in_short(value: float) -> str:
    return f"{value:g}"


# In the order in which forms and programs ask for them.
SETTINGS: tuple[SettingKind, ...] = (
    SettingKind(
        "negative_prompt",
        "Negative prompt",
        ("negative_prompt",),
        check=lambda settings, _: require_text("negative_prompt", settings.negative_prompt),
        about="what the video should not show; none: the model's own.",
        widget="text",
        is_text=True,
    ),
    SettingKind(
        "seed",
        "Seed",
        ("seed",),
        check=_whole("seed", 0, SEED_LIMIT - 1),
        about="0 to 2^32 - 1; none or -1 draws one.",
        type=int,
        widget="seed",
        parse=read_seed,
    ),
    SettingKind(
        "steps",
        "Steps",
        ("num_inference_steps",),
        check=_whole("num_inference_steps", 1, MAX_STEPS),
        about=f"denoising steps, 1 to {MAX_STEPS}; none: the model's own.",
        type=int,
        range=(1, MAX_STEPS),
        widget=Slider(1, 100, 1, "More steps: finer and slower."),
        parse=_read_whole,
    ),
    SettingKind(
        "guidance",
        "Guidance",
        ("guidance_scale",),
        check=_strength("guidance_scale"),
        about="how strictly the prompt is followed; none: the model's own.",
        type=float,
        range=(0, MAX_GUIDANCE),
        widget=Slider(
            1, 12, 0.1, "How strictly the prompt is followed; with the embedded model, the picture, too."
        ),
        describe=_in_short,
    ),
    SettingKind(
        "likeness",
        "Likeness",
        ("reference_guidance_scale",),
        check=_strength("reference_guidance_scale"),
        about="strength of the reference; 1 is the method as it is; none: the model's own.",
        type=float,
        range=(0, MAX_GUIDANCE),
        widget=Slider(
            0, 4, 0.1, "1: as the method does it, and fastest. Higher: more alike. Lower: more freely edited."
        ),
        describe=_in_short,
        former=(1.0,),
    ),
    SettingKind(
        "size",
        "Size",
        ("width", "height"),
        check=_check_size,
        about="width x height in px, multiples of 16, such as 480x832; none: the model's own.",
        widget="size",
        parse=lambda value: parse_size(value) if value else (None, None),
        describe=lambda width, height: f"{width} \u00d7 {height}",
        late=1,
    ),
    SettingKind(
        "frames",
        "Frames",
        ("num_frames",),
        check=_check_length,
        about="length, 4 k + 1, on CogVideoX 8 k + 1; none: the model's own.",
        type=int,
        range=(1, None),
        widget="length",
        parse=_read_whole,
        late=1,
    ),
    SettingKind(
        "fps",
        "FPS",
        ("fps",),
        check=_whole("fps", 1, MAX_FPS),
        about=f"frames per second, 1 to {MAX_FPS}; none: the model's own.",
        type=int,
        parse=_read_whole,
        late=1,
    ),
    SettingKind(
        "speed",
        "Speed",
        ("speed",),
        check=_check_speed,
        about=f"{', '.join(SPEEDS)}: what is left out to save time; none: the model's own.",
        widget="speed",
        former=("exact",),
        late=2,
    ),
    SettingKind("shift", "Noise shift", ("shift",), check=_check_shift, describe=_in_short),
    SettingKind(
        "skip_guidance_layers",
        "Skipped blocks",
        ("skip_guidance_layers",),
        check=_check_layers,
        describe=lambda layers: " ".join(map(str, layers)) or "none",
    ),
    SettingKind(
        "max_sequence_length",
        "Text tokens",
        ("max_sequence_length",),
        check=_whole("max_sequence_length", 1, MAX_TEXT_TOKENS),
    ),
)
# What a visitor's form asks for; what a program or the command line may say.
FORM_SETTINGS = tuple(kind for kind in SETTINGS if kind.widget)
ASKED_SETTINGS = tuple(kind for kind in SETTINGS if kind.about)


def read_settings(values: Mapping[str, Any], base: Settings = Settings()) -> Settings:
    """Settings from values by the names that programs have for them.

    Args:
        values: others, too, which are passed over.
        base: what to take the rest from.
    """
    read = [kind.read(values[kind.name]) for kind in ASKED_SETTINGS if kind.name in values]
    return replace(base, **{field: value for part in read for field, value in part.items()})
