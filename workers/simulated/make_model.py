"""Makes the bundled model folder: a small byte-level tokenizer and its chat template.

Run ``python -m workers.simulated.make_model`` after changing passage.txt or words.txt.
"""

import argparse
import json
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

FOLDER = Path(__file__).parent
VOCABULARY = 3072
CONTEXT_LENGTH = 131_072
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def words() -> list[str]:
    """Return common words, each of which is one token when a space goes before it.

    So the text " " + " ".join(words) has exactly as many tokens as words.
    """
    return (FOLDER / "words.txt").read_text(encoding="utf-8").split()


def train() -> Tokenizer:
    """Return a byte-level BPE tokenizer: any bytes encode, and no token is ever unknown."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    passage = (FOLDER / "passage.txt").read_text(encoding="utf-8")
    # The weight makes every listed word whole before the passage's rarer words get their merges.
    listed = [f" {word}" * 100 for word in words()]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([*listed, passage, "user assistant system\n" * 10], trainer)
    return tokenizer


def write(folder: Path) -> None:
    """Write tokenizer.json, tokenizer_config.json and config.json into *folder*."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = train()
    ids = [tokenizer.token_to_id(token) for token in SPECIAL]
    pad, _, eos = ids
    (folder / "tokenizer.json").write_text(tokenizer.to_str(), encoding="utf-8")
    _write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": CONTEXT_LENGTH,
            "clean_up_tokenization_spaces": False,
            "pad_token": SPECIAL[0],
            "eos_token": SPECIAL[2],
            "chat_template": CHAT_TEMPLATE,
        },
    )
    _write_json(
        folder / "config.json",
        {
            "model_type": "simulated",
            "vocab_size": tokenizer.get_vocab_size(),
            "max_position_embeddings": CONTEXT_LENGTH,
            "eos_token_id": eos,
            "pad_token_id": pad,
        },
    )


def _write_json(path: Path, value: dict[str, object]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER / "model", help="the folder to write")
    write(parser.parse_args().out)


if __name__ == "__main__":
    _main()
