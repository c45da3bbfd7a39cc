"""Many continuations at once: they join and leave between two steps of one batch.

A step multiplies blocks of a fixed number of rows, whoever stands in them. The rows of such a
product do not depend on each other, not even in their rounding, so a continuation with its own
random numbers is the same text whatever else is being generated. Prompts are read alone, a
segment a step, so that a long one does not hold up the others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from dragoman_models.errors import InvalidInputError
from dragoman_models.language_model.generation import Generation, GenerationEvent
from dragoman_models.language_model.generation_options import FinishReason, GenerationOptions
from dragoman_models.language_model.network import LanguageModelNetwork, NetworkState
from dragoman_models.language_model.text_stream import TextStream
from dragoman_models.language_model.text_vocabulary import TextVocabulary, prompt_tokens
from dragoman_models.search.token_sampling import draw, filtered_probabilities

BLOCK_ROWS = 16
_PROMPT_SEGMENT = 64


class _Prompt:
    """A prompt being read, for one or several continuations."""

    def __init__(self, tokens: Sequence[int], state: NetworkState) -> None:
        self.tokens = list(tokens)
        self.read = 0
        self.state = state
        self.waiting: list[Generation] = []


class GenerationEngine:
    """Continuations over one network. For one thread; nothing here waits or locks."""

    def __init__(self, network: LanguageModelNetwork, vocabulary: TextVocabulary) -> None:
        self._network = network
        self._vocabulary = vocabulary
        self._prompts: list[_Prompt] = []
        self._slots: list[Generation | None] = []
        self._state = network.initial_state(0)  # rows are slots
        self._previous = torch.zeros(0, dtype=torch.long)
        self._biases = torch.zeros(0, vocabulary.size)  # (slots, V), added to log-probabilities

    @property
    def active(self) -> int:
        """Continuations that have joined and not left, those whose prompt is read among them."""
        waiting = sum(len(prompt.waiting) for prompt in self._prompts)
        return waiting + sum(one is not None for one in self._slots)

    def join(
        self,
        prompt: str,
        options: GenerationOptions,
        *,
        seed: int,
        samples: int = 1,
        tokens: Sequence[int] | None = None,
    ) -> list[Generation]:
        """New continuations of one prompt, which is read once; they move from the next step on.

        Args:
            seed: with the sample's index and the options, it determines the text.
            tokens: ``prompt_tokens(prompt)``, where another thread has made them already.
        Raises:
            InvalidInputError: an option is out of range.
        """
        if violations := options.violations():
            raise InvalidInputError(violations)
        if tokens is None:
            tokens = prompt_tokens(self._vocabulary, prompt)
        reading = _Prompt(tokens, self._network.initial_state(1))
        for index in range(samples):
            stream = TextStream(self._vocabulary, prompt, options.stop_strings)
            reading.waiting.append(Generation(options, seed, index, stream))
        self._prompts.append(reading)
        return list(reading.waiting)

    def leave(self, generation: Generation) -> None:
        """Takes a continuation out at once; nothing happens where it has left already."""
        for prompt in self._prompts:
            if generation in prompt.waiting:
                prompt.waiting.remove(generation)
        if generation.slot is not None:
            self._slots[generation.slot] = None
            generation.slot = None

    @torch.inference_mode()
    def step(self) -> list[GenerationEvent]:
        """Reads a segment of each prompt, and draws a token for all whose prompt is read."""
        for prompt in list(self._prompts):
            if self._read_prompt(prompt):
                self._prompts.remove(prompt)
        running = [one for one in self._slots if one is not None]
        if not running:
            return []
        log_probs = self._advance(running)  # (N, V)
        tokens, token_log_probs = self._draw(running, log_probs)
        return [
            self._finish_step(*drawn)
            for drawn in zip(running, tokens, token_log_probs, strict=True)
        ]

    # --- reading prompts ---

    def _read_prompt(self, prompt: _Prompt) -> bool:
        """Reads one segment; the last token is left for the first step. Whether that was all."""
        if not prompt.waiting:
            return True
        end = min(prompt.read + _PROMPT_SEGMENT, len(prompt.tokens) - 1)
        if end > prompt.read:
            part = torch.tensor(prompt.tokens[prompt.read : end]).unsqueeze(1)  # (T, 1)
            prompt.state = self._network(part, prompt.state).state
            prompt.read = end
        if end < len(prompt.tokens) - 1:
            return False
        for generation in prompt.waiting:
            self._enter(generation, prompt)
        return True

    def _enter(self, generation: Generation, prompt: _Prompt) -> None:
        if None not in self._slots:
            self._grow()
        slot = generation.slot = self._slots.index(None)
        self._slots[slot] = generation
        self._previous[slot] = prompt.tokens[-1]
        for layer, own in zip(self._state, prompt.state, strict=True):
            for rows, row in zip(layer, own, strict=True):
                rows[slot] = row[0]
        bias = self._biases[slot].zero_()
        bias[list(self._vocabulary.never_generated())] = -math.inf
        penalty = math.log(generation.options.repetition_penalty)
        seen = [t for t in set(prompt.tokens) if t != self._vocabulary.eos]
        bias[seen] -= penalty

    def _grow(self) -> None:
        fresh = self._network.initial_state(BLOCK_ROWS)
        self._state = tuple(
            tuple(torch.cat(parts) for parts in zip(layer, new, strict=True))
            for layer, new in zip(self._state, fresh, strict=True)
        )
        self._slots += [None] * BLOCK_ROWS
        self._previous = torch.cat([self._previous, torch.zeros(BLOCK_ROWS, dtype=torch.long)])
        self._biases = torch.cat([self._biases, torch.zeros(BLOCK_ROWS, self._biases.size(1))])

    # --- drawing ---

    def _advance(self, running: list[Generation]) -> Tensor:
        """One step of the network for each block in use: log-probabilities of those running."""
        found: dict[int, Tensor] = {}
        slots = [one.slot for one in running if one.slot is not None]
        for block in sorted({slot // BLOCK_ROWS for slot in slots}):
            rows = slice(block * BLOCK_ROWS, (block + 1) * BLOCK_ROWS)
            state = tuple(tuple(part[rows] for part in layer) for layer in self._state)
            hidden, state = self._network.step(self._previous[rows], state)
            for layer, new in zip(self._state, state, strict=True):
                for kept, part in zip(layer, new, strict=True):
                    kept[rows] = part
            found[block] = self._network.output.log_probs(hidden)  # (BLOCK_ROWS, V)
        return torch.stack([found[slot // BLOCK_ROWS][slot % BLOCK_ROWS] for slot in slots])

    def _draw(self, running: list[Generation], log_probs: Tensor) -> tuple[list[int], list[float]]:
        adjusted = log_probs + self._biases[[one.slot for one in running]]
        for row, generation in enumerate(running):
            if len(generation.tokens) < generation.options.min_tokens:
                adjusted[row, self._vocabulary.eos] = -math.inf
            if repeating := generation.repeating():
                adjusted[row, repeating] = -math.inf
        dead = ~adjusted.isfinite().any(dim=1)
        adjusted[dead, self._vocabulary.eos] = 0.0  # all is ruled out: the text can only end
        probabilities = filtered_probabilities(adjusted, [one.options.sampling for one in running])
        uniforms = torch.tensor([one.random.random() for one in running], dtype=torch.float64)
        tokens = draw(probabilities, uniforms)
        own = log_probs.gather(1, tokens.unsqueeze(1)).squeeze(1)
        return tokens.tolist(), own.tolist()

    def _finish_step(self, generation: Generation, token: int, log_prob: float) -> GenerationEvent:
        options, slot = generation.options, generation.slot
        assert slot is not None  # noqa: S101 - it is running
        self._previous[slot] = token
        if self._biases[slot, token] == 0:
            self._biases[slot, token] -= math.log(options.repetition_penalty)
        generation.append(token, log_prob)
        text, reason = "", None
        if token == self._vocabulary.eos:
            text, reason = generation.stream.finish(), FinishReason.END_OF_TEXT
        else:
            text = generation.stream.add(token)
            if not generation.stream.stopped and len(generation.tokens) >= options.max_tokens:
                text, reason = text + generation.stream.finish(), FinishReason.MAX_LENGTH
        if generation.stream.stopped:
            reason = FinishReason.STOP_STRING
        generation.finish_reason = reason
        if reason is not None:
            self.leave(generation)
        return GenerationEvent(
            generation=generation, text=text, token=token, token_log_prob=log_prob,
            finish_reason=reason,
        )  # fmt: skip
