"""A language model that extends prompts: any that speaks OpenAI's chat completions, where an owner names one.

Off unless `CONCAT_ID_PROMPT_API` is set, to an address such as http://127.0.0.1:11434/v1;
`CONCAT_ID_PROMPT_MODEL` is its model and `CONCAT_ID_PROMPT_KEY` the key, if it asks for one. The prompt alone
is sent, no picture. The key is in no message, no log and no file.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from concat_id.errors import InvalidPromptService, PromptServiceFailed
from concat_id.loading.presets import PRESETS
from concat_id.prompts.extension import Extension
from concat_id.validation import MAX_CHARACTERS as MAX_PROMPT_CHARACTERS

LOGGER = logging.getLogger(__name__)

URL, MODEL, KEY = "CONCAT_ID_PROMPT_API", "CONCAT_ID_PROMPT_MODEL", "CONCAT_ID_PROMPT_KEY"
TIMEOUT_S = 60
MAX_ANSWER_BYTES = 2**20

_FOR_FOOTAGE = (
    "Rewrite the user's idea as one prompt for a text-to-video model: one paragraph of 60 to 100 English "
    "words in the present tense. Say who, what they wear, what they do, where, how the camera moves, and the "
    "light. Keep everything the idea says, and add only what can be seen. The face comes from a photograph: "
    "say nothing of age, hair or features unless the idea does. Answer with the prompt alone."
)
_FOR_DRAWN = (
    "Rewrite the user's idea as one English sentence of at most 25 words for a model that draws people and "
    "knows few words. Say who, doing what, where, and wearing what. Use these words, and no others but "
    "articles, prepositions and 'wearing': {}. Answer with the sentence alone."
)
# What models that think aloud, or politely, put around an answer.
_THOUGHTS = re.compile(r"<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL | re.IGNORECASE)
_LABEL = re.compile(r"^(?:prompt|extended prompt|rewritten prompt)\s*:\s*", re.IGNORECASE)
_REFUSED = {
    401: "its key was not accepted",
    403: "its key was not accepted",
    404: "it is not at this address",
}


@dataclass(frozen=True)
class PromptService:
    """Where to ask, and for which model."""

    url: str  # of the API, without the last part
    model: str
    key: str = field(default="", repr=False)

    @property
    def host(self) -> str:
        """Who gets to read what is sent."""
        return urlsplit(self.url).hostname or ""

    def extend(self, prompt: str, preset: str) -> Extension:
        """Ask for a longer prompt that a preset's model can make more of.

        Raises:
            PromptServiceFailed: where no usable answer came within a minute.
        """
        instruction = instruct(preset)
        messages = [{"role": "system", "content": instruction}, {"role": "user", "content": prompt.strip()}]
        answer = _read_answer(self._post({"model": self.model, "messages": messages}))
        if not answer:
            raise PromptServiceFailed("the language model answered nothing; try again, or write it yourself.")
        if len(answer) > MAX_PROMPT_CHARACTERS:
            raise PromptServiceFailed(
                f"the language model answered with {len(answer)} characters, and a prompt has "
                f"{MAX_PROMPT_CHARACTERS} at most; try again."
            )
        return Extension(self.model, instruction, prompt.strip(), answer)

    def _post(self, body: dict[str, Any]) -> bytes:
        """Send a request, to this address and no other."""
        headers = {"Content-Type": "application/json", "User-Agent": "concat-id-studio"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        request = Request(f"{self.url}/chat/completions", json.dumps(body).encode(), headers)
        try:
            with build_opener(_StayHere).open(request, timeout=TIMEOUT_S) as response:
                return response.read(MAX_ANSWER_BYTES)
        except HTTPError as error:
            # Its text is not passed on: services repeat keys in it.
            why = _REFUSED.get(error.code, "it answered with an error")
            LOGGER.warning("the language model at %s answered HTTP %d", self.host, error.code)
            raise PromptServiceFailed(
                f"the language model could not be asked: {why} (HTTP {error.code}); "
                "write the prompt yourself, or tell who runs the studio."
            ) from None
        except (OSError, ValueError) as error:
            LOGGER.warning("the language model at %s: %s", self.host, type(error).__name__)
            raise PromptServiceFailed(
                "the language model did not answer; try again, or write the prompt yourself."
            ) from None


class _StayHere(HTTPRedirectHandler):
    """Follows no redirection: the key would go along."""

    def redirect_request(self, *given: Any) -> None:
        """Refuse, so that the redirection is an error."""
        return None


def read_service(environment: Mapping[str, str] = os.environ) -> PromptService | None:
    """The service that a machine's owner has named, None where there is none.

    Raises:
        InvalidPromptService: where the variables do not name one.
    """
    url = environment.get(URL, "").strip().rstrip("/").removesuffix("/chat/completions")
    if not url:
        return None
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
        raise InvalidPromptService(
            f"{URL} names no service; give an address such as http://127.0.0.1:11434/v1, and a key as {KEY}."
        )
    model = environment.get(MODEL, "").strip()
    if not model:
        raise InvalidPromptService(f"{URL} is set, and {MODEL} is not; name the model to ask.")
    return PromptService(url, model, environment.get(KEY, "").strip())


def instruct(preset: str) -> str:
    """What a language model is told to do with a prompt for a preset's model."""
    if PRESETS[preset].domain != "drawn":
        return _FOR_FOOTAGE
    from concat_id.prompts.parts import suggest_parts

    known = suggest_parts(preset)
    words = [*known.subject, *known.action, *known.place, *known.clothes]
    return _FOR_DRAWN.format(", ".join(words))


def _read_answer(data: bytes) -> str:
    """The text of a chat completion as one paragraph; empty where there is none."""
    try:
        content = json.loads(data)["choices"][0]["message"]["content"]
        if isinstance(content, list):  # in parts
            content = "".join(part["text"] for part in content if part.get("type") == "text")
        text = _THOUGHTS.sub(" ", content).replace("```", " ")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return ""
    text = _LABEL.sub("", " ".join(text.split()))
    return text.strip("\"'\u201c\u201d ").strip()
