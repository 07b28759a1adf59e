"""Hostile texts for whatever reads what people write: the public attacks of other products, and mixtures of them."""

import random
from collections.abc import Iterator

SEEDS: dict[str, list[str]] = {
    "liquid": [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}", "{{ a.__init__.__globals__ }}", "{{ a|attr:'__class__' }}",
        "{{ cycler.__init__ }}", "{{ lipsum }}", "{{ namespace }}", "{{ self._TemplateReference__context }}",
        "{{ '%s' | format: a }}", "{{ f'{a}' }}", "{{ 9**9**9 }}", "{{ 9 | times: 9 | times: 9999999999999999999 }}",
        "{% for x in (1..999999999999) %}{{ x }}{% endfor %}", "{% for i in (1..9999) %}{% for j in (1..9999) %}x{% endfor %}{% endfor %}",
        "{% include '/etc/passwd' %}", "{% render a %}", "{{ a | replace: 'x', a | replace: 'x', a }}",
        "{% liquid for i in b %}", "{% assign a = a | append: a %}", "{{ a[a[a[a]]] }}", "{{ b.c | join: a }}",
        "{% capture x %}{{ a }}{% endcapture %}", "{{ a | split: '' | join: a }}", "${7*7}", "#{7*7}", "<%= 7*7 %>",
        "{{ ａ.__ｃlass__ }}", "{{ \u202ea }}", "{% raw %}", "{% comment %}", "{{", "{%", "{{-", "-}}", "{#", "%}",
        "{{ constructor.constructor('return process')() }}", "{{ n | date: '%s%s%s' }}", "{{ (n..a) }}", "{{ 'x' * 9 }}",
    ],
    "condition": [
        "__class__", "a.__init__.__globals__", "a..b", ".", "\\", "a" * 600, "a." * 40, "$..a", "{{ a }}", "a[0]",
        "９", "a.\u202eb", "constructor", "__proto__", "a\x00b", "", " ", "a.0.0.0", "-1", "a.9999999999999",
    ],
    "pattern": [
        "(a+)+$", "(a|a)*b", "(.*)*x", "^(([a-z])+.)+[A-Z]([a-z])+$", "(a{1,100}){1,100}", "(?=a)", r"(a)\1", "(?R)",
        "[" , "(", "a{99999}", r"\p{Nope}", "(?i)(?s)(?m).*", "(?P<x>a)(?P<x>b)", "a**", "\\", "(?:" * 200, "x*" * 100,
    ],
    "jsonpath": [
        "$..*", "$..*..*", "$..*..*..*..*", "$[?@..*]", "$[?$..*]", "$[?match(@.a,'(a+)+$')]", "$[?@[?@[?@[?@]]]]",
        "$.__class__", "$[?(@.constructor)]", "$[999999999999999999999]", "$[-1:0:-1]", "$[::0]", "$[?count(@..*)>1]",
        "$[?length(@)==length($)]", "$['a", "$.", "$", "$[?@.a==1&&@.b==2||!@.c]", "@.a", "$[?!@.a]", "$..[?@..[?@..a]]",
        "$[?(((((((((@)))))))))]", "$.a.b.c.d", "$[*][*][*]", "$[0,1,2,3,*,*]", "$..[*,*,*,*,*,*]", "$" + "[*]" * 100,
    ],
}  # fmt: skip


def attacks(count: int, kind: str, seed: int = 17) -> Iterator[str]:
    """`count` texts: the known ones first, then the same cut, doubled, nested and mixed."""
    chance = random.Random(seed)
    known = SEEDS[kind]
    yield from known[:count]
    for _ in range(count - len(known)):
        one, other = chance.choice(known), chance.choice(known)
        match chance.randrange(8):
            case 0:
                yield one + other
            case 1:
                yield one * chance.choice([2, 50, 500])
            case 2:
                at = chance.randrange(len(one) + 1)
                yield one[:at] + other + one[at:]
            case 3:
                yield one[: chance.randrange(len(one) + 1)]
            case 4:
                yield chance.choice(["(", "[", "{{", "{%if a%}", "$[?"]) * chance.choice([10, 1_000, 100_000])
            case 5:
                yield one.replace(" ", " " * chance.choice([2, 5_000]))
            case 6:
                yield "".join(
                    chance.choice(one + other + "{}%$()[]'\"") for _ in range(chance.randrange(200))
                )
            case _:
                yield chance.choice(["9" * 5_000, "\ud800", "\x00", "\u0130" * 50, "ﬀ" * 50]) + one
