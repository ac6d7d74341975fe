"""Figures of an evaluation by scikit-learn and NumPy, for metrics.json.

Scores of 60 samples over 12 classes, too sure of themselves, the last class without samples:
  python metrics.py
"""
import json
import pathlib

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn import metrics as sk

rng = np.random.default_rng(5)
CLASSES, N, BINS = 12, 60, 15
labels = rng.integers(0, CLASSES - 1, N)
# Rounded to quarters, so that ties occur and the file is short; exact in 32 bits.
scores = np.round((rng.normal(size=(N, CLASSES)) * 2.5 + 4.5 * np.eye(CLASSES)[labels]) * 4) / 4


def at(temperature):
    logs = log_softmax(scores / temperature, axis=1)
    p = np.exp(logs)
    confidence, right = p.max(axis=1), scores.argmax(axis=1) == labels
    # Guo et al. 2017, equations 2 to 5: bins ((m - 1) / M, m / M].
    ece, mce, counts = 0.0, 0.0, []
    for m in range(BINS):
        inside = (confidence > m / BINS) & (confidence <= (m + 1) / BINS)
        counts.append(int(inside.sum()))
        if inside.any():
            gap = abs(right[inside].mean() - confidence[inside].mean())
            ece, mce = ece + inside.mean() * gap, max(mce, gap)
    return {
        "ece": ece,
        "mce": mce,
        "brier": float(((p - np.eye(CLASSES)[labels]) ** 2).sum(axis=1).mean()),
        "nll": float(sk.log_loss(labels, p, labels=range(CLASSES))),
        "counts": counts,
    }


def loss(log_t):
    return -log_softmax(scores / np.exp(log_t), axis=1)[np.arange(N), labels].mean()


found = minimize_scalar(loss, bounds=(-3, 3), method="bounded", options={"xatol": 1e-10})
temperature = float(np.exp(found.x))
predicted = scores.argmax(axis=1)
precision, recall, f1, support = sk.precision_recall_fscore_support(
    labels, predicted, labels=range(CLASSES), zero_division=0
)
# Ties are broken by the lower class, as argmax does.
order = np.argsort(-scores, axis=1, kind="stable")
golden = {
    "classes": CLASSES,
    "scores": scores.tolist(),
    "labels": labels.tolist(),
    "confusion": sk.confusion_matrix(labels, predicted, labels=range(CLASSES)).tolist(),
    "precision": precision.tolist(),
    "recall": recall.tolist(),
    "f1": f1.tolist(),
    "support": support.tolist(),
    "accuracy": float(sk.accuracy_score(labels, predicted)),
    "balanced_accuracy": float(sk.balanced_accuracy_score(labels, predicted)),
    "macro_f1": float(sk.f1_score(labels, predicted, average="macro", zero_division=0)),
    "top": [float((order[:, :k] == labels[:, None]).any(axis=1).mean()) for k in range(1, 11)],
    "temperature": temperature,
    "before": at(1.0),
    "after": at(temperature),
}
# Without ties at the edge scikit-learn says the same.
top3 = sk.top_k_accuracy_score(labels, scores + 1e-6 * np.arange(CLASSES)[::-1], k=3, labels=range(CLASSES))
assert abs(top3 - golden["top"][2]) < 1e-12
path = pathlib.Path(__file__).with_suffix(".json")
path.write_text(json.dumps(golden) + "\n")
