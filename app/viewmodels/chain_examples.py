"""Two chains to begin with. Both run at once on this computer, with no network and no key. Pure."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Example:
    """A ready chain: its text, what it shows, and an input it runs with."""

    name: str
    title: str
    about: str
    text: str
    input: dict[str, object] = field(default_factory=dict[str, object])


EXAMPLES: tuple[Example, ...] = (
    Example(
        name="shopping-list",
        title="Keep a list",
        about="Writes a list to a file, reads it back, goes on only if it holds something, and logs each item.",
        input={"title": "Saturday", "items": ["bread", "oranges", "lamp oil"]},
        text="""\
name: shopping-list
description: Writes a list to a file, reads it back and logs each item.
nodes:
  # Templates stand in double braces; input is what the run was started with.
  save:
    task: file.text.write
    args: {path: shopping.txt, text: "{{ input.title }}\\n{{ input.items | join: '\\n' }}"}
  open: {task: file.text.read, args: {path: "{{ result.path }}"}}
  item: {task: log.message.write, args: {message: "{{ index | plus: 1 }}. {{ item }}"}}
  done:
    task: log.message.write
    args: {message: "{{ results.item | size }} items are on the list."}
    join: all
  alarm: {task: log.message.write, args: {message: "The list was not saved: {{ error }}", level: warning}}
edges:
  - {from: save, to: open}
  - {from: save, to: alarm, on: failure}
  # One run of item for each member of the list, if the file holds any text.
  - {from: open, to: item, when: {all: [{fact: result.text, operator: not_empty}]}, each: $.input.items}
  - {from: item, to: done}
""",
    ),
    Example(
        name="ask-and-sort",
        title="Ask and sort",
        about="Asks the model on this computer, and takes one way or another by what it answered.",
        input={"question": "Is red a warm or a cold colour?"},
        text="""\
name: ask-and-sort
description: Asks a model and sorts what it answered.
nodes:
  ask:
    task: llm.chat.ask
    args: {prompt: "{{ input.question }}", system: Answer in one short sentence.}
    retry: {max: 1}
  warm: {task: log.message.write, transform: {engine: liquid, template: {message: "Warm: {{ result.text }}"}}}
  other:
    task: file.text.write
    args: {path: answer.txt, text: "{{ result.text }}"}
  told:
    task: log.message.write
    args: {message: "Asked: {{ input.question }}"}
    join: any
edges:
  - {from: ask, to: warm, when: {all: [{fact: result.text, operator: contains, value: warm}]}}
  - {from: ask, to: other, when: {not: [{fact: result.text, operator: contains, value: warm}]}}
  - {from: warm, to: told}
  - {from: other, to: told}
""",
    ),
)
