"""The same forward passes in PyTorch, in its own environment: `python pytorch_job.py JSON`."""

import json
import sys
import time

import numpy as np
import torch
from transformers import BertConfig, BertModel, DistilBertConfig, DistilBertModel

CONFIGS = {
    "MiniLM": BertConfig(
        hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536
    ),
    "DistilBERT-sized": DistilBertConfig(),
    "BERT-base-sized": BertConfig(),
}


def main(model: str, lengths: list[int], turns: int) -> dict:
    config = CONFIGS[model]
    network = (BertModel if isinstance(config, BertConfig) else DistilBertModel)(config).eval()
    half = type(network)(config).eval().to(torch.bfloat16)
    result = {}
    for length in lengths:
        size = 4096 // length
        ids = torch.from_numpy(np.random.default_rng(0).integers(1000, 30_000, (size, length)))
        seconds = {"float32": [], "bfloat16": []}
        with torch.inference_mode():
            for turn in range(turns + 1):
                for name, module in (("float32", network), ("bfloat16", half)):
                    started = time.perf_counter()
                    module(input_ids=ids, attention_mask=torch.ones_like(ids))
                    if turn:
                        seconds[name].append(time.perf_counter() - started)
        result[length] = {name: size / float(np.median(s)) for name, s in seconds.items()}
    return result


if __name__ == "__main__":
    print(json.dumps(main(**json.loads(sys.argv[1]))))
