"""The same forward passes in PyTorch, in its own environment: `python pytorch_job.py MODEL`.

Reads lines `LENGTH PRECISION` and answers each with the seconds that 4,096 word pieces took.
"""

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


def main(model: str) -> None:
    config = CONFIGS[model]
    kind = BertModel if isinstance(config, BertConfig) else DistilBertModel
    networks = {
        "float32": kind(config).eval(),
        "bfloat16": kind(config).eval().to(torch.bfloat16),
    }
    print("ready", flush=True)
    for line in sys.stdin:
        length, precision = line.split()
        shape = (4096 // int(length), int(length))
        ids = torch.from_numpy(np.random.default_rng(0).integers(1000, 30_000, shape))
        with torch.inference_mode():
            started = time.perf_counter()
            networks[precision](input_ids=ids, attention_mask=torch.ones_like(ids))
            print(time.perf_counter() - started, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
