"""An exported directory without kerasbert: against what `python -m kerasbert.predict` wrote.

Needs tokenizers, numpy and the runtime.
"""

import csv
import json
import sys
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

directory, predictions = Path(sys.argv[1]), sys.argv[2]
about = json.loads((directory / "export.json").read_text(encoding="utf-8"))
tokenizer = Tokenizer.from_file(str(directory / "tokenizer" / "tokenizer.json"))
tokenizer.enable_truncation(about["max_length"])
tokenizer.enable_padding(pad_id=about["pad_id"])
path = str(directory / about["file"])

if about["format"] == "onnx":
    import onnxruntime

    session = onnxruntime.InferenceSession(path)

    def call(batch):
        return session.run(["probabilities"], batch)[0]

elif about["format"] == "litert":
    from ai_edge_litert.interpreter import Interpreter

    answer = Interpreter(path).get_signature_runner()

    def call(batch):
        return answer(**batch)["probabilities"]

else:
    import tensorflow as tf

    model = tf.saved_model.load(path)

    def call(batch):
        return model.signatures["serving_default"](**batch)["probabilities"].numpy()


def probabilities(texts):
    pieces = tokenizer.encode_batch(texts)
    values = {
        "input_ids": [text.ids for text in pieces],
        "attention_mask": [text.attention_mask for text in pieces],
        "token_type_ids": [text.type_ids for text in pieces],
    }
    return call({one["name"]: np.array(values[one["name"]], np.int32) for one in about["inputs"]})


with open(predictions, encoding="utf-8", newline="") as file:
    rows = list(csv.DictReader(file))
expected = np.array(
    [[float(row[f"probability_{name}"]) for name in about["labels"]] for row in rows]
)
texts = [row["text"] for row in rows]
found = np.concatenate([probabilities(texts[at : at + 32]) for at in range(0, len(texts), 32)])
print(f"{len(rows):,} texts, largest difference {np.abs(found - expected).max():.1e}")
if about["task"] != "multilabel":
    decided = [about["labels"][k] for k in found.argmax(axis=1)]
    changed = sum(one != row["prediction"] for one, row in zip(decided, rows, strict=True))
    print(f"{changed} other decisions")
