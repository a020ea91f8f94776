"""`python -m kerasbert.decide`: another calibration, other thresholds, and no training."""

import dataclasses
from typing import Annotated

import tyro
from rich.console import Console

from kerasbert import _cli, _runtime
from kerasbert.config import RUNNING_PRECISIONS
from kerasbert.config_checks import one_of
from kerasbert.config_decide import DecisionConfig
from kerasbert.config_json import read_config
from kerasbert.data.labels import Labels
from kerasbert.deciding.choosing import check_decision, choose_decision
from kerasbert.deciding.rows import held_out_rows, read_rows, where_they_were
from kerasbert.deciding.table import decision_lines, decision_table, what_was_chosen
from kerasbert.errors import InputError
from kerasbert.judged import Judged
from kerasbert.output_files import written_file
from kerasbert.reporting.writing import renew_reports
from kerasbert.run_directory import CARD, LABELS, PAGE, check_run, json_text, read_metadata


@dataclasses.dataclass(frozen=True)
class DecideConfig:
    """Choose anew how a run decides, on held-out rows, and keep it in its labels.json.

    What was chosen before goes: without any flag that leaves a cut-off of 0.5, or the most probable
    class, and probabilities as the model gives them.
    """

    # Directory that `python -m kerasbert.fit` wrote.
    run: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN")]

    decision: DecisionConfig = dataclasses.field(default_factory=DecisionConfig)

    # File of held-out texts and labels (.csv, .parquet, .jsonl), with the columns of the training
    # file. Default: the rows that the run was validated on.
    data: str | None = None

    # Show what would be chosen, and leave the run as it is.
    dry_run: bool = False

    # Number format of the products. auto: bfloat16 where the processor has it, else float32.
    precision: Annotated[str, one_of(*RUNNING_PRECISIONS)] = "auto"

    # Character encoding of CSV and JSON lines files.
    encoding: str = "utf-8"


def main(args: list[str]) -> None:
    """Choose as `args` say, print what changes, and write it."""
    config = _cli.parse(DecideConfig, "decide", args)
    run = check_run(config.run)
    labels, metadata = read_config(Labels, run / LABELS), read_metadata(run)
    known = held_out_rows(labels, metadata)
    if config.data is not None:
        examples = read_rows(config.data, labels, metadata, config.encoding)
    elif "validation" in known:
        examples = known["validation"]
    else:
        raise InputError(
            "The rows that the run was validated on cannot be had again: "
            f"{where_they_were(metadata)} Name held-out rows with --data FILE."
        )
    check_decision(labels, labels.encode(examples), config.decision)

    _runtime.quiet()
    from kerasbert.inference import load

    classifier = load(run, config.precision)
    judged = Judged(labels, examples, classifier.raw_outputs(examples.texts, examples.pairs))
    decided = choose_decision(judged, config.decision)
    if decided.chosen is not None:
        Console().print(decision_table(decided), highlight=False)
    for line in decision_lines(decided):
        print(line)
    if labels.chosen is not None:
        print(f"in the place of: {what_was_chosen(labels)}")
    if config.dry_run:
        return
    # All of it before any of it is written: whoever interrupts leaves the run as it was.
    parts = {"decision": judged.decided_by(decided)} if config.data is not None else {}
    for name, part in known.items():
        is_done = part is examples
        raw = judged.raw if is_done else classifier.raw_outputs(part.texts, part.pairs)
        parts[name] = Judged(decided, part, raw)
    with written_file(run / LABELS) as file:
        file.write(json_text(dataclasses.asdict(decided)))
    renew_reports(run, parts)
    print(f"wrote {run / LABELS}, {CARD} and {PAGE}")
    if left := [name for name in metadata["report"] if name not in parts]:
        print(
            f"The rows of {' and '.join(left)} cannot be had again: {where_they_were(metadata)} "
            "Their numbers are of the decision before, and marked so."
        )


if __name__ == "__main__":
    _cli.run(main)
