"""Contrast by WCAG 2.2 and the search for an accent that passes it; pure, on `#RRGGBB` strings."""

import colorsys

TEXT_RATIO_MIN = 4.5
MARK_RATIO_MIN = 3.0
STEPS = 100
HOVER_SHIFT, PRESSED_SHIFT = 0.04, -0.05


def contrast(first: str, second: str) -> float:
    """The contrast ratio of two colours, 1.0–21.0; an alpha part is ignored."""
    a, b = luminance(first), luminance(second)
    return (max(a, b) + 0.05) / (min(a, b) + 0.05)


def luminance(colour: str) -> float:
    """Relative luminance 0–1 (WCAG 2.2)."""
    channels = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in _rgb(colour)]
    return 0.2126 * channels[0] + 0.7152 * channels[1] + 0.0722 * channels[2]


def accent_group(accent: str, colours: dict[str, str], *, dark: bool) -> dict[str, str]:
    """The six accent tokens and the ring for a user's accent, each at the nearest lightness that passes.

    Fills must carry `text.onAccent` at 4.5:1, `accent.text` must read on every surface it is used on, the ring must
    stand 3:1 off them. Raises ValueError where `accent` is not `#RRGGBB`.
    """
    surfaces = [colours[f"bg.{name}"] for name in ("content", "side", "raised", "hover", "selected")]
    on_accent = colours["text.onAccent"]
    fill = _nearest(accent, [on_accent], TEXT_RATIO_MIN)
    soft = _shade(accent, 0.20 if dark else 0.95, saturation=0.28 if dark else 0.6)
    shift = HOVER_SHIFT if dark else -HOVER_SHIFT
    return {
        "accent.fill": fill,
        "accent.hover": _nearest(_moved(fill, shift), [on_accent], TEXT_RATIO_MIN),
        "accent.pressed": _nearest(_moved(fill, PRESSED_SHIFT * 2), [on_accent], TEXT_RATIO_MIN),
        "accent.text": _nearest(accent, [*surfaces, soft], TEXT_RATIO_MIN),
        "accent.soft": soft,
        "focus.ring": _nearest(accent, surfaces, MARK_RATIO_MIN),
    }


def _nearest(colour: str, against: list[str], floor: float) -> str:
    """`colour` moved as little as possible in lightness so that it stands `floor`:1 off all of `against`."""
    hue, lightness, saturation = colorsys.rgb_to_hls(*_rgb(colour))
    candidates = sorted((i / STEPS for i in range(STEPS + 1)), key=lambda value: abs(value - lightness))
    for value in (lightness, *candidates):
        shade = _hex(colorsys.hls_to_rgb(hue, value, saturation))
        if all(contrast(shade, other) >= floor for other in against):
            return shade
    return colour  # no lightness passes against contradictory surfaces; the tokens never are


def _moved(colour: str, by: float) -> str:
    hue, lightness, saturation = colorsys.rgb_to_hls(*_rgb(colour))
    return _hex(colorsys.hls_to_rgb(hue, min(max(lightness + by, 0.0), 1.0), saturation))


def _shade(colour: str, lightness: float, saturation: float) -> str:
    hue, _, own = colorsys.rgb_to_hls(*_rgb(colour))
    return _hex(colorsys.hls_to_rgb(hue, lightness, min(own, saturation)))


def _rgb(colour: str) -> tuple[float, float, float]:
    digits = colour.removeprefix("#")
    if len(digits) not in {6, 8}:
        raise ValueError(f"not a colour: {colour!r}; write it as six hexadecimal digits after a hash")
    digits = digits[-6:]
    return int(digits[0:2], 16) / 255, int(digits[2:4], 16) / 255, int(digits[4:6], 16) / 255


def _hex(rgb: tuple[float, float, float]) -> str:
    return "#" + "".join(f"{round(channel * 255):02X}" for channel in rgb)
