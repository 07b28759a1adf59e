"""Make `legion_core/gateway/prices.json` from a checkout of github.com/pydantic/genai-prices (MIT).

    python packaging/prices.py CHECKOUT      (a work tree or a bare repository)

Taken are models billed by tokens at hosts the workbench can speak to, each with the day its price was last checked
against the provider's own page. Patterns are not: what is looked up later has to be an id of the list, alone or with
a date or a version behind it, so that an unknown model has an unknown price.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

TARGET = Path(__file__).resolve().parents[1] / "legion_core" / "gateway" / "prices.json"
HOSTS = {
    "anthropic": r"api\.anthropic\.com",
    "openai": r"api\.openai\.com",
    "google": r"([a-z0-9-]+\.)*googleapis\.com",
    "aws": r"bedrock-runtime(-fips)?\.[a-z0-9-]+\.amazonaws\.com",
    "groq": r"api\.groq\.com",
    "mistral": r"api\.mistral\.ai",
    "deepseek": r"api\.deepseek\.com",
    "together": r"api\.together\.(xyz|ai)",
    "x_ai": r"api\.x\.ai",
    "fireworks": r"api\.fireworks\.ai",
    "cerebras": r"api\.cerebras\.ai",
    "perplexity": r"api\.perplexity\.ai",
    "moonshotai": r"api\.moonshot\.(ai|cn)",
}
FIELDS = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
}


def shown(repository: str, path: str) -> bytes:
    """A file of the newest commit."""
    return subprocess.check_output(["git", "-C", repository, "show", f"HEAD:{path}"])


def ids_of(match: dict[str, Any]) -> Iterator[str]:
    """The words of a matching rule that name a model."""
    for how, what in match.items():
        if how in ("or", "and"):
            for inner in what:
                yield from ids_of(inner)
        elif how in ("equals", "starts_with", "contains"):
            yield str(what).rstrip("-@")


def rows_of(provider: str, model: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One row for each price the model has had by date; prices by the hour of day are left at their base."""
    told = model["prices"]
    for period in told if isinstance(told, list) else [{"prices": told}]:
        limits = period.get("constraint") or {}
        prices = period["prices"]
        if "input_mtok" not in prices or "start_time" in limits:
            continue
        row: dict[str, Any] = {
            "provider": provider,
            "ids": sorted({str(model["id"]), *ids_of(model["match"])}),
        }
        over: dict[str, float] = {}
        for name, wire in FIELDS.items():
            value = prices.get(wire)
            if isinstance(value, dict):
                first = value["tiers"][0]
                row["over_tokens"], over[name] = first["start"], first["price"]
                value = value["base"]
            if value is not None:
                row[name] = value
        row.setdefault("output", 0)  # an embedding model has none
        if over:
            row["over"] = {name: row[name] for name in FIELDS if name in row} | over
        if "context_window" in model:
            row["context"] = model["context_window"]
        row["checked"] = str(model.get("prices_checked") or "")
        if "start_date" in limits:
            row["since"] = str(limits["start_date"])
        yield row


def main(repository: str) -> None:
    """Write the table."""
    commit = subprocess.check_output(
        ["git", "-C", repository, "log", "-1", "--format=%H %cs"], text=True
    ).split()
    providers, rows = [], []
    for provider, host in HOSTS.items():
        told = yaml.safe_load(shown(repository, f"prices/providers/{provider}.yml"))
        providers.append({"provider": provider, "host": host, "page": told["pricing_urls"][0]})
        rows += [row for model in told["models"] for row in rows_of(provider, model)]
    head = {
        "source": f"github.com/pydantic/genai-prices {commit[0][:10]}, MIT, Copyright (c) Pydantic Services Inc. 2025 to present",
        "date": commit[1],
        "unit": "USD per million tokens",
        "providers": providers,
    }
    lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    TARGET.write_text(f'{json.dumps(head)[:-1]}, "rows": [\n{lines}\n]}}\n', encoding="utf-8")
    print(f"{len(rows)} prices of {commit[1]} in {TARGET.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(sys.argv[1])
