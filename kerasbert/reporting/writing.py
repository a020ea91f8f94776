"""The files of a run's directory that are for people: `report.html` and `MODEL_CARD.md`."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kerasbert.errors import InputWarning
from kerasbert.history import read_history
from kerasbert.judged import Judged
from kerasbert.output_files import written_file
from kerasbert.reporting.card import write_card
from kerasbert.reporting.intervals import find_intervals
from kerasbert.reporting.page import write_page
from kerasbert.run_directory import HISTORY, METADATA, PAGE, REPORT, json_text, read_json


def write_reports(
    directory: str | Path, judged: dict[str, Judged], history: Sequence[dict[str, Any]] = ()
) -> None:
    """Write the page and the card of a saved run, in the place of those that are there.

    Call it again when thresholds, calibration or reports have changed. Intervals go into
    `metadata.json`, beside the reports.

    Args:
        directory: with `metadata.json` and `labels.json`.
        judged: held-out rows by data set; without any there is no page.
        history: a row per step and per epoch, as `kerasbert.history` has them.
    """
    directory = Path(directory)
    if judged:
        metadata = read_json(directory / METADATA)
        metadata.setdefault("intervals", {}).update(
            {name: find_intervals(rows) for name, rows in judged.items()}
        )
        with written_file(directory / METADATA) as file:
            file.write(json_text(metadata))
        _try_page(directory / PAGE, judged, metadata, history)
    write_card(directory)


def renew_reports(directory: str | Path, judged: dict[str, Judged]) -> None:
    """Write all numbers of a saved run anew, after its decision has changed.

    Args:
        directory: the run's, with the new `labels.json`.
        judged: held-out rows by data set, decided anew. Numbers of others stay as they are, and
            are marked so by `decided_before` in `metadata.json`.
    """
    directory = Path(directory)
    metadata = read_json(directory / METADATA)
    metadata["report"].pop("decision", None)
    metadata["decided_before"] = [name for name in metadata["report"] if name not in judged]
    metadata["report"] |= {name: part.report for name, part in judged.items()}
    for name, values in {METADATA: metadata, REPORT: metadata["report"]}.items():
        with written_file(directory / name) as file:
            file.write(json_text(values))
    history = read_history(directory / HISTORY) if (directory / HISTORY).is_file() else ()
    write_reports(directory, judged, history)


def _try_page(path: Path, judged: dict, metadata: dict, history: Sequence) -> None:
    try:
        write_page(path, judged, metadata, metadata["intervals"], history=history)
    except OSError:
        raise
    except Exception as error:  # hours of training are worth more than a picture of them
        warnings.warn(
            f"{path.name} could not be drawn ({type(error).__name__}: {error}). The run is whole "
            "without it; `python -m kerasbert.evaluate` draws one, too.",
            InputWarning,
            stacklevel=2,
        )
