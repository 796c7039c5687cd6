"""A language model extends prompts: what it is sent, what is made of its answers; its key stays a secret."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from language_model import KEY, LanguageModel, serve_language_model
from toys import run

from concat_id.__main__ import main
from concat_id.errors import InvalidJob, InvalidPromptService, PromptServiceFailed
from concat_id.job import Job
from concat_id.output.video import read_metadata
from concat_id.prompts.extension import Extension
from concat_id.prompts.service import PromptService, instruct, read_service
from concat_id.ui.forms.prompt_help import keep_extension


@pytest.fixture
def model() -> Iterator[LanguageModel]:
    with serve_language_model() as model:
        yield model


@pytest.fixture
def service(model: LanguageModel) -> PromptService:
    return read_service(model.variables)


def test_it_is_off_unless_it_is_named() -> None:
    assert read_service({}) is None and read_service({"CONCAT_ID_PROMPT_API": " "}) is None
    assert read_service({"CONCAT_ID_PROMPT_KEY": KEY, "CONCAT_ID_PROMPT_MODEL": "x"}) is None


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("api.example.com/v1", "x"),
        ("file:///etc/passwd", "x"),
        ("https://user:pass@example.com/v1", "x"),
        ("https://example.com/v1?key=abc", "x"),
        ("https://example.com/v1", " "),
    ],
)
def test_what_names_none_is_refused_at_the_start(url: str, name: str) -> None:
    with pytest.raises(InvalidPromptService, match="CONCAT_ID_PROMPT") as refusal:
        read_service({"CONCAT_ID_PROMPT_API": url, "CONCAT_ID_PROMPT_MODEL": name})
    assert "pass" not in str(refusal.value) and "abc" not in str(refusal.value)


@pytest.mark.parametrize("end", ["", "/", "/chat/completions"])
def test_the_prompt_is_sent_with_what_to_do(model: LanguageModel, end: str) -> None:
    service = read_service(model.variables | {"CONCAT_ID_PROMPT_API": model.url + end})
    extension = service.extend(" laughing ", "wan-1.3b-adaln")
    (path, headers, body), *others = model.requests
    assert not others and path == "/v1/chat/completions" and headers["Authorization"] == f"Bearer {KEY}"
    system, user = body.pop("messages")
    assert body == {"model": "tiny"}  # what else there is, not every service takes
    assert user == {"role": "user", "content": "laughing"}
    assert system == {"role": "system", "content": instruct("wan-1.3b-adaln")}
    assert extension == Extension("tiny", system["content"], "laughing", "A person laughs on a beach.")


def test_a_model_of_few_words_is_described_by_them() -> None:
    said = instruct("embedded")
    assert "on a beach" in said and "waving" in said and "t-shirt" in said and len(said) < 4000
    assert "camera moves" in instruct("wan-1.3b-adaln")


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ('"A person waves."', "A person waves."),
        ("<think>Long or short?\n</think>\n\nPrompt: A person\nwaves.", "A person waves."),
        ("```\nA person waves.\n```", "A person waves."),
        ("\u201cA person waves.\u201d", "A person waves."),
        (
            {"choices": [{"message": {"content": [{"type": "text", "text": "A person waves."}]}}]},
            "A person waves.",
        ),
    ],
)
def test_of_an_answer_the_prompt_is_taken(
    model: LanguageModel, service: PromptService, answer: object, text: str
) -> None:
    model.answer = answer
    assert service.extend("waving", "embedded").answer == text


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "<think>Hm.</think>",
        b"",
        b"not json",
        b"[" * 10_000,
        [],
        {},
        {"choices": []},
        {"choices": [{}]},
        {"choices": [{"message": {"content": None}}]},
        {"choices": [{"message": {"content": [3]}}]},
        {"choices": [{"message": {"content": [{"type": "text"}]}}]},
        "long " * 1000,
    ],
)
def test_no_answer_is_a_sentence(model: LanguageModel, service: PromptService, answer: object) -> None:
    model.answer = answer
    with pytest.raises(PromptServiceFailed, match="the language model answered"):
        service.extend("waving", "embedded")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 302, 307])
def test_the_key_is_said_nowhere(
    model: LanguageModel, service: PromptService, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with serve_language_model() as elsewhere:
        model.status, model.answer = status, {"error": {"message": f"Incorrect API key provided: {KEY}"}}
        model.headers = {"Location": f"{elsewhere.url}/chat/completions"}
        with pytest.raises(PromptServiceFailed, match=f"HTTP {status}") as failure:
            service.extend("waving", "embedded")
        assert elsewhere.requests == []
    said = [str(failure.value), repr(failure.value.__cause__), repr(service), caplog.text]
    assert not [text for text in said if KEY in text] and str(status) in caplog.text
    assert failure.value.__suppress_context__


def test_where_nobody_answers_it_is_said(model: LanguageModel, service: PromptService) -> None:
    nobody = replace(service, url="http://127.0.0.1:9/v1")
    with pytest.raises(PromptServiceFailed, match="did not answer"):
        nobody.extend("waving", "embedded")


EXTENSION = Extension("tiny", "Rewrite it.", "waving", "A person waves happily.")


@pytest.mark.usefixtures("known_toy")
def test_it_is_kept_with_the_video_and_changes_nothing(job: Job, tmp_path: Path) -> None:
    _, plain = run(job, tmp_path / "plain" / "out.mp4")
    _, extended = run(replace(job, extension=EXTENSION), tmp_path / "extended" / "out.mp4")
    assert (plain.frames == extended.frames).all()
    kept = json.loads(extended.sidecar.read_text())["job"]["extension"]
    assert kept == vars(EXTENSION) == read_metadata(extended.video)["job"]["extension"]
    assert Job.load(extended.sidecar).resolve().extension == EXTENSION
    assert "extension" not in json.loads(plain.sidecar.read_text())["job"]


@pytest.mark.usefixtures("known_toy")
def test_the_command_line_says_what_is_sent_and_what_came_back(
    model: LanguageModel,
    job: Job,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    line = ["generate", "--preset", "toy", "--device", "cpu", "--reference", str(job.references[0].picture)]
    line += ["--prompt", "waving", "--steps", "1", "--extend-prompt", "--output", str(tmp_path / "out.mp4")]
    for name in model.variables:
        monkeypatch.delenv(name, raising=False)
    assert main(line) == 2 and "set CONCAT_ID_PROMPT_API" in capsys.readouterr().err
    for name, value in model.variables.items():
        monkeypatch.setenv(name, value)
    assert main(line) == 0
    said = capsys.readouterr()
    assert "sent to tiny at 127.0.0.1: " in said.err and KEY not in said.err + said.out
    assert "sent: waving" in said.err and "prompt: A person laughs on a beach." in said.err
    kept = json.loads((tmp_path / "out.json").read_text())["job"]
    assert kept["prompt"] == kept["extension"]["answer"] == "A person laughs on a beach."


@pytest.mark.parametrize("wrong", [{}, {"model": "x"}, "text", vars(EXTENSION) | {"answer": 5}, {"key": KEY}])
def test_a_sidecar_with_another_is_refused(job: Job, wrong: object) -> None:
    with pytest.raises(InvalidJob, match="extension"):
        Job.from_dict(job.to_dict() | {"extension": wrong}).resolve()


def test_an_edited_prompt_still_came_from_it_and_another_one_did_not() -> None:
    assert keep_extension(EXTENSION, "A person waves happily at us.") == EXTENSION
    assert keep_extension(EXTENSION, "two dogs on grass") is None
    assert keep_extension(None, "A person waves happily.") is None
