"""WordPiece tokenizers in the manner of BERT, learned from the training texts of a model."""

import common

import numpy as np
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PADDING, UNKNOWN, CLASS, SEPARATOR = range(4)


def new_tokenizer(model):
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def learn_vocabulary(texts, size):
    """WordPiece pieces of the texts, piece -> number, with the special tokens first.

    The trainer numbers the letters that continue a word in the order of a randomly seeded hash table, and breaks
    ties by those numbers: two runs give two vocabularies. So it gets these letters in a fixed order beforehand.
    """
    tokenizer = new_tokenizer(models.WordPiece(unk_token="[UNK]"))
    words = {
        word
        for text in texts
        for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(text))
    }
    continuing = sorted({"##" + letter for word in words for letter in word[1:]})
    trainer = trainers.WordPieceTrainer(
        vocab_size=size, special_tokens=SPECIAL_TOKENS + continuing, show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer.get_vocab()


def build_tokenizer(texts, size, max_tokens):
    """A WordPiece tokenizer of the texts, with the special tokens where BERT has them."""
    tokenizer = new_tokenizer(models.WordPiece(learn_vocabulary(texts, size), unk_token="[UNK]"))
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.add_special_tokens(SPECIAL_TOKENS)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", CLASS), ("[SEP]", SEPARATOR)],
    )
    tokenizer.enable_truncation(max_tokens)
    return tokenizer


def padded(token_lists):
    """(input ids, attention mask) as int64 arrays, padded at the end to the longest text."""
    width = max(map(len, token_lists))
    ids = np.array([tokens + [PADDING] * (width - len(tokens)) for tokens in token_lists], dtype=np.int64)
    mask = np.array([[1] * len(tokens) + [0] * (width - len(tokens)) for tokens in token_lists], dtype=np.int64)
    return ids, mask


def write_tokenizer(folder, tokenizer, max_tokens):
    """`tokenizer.json`, and what Hugging Face keeps beside it."""
    tokenizer.save(str(folder / "tokenizer.json"))
    named_tokens = {
        "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "mask_token": "[MASK]",
    }
    common.write_json(folder / "special_tokens_map.json", named_tokens)
    common.write_json(folder / "tokenizer_config.json", {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": True,
        "model_max_length": max_tokens,
        "clean_up_tokenization_spaces": True,
        **named_tokens,
    })
