"""The campaign for people, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median

from chaos_plan import Kind
from chaos_round import Result

__all__ = ["write_report"]


def write_report(seeds: Mapping[int, Sequence[Result]], folder: Path) -> Path:
    """Write ``chaos.md`` about the rounds of all seeds and return its path."""
    rounds = [result for results in seeds.values() for result in results]
    violations = sum(len(result.violations) for result in rounds)
    errors = sum(bool(result.error) for result in rounds)
    lines = ["# Chaos", ""]
    lines += [_head(seeds), ""]
    lines += [f"Violations: {violations}. Rounds that did not heal: {errors}.", ""]
    lines += [
        (
            f"The shared log got {sum(r.lines for r in rounds)} lines; the cloud's own records were looked at "
            f"{sum(r.looks for r in rounds)} times. Outages are a client's, in seconds; where the API is away, a "
            f"failover has to wait for it. What an operator had to help with: {_helped(rounds)}."
        ),
        "",
    ]
    head = "| {} | rounds | failovers | fencings | median outage | longest outage | violations | not healed |"
    rule = "|---" * 8 + "|"
    lines += [head.format("cloud"), rule]
    for where in dict.fromkeys((r.provider, r.nodes) for r in sorted(rounds, key=lambda r: (r.provider, r.nodes))):
        own = [r for r in rounds if (r.provider, r.nodes) == where]
        lines.append(_row(f"{where[0]}, {where[1]} nodes", own))
    lines += [_row("all", rounds), "", head.format("trouble, alone or with another"), rule]
    for kind in Kind:
        own = [r for r in rounds if kind.value in r.kinds]
        if own:
            lines.append(_row(kind.value, own))
    alone = [r for r in rounds if len(r.kinds) == 1]
    lines += [_row("one alone", alone), _row("two at once", [r for r in rounds if len(r.kinds) > 1])]
    for seed, results in seeds.items():
        for result in results:
            if result.bad:
                lines += ["", *_story(seed, result)]
    file = folder / "chaos.md"
    file.write_text("\n".join([*lines, ""]))
    return file


def _head(seeds: Mapping[int, Sequence[Result]]) -> str:
    rounds = [result for results in seeds.values() for result in results]
    played = ", ".join(f"{seed} ({len(results)} rounds)" for seed, results in seeds.items())
    failovers = [seconds for result in rounds for _, _, seconds in result.failovers]
    longest = max((s for r in rounds for s in r.outages), default=0.0)
    middle = median(failovers) if failovers else 0.0
    return (
        f"{len(rounds)} rounds, {len(failovers)} failovers, {sum(len(r.fenced) for r in rounds)} fencings. "
        f"Median outage of a failover {middle:.1f} s, longest outage {longest:.1f} s. Seeds: {played}."
    )


def _row(name: str, rounds: Sequence[Result]) -> str:
    failovers = [seconds for result in rounds for _, _, seconds in result.failovers]
    outages = [seconds for result in rounds for seconds in result.outages]
    return (
        f"| {name} | {len(rounds)} | {len(failovers)} | {sum(len(r.fenced) for r in rounds)} "
        f"| {median(failovers) if failovers else 0:.1f} | {max(outages, default=0):.1f} "
        f"| {sum(len(r.violations) for r in rounds)} | {sum(bool(r.error) for r in rounds)} |"
    )


def _helped(rounds: Iterable[Result]) -> str:
    done = [what.split()[0] for result in rounds for what in result.helped]
    counts = {what: done.count(what) for what in dict.fromkeys(done)}
    return ", ".join(f"{what} ({count})" for what, count in counts.items()) or "nothing"


def _story(seed: int, result: Result) -> list[str]:
    lines = [f"## Seed {seed}, round {result.round}: {result.provider}, {result.nodes} nodes", ""]
    lines += [f"- {text}" for text in (*result.troubles, *result.said)]
    lines += [f"- **violation**: {text}" for text in result.violations]
    lines += [f"- **not healed**: {result.error}"] if result.error else []
    return [*lines, "", "```", *result.timeline, "```"]
