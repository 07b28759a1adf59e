"""The transform editor: the engine, the template, and what it gives for the last real payload."""

import json
from collections.abc import Callable, Mapping
from typing import cast

from PySide6.QtWidgets import QPushButton, QWidget

from app.viewmodels.chain_draft import Fields
from app.views.chains.fields import as_json, caption, show_error, well
from app.views.parts import bind, column, fill, label
from app.widgets.code_field import CodeField
from app.widgets.segmented import Segmented

ENGINES = (("", "None"), ("liquid", "Liquid"), ("jsonpath", "JSONPath"), ("static", "Static"), ("llm", "LLM"))
ABOUT = {
    "": "The arguments above are given as they are.",
    "liquid": "Texts are templates: {{ result.name | upcase }}. The result lies over the arguments.",
    "jsonpath": "Each text is a path: $.result.items[0].name.",
    "static": "Given as it stands, nothing is read from what came before.",
    "llm": "A question to a model; braces are filled in first. Its answer becomes `value`, or an object with a schema.",
}


class TransformEditor(QWidget):
    """Shows a transform; `told` gets it after each change that can be read (None: no transform)."""

    def __init__(self, told: Callable[[Fields | None, str], None]) -> None:
        super().__init__()
        self.setObjectName("chains.transform")
        self._told = told
        self._transform: Fields | None = None
        self._names: tuple[str, ...] = ()
        self._is_quiet = False
        layout = column(self, spacing=6)
        self.engine = Segmented(ENGINES, "Transform", small=True)
        self.engine.setObjectName("chains.transform.engine")
        self.engine.changed.connect(self._choose)
        for segment in self.engine.findChildren(QPushButton):
            segment.setMinimumWidth(1)  # at twice the text size their padding gives way, and not the panel
        self.about = label("", "small", "tertiary", wraps=True)
        self.template = CodeField("chains.transform.template", "Template", least=3, most=14)
        self.template.written.connect(bind(self._typed))
        self.more_caption = caption("Schema and options")
        self.more = CodeField("chains.transform.more", "Schema and options", least=1, most=8)
        self.more.setPlaceholderText('{"schema": {"required_keys": ["title"]}}')
        self.more.written.connect(bind(self._typed))
        self.result_caption = caption("Result")
        self.result = well("chains.transform.result", "Result on the last real payload")
        self.verdict = label("", "small", "tertiary", wraps=True, name="chains.transform.verdict")
        fill(layout, self.engine, self.about, self.template, self.more_caption, self.more)
        fill(layout, self.result_caption, self.result, self.verdict)
        self._show()

    def show_transform(self, transform: Fields | None, names: tuple[str, ...]) -> None:
        """Show this; `names` are the arguments the task needs, for a first template."""
        self._names = names
        if transform == self._transform:
            return
        self._transform = transform
        self._show()

    def show_result(self, args: object, reason: str, ask: str) -> None:
        """What it gave: arguments, or why not, or the question for a model; nothing at all clears it."""
        has_any = args is not None or bool(reason) or bool(ask)
        self.result_caption.setVisible(has_any)
        self.result.setVisible(args is not None or bool(ask))
        if args is not None:
            self.result.set_words(as_json(args))
        elif ask:
            self.result.set_words(ask)
        self.result_caption.setText("Asks the model" if ask else "Result on the last real payload")
        words, tone = (reason, "error") if reason else ("", "tertiary")
        if args is not None and self._names:
            missing = [name for name in self._names if name not in cast("Fields", args)]
            words, tone = (
                (f"The task also needs {', '.join(missing)}.", "error")
                if missing
                else ("Fits what the task needs.", "ok")
            )
        self.say(words, tone)

    def say(self, words: str, tone: str) -> None:
        """A sentence below the result."""
        self.verdict.setVisible(bool(words))
        self.verdict.setText(words)
        if self.verdict.property("tone") != tone:
            self.verdict.setProperty("tone", tone)
            self.verdict.style().unpolish(self.verdict)
            self.verdict.style().polish(self.verdict)

    def _show(self) -> None:
        self._is_quiet = True
        engine = str(self._transform.get("engine", "liquid")) if self._transform is not None else ""
        if engine in dict(ENGINES):
            self.engine.choose(engine)
        self.about.setText(ABOUT.get(engine, ""))
        has = self._transform is not None
        for widget in (self.template, self.more, self.more_caption):
            widget.setVisible(has)
        if self._transform is not None:
            template = self._transform.get("template")
            words = (
                template if isinstance(template, str) else json.dumps(template, ensure_ascii=False, indent=1)
            )
            if self._read_template(self.template.toPlainText(), engine)[0] != template:
                self.template.set_words(words)
            rest = {key: value for key, value in self._transform.items() if key not in ("engine", "template")}
            if self._read_more()[0] != rest:
                self.more.set_words(json.dumps(rest, ensure_ascii=False, indent=1) if rest else "")
            show_error(self.template, "")
            show_error(self.more, "")
        else:
            self.show_result(None, "", "")
        self._is_quiet = False

    def _choose(self, engine: str) -> None:
        if not engine:
            self._transform = None
            self._show()
            self._told(None, "transform")
            return
        before = self._transform or {}
        template = before.get("template", self._first(engine))
        if engine == "llm" and not isinstance(template, str):
            template = "Summarise in one sentence: {{ result }}"
        made: dict[str, object] = {"engine": engine, "template": template}
        if schema := before.get("schema"):
            made["schema"] = schema
        if engine == "llm" and (options := before.get("options")):
            made["options"] = options
        self._transform = made
        self._show()
        self._told(made, "transform")

    def _first(self, engine: str) -> object:
        names = self._names or ("value",)
        words = {"liquid": "{{ result }}", "jsonpath": "$.result", "static": ""}.get(engine, "{{ result }}")
        return dict.fromkeys(names, words)

    def _typed(self) -> None:
        if self._is_quiet or self._transform is None:
            return
        engine = str(self._transform.get("engine", "liquid"))
        template, wrong = self._read_template(self.template.toPlainText(), engine)
        show_error(self.template, wrong)
        more, wrong_more = self._read_more()
        show_error(self.more, wrong_more)
        if wrong or wrong_more:
            return
        self._transform = {"engine": engine, "template": template, **more}
        self._told(self._transform, "transform.text")

    def _read_template(self, words: str, engine: str) -> tuple[object, str]:
        text = words.strip()
        if engine == "llm" or not text.startswith(("{", "[", '"')) or text.startswith(("{{", "{%")):
            return words, ""
        try:
            return json.loads(text), ""
        except ValueError as error:
            return words, f"This is not JSON: {error}"

    def _read_more(self) -> tuple[Mapping[str, object], str]:
        text = self.more.toPlainText().strip()
        if not text:
            return {}, ""
        try:
            found: object = json.loads(text)
        except ValueError as error:
            return {}, f"This is not JSON: {error}"
        if not isinstance(found, dict):
            return {}, "Write an object with schema, and options for a model."
        return cast("Fields", found), ""
