"""A model of 1.7 million random weights with a tokenizer of its own: what a real vLLM can serve on two cores.

    PYTHON tests/vllm/tiny_model.py FOLDER      # PYTHON is an environment's that has vLLM; the folder must not be there

It says nothing that means anything, and prefers what ends a JSON value: weights that are only random write blanks
between its parts for ever, which every schema allows. The same weights each time, so that greedy answers repeat.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

# Those of an environment with vLLM, which alone runs this: this project's own has none of them.
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM

BEGIN, END, PAD = SPECIAL = ("<|begin_of_text|>", "<|eot_id|>", "<|pad|>")
NAMED = {"bos_token": BEGIN, "eos_token": END, "pad_token": PAD}
VOCABULARY = 1024
CONTEXT_TOKENS = 4096
WIDTH = 256
ALWAYS = 8.0
"""What each token's embedding has in its first dimension, far above the rest: after the last norm that is the root of
WIDTH, whatever was said, and the head's first column is what the model thinks of each token."""
PREFERRED = {"{": 40.0, "}": 30.0, "]": 25.0, '"': 20.0}
ENDING = 15.0
"""Below what JSON has: it ends by itself where a grammar allows only that or another call, and never in a free text."""
DISLIKED_BLANK, DISLIKED_SPECIAL, DISLIKED_DIGIT = -40.0, -20.0, -10.0
TEMPLATE = "{% for m in messages %}<|{{m['role']}}|>\n{{m['content']}}\n{% endfor %}<|assistant|>\n"


def tokenizer() -> Tokenizer:
    """Byte-level BPE: it can say every text, JSON of a schema too."""
    made = Tokenizer(models.BPE(unk_token=None))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    corpus = [f"the quick brown fox jumps over the lazy dog {i} times, and then it rests." for i in range(2000)]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=list(SPECIAL), initial_alphabet=alphabet)
    made.train_from_iterator(corpus, trainer)
    return made


def preference(text: str) -> float:
    """The logit of a token, beside what is random."""
    if text in SPECIAL:
        return ENDING if text == END else DISLIKED_SPECIAL
    if not text.strip() or text != text.lstrip():
        return DISLIKED_BLANK
    return DISLIKED_DIGIT if any(c.isdigit() for c in text) else PREFERRED.get(text, 0.0)


def weights(words: list[str]) -> LlamaForCausalLM:
    """Two layers; `words` are the texts of the tokens."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        intermediate_size=512,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=64,
        max_position_embeddings=CONTEXT_TOKENS,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
        tie_word_embeddings=False,
    )
    made = LlamaForCausalLM(config)
    with torch.no_grad():
        made.model.embed_tokens.weight[:, 0] = ALWAYS
        made.lm_head.weight[:, 0] = torch.tensor([preference(word) for word in words]) / math.sqrt(WIDTH)
    return made.to(torch.bfloat16)


def make(folder: Path) -> None:
    """All of a model's files, in a folder that appears when it is whole."""
    building = folder.with_name(folder.name + ".making")
    building.mkdir(parents=True, exist_ok=True)
    speaks = tokenizer()
    speaks.save(str(building / "tokenizer.json"))
    words = [speaks.decode([token], skip_special_tokens=False) for token in range(VOCABULARY)]
    told = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **NAMED,
        "model_max_length": CONTEXT_TOKENS,
        "clean_up_tokenization_spaces": False,
        "chat_template": TEMPLATE,
    }
    (building / "tokenizer_config.json").write_text(json.dumps(told))
    (building / "special_tokens_map.json").write_text(json.dumps(NAMED))
    weights(words).save_pretrained(building, safe_serialization=True)
    building.rename(folder)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
