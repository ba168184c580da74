"""The figures of a run as text: a table to read, the table of README.md in Markdown."""
import statistics

# Figures of which more is better; of all others less is.
RATES = ("per second", "MB/s")


def medians(turns):
    return {figure: statistics.median(turn[figure] for turn in turns) for figure in turns[0]}


def spread(turns, figure):
    """Half of what lies between the best turn and the worst, in percent of the median."""
    values = [turn[figure] for turn in turns]
    middle = statistics.median(values)
    return (max(values) - min(values)) / 2 / middle * 100 if middle else 0.0


def number(value):
    """Three digits that mean something."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def better(ours, other, figure):
    """How many times better ours is."""
    best, worst = (ours, other) if figure in RATES else (other, ours)
    return best / worst if worst else 0.0


def ratios(row, names, figure):
    """Against the original, the best of the peers, and the limits; None where there is none."""
    turns = row["turns"]
    if not turns.get("ours"):
        return None, None, None
    ours = medians(turns["ours"])[figure]

    def against(key):
        return better(ours, medians(turns[key])[figure], figure) if turns.get(key) else None

    of_peers = [against(key) for key in names if key not in ("ours", "original", "bare")]
    of_peers = [one for one in of_peers if one is not None]
    return against("original"), min(of_peers, default=None), against("bare")


def times(ratio):
    return "-" if ratio is None else f"{ratio:.2f}"


def head(names):
    cells = "".join(f"{name:>18}" for name in names.values())
    return f"{'':36}{'':13}{cells}   times {'original':>8}{'peers':>8}{'bare':>8}"


def lines(title, row, names):
    """A row to read: one line for each of its figures."""
    turns = row["turns"]
    found = next((one for one in turns.values() if one), None)
    if not found:
        yield f"{title:36}failed: {'; '.join(row['failed'].values())}"
        return
    for figure in found[0]:
        if figure == "client busy":
            continue
        cells = ""
        for key in names:
            one = turns.get(key)
            text = f"{number(medians(one)[figure])} ±{spread(one, figure):2.0f} %" if one else "-"
            cells += f"{text:>18}"
        found = "".join(f"{times(ratio):>8}" for ratio in ratios(row, names, figure))
        yield f"{title:36}{figure:13}{cells}        {found}"
        title = ""
    for key, why in row["failed"].items():
        yield f"{'':36}{names[key]} failed: {why}"
    bound = [names[key] for key, one in turns.items() if one and medians(one).get("client busy", 0) > 0.9]
    if bound:
        yield f"{'':36}the clients' processors were the limit of what is told per second: {', '.join(bound)}"


UNITS = {"CPU µs": (1e-6, "s"), "p50 ms": (1e-3, "s"), "p99 ms": (1e-3, "s"), "KiB each": (1, "KiB")}


def quantity(value, figure):
    """A figure with a unit that suits its size."""
    scale, unit = UNITS.get(figure, (1, ""))
    if unit != "s":
        return f"{number(value)} {unit}".strip()
    value *= scale
    for factor, name in ((1, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if value >= factor:
            break
    return f"{number(value / factor)} {name}"


def markdown(report):
    """README's table: of each row that is in it, the figures that are."""
    names = report["names"]
    yield f"| {report['date']} | " + " | ".join(names.values()) + " | times vsftpd | times the best peer |"
    yield "|---" * (len(names) + 3) + "|"
    worst = []
    for title, row in report["rows"].items():
        for figure in row["readme"]:
            cells = []
            for key in names:
                turns = row["turns"].get(key)
                cells.append(quantity(medians(turns)[figure], figure) if turns else "-")
                if turns:
                    worst.append(spread(turns, figure))
            to_original, to_peer, _ = ratios(row, names, figure)
            said = {"CPU µs": "CPU", "per second": "per second", "CPU s/GiB": "CPU s/GiB", "KiB each": "memory each"}.get(figure, figure.split()[0])
            yield f"| {title}: {said} | {' | '.join(cells)} | {times(to_original)} | {times(to_peer)} |"
    yield ""
    yield f"{report['machine']}. Medians of {report['rounds']} turns; half of them spread by less than ±{statistics.median(worst or [0]):.0f} %."
