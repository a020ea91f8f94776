"""Fine-tune a pretrained BERT as a Keras text classifier, keep its weights, serve it.

Names are imported when first used: `import kerasbert` loads no TensorFlow.
"""

import importlib

__version__ = "0.1.0"

_HOMES = {
    "InputError": "errors",
    "TrainingError": "errors",
    "DataConfig": "config",
    "ModelConfig": "config",
    "TrainConfig": "config_train",
    "OptimizerConfig": "config_train",
    "ObjectiveConfig": "config_train",
    "DecisionConfig": "config_decide",
    "RecordConfig": "config_train",
    "FitConfig": "config",
    "Dataset": "data.dataset",
    "Examples": "data.examples",
    "read_dataset": "data.dataset",
    "build_classifier": "models.classifier",
    "fit_classifier": "training.fitting",
    "fit_to": "runs",
    "fit_repeatedly": "repeats",
    "find_learning_rate": "training.range_test",
    "SearchConfig": "config_search",
    "Ranges": "config_search",
    "sweep": "search.sweeping",
    "Run": "run",
    "save": "saving",
    "save_base": "saving",
    "rebuild": "saving",
    "Classifier": "inference",
    "Explanation": "explaining.explanation",
    "load": "inference",
    "ServiceConfig": "config_serve",
    "create_app": "serving.app",
    "export_run": "exporting.writing",
}

__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__():
    return sorted(__all__)
