import contextlib
import json
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legion_core.engine.liquid import parsed
from legion_core.engine.liquid_filters import FILTERS
from legion_core.engine.liquid_frame import LIST_MAX, OUTPUT_CHARS_MAX, TooLarge, TooLong
from legion_core.engine.liquid_tokens import CHARS_MAX, LiquidFault
from tests.unit.engine.attacks import attacks

DATA = Path(__file__).parent / "data"
DOCUMENT = (Path(__file__).parents[3] / "docs" / "transforms.md").read_text(encoding="utf-8")


def render(template: str, **payload: object) -> str:
    return parsed(template).render(payload)


def outcome(case: dict[str, Any]) -> bool:
    """Whether a case of the public suite agrees."""
    try:
        found = parsed(case["template"]).render(case.get("data", {}))
    except LiquidFault:
        return bool(case.get("invalid"))
    return not case.get("invalid") and found in ([case["result"]] if "result" in case else case["results"])


def test_the_public_suite_agrees_but_for_the_differences_that_are_listed() -> None:
    cases = json.loads((DATA / "golden-liquid.json").read_text(encoding="utf-8"))["tests"]
    listed = (DATA / "golden-liquid-differences.txt").read_text(encoding="utf-8").splitlines()
    assert [case["name"] for case in cases if not outcome(case)] != []
    assert sorted(case["name"] for case in cases if not outcome(case)) == sorted(
        line for line in listed if not line.startswith("#")
    )


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("Hello, {{ name }}.", "Hello, Ada."),
        ("{{ 'a }} b' }}", "a }} b"),
        ("{{ result.items[0].name }}", "widget"),
        ("{{ result['items'][1]['name'] }}", "gadget"),
        ("{{ result.items.last.name }} of {{ result.items.size }}", "gadget of 2"),
        ("{{ result.items }}", '[{"name":"widget","price":12.5},{"name":"gadget","price":7}]'),
        ("{{ result.items | map: 'name' | join: ', ' }}", "widget, gadget"),
        ("{{ result.items | where: 'price', 7 | json }}", '[{"name":"gadget","price":7}]'),
        ("{% for i in result.items %}{{ forloop.index }}{{ i.name }} {% endfor %}", "1widget 2gadget "),
        ("{% for i in result.items reversed limit: 1 %}{{ i.name }}{% endfor %}", "widget"),
        ("{% for i in (1..3) %}{% if i == 2 %}{% continue %}{% endif %}{{ i }}{% endfor %}", "13"),
        ("{% for i in none %}{{ i }}{% else %}empty{% endfor %}", "empty"),
        ("{% for i in (1..9) %}{% if i > 2 %}{% break %}{% endif %}{{ i }}{% endfor %}", "12"),
        ("{% if nowhere %}a{% elsif result.items %}b{% else %}c{% endif %}", "b"),
        ("{% unless nowhere %}a{% endunless %}", "a"),
        ("{% case name %}{% when 'Bob', 'Ada' %}a{% else %}b{% endcase %}", "a"),
        ("{% assign x = name | upcase %}{{ x }}", "ADA"),
        ("{% capture x %}{{ name }}!{% endcapture %}{{ x }}{{ x }}", "Ada!Ada!"),
        ("{% raw %}{{ name }}{% endraw %}", "{{ name }}"),
        ("a {%- comment %} {{ x {% endcomment -%} b", "ab"),
        ("{% # a remark %}x", "x"),
        ("{% liquid\n assign x = 1\n if x == 1\n echo 'yes'\n endif %}", "yes"),
        ("a\n  {{- name -}}  \nb", "aAdab"),
        ("{{ nowhere | default: 'none' }}", "none"),
        ("{{ none }}|{{ yes }}|{{ 1.5 }}|{{ (1..3) }}", "|true|1.5|1..3"),
        ("{{ 0.1 | plus: 0.2 }} {{ 7 | divided_by: 2 }} {{ 7 | divided_by: 2.0 }}", "0.3 3 3.5"),
        ("{{ '2026-03-08T02:30:00Z' | date: '%d %b %Y' }} {{ 0 | date: '%Y' }}", "08 Mar 2026 1970"),
        ("{{ '<b>x</b><!-- y --><SCRIPT>z</script>w' | strip_html }}", "xw"),
        ("{% increment n %}{% increment n %}{% decrement n %}", "011"),
        ("{% cycle 'a', 'b' %}{% cycle 'a', 'b' %}{% cycle 'a', 'b' %}", "aba"),
        ("{% if name contains 'd' and 3 >= 2 or nowhere %}x{% endif %}", "x"),
        ("{{ 'a,b' | split: ',' | reverse | join: '-' }}", "b-a"),
        ("{{ list | sort | uniq | json }}", "[1,2,3]"),
        ("{{ list | sum }} {{ list | first }} {{ list | size }}", "9 3 4"),
    ],
)  # fmt: skip
def test_a_template_is_rendered(template: str, text: str) -> None:
    items = [{"name": "widget", "price": 12.5}, {"name": "gadget", "price": 7}]
    payload = {"name": "Ada", "result": {"items": items}, "none": None, "yes": True, "list": [3, 1, 2, 3]}
    assert parsed(template).render(payload) == text


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{", "not closed"),
        ("a\nb {{ x", "line 2"),
        ("{% if x %}", "endif is missing"),
        ("{% if x %}{% endfor %}", "no tag 'endfor'"),
        ("{% endif %}", "no tag 'endif'"),
        ("{% raw %}", "raw %} is not closed"),
        ("{% comment %}", "comment %} is not closed"),
        ("{{ x | upcas }}", "Did you mean 'upcase'?"),
        ("{{ x | upcase: 1 }}", "upcase takes no values"),
        ("{{ x | replace }}", "1 to 2 values"),
        ("{{ x | default: 1, allow: true }}", "allow_false"),
        ("{{ x y }}", "'y' is not expected"),
        ("{{ }}", "missing at the end"),
        ("{{ x. }}", "missing at the end"),
        ("{{ x[ }}", "missing at the end"),
        ("{{ ^ }}", "not understood"),
        ("{% include 'etc/passwd' %}", "cannot include"),
        ("{% render 'x' %}", "cannot include"),
        ("{% tablerow %}", "not supported"),
        ("{% nonesuch %}", "no tag 'nonesuch'"),
        ("{% assign = 1 %}", "expected a name"),
        ("{% assign true = 1 %}", "cannot be given a value"),
        ("{% for x on y %}{% endfor %}", "expected 'in'"),
        ("{% for x in y by: 2 %}{% endfor %}", "limit, offset and reversed"),
        ("{% if 1 => 2 %}{% endif %}", "expected"),
        ("{% if %}{% endif %}", "missing"),
        ("{{ " + "9" * 400 + " }}", "too many digits"),
        ("{{ a" + "[a" * 20 + "]" * 20 + " }}", "nested deeper than 8"),
        ("{% if 1 %}" * 40 + "{% endif %}" * 40, "nested deeper than 30"),
        ("x" * (CHARS_MAX + 1), "at most 65536"),
        ("{{a}}" * 10_000 + "{{a}}" * 3_000, "line 1"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_sentence(template: str, words: str) -> None:
    if words == "line 1":  # very many parts are fine as long as they are bounded
        parsed(template)
        return
    with pytest.raises(LiquidFault) as refused:
        parsed(template)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ nowhere }}", "nowhere is not there"),
        ("{{ a.b.c }}", "a.b.c is not there"),
        ("{{ a[x] }}", "x is not there"),
        ("{{ nowhere | upcase }}", "nowhere is not there, and upcase needs it"),
        ("{{ 'a' | append: nowhere }}", "append needs it"),
        ("{% for i in nowhere %}{% endfor %}", "nowhere is not there"),
        ("{{ 1 | divided_by: 0 }}", "cannot divide by 0"),
        ("{{ 1 | modulo: 0 }}", "cannot divide by 0"),
        ("{{ 'x' | date: '%Y' }}", "not a date"),
        ("{{ 'now' | date: '%Y' }}", "not a date"),
        ("{{ '2026-01-01' | date: '%Q' }}", "not supported"),
        ("{{ '%' | base64_decode }}", "base64"),
        ("{{ mixed | sort }}", "cannot be sorted together"),
        ("{% if 1 < 'a' %}{% endif %}", "cannot be compared"),
        ("{{ 1 | concat: 2 }}", "takes a list"),
        ("{% for i in (1..3) limit: 'x' %}{% endfor %}", "whole numbers"),
        ("{{ 'abc' | slice: 'x' }}", "whole number"),
    ],
)
def test_what_cannot_be_rendered_fails_with_a_sentence(template: str, words: str) -> None:
    ready = parsed(template)
    with pytest.raises(LiquidFault) as failed:
        ready.render({"a": {"b": {}}, "mixed": [1, "a"]})
    assert words in str(failed.value)


@pytest.mark.parametrize(
    ("template", "kind"),
    [
        ("{% for i in (1..10001) %}{% endfor %}", TooLarge),
        ("{% for i in (1..99999999999) reversed %}{% endfor %}", TooLarge),
        ("{{ (1..99999999999) | join }}", TooLarge),
        ("{% if (1..99999999999) contains 'a' %}{% endif %}", TooLarge),
        ("{% for i in (1..999) %}{% for j in (1..999) %}{% endfor %}{% endfor %}", TooLong),
        ("{% for i in (1..9999) %}{{ big }}{% endfor %}", TooLarge),
        ("{% assign a = 'x' %}" + "{% assign a = a | append: a %}" * 30, TooLong),
        ("{{ big | replace: 'x', big }}", TooLarge),
        ("{{ big | split: '' }}", TooLarge),
        ("{{ 99 " + "| times: 999999999999999999 " * 99 + "}}", TooLarge),
        ("{% assign a = big | append: big %}" + "{% assign b = a | upcase %}" * 100, TooLong),
        ("{% for i in (1..9000) %}{% if long contains 1 %}{% endif %}{% endfor %}", TooLong),
        ("{{ long | join: big }}", TooLarge),
        ("{% capture a %}" + "{{ big }}" * 20 + "{% endcapture %}", TooLarge),
    ],
)
def test_work_and_size_are_bounded(template: str, kind: type[LiquidFault]) -> None:
    ready = parsed(template)
    payload = {"big": "x" * 100_000, "long": [0] * LIST_MAX}
    started_s = time.process_time()
    with pytest.raises(kind):
        ready.render(payload)
    assert time.process_time() - started_s < 2.0


@pytest.mark.parametrize(
    "template",
    [
        "{{ x.__class__ }}", "{{ x.__class__.__mro__[1].__subclasses__ }}", "{{ x['__init__'] }}",
        "{{ ''.__class__ }}", "{{ x.items }}", "{{ x.keys }}", "{{ s.upper }}", "{{ s.format }}", "{{ l.append }}",
        "{{ x.get }}", "{{ forloop }}", "{{ self }}", "{{ now }}", "{{ settings }}", "{{ 'x'.size.real }}",
    ],
)  # fmt: skip
def test_no_attribute_of_anything_can_be_reached(template: str) -> None:
    with pytest.raises(LiquidFault, match=r"not there|not expected|not understood"):
        render(template, x={"a": 1}, s="text", l=[1])


def test_braces_and_format_signs_in_values_stay_as_they_are() -> None:
    evil = "{{ secret }} {% raw %} {0.__class__} %s ${x} `id` </script>"
    assert render("{{ x }}", x=evil, secret="s") == evil
    assert render("{{ x | append: x }}", x=evil, secret="s") == evil * 2


def attempt(template: str) -> None:
    with contextlib.suppress(LiquidFault):
        parsed(template).render({"a": "x" * 1000, "b": {"c": [1, 2, 3]}, "n": 5})


def test_hostile_templates_end_in_time_and_typed(count_factor: int) -> None:
    """Processor time, with a margin for a busy machine; a few milliseconds each are expected, 100 are promised."""
    slow: list[str] = []
    for template in attacks(500 * count_factor, "liquid"):
        started_s = time.process_time()
        attempt(template)
        if time.process_time() - started_s > 0.3:
            slow.append(template[:80])
    assert slow == []


def test_hostile_templates_take_little_memory(count_factor: int) -> None:
    tracemalloc.start()
    for template in attacks(200 * count_factor, "liquid"):
        tracemalloc.reset_peak()
        attempt(template)
        assert tracemalloc.get_traced_memory()[1] < 50 << 20, template[:80]
    tracemalloc.stop()


@given(st.text(alphabet="{}%-|.:,'\"[]()ab1 \n#=<>", max_size=60))
def test_any_text_is_rendered_or_refused(text: str) -> None:
    with contextlib.suppress(LiquidFault):
        parsed(text).render({"a": [1], "b": {"a": "x"}})


@given(st.text(max_size=200).filter(lambda text: "{{" not in text and "{%" not in text))
def test_text_without_marks_is_itself(text: str) -> None:
    assert render(text) == text


def test_a_template_tells_which_names_it_reads() -> None:
    ready = parsed(
        "{{ result.body }} {{ results['get-it'].x[0] }} {% for i in input.items %}{{ i.name }}{% endfor %}"
        "{% assign own = 1 %}{{ own }} {{ a[b].c }}"
    )
    assert ready.paths == {
        ("result", "body"), ("results", "get-it", "x", "0"), ("input", "items"), ("a",), ("b",),
    }  # fmt: skip


def test_the_document_names_every_filter_and_the_bounds_in_force() -> None:
    words = DOCUMENT[DOCUMENT.index("- Filters:") : DOCUMENT.index("- Bounds:")]
    assert set(words.replace("`", " ").replace(".", " ").split()[2:]) == set(FILTERS)
    assert f"{LIST_MAX:,} members" in DOCUMENT
    assert OUTPUT_CHARS_MAX == 1 << 20
