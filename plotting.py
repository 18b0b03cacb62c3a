"""Figures, palettes, HTML tables and text bars. pyplot is loaded only when a picture is drawn."""

import html
import sys
import textwrap
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np

from checks import replacing

ALIGNED = ' style="text-align: left"'  # notebooks align tables to the right
PALETTE = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#999999")
"""A palette for all kinds of colour vision (Okabe and Ito 2008)."""
FOR, AGAINST, NEITHER = "#0072B2", "#D55E00", "#DDDDDD"
COLOURS = {
    "neutral": "#999999",
    "calm": "#56B4E9",
    "happy": "#E69F00",
    "sad": "#0072B2",
    "angry": "#D55E00",
    "fear": "#882255",
    "disgust": "#117733",
    "ps": "#CC79A7",
    "boredom": "#DDCC77",
}
"""Emotion to a colour, for all kinds of colour vision (Okabe and Ito 2008; Tol 2021)."""
OTHERS = "#332288", "#44AA99", "#AA4499", "#661100"  # for other labels
LINES = "-", "--", ":", "-."  # for the networks of one training run
CURVES = {
    "loss": ("#0072B2", "training clips (varied, labels smoothed)"),
    "val_loss": ("#D55E00", "held-out speakers"),
}
MEASURES = {
    "accuracy": "accuracy",
    "fbeta": "F-beta (beta {beta:g})",
    "mae": "mean absolute error",
    "ccc": "concordance correlation",
}


def colours(emotions):
    """Choose a colour for each emotion: dict of str to str.

    Parameters
    ----------
    emotions : list of str
        Any labels; those without a colour of their own get one of `OTHERS`.

    Examples
    --------
    >>> colours(["sad", "puzzled"])
    {'sad': '#0072B2', 'puzzled': '#332288'}
    """
    others = [emotion for emotion in emotions if emotion not in COLOURS]
    return {e: COLOURS.get(e) or OTHERS[others.index(e) % len(OTHERS)] for e in emotions}


# figures and text


def new_axes(height, width=6.4):
    """Make a figure of pyplot with one panel: matplotlib Axes.

    Parameters
    ----------
    height, width : float
        Inches.
    """
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(width, height), layout="constrained")[1]


def new_figure(width, height):
    """Make a figure without pyplot, to be returned as a whole: matplotlib Figure.

    A notebook shows it as the value of a cell; pyplot would show it a second time, or open a
    window.

    Parameters
    ----------
    width, height : float
        Inches.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    figure._repr_png_ = partial(_png, figure)
    return figure


def _png(figure):
    """The picture as the bytes of a PNG file."""
    file = BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def save_figure(figure, path, dpi=150):
    """Save a figure; an error leaves no incomplete file.

    Parameters
    ----------
    figure : matplotlib Figure
    path : path
        Its suffix chooses the format, by default PNG. Missing folders are made.
    dpi : float, default 150
    """
    with replacing(path) as temporary:
        figure.savefig(temporary, format=Path(path).suffix[1:] or "png", dpi=dpi)


def bars(probabilities):
    """Write probabilities as text bars, a line for each emotion: str.

    Parameters
    ----------
    probabilities : dict of str to float

    Examples
    --------
    >>> print(bars({"sad": 0.1, "happy": 0.9}))
      sad        0.100 ████
      happy      0.900 ████████████████████████████████████
    """
    full = "█"
    try:
        full.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        full = "#"
    lines = (f"  {e:10s} {p:5.3f} {full * round(40 * p)}" for e, p in probabilities.items())
    return "\n".join(line.rstrip() for line in lines)


def html_table(title, facts):
    """Write a title and a table of names and facts as HTML, for notebooks: str.

    Parameters
    ----------
    title : str
    facts : dict of str to str
        Any text; it is escaped.
    """
    rows = "".join(
        f"<tr><th{ALIGNED}>{html.escape(name)}</th><td{ALIGNED}>{html.escape(text)}</td></tr>"
        for name, text in facts.items()
    )
    return f"<p><strong>{html.escape(title)}</strong></p><table>{rows}</table>"


# pictures


def draw_confusion(matrix, emotions, ax=None):
    """Draw a confusion matrix: matplotlib Axes.

    Parameters
    ----------
    matrix : ndarray (n_emotions, n_emotions)
        Rows are true emotions, columns predicted ones.
    emotions : list of str
    ax : matplotlib Axes, default a new figure's
    """
    from sklearn.metrics import ConfusionMatrixDisplay

    size = 0.8 * len(emotions)
    ax = ax or new_axes(max(5.5, size), max(6.4, 1 + size))
    picture = ConfusionMatrixDisplay(matrix, display_labels=emotions)
    picture.plot(ax=ax, cmap="Blues", values_format=".0f", colorbar=False)
    ax.set(xlabel="predicted emotion", ylabel="true emotion")
    return ax


def draw_predictions(true, predicted, ax=None):
    """Draw predicted numbers against true ones, with the diagonal: matplotlib Axes.

    Parameters
    ----------
    true, predicted : array (n_clips,)
    ax : matplotlib Axes, default a new figure's
    """
    ax = ax or new_axes(5, 5)
    ends = min(np.min(true), np.min(predicted)), max(np.max(true), np.max(predicted))
    ax.plot(ends, ends, color="grey", ls="--", label="right answers")
    ax.scatter(true, predicted, s=9, alpha=0.3, linewidths=0, label="clips")
    ax.set(xlabel="true", ylabel="predicted")
    ax.legend(loc="upper left", fontsize=8)
    return ax


def draw_speakers(values, chance, *, measure, higher_is_better=True, ax=None):
    """Draw the score of each speaker, best on top, with the average and chance: matplotlib Axes.

    Parameters
    ----------
    values : Series (n_speakers,) of float
        Indexed by speaker.
    chance : float
    measure : str
        Name of the score, for the axis.
    higher_is_better : bool, default True
        True for a score from 0 to 1, False for an error measure.
    ax : matplotlib Axes, default a new figure's
    """
    values = values.sort_values(ascending=higher_is_better, kind="stable")
    ax, average = ax or new_axes(height=1.8 + 0.22 * len(values)), values.mean()
    ax.barh(values.index, values, color="tab:blue", height=0.7)
    ax.axvline(average, color="black", label=f"average of the speakers {average:.2f}")
    ax.axvline(chance, color="tab:red", ls="--", label=f"chance {chance:.2f}")
    ax.set(xlabel=f"{measure} of the speaker", ylabel="speaker", ylim=(-1.9, len(values) - 0.4))
    ax.set_xlim(0, 1 if higher_is_better else None)
    ax.legend(loc="lower right", ncols=2, fontsize=8)  # below the bars
    return ax


def draw_reliability(table, ax=None, after=None):
    """Draw a reliability diagram, and the share of clips in each bin: matplotlib Axes.

    Parameters
    ----------
    table : DataFrame (n_bins,)
        See `metrics.reliability`.
    ax : matplotlib Axes, default a new figure's
    after : DataFrame (n_bins,), optional
        The same clips after adaptation, as a second curve.
    """
    table, ax = table[table["n_clips"] > 0], ax or new_axes(height=5)
    ax.plot([0, 1], [0, 1], color="grey", ls="--", label="perfect calibration")
    heights, widths = table["n_clips"] / table["n_clips"].sum(), table["high"] - table["low"]
    style = {"align": "edge", "color": "lightgrey", "label": "share of the clips"}
    ax.bar(table["low"], heights, widths, **style)
    ax.plot(table["confidence"], table["accuracy"], "o-", label="share that is right")
    if after is not None:
        after = after[after["n_clips"] > 0]
        ax.plot(after["confidence"], after["accuracy"], "s-", label="and after adaptation")
    ax.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="confidence", ylabel="share")
    ax.legend(loc="upper left")
    return ax


def draw_reliabilities(tables, figure=None):
    """Draw several reliability diagrams, three in a row: matplotlib Figure.

    Parameters
    ----------
    tables : dict of str to (DataFrame, DataFrame or None)
        Title to the tables of `draw_reliability`, before and after adaptation.
    figure : matplotlib Figure, default a new one
    """
    n_columns = min(3, len(tables))
    n_rows = -(-len(tables) // n_columns)
    figure = figure or new_figure(1 + 3.2 * n_columns, 1 + 3 * n_rows)
    for i, (title, (table, after)) in enumerate(tables.items(), start=1):
        ax = draw_reliability(table, figure.add_subplot(n_rows, n_columns, i), after)
        ax.set_title(title, fontsize=9)
        if i > 1:
            ax.get_legend().remove()
    return figure


def draw_curves(history, *, ax=None):
    """Draw the learning curves of networks, on training and, if any, held-out clips: Axes.

    Parameters
    ----------
    history : DataFrame
        A row for each network and epoch (both from 0), columns network, epoch, loss, val_loss.
    ax : matplotlib Axes, default a new figure's
    """
    ax = new_axes(4) if ax is None else ax
    for column, (colour, label) in CURVES.items():
        for i, own in history.dropna(subset=column).groupby("network"):
            line, name = LINES[i % len(LINES)], f"network {i + 1}: {label}"
            ax.plot(own["epoch"] + 1, own[column], line, color=colour, label=name)
    ax.set(xlabel="epoch", ylabel="loss", title="How the networks learned")
    ax.legend(frameon=False, fontsize="small")
    return ax


def draw_histograms(data, *, title, levels, beta, figure=None):
    """Draw six bar charts, grouped by share of training clips, coloured by model: Figure.

    Parameters
    ----------
    data : DataFrame
        A row for each model and share: model, share, n_clips, train_time, test_time (seconds), and
        train_<measure> and test_<measure> for two of `MEASURES`.
    title : str
    levels : dict of str to float
        Measure to its chance level.
    beta : float
    figure : matplotlib Figure, default a new one
    """
    figure = figure or new_figure(11, 10)
    panels = {"train_time": "training time (s)", "test_time": "prediction time (s)"}
    for name, text in MEASURES.items():
        if f"train_{name}" in data:
            panels[f"train_{name}"] = f"{text.format(beta=beta)}, training clips"
            panels[f"test_{name}"] = f"{text.format(beta=beta)}, test clips"
    clips, models = data.groupby("share")["n_clips"].first(), list(dict.fromkeys(data["model"]))
    ticks = [f"{100 * share:g} %\n({n} clips)" for share, n in clips.items()]
    width = 0.84 / len(models)
    style = {"width": width, "edgecolor": "black", "linewidth": 0.3}
    for ax, (column, words) in zip(figure.subplots(3, 2).flat, panels.items(), strict=True):
        for i, (model, colour) in enumerate(zip(models, PALETTE, strict=False)):
            own = data[data["model"] == model].sort_values("share")
            places = np.arange(len(clips)) + (i - (len(models) - 1) / 2) * width
            ax.bar(places, own[column], color=colour, label=model, **style)
        ax.set_xticks(range(len(clips)), ticks)
        ax.set(title=words, xlabel="share of the training clips")
        if column.endswith("_time"):
            ax.set_yscale("log")
            continue
        level = levels[column.split("_")[1]]
        ax.axhline(level, color="black", linestyle="--", linewidth=1, label="chance")
        if "mae" not in column:
            ax.set_ylim(min(0, data[column].min() * 1.05), 1)
    handles, labels = ax.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False)
    figure.suptitle("\n".join(textwrap.wrap(title, 110)), fontsize=10)
    return figure
