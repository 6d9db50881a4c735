"""The peer of `npm run bench -- train`: the same model and batch in PyTorch eager. usage: peer_train.py FOLDER STEPS WARM"""
import json
import sys
import time

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

folder, steps, warm = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(2)
torch.manual_seed(0)
model = AutoModelForSequenceClassification.from_config(AutoConfig.from_pretrained(folder)).train()
optimizer = torch.optim.AdamW(model.parameters(), lr=5e-5, weight_decay=0.01)
batch = {
    "input_ids": torch.randint(5, model.config.vocab_size, (32, 32)),
    "attention_mask": torch.ones(32, 32, dtype=torch.long),
    "labels": torch.randint(0, 2, (32,)),
}
ms = []
for step in range(warm + steps):
    begin = time.perf_counter()
    loss = model(**batch).loss
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    if step >= warm:
        ms.append(1000 * (time.perf_counter() - begin))
print(json.dumps({"ms": ms, "version": torch.__version__}))
