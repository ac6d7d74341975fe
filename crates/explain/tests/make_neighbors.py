#!/usr/bin/env python3
"""Neighbours, retrieval, principal components, a map and its trustworthiness as scikit-learn has them.

    python crates/explain/tests/make_neighbors.py

Writes golden/neighbors.json. Needs numpy and scikit-learn.
"""

import json
import os

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE, trustworthiness
from sklearn.metrics import average_precision_score
from sklearn.metrics.pairwise import cosine_distances, euclidean_distances
from sklearn.neighbors import KNeighborsClassifier

N, WIDTH, CLASSES = 90, 12, 3
rng = np.random.default_rng(5)
labels = np.arange(N) % CLASSES
centres = rng.normal(size=(CLASSES, WIDTH)) * 1.2
features = (centres[labels] + rng.normal(size=(N, WIDTH)) + 0.5).astype(np.float32)
plan = rng.normal(size=(N, 2))

out = {
    "width": WIDTH,
    "features": [round(float(v), 6) for v in features.ravel()],
    "labels": labels.tolist(),
    "plan": [[round(float(v), 6) for v in p] for p in plan],
}
features = np.array(out["features"], np.float32).reshape(N, WIDTH).astype(np.float64)
plan = np.array(out["plan"])

for name, distances in [("cosine", cosine_distances(features)), ("euclidean", euclidean_distances(features))]:
    np.fill_diagonal(distances, np.inf)
    order = np.argsort(distances, axis=1, kind="stable")
    same = labels[order] == labels[:, None]
    ap = []
    for i in range(N):
        others = np.arange(N) != i
        ap.append(average_precision_score(labels[others] == labels[i], -distances[i, others]))
    ap = np.array(ap)
    by_class = lambda v: [float(v[labels == c].mean()) for c in range(CLASSES)]
    metric = {
        "nearest": order[:, :4].tolist(),
        "distances": np.take_along_axis(distances, order[:, :4], 1).tolist(),
        "p1": float(same[:, 0].mean()),
        "p5": float(same[:, :5].mean()),
        "map": float(ap.mean()),
        "map_by_class": by_class(ap),
        "p1_by_class": by_class(same[:, 0]),
        "trust": {str(k): float(trustworthiness(features, plan, n_neighbors=k, metric=name)) for k in (1, 5, 20)},
    }
    # The first half knows the classes, the second asks; one and three neighbours, where no vote ends in a tie of three.
    for k in (1, 3):
        vote = KNeighborsClassifier(k, metric=name).fit(features[:45], labels[:45])
        near = vote.kneighbors(features[45:], return_distance=False)
        tied = np.array([len(set(labels[:45][r])) == k and k > 1 for r in near])
        found = vote.predict(features[45:])
        found[tied] = labels[:45][near[tied, 0]]
        metric[f"vote{k}"] = float((found == labels[45:]).mean())
    out[name] = metric

pca = PCA(2).fit(features)
signs = np.sign(pca.components_[np.arange(2), np.abs(pca.components_).argmax(1)])
out["pca"] = {
    "places": (pca.transform(features) * signs).tolist(),
    "explained": pca.explained_variance_ratio_.tolist(),
}
tsne = TSNE(2, perplexity=15, init="pca", method="barnes_hut", random_state=0).fit(features)
out["tsne"] = {
    "kl": float(tsne.kl_divergence_),
    "trust": float(trustworthiness(features, tsne.embedding_, n_neighbors=10)),
}
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden", "neighbors.json"), "w") as f:
    json.dump(out, f)
