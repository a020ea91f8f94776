"""The page beside an exported model: how it is called, by a script that needs nothing of ours."""

import textwrap
from typing import Any

# From a batch of numpy arrays to outputs by name.
_CALLS = {
    "saved_model": (
        "import tensorflow as tf",
        'model = tf.saved_model.load("saved_model")\n'
        'outputs = model.signatures["serving_default"](**batch)\n'
        "outputs = {name: values.numpy() for name, values in outputs.items()}",
    ),
    "onnx": (
        "import onnxruntime",
        'session = onnxruntime.InferenceSession("model.onnx")\n'
        'names = [output["name"] for output in about["outputs"]]\n'
        "outputs = dict(zip(names, session.run(names, batch), strict=True))",
    ),
    "litert": (
        "from ai_edge_litert.interpreter import Interpreter",
        'model = Interpreter("model.tflite")\n'
        "outputs = model.get_signature_runner()(**batch)  # resizes the tensors to the batch",
    ),
}
# How each task decides, as `kerasbert.tasks` has it.
_DECISIONS = {
    "binary": (
        'thresholds = np.array(labels["thresholds"])\n'
        "is_second = (found[:, 1] >= thresholds[1]) & (thresholds[1] < 1)\n"
        'decisions = [labels["names"][int(second)] for second in is_second]'
    ),
    "multiclass": (
        'best = (found / (labels["thresholds"] or 1.0)).argmax(axis=1)\n'
        'least = labels["unsure_below"] or 0.0\n'
        "decisions = [\n"
        '    labels["names"][k] if row[k] >= least else None'
        " for k, row in zip(best, found, strict=True)\n"
        "]"
    ),
    "multilabel": (
        'thresholds = np.array(labels["thresholds"])\n'
        "reached = (found >= thresholds) & (thresholds < 1)\n"
        "decisions = [\n"
        '    [name for name, is_on in zip(labels["names"], row, strict=True) if is_on]'
        " for row in reached\n"
        "]"
    ),
    "regression": "decisions = found[:, 0].tolist()",
}
_MEANINGS = {
    "probabilities": "`probabilities` has a column per label of `labels.json`, whose thresholds "
    "apply to them.",
    "scores": "`scores` has one column, in the units that the model was trained on.",
}
_CALIBRATED = (
    "The calibration in `labels.json` is part of the model and must not be applied again; "
    "`uncalibrated` has the probabilities before it."
)
_ROUNDED = (
    "Its weights are rounded to eight bits, so it does not answer quite as the run does: "
    "`quantized` and `measured` in `export.json` say how far off it is, and how far a text's "
    "answer depends on what else is in its batch (`alone_difference`). Give it texts one by one "
    "where that matters."
)
_PROPORTIONAL = (
    'Pairs that are too long are cut in proportion (`"truncation": "proportional"`), so that both '
    "texts keep the same share of their pieces, which tokenizers does not do: the script cuts the "
    "longer one, so cut long pairs yourself before it."
)


def usage(about: dict[str, Any]) -> str:
    """A page in Markdown, with the script.

    Args:
        about: what export.json holds.
    """
    imports, call = _CALLS[about["format"]]
    is_pair, output = about["is_pair"], about["outputs"][0]["name"]
    texts = '[("A short text.", "A second one.")]' if is_pair else '["A short text.", "42"]'
    script = f"""import json

import numpy as np
{imports}
from tokenizers import Tokenizer

about = json.load(open("export.json", encoding="utf-8"))
labels = json.load(open("labels.json", encoding="utf-8"))
tokenizer = Tokenizer.from_file("tokenizer/tokenizer.json")
tokenizer.enable_truncation(about["max_length"])
tokenizer.enable_padding(pad_id=about["pad_id"])

texts = {texts}
pieces = tokenizer.encode_batch(texts)
batch = {{
    "input_ids": [text.ids for text in pieces],
    "attention_mask": [text.attention_mask for text in pieces],
    "token_type_ids": [text.type_ids for text in pieces],
}}
batch = {{one["name"]: np.array(batch[one["name"]], np.int32) for one in about["inputs"]}}
{call}
found = outputs["{output}"]  # (texts, labels)
{_DECISIONS[about["task"]]}
print(found, decisions)
"""
    said = [
        f"A text classifier, exported by kerasbert {about['versions']['kerasbert']}. It reads word "
        f"pieces as int32 arrays of any batch size and any length up to {about['max_length']}; "
        f"what stands for nothing has the piece {about['pad_id']}, and 0 in `attention_mask`. "
        "`export.json` names inputs and outputs, and says what was checked.",
        _MEANINGS[output],
        _CALIBRATED if about["calibration"] else "",
        _ROUNDED if "quantized" in about else "",
    ]
    paragraphs = [textwrap.fill(" ".join(filter(None, said)), 100, break_on_hyphens=False)]
    if is_pair and about["truncation"] == "proportional":
        paragraphs.append(textwrap.fill(_PROPORTIONAL, 100, break_on_hyphens=False))
    paragraphs.append("Here, with nothing but the runtime, numpy and tokenizers:")
    return f"# {about['file']}\n\n" + "\n\n".join([*paragraphs, f"```python\n{script}```\n"])
