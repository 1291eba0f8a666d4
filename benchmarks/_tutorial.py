"""The tutorial script that startup.py and memory.py run as a process: digits, a small network, a 12-line loop.

python benchmarks/_tutorial.py EPOCHS|first-step
"""

from __future__ import annotations

import os
import sys

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

digits = load_digits()
inputs = torch.tensor(digits.images / 16, dtype=torch.float32).unsqueeze(1)
targets = torch.tensor(digits.target)
train, test = train_test_split(range(len(targets)), test_size=0.2, random_state=0)
loader = DataLoader(TensorDataset(inputs[train], targets[train]), batch_size=32, shuffle=True)
model = nn.Sequential(
    *(nn.Conv2d(1, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(64, 128, 3, padding=1), nn.ReLU()),
    *(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(512, 512), nn.ReLU(), nn.Dropout(0.5), nn.Linear(512, 10)),
)  # the same as ptrun's convnet on 8x8 digits
optimizer = torch.optim.AdamW(model.parameters(), lr=0.001)
loss_fn = nn.CrossEntropyLoss()
epochs = 1 if sys.argv[1] == "first-step" else int(sys.argv[1])
for _epoch in range(epochs):
    model.train()
    for batch, labels in loader:
        optimizer.zero_grad()
        loss = loss_fn(model(batch), labels)
        loss.backward()
        optimizer.step()
        if sys.argv[1] == "first-step":
            os._exit(0)
model.eval()
with torch.no_grad():
    correct = (model(inputs[test]).argmax(1) == targets[test]).float().mean()
print(f"accuracy {correct:.3f}")
