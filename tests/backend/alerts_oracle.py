"""The alert engine's oracle: what happened, found out second by second from the whole history. Slow and plain.

It shares no code with backend/alerts: for each second it looks for the reading that holds then, and counts.
"""

from backend.alerts.episodes import Episode

SECOND = 1000


def episodes(rule, samples, until):
    """Every episode up to `until`, the open one last. All times are whole seconds (in ms)."""
    states = list(conditions(rule, samples, until))
    return cumulative(rule, states) if rule.is_cumulative else continuous(rule, states)


def conditions(rule, samples, until):
    """(second, state, value) from the first sample on."""
    if rule.kind == "silent":
        samples = [sample for sample in samples if sample.value is not None]
    if not samples:
        return
    judged = judge(rule, samples)
    for at in range(samples[0].t, until, SECOND):
        number = max(index for index, sample in enumerate(samples) if sample.t <= at)
        state, value = judged[number]
        age = at - samples[number].t
        if rule.kind == "silent":
            state, value = ("wrong", None) if age >= rule.limit else ("fine", None)
        elif age >= rule.hold:
            state, value = "unknown", None
        if rule.schedule and not any(start <= at < end for start, end in rule.schedule.spans(at, at + SECOND)):
            state, value = "fine", None
        yield at, state, value


def judge(rule, samples):
    """(state, value) that each sample tells of."""
    told, wrong = [], False
    for sample in samples:
        if sample.value is None:
            told.append(("unknown", None))
            continue
        value = sample.value
        if rule.kind in ("rise", "fall"):
            near = [
                one.value for one in samples if sample.t - rule.window <= one.t <= sample.t and one.value is not None
            ]
            value -= min(near) if rule.kind == "rise" else max(near)
        if rule.kind in ("high", "rise"):
            wrong = value > rule.limit - (rule.clear if wrong else 0)
        elif rule.kind == "low":
            wrong = value < rule.limit + (rule.clear if wrong else 0)
        elif rule.kind == "fall":
            wrong = -value > rule.limit - (rule.clear if wrong else 0)
        told.append(("wrong" if wrong else "fine", value))
    return told


def worst(rule, values):
    values = [value for value in values if value is not None]
    if not values:
        return None
    return min(values) if rule.kind in ("low", "fall") else max(values)


def continuous(rule, states):
    found, run = [], []  # run: the seconds that are wrong, since the last that was fine
    for at, state, value in states:
        if state == "wrong":
            run.append((at, value))
        elif state == "fine":
            found += close(rule, run, at)
            run = []
    return found + close(rule, run, None)


def close(rule, run, end):
    if not run or len(run) * SECOND < rule.duration:
        return []
    raised = run[0][0] if rule.duration == 0 else run[rule.duration // SECOND - 1][0] + SECOND
    return [Episode(run[0][0], raised, end, worst(rule, [value for _, value in run]))]


def cumulative(rule, states):
    found, start, raised, values = [], None, None, []
    for number, (at, state, value) in enumerate(states):
        after = at + SECOND
        held = [(t, v) for t, s, v in states[: number + 1] if s == "wrong" and t >= after - rule.window]
        if raised is None:
            if state == "wrong" and len(held) * SECOND >= rule.duration:
                start, raised, values = held[0][0], after, [v for _, v in held]
        elif state == "wrong":
            values.append(value)
        elif len(held) * SECOND < rule.duration:
            found.append(Episode(start, raised, at, worst(rule, values)))
            raised = None
    return found + ([Episode(start, raised, None, worst(rule, values))] if raised is not None else [])
