"""Theme and text size: applied before the first frame from what was remembered, then kept as the settings say."""

from typing import Any, cast

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QApplication

from app.theme.apply import ThemeChoice, apply
from app.views.services import Services
from app.views.store import Store

THEME_KEY, SCALE_KEY, MOTION_KEY = "appearance.theme", "appearance.text_scale", "appearance.reduced_motion"
# The configuration says `contrast` where the look says `highContrast`.
TO_LOOK = {"system": "system", "light": "light", "dark": "dark", "contrast": "highContrast"}
TO_SETTING = {look: setting for setting, look in TO_LOOK.items()}
SCALES = (0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 1.75, 2.0)


def apply_remembered(app: QApplication, store: Store) -> None:
    """The look of the last run, so that the first frame is right before the settings are read."""
    choice = TO_LOOK.get(store.text("look/theme", "system"), "system")
    apply(app, cast("ThemeChoice", choice), _scale(store.text("look/scale", "1.0")))


class Appearance(QObject):
    """Keeps the look at what the settings say; a change here is a change of the setting."""

    def __init__(self, services: Services) -> None:
        super().__init__()
        self.setObjectName("appearance")
        self._services = services
        self._theme = services.store.text("look/theme", "system")
        self._scale = _scale(services.store.text("look/scale", "1.0"))
        services.settings.value_changed.connect(self._on_value)
        services.settings.changed.connect(self._follow)

    @property
    def scale(self) -> float:
        """The text size in force, 0.8–2.0."""
        return self._scale

    def set_theme(self, choice: str) -> None:
        """Put a theme of the look in force, and keep it."""
        setting = TO_SETTING.get(choice, "system")
        self._show(setting, self._scale)
        self._services.settings.set(THEME_KEY, setting)

    def set_scale(self, scale: float) -> None:
        """Put a text size in force, and keep it."""
        self._show(self._theme, scale)
        self._services.settings.set(SCALE_KEY, scale)

    def step_scale(self, step: int) -> None:
        """The next larger (+1) or smaller (-1) size."""
        nearest = min(range(len(SCALES)), key=lambda at: abs(SCALES[at] - self._scale))
        self.set_scale(SCALES[max(0, min(len(SCALES) - 1, nearest + step))])

    def _on_value(self, key: str) -> None:
        if key in (THEME_KEY, SCALE_KEY):
            self._follow()

    def _follow(self) -> None:
        settings = self._services.settings
        self._show(
            str(settings.value(THEME_KEY, self._theme)), _scale(settings.value(SCALE_KEY, self._scale))
        )

    def _show(self, theme: str, scale: float) -> None:
        if theme not in TO_LOOK or (theme == self._theme and abs(scale - self._scale) < 0.001):
            return
        self._theme, self._scale = theme, scale
        self._services.store.set_text("look/theme", theme)
        self._services.store.set_text("look/scale", f"{scale:g}")
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        apply(app, cast("ThemeChoice", TO_LOOK[theme]), scale)


def _scale(value: Any) -> float:
    try:
        return min(2.0, max(0.8, float(value)))
    except (TypeError, ValueError):
        return 1.0
