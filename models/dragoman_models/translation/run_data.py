"""What a training run reads: its pairs, tokenizer and substitutions, and the batches of a pass."""

from __future__ import annotations

import random
import re
from pathlib import Path

from dragoman_models.errors import TrainingError
from dragoman_models.tokenizer import BOS, SubwordTokenizer, train_tokenizer
from dragoman_models.training import write_atomically
from dragoman_models.translation.case_noise import change_case
from dragoman_models.translation.corpus import (
    EncodedPair,
    SentencePair,
    gather_batches,
    read_pairs,
    with_eos,
)
from dragoman_models.translation.held_out import HeldOut, read_held_out
from dragoman_models.translation.lexicon import Lexicon
from dragoman_models.translation.recipe import TranslationRecipe
from dragoman_models.translation.sentence_parts import with_parts
from dragoman_models.translation.substitution import Substitution, learn_substitution
from dragoman_models.translation.text_preparation import MosesText

TOKENIZER = "tokenizer.model"


class RunData:
    """The data of a recipe, as a run in ``folder`` reads it."""

    def __init__(self, recipe: TranslationRecipe, folder: Path) -> None:
        """Reads the data, and makes or finds the tokenizer.

        Raises:
            TrainingError: a file is missing or wrong, which is named.
        """
        self.recipe = recipe
        self.dev_pairs = self.read(recipe.dev)
        self.train_pairs = self.read(recipe.train)
        held_out = self._held_out()
        if recipe.split_sentences:
            self.train_pairs = with_parts(self.train_pairs, held_out)
        self.synthetic_pairs = self._synthetic(held_out)
        self.tokenizer = self._tokenizer(folder)
        self.substitution = self._substitution()

    def read(self, path: Path | tuple[Path, Path]) -> list[SentencePair]:
        """The pairs of a file, prepared as the recipe says."""
        pairs = read_pairs(path, **self.recipe.columns)
        return prepared_pairs(pairs, self.recipe)

    def _held_out(self) -> HeldOut:
        """What only measures: the dev pairs, and the files that the recipe names."""
        named = read_held_out(self.recipe.held_out)
        named.add(side for pair in self.dev_pairs for side in pair)
        return named

    def _synthetic(self, held_out: HeldOut) -> list[SentencePair]:
        pairs = [
            pair
            for path in self.recipe.synthetic
            for pair in read_pairs(path, source_column=1, target_column=2)
        ]
        return prepared_pairs([pair for pair in pairs if not held_out.holds_any(pair)], self.recipe)

    def _tokenizer(self, folder: Path) -> SubwordTokenizer:
        path, recipe = folder / TOKENIZER, self.recipe
        given = recipe.shared_tokenizer
        if recipe.continue_from is not None:
            given = recipe.continue_from / TOKENIZER
        if not path.exists() and given is not None:
            try:
                write_atomically(path, given.read_bytes())
            except OSError as error:
                field = "shared_tokenizer" if recipe.continue_from is None else "continue_from"
                raise TrainingError(f"{field}: cannot read {given}: {error}") from error
        elif not path.exists():
            tokenizer = train_tokenizer(
                (side for pair in self.train_pairs for side in pair),
                vocabulary_size=recipe.network.vocabulary_size,
                model_type=recipe.subword_model,
            )
            write_atomically(path, tokenizer.model_bytes)
        return _checked_tokenizer(path, recipe)

    def _substitution(self) -> Substitution:
        forbidden: set[str] = set()
        if self.recipe.forbidden_names is not None:
            try:
                text = self.recipe.forbidden_names.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                path = self.recipe.forbidden_names
                raise TrainingError(f"cannot read forbidden_names {path}: {error}") from error
            forbidden = set(re.findall(r"\w+", text))
        languages = (self.recipe.source_language, self.recipe.target_language)
        return learn_substitution(
            self.train_pairs, rate=self.recipe.substitution_rate, forbidden=forbidden,
            lexicon=Lexicon(languages=languages) if self.recipe.exchange_lexicon else None,
        )  # fmt: skip

    # --- the passes ---

    def encoded_pass(self, number: int) -> tuple[list[EncodedPair], list[list[int]]]:
        """The pairs of a pass, with its own substitutions, segmentations and order of batches, and
        its own share of the synthetic pairs.

        All of it follows from the seed and the number, so a resumed run finds the same batches.
        """
        recipe = self.recipe
        chance = random.Random(f"{recipe.seed}/{number}")
        pairs = [self._encode(pair, chance, synthetic=False) for pair in self.train_pairs]
        pairs += [
            self._encode(pair, chance, synthetic=True) for pair in self._drawn_synthetic(chance)
        ]
        return pairs, gather_batches(pairs, target_tokens=recipe.batch_target_tokens, order=chance)

    def _drawn_synthetic(self, chance: random.Random) -> list[SentencePair]:
        """``synthetic_ratio`` for each real pair; all of them where there are too few."""
        if not self.synthetic_pairs:
            return []
        wanted = round(self.recipe.synthetic_ratio * len(self.train_pairs))
        return chance.sample(self.synthetic_pairs, min(wanted, len(self.synthetic_pairs)))

    def _encode(self, pair: SentencePair, chance: random.Random, *, synthetic: bool) -> EncodedPair:
        recipe = self.recipe
        source, target = self.substitution.apply(pair, chance)
        if recipe.case_noise and chance.random() < recipe.case_noise:
            source = change_case(source, chance)
        source_ids = self._pieces(source, recipe.source_sampling, chance)
        if synthetic and recipe.synthetic_tag:
            # No text has this piece in it: nothing that is translated is taken for synthetic.
            source_ids = [BOS, *source_ids]
        return EncodedPair(
            with_eos(source_ids, longest=recipe.longest),
            with_eos(self._pieces(target, recipe.target_sampling, chance), longest=recipe.longest),
        )

    def _pieces(self, text: str, sampling: float, chance: random.Random) -> list[int]:
        if chance.random() < sampling:
            return self.tokenizer.sample(text, chance, alpha=self.recipe.sampling_alpha)
        return self.tokenizer.encode(text)

    def encoded_dev(self) -> list[EncodedPair]:
        """The dev pairs with the most probable segmentation."""
        longest = self.recipe.longest
        return [
            EncodedPair(*(with_eos(self.tokenizer.encode(side), longest=longest) for side in pair))
            for pair in self.dev_pairs
        ]


def prepared_pairs(pairs: list[SentencePair], recipe: TranslationRecipe) -> list[SentencePair]:
    """The pairs as the recipe's ``preparation`` has them."""
    if recipe.preparation == "none":
        return pairs
    source, target = (
        MosesText(language) for language in (recipe.source_language, recipe.target_language)
    )
    return [SentencePair(source.prepare(s), target.prepare(t)) for s, t in pairs]


def _checked_tokenizer(path: Path, recipe: TranslationRecipe) -> SubwordTokenizer:
    try:
        tokenizer = SubwordTokenizer(path.read_bytes())
    except (OSError, RuntimeError) as error:
        raise TrainingError(f"cannot read {path}: {error}") from error
    asked = recipe.network.vocabulary_size
    if tokenizer.vocabulary_size != asked:
        raise TrainingError(
            f"{path} has {tokenizer.vocabulary_size} pieces, but the recipe's "
            f"network.vocabulary_size is {asked}; remove the file or change the recipe"
        )
    return tokenizer
