"""Keras's weights files, read whichever of the two encoders wrote them."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import h5py
import keras

# Where Keras puts the weights of the two encoders.
_ENCODER_GROUPS = {"BertEncoder": "bert_encoder", "TransformerEncoder": "transformer_encoder"}


@contextlib.contextmanager
def addressed_to(model: keras.Model, path: Path) -> Iterator[Path]:
    """The weights file with the encoder's weights where Keras looks for them.

    Keras finds a layer's weights by the name of its class. Both encoders store theirs under the
    same names, so what one has written is moved to where the other is looked for.
    """
    wanted = _ENCODER_GROUPS[type(model.get_layer("encoder")).__name__]
    with h5py.File(path, "r") as file, tempfile.TemporaryDirectory(prefix="kerasbert-") as folder:
        layers = list(file.get("layers", []))
        written = next((name for name in layers if name in _ENCODER_GROUPS.values()), wanted)
        if written == wanted:
            yield path
            return
        copy = Path(folder) / path.name
        with h5py.File(copy, "w") as other:
            other.create_group("layers")
            for name in layers:  # Keras refuses links, so they are copied
                file.copy(f"layers/{name}", other["layers"], wanted if name == written else name)
        yield copy
