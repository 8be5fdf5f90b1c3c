"""Train and evaluate a classifier on scikit-learn's bundled digits; write metrics and per-sample predictions."""

import csv
import json

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

REGULARISATION = 0.05
SEED = 7

digits = load_digits()
x_train, x_test, y_train, y_test = train_test_split(
    digits.data, digits.target, test_size=0.4, random_state=SEED, stratify=digits.target
)
model = make_pipeline(StandardScaler(), LogisticRegression(C=REGULARISATION, max_iter=500))
model.fit(x_train, y_train)
scores = model.predict_proba(x_test)
predicted = scores.argmax(axis=1)

metrics = {
    "accuracy": accuracy_score(y_test, predicted),
    "macro_f1": f1_score(y_test, predicted, average="macro"),
    "log_loss": log_loss(y_test, scores),
    "test_samples": len(y_test),
}
with open("metrics.json", "w") as file:
    json.dump(metrics, file, indent=2)

ordered = np.sort(scores, axis=1)
with open("predictions.csv", "w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(["sample", "label", "predicted", "margin"])
    for number, row in enumerate(zip(y_test, predicted, ordered[:, -1] - ordered[:, -2])):
        writer.writerow([number, *row])

print(f"accuracy {metrics['accuracy']:.4f}, log loss {metrics['log_loss']:.4f} on {len(y_test)} samples")
