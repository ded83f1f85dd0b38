"""Fits `library-recommender`, which tells what else a piece of software may want to use, and writes its folder but this script.

    python models/library-recommender/train.py --data DIR

Collaborative filtering on real data: the "users" are projects in Debian 12, the "items" what their packages depend on.
Implicit alternating least squares (Hu, Koren, Volinsky 2008): a project uses something or it does not, there are no ratings.
"""

import re
import sys
from collections import Counter, defaultdict
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent / "training"))

import common  # first: it fixes the number of threads

import numpy as np
import torch
from torch import nn

PACKAGES = ("debian-12.15-main-amd64-Packages", "515e692f2c4121c6fcec444ef100cc18f79a991910615f3a88c8b7becfc94d2f")
# Fewer say too little about a project, or about what is used.
LEAST_USES_OF_PROJECT, LEAST_PROJECTS_OF_ITEM = 8, 10
HELD_OUT_SHARE = 0.2
SEED = 0
FACTORS = 48
ROUNDS = 15
# How much more a use counts than a use that was not seen, and the weight of the penalty on large factors.
CONFIDENCE = 20.0
PENALTY = 50.0
BEST = 10
SAMPLES = ["inkscape", "gnome-maps", "calibre"]


class Recommender(nn.Module):
    """Scores of every item for a user: the product of their factors."""

    def __init__(self, users, items):
        super().__init__()
        self.users = nn.Embedding.from_pretrained(torch.from_numpy(users.astype(np.float32)))
        self.items = nn.Parameter(torch.from_numpy(items.T.astype(np.float32).copy()))

    def forward(self, user):
        return self.users(user) @ self.items


def read_index(data_folder):
    """({project: set of projects it depends on}, {project: the package of it that most packages depend on}).

    A project is a Debian source package; the binary packages made of it are taken together.
    """
    text = common.checked_bytes(data_folder, *PACKAGES).decode("utf-8")
    entries = [dict(re.findall(r"^(Package|Source|Depends): (.*)$", block, re.M)) for block in text.split("\n\n")]
    entries = [entry for entry in entries if "Package" in entry]
    project_of = {entry["Package"]: entry.get("Source", entry["Package"]).split(" ")[0] for entry in entries}
    uses, wanted = defaultdict(set), defaultdict(Counter)
    for entry in entries:
        project = project_of[entry["Package"]]
        # "libc6 (>= 2.34), perl:any, mawk | awk": alternatives count like the rest.
        for wish in re.split(r"[,|]", entry.get("Depends", "")):
            package = re.split(r"[ (:]", wish.strip())[0]
            used = project_of.get(package)
            if used is not None and used != project:
                uses[project].add(used)
                wanted[used][package] += 1
    return uses, {project: min(counts, key=lambda name: (-counts[name], name)) for project, counts in wanted.items()}


def dense_part(uses):
    """(users, items, sorted item numbers of each user), after leaving out who uses little and what is used little."""
    counts = Counter(item for used in uses.values() for item in used)
    items = sorted(item for item, count in counts.items() if count >= LEAST_PROJECTS_OF_ITEM)
    number = {item: at for at, item in enumerate(items)}
    rows = {user: sorted(number[item] for item in used if item in number) for user, used in uses.items()}
    users = sorted(user for user, row in rows.items() if len(row) >= LEAST_USES_OF_PROJECT)
    return users, items, [rows[user] for user in users]


def split(rows):
    """(training, held-out) item numbers of each user: a fifth of what each uses is held out."""
    generator = np.random.default_rng(SEED)
    training, held_out = [], []
    for row in rows:
        order = generator.permutation(row)
        cut = max(1, round(len(row) * HELD_OUT_SHARE))
        held_out.append(sorted(order[:cut].tolist()))
        training.append(sorted(order[cut:].tolist()))
    return training, held_out


def solve(rows, other):
    """The factors of each row that explain best, given the other side's, what it is used with."""
    width = other.shape[1]
    everywhere = other.T @ other + PENALTY * np.eye(width)
    factors = np.empty((len(rows), width))
    for at, row in enumerate(rows):
        used = other[row]
        factors[at] = np.linalg.solve(everywhere + CONFIDENCE * used.T @ used, (1 + CONFIDENCE) * used.sum(axis=0))
    return factors


def transposed(rows, width):
    """The users of each item."""
    columns = [[] for _ in range(width)]
    for at, row in enumerate(rows):
        for item in row:
            columns[item].append(at)
    return columns


def fit(rows, item_count):
    """(user factors, item factors)"""
    generator = np.random.default_rng(SEED)
    items = generator.normal(scale=0.1, size=(item_count, FACTORS))
    columns = transposed(rows, item_count)
    for turn in range(ROUNDS):
        users = solve(rows, items)
        items = solve(columns, users)
        print(f"round {turn + 1}/{ROUNDS}", flush=True)
    return users, items


def best_unseen(scores, seen):
    """The ten best items of each user among those that they are not known to use, best first."""
    scores = scores.copy()
    for at, row in enumerate(seen):
        scores[at, row] = -np.inf
    return np.argsort(-scores, axis=1, kind="stable")[:, :BEST]


def recall_and_gain(ranked, held_out):
    """Means over users: share of the held-out items among the ten (of at most ten), and NDCG at ten."""
    discounts = 1 / np.log2(np.arange(2, BEST + 2))
    recalls, gains = [], []
    for row, true in zip(ranked, held_out):
        hits = np.isin(row, true)
        recalls.append(hits.sum() / min(len(true), BEST))
        gains.append((hits * discounts).sum() / discounts[:min(len(true), BEST)].sum())
    return float(np.mean(recalls)), float(np.mean(gains))


def write_configuration(folder, users, items):
    common.write_json(folder / "config.json", {
        "architectures": ["MatrixFactorization"],
        "model_type": "matrix-factorization",
        "num_users": len(users),
        "num_items": len(items),
        "factors": FACTORS,
    })


def write_weir(folder, recall, gain, user_count):
    figures = {"dataset": "Debian 12.15 package index", "split": "held-out fifth of each project's dependencies", "n": user_count}
    common.write_json(folder / "weir.json", {
        "task": "recommendation",
        "displayName": "Library recommender",
        "description": "Tells what else a piece of software may want to use, from what software like it uses: "
                       "collaborative filtering over the packages of Debian 12.",
        "licence": "Apache-2.0",
        "tags": ["recommendation", "debian", "starter"],
        "recommendation": {"users": "users.json", "items": "items.json", "seen": "seen.json"},
        "metrics": [
            {"name": "recall at 10", "value": round(recall, 4), **figures},
            {"name": "NDCG at 10", "value": round(gain, 4), **figures},
        ],
        "examples": [{"input": {"user": user}} for user in SAMPLES],
    })


def card(model, popular, counts, sample):
    """The model card; `model` and `popular` are (recall, NDCG), `sample` is (project, what it is recommended, of it used)."""
    users, items, training, held_out, parameters = counts
    project, recommended, used = sample
    return f"""
---
license: apache-2.0
library_name: onnx
tags: [recommendation, collaborative-filtering, onnx]
---

# Library recommender

Tells what else a piece of software may want to use, from what software like it uses. For `{project}` it says:
{", ".join(recommended)}. Of these it does use {", ".join(used) or "none"}, which the model was not told.

| | |
|---|---|
| network | {FACTORS} factors for each user and item, their products; {parameters:,} parameters; ONNX opset {common.ONNX_OPSET} |
| input | `user`, int64 `[batch]`, position in `users.json` |
| output | `scores`, float32 `[batch, {items}]`, one for each of `items.json`, higher is better |
| training data | {training:,} uses of {items:,} projects by {users:,} projects, from the dependencies of Debian 12.15 |
| **held-out recall at 10** | **{model[0]:.3f}** ({popular[0]:.3f} by popularity alone), measured on `onnx/model.onnx` in ONNX Runtime |
| **held-out NDCG at 10** | **{model[1]:.3f}** ({popular[1]:.3f} by popularity alone) |
| held out | {held_out:,} uses, a fifth of each project's |
| licence | Apache-2.0 |

## How it was made

`python models/library-recommender/train.py --data DIR` (see `../README.md`): implicit alternating least squares, seed {SEED},
{ROUNDS} rounds. A "user" is a project, a Debian source package with at least {LEAST_USES_OF_PROJECT} uses; an "item" is a project that at
least {LEAST_PROJECTS_OF_ITEM} others depend on; a use is a dependency of any package of the one on any package of the other.
Settings were chosen by a part of the training uses. Popularity recommends what most projects use, and leaves out what
the project is known to use, as the model does.

## Limits

- Only projects in `users.json` can be asked about; a new one has no factors.
- Dependencies are not a matter of taste: libraries of one family (a desktop, a language) come together, so the
  figures are higher than for films or books.
- The state of Debian 12 in July 2026; nothing newer is known to it.

## Files

`users.json`: names of Debian source packages. `items.json`: the same, with the package of it that most others depend on as
title. `seen.json`: the uses that the model was told, which are not recommended again. `example.json` holds a raw request
and response (Open Inference Protocol v2) with a tolerance. Data: names and dependencies in Debian's package index; see
`../NOTICE.md`.
"""


def main():
    arguments = common.parse_arguments(__doc__.split("\n")[0], FOLDER)
    common.make_deterministic(SEED)
    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    uses, packages = read_index(arguments.data)
    users, items, rows = dense_part(uses)
    training, held_out = split(rows)
    print(f"{len(users)} users, {len(items)} items, {sum(map(len, rows))} uses")

    network = Recommender(*fit(training, len(items)))
    model_path = out / "onnx" / "model.onnx"
    common.export_onnx(
        network, (torch.zeros(2, dtype=torch.int64),), model_path,
        ["user"], {"user": {0: "batch"}, "scores": {0: "batch"}}, output="scores",
    )

    session = common.open_session(model_path)
    (scores,) = session.run(["scores"], {"user": np.arange(len(users))})
    ranked = best_unseen(scores, training)
    model = recall_and_gain(ranked, held_out)
    counts = np.bincount([item for row in training for item in row], minlength=len(items)).astype(float)
    popular = recall_and_gain(best_unseen(np.tile(counts, (len(users), 1)), training), held_out)
    print(f"recall and NDCG at {BEST}: {model}, by popularity {popular} (n = {len(users)})")

    common.write_json(out / "users.json", users, compact=True)
    common.write_json(out / "items.json", [{"id": item, "title": packages[item]} for item in items], compact=True)
    common.write_json(out / "seen.json", dict(zip(users, training)), compact=True)
    write_configuration(out, users, items)
    write_weir(out, *model, len(users))
    asked = np.array([users.index(user) for user in SAMPLES])
    example = common.open_inference_example(session, {"user": asked[:1]}, users=SAMPLES[:1])
    common.write_json(out / "example.json", example, compact=True)
    first = asked[0]
    recommended = [items[item] for item in ranked[first][:5]]
    used = [items[item] for item in ranked[first][:5] if item in held_out[first]]
    parameters = sum(parameter.numel() for parameter in network.parameters())
    numbers = (len(users), len(items), sum(map(len, training)), sum(map(len, held_out)), parameters)
    common.write_card(out / "README.md", card(model, popular, numbers, (SAMPLES[0], recommended, used)))
    common.check_folder_size(out)


if __name__ == "__main__":
    main()
