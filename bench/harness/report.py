"""Rows as Markdown and as JSON."""

import json


def text_of(x):
    if x is None:
        return ""
    if abs(x) >= 1_000:
        return f"{x:,.0f}"
    return f"{x:.3g}" if abs(x) < 100 else f"{x:.0f}"


def verdict(row):
    if row.met is None:
        return ""
    if not row.met:
        return "**no**"
    return "yes, stretch" if row.goal.stretch_met(row.judged) else "yes"


def goal_text(row):
    if row.goal is None:
        return ""
    text = str(row.goal)
    return text if row.goal.stretch is None else f"{text} ({row.goal.stretch:g})"


def markdown(rows, about, failures):
    lines = [f"# Benchmark, {about['date']}", "",
             f"{about['processor']}, {about['cores']} cores, {about['system']}. "
             f"{about['versions']}.", "",
             "Medians. Goals are ratios to the baseline (the bare loop where nothing else is "
             "named), or figures where there is none; stretch goals in brackets.", "",
             "| | libactors | baseline | ratio | goal | met |",
             "| --- | ---: | ---: | ---: | ---: | --- |"]
    for row in rows:
        value = f"{text_of(row.value)} {row.unit}".replace("1/s", "").strip()
        lines.append(f"| {row.name} | {value} | {text_of(row.baseline)} | {text_of(row.ratio)} "
                     f"| {goal_text(row)} | {verdict(row)} |")
    met = sum(1 for row in rows if row.met)
    judged = sum(1 for row in rows if row.met is not None)
    lines += ["", f"{met} of {judged} goals met.", ""]
    if failures:
        lines += ["Not measured:", "", *(f"- {name}: {why}" for name, why in failures), ""]
    return "\n".join(lines)


def as_json(rows, about, failures):
    return json.dumps({
        "about": about,
        "rows": [{"name": x.name, "value": x.value, "baseline": x.baseline, "ratio": x.ratio,
                  "goal": str(x.goal) if x.goal else None, "met": x.met, "unit": x.unit,
                  "stretch": x.goal.stretch if x.goal else None, "spread": x.spread}
                 for x in rows],
        "not_measured": [{"name": name, "why": why} for name, why in failures],
    }, indent=1)
