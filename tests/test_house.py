"""The rooms of the house and who may import whom, held to the code."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "kerasbert"
# A module imports only from steps below its own.
STEPS = [
    {"errors"},
    {"explaining.explanation", "explaining.terms"},
    {"explaining.showing"},
    {"tasks", "run_directory", "output_files", "_drawing", "search.trials"},
    {"config_checks", "history", "search.showing", "deciding.rules"},
    {"config_train", "config_decide", "_sweep_axes"},
    {"config", "config_json", "plots", "sweep_plots", "search.table"},
    {"config_search", "config_serve", "serving.logs", "serving.sockets"},
    {"_cli", "_runtime", "data.tables", "data.columns", "training.unfinished", "search.oracles"},
    {"data.calibration", "data.chosen"},
    {"places", "training.memory", "training.tracking", "training.ranking", "search.place"},
    {"search.workers"},
    {"models.pooling", "models.encoder", "models.stored_by_name", "models.schedules"},
    {"training.diagnosis"},
    {"models.checkpoint_files", "models.bert_config"},
    {"models.checkpoints"},
    {"data.examples", "data.tokens", "models.base", "models.bert", "models.transformers_encoder"},
    {"models.heads", "models.losses", "models.pretrained_head"},
    {"data.labels", "data.splitting", "data.batches", "models.resolving", "models.optimization"},
    {"data.shingles"},
    {"data.near_duplicates"},
    {"data.duplicates"},
    {"data.dataset", "data.pipeline", "metrics", "prediction_columns", "models.pretrained"},
    {"models.classifier"},
    {"data.folds", "scoring", "summary", "models.lora", "deciding.calibration_error"},
    {"checking.finding", "checking.scripts"},
    {"checking.labels", "checking.lengths", "checking.repeats", "checking.texts"},
    {"checking.showing", "checking.suspects"},
    {"checking.checking", "checking.quick", "checking.writing"},
    {"models.running"},
    {"data.facts", "judged", "deciding.thresholds", "deciding.calibrating"},
    {"deciding.choosing", "deciding.rows", "deciding.table"},
    {"reporting.resampling", "reporting.command_line"},
    {"reporting.intervals", "reporting.comparing", "reporting.slices", "reporting.questions"},
    {"reporting.pictures", "reporting.mistakes"},
    {"reporting.confusion", "reporting.curves", "reporting.charts"},
    {"reporting.sections"},
    {"reporting.versus", "reporting.card"},
    {"reporting.page", "reporting.printed"},
    {"reporting.writing"},
    {"out_of_fold", "run", "training.console", "training.feature_store", "training.stages"},
    {"explaining.words"},
    {"explaining.leaving_out", "explaining.integrated_gradients"},
    {"explaining.explainer"},
    {"probe", "weights_file", "training.callbacks", "training.class_weights", "search.screen"},
    {"saving", "training.interruption", "training.phases", "training.stepwise"},
    {"training.features", "training.plan", "training.trackers"},
    {"training.shared"},
    {"training.preparing"},
    {"training.parts", "training.state"},
    {"training.recorder"},
    {"training.trainer", "training.range_test"},
    {"training.fitting"},
    {"inference", "runs"},
    {"repeats", "search.running", "explaining.swapping", "exporting.formats", "exporting.graph"},
    {"exporting.asking", "exporting.using", "exporting.checking"},
    {"exporting.as_saved_model", "exporting.as_onnx", "exporting.as_litert"},
    {"exporting.measuring"},
    {"exporting.writing"},
    {"search.tuner", "search.winner", "search.space", "explaining.screen", "explaining.page"},
    {"search.sweeping"},
    {"serving.served", "serving.preloaded", "serving.schemas", "serving.bodies", "serving.page"},
    {"serving.jobs"},
    {"serving.batching"},
    {"serving.metrics"},
    {"serving.service", "serving.recording"},
    {"serving.routes"},
    {"serving.app", "serving.connections"},
    {"serving.server"},
    {"serving.workers"},
    {"check", "fit", "tune", "predict", "evaluate", "decide", "explain", "serve", "export"},
]
STEP = {module: number for number, step in enumerate(STEPS) for module in step}
NO_TENSORFLOW = {
    *("errors", "tasks", "config", "config_checks", "config_json", "config_train"),
    *("run_directory", "output_files", "places", "_cli", "_runtime"),
    *("metrics", "prediction_columns", "summary", "out_of_fold", "history", "plots", "_drawing"),
    *("config_search", "search.place", "search.workers"),
    *("search.trials", "search.showing", "search.table", "sweep_plots", "_sweep_axes"),
    *("data.tables", "data.columns", "data.examples", "data.labels", "data.splitting"),
    *("data.dataset", "data.folds", "data.calibration", "data.chosen", "data.facts", "judged"),
    *("data.shingles", "data.near_duplicates", "data.duplicates"),
    *("checking.finding", "checking.scripts", "checking.labels", "checking.lengths"),
    *("checking.repeats", "checking.texts", "checking.showing", "checking.suspects"),
    *("checking.checking", "checking.quick", "checking.writing", "check"),
    *("training.unfinished", "training.trackers", "training.tracking", "training.memory"),
    *("training.diagnosis", "training.ranking", "config_decide", "deciding.rules"),
    *("deciding.calibration_error", "deciding.thresholds", "deciding.calibrating"),
    *("deciding.choosing", "deciding.table", "deciding.rows"),
    *("explaining.explanation", "explaining.showing", "explaining.terms"),
    *("reporting.resampling", "reporting.command_line", "reporting.intervals"),
    *("reporting.comparing", "reporting.slices", "reporting.questions", "reporting.pictures"),
    *("reporting.mistakes", "reporting.confusion", "reporting.curves", "reporting.charts"),
    *("reporting.sections", "reporting.versus", "reporting.card", "reporting.page"),
    *("reporting.writing", "reporting.printed"),
    *("config_serve", "serving.logs", "serving.sockets", "serving.workers", "serving.page"),
    *("exporting.formats", "exporting.asking", "exporting.using"),
    *("fit", "tune", "predict", "evaluate", "decide", "explain", "serve", "export"),
}
HEAVY = {"tensorflow", "keras", "tf_keras", "transformers"}


def modules():
    paths = [path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"]
    return {".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in paths}


def imports(path, top_only=False):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body if top_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def own_imports(path):
    names = {name.removeprefix("kerasbert.") for name in imports(path)}
    return {name for name in names if name in STEP}


def test_every_module_has_its_step():
    assert set(modules()) == set(STEP)


@pytest.mark.parametrize("module", sorted(STEP))
def test_imports_go_down_only(module):
    above = [name for name in own_imports(modules()[module]) if STEP[name] >= STEP[module]]
    assert not above


def test_data_and_models_do_not_know_each_other():
    for module, path in modules().items():
        room = module.partition(".")[0]
        other = {"data": "models.", "models": "data."}.get(room)
        if other:
            assert not [name for name in own_imports(path) if name.startswith(other)]


@pytest.mark.parametrize("module", sorted(NO_TENSORFLOW))
def test_what_answers_at_once_loads_no_tensorflow(module):
    found = {name.partition(".")[0] for name in imports(modules()[module], top_only=True)}
    assert not found & HEAVY
    assert not own_imports_at_top(module) - NO_TENSORFLOW


def own_imports_at_top(module):
    names = {name.removeprefix("kerasbert.") for name in imports(modules()[module], top_only=True)}
    return {name for name in names if name in STEP}


def test_only_the_border_knows_tf_keras():
    knowing = {
        module
        for module, path in modules().items()
        if any(name.partition(".")[0] == "tf_keras" for name in imports(path))
    }
    assert knowing == {"models.transformers_encoder"}


def test_what_loads_a_saved_run_imports_no_tensorflow_by_itself():
    """So it works on Keras's other backends: `inference`, and all that it imports."""
    needed, todo = set(), {"inference"}
    while todo:
        module = todo.pop()
        needed.add(module)
        todo |= own_imports_at_top(module) - needed
    assert {"models.bert", "models.checkpoints", "saving"} <= needed
    for module in needed:
        found = {name.partition(".")[0] for name in imports(modules()[module], top_only=True)}
        assert not found & {"tensorflow", "tf_keras"}, module


def test_no_file_holds_two_ideas():
    long = {
        module: count
        for module, path in modules().items()
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > 300
    }
    assert not long


def test_nothing_is_pickled():
    for path in modules().values():
        assert not {"pickle", "joblib", "dill"} & set(imports(path))
