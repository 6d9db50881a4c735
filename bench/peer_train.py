"""The peer of `npm run bench -- train`: the same model and batch in PyTorch eager. usage: peer_train.py FOLDER STEPS WARM plain|qat

qat: every linear layer with fake-quantized weights per channel and inputs per tensor, both with learned scales.
"""
import json
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn
from transformers import AutoConfig, AutoModelForSequenceClassification

folder, steps, warm, form = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
torch.set_num_threads(2)
torch.manual_seed(0)


class QuantizedLinear(nn.Linear):
    def start(self):
        self.weight_scale = nn.Parameter(self.weight.detach().abs().amax(1) / 127)
        self.input_scale = nn.Parameter(torch.tensor([8 / 255]))
        self.weight_zero, self.input_zero = torch.zeros(len(self.weight)), torch.tensor([128.0])

    def forward(self, x):
        step = (self.weight.shape[1] * 127) ** -0.5
        weight = torch._fake_quantize_learnable_per_channel_affine(
            self.weight, self.weight_scale, self.weight_zero, 0, -127, 127, step
        )
        step = (x.numel() * 255) ** -0.5
        x = torch._fake_quantize_learnable_per_tensor_affine(
            x, self.input_scale, self.input_zero, 0, 255, step
        )
        return F.linear(x, weight, self.bias)


model = AutoModelForSequenceClassification.from_config(AutoConfig.from_pretrained(folder)).train()
if form == "qat":
    for module in model.modules():
        if type(module) is nn.Linear:
            module.__class__ = QuantizedLinear
            module.start()
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
