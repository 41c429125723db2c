"""The episode as a picture: who answered, what they said, and when production changed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lastgood.core.ids import VersionNumber
from lastgood.demo.episode import Answer, Episode, Switch, delay_text, failures, last_wrong_answer
from lastgood.demo.promises import BAD, GOOD, PLAIN

__all__ = ["draw"]

BIN_S = 0.5
WINDOW_S = 1.0
"""The share of churners is taken over so much time before each point."""
WINDOW_STEP_S = 0.1
WINDOW_ANSWERS_MIN = 20
SIZE_INCHES = (11.0, 6.4)
DOTS_PER_INCH = 150
HEADROOM = 1.35
LOADING_HEIGHT = 0.9
LOADING_SHOWN_S = 1.0
LABEL_ROOM_S = 3.2
"""Labels of switches closer than this stand on two levels."""

COLOURS: dict[VersionNumber, str] = {PLAIN: "#9aa9ba", GOOD: "#2a9d8f", BAD: "#d1495b"}
INK, FAINT, FAILED = "#222b36", "#8a94a0", "#111111"
_SAID = {
    PLAIN: "version 1: three columns",
    GOOD: "version 2: all columns",
    BAD: "version 3: best offline, wrong live",
}


def draw(episode: Episode, path: Path) -> Path:
    """Write the picture as PNG and return where.

    Raises:
        OSError: the file cannot be written.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    answers = sorted(episode.answers, key=lambda answer: answer.answered_ms)
    start_ms = answers[0].answered_ms
    style = {"font.size": 10, "axes.edgecolor": FAINT, "text.color": INK, "axes.labelcolor": INK}
    with mpl.rc_context({**style, "xtick.color": INK, "ytick.color": INK}):
        figure, (top, bottom) = plt.subplots(
            2, 1, sharex=True, figsize=SIZE_INCHES, height_ratios=(1, 1.25), layout="constrained"
        )
        _requests(top, answers, start_ms)
        _shares(bottom, answers, start_ms)
        _switches(top, bottom, episode, start_ms)
        _words(figure, top, bottom, episode)
        bottom.set_xlim(0, (answers[-1].answered_ms - start_ms) / 1000)
        figure.savefig(path, dpi=DOTS_PER_INCH, metadata={"Software": "lastgood demo"})
        plt.close(figure)
    return path


def _requests(axes: Any, answers: Sequence[Answer], start_ms: float) -> None:
    """Answers per second by version, stacked; only whole bins, so that the edges do not look like dips."""
    bins = int((answers[-1].answered_ms - start_ms) / 1000 / BIN_S)
    middles = [(number + 0.5) * BIN_S for number in range(bins)]
    floor = [0.0] * bins
    for version, label in _SAID.items():
        counts = _per_second(
            [a for a in answers if a.version == version and not a.failed], start_ms, bins
        )
        axes.bar(
            middles, counts, BIN_S, bottom=floor, color=COLOURS[version], label=label, linewidth=0
        )
        floor = [low + count for low, count in zip(floor, counts, strict=True)]
    failed = [a for a in answers if a.failed]
    if failed:
        counts = _per_second(failed, start_ms, bins)
        axes.bar(middles, counts, BIN_S, bottom=floor, color=FAILED, label="failed", linewidth=0)
    axes.set_ylabel("answers per second")
    axes.set_ylim(0, max([*floor, 1.0]) * HEADROOM)
    _clean(axes)


def _per_second(answers: Sequence[Answer], start_ms: float, bins: int) -> list[float]:
    counts = [0.0] * bins
    for answer in answers:
        number = int((answer.answered_ms - start_ms) / 1000 / BIN_S)
        if number < bins:
            counts[number] += 1 / BIN_S
    return counts


def _shares(axes: Any, answers: Sequence[Answer], start_ms: float) -> None:
    """One line, in the colour of the version that spoke: the share over the last second."""
    said = [a for a in answers if not a.failed]
    for version, colour in COLOURS.items():
        points = _share_points([a for a in said if a.version == version], start_ms)
        for piece in _unbroken(points):
            xs, ys = zip(*piece, strict=True)
            axes.plot(
                xs, [y * 100 for y in ys], color=colour, linewidth=2.4, solid_capstyle="round"
            )
    axes.set_ylim(0, 100)
    axes.set_ylabel("predicted churners, %")
    axes.set_xlabel("seconds since the first request")
    axes.grid(axis="y", color="#e6e9ed", linewidth=0.8)
    _clean(axes)


def _share_points(said: Sequence[Answer], start_ms: float) -> list[tuple[float, float]]:
    """Share of churners among one version's answers in the window before each step."""
    points: list[tuple[float, float]] = []
    if not said:
        return points
    times = [(a.answered_ms - start_ms) / 1000 for a in said]
    first, last = times[0], times[-1]
    for step in range(int((last - first) / WINDOW_STEP_S) + 1):
        moment = first + step * WINDOW_STEP_S
        window = [
            (at, bool(a.churner))
            for at, a in zip(times, said, strict=True)
            if moment - WINDOW_S < at <= moment
        ]
        speaks = bool(window) and moment - window[-1][0] < 2 * WINDOW_STEP_S
        if speaks and len(window) >= WINDOW_ANSWERS_MIN:
            points.append((moment, sum(churner for _, churner in window) / len(window)))
    return points


def _unbroken(points: Sequence[tuple[float, float]]) -> list[list[tuple[float, float]]]:
    """Cut where the version was away, so that no line bridges the time in which another spoke."""
    pieces: list[list[tuple[float, float]]] = []
    for point in points:
        if pieces and point[0] - pieces[-1][-1][0] < WINDOW_S:
            pieces[-1].append(point)
        else:
            pieces.append([point])
    return pieces


def _switches(top: Any, bottom: Any, episode: Episode, start_ms: float) -> None:
    previous_s, level = -LABEL_ROOM_S, 0
    for switch in episode.switches:
        at_s = (switch.at_ms - start_ms) / 1000
        if at_s < 0:
            continue  # version 1 went live before there was traffic
        for axes in (top, bottom):
            axes.axvline(at_s, color=INK, linewidth=1, linestyle=(0, (3, 2)))
        level = 1 - level if at_s - previous_s < LABEL_ROOM_S else 0
        previous_s = at_s
        back = switch.kind == "rollback"
        top.annotate(
            "rollback to 2" if back else f"promote {switch.version}",
            (at_s, 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, 4 + 13 * level),
            textcoords="offset points",
            ha="center",
            fontweight="bold" if back else "normal",
        )
        first = _first_answer(episode.answers, switch)
        if first is not None and (first - switch.at_ms) / 1000 > LOADING_SHOWN_S:
            _loading(top, at_s, (first - start_ms) / 1000)


def _first_answer(answers: Sequence[Answer], switch: Switch) -> float | None:
    """When the version that was ordered answered for the first time after the order."""
    return min(
        (
            a.answered_ms
            for a in answers
            if a.version == switch.version and a.answered_ms > switch.at_ms
        ),
        default=None,
    )


def _loading(axes: Any, from_s: float, to_s: float) -> None:
    """Between order and first answer the new version is checked, loaded and warmed up."""
    where = ("data", "axes fraction")
    arrow = {"arrowstyle": "->", "color": FAINT, "shrinkA": 2, "shrinkB": 0}
    axes.annotate(
        "",
        (to_s, LOADING_HEIGHT),
        (from_s, LOADING_HEIGHT),
        xycoords=where,
        textcoords=where,
        arrowprops=arrow,
    )
    axes.annotate(
        "loads", ((from_s + to_s) / 2, LOADING_HEIGHT), xycoords=where, xytext=(0, 3),
        textcoords="offset points", ha="center", fontsize=8, color=FAINT,
    )  # fmt: skip


def _words(figure: Any, top: Any, bottom: Any, episode: Episode) -> None:
    failed = failures(episode.answers)
    figure.suptitle(
        f"A bad release and its rollback: {failed} of {len(episode.answers):,} requests failed",
        x=0.01,
        ha="left",
        fontsize=14,
        fontweight="bold",
    )
    handles, labels = top.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    last = last_wrong_answer(episode.answers, BAD)
    undo = episode.switches[-1] if episode.switches else None
    if last is None or undo is None:
        return
    start_ms = min(a.answered_ms for a in episode.answers)
    bottom.annotate(
        "decision to last wrong answer:\n" + delay_text(last.answered_ms - undo.at_ms),
        ((undo.at_ms - start_ms) / 1000, 62),
        xytext=(-8, 0),
        ha="right",
        textcoords="offset points",
        va="center",
    )


def _clean(axes: Any) -> None:
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
